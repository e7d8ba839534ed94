"""Leases: a guest's name is one guest's in the whole cluster, for as long as the node lives where that guest is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from gmessenger import logs
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.cluster.contract import LEASE, SharedStore
from gmessenger.errors import NameInUse, StoreUnavailable, WireError

EVERY: Final = LEASE / 6
"""Seconds between two beats."""
TURNS: Final = 64
LEAVING_TAKES: Final = (0.02, 0.05, 0.1, 0.2)
"""Seconds between the tries to have a name that is in use."""
RELEASED_AT_ONCE: Final = 1000
GUARDED_EVERY: Final = 1.0
STORE_PAUSE: Final = 1.0


class Leases:
    """Claims block, each name's one after the other; `run` renews what is held, `guard` what cannot be renewed."""

    def __init__(
        self,
        store: SharedStore,
        router: Router,
        dismissal: Dismissal,
        steady: Callable[[], float],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._store = store
        self._router = router
        self._dismissal = dismissal
        self._steady = steady
        self._failed = failed
        self._turns = tuple(BoundedSemaphore() for _ in range(TURNS))
        self._releasing: dict[str, None] = {}
        self._wanted = Event()
        self._stopped = Event()
        self._renewed = steady()

    def claim(self, session: Session, resumed: str | None) -> None:
        """As `Elsewhere.claim`; also raises `NameInUse` for the name of another guest who is here.

        One who has left another node a moment ago may hold the name there still: it is asked for again.
        """
        for pause in LEAVING_TAKES:
            try:
                return self._claim(session, resumed)
            except NameInUse:
                if session.key in self._router:
                    raise
            gevent.sleep(pause)
        return self._claim(session, resumed)

    def _claim(self, session: Session, resumed: str | None) -> None:
        key = session.key
        with self._turn(key):
            self._releasing.pop(key, None)
            if any(other.account is not None or other.token != resumed for other in self._router.sessions(key)):
                raise NameInUse
            began = self._steady()
            claim = self._store.claim(key, session.token, resumed)
            self._renewed = max(began, self._renewed)  # whoever claims, lives
            if claim.taken and resumed is not None:
                session.token = resumed
            session.sent |= claim.heads

    def release(self, key: str) -> None:
        """The guest of that name has left; should another come at once, the name is kept."""
        self._releasing[key] = None
        self._wanted.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wanted.set()

    def run(self) -> None:
        """Renew and release until `stop`."""
        due = self._steady()
        while not self._stopped.is_set():
            self._wanted.wait(max(0.0, due - self._steady()))
            self._wanted.clear()
            try:
                if self._steady() >= due:
                    due = self._steady() + EVERY
                    self._renew()
                self._release_some()
            except StoreUnavailable:
                due = self._steady() + STORE_PAUSE
            except Exception as failure:
                self._failed("leases", failure)
                due = self._steady() + STORE_PAUSE

    def guard(self) -> None:
        """Until `stop`: without a lease nobody may use these names here, since others may have them by now."""
        while not self._stopped.wait(GUARDED_EVERY):
            if self._steady() - self._renewed > LEASE - 2 * GUARDED_EVERY:
                self._give_up()

    def _release_some(self) -> None:
        """At most so many at a time: the next beat must not be late for them."""
        keys = [key for key in list(self._releasing)[:RELEASED_AT_ONCE] if not self._turn(key).locked()]
        with ExitStack() as turns:
            for turn in {id(self._turn(key)): self._turn(key) for key in keys}.values():
                turns.enter_context(turn)
            free = [key for key in keys if key in self._releasing and not _guests(self._router, key)]
            if free:
                self._store.release(free)
            for key in keys:
                self._releasing.pop(key, None)
        if self._releasing:
            self._wanted.set()

    def _renew(self) -> None:
        began = self._steady()
        held = set(self._store.beat())
        self._renewed = max(began, self._renewed)
        here = {session.key: session for session in self._router if session.account is None}
        for key, session in here.items():
            if key not in held:
                self._claim_again(key, session)
        for key in held - here.keys():
            if not self._turn(key).locked():  # else somebody is coming under it
                self.release(key)

    def _turn(self, key: str) -> BoundedSemaphore:
        """Names share turns: a semaphore for each would have to be thrown away at the right moment."""
        return self._turns[hash(key) % TURNS]

    def _claim_again(self, key: str, session: Session) -> None:
        """The lease was over before it could be renewed, or its guest has gone elsewhere with it."""
        with self._turn(key):
            if session not in self._router.sessions(key):  # it has left since
                return
            try:
                self._store.claim(key, session.token, None)
            except StoreUnavailable:
                raise
            except WireError as error:
                self._dismissal.one(session, error)

    def _give_up(self) -> None:
        guests = [session for session in self._router if session.account is None]
        if guests:
            logs.event("leases_lost", count=len(guests))
        for session in guests:
            self._dismissal.one(session, NameInUse("The server can no longer reserve your name; connect again."))


def _guests(router: Router, key: str) -> bool:
    return any(session.account is None for session in router.sessions(key))
