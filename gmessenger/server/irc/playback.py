"""Playback: what an account's session missed, for clients that cannot ask for it."""

from __future__ import annotations

from msgspec.structs import replace

from gmessenger.chat.amendments import REACTIONS
from gmessenger.chat.outbound import BacklogSkipped, Message
from gmessenger.names import fold, is_room
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.messages import MessageFormatter
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.timestamps import format_time


class Playback:
    """Puts the backlog of each conversation into a batch, or between two notices where there are no batches."""

    __slots__ = ("_batch", "_handler", "_target", "is_active")

    def __init__(self, handler: IrcHandler) -> None:
        self._handler = handler
        self.is_active = False
        """Whether what comes is the backlog of the login."""
        self._target = ""
        self._batch = ""

    def start(self) -> None:
        """Take what comes for the backlog, until `end`."""
        self.is_active = True

    def end(self) -> list[Reply]:
        """Return the end of the last conversation: what follows is live."""
        self.is_active = False
        return self._close()

    def add(self, message: Message, formatter: MessageFormatter) -> list[Reply]:
        """Return the lines of a message of the backlog, with what begins and ends its conversation."""
        capabilities = self._handler.capabilities
        has_time = Capability.SERVER_TIME in capabilities or message.what in REACTIONS
        lines = formatter.replies(message if has_time else _dated(message), capabilities)
        if not lines:
            return []
        before = self._open(message) if self._target != self._target_of(message) else []
        for line in lines:
            if self._batch and "batch" not in line.tags:
                line.tags["batch"] = self._batch
        return before + lines

    def skip(self, event: BacklogSkipped) -> list[Reply]:
        """Return the notice that older messages of a conversation are left out."""
        text = f"{event.count} older messages in {event.target} are left out: /quote HISTORY {event.target} 200"
        return [*self._close(), self._handler.notice(text)]

    def _target_of(self, message: Message) -> str:
        is_own = fold(message.sender) == self._handler.key
        return message.to if is_room(message.to) or is_own else message.sender

    def _open(self, message: Message) -> list[Reply]:
        handler, lines = self._handler, self._close()
        self._target = self._target_of(message)
        if Capability.BATCH in handler.capabilities:
            self._batch = handler.network.next_batch()
            params = (f"+{self._batch}", "chathistory", self._target)
            return [*lines, Reply(handler.network.server_name, "BATCH", params)]
        return [*lines, self._notice(f"What was said since {_shown_time(message.time)} UTC:")]

    def _close(self) -> list[Reply]:
        if not self._target:
            return []
        lines = (
            [Reply(self._handler.network.server_name, "BATCH", (f"-{self._batch}",))]
            if self._batch
            else [self._notice("That was before")]
        )
        self._target = self._batch = ""
        return lines

    def _notice(self, text: str) -> Reply:
        if is_room(self._target):
            return self._handler.room_notice(self._target, text)
        return self._handler.notice(f"{self._target}: {text}")


def _dated(message: Message) -> Message:
    """Return a message whose text begins with its time."""
    return replace(message, text=f"[{_shown_time(message.time)}] {message.text}", encoded=None)


def _shown_time(time: float) -> str:
    return format_time(time)[:16].replace("T", " ")
