"""The launcher's command line and menu: one server, or a cluster of them, and clients."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import sys
import webbrowser
from contextlib import suppress
from typing import Final, NoReturn

from gmessenger.constants import DEFAULT_IRC_TLS_PORT, DEFAULT_PORT
from gmessenger.launcher.output import fail, safe
from gmessenger.launcher.poll import poll_until
from gmessenger.launcher.supervise import (
    LAUNCHER,
    LEASH,
    POLL_INTERVAL,
    SERVICES,
    SIGNALS,
    START_TIMEOUT,
    TOP,
    ProcessSupervisor,
    run_program,
    run_services,
    wait_for_exit,
)
from gmessenger.launcher.windows import Windows, choose, has_desktop

ABOUT: Final = (
    "One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`."
)
CLIENTS: Final = range(21)  # numbers of clients that --clients allows
NODES: Final = range(1, 10)  # numbers of servers that --nodes allows
REACH_TIMEOUT: Final = 1.0  # seconds for one attempt to reach the server
REACHABLE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""The address for clients of a server that listens on all interfaces."""
SHARED_SERVICES: Final = {"store": "PostgreSQL", "bus": "Redis"}
"""The services that the nodes of a cluster share, by the option that names one."""
MENU: Final = "  s  start what has stopped, or one more client\n  x  close all\n  q  quit"
SHARED: Final = "They share a temporary PostgreSQL and Redis, which stop with them:\n  --store '{store}' --bus '{bus}'"
IN_IRC: Final = "In an IRC client: {host}, port {port}, without TLS; such as irssi -c {host} -p {port}"
CANNOT_LISTEN: Final = "Cannot listen on port"
"""The beginning of a server's last line on stderr if its port is taken."""
ANOTHER_PORT: Final = " Another one: MESSENGER_PORT={} make run (or launcher.py --port)."
WEB_HOST: Final = "127.0.0.1"
"""Where the page is served: without a certificate, to this machine only."""
WEB_OFFSET: Final = 3
"""From the port of a server to that of its page, unless ports of other servers are in between: 7777 and 7780."""
IRC_OFFSET: Final = 6667 - DEFAULT_PORT
"""From the port of a server to that for IRC clients."""
TRIED_PORTS: Final = 10
"""How many ports are tried for a page, or for IRC, if other programs have the first ones."""
MAX_PORT: Final = 65535
GMESSENGER: Final = [sys.executable, "-m", "gmessenger"]


class Launcher:
    """Starts and ends one server, or a cluster that shares a store, and clients, in windows of one kind."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._tty = all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
        self._kind = choose(options.window, os.environ, sys.platform, self._tty)
        self._windows = Windows(self._kind)
        self._programs = ProcessSupervisor(self._windows)
        self._names = [f"test{number + 1}" for number in range(options.clients)]
        self._host = REACHABLE.get(options.ip, options.ip)
        single = options.nodes == 1
        ports = range(options.port, options.port + options.nodes)
        self._servers = {"server" if single else f"server{port - options.port + 1}": port for port in ports}
        self._web_ports: dict[str, int | None] = {}  # of servers that were started
        self._irc_ports: dict[str, int | None] = {}
        self._was_page_opened = False
        urls = {"store": options.store, "bus": options.bus}
        self._urls = {key: url for key, url in urls.items() if url}
        self._own_services = [] if single else [name for key, name in SHARED_SERVICES.items() if key not in self._urls]

    def run(self) -> None:
        """Start everything, then serve the menu; without windows and terminal, until the client ends."""
        if self._kind == "session":
            return self._run_in_session()
        self.start()
        return self.menu() if self._kind != "none" or self._tty or not self._names else None

    def menu(self) -> None:
        """Read commands (s, x, q) until q or the end of the input."""
        actions = {"s": self.start, "x": self.close}
        print(MENU)
        while (line := self._read_command()) and line.strip() != "q":
            with suppress(SystemExit):  # its message was printed
                actions.get(line.strip(), lambda: print(MENU))()

    def start(self) -> None:
        """Start what is not running; if everything is, one more client. Print what runs and how to see it."""
        if all(map(self._programs.is_running, [*self._servers, *self._names])) and len(self._names) + 1 in CLIENTS:
            self._names.append(f"test{len(self._names) + 1}")
        self._start_services()
        for name in self._servers:
            self._start_server(name)
        missing = [name for name in self._names if not self._programs.is_running(name)]
        for name in missing if self._kind != "none" else ():
            self._start(name, self._client_command(name))
        self._print_overview()
        self._open_page()
        self._windows.show_client(missing, self._names)
        if missing and self._kind == "none":  # a client on this terminal: block until it ends
            code, _ = wait_for_exit(self._start(missing[0], self._client_command(missing[0])))
            if code:
                raise SystemExit(code)

    def stop(self) -> None:
        """End everything that was started; block until it has ended."""
        self._programs.close()

    def close(self) -> None:
        """End everything that was started, and print that."""
        self.stop()
        with suppress(OSError):  # the terminal went away
            print("All closed.", flush=True)

    def _run_in_session(self) -> None:
        """Turn this terminal into a tmux session, in which another launcher runs in the window `menu`."""
        options = [f"--{key}={value}" for key, value in {**vars(self._options), "window": "tmux"}.items()]
        code, last_line = wait_for_exit(self._start("menu", [*LAUNCHER, *options]))
        self.stop()  # tmux gives the terminal back
        if code:
            print(safe(last_line), file=sys.stderr)
            raise SystemExit(code)

    def _read_command(self) -> str:
        self._programs.reap()
        print("> " if self._tty else "", end="", flush=True)
        with suppress(OSError):  # the terminal is gone
            return sys.stdin.readline() if sys.stdin else ""
        return ""

    def _print_overview(self) -> None:
        servers = [f"{name} on port {port} of {self._options.ip}" for name, port in self._servers.items()]
        running = [*servers, *filter(self._programs.is_running, self._names)]
        more = "\n  ".join(safe(shlex.join(self._client_command(name))) for name in self._names[1:] or ["test2"])
        print(f"Running: {safe(', '.join(running))}.", self._windows.instructions(more), sep="\n", flush=True)
        if urls := self._page_urls():
            print(f"In a browser: {' '.join(urls)}", flush=True)
        if (irc_port := next(filter(None, self._irc_ports.values()), None)) is not None:
            print(IN_IRC.format(host=safe(self._host), port=irc_port), flush=True)
        if self._own_services:
            print(SHARED.format(**{key: safe(url) for key, url in self._urls.items()}), flush=True)

    def _find_web_port(self, name: str) -> int | None:
        """Return a free port for a server's page; None where there is none."""
        first = self._servers[name] + max(WEB_OFFSET, len(self._servers))
        return self._find_free_port(first, WEB_HOST)

    def _find_irc_port(self, name: str) -> int | None:
        """Return a free port for IRC clients of a server; None where there is none, or none for IRC over TLS.

        A server whose configuration has a certificate takes that one as well, and would not start without it.
        """
        if not is_free(DEFAULT_IRC_TLS_PORT, self._options.ip):
            return None
        return self._find_free_port(self._servers[name] + IRC_OFFSET, self._options.ip)

    def _find_free_port(self, first: int, host: str) -> int | None:
        ports = range(first, MAX_PORT + 1, len(self._servers))  # those in between are of the other servers
        return next((port for port in ports[:TRIED_PORTS] if port > 0 and is_free(port, host)), None)

    def _page_urls(self) -> list[str]:
        ports = map(self._web_ports.get, self._servers)
        return [f"http://{WEB_HOST}:{port}/" for port in ports if port is not None]

    def _open_page(self) -> None:
        """Show the page in a browser, at the first start and only on a desktop."""
        urls = self._page_urls()
        if urls and self._tty and has_desktop(os.environ, sys.platform) and not self._was_page_opened:
            self._was_page_opened = True
            with suppress(OSError, webbrowser.Error):
                webbrowser.open(urls[0])

    def _start_services(self) -> None:
        """Start the services that the nodes share and no option names, in a temporary directory."""
        if not self._own_services or self._programs.is_running("services"):
            return
        self.stop()  # servers may still use services that have ended
        self._urls |= self._programs.start_services(self._own_services)

    def _start_server(self, name: str) -> None:
        """Start a server and block until it answers. Raises SystemExit if it ends, with its last line."""
        if self._programs.is_running(name):
            return
        port_taken = self._is_reachable(name)  # by another program, whose answer would prove nothing
        connection = self._start(name, self._server_command(name))

        def is_decided() -> bool:
            return not self._programs.is_running(name) or (not port_taken and self._is_reachable(name))

        poll_until(is_decided, START_TIMEOUT, POLL_INTERVAL)
        if not self._programs.is_running(name):
            code, last_line = wait_for_exit(connection)
            hint = ANOTHER_PORT.format(self._options.port + 1) if CANNOT_LISTEN in last_line else ""
            fail(code or 1, (last_line or f"the server ended with code {code}") + hint)
        if not self._is_reachable(name):
            fail(69, f"the server does not answer on port {self._servers[name]} after {START_TIMEOUT:.0f} s")

    def _is_reachable(self, name: str) -> bool:
        """Return whether a server answers: it listens before its store is open, so a connection proves little."""
        address = self._host, self._servers[name]
        with suppress(OSError), socket.create_connection(address, REACH_TIMEOUT) as connection:
            connection.sendall(b'{"action":"quit"}\n')  # the server closes the connection, once its loop runs
            connection.recv(1)
            return True
        return False

    def _start(self, name: str, argv: list[str]) -> socket.socket:
        return self._programs.start(name, argv, stay=self._kind not in ("none", "session"))

    def _client_command(self, name: str) -> list[str]:
        number = int(name.removeprefix("test")) - 1  # clients are spread over the servers
        port = self._options.port + number % len(self._servers)
        return [*GMESSENGER, "client", self._host, str(port), "--name", name, *own_config("client")]

    def _server_command(self, name: str) -> list[str]:
        urls = [word for key, url in self._urls.items() for word in (f"--{key}", url)]
        log = ["--log-file", "-"] if self._kind != "none" else []  # its window shows its log
        address = ["--ip", self._options.ip, "--port", str(self._servers[name])]
        web_port = self._web_ports[name] = self._find_web_port(name)
        web = ["--web", f"{WEB_HOST}:{web_port}"] if web_port is not None else []
        irc_port = self._irc_ports[name] = self._find_irc_port(name)
        irc = ["--irc-port", str(irc_port)] if irc_port is not None else []
        return [*GMESSENGER, "server", *address, *own_config("server"), *web, *irc, *urls, *log]


def is_free(port: int, host: str) -> bool:
    """Return whether a server can listen on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError), socket.create_server((host, port), family=family):
        return True
    return False


def own_config(section: str) -> list[str]:
    """Return the option that names the checkout's config file: the user's own is for another server."""
    config = TOP / "config" / f"{section}.ini" if TOP is not None else None
    return ["-c", str(config)] if config is not None and config.exists() else []


def port(text: str) -> int:
    """Parse a port number. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535 (MESSENGER_PORT sets it too)")
    return int(text)


class LauncherParser(argparse.ArgumentParser):
    """A parser whose messages are safe to print: argparse quotes arguments as they are."""

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))


def read_options() -> argparse.Namespace:
    """Parse the command line. Raises SystemExit."""
    parser = LauncherParser(prog="launcher.py", description=ABOUT)
    parser.add_argument("--clients", type=int, choices=CLIENTS, default=2, metavar="N", help="0 to 20; default: 2")
    parser.add_argument("--nodes", type=int, choices=NODES, default=1, metavar="N", help="servers, 1 to 9; default: 1")
    parser.add_argument(
        "--store", default="", metavar="URL", help="the store that the servers share; default: a temporary one"
    )
    parser.add_argument(
        "--bus", default="", metavar="URL", help="the bus between the servers; default: a temporary one"
    )
    parser.add_argument(
        "--port",
        type=port,
        default=os.environ.get("MESSENGER_PORT") or str(DEFAULT_PORT),
        help=f"default: {DEFAULT_PORT}; of further servers, the next ones",
    )
    parser.add_argument("--ip", default="127.0.0.1", help="where the server listens; default: this machine only")
    windows = ("auto", "console", "tmux", "terminal", "none")
    parser.add_argument("--window", choices=windows, default="auto", help="default: the first that works")
    return parser.parse_args()


def main() -> None:
    """Run until `q` or a signal; end all programs before it returns or raises SystemExit."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    launcher = Launcher(read_options())
    try:
        launcher.run()
    except KeyboardInterrupt:
        pass  # one of SIGNALS, which quit as `q` does
    finally:
        for number in SIGNALS:  # a second signal must not interrupt the end, which is bounded
            signal.signal(number, signal.SIG_IGN)
        launcher.stop()
    launcher.close()


def run() -> None:
    """Run the launcher, or the helper that the first argument names."""
    if sys.argv[1:2] == [LEASH]:
        run_program(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == [SERVICES]:
        run_services(int(sys.argv[2]), sys.argv[3:])
    else:
        main()
