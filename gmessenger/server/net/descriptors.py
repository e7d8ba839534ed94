"""The limit of open files: each connection is one, and the usual limit is low."""

from __future__ import annotations

import sys
from typing import Final

from gmessenger import log

RESERVED_DESCRIPTORS: Final = 256
"""Files besides connections: store, log, listeners, and a reserve."""
MAX_SPARE_DESCRIPTORS: Final = 64
"""Descriptors not given to connections; of a small limit, a quarter."""


def descriptors_needed(connections: int) -> int:
    """Return the number of files that a server with so many connections has open."""
    return connections + RESERVED_DESCRIPTORS


def soft_limit() -> int | None:
    """Return the present limit of open files; None if there is none, or it is unknown."""
    if sys.platform == "win32":
        return None
    import resource

    try:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return None
    return None if soft == resource.RLIM_INFINITY else soft


def is_near_limit(fd: int) -> bool:
    """Return whether a new descriptor leaves too few for the store, the log and rejections.

    The system always gives out the lowest free descriptor, so its number tells how many are in use.
    """
    limit = soft_limit()
    return limit is not None and fd >= limit - min(MAX_SPARE_DESCRIPTORS, limit // 4)


def hard_limit() -> int | None:
    """Return the limit that the process may raise its own to; None if there is none, or it is unknown."""
    if sys.platform == "win32":
        return None
    import resource

    try:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    except OSError:  # unknown
        return None
    return None if hard == resource.RLIM_INFINITY else hard


def raise_soft_limit(connections: int) -> None:
    """Raise the limit of open files to what so many connections need, or log how far it goes."""
    if sys.platform == "win32":
        return
    import resource

    wanted = descriptors_needed(connections)
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # unknown, which does not mean that there is none
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
