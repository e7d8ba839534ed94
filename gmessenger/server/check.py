"""`gmessenger-server --check`: print options and sources; check store, bus, ports and files.

It creates no file, takes no lock and does not disturb a running server; only a free port is bound for a moment.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gmessenger.bus import check_bus_url
from gmessenger.config.options import ServerOptions
from gmessenger.config.parser import SERVER
from gmessenger.config.sources import format_sources, resolve_sources
from gmessenger.console import print_error, print_text
from gmessenger.constants import IRC_PATH
from gmessenger.contents.folder import MARKER
from gmessenger.errors import ConfigError, ExitError, FileError, ListenError
from gmessenger.hosts import strip_brackets
from gmessenger.paths import STDERR, control_socket
from gmessenger.sanitize import sanitize
from gmessenger.server.net import descriptors
from gmessenger.server.net.sockets import find_listening_process, listen_tcp, unix_socket_path
from gmessenger.server.settings import check_irc, files_folder, keeps_files, push_subject
from gmessenger.store import POSTGRES_PREFIXES, file_from_url, require_postgres_driver
from gmessenger.text_files import read_password_file

RESERVED_CONNECTIONS: Final = 5
"""Database connections of a server besides those of the option: one that writes messages, two for its own queries, and
two for searches."""


def check_postgres(options: ServerOptions) -> str:
    """Describe the database of the options. Raises `FileError` or `ConfigError`."""
    with require_postgres_driver():
        from gmessenger.store.postgres.schema import VERSION
        from gmessenger.store.postgres.verify import inspect_database

    found = inspect_database(options.store_url)
    needed = (found.nodes + 1) * (options.store_connections + RESERVED_CONNECTIONS)
    if found.connections < needed:
        raise ConfigError(
            f"The store {found.shown_url} lets in {found.connections} connections (max_connections), and "
            f"{found.nodes + 1} servers with --store-connections {options.store_connections} take {needed}."
        )
    parts = [found.shown_url, f"PostgreSQL {found.server}"]
    if found.schema is None:
        parts += ["where the tables would be created"]
    else:
        newer = f", to be migrated to {VERSION}" if found.schema < VERSION else ""
        parts += [
            f"schema {found.schema}{newer}",
            f"{found.size / 1e6:.1f} MB",
            f"servers that use it now: {found.nodes}",
        ]
    if found.unsafe_settings:
        parts += [
            f"WARNING: it does not wait for disk writes ({', '.join(found.unsafe_settings)}), "
            "so acknowledged messages may be lost if the machine fails"
        ]
    return ", ".join(parts)


def check_bus(options: ServerOptions) -> str:
    """Describe the Redis server of the options. Raises `ConfigError` or `Unreachable`."""
    is_shared = options.store_url.startswith(POSTGRES_PREFIXES)
    if not options.bus:
        return (
            "none; changes by other servers are polled from the store"
            if is_shared
            else "none, for a server without a cluster"
        )
    if not is_shared:
        raise ConfigError("--bus is for servers that share a store: it needs --store postgresql://….")
    return check_bus_url(options.bus)


MIN_FREE_DISK: Final = 64 * 2**20
"""Free bytes on the store's disk below which the check fails."""
PROC_LISTEN_STATE: Final = "0A"
"""The state `LISTEN` in /proc/net/tcp."""


def check(arguments: Sequence[str] | None) -> int:
    """Print options and checks; return 0, or 78 with the faults on stderr. Raises as `resolve_sources`."""
    options, sources = resolve_sources(SERVER, arguments)
    _print_lines(*format_sources(sources), "")
    faults: list[str] = []
    for subject, check_subject in CHECKS.items():
        try:
            _print_lines(f"{subject}: {check_subject(options)}")
        except ExitError as error:
            _print_lines(f"{subject}: {error}")
            faults.append(str(error))
    for fault in faults:
        print_error(f"{SERVER.name}: {fault}")
    return ConfigError.exit_code if faults else 0


def _print_lines(*lines: str) -> None:
    print_text("".join(f"{sanitize(line)}\n" for line in lines))


def _check_store(options: ServerOptions) -> str:
    if options.store_url.startswith(POSTGRES_PREFIXES):
        return check_postgres(options)
    file = file_from_url(options.store_url)
    if file is None:
        return "in memory, until the server stops"
    from gmessenger.store.sqlite.schema import VERSION
    from gmessenger.store.sqlite.verify import inspect_file

    found = inspect_file(file)
    free = "free room unknown" if found.free is None else f"{found.free / 2**30:.1f} GB free"
    if found.free is not None and found.free < MIN_FREE_DISK:
        raise FileError(f"The disk of the store {file} is full: {found.free // 2**20} MB free.")
    if found.schema is None:
        return f"{file} would be made, {free}"
    held = f", in use by process {found.holder}" if found.holder else ""
    newer = f", to be migrated to {VERSION}" if found.schema < VERSION else ""
    return f"{file}, schema {found.schema}{newer}, {free}{held}"


def _check_port(options: ServerOptions) -> str:
    return _check_port_free(options, options.port)


def _check_tls(options: ServerOptions) -> str:
    from gmessenger.server.net.tls import certificate_from_options

    certificate = certificate_from_options(options)
    if certificate is None:
        return "no certificate, so no TLS"
    return f"{_check_port_free(options, options.tls_port)}; the certificate is good until {certificate.expires}"


def _check_web(options: ServerOptions) -> str:
    return _check_place(options, options.web, "web")


def _check_irc(options: ServerOptions) -> str:
    """Check the places for IRC, and its password. Raises `ListenError`, `FileError` or `ConfigError`."""
    check_irc(options)
    if not options.offers_irc:
        return "nowhere"
    ports = {"port": options.irc_port, "with TLS port": options.irc_tls_number}
    password = (
        ", with a password" if options.irc_password_file and read_password_file(options.irc_password_file) else ""
    )
    places = [f"{what} {_check_port_free(options, port)}" for what, port in ports.items() if port is not None]
    if options.irc_websocket_place:
        places.append(f"over WebSocket at {_check_place(options, options.irc_websocket, 'IRC WebSocket')}")
    if options.web:
        places.append(f"over WebSocket at {IRC_PATH} of --web")
    return f"{'; '.join(places)}; as {options.irc_server_name}{password}"


def _check_place(options: ServerOptions, place: str, purpose: str) -> str:
    """Check a HOST:PORT or a unix:/PATH, if there is one."""
    if not place:
        return "nowhere"
    if (path := unix_socket_path(place)) is not None:
        if not os.access(path.parent, os.W_OK):
            raise FileError(f"The {purpose} socket cannot be made: {path.parent} is not writable.")
        return place
    host, _, port = place.rpartition(":")
    return f"{host}, port {_check_port_free(options, int(port), strip_brackets(host))}"


def _check_files(options: ServerOptions) -> str:
    """Check the folder for files. Raises `FileError` where it cannot be written."""
    if not options.web:
        return "none, without --web"
    if not keeps_files(options) or not options.max_file:
        return "none; see --files" if options.max_file else "none, by --max-file"
    folder = files_folder(options)
    if folder is None:
        return "in a temporary folder, until the server stops"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise FileError(f"The folder of files {folder} cannot be written.")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ConfigError(f"The folder of files {folder} lacks its marker {MARKER}; is it the right one?")
    free = shutil.disk_usage(nearest).free
    return f"{folder}, {'' if folder.exists() else 'to be made, '}{free / 2**30:.1f} GB free"


def _check_push(options: ServerOptions) -> str:
    """Describe Web Push. Raises `ConfigError` where push services would refuse the server."""
    subject = push_subject(options)
    return f"by {', '.join(options.push_hosts)}, from {subject}" if options.push else "none"


def _check_health(options: ServerOptions) -> str:
    return _check_place(options, options.health, "health")


def _check_port_free(options: ServerOptions, port: int, ip: str | None = None) -> str:
    try:
        for sock in listen_tcp(options.ip if ip is None else ip, port):
            sock.close()
    except ListenError:
        process = _find_running_server(options)
        if process is None or not _is_listening(process, port):
            raise
        return f"{port}, which process {process}, the running server of this store, listens on"
    return f"{port}, which is free" if port else "a free one"


def _find_running_server(options: ServerOptions) -> str | None:
    """Return the process that has the store locked, or listens on its control socket."""
    file = file_from_url(options.store_url)
    if file is None:
        return find_listening_process(control_socket(None, options.port))
    from gmessenger.store.sqlite.datafile import lock_holder

    return lock_holder(file.resolve())


def _is_listening(process: str, port: int) -> bool:
    """Return whether a process listens on a port; False where /proc does not tell."""
    try:
        tables = "".join(Path(f"/proc/net/{name}").read_text("ascii") for name in ("tcp", "tcp6"))
        open_files = {str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()}
    except OSError:
        return False
    rows = [row.split() for row in tables.splitlines()]
    listening = [row for row in rows if row[1].endswith(f":{port:04X}") and row[3] == PROC_LISTEN_STATE]
    return any(f"socket:[{row[9]}]" in open_files for row in listening)


def _check_log(options: ServerOptions) -> str:
    place = options.log_destination("server")
    if place == STDERR:
        return "stderr"
    file = Path(place).absolute()
    try:
        nearest = next(path for path in (file, *file.parents) if path.exists())
        writable = not file.is_dir() and os.access(nearest, os.W_OK)
    except OSError as error:  # a name that is too long, for example
        raise FileError(f"Cannot write the log file {place}: {error.strerror}.") from error
    if not writable:
        raise FileError(f"Cannot write the log file {place}.")
    return place


def _check_file_limit(options: ServerOptions) -> str:
    limit, needed = descriptors.hard_limit(), descriptors.descriptors_needed(options.max_connections)
    if limit is not None and limit < needed:
        raise ConfigError(
            f"The process may have {limit} files open, and --max-connections {options.max_connections} takes {needed}; "
            "raise the limit (ulimit -n, LimitNOFILE=) or lower the option."
        )
    return f"{needed} of {limit or 'any number'} may be needed"


CHECKS: Final[dict[str, Callable[[ServerOptions], str]]] = {
    "store": _check_store,
    "bus": check_bus,
    "port": _check_port,
    "TLS": _check_tls,
    "web": _check_web,
    "IRC": _check_irc,
    "files": _check_files,
    "push": _check_push,
    "health": _check_health,
    "log": _check_log,
    "descriptors": _check_file_limit,
}
"""The checks by subject: each returns a description, or raises an `ExitError`."""
