"""Acknowledgements: IRC has none, so a PING follows what was sent, and its PONG says that it has arrived."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.outbound import EncodedFrames, Message
from gmessenger.names import ROOM_PREFIX, fold
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.replies import Reply

ACKNOWLEDGE_AFTER: Final = 5.0  # seconds
PING_PREFIX: Final = "gm"


class AckTracker:
    """Acknowledges for a session what its client has answered a PING behind. One such PING is under way at a time."""

    __slots__ = ("_handler", "_number", "_pinged", "_since", "_written")

    def __init__(self, handler: IrcHandler) -> None:
        self._handler = handler
        self._written: dict[str, int] = {}
        self._pinged: dict[str, int] | None = None
        self._since = 0.0  # monotonic seconds
        self._number = 0

    def note_written(self, message: Message) -> None:
        """Record that a stored message was written."""
        session = self._handler.session
        if session is None or session.device is None or message.seq is None:
            return
        is_own = fold(message.sender) == session.key
        self._written[message.to if message.to[:1] == ROOM_PREFIX or is_own else message.sender] = message.seq

    def sweep(self, now: float) -> None:
        """Send a PING where something was written some seconds ago. `now`: monotonic seconds."""
        session = self._handler.session
        if not self._written or self._pinged is not None or session is None:
            return
        if not self._since:
            self._since = now
        elif now - self._since >= ACKNOWLEDGE_AFTER:
            self._pinged, self._written, self._since = self._written, {}, 0.0
            self._number += 1
            ping = Reply("", "PING", (f"{PING_PREFIX}{self._number}",)).encode()
            session.outbox.push(EncodedFrames(ping, len(ping)))

    def pong_received(self, token: str) -> None:
        """Acknowledge what was written before the PING with that token."""
        session = self._handler.session
        if self._pinged is None or session is None or token != f"{PING_PREFIX}{self._number}":
            return
        pinged, self._pinged = self._pinged, None
        for target, seq in pinged.items():
            self._handler.messenger.history_service.acknowledge(session, target, seq)
