"""Presence: which names were online, which share a conversation, and status changes sent to those who do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from gmessenger.chat.outbound import PresenceUpdate
from gmessenger.chat.policy import Policy
from gmessenger.chat.router import Router
from gmessenger.constants import OFFLINE

COALESCE_DELAY: Final = 1.0  # seconds in which changes are collected: a quick reconnect is no change
MAX_LINKS: Final = 1000  # names that one name is linked with
MIN_NETWORKS: Final = 10  # that it takes to fill the table of seen names
NOTIFY_BATCH: Final = 50  # names that are examined, or notified, before the loop runs anything else

CallLater = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds."""


class RecentNames:
    """The names that were online lately, at most `max_recent_names` of the policy; the longest ago is dropped first.

    Names are free to choose, so those of one network can take a tenth of the table only.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._names: dict[str, tuple[str, str]] = {}
        self._names_by_network: dict[str, dict[str, None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._names

    def add(self, key: str, name: str, network: str = "") -> None:
        """Add a name that is online, with its network, or without where networks are not counted."""
        self._forget(key)
        self._names[key] = (name, network)
        max_size = self._policy.max_recent_names
        if network:
            names = self._names_by_network.setdefault(network, {})
            names[key] = None
            if len(names) > max(1, max_size // MIN_NETWORKS):
                self._forget(next(iter(names)))
        while len(self._names) > max_size:
            self._forget(next(iter(self._names)))

    def shown(self, key: str) -> str | None:
        """Return a folded name as shown; None if it was not online lately."""
        return self._names[key][0] if key in self._names else None

    def newest_first(self) -> Iterator[tuple[str, str]]:
        """Iterate over pairs of folded and shown name, the latest first."""
        return ((key, name) for key, (name, _) in reversed(self._names.items()))

    def _forget(self, key: str) -> None:
        _, network = self._names.pop(key, ("", ""))
        names = self._names_by_network.get(network, {})
        names.pop(key, None)
        if network and not names:
            self._names_by_network.pop(network, None)


class UserStatus(NamedTuple):
    """What users say about themselves: a status, and a note on it."""

    status: str
    note: str = ""


class StatusUpdate(NamedTuple):
    """An update, whether it is a change to most sessions, and whether it is news to those that are told at once."""

    update: PresenceUpdate
    is_change: bool
    is_news: bool


ABSENT: Final = UserStatus(OFFLINE)
StatusWatcher: TypeAlias = Callable[[str, UserStatus, Set[str]], object]
"""Called with the folded name, its status now, and the folded names that were told already. It must not block."""


class PresenceTracker:
    """Sends status changes of a name to those who share a conversation with it.

    `roommates` returns the keys that share a room with a key. `is_hidden` returns whether the first of two keys has
    blocked the second. No method blocks.
    """

    def __init__(
        self,
        router: Router,
        call_later: CallLater,
        roommates: Callable[[str], set[str]],
        is_hidden: Callable[[str, str], bool],
    ) -> None:
        self._router = router
        self._call_later = call_later
        self._roommates = roommates
        self._is_hidden = is_hidden
        self.watchers: list[StatusWatcher] = []
        """Called when a name has set a status, on any node; for protocols that tell others, too, such as guests."""
        self.links: dict[str, dict[str, None]] = {}
        """The names that a name shares a conversation with; read by key for each message, changed only here."""
        self._changed: dict[str, tuple[str, UserStatus]] = {}
        self._announced: dict[str, UserStatus] = {}
        self._steps: Iterator[None] | None = None

    def status(self, key: str) -> UserStatus:
        """Return the status of a name: that of its latest session, on any node."""
        session = self._router.latest_session(key)
        remote = self._router.peers.latest(key)
        if session is not None and (remote is None or session.status_since >= remote.since):
            return UserStatus(session.status, session.note)
        return UserStatus(remote.status, remote.note) if remote is not None else ABSENT

    def since(self, key: str) -> float | None:
        """Return when the status of a name was set, or when it logged in, in Unix seconds; None if it is offline."""
        remote, session = self._router.peers.latest(key), self._router.latest_session(key)
        times = [session.status_since] if session is not None else []
        times += [remote.since] if remote is not None else []
        return max(times, default=None)

    def link(self, one: str, other: str) -> None:
        """Record that two names share a conversation, until both are offline."""
        if other not in self.links.get(one, ()):
            self._add_link(one, other)
            self._add_link(other, one)

    def rename(self, former_key: str, key: str) -> None:
        """Record that a name shares the conversations of another, which it was before."""
        for other in list(self.links.get(former_key, ())):
            self.link(key, other)

    def before_change(self, key: str, name: str) -> None:
        """Record a name's status before it changes. After COALESCE_DELAY the change is sent, if there still is one."""
        if key not in self.links and not self._roommates(key):
            return
        if not self._changed:
            self._call_later(COALESCE_DELAY, self._start_notifying)
        self._changed.setdefault(key, (name, self.status(key)))

    def announce_status(self, key: str) -> None:
        """Send a status that a name has set to sessions that want it at once; the others are sent it as any change.

        Called after `before_change`, and the change.
        """
        told = self._announce_change(key)
        for watcher in self.watchers:
            watcher(key, self.status(key), told)

    def _announce_change(self, key: str) -> set[str]:
        """Send a status to sessions that want it at once, if it is another one. Returns who knows it now."""
        if key not in self._changed:  # no user has to be notified
            return set()
        name, before = self._changed[key]
        now, told = self.status(key), set(self._recipients(key))
        if now == self._announced.get(key, before):
            return told
        self._announced[key] = now
        update = PresenceUpdate(name, now.status, now.note)
        for other in told:
            self._notify(other, (StatusUpdate(update, is_change=False, is_news=True),))
        return told

    def _recipients(self, key: str) -> Iterator[str]:
        """Yield the keys of those who are told of changes of a name."""
        for other in {*self.links.get(key, ()), *self._roommates(key)} - {key}:
            if not self._is_hidden(key, other):
                yield other

    def _add_link(self, one: str, other: str) -> None:
        linked = self.links.setdefault(one, {})
        linked[other] = None
        if len(linked) > MAX_LINKS:
            self._remove_link(one, next(iter(linked)))

    def _remove_link(self, one: str, other: str) -> None:
        for key, linked_key in ((one, other), (other, one)):
            linked = self.links.get(key, {})
            linked.pop(linked_key, None)
            if not linked:
                self.links.pop(key, None)

    def _start_notifying(self) -> None:
        if self._steps is not None:  # earlier changes are still being sent
            self._call_later(COALESCE_DELAY, self._start_notifying)
            return
        changed, self._changed = self._changed, {}
        announced, self._announced = self._announced, {}
        self._steps = self._notify_steps(changed, announced)
        self._run_steps()

    def _run_steps(self) -> None:
        """Run a batch of steps. Where one fails the rest is dropped, or no later change would ever be sent."""
        steps, self._steps = self._steps, None
        if sum(1 for _ in islice(steps or (), NOTIFY_BATCH)) == NOTIFY_BATCH:
            self._steps = steps
            self._call_later(0.0, self._run_steps)

    def _notify_steps(
        self, changed: dict[str, tuple[str, UserStatus]], announced: dict[str, UserStatus]
    ) -> Iterator[None]:
        """Examine each name that changed, then send each recipient all its updates together. Yields after each name.

        (After a restart all names have changed: an own write for each pair of members of a room would be too much.)
        """
        updates_by_key: dict[str, list[StatusUpdate]] = {}
        for key, (name, before) in changed.items():
            now = self.status(key)
            update = PresenceUpdate(name, now.status, now.note)
            entry = StatusUpdate(update, now != before, now != announced.get(key, before))
            for other in self._recipients(key) if entry.is_change or entry.is_news else ():
                updates_by_key.setdefault(other, []).append(entry)
            for other in list(self.links.get(key, ())):
                if key not in self._router and other not in self._router:
                    self._remove_link(key, other)
            yield
        for key, updates in updates_by_key.items():
            self._notify(key, updates)
            yield

    def _notify(self, key: str, updates: Iterable[StatusUpdate]) -> None:
        for session in self._router.sessions(key):
            for update, is_change, is_news in updates if session.accepts_push else ():
                if is_news if session.wants_status_at_once else is_change:
                    session.outbox.offer(update)  # lost if the outbox is full: the client can ask for the status
