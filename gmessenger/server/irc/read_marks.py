"""MARKREAD: up to where conversations were read (IRCv3, "read-marker"), the same as what other clients have read.

An account's are stored as seqs. So that a client gets back the very time that it has set, the latest such times are
remembered; after a restart, and on another node, a mark is at the time of the last message that it covers, which is
what clients set. A guest's are known to its connection only.
"""

from __future__ import annotations

from typing import Final

from gmessenger.chat.history import conversation_key
from gmessenger.chat.outbound import ReadReceipt
from gmessenger.errors import StoreUnavailable, WireError
from gmessenger.names import fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.late_replies import LateReplies
from gmessenger.server.irc.network import ReadMark
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.timestamps import format_time, parse_time

COMMAND: Final = "MARKREAD"
PREFIX: Final = "timestamp="
NEVER: Final = "*"
MILLISECOND: Final = 0.001  # in seconds


def mark_read(handler: IrcHandler, line: Line) -> None:
    """Handle MARKREAD."""
    if not line.params or not line.params[0]:
        handler.fail(COMMAND, "NEED_MORE_PARAMS", text="Missing parameters")
        return
    target = line.params[0]
    time = parse_time(line.params[1].removeprefix(PREFIX)) if len(line.params) > 1 else None
    if len(line.params) > 1 and (time is None or not line.params[1].startswith(PREFIX)):
        handler.fail(COMMAND, "INVALID_PARAMS", quote_param(line.params[1]), text="Invalid timestamp")
        return
    try:
        known = find_mark(handler, target)
        if time is not None and (known is None or time > known):
            known = _set_mark(handler, target, min(time, handler.now()))
    except StoreUnavailable as error:
        handler.fail(COMMAND, "INTERNAL_ERROR", quote_param(target), text=str(error))
        return
    handler.add(mark_line(handler, target, known))


def mark_line(handler: IrcHandler, target: str, time: float | None) -> Reply:
    """Return the line that says up to where a conversation was read."""
    shown = NEVER if time is None else f"{PREFIX}{format_time(time)}"
    return Reply(handler.network.server_name, COMMAND, (quote_param(target), shown))


def find_mark(handler: IrcHandler, target: str) -> float | None:
    """Return up to when a conversation was read, in Unix seconds; None if that is not known. Blocks on the store."""
    session = handler.require_session()
    if session.account is None:
        return handler.read_marks.get(fold(target))
    try:
        stored = handler.messenger.history_service.read_time(session, target)
    except StoreUnavailable:
        raise
    except WireError:  # there is no such conversation, or it may not be read
        stored = None
    mark = handler.network.read_marks.get((session.account.id, conversation_key(session, target)))
    return max((time for time in (stored, mark.time if mark is not None else None) if time is not None), default=None)


def marks_on_join(handler: IrcHandler, room: str) -> list[Reply]:
    """Return the line about a room that the client joins, if it wants it. Blocks on the store."""
    if Capability.READ_MARKER not in handler.capabilities:
        return []
    return [mark_line(handler, room, find_mark(handler, room))]


def known_marks(handler: IrcHandler, room: str) -> list[Reply]:
    """Return the same of a room that another client of the account has joined, as far as it is known at once."""
    session = handler.session
    if Capability.READ_MARKER not in handler.capabilities or session is None:
        return []
    mark = handler.network.read_marks.peek((session.account_id or 0, fold(room)))
    return [mark_line(handler, room, mark.time if mark is not None else None)]


def _set_mark(handler: IrcHandler, target: str, time: float) -> float:
    """Set a mark, have the messenger record it, and tell the account's other clients."""
    session = handler.require_session()
    if session.account is None:
        handler.read_marks[fold(target)] = time
        return time
    seq = 0
    service = handler.messenger.history_service
    try:
        seq = service.seq_at(session, target, time + MILLISECOND) - 1
        service.mark_read(session, target, seq, time)
    except StoreUnavailable:
        raise
    except WireError:  # there is no such conversation: the mark is known to this server only
        pass
    handler.network.read_marks[(session.account.id, conversation_key(session, target))] = ReadMark(time, seq)
    line = mark_line(handler, target, time)
    for client in handler.network.clients.of(session.key):
        if client is not handler and Capability.READ_MARKER in client.capabilities:
            client.offer(line)
    return time


class ReadReceiptReader(LateReplies):
    """Tells a client what other clients of its account have read: the time of a seq has to be read from the store."""

    __slots__ = ()
    task = "read receipts"

    def note(self, receipt: ReadReceipt) -> None:
        """Have the client told of a receipt soon; one that said when was told by who has sent it. Never blocks."""
        if Capability.READ_MARKER in self._handler.capabilities and receipt.at is None:
            self.put(receipt.name)

    def tell(self, target: str) -> None:
        """Send up to when a conversation was read. Where that fails, the next receipt says it again."""
        self._handler.offer(mark_line(self._handler, target, find_mark(self._handler, target)))
