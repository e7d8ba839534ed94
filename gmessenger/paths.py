"""Where files live: beside the code when run from a checkout, else where the operating system's habits put them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gmessenger.errors import ConfigError
from gmessenger.text import Text

STDERR = "-"
DEFAULT_PORT: Final = 7777


def checkout_root() -> Path | None:
    """Return the top of the checkout this package runs from: where the folder `logs` is beside it; None elsewhere."""
    top = Path(__file__).resolve().parent.parent
    return top if (top / "logs").is_dir() else None


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where an installed program keeps what it must not forget (`$STATE_DIRECTORY`, else the XDG state directory).

    Raises `ConfigError` for somebody without a home.
    """
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if (top := checkout_root()) is not None:
        return top / "data"
    state = environ.get("XDG_STATE_HOME") or _home_directory() / ".local" / "state"
    return Path(state) / "gmessenger"


def config_file(program: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """A person's own config file for a command, whether there is one or not; None for somebody without a home.

    The same for a checkout as for what is installed: it belongs to the person, not to the program.
    """
    given, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    if Path(given).is_absolute():  # a relative one counts as unset, by the rules of XDG
        return Path(given) / "gmessenger" / f"{program}.ini"
    return Path(home) / ".config" / "gmessenger" / f"{program}.ini" if home else None


def _home_directory() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        sentence = Text("There is no home directory: set $XDG_STATE_HOME to a directory for the program's files.")
        raise ConfigError(sentence) from error


def default_log_file(program: str, environ: Mapping[str, str] = os.environ) -> str:
    """The default of `--log-file`: `logs/` of a checkout, else stderr for the server and XDG state for the client."""
    if (top := checkout_root()) is not None:
        return str(top / "logs" / f"{program}.log")
    return STDERR if program == "server" else str(state_directory(environ) / f"{program}.log")


MAX_SOCKET_PATH: Final = 100
"""Bytes that every system's Unix sockets have room for."""


def socket_next_to(store: Path) -> Path:
    """Where the server of a store in a file listens for the operator on this machine."""
    real = store.resolve()
    return real.with_name(f"{real.name}.socket")


def control_socket(store: Path | None, port: int) -> Path:
    """Where a server listens for the operator on this machine: beside the file of its store, where that is in one;
    else in the state directory, by its port. Raises `ConfigError` for somebody without a home.
    """
    if store is not None:
        return socket_next_to(store)
    return state_directory() / f"{file_stem(port)}.socket"


def file_stem(port: int) -> str:
    """How the files begin that belong to the server on a port; servers on one machine have different ones."""
    return "messenger" if port == DEFAULT_PORT else f"messenger-{port}"


@contextmanager
def short_socket_path(path: Path) -> Iterator[str]:
    """An address for a Unix socket at `path`, however deep it lies: by its directory's handle where it is too long."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        yield str(path)
        return
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)
