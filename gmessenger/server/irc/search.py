"""SEARCH: messages that contain words (soju.im/search)."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.records import StoredMessage
from gmessenger.constants import MAX_HISTORY_PAGE
from gmessenger.errors import WireError
from gmessenger.names import fold
from gmessenger.server.irc.errors import OF_SEARCHES
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.history import MAX_LIMIT_DIGITS, send_messages
from gmessenger.wire.irc.lines import Line, parse_tags
from gmessenger.wire.irc.timestamps import parse_time

COMMAND: Final = "SEARCH"
BATCH_TYPE: Final = "soju.im/search"
DEFAULT_LIMIT: Final = 100
EVER: Final = 253_402_300_800.0
"""A time after all messages, in Unix seconds."""


def search(handler: IrcHandler, line: Line) -> None:
    """Handle SEARCH, whose parameter has attributes as tags are written."""
    attributes = parse_tags(line.params[0])
    after, before = _time(attributes, "after", 0.0), _time(attributes, "before", EVER)
    limit = attributes.get("limit", str(DEFAULT_LIMIT))
    if after is None or before is None or not _is_limit(limit) or not attributes.get("text", "").strip():
        handler.fail(COMMAND, "INVALID_PARAMS", text="SEARCH needs a text, and times and a limit that can be ones")
        return
    try:
        found = _find(handler, attributes, after, before, int(limit))
    except WireError as error:
        code = OF_SEARCHES.get(error.code, "INTERNAL_ERROR")
        handler.fail(COMMAND, code, text=str(error))
        return
    send_messages(handler, found, BATCH_TYPE)


def _find(
    handler: IrcHandler, attributes: dict[str, str], after: float, before: float, limit: int
) -> list[StoredMessage]:
    """Return what was found, oldest first: of the messages with the words, those that fit the other attributes."""
    session, sender = handler.require_session(), fold(attributes.get("from", ""))
    found = handler.messenger.history_service.find(
        session, attributes["text"], attributes.get("in") or None, MAX_HISTORY_PAGE
    )
    fitting = [
        message
        for message in found.messages
        if (not sender or fold(message.sender) == sender) and after <= message.time < before and not message.erased
    ]
    return fitting[: min(limit, MAX_HISTORY_PAGE)][::-1]


def _time(attributes: dict[str, str], name: str, default: float) -> float | None:
    """Return the time of an attribute, in Unix seconds; None if it is none."""
    if name not in attributes:
        return default
    return parse_time(attributes[name].removeprefix("timestamp="))


def _is_limit(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_LIMIT_DIGITS and int(text) > 0
