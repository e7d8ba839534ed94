"""The sessions of guests: the tokens that resume them, and the names that no other may resemble meanwhile."""

from __future__ import annotations

from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.peers import Peers
from gmessenger.chat.session import Session


class GuestSessions:
    """Holds the sessions of guests by token. (An account's token is in the store.) No method blocks.

    A name itself is in use while the router, of this node or another, has a session of it.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._sessions_by_token: dict[str, Session] = {}
        self._names = ConfusableIndex()

    def __len__(self) -> int:
        return len(self._sessions_by_token)

    def add(self, session: Session) -> None:
        """Add a session that has logged in, unless it is an account's. No new name may look like its name now."""
        if session.account is None:
            self._sessions_by_token[session.token] = session
            self._names.add(session.name)

    def remove(self, session: Session) -> None:
        """Remove a session that has ended; on a cluster, release its name."""
        if self._sessions_by_token.get(session.token) is session:  # its successor has the same token
            del self._sessions_by_token[session.token]
            self._names.discard(session.name)
        if session.account is None:
            self._peers.release(session.key)

    def rename(self, session: Session, former_name: str) -> None:
        """Take note that a guest has another name."""
        self._names.discard(former_name)
        self._names.add(session.name)

    def check_other_name(self, session: Session, name: str) -> None:
        """Raise `NameConfusable` if a guest's other name can be mistaken for that of another guest."""
        self._names.discard(session.name)
        try:
            self._names.check(name)
        finally:
            self._names.add(session.name)

    def promote(self, session: Session) -> None:
        """Take note that a guest's name has become an account's. Its token is removed when the session ends."""
        self._names.discard(session.name)

    def find(self, token: str | None, key: str) -> Session | None:
        """Return the session that a token resumes, if it has this folded name."""
        session = self._sessions_by_token.get(token) if token else None
        return session if session is not None and session.key == key else None

    def has_token(self, token: str) -> bool:
        """Return whether a token resumes a session."""
        return token in self._sessions_by_token

    def check_not_confusable(self, name: str) -> None:
        """Raise `NameConfusable` if a name can be mistaken for that of a guest who is logged in."""
        self._names.check(name)
