"""The router: the shared dict of outboxes by name, which is the only way a message reaches anybody here."""

from __future__ import annotations

from collections.abc import Iterator

from gmessenger.chat.elsewhere import Elsewhere
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.session import Session


class Router:
    """Who is here, and where what is meant for them goes; and who is `elsewhere`. Names are given folded."""

    def __init__(self, elsewhere: Elsewhere | None = None) -> None:
        self.outboxes: dict[str, tuple[Outbox, ...]] = {}
        self.elsewhere = elsewhere or Elsewhere()
        self._sessions: dict[str, list[Session]] = {}

    def __contains__(self, key: str) -> bool:
        """Whether somebody of that name is present, wherever that is."""
        return key in self.outboxes or key in self.elsewhere

    def __len__(self) -> int:
        """How many names are present, wherever that is."""
        return len(self.outboxes) + len(self.elsewhere.shown)

    def __iter__(self) -> Iterator[Session]:
        """Every session here, those of earlier names first."""
        for sessions in list(self._sessions.values()):
            yield from sessions

    @property
    def names(self) -> dict[str, str]:
        """Who is present, wherever that is: names as shown, by their folded form."""
        there = {key: next(iter(shown.values())).name for key, shown in self.elsewhere.shown.items()}
        return there | {key: outboxes[0].name for key, outboxes in self.outboxes.items()}

    def sessions(self, key: str) -> list[Session]:
        """Those of a name that are here."""
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
        self.elsewhere.showing(key)
