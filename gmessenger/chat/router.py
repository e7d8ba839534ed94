"""The router: which local sessions a name has; and how sessions are ended by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from gmessenger import log
from gmessenger.chat.outbound import SessionClosed
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.peers import Peers
from gmessenger.chat.records import Account
from gmessenger.chat.session import Session
from gmessenger.errors import PasswordRequired, WireError

PresenceWatcher: TypeAlias = Callable[[str, str, bool], object]
"""Called with the folded name, the name as shown, and whether it is online now. It must not block."""


class Router:
    """Maps each folded name to its local sessions and their outboxes; `peers` knows the names on other nodes.

    `outboxes` and `shown_names`, those of the earliest sessions, and `local_sessions` are read by key for each message,
    so they are plain dicts; only the router changes them. Nothing here yields.

    `watchers` are called at once when a name comes online or goes offline: with its first session on any node, and when
    the last is gone. One session that replaces another is no change. `rights_watchers` are called with a session that
    has lost or got the rights of an operator, other than by its own doing. Neither may block.
    """

    def __init__(self, peers: Peers | None = None) -> None:
        self.outboxes: dict[str, tuple[Outbox, ...]] = {}
        self.shown_names: dict[str, str] = {}
        self.peers = peers or Peers()
        self.watchers: list[PresenceWatcher] = []
        self.rights_watchers: list[Callable[[Session], object]] = []
        self.local_sessions: dict[str, list[Session]] = {}
        self._replaced: set[str] = set()
        self._acting: set[Session] = set()

    def __contains__(self, key: str) -> bool:
        """Whether a name is online, on any node."""
        return key in self.outboxes or key in self.peers

    def __len__(self) -> int:
        """The number of names that are online, on any node."""
        return len(self.outboxes) + len(self.peers.presences)

    def __iter__(self) -> Iterator[Session]:
        """Iterate over the local sessions, those of names that logged in earlier first. Sessions may end meanwhile."""
        for sessions in list(self.local_sessions.values()):
            yield from sessions

    @property
    def names(self) -> dict[str, str]:
        """The names that are online, on any node, as shown, by key."""
        remote = {key: next(iter(by_node.values())).name for key, by_node in self.peers.presences.items()}
        return remote | self.shown_names

    def name(self, key: str) -> str | None:
        """Return a folded name that is online, on any node, as shown; None if it is not."""
        remote = self.peers.latest(key)
        return self.shown_names.get(key) or (remote.name if remote is not None else None)

    def public_key(self, key: str) -> str:
        """Return the public key of a name on any node; empty if there is none."""
        local = next((session.public_key for session in self.sessions(key) if session.public_key), "")
        remote = self.peers.latest(key)
        return local or (remote.public_key if remote is not None else "")

    def sessions(self, key: str) -> list[Session]:
        """Return the local sessions of a name, the earliest login first. Do not change the list."""
        return self.local_sessions.get(key, [])

    def latest_session(self, key: str) -> Session | None:
        """Return the local session whose status is that of its name: the latest, if it is not unattended."""
        sessions = self.local_sessions.get(key)
        if not sessions:
            return None
        if not sessions[-1].is_unattended:  # nearly always
            return sessions[-1]
        return next((session for session in reversed(sessions) if not session.is_unattended), sessions[-1])

    def devices(self, key: str) -> set[int]:
        """Return the ids of the devices with which an account is online, on any node."""
        local = {session.device.id for session in self.sessions(key) if session.device is not None}
        return local.union(self.peers.devices_of(key))

    def add(self, session: Session) -> None:
        """Add a session that has logged in; from now on it gets what is sent to its name."""
        key, was_online = session.key, session.key in self
        self.local_sessions.setdefault(key, []).append(session)
        self._refresh(key)
        if key in self._replaced:
            self._replaced.remove(key)
        else:
            self.notify_watchers(key, session.name, was_online)

    def remove(self, session: Session, *, is_replaced: bool = False) -> bool:
        """Remove a session. Returns True if it was there. `is_replaced`: another of its name is added right away."""
        sessions = self.local_sessions.get(session.key, [])
        if session not in sessions:
            return False
        sessions.remove(session)
        self._acting.discard(session)
        self._refresh(session.key)
        if is_replaced and session.key not in self:
            self._replaced.add(session.key)
        else:
            self.notify_watchers(session.key, session.name, was_online=True)
        return True

    def rename(self, session: Session, key: str, name: str) -> None:
        """Give a session that is here another name.

        Other nodes see the new one first: a room is not empty in between.
        """
        former_key, former_name, was_online = session.key, session.name, key in self
        self.local_sessions[former_key].remove(session)
        session.key, session.name = key, name
        self.local_sessions.setdefault(key, []).append(session)
        self._refresh(key)
        if key != former_key:
            self._refresh(former_key)
            self.notify_watchers(former_key, former_name, was_online=True)
            self.notify_watchers(key, name, was_online)

    def act_as(self, session: Session, account: Account) -> None:
        """Have a session act with the rights of an account, until that has other rights, or the session ends."""
        session.acting = account
        self._acting.add(session)

    def end_acting(self, session: Session) -> None:
        """Have a session act as no other account any more."""
        session.acting = None
        self._acting.discard(session)

    def stop_acting(self, key: str) -> None:
        """Have no session act as the account of that folded name any more."""
        with self._noticing_rights(self._acting_as(key)):
            for session in self._acting_as(key):
                self.end_acting(session)

    def set_role(self, account: Account, role: str) -> None:
        """Give an account another role, and have no session act as it any more."""
        acting = self._acting_as(account.key)
        with self._noticing_rights([*self.sessions(account.key), *acting]):
            account.role = role
            for session in acting:
                self.end_acting(session)

    def _acting_as(self, key: str) -> list[Session]:
        return [session for session in self._acting if session.acting is None or session.acting.key == key]

    @contextmanager
    def _noticing_rights(self, sessions: Sequence[Session]) -> Iterator[None]:
        """Tell the watchers which of these sessions have another role after the block."""
        before = [session.role for session in sessions]
        yield
        for session, role in zip(sessions, before, strict=True):
            if session.role != role:
                self._call(self.rights_watchers, session)

    def notify_watchers(self, key: str, name: str, was_online: bool) -> None:
        """Call the watchers if a name has come online or gone offline, on any node; a failure of theirs is logged."""
        if self.watchers and (key in self) != was_online:
            self._call(self.watchers, key, name, not was_online)

    def _call(self, watchers: Iterable[Callable[..., object]], *what: object) -> None:
        for watcher in watchers:
            try:
                watcher(*what)
            except Exception as error:
                log.log_event("greenlet_failed", exception=error, what="watching sessions")

    def _refresh(self, key: str) -> None:
        sessions = self.local_sessions.get(key)
        if sessions:
            self.outboxes[key] = tuple(session.outbox for session in sessions)
            self.shown_names[key] = sessions[0].name
        else:
            self.local_sessions.pop(key, None)
            self.outboxes.pop(key, None)
            self.shown_names.pop(key, None)
        self.peers.presence_changed(key)


class SessionCloser:
    """Ends sessions with an error. `logout` is the messenger's: it removes a session from all services."""

    def __init__(self, router: Router, logout: Callable[[Session], bool], clock: Callable[[], float]) -> None:
        self._router = router
        self._logout = logout
        self._clock = clock

    def close(self, session: Session, error: WireError) -> None:
        """End a session: log it out, send it the error, close its connection once that is written.

        A course client is not sent the error, as it accepts no push events.
        """
        self._logout(session)
        if session.accepts_push:
            session.outbox.push(SessionClosed(error, self._clock()))
        session.outbox.close_after_drain()

    def close_dropped(self, session: Session) -> None:
        """End a session whose device was logged out."""
        self.close(session, PasswordRequired("This device has been logged out: log in again with the password."))

    def close_all(self, key: str, error: WireError, except_session: Session | None = None) -> int:
        """End the local sessions of a name, but one, and have none act as it. Returns how many were ended."""
        self._router.stop_acting(key)
        sessions = [session for session in self._router.sessions(key) if session is not except_session]
        for session in sessions:
            self.close(session, error)
        return len(sessions)
