"""What servers of a cluster share, looked at by `--check`: the database and the Redis. Nothing is changed there."""

from __future__ import annotations

from typing import Final

from gmessenger.bus import try_bus
from gmessenger.errors import ConfigProblem
from gmessenger.options import ServerOptions
from gmessenger.store import POSTGRES, taking_a_library

OF_ITS_OWN: Final = 5
"""Connections that a server has to its database, besides those that the option names: one that writes messages, two for
what it asks for itself, and two that search."""


def store(options: ServerOptions) -> str:
    """How the database is that the options name. Raises `FileProblem` or `ConfigProblem`."""
    with taking_a_library():
        from gmessenger.store.postgres.inspecting import inspect_database
        from gmessenger.store.postgres.schema import VERSION

    found = inspect_database(options.store_url)
    needed = (found.nodes + 1) * (options.store_connections + OF_ITS_OWN)
    if found.connections < needed:
        raise ConfigProblem(
            f"The store {found.shown} lets in {found.connections} connections (max_connections), and "
            f"{found.nodes + 1} servers with --store-connections {options.store_connections} take {needed}."
        )
    told = [found.shown, f"PostgreSQL {found.server}"]
    if found.schema is None:
        told += ["where the tables would be created"]
    else:
        newer = f", to be migrated to {VERSION}" if found.schema < VERSION else ""
        told += [
            f"schema {found.schema}{newer}",
            f"{found.size / 1e6:.1f} MB",
            f"servers that use it now: {found.nodes}",
        ]
    if found.off:
        told += [
            f"WARNING: it does not wait for disk writes ({', '.join(found.off)}), "
            "so acknowledged messages may be lost if the machine fails"
        ]
    return ", ".join(told)


def bus(options: ServerOptions) -> str:
    """How the Redis is that the options name. Raises `ConfigProblem` or `Unreachable`."""
    shared = options.store_url.startswith(POSTGRES)
    if not options.bus:
        return (
            "none; changes by other servers are polled from the store"
            if shared
            else "none, for a server without a cluster"
        )
    if not shared:
        raise ConfigProblem("--bus is for servers that share a store: it needs --store postgresql://….")
    return try_bus(options.bus)
