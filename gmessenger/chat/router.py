"""The router: the shared dict of outboxes by name, which is the only way a message reaches anybody."""

from __future__ import annotations

from collections.abc import Iterator

from gmessenger.chat.model import Parcel
from gmessenger.chat.session import Outbox, Session


class Router:
    """Who is here, and where what is meant for them goes. Names are given folded."""

    def __init__(self) -> None:
        self.outboxes: dict[str, tuple[Outbox, ...]] = {}
        self._sessions: dict[str, list[Session]] = {}
        # A page of the users list must not cost a walk through all of them.
        self._count = 0

    def __len__(self) -> int:
        return self._count

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
        self._count += 1
        self._publish(session.key)

    def remove(self, session: Session) -> bool:
        """Take a session out; says whether it was in."""
        sessions = self._sessions.get(session.key, [])
        if session not in sessions:
            return False
        sessions.remove(session)
        self._count -= 1
        self._publish(session.key)
        return True

    def deliver(self, key: str, parcel: Parcel) -> bool:
        """Put a parcel into every outbox of a name; says whether any took it."""
        taken = False
        for outbox in self.outboxes.get(key, ()):
            taken = outbox.offer(parcel) or taken
        return taken

    def _publish(self, key: str) -> None:
        sessions = self._sessions.get(key)
        if sessions:
            self.outboxes[key] = tuple(session.outbox for session in sessions)
        else:
            self._sessions.pop(key, None)
            self.outboxes.pop(key, None)
