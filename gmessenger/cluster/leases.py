"""Leases on guest names: a name belongs to one guest of the cluster while the guest's node lives."""

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
from gmessenger.cluster.interfaces import SharedStore
from gmessenger.constants import LEASE_TTL, STORE_RETRY_DELAY
from gmessenger.errors import NameInUse, StoreUnavailable, WireError

RENEW_INTERVAL: Final = LEASE_TTL / 6
"""Seconds between two renewals."""
LOCK_STRIPES: Final = 64
"""Number of locks that all names share by hash: one per name would have to be discarded at the right moment."""
CLAIM_RETRY_DELAYS: Final = (0.02, 0.05, 0.1, 0.2)
"""Seconds between the attempts to claim a name that is in use."""
RELEASE_BATCH: Final = 1000  # names freed at one time, so that the next renewal is not delayed
WATCHDOG_INTERVAL: Final = 1.0  # seconds


class LeaseKeeper:
    """Claims, renews and frees the guest names of this node.

    `claim` blocks; claims of one name are serialized. `renew_loop` and `watchdog` each run in a greenlet of their own.
    """

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

    def claim(self, session: Session, resumed_token: str | None, key: str) -> None:
        """Implement `Peers.claim`; also raises `NameInUse` for the name of another guest on this node.

        Retries `CLAIM_RETRY_DELAYS`: a node that the guest has just left may not have freed the name yet.
        """
        for delay in CLAIM_RETRY_DELAYS:
            try:
                return self._claim(session, resumed_token, key)
            except NameInUse:
                if key in self._router:
                    raise
            gevent.sleep(delay)
        return self._claim(session, resumed_token, key)

    def _claim(self, session: Session, resumed_token: str | None, key: str) -> None:
        with self._lock_for(key):
            self._releasing.pop(key, None)
            if any(other.account is not None or other.token != resumed_token for other in self._router.sessions(key)):
                raise NameInUse
            rooms = frozenset(self._router.peers.rooms_of(key))  # before the other node takes the guest out of them
            started_at = self._monotonic()
            claim = self._store.claim_name(key, session.token, resumed_token)
            self._renewed_at = max(started_at, self._renewed_at)  # a claim renews the lease of the node
            if claim.was_taken_over and resumed_token is not None:
                session.token = resumed_token
                session.former_rooms = rooms
            session.sync.set_heads(claim.heads)

    def release(self, key: str) -> None:
        """Free a name whose guest has left, in the background. A claim before that keeps it."""
        self._releasing[key] = None
        self._wakeup.set()

    def stop(self) -> None:
        """Have `renew_loop` and `watchdog` return."""
        self._stopped.set()
        self._wakeup.set()

    def renew_loop(self) -> None:
        """Renew the leases and free names until `stop`."""
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
        """Until `stop`, close all guests if the lease cannot be renewed: other nodes may get their names."""
        while not self._stopped.wait(WATCHDOG_INTERVAL):
            if self._monotonic() - self._renewed_at > LEASE_TTL - 2 * WATCHDOG_INTERVAL:
                self._close_guests()

    def _release_batch(self) -> None:
        keys = [key for key in list(self._releasing)[:RELEASE_BATCH] if not self._lock_for(key).locked()]
        with ExitStack() as locks:
            for lock in {id(self._lock_for(key)): self._lock_for(key) for key in keys}.values():
                locks.enter_context(lock)
            free = [key for key in keys if key in self._releasing and not _has_guests(self._router, key)]
            if free:
                self._store.release_names(free)
            for key in keys:
                self._releasing.pop(key, None)
        if self._releasing:
            self._wakeup.set()

    def _renew(self) -> None:
        started_at = self._monotonic()
        held = set(self._store.renew_leases())
        self._renewed_at = max(started_at, self._renewed_at)
        guests = {session.key: session for session in self._router if session.account is None}
        for key, session in guests.items():
            if key not in held:
                self._claim_again(key, session)
        for key in held - guests.keys():
            if not self._lock_for(key).locked():  # else a login with that name is under way
                self.release(key)

    def _lock_for(self, key: str) -> BoundedSemaphore:
        return self._locks[hash(key) % LOCK_STRIPES]

    def _claim_again(self, key: str, session: Session) -> None:
        """Claim a name whose lease has expired; close the session if it now belongs to another node."""
        with self._lock_for(key):
            if session not in self._router.sessions(key):  # the guest has left meanwhile
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
