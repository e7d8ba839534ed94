"""Presence: who has been here, who talks with whom, and telling them when the other comes, goes or is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from gmessenger.chat.model import OFFLINE, PresenceChange
from gmessenger.chat.policy import Policy
from gmessenger.chat.router import Router

COALESCED_OVER: Final = 1.0
"""Seconds over which comings and goings are gathered, so that a reconnect tells nobody anything."""
MOST_PEERS: Final = 1000
NETWORKS_REMEMBERED: Final = 10
"""From how many networks the names have to come before all that are remembered are taken."""
STEPS_AT_ONCE: Final = 50
"""Names looked at, or told, after which everybody else has a turn."""

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function that many seconds from now."""


class Seen:
    """The names of those who have been here, oldest first, bounded: the oldest is forgotten first.

    Of the names that came from one network, which are its own to choose, no more than a part is remembered.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._names: dict[str, tuple[str, str]] = {}
        self._of_network: dict[str, dict[str, None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._names

    def add(self, key: str, name: str, network: str = "") -> None:
        """A name has been here, from that network; from none where that is not counted."""
        self._forget(key)
        self._names[key] = (name, network)
        most = self._policy.names_remembered
        if network:
            names = self._of_network.setdefault(network, {})
            names[key] = None
            if len(names) > max(1, most // NETWORKS_REMEMBERED):
                self._forget(next(iter(names)))
        while len(self._names) > most:
            self._forget(next(iter(self._names)))

    def newest_first(self) -> Iterator[tuple[str, str]]:
        """Pairs of folded and shown name."""
        return ((key, name) for key, (name, _) in reversed(self._names.items()))

    def _forget(self, key: str) -> None:
        _, network = self._names.pop(key, ("", ""))
        names = self._of_network.get(network, {})
        names.pop(key, None)
        if network and not names:
            self._of_network.pop(network, None)


class Presence:
    """Tells those who share a conversation with a name when its status changes.

    `companions` gives the keys of those who share a room with a key; `hide` says of two keys whether the first does not
    want to be seen by the second.
    """

    def __init__(
        self,
        router: Router,
        later: Later,
        companions: Callable[[str], set[str]],
        hide: Callable[[str, str], bool],
    ) -> None:
        self._router = router
        self._later = later
        self._companions = companions
        self._hide = hide
        self._peers: dict[str, dict[str, None]] = {}
        self._changed: dict[str, tuple[str, str]] = {}
        self._steps: Iterator[None] | None = None

    def status(self, key: str) -> str:
        """How a name is: as its latest session says."""
        sessions = self._router.sessions(key)
        shown = self._router.elsewhere.newest(key)
        if sessions and (shown is None or sessions[-1].since >= shown.since):
            return sessions[-1].status
        return shown.status if shown is not None else OFFLINE

    def conversed(self, one: str, other: str) -> None:
        """The two names share a conversation from now on, until both have left."""
        if other not in self._peers.get(one, ()):
            self._link(one, other)
            self._link(other, one)

    def changing(self, key: str, name: str) -> None:
        """Call before a name's status changes; what it became is told a little later, unless it is the same again."""
        if key not in self._peers and not self._companions(key):
            return
        if not self._changed:
            self._later(COALESCED_OVER, self._tell)
        self._changed.setdefault(key, (name, self.status(key)))

    def _link(self, one: str, other: str) -> None:
        peers = self._peers.setdefault(one, {})
        peers[other] = None
        if len(peers) > MOST_PEERS:
            self._unlink(one, next(iter(peers)))

    def _unlink(self, one: str, other: str) -> None:
        for this, that in ((one, other), (other, one)):
            peers = self._peers.get(this, {})
            peers.pop(that, None)
            if not peers:
                self._peers.pop(this, None)

    def _tell(self) -> None:
        if self._steps is not None:  # still telling what was before
            self._later(COALESCED_OVER, self._tell)
            return
        changed, self._changed = self._changed, {}
        self._steps = self._telling(changed)
        self._go_on()

    def _go_on(self) -> None:
        """Do some of the steps. Where one fails the rest is given up, or nobody would be told anything any more."""
        steps, self._steps = self._steps, None
        if sum(1 for _ in islice(steps or (), STEPS_AT_ONCE)) == STEPS_AT_ONCE:
            self._steps = steps
            self._later(0.0, self._go_on)

    def _telling(self, changed: dict[str, tuple[str, str]]) -> Iterator[None]:
        """In steps: look at each name that changed, then tell each that is to be told, all that it is to be told.

        (After a restart everybody has changed, and a write to each of a room's members for each other is too much.)
        """
        news: dict[str, list[PresenceChange]] = {}
        for key, (name, before) in changed.items():
            now = self.status(key)
            peers = list(self._peers.get(key, ()))
            change = PresenceChange(name, now)
            for peer in {*peers, *self._companions(key)} - {key} if now != before else ():
                if not self._hide(key, peer):
                    news.setdefault(peer, []).append(change)
            for peer in peers:
                if key not in self._router and peer not in self._router:
                    self._unlink(key, peer)
            yield
        for peer, changes in news.items():
            self._tell_peer(peer, changes)
            yield

    def _tell_peer(self, peer: str, changes: list[PresenceChange]) -> None:
        for session in self._router.sessions(peer):
            for change in changes if session.told else ():
                session.outbox.offer(change)  # a full outbox: what others do is told again when it matters
