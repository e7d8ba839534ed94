"""Texts from guest to guest that are sent on at once: the short way of most messages that are not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gmessenger.chat.blocks import BlockList
from gmessenger.chat.outbound import MESSAGE_OVERHEAD, RelayedText, Response
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import PresenceTracker
from gmessenger.chat.ratelimit import CHARACTERS_PER_UNIT
from gmessenger.chat.records import Account
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.constants import ONLINE
from gmessenger.names import fold


class GuestRelay:
    """Sends texts from guest to guest of this node, where nothing may refuse or delay them; never blocks.

    `MessageService.send` does the same with more checks, and sends what this refuses. `accounts` is the
    authenticator's.
    """

    def __init__(
        self,
        router: Router,
        blocks: BlockList,
        accounts: Mapping[str, Account],
        sanctions: SanctionRegistry,
        presence: PresenceTracker,
        clock: Callable[[], float],
        policy: Policy,
        stats: MessengerStats,
    ) -> None:
        self._sessions = router.local_sessions
        self._blocks = blocks
        self._accounts = accounts
        self._sanctions = sanctions
        self._presence = presence
        self._clock = clock
        self._policy = policy
        self._stats = stats

    def relay(self, session: Session, to: str, text: str, id: str | None = None, is_line: bool = False) -> bool:
        """Send a text to a name if nothing stands against it; False, and nothing was done, otherwise.

        `is_line`: as of `RelayedText`. Called for each message, also in a callback of the loop. It is one long function
        because each call costs a hundredth of a message.
        """
        receivers = self._sessions.get(to) or self._sessions.get(fold(to))  # a key folds to itself
        if not receivers:
            return False
        receiver, bucket, size = receivers[0], session.buckets.messages, len(text)  # a guest has one session
        key = receiver.key
        if (
            session.account is not None
            or session.outbox.closed
            or session.sync.ack_pending
            or bucket.tokens < 1.0
            or size >= CHARACTERS_PER_UNIT
            or size > self._policy.max_text
            or self._sanctions.muted
            or receiver is session
            or receiver.status != ONLINE  # the sender's protocol may have to say so
            or key in self._accounts
            or key in self._blocks.by_user
        ):
            return False
        # In a variable: called as `self._clock()`, CPython 3.11 searches the class for a method of that name each time.
        clock = self._clock
        time = clock()
        relayed = RelayedText(session.name, receiver.name, text, time, is_line)
        if not receiver.outbox.offer_sized(relayed, size + MESSAGE_OVERHEAD):
            return False
        session.active_at = time
        bucket.tokens -= 1.0
        stats = self._stats
        stats.relayed += 1
        stats.deliveries += 1
        if key not in self._presence.links.get(session.key, ()):  # (the check of `link`, without a call)
            self._presence.link(session.key, key)
        if id is not None or session.answers_all:
            session.outbox.push(Response(202, id, time))
        return True
