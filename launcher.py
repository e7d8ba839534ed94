"""One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`.

With `--nodes 3` it is a cluster of three servers, and a PostgreSQL and a Redis of their own, where none are named.

Whatever is started runs on a *leash*: a helper process (this file again, `--leash`) that holds a connection to the
launcher and ends its program when that connection closes. So nothing outlives the launcher, not even one killed with
SIGKILL; no process id is ever guessed at; and every kind of window is ended in the same way.
"""

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from select import select
from shutil import which
from threading import Thread
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
CLIENTS = range(21)  # how many there may be
NODES = range(1, 10)
START_TIMEOUT = 20.0  # from the start of a window, or of the server, until it answers
GRACE = 15.0  # from SIGTERM to SIGKILL; the server takes up to 10 s to deliver what it accepted
END_TIMEOUT = GRACE + 5  # until a helper has let go, its program being gone
SERVICES_TIMEOUT = 60.0  # from the start of PostgreSQL and Redis until both answer
REACH_TIMEOUT = 1.0  # one attempt to connect to the server
LOOK_AGAIN = 0.05
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client finds a server listening there
UNSEEN: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {"start_new_session": True}
SERVICES = {"store": "PostgreSQL", "bus": "Redis"}  # what nodes share
CONSOLE: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NEW_CONSOLE", 0)}
MENU = "  s  start what is not running, or one more client\n  x  close all\n  q  quit"
SOCKETS = Path(os.environ.get("TMUX_TMPDIR") or "/tmp", f"tmux-{getattr(os, 'getuid', int)()}")  # noqa: S108  tmux's
GMESSENGER = [sys.executable, "-m", "gmessenger"]
# Each terminal emulator, and what it wants before the command it is to run; the first one found is used.
TERMINALS = {
    "x-terminal-emulator": "-T {name} -e",
    "gnome-terminal": "--title {name} --",
    "konsole": "-p tabtitle={name} -e",
    "xfce4-terminal": "--title {name} -x",
    "kitty": "--title {name}",
    "alacritty": "--title {name} -e",
    "foot": "--title {name}",
    "wezterm": "start --",
    "xterm": "-T {name} -e",
}
# A tmux session that takes this terminal over: window names can be clicked, and leaving it ends everything in it.
SESSION = shlex.split("""start-server ; set -g destroy-unattached on ; set -g mouse on ; set -g status-left ''
; set -g status-right-length 60 ; set -g status-right ' C-b n (or click): next   C-b d: end all ' ; new-session -n""")
SESSION_NAME = "gmessenger-"  # how the names of the launcher's own tmux servers begin
HOWTO = {
    "inside": "Each has a tmux window: Ctrl-b n (or your own prefix, then n) shows the next one, Ctrl-b w a list.",
    "tmux": "Each has a tmux window; see them from another terminal with: tmux -u -L {socket} attach",
    "none": "The server is in the background. For more clients, each in another terminal:\n  {more}",
}
SHARED = "They share a PostgreSQL and a Redis of their own, which end with them:\n  --store '{store}' --bus '{bus}'"
LACKING = """{} cannot be had here: apt-get install postgresql redis-server (on Debian), or say with --store and --bus \
where there are some"""
CANNOT_LISTEN = "Cannot listen on port"  # how a server says so
ANOTHER_PORT = " Another one: MESSENGER_PORT={} make run (or launcher.py --port)."
Find = Callable[[str], str | None]  # shutil.which


def safe(text: str) -> str:
    """The text on one line, made safe for a terminal as the programs do it; without them, in escapes."""
    try:
        from gmessenger.terminal_text import visible
    except ImportError:  # it is not installed: the programs will say so
        return text if text.isprintable() else ascii(text)[1:-1]
    return visible(text)


def fail(code: int, sentence: str) -> NoReturn:
    print(f"launcher: {safe(sentence)}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def emulator(environ: Mapping[str, str], find: Find = which) -> str:
    """The terminal emulator to use; empty if there is none, or no desktop to show it on."""
    desktop = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return next((name for name in TERMINALS if desktop and find(name)), "")


def choose(wanted: str, environ: Mapping[str, str], platform: str, tty: bool, find: Find = which) -> str:
    """The kind of window to use here; `tmux` is told apart: `inside` it, a `session` on this terminal, or unseen."""
    inside = "TMUX" in environ
    works = {  # in order of preference
        "console": platform == "win32",
        "tmux": find("tmux") and (inside or not tty or environ.get("TERM", "dumb") != "dumb"),
        "terminal": emulator(environ, find),
        "none": True,
    }
    kind = next((kind for kind, here in works.items() if here and wanted in (kind, "auto")), "")
    if not kind:
        fail(2, f"--window {wanted} does not work here; --window auto takes what does")
    return kind if kind != "tmux" else "inside" if inside else "session" if tty else "tmux"


def own_config(section: str) -> list[str]:
    """The checkout's config file, and not the person's own: that one is about another server."""
    config = ROOT / "config" / f"{section}.ini"
    return ["-c", str(config)] if config.exists() else []


def hang_up(line: socket.socket, how: int) -> None:
    with suppress(OSError):  # the other side was faster
        line.shutdown(how)


def end_with(line: socket.socket, child: "subprocess.Popen[bytes]", grace: float = GRACE) -> None:
    """When the line ends, end the child: asked with SIGTERM and, after `grace` seconds, not asked."""
    with suppress(OSError):
        line.recv(1)  # nothing else ever comes
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()


def is_server(name: str) -> bool:
    return name.startswith("server")


def leash(port: int, name: str) -> None:
    """Run what the launcher orders, here, until it ends or the launcher hangs up, dies or is killed."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line:
        for number in SIGNALS:  # all go through the line, so that nothing is torn; but Ctrl-C is a client's own
            signal.signal(number, lambda *_: hang_up(line, socket.SHUT_RD))
        if not is_server(name):
            signal.signal(signal.SIGINT, lambda *_: None)
        order = line.makefile().readline()
        if order:
            obey(line, apart=is_server(name), **json.loads(order))


def obey(line: socket.socket, argv: list[str], apart: bool, stay: bool) -> None:
    """Run `argv` and tell the launcher how it ended. `stay`: after an error the window waits until it was read.

    `apart`: it gets no signal from the terminal beside the one from here; at a second one a server drops everything.
    """
    child = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=apart)
    Thread(target=end_with, args=(line, child), daemon=True).start()
    last = b""
    for text in child.stderr or ():
        last = text.strip() or last
        with suppress(OSError):  # the window is gone already
            os.write(2, safe(text.rstrip(b"\r\n").decode(errors="replace")).encode() + b"\n")
    code = child.wait()
    if select([line], [], [], 0)[0]:  # ended as asked, however that looked
        code, last = 0, b""
    with suppress(OSError):
        line.sendall(json.dumps([code, last.decode(errors="replace")]).encode() + b"\n")
        if stay and code:
            print(f"\n[ended with code {code}; Enter closes this window] ", end="", flush=True)
            select([line, sys.stdin], [], [])


def services(port: int, wanted: list[str]) -> None:
    """Run what the nodes of a cluster share, here, until the launcher hangs up, dies or is killed; tell it the URLs."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line, ExitStack() as running:
        for number in SIGNALS:
            signal.signal(number, lambda *_: hang_up(line, socket.SHUT_RD))
        try:
            told = started(running, wanted)
        except (OSError, RuntimeError) as error:
            told = {"error": " ".join(str(error).split())}
        line.sendall(json.dumps(told).encode() + b"\n")
        line.recv(1)  # nothing ever comes


def started(running: ExitStack, wanted: list[str]) -> dict[str, str]:
    """Start those of PostgreSQL and Redis that are wanted, until `running` is closed; their URLs."""
    from tests.services import Postgres, Redis, missing  # only a cluster needs it, and not every system has it

    lacking = [service for service in missing() if service in wanted]
    if lacking:
        return {"error": LACKING.format(" and ".join(lacking))}
    told = {}
    if "PostgreSQL" in wanted:
        postgres = running.enter_context(Postgres())
        postgres.start()
        told["store"] = postgres.url()
    if "Redis" in wanted:
        redis = running.enter_context(Redis(port=None))
        redis.start()
        told["bus"] = redis.url
    return told


def outcome(line: socket.socket) -> tuple[int, str]:
    """Wait for the program's own end: its exit code (1 if a signal ended it) and its last line on stderr."""
    try:
        code, last = json.loads(line.makefile().readline())
    except (OSError, ValueError):  # the helper itself was killed
        return 1, ""
    return code if code >= 0 else 1, last


class Launcher:
    """Starts and ends one server, or some that share a store, and clients, in one kind of window."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.tty = options, all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
        self.kind = choose(options.window, os.environ, sys.platform, self.tty)
        self.names = [f"test{number + 1}" for number in range(options.clients)]
        self.host = EVERYWHERE.get(options.ip, options.ip)
        alone = options.nodes == 1
        ports = range(options.port, options.port + options.nodes)
        self.servers = {"server" if alone else f"server{port - options.port + 1}": port for port in ports}
        given = {"store": options.store, "bus": options.bus}
        self.urls = {key: url for key, url in given.items() if url}
        self.lacking = [] if alone else [name for key, name in SERVICES.items() if key not in self.urls]
        self.socket = f"{SESSION_NAME}{os.getpid()}"
        self.tmux = ["tmux", "-u", "-f", os.devnull, "-L", self.socket]  # a tmux.conf may do anything, even resume
        self.held: dict[str, socket.socket] = {}  # losing one of these ends its program
        self.spawned: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Start everything and do as the menu is told; with neither windows nor a tty, until the client leaves."""
        if self.kind == "session":
            return self.take_over()
        self.start()
        return self.menu() if self.kind != "none" or self.tty or not self.names else None

    def take_over(self) -> None:
        """Turn this terminal into a tmux session, in which this launcher runs again as the window `menu`."""
        again = [f"--{key}={value}" for key, value in {**vars(self.options), "window": "tmux"}.items()]
        code, last = outcome(self.launch("menu", [sys.executable, __file__, *again]))
        self.close()  # tmux gives the terminal back
        if code:
            print(safe(last), file=sys.stderr)
            raise SystemExit(code)

    def menu(self) -> None:
        """s, x, q; the end of the input is q."""
        actions = {"s": self.start, "x": self.close_all}
        print(MENU)
        while (line := self.ask()) and line.strip() != "q":
            with suppress(SystemExit):  # it was said
                actions.get(line.strip(), lambda: print(MENU))()

    def close_all(self) -> None:
        self.close()
        with suppress(OSError):  # the terminal went away
            print("All closed.", flush=True)

    def ask(self) -> str:
        self.spawned = [child for child in self.spawned if child.poll() is None]  # no zombie while people chat
        print("> " if self.tty else "", end="", flush=True)
        with suppress(OSError):  # the terminal went away
            return sys.stdin.readline() if sys.stdin else ""
        return ""

    def start(self) -> None:
        """Start what is not running; when everything is, one more client. Say what runs and how to get there."""
        if all(map(self.runs, [*self.servers, *self.names])) and len(self.names) + 1 in CLIENTS:
            self.names.append(f"test{len(self.names) + 1}")
        self.start_services()
        for name in self.servers:
            self.start_server(name)
        missing = [name for name in self.names if not self.runs(name)]
        for name in missing if self.kind != "none" else ():
            self.launch(name, self.client(name))
        where = [f"{name} on port {port} of {self.options.ip}" for name, port in self.servers.items()]
        running = [*where, *filter(self.runs, self.names)]
        howto = HOWTO.get(self.kind, "Each has a window of its own.")
        more = "\n  ".join(safe(shlex.join(self.client(name))) for name in self.names[1:] or ["test2"])
        print(
            f"Running: {safe(', '.join(running))}.", howto.format(socket=self.socket, more=more), sep="\n", flush=True
        )
        if self.lacking:
            print(SHARED.format(**{key: safe(url) for key, url in self.urls.items()}), flush=True)
        self.show_client(missing)
        if missing and self.kind == "none":  # a client on this very terminal, until it leaves
            code, _ = outcome(self.launch(missing[0], self.client(missing[0])))
            if code:
                raise SystemExit(code)

    def show_client(self, started: list[str]) -> None:
        """In a session that is the launcher's own, which shows the menu so far: turn to the first client, once."""
        session = Path(os.environ.get("TMUX", "").partition(",")[0]).name
        if self.kind == "inside" and session.startswith(SESSION_NAME) and started == self.names:
            subprocess.run(["tmux", "select-window", "-t", f":{started[0]}"], check=False, **UNSEEN)

    def start_services(self) -> None:
        """What the nodes share, unless it was named: in a temporary directory, and gone when it is let go."""
        if not self.lacking or self.runs("services"):
            return
        self.close()  # whoever used those that have ended
        with socket.create_server(("127.0.0.1", 0)) as listener:
            helper = [sys.executable, __file__, "--services", str(listener.getsockname()[1]), *self.lacking]
            self.spawned.append(subprocess.Popen(helper, cwd=ROOT, **UNSEEN))
            line = self.held["services"] = self.answer(listener, "services")
        line.settimeout(SERVICES_TIMEOUT)
        try:
            told = json.loads(line.makefile().readline())
        except (OSError, ValueError):
            told = {"error": f"{' and '.join(self.lacking)} did not start"}
        line.settimeout(None)
        if "error" in told:
            fail(69, told["error"])
        self.urls |= told

    def start_server(self, name: str) -> None:
        """Return when it accepts connections; when it ends instead, end with its own last line and exit code."""
        if self.runs(name):
            return
        taken = self.reached(name)  # by another program: no sign that ours is ready
        server = self.launch(name, self.server(name))
        deadline = time.monotonic() + START_TIMEOUT
        while self.runs(name) and (taken or not self.reached(name)) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
        if not self.runs(name):
            code, last = outcome(server)
            free = ANOTHER_PORT.format(self.options.port + 1) if CANNOT_LISTEN in last else ""
            fail(code or 1, (last or f"the server ended with code {code}") + free)
        if not self.reached(name):
            fail(69, f"the server does not answer on port {self.servers[name]} after {START_TIMEOUT:.0f} s")

    def runs(self, name: str) -> bool:
        return name in self.held and not select([self.held[name]], [], [], 0)[0]

    def reached(self, name: str) -> bool:
        """Whether somebody answers there: a server listens before it knows whether it can open its store."""
        with suppress(OSError), socket.create_connection((self.host, self.servers[name]), REACH_TIMEOUT) as line:
            line.sendall(b'{"action":"quit"}\n')  # answered by closing, which takes a loop that turns
            line.recv(1)
            return True
        return False

    def client(self, name: str) -> list[str]:
        number = int(name.removeprefix("test")) - 1  # one after the other to the next server
        port = self.options.port + number % len(self.servers)
        return [*GMESSENGER, "client", self.host, str(port), "--name", name, *own_config("client")]

    def server(self, name: str) -> list[str]:
        own = own_config("server")
        own += [word for key, url in self.urls.items() for word in (f"--{key}", url)]
        own += ["--log-file", "-"] if self.kind != "none" else []  # its window shows its log
        return [*GMESSENGER, "server", "--ip", self.options.ip, "--port", str(self.servers[name]), *own]

    def launch(self, name: str, argv: list[str]) -> socket.socket:
        """Run `argv` on a leash in a new window."""
        with socket.create_server(("127.0.0.1", 0)) as listener:  # closed in any case: a late helper gives up then
            helper = [sys.executable, __file__, "--leash", str(listener.getsockname()[1]), name]
            before, how = self.window(name)
            self.spawned.append(subprocess.Popen([*before, *helper], cwd=ROOT, **how))
            line = self.held[name] = self.answer(listener, name)
        order = {"argv": argv, "stay": self.kind not in ("none", "session")}
        line.sendall(json.dumps(order).encode() + b"\n")
        return line

    def window(self, name: str) -> tuple[list[str], dict[str, Any]]:
        """What opens a window for `name`: the words before its command, and how to start them."""
        new = "new-window" if any(self.runs(other) for other in self.held if other != "services") else "new-session"
        settings = [f"-e{key}={value}" for key, value in os.environ.items() if key.startswith("MESSENGER_")]
        terminal = emulator(os.environ)
        before = {
            "session": [*self.tmux, *SESSION, name],
            "inside": ["tmux", "new-window", *settings, "-d", "-n", name],
            "tmux": [*self.tmux, new, "-d", "-n", name],
            "terminal": [terminal, *TERMINALS.get(terminal, "").format(name=name).split()],
        }
        how = {"session": {}, "console": CONSOLE, "none": UNSEEN if is_server(name) else {}}
        return before.get(self.kind, []), how.get(self.kind, UNSEEN)

    def answer(self, listener: socket.socket, name: str) -> socket.socket:
        """The connection of the helper in the window just opened."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and not self.spawned[-1].poll():
            if select([listener], [], [], LOOK_AGAIN)[0]:
                return listener.accept()[0]
        fail(1, f"no window opened for {name} ({self.kind}); --window none does without")

    def close(self) -> None:
        """End all that was started; it is gone when this returns."""
        for line in [line for name, line in self.held.items() if name != "services"]:
            hang_up(line, socket.SHUT_WR)
        while self.held:  # what others need, which was started first, comes last
            with suppress(OSError), self.held.popitem()[1] as line:
                hang_up(line, socket.SHUT_WR)
                line.settimeout(END_TIMEOUT)
                while line.recv(4096):
                    pass
        if self.kind in ("tmux", "session"):
            subprocess.run([*self.tmux, "kill-server"], check=False, **UNSEEN)
            SOCKETS.joinpath(self.socket).unlink(missing_ok=True)  # tmux leaves it
        while self.spawned:
            with suppress(subprocess.TimeoutExpired):
                self.spawned.pop().wait(END_TIMEOUT)


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535 (MESSENGER_PORT sets it too)")
    return int(text)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        super().error(safe(message))


def read_options() -> argparse.Namespace:
    parser = Parser(prog="launcher.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, choices=CLIENTS, default=2, metavar="N", help="0 to 20; default: 2")
    parser.add_argument("--nodes", type=int, choices=NODES, default=1, metavar="N", help="servers, 1 to 9; default: 1")
    parser.add_argument("--store", default="", metavar="URL", help="where they remember; default: one of their own")
    parser.add_argument("--bus", default="", metavar="URL", help="how they wake each other; default: one of their own")
    parser.add_argument(
        "--port",
        type=port,
        default=os.environ.get("MESSENGER_PORT") or "7777",
        help="default: 7777; of further servers, the next ones",
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
        launcher.close()
    launcher.close_all()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--leash"]:
        leash(int(sys.argv[2]), sys.argv[3])
    elif sys.argv[1:2] == ["--services"]:
        services(int(sys.argv[2]), sys.argv[3:])
    else:
        main()
