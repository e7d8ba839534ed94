"""One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`.

Whatever is started runs on a *leash*: a helper process (this file again, `--leash`) that holds a connection to the
launcher and ends its program when that connection closes. So nothing outlives the launcher, not even one killed with
SIGKILL; no process id is ever guessed at; and every kind of window is ended in the same way.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
MOST_CLIENTS = 20
START_TIMEOUT = 20.0  # from the start of a window, or of the server, until it answers
GRACE = 10.0  # from SIGTERM to SIGKILL
END_TIMEOUT = GRACE + 5  # until a leash has let go: its program is gone
LOOK_AGAIN = 0.05
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client finds a server listening there
MENU = "  s  start what is not running, else one more client\n  x  close all\n  q  quit"

# What each terminal emulator wants before the command it is to run; the first one found is used.
TERMINALS = {
    "x-terminal-emulator": ("-T", "{name}", "-e"),
    "gnome-terminal": ("--title", "{name}", "--"),
    "konsole": ("-p", "tabtitle={name}", "-e"),
    "xfce4-terminal": ("--title", "{name}", "-x"),
    "kitty": ("--title", "{name}"),
    "alacritty": ("--title", "{name}", "-e"),
    "foot": ("--title", "{name}"),
    "wezterm": ("start", "--"),
    "xterm": ("-T", "{name}", "-e"),
    "osascript": ("-e", 'on run argv\ntell application "Terminal" to do script (item 1 of argv)\nend run'),
}
# A tmux session that takes this terminal over: its windows can be clicked on, and leaving it ends everything.
SESSION = """new-session -s gmessenger -n menu {command} ; set -g destroy-unattached on ; set -g mouse on
; set -g status-left '' ; set -g status-right-length 60 ; set -g status-right ' C-b n: next window  C-b d: end all '"""
HOWTO = {
    "console": "Each has a window of its own.",
    "terminal": "Each has a window of its own.",
    "inside": "Each has a tmux window: press {prefix} then n for the next one, {prefix} then w for a list.",
    "tmux": "Each has a tmux window, seen from another terminal with: tmux -u -L {socket} attach",
    "none": "The server runs in the background. For more clients, in other terminals:\n{more}",
}


class Trouble(Exception):
    """What the user is told in one line, and the code to exit with."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Stop(BaseException):
    """A signal asks the launcher to end; no `except Exception` on the way may swallow it."""


def say(text: str, end: str = "\n") -> None:
    """Print, though the terminal may be gone already: nobody reads it then, but the clean-up must go on."""
    with suppress(OSError):
        os.write(1, (text + end).encode())


@dataclass(frozen=True)
class Place:
    """Where the launcher runs: all that the choice of a window depends on."""

    environ: Mapping[str, str]
    platform: str
    tty: bool
    find: Callable[[str], str | None] = shutil.which

    def tmux(self) -> bool:
        """tmux is here and can draw: in the session it already has, on this terminal, or unseen."""
        draws = "TMUX" in self.environ or not self.tty or self.environ.get("TERM", "dumb") != "dumb"
        return draws and self.find("tmux") is not None

    def terminal(self) -> str | None:
        """The terminal emulator to use, if there is one and a desktop to show it on."""
        mac = self.platform == "darwin" and "SSH_CONNECTION" not in self.environ
        desktop = mac or self.environ.get("DISPLAY") or self.environ.get("WAYLAND_DISPLAY")
        return next((name for name in TERMINALS if desktop and self.find(name)), None)


# In order of preference: does it work here, and what is missing if it was asked for and does not.
WINDOWS: dict[str, tuple[Callable[[Place], object], str]] = {
    "console": (lambda place: place.platform == "win32", "this is not Windows"),
    "tmux": (Place.tmux, "tmux is not installed, or this terminal cannot show it"),
    "terminal": (Place.terminal, f"no desktop, or none of {', '.join(TERMINALS)}"),
    "none": (lambda place: True, ""),
}


def choose(wanted: str, place: Place) -> str:
    """The kind of window to use here; Trouble if a certain one is wanted and cannot be had."""
    if wanted == "auto":
        return next(kind for kind, (works, _) in WINDOWS.items() if works(place))
    works, missing = WINDOWS[wanted]
    if not works(place):
        raise Trouble(2, f"--window {wanted}: {missing}")
    return wanted


def hang_up(line: socket.socket, how: int) -> None:
    with suppress(OSError):  # the other side was faster
        line.shutdown(how)


def end(child: subprocess.Popen[bytes], grace: float = GRACE) -> None:
    """The child is gone when this returns: asked with SIGTERM, after `grace` seconds not asked."""
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def attend(child: subprocess.Popen[bytes], line: socket.socket, stay: bool, told: threading.Event) -> None:
    """Tell the launcher how the child ended. `stay`: a window that closes on an error waits until it has been read."""
    last = b""
    for text in child.stderr or ():
        last = text.strip() or last
        with suppress(OSError):
            os.write(2, text)
    code = child.wait()
    with suppress(OSError):
        line.sendall(json.dumps([code, last.decode(errors="replace")]).encode() + b"\n")
    told.set()
    if stay and code:
        say(f"\n[ended with code {code}; Enter closes this window]")
        os.read(0, 1)
    hang_up(line, socket.SHUT_RD)


def leash(port: int, name: str) -> int:
    """Run what the launcher orders, here, until it ends or the launcher hangs up, dies or is killed."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        for number in SIGNALS:  # Ctrl-C is the program's; the others go through the line, so that nothing is torn
            signal.signal(number, lambda got, _: None if got == signal.SIGINT else hang_up(line, socket.SHUT_RD))
        line.sendall(f"{name}\n".encode())
        order = json.loads(line.makefile().readline() or "null")
        if order:
            told = threading.Event()
            child = subprocess.Popen(order["argv"], cwd=ROOT, stderr=subprocess.PIPE if order["loud"] else None)
            threading.Thread(target=attend, args=(child, line, order["stay"], told), daemon=True).start()
            line.recv(1)  # the launcher says nothing more: this returns when the line is down
            end(child)
            told.wait(1)
    return 0


class Held:
    """A program on its leash, as the launcher sees it. Losing this object ends the program."""

    def __init__(self, line: socket.socket, **order: object) -> None:
        self.line = line
        line.sendall(json.dumps(order).encode() + b"\n")

    def running(self) -> bool:
        """Neither ended nor lost."""
        self.line.settimeout(0)
        try:
            return not self.line.recv(1, socket.MSG_PEEK) and False
        except BlockingIOError:
            return True
        except OSError:
            return False

    def outcome(self) -> tuple[int, str]:
        """Wait for the program's own end: its exit code (1 if a signal ended it) and its last line on stderr."""
        self.line.settimeout(None)
        try:
            code, last = json.loads(self.line.makefile().readline())
        except (OSError, ValueError):  # the helper itself was killed
            code, last = 1, ""
        return code if code >= 0 else 1, last

    def gone(self) -> None:
        """Return when the helper has let go, having been hung up on; bounded."""
        self.line.settimeout(END_TIMEOUT)
        with suppress(OSError), self.line:
            while self.line.recv(4096):
                pass


class Launcher:
    """Starts and ends one server and its clients, in one kind of window."""

    def __init__(self, options: argparse.Namespace, place: Place) -> None:
        self.options, self.clients = options, options.clients
        self.tty, inside = place.tty, "TMUX" in place.environ
        self.kind = choose(options.window, place)
        if self.kind == "tmux" and (inside or self.tty):
            self.kind = "inside" if inside else "session"
        self.emulator = place.terminal() or ""
        self.socket = f"gmessenger-{os.getpid()}"
        self.tmux = ["tmux"] if inside else ["tmux", "-u", "-f", os.devnull, "-L", self.socket]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.held: dict[str, Held] = {}
        self.spawned: list[subprocess.Popen[bytes]] = []

    def run(self) -> None:
        """Start everything and do as the menu is told, until it is told to quit."""
        if self.kind == "session":
            return self.take_over()
        self.start()
        if self.kind != "none" or self.tty or not self.clients:
            self.menu()
        return None

    def take_over(self) -> None:
        """Turn this terminal into a tmux session, in which this launcher runs again as the window `menu`."""
        again = [f"--{key}={value}" for key, value in {**vars(self.options), "window": "tmux"}.items()]
        code, last = self.launch("menu", [sys.executable, __file__, *again], loud=True).outcome()
        self.close()
        if code:
            raise Trouble(code, last)

    def menu(self) -> None:
        actions: dict[str, Callable[[], None]] = {"s": self.start, "x": self.close}
        say(MENU)
        while True:
            say("> " if self.tty else "", end="")
            line = sys.stdin.readline() if sys.stdin else ""
            if not line or line.strip() == "q":
                return
            try:
                actions.get(line.strip(), lambda: say(MENU))()
            except Trouble as trouble:
                say(f"launcher: {trouble}")

    def runs(self, name: str) -> bool:
        return name in self.held and self.held[name].running()

    def start(self) -> None:
        """Start what is not running, else one more client."""
        missing = [name for name in self.names() if not self.runs(name)]
        if self.runs("server") and not missing and self.clients < MOST_CLIENTS:
            self.clients += 1
            missing = self.names()[-1:]
        self.start_server()
        for name in missing if self.kind != "none" else ():
            self.launch(name, self.client(name), stay=True)
        self.explain()
        if self.kind == "none" and missing:
            self.foreground(missing[0])

    def names(self) -> list[str]:
        return [f"test{number}" for number in range(1, self.clients + 1)]

    def client(self, name: str) -> list[str]:
        host, port = self.address
        return [sys.executable, "-m", "gmessenger", "client", host, str(port), "--name", name]

    def foreground(self, name: str) -> None:
        """One client on this very terminal, until it leaves."""
        code, _ = self.launch(name, self.client(name)).outcome()
        if code:
            raise Trouble(code, f"{name} ended with code {code}")

    def explain(self) -> None:
        """Nobody is left without instructions: what runs, and how to get there."""
        prefix = self.run_tmux("show-options", "-gv", "prefix").stdout.strip() if self.kind == "inside" else ""
        more = "\n".join(f"  {shlex.join(self.client(name))}" for name in (self.names() or ["test1"])[1:])
        clients = [name for name in self.names() if self.runs(name)]
        say(f"Running: {', '.join(['the server on {}:{}'.format(*self.address), *clients])}.")
        say(HOWTO[self.kind].format(prefix=prefix, socket=self.socket, more=more))

    def start_server(self) -> None:
        """Return when it accepts connections; Trouble with its own last line and exit code when it ends instead."""
        if self.runs("server"):
            return
        taken = self.answers()  # by another program: its answer must not be mistaken for our server's
        server = self.launch("server", self.server(), loud=True, stay=True)
        deadline = time.monotonic() + START_TIMEOUT
        while taken or not self.answers():
            if not server.running():
                code, last = server.outcome()
                raise Trouble(code or 1, last or f"the server ended with code {code}")
            if time.monotonic() > deadline:
                raise Trouble(69, f"the server did not answer on {self.address} within {START_TIMEOUT:.0f} s")
            time.sleep(LOOK_AGAIN)
            taken = taken and self.answers()

    def server(self) -> list[str]:
        config = ROOT / "config" / "server.ini"
        argv = [sys.executable, "-m", "gmessenger", "server", f"--ip={self.options.ip}", f"--port={self.options.port}"]
        argv += ["-c", str(config)] if config.exists() else []
        return argv + (["--log-file", "-"] if self.kind != "none" else [])  # its window is its log

    def answers(self) -> bool:
        try:
            socket.create_connection(self.address, START_TIMEOUT).close()
        except OSError:
            return False
        return True

    def launch(self, name: str, argv: list[str], loud: bool = False, stay: bool = False) -> Held:
        """Run `argv` on a leash in a new window. `loud`: its last line on stderr is wanted; `stay`: see `attend`."""
        opener = {"console": self.in_console, "terminal": self.in_terminal, "none": self.here}.get(self.kind, self.in_tmux)
        opener(name, [sys.executable, __file__, "--leash", str(self.listener.getsockname()[1]), name])
        self.held[name] = Held(self.answer(name), argv=argv, loud=loud, stay=stay and self.kind != "none")
        return self.held[name]
