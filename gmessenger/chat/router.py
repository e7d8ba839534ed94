"""The router: the shared dict of outboxes by name, which is the only way a message reaches anybody here.

Dismissal: sessions that may be here no more are told why and closed once they have read it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gmessenger.chat.outbox import Outbox, SessionClosed
from gmessenger.chat.peers import Peers
from gmessenger.chat.session import Session
from gmessenger.errors import WireError


class Router:
    """Who is here, and where what is meant for them goes; and who is `elsewhere`. Names are given folded."""

    def __init__(self, peers: Peers | None = None) -> None:
        self.outboxes: dict[str, tuple[Outbox, ...]] = {}
        self.peers = peers or Peers()
        self._sessions: dict[str, list[Session]] = {}

    def __contains__(self, key: str) -> bool:
        """Whether somebody of that name is present, wherever that is."""
        return key in self.outboxes or key in self.peers

    def __len__(self) -> int:
        """How many names are present, wherever that is."""
        return len(self.outboxes) + len(self.peers.presences)

    def __iter__(self) -> Iterator[Session]:
        """Every session here, those of earlier names first."""
        for sessions in list(self._sessions.values()):
            yield from sessions

    @property
    def names(self) -> dict[str, str]:
        """Who is present, wherever that is: names as shown, by their folded form."""
        there = {key: next(iter(shown.values())).name for key, shown in self.peers.presences.items()}
        return there | {key: sessions[0].name for key, sessions in self._sessions.items()}

    def sessions(self, key: str) -> list[Session]:
        """Those of a name that are here."""
        return self._sessions.get(key, [])

    def add(self, session: Session) -> None:
        self._sessions.setdefault(session.key, []).append(session)
        self._refresh(session.key)

    def remove(self, session: Session) -> bool:
        """Take a session out; says whether it was in."""
        sessions = self._sessions.get(session.key, [])
        if session not in sessions:
            return False
        sessions.remove(session)
        self._refresh(session.key)
        return True

    def _refresh(self, key: str) -> None:
        sessions = self._sessions.get(key)
        if sessions:
            self.outboxes[key] = tuple(session.outbox for session in sessions)
        else:
            self._sessions.pop(key, None)
            self.outboxes.pop(key, None)
        self.peers.presence_changed(key)


class SessionCloser:
    """`logout` takes a session out of everything that knows it; it is the messenger's."""

    def __init__(self, router: Router, logout: Callable[[Session], bool], clock: Callable[[], float]) -> None:
        self._router = router
        self._logout = logout
        self._clock = clock

    def close(self, session: Session, error: WireError) -> None:
        """End a session; a course client is closed without a word, as it asked for none."""
        self._logout(session)
        if session.accepts_push:
            session.outbox.push(SessionClosed(error, self._clock()))
        session.outbox.close_after_drain()

    def close_all(self, key: str, error: WireError, except_session: Session | None = None) -> int:
        """End every session of a name; says how many."""
        sessions = [session for session in self._router.sessions(key) if session is not except_session]
        for session in sessions:
            self.close(session, error)
        return len(sessions)
