"""Dismissal: sessions that may be here no more are told why and closed once they have read it."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.chat.model import Dismissed
from gmessenger.chat.router import Router
from gmessenger.chat.session import Session
from gmessenger.errors import WireError


class Dismissal:
    """`logout` takes a session out of everything that knows it; it is the messenger's."""

    def __init__(self, router: Router, logout: Callable[[Session], bool], clock: Callable[[], float]) -> None:
        self._router = router
        self._logout = logout
        self._clock = clock

    def one(self, session: Session, error: WireError) -> None:
        """End a session; a course client is closed without a word, as it asked for none."""
        self._logout(session)
        if session.told:
            session.outbox.insist(Dismissed(error, self._clock()))
        session.outbox.finish()

    def everybody(self, key: str, error: WireError, but: Session | None = None) -> int:
        """End every session of a name; says how many."""
        sessions = [session for session in self._router.sessions(key) if session is not but]
        for session in sessions:
            self.one(session, error)
        return len(sessions)
