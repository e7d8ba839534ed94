"""Where files live: beside the code when run from a checkout, else where the operating system's habits put them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

STDERR = "-"


def checkout() -> Path | None:
    """The top of the checkout this package runs from; None when it is installed."""
    top = Path(__file__).resolve().parent.parent
    return top if (top / "launcher.py").is_file() and (top / "logs").is_dir() else None


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where an installed program keeps what it must not forget (`$STATE_DIRECTORY`, else the XDG state directory)."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if (top := checkout()) is not None:
        return top / "data"
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "gmessenger"


def log_file(command: str, environ: Mapping[str, str] = os.environ) -> str:
    """The default of `--log-file`: `logs/` of a checkout, else stderr for the server and XDG state for the client."""
    if (top := checkout()) is not None:
        return str(top / "logs" / f"{command}.log")
    return STDERR if command == "server" else str(state_directory(environ) / f"{command}.log")
