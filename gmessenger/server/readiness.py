"""Readiness: whether a message that came now would be stored."""

from __future__ import annotations

from collections.abc import Callable

from gevent import Greenlet

from gmessenger.chat.contract import Store
from gmessenger.errors import StoreUnavailable
from gmessenger.server.watch import Watch

STOPPING = "The server is stopping."


class Readiness:
    """Has the store write something: that it can be read says nothing of a disk that is full.

    The store is asked once at a time, however many want to know, so that asking costs a commit at most.
    """

    def __init__(self, store: Store, timeout: float, stopping: Callable[[], bool], watch: Watch) -> None:
        self._store = store
        self._timeout = timeout
        self._stopping = stopping
        self._watch = watch
        self._asking: Greenlet[..., object] | None = None

    def fault(self) -> str:
        """Why the server is not ready, as a sentence; empty where it is."""
        if self._stopping():
            return STOPPING
        if self._asking is None:
            self._asking = self._watch.spawn("readiness", self._ask)
        asking = self._asking
        asking.join(self._timeout)
        if not asking.ready():
            return f"The store has not answered for {self._timeout:g} s."
        return str(asking.value) if asking.successful() else "The store could not be queried; see the log."

    def stop(self) -> None:
        """Nobody wants to know any more."""
        if self._asking is not None:
            self._asking.kill(block=False)

    def _ask(self) -> str:
        try:
            self._store.check()
        except StoreUnavailable as error:
            return str(error)
        else:
            return ""
        finally:
            self._asking = None
