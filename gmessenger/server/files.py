"""How many files the process may have open: each connection is one, and the usual limit is low."""

from __future__ import annotations

import sys
from typing import Final

from gmessenger import logs

BESIDE_CONNECTIONS: Final = 256


def needed(connections: int) -> int:
    """Files that a server with so many connections has open."""
    return connections + BESIDE_CONNECTIONS


def most() -> int | None:
    """Files that the process could have open at the most; None where there is no limit."""
    if sys.platform == "win32":
        return None
    import resource

    try:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    except OSError:  # the system does not tell
        return None
    return None if hard == resource.RLIM_INFINITY else hard


def raise_limit(connections: int) -> None:
    """Let the process open what it needs, as far as the system allows; the log says where that is not enough."""
    if sys.platform == "win32":
        return
    import resource

    wanted = needed(connections)
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # the system does not tell, and has limits all the same
        return
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    limit = max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):
        limit = soft
    if limit < wanted:
        logs.event("file_limit", limit=limit, wanted=wanted)
