"""Windows to run commands in: of tmux, of a terminal emulator, Windows consoles, or none."""

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
"""Arguments of Popen for a process without a terminal."""
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
"""Terminal emulators and their arguments before the command to run; the first one that is installed is used."""
SESSION: Final = shlex.split("""start-server ; set -g destroy-unattached on ; set -g mouse on ; set -g status-left ''
; set -g status-right-length 60 ; set -g status-right ' C-b n (or click): next   C-b d: end all ' ; new-session -n""")
"""tmux commands for a session on this terminal: window names can be clicked, and detaching ends everything in it."""
SESSION_PREFIX: Final = "gmessenger-"
"""The beginning of the socket names of the launcher's own tmux servers."""
INSTRUCTIONS: Final = {
    "inside": "Each has a tmux window: Ctrl-b n (or your own prefix, then n) shows the next one, Ctrl-b w a list.",
    "tmux": "Each has a tmux window; see them from another terminal with: tmux -u -L {socket} attach",
    "none": "The server is in the background. For more clients, each in another terminal:\n  {more}",
}
DEFAULT_INSTRUCTIONS: Final = "Each has a window of its own."


def has_desktop(environ: Mapping[str, str], platform: str) -> bool:
    """Return whether windows can be shown."""
    return platform in ("win32", "darwin") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def emulator(environ: Mapping[str, str], find: Find = which) -> str:
    """Return an installed terminal emulator; empty if there is none, or no desktop."""
    desktop = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    return next((name for name in TERMINALS if desktop and find(name)), "")


def choose(wanted: str, environ: Mapping[str, str], platform: str, tty: bool, find: Find = which) -> str:
    """Return the kind of window to use: `console`, `terminal`, `none`, or one of three for tmux.

    These are `inside` (the tmux that this process runs in), `session` (a new one on this terminal) and `tmux` (a new
    one in the background). Raises SystemExit if the `wanted` kind does not work here.
    """
    inside = "TMUX" in environ
    available = {  # in order of preference
        "console": platform == "win32",
        "tmux": find("tmux") and (inside or not tty or environ.get("TERM", "dumb") != "dumb"),
        "terminal": emulator(environ, find),
        "none": True,
    }
    kind = next((kind for kind, works in available.items() if works and wanted in (kind, "auto")), "")
    if not kind:
        fail(2, f"--window {wanted} does not work here; --window auto chooses one that does")
    return kind if kind != "tmux" else "inside" if inside else "session" if tty else "tmux"


class Windows:
    """Windows of one kind, one of those that `choose` returns."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.socket = f"{SESSION_PREFIX}{os.getpid()}"
        # Without the user's tmux.conf, which may restore sessions.
        self._tmux = ["tmux", "-u", "-f", os.devnull, "-L", self.socket]

    def command(self, name: str, *, first: bool, background: bool) -> tuple[list[str], dict[str, Any]]:
        """Return the command prefix that opens a window, and arguments of Popen.

        `first`: no other window is open. `background`: where there are no windows, run without this terminal.
        """
        new = "new-session" if first else "new-window"
        settings = [f"-e{key}={value}" for key, value in os.environ.items() if key.startswith("MESSENGER_")]
        terminal = emulator(os.environ)
        prefixes = {
            "session": [*self._tmux, *SESSION, name],
            "inside": ["tmux", "new-window", *settings, "-d", "-n", name],
            "tmux": [*self._tmux, new, "-d", "-n", name],
            "terminal": [terminal, *TERMINALS.get(terminal, "").format(name=name).split()],
        }
        popen_arguments = {"session": {}, "console": CONSOLE, "none": DETACHED if background else {}}
        return prefixes.get(self.kind, []), popen_arguments.get(self.kind, DETACHED)

    def instructions(self, more: str) -> str:
        """Tell the user how to see the windows. `more`: the commands that start further clients."""
        return INSTRUCTIONS.get(self.kind, DEFAULT_INSTRUCTIONS).format(socket=self.socket, more=more)

    def show_client(self, started: Sequence[str], names: Sequence[str]) -> None:
        """Switch from the menu to the first client in the launcher's own tmux session, at the first start."""
        session = Path(os.environ.get("TMUX", "").partition(",")[0]).name
        if self.kind == "inside" and session.startswith(SESSION_PREFIX) and started == names:
            subprocess.run(["tmux", "select-window", "-t", f":{started[0]}"], check=False, **DETACHED)

    def close(self) -> None:
        """Kill the launcher's own tmux server, if there is one."""
        if self.kind in ("tmux", "session"):
            subprocess.run([*self._tmux, "kill-server"], check=False, **DETACHED)
            TMUX_SOCKETS.joinpath(self.socket).unlink(missing_ok=True)  # tmux does not remove it
