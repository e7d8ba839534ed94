"""CHATHISTORY and HISTORY: what was said, as far as the client may read it (IRCv3, "chathistory")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gmessenger.chat.delivery import message_from_stored
from gmessenger.chat.records import ConversationRow, StoredMessage
from gmessenger.chat.session import Session
from gmessenger.constants import MAX_HISTORY_PAGE
from gmessenger.errors import WireError
from gmessenger.names import ROOM_PREFIX
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import INVALID_TARGET, OF_HISTORY
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.messages import MessageFormatter
from gmessenger.server.irc.network import conversation_of, is_service
from gmessenger.server.irc.playback import Playback
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.rooms import flush_if_long
from gmessenger.server.irc.user_views import find_user
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.timestamps import format_time, parse_time

COMMAND: Final = "CHATHISTORY"
MILLISECOND: Final = 0.001  # in seconds
MAX_PASSES: Final = 5
"""Pages that are read to fill one answer, where some of what they have is left out."""
MAX_SHOWN: Final = 200
"""Messages of one answer to HISTORY."""
DEFAULT_SHOWN: Final = 50
MAX_CONVERSATIONS: Final = 10_000
"""Conversations of an account that TARGETS looks at."""
CONVERSATION_PAGE: Final = 500
MAX_LIMIT_DIGITS: Final = 9
UNREADABLE: Final = "Messages could not be retrieved"


class BadSelector(Exception):
    """A selector that cannot be one, or that selects nothing. `code`, `context`: of the standard reply."""

    def __init__(self, code: str, *context: str) -> None:
        super().__init__(code, *context)
        self.code = code
        self.context = context


class SeqRange(Struct, frozen=True):
    """What a selector stands for: the seqs from `first` to `last`; none if `last` is less."""

    first: int
    last: int


class HistoryQuery(Struct, frozen=True):
    """A request for messages: at most `limit` of `target`, given by one selector or two."""

    handler: IrcHandler
    session: Session
    target: str
    spans: Sequence[SeqRange | None]
    limit: int


def chathistory(handler: IrcHandler, line: Line) -> None:
    """Handle CHATHISTORY."""
    name = line.params[0].upper() if line.params else ""
    subcommand = SUBCOMMANDS.get(name)
    shown = quote_param(line.params[0]) if line.params else "*"
    if subcommand is None:
        handler.fail(COMMAND, "INVALID_PARAMS", shown, text="Unknown subcommand")
    elif len(line.params) != subcommand.count:
        problem = "Insufficient parameters" if len(line.params) < subcommand.count else "Too many parameters"
        handler.fail(COMMAND, "INVALID_PARAMS", shown, text=problem)
    else:
        _answer(handler, subcommand, line.params[1:])


def _answer(handler: IrcHandler, subcommand: HistoryCommand, params: list[str]) -> None:
    target = params[0] if subcommand.has_target else "*"
    try:
        handler.wait_caught_up()
        subcommand.answer(handler, params)
    except BadSelector as bad:
        handler.fail(COMMAND, bad.code, subcommand.name, *bad.context, text=UNREADABLE)
    except WireError as error:
        code = OF_HISTORY.get(error.code, "MESSAGE_ERROR")
        handler.fail(COMMAND, code, subcommand.name, quote_param(target), text=f"{UNREADABLE}: {error}")


# -- messages of one conversation


def _answer_messages(find: Callable[[HistoryQuery], list[StoredMessage]]) -> Callable[[IrcHandler, list[str]], None]:
    def answer(handler: IrcHandler, params: list[str]) -> None:
        target, *selectors, limit = params
        messages = [] if _has_no_history(handler, target) else find(_parse_query(handler, target, selectors, limit))
        send_messages(handler, messages, "chathistory", target)

    return answer


def _has_no_history(handler: IrcHandler, target: str) -> bool:
    """Return whether the target has no history for this client: a service, or any user if the client is a guest.

    The answer is an empty list and no error, because clients ask whenever a conversation is opened.
    """
    if is_service(target):
        return True
    is_guest = handler.require_session().account is None
    return is_guest and target[:1] != ROOM_PREFIX and find_user(handler, target) is not None


def _parse_query(handler: IrcHandler, target: str, selectors: list[str], limit: str) -> HistoryQuery:
    session, count = handler.require_session(), _parse_limit(limit)
    handler.messenger.history_service.page(session, target, None, None, 1)  # raises where nothing may be read
    spans = [_parse_selector(handler, target, selector) for selector in selectors]
    return HistoryQuery(handler, session, target, spans, count)


def _parse_limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_LIMIT_DIGITS and int(text)):
        raise BadSelector("INVALID_PARAMS", quote_param(text))
    return min(int(text), MAX_HISTORY_PAGE)


def _parse_selector(handler: IrcHandler, target: str, text: str) -> SeqRange | None:
    """Return what a selector stands for; None for `*`. Raises `BadSelector`."""
    if text == "*":
        return None
    kind, equals, value = text.partition("=")
    if not equals:
        raise BadSelector("INVALID_PARAMS", quote_param(text))
    if kind == "timestamp":
        return _parse_timestamp(handler, target, text)
    if kind != "msgid":
        raise BadSelector("INVALID_MSGREFTYPE", quote_param(target))
    seq = handler.network.ids.find(conversation_of(handler.nick, target), value)
    if seq is None:
        raise BadSelector("MESSAGE_ERROR", quote_param(target))
    return SeqRange(seq, seq)


def _parse_timestamp(handler: IrcHandler, target: str, text: str) -> SeqRange:
    """Return the seqs of a timestamp, which stands for a millisecond."""
    time, seq_at = parse_timestamp(text), handler.messenger.history_service.seq_at
    session = handler.require_session()
    first = seq_at(session, target, time)
    return SeqRange(first, max(first, seq_at(session, target, time + MILLISECOND)) - 1)


def parse_timestamp(text: str) -> float:
    """Return the time of a `timestamp=…`, in Unix seconds. Raises `BadSelector`."""
    kind, _, value = text.partition("=")
    time = parse_time(value) if kind == "timestamp" else None
    if time is None:
        raise BadSelector("INVALID_PARAMS", quote_param(text))
    return time


def _latest(query: HistoryQuery) -> list[StoredMessage]:
    (span,) = query.spans
    return _collect(query, None, query.limit, low=span.last if span is not None else 0)


def _before(query: HistoryQuery) -> list[StoredMessage]:
    return _collect(query, _required(query.spans[0]).first, query.limit)


def _after(query: HistoryQuery) -> list[StoredMessage]:
    return _collect_after(query, _required(query.spans[0]).last, query.limit)


def _around(query: HistoryQuery) -> list[StoredMessage]:
    span = _required(query.spans[0])
    before = _collect(query, span.first + 1, query.limit // 2 + 1)
    left = query.limit - len(before)
    return before + (_collect_after(query, span.first, left) if left else [])


def _between(query: HistoryQuery) -> list[StoredMessage]:
    start, end = _required(query.spans[0]), _required(query.spans[1])
    if start.last < end.first:
        return _collect_after(query, start.last, query.limit, high=end.first)
    return _collect(query, start.first, query.limit, low=end.last)


def _required(span: SeqRange | None) -> SeqRange:
    if span is None:
        raise BadSelector("INVALID_PARAMS", "*")
    return span


def _collect(query: HistoryQuery, before: int | None, limit: int, low: int = 0) -> list[StoredMessage]:
    """Return the last messages before a seq that are above `low` and not erased, oldest first."""
    found: list[StoredMessage] = []
    for _ in range(MAX_PASSES):
        page = query.handler.messenger.history_service.page(
            query.session, query.target, before, None, limit - len(found)
        )
        found = [message for message in page.messages if message.seq > low and not message.erased] + found
        if len(found) >= limit or not page.more or page.messages[0].seq <= low:
            break
        before = page.messages[0].seq
    return found


def _collect_after(query: HistoryQuery, after: int, limit: int, high: int | None = None) -> list[StoredMessage]:
    """Return the first messages after a seq that are below `high` and not erased, oldest first."""
    found: list[StoredMessage] = []
    for _ in range(MAX_PASSES):
        page = query.handler.messenger.history_service.page(
            query.session, query.target, None, after, limit - len(found)
        )
        is_in = [message for message in page.messages if high is None or message.seq < high]
        found += [message for message in is_in if not message.erased]
        if len(found) >= limit or not page.more or len(is_in) < len(page.messages):
            break
        after = page.messages[-1].seq
    return found


def send_messages(handler: IrcHandler, messages: Sequence[StoredMessage], batch_type: str, *params: str) -> None:
    """Answer with stored messages, in a batch where the client knows batches. Blocks while it reads slowly."""
    formatter, batch = MessageFormatter(handler.network), _open_batch(handler, batch_type, *params)
    for message in messages:
        for reply in formatter.replies(message_from_stored(message, is_own=False), handler.capabilities):
            if batch and "batch" not in reply.tags:
                reply.tags = {"batch": batch, **reply.tags}
            handler.add(reply)
        flush_if_long(handler)
    _close_batch(handler, batch)


def _open_batch(handler: IrcHandler, batch_type: str, *params: str) -> str:
    if Capability.BATCH not in handler.capabilities:
        return ""
    batch = handler.network.next_batch()
    handler.add(Reply(handler.network.server_name, "BATCH", (f"+{batch}", batch_type, *params)))
    return batch


def _close_batch(handler: IrcHandler, batch: str) -> None:
    if batch:
        handler.add(Reply(handler.network.server_name, "BATCH", (f"-{batch}",)))


# -- conversations


def _answer_targets(handler: IrcHandler, params: list[str]) -> None:
    start, end, limit = parse_timestamp(params[0]), parse_timestamp(params[1]), _parse_limit(params[2])
    low, high = min(start, end), max(start, end)
    rows = [row for row in _conversations(handler) if row.time is not None and low + MILLISECOND <= row.time < high]
    rows.sort(key=lambda row: row.time or 0.0)
    chosen = rows[:limit] if start <= end else rows[-limit:]
    batch = _open_batch(handler, "draft/chathistory-targets")
    for row in chosen:
        reply = Reply(handler.network.server_name, COMMAND, ("TARGETS", row.target, format_time(row.time or 0.0)))
        if batch:
            reply.tags["batch"] = batch
        handler.add(reply)
    _close_batch(handler, batch)


def _conversations(handler: IrcHandler) -> list[ConversationRow]:
    """Return the conversations of an account; of a guest none, as nothing of it is known when it comes."""
    rows: list[ConversationRow] = []
    session, after = handler.require_session(), None
    while session.account is not None and len(rows) < MAX_CONVERSATIONS:
        page, more = handler.messenger.history_service.rows(session, after, CONVERSATION_PAGE)
        rows += page
        if not more or not page:
            break
        after = page[-1].target
    return rows


class HistoryCommand(Struct, frozen=True):
    """How a subcommand is answered. `count`: of the parameters of CHATHISTORY, with the subcommand itself."""

    name: str
    count: int
    answer: Callable[[IrcHandler, list[str]], None]
    has_target: bool = True


SUBCOMMANDS: Final = {
    subcommand.name: subcommand
    for subcommand in (
        HistoryCommand("AFTER", 4, _answer_messages(_after)),
        HistoryCommand("AROUND", 4, _answer_messages(_around)),
        HistoryCommand("BEFORE", 4, _answer_messages(_before)),
        HistoryCommand("BETWEEN", 5, _answer_messages(_between)),
        HistoryCommand("LATEST", 4, _answer_messages(_latest)),
        HistoryCommand("TARGETS", 4, _answer_targets, has_target=False),
    )
}


# -- HISTORY, for clients that know nothing of the above


def show_history(handler: IrcHandler, line: Line) -> None:
    """Handle HISTORY: the latest messages, as playback shows them."""
    target, *counts = line.params[:2]
    count = counts[0] if counts else str(DEFAULT_SHOWN)
    try:
        query = _parse_query(handler, target, ["*"], count)
        messages = _collect(query, None, min(query.limit, MAX_SHOWN))
    except BadSelector:
        handler.add(handler.notice("HISTORY takes a channel or a nick, and how many messages are to be shown"))
        return
    except WireError as error:
        code = OF_HISTORY.get(error.code, "MESSAGE_ERROR")
        is_unknown = code == INVALID_TARGET
        reason = "there is nothing that you may read" if is_unknown else str(error)
        handler.add(handler.notice(f"{quote_param(target)}: {reason}"))
        return
    _play_back(handler, target, messages)


def _play_back(handler: IrcHandler, target: str, messages: Sequence[StoredMessage]) -> None:
    formatter, playback = MessageFormatter(handler.network), Playback(handler)
    for stored in messages:
        message = message_from_stored(stored, is_own=False)
        for reply in playback.add(message, formatter):
            handler.add(reply)
        flush_if_long(handler)
    for reply in playback.end():
        handler.add(reply)
    if not messages:
        handler.add(handler.notice(f"{quote_param(target)}: nothing has been said yet"))
