"""Leases: a guest's name is one guest's in the whole cluster, for as long as the node lives where that guest is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from gmessenger import log
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.session import Session
from gmessenger.cluster.interfaces import LEASE_TTL, SharedStore
from gmessenger.errors import NameInUse, StoreUnavailable, WireError

RENEW_INTERVAL: Final = LEASE_TTL / 6
"""Seconds between two beats."""
LOCK_STRIPES: Final = 64
CLAIM_RETRY_DELAYS: Final = (0.02, 0.05, 0.1, 0.2)
"""Seconds between the tries to have a name that is in use."""
RELEASE_BATCH: Final = 1000
WATCHDOG_INTERVAL: Final = 1.0
STORE_RETRY_DELAY: Final = 1.0


class LeaseKeeper:
    """Claims block, each name's one after the other; `run` renews what is held, `guard` what cannot be renewed."""

    def __init__(
        self,
        store: SharedStore,
        router: Router,
        session_closer: SessionCloser,
        monotonic: Callable[[], float],
        on_error: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._router = router
        self._session_closer = session_closer
        self._monotonic = monotonic
        self._on_error = on_error
        self._locks = tuple(BoundedSemaphore() for _ in range(LOCK_STRIPES))
        self._releasing: dict[str, None] = {}
        self._wakeup = Event()
        self._stopped = Event()
        self._renewed_at = monotonic()

    def claim(self, session: Session, resumed_token: str | None) -> None:
        """As `Elsewhere.claim`; also raises `NameInUse` for the name of another guest who is here.

        One who has left another node a moment ago may hold the name there still: it is asked for again.
        """
        for pause in CLAIM_RETRY_DELAYS:
            try:
                return self._claim(session, resumed_token)
            except NameInUse:
                if session.key in self._router:
                    raise
            gevent.sleep(pause)
        return self._claim(session, resumed_token)

    def _claim(self, session: Session, resumed_token: str | None) -> None:
        key = session.key
        with self._lock_for(key):
            self._releasing.pop(key, None)
            if any(other.account is not None or other.token != resumed_token for other in self._router.sessions(key)):
                raise NameInUse
            began = self._monotonic()
            claim = self._store.claim_name(key, session.token, resumed_token)
            self._renewed_at = max(began, self._renewed_at)  # whoever claims, lives
            if claim.was_taken_over and resumed_token is not None:
                session.token = resumed_token
            session.delivered |= claim.heads

    def release(self, key: str) -> None:
        """The guest of that name has left; should another come at once, the name is kept."""
        self._releasing[key] = None
        self._wakeup.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wakeup.set()

    def renew_loop(self) -> None:
        """Renew and release until `stop`."""
        due = self._monotonic()
        while not self._stopped.is_set():
            self._wakeup.wait(max(0.0, due - self._monotonic()))
            self._wakeup.clear()
            try:
                if self._monotonic() >= due:
                    due = self._monotonic() + RENEW_INTERVAL
                    self._renew()
                self._release_batch()
            except StoreUnavailable:
                due = self._monotonic() + STORE_RETRY_DELAY
            except Exception as failure:
                self._on_error("leases", failure)
                due = self._monotonic() + STORE_RETRY_DELAY

    def watchdog(self) -> None:
        """Until `stop`: without a lease nobody may use these names here, since others may have them by now."""
        while not self._stopped.wait(WATCHDOG_INTERVAL):
            if self._monotonic() - self._renewed_at > LEASE_TTL - 2 * WATCHDOG_INTERVAL:
                self._close_guests()

    def _release_batch(self) -> None:
        """At most so many at a time: the next beat must not be late for them."""
        keys = [key for key in list(self._releasing)[:RELEASE_BATCH] if not self._lock_for(key).locked()]
        with ExitStack() as turns:
            for turn in {id(self._lock_for(key)): self._lock_for(key) for key in keys}.values():
                turns.enter_context(turn)
            free = [key for key in keys if key in self._releasing and not _has_guests(self._router, key)]
            if free:
                self._store.release_names(free)
            for key in keys:
                self._releasing.pop(key, None)
        if self._releasing:
            self._wakeup.set()

    def _renew(self) -> None:
        began = self._monotonic()
        held = set(self._store.renew_leases())
        self._renewed_at = max(began, self._renewed_at)
        here = {session.key: session for session in self._router if session.account is None}
        for key, session in here.items():
            if key not in held:
                self._claim_again(key, session)
        for key in held - here.keys():
            if not self._lock_for(key).locked():  # else somebody is coming under it
                self.release(key)

    def _lock_for(self, key: str) -> BoundedSemaphore:
        """Names share turns: a semaphore for each would have to be thrown away at the right moment."""
        return self._locks[hash(key) % LOCK_STRIPES]

    def _claim_again(self, key: str, session: Session) -> None:
        """The lease was over before it could be renewed, or its guest has gone elsewhere with it."""
        with self._lock_for(key):
            if session not in self._router.sessions(key):  # it has left since
                return
            try:
                self._store.claim_name(key, session.token, None)
            except StoreUnavailable:
                raise
            except WireError as error:
                self._session_closer.close(session, error)

    def _close_guests(self) -> None:
        guests = [session for session in self._router if session.account is None]
        if guests:
            log.log_event("leases_lost", count=len(guests))
        for session in guests:
            self._session_closer.close(session, NameInUse("The server can no longer reserve your name; connect again."))


def _has_guests(router: Router, key: str) -> bool:
    return any(session.account is None for session in router.sessions(key))
