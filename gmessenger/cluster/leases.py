"""Leases: a guest's name is one guest's in the whole cluster, for as long as the node lives where that guest is."""

from __future__ import annotations

from collections.abc import Callable
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


class Leases:
    """Claims and releases block, each name's one after the other; `run` renews what is held."""

    def __init__(self, store: SharedStore, router: Router, dismissal: Dismissal, steady: Callable[[], float]) -> None:
        self._store = store
        self._router = router
        self._dismissal = dismissal
        self._steady = steady
        self._turns = tuple(BoundedSemaphore() for _ in range(TURNS))
        self._releasing: dict[str, None] = {}
        self._wanted = Event()
        self._stopped = False
        self._renewed = steady()

    def claim(self, key: str, token: str, resumed: str | None) -> bool:
        """As `SharedStore.claim`; also raises `NameInUse` for the name of a guest who is here.

        One who has left another node a moment ago may hold the name there still: it is asked for again.
        """
        for pause in LEAVING_TAKES:
            try:
                return self._claim(key, token, resumed)
            except NameInUse:
                if self._router.sessions(key):
                    raise
            gevent.sleep(pause)
        return self._claim(key, token, resumed)

    def _claim(self, key: str, token: str, resumed: str | None) -> bool:
        with self._turn(key):
            self._releasing.pop(key, None)
            if self._router.sessions(key):
                raise NameInUse
            return self._store.claim(key, token, resumed)

    def release(self, key: str) -> None:
        """The guest of that name has left; should another come at once, the name is kept."""
        self._releasing[key] = None
        self._wanted.set()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()

    def run(self) -> None:
        """Renew and release until `stop`."""
        due = self._steady()
        while not self._stopped:
            self._wanted.wait(max(0.0, due - self._steady()))
            self._wanted.clear()
            try:
                self._release_some()
                if self._steady() >= due:
                    due = self._steady() + EVERY
                    self._renew()
            except StoreUnavailable:
                due = self._steady() + 1.0
                self._give_up()

    def _release_some(self) -> None:
        while self._releasing:
            key = next(iter(self._releasing))
            with self._turn(key):
                if key in self._releasing and not _guests(self._router, key):
                    self._store.release(key)
                self._releasing.pop(key, None)

    def _renew(self) -> None:
        held = set(self._store.beat())
        self._renewed = self._steady()
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
        """The lease was over before it could be renewed; the name may be somebody else's by now."""
        if session not in self._router.sessions(key):  # it has left since
            return
        try:
            self._store.claim(key, session.token, session.token)
        except StoreUnavailable:
            raise
        except WireError as error:
            self._dismissal.one(session, error)

    def _give_up(self) -> None:
        """Without a lease nobody may use these names here: elsewhere somebody may have come under them."""
        if self._steady() - self._renewed < LEASE:
            return
        guests = [session for session in self._router if session.account is None]
        if guests:
            logs.event("leases_lost", count=len(guests))
        for session in guests:
            self._dismissal.one(session, NameInUse("The server cannot hold your name any more; come back."))


def _guests(router: Router, key: str) -> bool:
    return any(session.account is None for session in router.sessions(key))
