"""How many files the process may have open: each connection is one, and the usual limit is low."""

from __future__ import annotations

import sys
from typing import Final

from gmessenger import log

RESERVED_DESCRIPTORS: Final = 256
MAX_SPARE_DESCRIPTORS: Final = 64
"""Descriptors that are not given to connections, of a limit that is not tiny."""


def descriptors_needed(connections: int) -> int:
    """Files that a server with so many connections has open."""
    return connections + RESERVED_DESCRIPTORS


def soft_limit() -> int | None:
    """Files that the process may have open now; None where there is no limit, or the system does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    try:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return None
    return None if soft == resource.RLIM_INFINITY else soft


def is_near_limit(fd: int) -> bool:
    """Whether a descriptor leaves too few: the store, the log and who is turned away need some. The lowest that is
    free is always the one that is given.
    """
    limit = soft_limit()
    return limit is not None and fd >= limit - min(MAX_SPARE_DESCRIPTORS, limit // 4)


def hard_limit() -> int | None:
    """Files that the process could have open at the most; None where there is no limit."""
    if sys.platform == "win32":
        return None
    import resource

    try:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    except OSError:  # the system does not tell
        return None
    return None if hard == resource.RLIM_INFINITY else hard


def raise_soft_limit(connections: int) -> None:
    """Let the process open what it needs, as far as the system allows; the log says where that is not enough."""
    if sys.platform == "win32":
        return
    import resource

    wanted = descriptors_needed(connections)
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
        log.log_event("file_limit", limit=limit, wanted=wanted)
