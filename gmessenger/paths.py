"""Where files are kept: in the checkout the program runs from, else in the standard directories of the system."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gmessenger.constants import DEFAULT_PORT
from gmessenger.errors import ConfigError
from gmessenger.text import Text

STDERR = "-"


def checkout_root() -> Path | None:
    """Return the checkout that this package runs from: the directory around it, if that has a `logs`; else None."""
    top = Path(__file__).resolve().parent.parent
    return top if (top / "logs").is_dir() else None


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory for persistent data: `$STATE_DIRECTORY`, `data` in a checkout, or XDG's for state.

    Raises:
        ConfigError: the user has no home directory.
    """
    if directories := environ.get("STATE_DIRECTORY"):
        return Path(directories.split(":")[0])
    if (top := checkout_root()) is not None:
        return top / "data"
    state = environ.get("XDG_STATE_HOME") or _home_directory() / ".local" / "state"
    return Path(state) / "gmessenger"


def config_file(program: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the path of the user's own config file for a program, existing or not; None without a home directory.

    It is the same for a checkout and an installation: the file belongs to the user, not to the program.
    """
    xdg_config, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    if Path(xdg_config).is_absolute():  # XDG: a relative path is ignored
        return Path(xdg_config) / "gmessenger" / f"{program}.ini"
    return Path(home) / ".config" / "gmessenger" / f"{program}.ini" if home else None


def _home_directory() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        message = Text("There is no home directory: set $XDG_STATE_HOME to a directory for the program's files.")
        raise ConfigError(message) from error


def default_log_file(program: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the default of `--log-file`: in `logs/` of a checkout; else stderr (server) or XDG state (others)."""
    if (top := checkout_root()) is not None:
        return str(top / "logs" / f"{program}.log")
    return STDERR if program == "server" else str(state_directory(environ) / f"{program}.log")


MAX_SOCKET_PATH: Final = 100
"""Bytes of a path that the Unix sockets of all systems accept."""


def socket_next_to(store: Path) -> Path:
    """Return the path of the control socket of a server with a store in a file."""
    real = store.resolve()
    return real.with_name(f"{real.name}.socket")


def control_socket(store: Path | None, port: int) -> Path:
    """Return the path of a server's control socket: next to the file of its store, else by its port in the state
    directory. Raises `ConfigError` if the user has no home directory.
    """
    if store is not None:
        return socket_next_to(store)
    return state_directory() / f"{file_stem(port)}.socket"


def file_stem(port: int) -> str:
    """Return how the names of the files of the server on a port begin; each server of a machine has its own."""
    return "messenger" if port == DEFAULT_PORT else f"messenger-{port}"


@contextmanager
def short_socket_path(path: Path) -> Iterator[str]:
    """Yield an address for a Unix socket at `path`: one relative to the directory's descriptor if the path is too long.

    The address is valid within the block (Linux).
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
