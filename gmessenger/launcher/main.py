"""The launcher's command line and menu: one server, or a cluster of them, and clients."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Final, NoReturn

from gmessenger.launcher.output import fail, safe
from gmessenger.launcher.supervise import (
    LAUNCHER,
    LEASH,
    POLL_INTERVAL,
    SERVICES,
    SIGNALS,
    START_TIMEOUT,
    TOP,
    Supervisor,
    outcome,
    run_program,
    run_services,
)
from gmessenger.launcher.windows import Windows, choose
from gmessenger.paths import DEFAULT_PORT

ABOUT: Final = (
    "One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`."
)
CLIENTS: Final = range(21)  # how many there may be
NODES: Final = range(1, 10)
REACH_TIMEOUT: Final = 1.0  # seconds for one attempt to connect to the server
REACHABLE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a client finds a server that listens everywhere."""
SHARED_SERVICES: Final = {"store": "PostgreSQL", "bus": "Redis"}
"""What nodes share, by the options that name it."""
MENU: Final = "  s  start what has stopped, or one more client\n  x  close all\n  q  quit"
SHARED: Final = "They share a temporary PostgreSQL and Redis, which stop with them:\n  --store '{store}' --bus '{bus}'"
CANNOT_LISTEN: Final = "Cannot listen on port"
"""How a server's last line begins where its port is taken."""
ANOTHER_PORT: Final = " Another one: MESSENGER_PORT={} make run (or launcher.py --port)."
GMESSENGER: Final = [sys.executable, "-m", "gmessenger"]


class Launcher:
    """Starts and ends one server, or some that share a store, and clients, in one kind of window."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._tty = all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
        self._kind = choose(options.window, os.environ, sys.platform, self._tty)
        self._windows = Windows(self._kind)
        self._programs = Supervisor(self._windows)
        self._names = [f"test{number + 1}" for number in range(options.clients)]
        self._host = REACHABLE.get(options.ip, options.ip)
        alone = options.nodes == 1
        ports = range(options.port, options.port + options.nodes)
        self._servers = {"server" if alone else f"server{port - options.port + 1}": port for port in ports}
        given = {"store": options.store, "bus": options.bus}
        self._urls = {key: url for key, url in given.items() if url}
        self._lacking = [] if alone else [name for key, name in SHARED_SERVICES.items() if key not in self._urls]

    def run(self) -> None:
        """Start everything and do as the menu is told; with neither windows nor a tty, until the client leaves."""
        if self._kind == "session":
            return self._take_over()
        self.start()
        return self.menu() if self._kind != "none" or self._tty or not self._names else None

    def menu(self) -> None:
        """Obey s, x and q; the end of the input is q."""
        actions = {"s": self.start, "x": self.close}
        print(MENU)
        while (line := self._ask()) and line.strip() != "q":
            with suppress(SystemExit):  # it was said
                actions.get(line.strip(), lambda: print(MENU))()

    def start(self) -> None:
        """Start what is not running; when everything is, one more client. Say what runs and how to get there."""
        if all(map(self._programs.runs, [*self._servers, *self._names])) and len(self._names) + 1 in CLIENTS:
            self._names.append(f"test{len(self._names) + 1}")
        self._start_services()
        for name in self._servers:
            self._start_server(name)
        missing = [name for name in self._names if not self._programs.runs(name)]
        for name in missing if self._kind != "none" else ():
            self._start(name, self._client(name))
        self._say_what_runs()
        self._windows.show_client(missing, self._names)
        if missing and self._kind == "none":  # a client on this very terminal, until it leaves
            code, _ = outcome(self._start(missing[0], self._client(missing[0])))
            if code:
                raise SystemExit(code)

    def stop(self) -> None:
        """End all that was started; it is gone when this returns."""
        self._programs.close()

    def close(self) -> None:
        """End all that was started, and say so."""
        self.stop()
        with suppress(OSError):  # the terminal went away
            print("All closed.", flush=True)

    def _take_over(self) -> None:
        """Turn this terminal into a tmux session, in which this launcher runs again as the window `menu`."""
        again = [f"--{key}={value}" for key, value in {**vars(self._options), "window": "tmux"}.items()]
        code, last = outcome(self._start("menu", [*LAUNCHER, *again]))
        self.stop()  # tmux gives the terminal back
        if code:
            print(safe(last), file=sys.stderr)
            raise SystemExit(code)

    def _ask(self) -> str:
        self._programs.reap()
        print("> " if self._tty else "", end="", flush=True)
        with suppress(OSError):  # the terminal went away
            return sys.stdin.readline() if sys.stdin else ""
        return ""

    def _say_what_runs(self) -> None:
        where = [f"{name} on port {port} of {self._options.ip}" for name, port in self._servers.items()]
        running = [*where, *filter(self._programs.runs, self._names)]
        more = "\n  ".join(safe(shlex.join(self._client(name))) for name in self._names[1:] or ["test2"])
        print(f"Running: {safe(', '.join(running))}.", self._windows.instructions(more), sep="\n", flush=True)
        if self._lacking:
            print(SHARED.format(**{key: safe(url) for key, url in self._urls.items()}), flush=True)

    def _start_services(self) -> None:
        """What the nodes share, unless it was named: in a temporary directory, and gone when it is let go."""
        if not self._lacking or self._programs.runs("services"):
            return
        self.stop()  # whatever used those that have ended
        self._urls |= self._programs.start_services(self._lacking)

    def _start_server(self, name: str) -> None:
        """Return when it accepts connections; when it ends instead, end with its own last line and exit code."""
        if self._programs.runs(name):
            return
        taken = self._reached(name)  # by another program: no sign that ours is ready
        server = self._start(name, self._server(name))
        deadline = time.monotonic() + START_TIMEOUT
        while self._programs.runs(name) and (taken or not self._reached(name)) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)
        if not self._programs.runs(name):
            code, last = outcome(server)
            free = ANOTHER_PORT.format(self._options.port + 1) if CANNOT_LISTEN in last else ""
            fail(code or 1, (last or f"the server ended with code {code}") + free)
        if not self._reached(name):
            fail(69, f"the server does not answer on port {self._servers[name]} after {START_TIMEOUT:.0f} s")

    def _reached(self, name: str) -> bool:
        """Whether a server answers there: it listens before it knows whether it can open its store."""
        with suppress(OSError), socket.create_connection((self._host, self._servers[name]), REACH_TIMEOUT) as line:
            line.sendall(b'{"action":"quit"}\n')  # answered by closing, which takes a loop that turns
            line.recv(1)
            return True
        return False

    def _start(self, name: str, argv: list[str]) -> socket.socket:
        return self._programs.start(name, argv, stay=self._kind not in ("none", "session"))

    def _client(self, name: str) -> list[str]:
        number = int(name.removeprefix("test")) - 1  # one after the other to the next server
        port = self._options.port + number % len(self._servers)
        return [*GMESSENGER, "client", self._host, str(port), "--name", name, *own_config("client")]

    def _server(self, name: str) -> list[str]:
        own = own_config("server")
        own += [word for key, url in self._urls.items() for word in (f"--{key}", url)]
        own += ["--log-file", "-"] if self._kind != "none" else []  # its window shows its log
        return [*GMESSENGER, "server", "--ip", self._options.ip, "--port", str(self._servers[name]), *own]


def own_config(section: str) -> list[str]:
    """Name the checkout's config file, and not the user's own: that one is about another server."""
    config = TOP / "config" / f"{section}.ini" if TOP is not None else None
    return ["-c", str(config)] if config is not None and config.exists() else []


def port(text: str) -> int:
    """Read a port."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535 (MESSENGER_PORT sets it too)")
    return int(text)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in characters that are safe to print."""

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))


def read_options() -> argparse.Namespace:
    """Read the command line. Raises SystemExit."""
    parser = Parser(prog="launcher.py", description=ABOUT)
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
    """Run until told to quit. Whatever was started is gone when this returns or raises SystemExit."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    launcher = Launcher(read_options())
    try:
        launcher.run()
    except KeyboardInterrupt:
        pass  # one of SIGNALS: a way to quit like any other
    finally:
        for number in SIGNALS:  # one is enough: what follows is bounded
            signal.signal(number, signal.SIG_IGN)
        launcher.stop()
    launcher.close()


def run() -> None:
    """Be the launcher, or one of its helpers where the first argument says so."""
    if sys.argv[1:2] == [LEASH]:
        run_program(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == [SERVICES]:
        run_services(int(sys.argv[2]), sys.argv[3:])
    else:
        main()
