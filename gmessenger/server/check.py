"""`gmessenger-server --check`: what would be used and where it comes from, tried as far as that disturbs nobody.

It makes no file, holds no lock and leaves a running server alone. A port that is free is taken for a moment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gmessenger.commandline import SERVER
from gmessenger.errors import CannotListen, ConfigProblem, ExitError, FileProblem
from gmessenger.given import given, listed
from gmessenger.hosts import bare_host
from gmessenger.options import ServerOptions
from gmessenger.places import STDERR, control_socket
from gmessenger.server import files, services
from gmessenger.server.listening import UNIX, listen, listener_at
from gmessenger.stdout import print_text
from gmessenger.store import POSTGRES, file_of
from gmessenger.terminal_text import print_error, visible

LEAST_FREE: Final = 64 * 2**20
"""Bytes on the store's disk below which it is not worth starting."""
LISTENING: Final = "0A"


def check(arguments: Sequence[str] | None) -> int:
    """Print every option and what was tried; 0, or 78 with what is wrong on stderr. Raises as `parse`."""
    options, found = given(SERVER, arguments)
    _print_lines(*listed(found), "")
    faults: list[str] = []
    for what, look in LOOKS.items():
        try:
            _print_lines(f"{what}: {look(options)}")
        except ExitError as error:
            _print_lines(f"{what}: {error}")
            faults.append(str(error))
    for fault in faults:
        print_error(f"{SERVER.program}: {fault}")
    return ConfigProblem.exit_code if faults else 0


def _print_lines(*lines: str) -> None:
    print_text("".join(f"{visible(line)}\n" for line in lines))


def _store(options: ServerOptions) -> str:
    if options.store_url.startswith(POSTGRES):
        return services.store(options)
    file = file_of(options.store_url)
    if file is None:
        return "in memory, until the server stops"
    from gmessenger.store.inspecting import inspect
    from gmessenger.store.schema import VERSION

    found = inspect(file)
    free = "free room unknown" if found.free is None else f"{found.free / 2**30:.1f} GB free"
    if found.free is not None and found.free < LEAST_FREE:
        raise FileProblem(f"The disk of the store {file} is full: {found.free // 2**20} MB free.")
    if found.schema is None:
        return f"{file} would be made, {free}"
    held = f", in use by process {found.holder}" if found.holder else ""
    newer = f", to be migrated to {VERSION}" if found.schema < VERSION else ""
    return f"{file}, schema {found.schema}{newer}, {free}{held}"


def _port(options: ServerOptions) -> str:
    return _free(options, options.port)


def _tls(options: ServerOptions) -> str:
    from gmessenger.server.tls import given_certificate

    certificate = given_certificate(options)
    if certificate is None:
        return "no certificate, so no TLS"
    return f"{_free(options, options.tls_port)}; the certificate is good until {certificate.expires}"


def _health(options: ServerOptions) -> str:
    if options.health.startswith(UNIX):
        folder = Path(options.health.removeprefix(UNIX)).parent
        if not os.access(folder, os.W_OK):
            raise FileProblem(f"The health socket cannot be made: {folder} is not writable.")
    elif options.health:
        host, _, port = options.health.rpartition(":")
        return f"{host}, port {_free(options, int(port), bare_host(host))}"
    return options.health or "nowhere"


def _free(options: ServerOptions, port: int, ip: str | None = None) -> str:
    try:
        for each in listen(options.ip if ip is None else ip, port):
            each.close()
    except CannotListen:
        process = _server(options)
        if process is None or not _listens(process, port):
            raise
        return f"{port}, which process {process}, the running server of this store, listens on"
    return f"{port}, which is free" if port else "a free one"


def _server(options: ServerOptions) -> str | None:
    """The process that serves the same store here: it has its file open, or listens for operators where we would."""
    file = file_of(options.store_url)
    if file is None:
        return listener_at(control_socket(None, options.port))
    from gmessenger.store.lock import holder

    return holder(file.resolve())


def _listens(process: str, port: int) -> bool:
    """Whether that process listens on the port, as far as /proc tells."""
    try:
        tables = "".join(Path(f"/proc/net/{name}").read_text("ascii") for name in ("tcp", "tcp6"))
        handles = {str(each.readlink()) for each in Path(f"/proc/{process}/fd").iterdir()}
    except OSError:
        return False
    rows = [row.split() for row in tables.splitlines()]
    there = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == LISTENING]
    return any(f"socket:[{row[9]}]" in handles for row in there)


def _log(options: ServerOptions) -> str:
    place = options.log_place("server")
    if place == STDERR:
        return "stderr"
    file = Path(place).absolute()
    try:
        nearest = next(each for each in (file, *file.parents) if each.exists())
        writable = not file.is_dir() and os.access(nearest, os.W_OK)
    except OSError as error:  # its name is too long, for one
        raise FileProblem(f"Cannot write the log file {place}: {error.strerror}.") from error
    if not writable:
        raise FileProblem(f"Cannot write the log file {place}.")
    return place


def _files(options: ServerOptions) -> str:
    most, wanted = files.most(), files.needed(options.max_connections)
    if most is not None and most < wanted:
        raise ConfigProblem(
            f"The process may have {most} files open, and --max-connections {options.max_connections} takes {wanted}; "
            "raise the limit (ulimit -n, LimitNOFILE=) or lower the option."
        )
    return f"{wanted} of {most or 'any number'} may be needed"


LOOKS: Final[dict[str, Callable[[ServerOptions], str]]] = {
    "store": _store,
    "bus": services.bus,
    "port": _port,
    "TLS": _tls,
    "health": _health,
    "log": _log,
    "files": _files,
}
"""What is looked at; each says how it is, or raises what is wrong."""
