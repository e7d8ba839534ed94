"""Presence: who has been here, who talks with whom, and telling them when the other comes, goes or is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from gmessenger.chat.outbox import PresenceUpdate
from gmessenger.chat.policy import Policy
from gmessenger.chat.router import Router
from gmessenger.constants import OFFLINE

COALESCE_DELAY: Final = 1.0
"""Seconds over which comings and goings are gathered, so that a reconnect tells nobody anything."""
MAX_LINKS: Final = 1000
MIN_NETWORKS: Final = 10
"""From how many networks the names have to come before all that are remembered are taken."""
NOTIFY_BATCH: Final = 50
"""Names looked at, or told, after which everybody else has a turn."""

CallLater = Callable[[float, Callable[[], None]], object]
"""Calls a function that many seconds from now."""


class SeenNames:
    """The names of those who have been here, oldest first, bounded: the oldest is forgotten first.

    Of the names that came from one network, which are its own to choose, no more than a part is remembered.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._names: dict[str, tuple[str, str]] = {}
        self._names_by_network: dict[str, dict[str, None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._names

    def add(self, key: str, name: str, network: str = "") -> None:
        """A name has been here, from that network; from none where that is not counted."""
        self._forget(key)
        self._names[key] = (name, network)
        most = self._policy.max_seen_names
        if network:
            names = self._names_by_network.setdefault(network, {})
            names[key] = None
            if len(names) > max(1, most // MIN_NETWORKS):
                self._forget(next(iter(names)))
        while len(self._names) > most:
            self._forget(next(iter(self._names)))

    def newest_first(self) -> Iterator[tuple[str, str]]:
        """Pairs of folded and shown name."""
        return ((key, name) for key, (name, _) in reversed(self._names.items()))

    def _forget(self, key: str) -> None:
        _, network = self._names.pop(key, ("", ""))
        names = self._names_by_network.get(network, {})
        names.pop(key, None)
        if network and not names:
            self._names_by_network.pop(network, None)


class PresenceTracker:
    """Tells those who share a conversation with a name when its status changes.

    `companions` gives the keys of those who share a room with a key; `hide` says of two keys whether the first does not
    want to be seen by the second.
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
        self._links: dict[str, dict[str, None]] = {}
        self._changed: dict[str, tuple[str, str]] = {}
        self._steps: Iterator[None] | None = None

    def status(self, key: str) -> str:
        """How a name is: as its latest session says."""
        sessions = self._router.sessions(key)
        shown = self._router.peers.latest(key)
        if sessions and (shown is None or sessions[-1].status_since >= shown.since):
            return sessions[-1].status
        return shown.status if shown is not None else OFFLINE

    def link(self, one: str, other: str) -> None:
        """The two names share a conversation from now on, until both have left."""
        if other not in self._links.get(one, ()):
            self._add_link(one, other)
            self._add_link(other, one)

    def before_change(self, key: str, name: str) -> None:
        """Call before a name's status changes; what it became is told a little later, unless it is the same again."""
        if key not in self._links and not self._roommates(key):
            return
        if not self._changed:
            self._call_later(COALESCE_DELAY, self._start_notifying)
        self._changed.setdefault(key, (name, self.status(key)))

    def _add_link(self, one: str, other: str) -> None:
        peers = self._links.setdefault(one, {})
        peers[other] = None
        if len(peers) > MAX_LINKS:
            self._remove_link(one, next(iter(peers)))

    def _remove_link(self, one: str, other: str) -> None:
        for this, that in ((one, other), (other, one)):
            peers = self._links.get(this, {})
            peers.pop(that, None)
            if not peers:
                self._links.pop(this, None)

    def _start_notifying(self) -> None:
        if self._steps is not None:  # still telling what was before
            self._call_later(COALESCE_DELAY, self._start_notifying)
            return
        changed, self._changed = self._changed, {}
        self._steps = self._notify_steps(changed)
        self._run_steps()

    def _run_steps(self) -> None:
        """Do some of the steps. Where one fails the rest is given up, or nobody would be told anything any more."""
        steps, self._steps = self._steps, None
        if sum(1 for _ in islice(steps or (), NOTIFY_BATCH)) == NOTIFY_BATCH:
            self._steps = steps
            self._call_later(0.0, self._run_steps)

    def _notify_steps(self, changed: dict[str, tuple[str, str]]) -> Iterator[None]:
        """In steps: look at each name that changed, then tell each that is to be told, all that it is to be told.

        (After a restart everybody has changed, and a write to each of a room's members for each other is too much.)
        """
        news: dict[str, list[PresenceUpdate]] = {}
        for key, (name, before) in changed.items():
            now = self.status(key)
            peers = list(self._links.get(key, ()))
            change = PresenceUpdate(name, now)
            for peer in {*peers, *self._roommates(key)} - {key} if now != before else ():
                if not self._is_hidden(key, peer):
                    news.setdefault(peer, []).append(change)
            for peer in peers:
                if key not in self._router and peer not in self._router:
                    self._remove_link(key, peer)
            yield
        for peer, changes in news.items():
            self._notify(peer, changes)
            yield

    def _notify(self, key: str, changes: list[PresenceUpdate]) -> None:
        for session in self._router.sessions(key):
            for change in changes if session.accepts_push else ():
                session.outbox.offer(change)  # a full outbox: what others do is told again when it matters
