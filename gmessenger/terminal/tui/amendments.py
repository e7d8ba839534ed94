"""What messages about earlier messages change on the screen: quotes, edits, erasures and reactions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gmessenger.client import HistoryMessage, MessageEvent, fold
from gmessenger.sanitize import sanitize, sanitize_lines
from gmessenger.terminal.format_messages import ERASED_MESSAGE, erased_text, format_file, quote_text
from gmessenger.terminal.i18n import _
from gmessenger.terminal.text_codes import strip_codes
from gmessenger.terminal.tui.conversation import Conversation, Entry, MessageState, ReactionEntry

MAX_QUOTED: Final = 1000
"""Messages of a conversation that are kept for quotes only."""


def make_entry(delivery: MessageEvent, own_name: str, *, is_mention: bool) -> Entry:
    """Return the entry of a message that was received, or is in the history with what was done to it since."""
    is_own, is_erased = fold(delivery.sender) == fold(own_name), delivery.erased is True
    entry = Entry(
        delivery.time,
        "" if is_erased else sanitize(delivery.sender),
        _(ERASED_MESSAGE) if is_erased else sanitize_lines(strip_codes(delivery.message)),
        is_own,
        delivery.seq or None,
        MessageState.STORED if is_own and not is_erased else None,
        is_mention=is_mention and not is_own,
        source_text=delivery.message if is_own else "",
        kind=delivery.kind or "",
        about=delivery.about or None,
        is_edited=bool(delivery.edited),
        is_erased=is_erased,
        file=format_file(delivery.file) if delivery.file and not is_erased else "",
    )
    if isinstance(delivery, HistoryMessage):
        _add_history(entry, delivery)
    return entry


def _add_history(entry: Entry, delivery: HistoryMessage) -> None:
    if entry.is_erased:
        entry.text = erased_text(delivery.by)
        entry.timestamp = delivery.at or entry.timestamp
    for reaction in delivery.reactions:
        names = {fold(name): sanitize(name) for name in reaction.names}
        entry.reactions[sanitize(reaction.text)] = ReactionEntry(names, max(0, reaction.count - len(names)))


def amend(conversation: Conversation, seq: int, what: str, text: str, by: str) -> None:
    """Apply an amendment to the message with this seq, if it is loaded, and to what quotes it.

    text: not sanitized. by: the name of who amends it.
    """
    entry = conversation.find_quoted(seq)
    if entry is not None and not entry.is_erased and what in AMENDMENTS:
        AMENDMENTS[what](entry, text, by)
        entry.version += 1
        update_quotes(conversation, (entry,))


def _edit(entry: Entry, text: str, by: str) -> None:
    entry.text, entry.is_edited = sanitize_lines(strip_codes(text)), True
    entry.source_text = text if entry.is_own else ""


def _erase(entry: Entry, text: str, by: str) -> None:
    entry.text, entry.sender, entry.source_text, entry.file = erased_text(by), "", "", ""
    entry.is_erased, entry.is_edited, entry.state = True, False, None
    entry.reactions.clear()


def _react(entry: Entry, text: str, by: str) -> None:
    entry.reactions.setdefault(sanitize(text), ReactionEntry()).names.setdefault(fold(by), sanitize(by))


def _unreact(entry: Entry, text: str, by: str) -> None:
    reactors = entry.reactions.get(sanitize(text))
    if reactors is None:
        return
    if reactors.names.pop(fold(by), None) is None:
        reactors.more = max(0, reactors.more - 1)
    if not reactors.names and not reactors.more:
        del entry.reactions[sanitize(text)]


AMENDMENTS: Final = {"edit": _edit, "erase": _erase, "react": _react, "unreact": _unreact}
"""What each kind of amendment changes."""


def update_quotes(conversation: Conversation, quoted: Iterable[Entry]) -> None:
    """Write the beginnings of messages into the replies to them, after they were loaded or amended."""
    quotes = {entry.seq: quote_of(entry) for entry in quoted if entry.seq is not None}
    for entry in conversation.entries:
        if entry.about in quotes and entry.quote != quotes[entry.about]:
            entry.quote = quotes[entry.about]
            entry.version += 1


def set_quote(conversation: Conversation, entry: Entry) -> None:
    """Write the beginning of the message that an entry is a reply to into it, if that is loaded."""
    if entry.about is not None and (quoted := conversation.find_quoted(entry.about)) is not None:
        entry.quote = quote_of(quoted)
        entry.version += 1


def missing_quotes(conversation: Conversation, entries: Iterable[Entry]) -> list[int]:
    """Return the seqs of the messages that entries are replies to and that are not loaded."""
    seqs = {entry.about for entry in entries if entry.about is not None and not entry.quote}
    return sorted(seq for seq in seqs if conversation.find_quoted(seq) is None)


def keep_quoted(conversation: Conversation, entry: Entry) -> None:
    """Keep a message that was loaded to be quoted, and write it into the replies to it."""
    if entry.seq is not None and len(conversation.quoted) < MAX_QUOTED:
        conversation.quoted[entry.seq] = entry
        update_quotes(conversation, (entry,))


def quote_of(entry: Entry) -> str:
    """Return the beginning of a message as replies quote it, in one line."""
    return entry.text if entry.is_erased else quote_text(entry.sender, entry.text)
