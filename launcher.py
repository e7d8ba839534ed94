"""One server and several clients from one terminal, each in a window of its own: `python launcher.py --clients 3`.

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
from contextlib import suppress
from pathlib import Path
from select import select
from shutil import which
from threading import Thread
from typing import Any

ROOT = Path(__file__).resolve().parent
MOST_CLIENTS = 20
START_TIMEOUT = 20.0  # from the start of a window, or of the server, until it answers
GRACE = 10.0  # from SIGTERM to SIGKILL
END_TIMEOUT = GRACE + 5  # until a helper has let go, its program being gone
LOOK_AGAIN = 0.05
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client finds a server listening there
UNSEEN: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {"start_new_session": True}
CONSOLE: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NEW_CONSOLE", 0)}
MENU = "  s  start what is not running, or one more client\n  x  close all\n  q  quit"
Find = Callable[[str], str | None]  # shutil.which

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
; set -g status-right-length 60 ; set -g status-right ' C-b n: next window   C-b d: end all ' ; new-session -n""")
HOWTO = {
    "inside": "Each has a tmux window: the tmux prefix (C-b), then n, goes to the next one; C-b w lists them.",
    "tmux": "Each has a tmux window; see them from another terminal with: tmux -u -L {socket} attach",
    "none": "The server is in the background. One more client, from another terminal:\n  {client}",
}


class Trouble(Exception):
    """What the user is told in one line, and the code to exit with."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


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
        raise Trouble(2, f"--window {wanted} does not work here; --window auto takes what does")
    return kind if kind != "tmux" else "inside" if inside else "session" if tty else "tmux"


def hang_up(line: socket.socket, how: int) -> None:
    with suppress(OSError):  # the other side was faster
        line.shutdown(how)


def end(child: "subprocess.Popen[bytes]", grace: float = GRACE) -> None:
    """The child is gone when this returns: asked with SIGTERM and, after `grace` seconds, not asked."""
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def leash(port: int, name: str) -> int:
    """Run what the launcher orders, here, until it ends or the launcher hangs up, dies or is killed."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        for number in SIGNALS:  # Ctrl-C is the program's own; the others go through the line, so nothing is torn
            signal.signal(number, lambda got, _: None if got == signal.SIGINT else hang_up(line, socket.SHUT_RD))
        line.sendall(f"{name}\n".encode())
        order = json.loads(line.makefile().readline() or "null")
        return obey(line, **order) if order else 0


def obey(line: socket.socket, argv: list[str], stay: bool) -> int:
    """Run `argv` and tell the launcher how it ended. `stay`: after an error the window waits until it was read."""

    def watch() -> None:
        line.recv(1)  # nothing comes but the end of the line
        end(child)

    child = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE)
    Thread(target=watch, daemon=True).start()
    last = b""
    for text in child.stderr or ():
        last = text.strip() or last
        with suppress(OSError):  # the window is gone already
            os.write(2, text)
    code = child.wait()
    with suppress(OSError):
        line.sendall(json.dumps([code, last.decode(errors="replace")]).encode() + b"\n")
        if stay and code and not select([line], [], [], 0)[0]:
            print(f"\n[ended with code {code}; Enter closes this window] ", end="", flush=True)
            select([line, sys.stdin], [], [])
    return 0


def outcome(line: socket.socket) -> tuple[int, str]:
    """Wait for the program's own end: its exit code (1 if a signal ended it) and its last line on stderr."""
    try:
        code, last = json.loads(line.makefile().readline())
    except (OSError, ValueError):  # the helper itself was killed
        return 1, ""
    return code if code >= 0 else 1, last


class Launcher:
    """Starts and ends one server and its clients, in one kind of window."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.tty = options, all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout))
        self.kind = choose(options.window, os.environ, sys.platform, self.tty)
        self.names = [f"test{number + 1}" for number in range(options.clients)]
        self.address = (EVERYWHERE.get(options.ip, options.ip), options.port)
        self.socket = f"gmessenger-{os.getpid()}"
        self.listener = socket.create_server(("127.0.0.1", 0))
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
        self.spawned[-1].wait()
        if code:
            raise Trouble(code, last.removeprefix("launcher: "))

    def menu(self) -> None:
        """s, x, q; the end of the input is q."""
        actions = {"s\n": self.start, "x\n": self.close}
        print(MENU)
        while True:
            print("> " if self.tty else "", end="", flush=True)
            line = sys.stdin.readline() if sys.stdin else ""
            if line in ("q\n", "q", ""):
                return
            try:
                actions.get(line, lambda: print(MENU))()
            except Trouble as trouble:
                print(f"launcher: {trouble}")

    def start(self) -> None:
        """Start what is not running; when everything is, one more client. Say what runs and how to get there."""
        if self.runs("server") and all(map(self.runs, self.names)) and len(self.names) < MOST_CLIENTS:
            self.names.append(f"test{len(self.names) + 1}")
        self.start_server()
        missing = [name for name in self.names if not self.runs(name)]
        for name in missing if self.kind != "none" else ():
            self.launch(name, self.client(name))
        running = ["server on {}:{}".format(*self.address), *filter(self.runs, self.names)]
        more = shlex.join(self.client(f"test{len(self.names) + 1}"))
        howto = HOWTO.get(self.kind, "Each has a window of its own.").format(socket=self.socket, client=more)
        print(f"Running: {', '.join(running)}.\n{howto}", flush=True)
        if missing and self.kind == "none":
            self.foreground(missing[0])

    def foreground(self, name: str) -> None:
        """A client on this very terminal, until it leaves."""
        code, _ = outcome(self.launch(name, self.client(name)))
        if code:
            raise Trouble(code, f"{name} ended with code {code}")

    def start_server(self) -> None:
        """Return when it accepts connections; Trouble with its own last line and exit code when it ends instead."""
        if self.runs("server"):
            return
        taken = self.answers()  # by another program: no sign that ours is ready
        server = self.launch("server", self.server())
        deadline = time.monotonic() + START_TIMEOUT
        while self.runs("server") and (taken or not self.answers()) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
        if not self.runs("server"):
            code, last = outcome(server)
            raise Trouble(code or 1, last or f"the server ended with code {code}")
        if not self.answers():
            raise Trouble(69, f"the server does not answer on {self.address} after {START_TIMEOUT:.0f} s")

    def runs(self, name: str) -> bool:
        return name in self.held and not select([self.held[name]], [], [], 0)[0]

    def answers(self) -> bool:
        with suppress(OSError), socket.create_connection(self.address, START_TIMEOUT):
            return True
        return False

    def client(self, name: str) -> list[str]:
        return [sys.executable, "-m", "gmessenger", "client", *map(str, self.address), "--name", name]

    def server(self) -> list[str]:
        config = ROOT / "config" / "server.ini"
        argv = [sys.executable, "-m", "gmessenger", "server", "--ip", self.options.ip, "--port", str(self.options.port)]
        argv += ["-c", str(config)] if config.exists() else []
        return argv + (["--log-file", "-"] if self.kind != "none" else [])  # its window shows its log

    def launch(self, name: str, argv: list[str]) -> socket.socket:
        """Run `argv` on a leash in a new window; Trouble when no window opens."""
        helper = [sys.executable, __file__, "--leash", str(self.listener.getsockname()[1]), name]
        before, how = self.window(name)
        self.spawned.append(subprocess.Popen([*before, *helper], cwd=ROOT, **how))
        line = self.held[name] = self.accept(name)
        stay = self.kind not in ("none", "session")
        line.sendall(json.dumps({"argv": argv, "stay": stay}).encode() + b"\n")
        return line

    def window(self, name: str) -> tuple[list[str], dict[str, Any]]:
        """What opens a window for `name`: the words before its command, and how to start them."""
        own = ["tmux", "-u", "-f", os.devnull, "-L", self.socket]  # a tmux.conf may do anything, even resume sessions
        new = "new-window" if any(map(self.runs, self.held)) else "new-session"
        settings = [f"-e{key}={value}" for key, value in os.environ.items() if key.startswith("MESSENGER_")]
        terminal = emulator(os.environ)
        before = {
            "session": [*own, *SESSION, name],
            "inside": ["tmux", "new-window", *settings, "-d", "-n", name],
            "tmux": [*own, new, "-d", "-n", name],
            "terminal": [terminal, *TERMINALS.get(terminal, "").format(name=name).split()],
        }
        seen = self.kind == "session" or (self.kind == "none" and name != "server")
        return before.get(self.kind, []), CONSOLE if self.kind == "console" else {} if seen else UNSEEN

    def accept(self, name: str) -> socket.socket:
        """The connection of the helper in the window just opened."""
        self.listener.settimeout(LOOK_AGAIN)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and not self.spawned[-1].poll():
            with suppress(TimeoutError):
                line, _ = self.listener.accept()
                line.settimeout(START_TIMEOUT)
                if line.makefile("rb").readline(100) == f"{name}\n".encode():
                    line.settimeout(None)
                    return line
        raise Trouble(1, f"no window opened for {name} ({self.kind}); --window none does without")

    def close(self) -> None:
        """End all that was started; it is gone when this returns."""
        for line in self.held.values():
            hang_up(line, socket.SHUT_WR)
        while self.held:
            with suppress(OSError), self.held.popitem()[1] as line:
                line.settimeout(END_TIMEOUT)
                while line.recv(4096):
                    pass
        while self.spawned:
            with suppress(subprocess.TimeoutExpired):
                self.spawned.pop().wait(END_TIMEOUT)


def port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535 (MESSENGER_PORT sets it too)")
    return int(text)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--clients", type=int, choices=range(MOST_CLIENTS + 1), default=2, metavar="N", help="default: 2"
    )
    parser.add_argument("--port", type=port, default=os.environ.get("MESSENGER_PORT") or "7777", help="default: 7777")
    parser.add_argument("--ip", default="127.0.0.1", help="where the server listens; default: this machine only")
    parser.add_argument(
        "--window",
        choices=("auto", "console", "tmux", "terminal", "none"),
        default="auto",
        help="default: the first that works",
    )
    return parser.parse_args()


def main() -> int:
    """Run until told to quit; the exit code. Whatever was started is gone by then."""
    launcher = None
    try:
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler)
        launcher = Launcher(read_options())
        launcher.run()
    except Trouble as trouble:
        print(f"launcher: {trouble}", file=sys.stderr)
        return trouble.code
    except KeyboardInterrupt:
        pass  # one of SIGNALS: a way to quit like any other
    finally:
        for number in SIGNALS:  # what follows is bounded, and one signal is enough
            signal.signal(number, signal.SIG_IGN)
        if launcher:
            launcher.close()
    return 0


if __name__ == "__main__":
    sys.exit(leash(int(sys.argv[2]), sys.argv[3]) if sys.argv[1:2] == ["--leash"] else main())
