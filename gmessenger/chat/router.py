"""The router: the shared dict of outboxes by name, which is the only way a message reaches anybody."""

from __future__ import annotations

from collections.abc import Iterator

from gmessenger.chat.outbox import Outbox
from gmessenger.chat.session import Session


class Router:
    """Who is here, and where what is meant for them goes. Names are given folded."""

    def __init__(self) -> None:
        self.outboxes: dict[str, tuple[Outbox, ...]] = {}
        self._sessions: dict[str, list[Session]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.outboxes

    def __iter__(self) -> Iterator[Session]:
        """Every session, those of earlier names first."""
        for sessions in list(self._sessions.values()):
            yield from sessions

    def sessions(self, key: str) -> list[Session]:
        return self._sessions.get(key, [])

    def add(self, session: Session) -> None:
        self._sessions.setdefault(session.key, []).append(session)
        self._publish(session.key)

    def remove(self, session: Session) -> bool:
        """Take a session out; says whether it was in."""
        sessions = self._sessions.get(session.key, [])
        if session not in sessions:
            return False
        sessions.remove(session)
        self._publish(session.key)
        return True

    def _publish(self, key: str) -> None:
        sessions = self._sessions.get(key)
        if sessions:
            self.outboxes[key] = tuple(session.outbox for session in sessions)
        else:
            self._sessions.pop(key, None)
            self.outboxes.pop(key, None)
