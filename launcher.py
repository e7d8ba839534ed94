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
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
CLIENTS = range(21)  # how many there may be
START_TIMEOUT = 20.0  # from the start of a window, or of the server, until it answers
GRACE = 15.0  # from SIGTERM to SIGKILL; the server takes up to 10 s to deliver what it accepted
END_TIMEOUT = GRACE + 5  # until a helper has let go, its program being gone
REACH_TIMEOUT = 1.0  # one attempt to connect to the server
LOOK_AGAIN = 0.05
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # where a client finds a server listening there
UNSEEN: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {"start_new_session": True}
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
HOWTO = {
    "inside": "Each has a tmux window: Ctrl-b n (or your own prefix, then n) shows the next one, Ctrl-b w a list.",
    "tmux": "Each has a tmux window; see them from another terminal with: tmux -u -L {socket} attach",
    "none": "The server is in the background. For more clients, each in another terminal:\n  {more}",
}
Find = Callable[[str], str | None]  # shutil.which


def fail(code: int, sentence: str) -> NoReturn:
    print(f"launcher: {sentence}", file=sys.stderr, flush=True)
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


def leash(port: int, name: str) -> None:
    """Run what the launcher orders, here, until it ends or the launcher hangs up, dies or is killed."""
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as line:
        for number in SIGNALS:  # all go through the line, so that nothing is torn; but Ctrl-C is a client's own
            signal.signal(number, lambda *_: hang_up(line, socket.SHUT_RD))
        if name != "server":
            signal.signal(signal.SIGINT, lambda *_: None)
        order = line.makefile().readline()
        if order:
            obey(line, apart=name == "server", **json.loads(order))


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
            os.write(2, text)
    code = child.wait()
    if select([line], [], [], 0)[0]:  # ended as asked, however that looked
        code, last = 0, b""
    with suppress(OSError):
        line.sendall(json.dumps([code, last.decode(errors="replace")]).encode() + b"\n")
        if stay and code:
            print(f"\n[ended with code {code}; Enter closes this window] ", end="", flush=True)
            select([line, sys.stdin], [], [])


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
            print(last, file=sys.stderr)
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
        if self.runs("server") and all(map(self.runs, self.names)) and len(self.names) + 1 in CLIENTS:
            self.names.append(f"test{len(self.names) + 1}")
        self.start_server()
        missing = [name for name in self.names if not self.runs(name)]
        for name in missing if self.kind != "none" else ():
            self.launch(name, self.client(name))
        running = [f"server on port {self.options.port} of {self.options.ip}", *filter(self.runs, self.names)]
        howto = HOWTO.get(self.kind, "Each has a window of its own.")
        more = "\n  ".join(shlex.join(self.client(name)) for name in self.names[1:] or ["test2"])
        print(f"Running: {', '.join(running)}.", howto.format(socket=self.socket, more=more), sep="\n", flush=True)
        if missing and self.kind == "none":  # a client on this very terminal, until it leaves
            code, _ = outcome(self.launch(missing[0], self.client(missing[0])))
            if code:
                raise SystemExit(code)

    def start_server(self) -> None:
        """Return when it accepts connections; when it ends instead, end with its own last line and exit code."""
        if self.runs("server"):
            return
        taken = self.reached()  # by another program: no sign that ours is ready
        server = self.launch("server", self.server())
        deadline = time.monotonic() + START_TIMEOUT
        while self.runs("server") and (taken or not self.reached()) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN)
        if not self.runs("server"):
            code, last = outcome(server)
            fail(code or 1, last or f"the server ended with code {code}")
        if not self.reached():
            fail(69, f"the server does not answer on port {self.options.port} after {START_TIMEOUT:.0f} s")

    def runs(self, name: str) -> bool:
        return name in self.held and not select([self.held[name]], [], [], 0)[0]

    def reached(self) -> bool:
        with suppress(OSError), socket.create_connection(self.address, REACH_TIMEOUT):
            return True
        return False

    def client(self, name: str) -> list[str]:
        return [*GMESSENGER, "client", *map(str, self.address), "--name", name, *own_config("client")]

    def server(self) -> list[str]:
        own = own_config("server")
        own += ["--log-file", "-"] if self.kind != "none" else []  # its window shows its log
        return [*GMESSENGER, "server", "--ip", self.options.ip, "--port", str(self.options.port), *own]

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
        new = "new-window" if any(map(self.runs, self.held)) else "new-session"
        settings = [f"-e{key}={value}" for key, value in os.environ.items() if key.startswith("MESSENGER_")]
        terminal = emulator(os.environ)
        before = {
            "session": [*self.tmux, *SESSION, name],
            "inside": ["tmux", "new-window", *settings, "-d", "-n", name],
            "tmux": [*self.tmux, new, "-d", "-n", name],
            "terminal": [terminal, *TERMINALS.get(terminal, "").format(name=name).split()],
        }
        how = {"session": {}, "console": CONSOLE, "none": UNSEEN if name == "server" else {}}
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
        for line in self.held.values():
            hang_up(line, socket.SHUT_WR)
        while self.held:
            with suppress(OSError), self.held.popitem()[1] as line:
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


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, choices=CLIENTS, default=2, metavar="N", help="0 to 20; default: 2")
    parser.add_argument("--port", type=port, default=os.environ.get("MESSENGER_PORT") or "7777", help="default: 7777")
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
    else:
        main()
