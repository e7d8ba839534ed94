"""Installing optional dependencies."""

from __future__ import annotations

import shlex
import sys


def install_command(extra: str) -> str:
    """Return the command that installs an extra for this interpreter, from a checkout: no index has the package."""
    command = [sys.executable or "python3", "-m", "pip", "install", f".[{extra}]"]
    return f"in a checkout of gmessenger, {shlex.join(command)}"
