"""Open windows to run commands in: tmux windows, windows of a terminal emulator, consoles, or none at all."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Any, Final

from gmessenger.launcher.output import fail

Find = Callable[[str], str | None]  # shutil.which

DETACHED: Final[dict[str, Any]] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {
    "start_new_session": True
}
"""How a process is started that has no terminal."""
CONSOLE: Final[dict[str, Any]] = {"creationflags": getattr(subprocess, "CREATE_NEW_CONSOLE", 0)}
TMUX_SOCKETS: Final = Path(os.environ.get("TMUX_TMPDIR") or "/tmp", f"tmux-{getattr(os, 'getuid', int)()}")  # noqa: S108
TERMINALS: Final = {
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
"""Each terminal emulator, and what it wants before the command it is to run; the first one found is used."""
SESSION: Final = shlex.split("""start-server ; set -g destroy-unattached on ; set -g mouse on ; set -g status-left ''
; set -g status-right-length 60 ; set -g status-right ' C-b n (or click): next   C-b d: end all ' ; new-session -n""")
"""A tmux session that takes this terminal over: window names can be clicked, and leaving it ends everything in it."""
SESSION_PREFIX: Final = "gmessenger-"
"""How the names of the launcher's own tmux servers begin."""
INSTRUCTIONS: Final = {
    "inside": "Each has a tmux window: Ctrl-b n (or your own prefix, then n) shows the next one, Ctrl-b w a list.",
    "tmux": "Each has a tmux window; see them from another terminal with: tmux -u -L {socket} attach",
    "none": "The server is in the background. For more clients, each in another terminal:\n  {more}",
}
DEFAULT_INSTRUCTIONS: Final = "Each has a window of its own."


def emulator(environ: Mapping[str, str], find: Find = which) -> str:
    """Return the terminal emulator to use; empty if there is none, or no desktop to show it on."""
    desktop = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return next((name for name in TERMINALS if desktop and find(name)), "")


def choose(wanted: str, environ: Mapping[str, str], platform: str, tty: bool, find: Find = which) -> str:
    """Return the kind of window to use here: console, terminal, none, or for tmux one of three.

    These are `inside` the tmux that this runs in, a `session` on this terminal, or `tmux`, which is not seen. Raises
    SystemExit where what is `wanted` does not work here.
    """
    inside = "TMUX" in environ
    works = {  # in order of preference
        "console": platform == "win32",
        "tmux": find("tmux") and (inside or not tty or environ.get("TERM", "dumb") != "dumb"),
        "terminal": emulator(environ, find),
        "none": True,
    }
    kind = next((kind for kind, here in works.items() if here and wanted in (kind, "auto")), "")
    if not kind:
        fail(2, f"--window {wanted} does not work here; --window auto chooses one that does")
    return kind if kind != "tmux" else "inside" if inside else "session" if tty else "tmux"


class Windows:
    """Windows of one `kind`, as `choose` names them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.socket = f"{SESSION_PREFIX}{os.getpid()}"
        self._tmux = ["tmux", "-u", "-f", os.devnull, "-L", self.socket]  # a tmux.conf may do anything, even resume

    def command(self, name: str, *, first: bool, background: bool) -> tuple[list[str], dict[str, Any]]:
        """Return what opens a window: the words before the command to run in it, and arguments for Popen.

        `first`: no other window is open. `background`: without windows, it does not get this terminal either.
        """
        new = "new-session" if first else "new-window"
        settings = [f"-e{key}={value}" for key, value in os.environ.items() if key.startswith("MESSENGER_")]
        terminal = emulator(os.environ)
        before = {
            "session": [*self._tmux, *SESSION, name],
            "inside": ["tmux", "new-window", *settings, "-d", "-n", name],
            "tmux": [*self._tmux, new, "-d", "-n", name],
            "terminal": [terminal, *TERMINALS.get(terminal, "").format(name=name).split()],
        }
        how = {"session": {}, "console": CONSOLE, "none": DETACHED if background else {}}
        return before.get(self.kind, []), how.get(self.kind, DETACHED)

    def instructions(self, more: str) -> str:
        """Return how to see the windows; `more` is how another client is started."""
        return INSTRUCTIONS.get(self.kind, DEFAULT_INSTRUCTIONS).format(socket=self.socket, more=more)

    def show_client(self, started: Sequence[str], names: Sequence[str]) -> None:
        """In a session that is the launcher's own, which shows the menu so far: turn to the first client, once."""
        session = Path(os.environ.get("TMUX", "").partition(",")[0]).name
        if self.kind == "inside" and session.startswith(SESSION_PREFIX) and started == names:
            subprocess.run(["tmux", "select-window", "-t", f":{started[0]}"], check=False, **DETACHED)

    def close(self) -> None:
        """End the tmux server that is the launcher's own, if it has one."""
        if self.kind in ("tmux", "session"):
            subprocess.run([*self._tmux, "kill-server"], check=False, **DETACHED)
            TMUX_SOCKETS.joinpath(self.socket).unlink(missing_ok=True)  # tmux leaves it
