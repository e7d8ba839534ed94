"""Names the command that installs an optional dependency."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """The command, for the interpreter that misses something: this package is in no index, so it takes a checkout."""
    command = [sys.executable or "python3", "-m", "pip", "install", f".[{extra}]"]
    return f"in a checkout of gmessenger, {shlex.join(command)}"
