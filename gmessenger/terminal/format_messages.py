"""Format messages as text for a person: their kinds, quotes, edits, erasures and reactions; all text is sanitized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gmessenger.client import (
    HistoryMessage,
    MessageAmended,
    MessageEvent,
    OutgoingMessage,
    ReactionInfo,
    SearchHit,
    SentFile,
    fold,
)
from gmessenger.names import is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal.dates import format_time
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.text_codes import strip_codes

CONTINUATION_INDENT: Final = " " * 8
ERASED_MESSAGE: Final = N_("this message has been erased")
QUOTE_LENGTH: Final = 50
"""Characters of a message that are quoted above a reply."""
HIDDEN_TEXT: Final = "…"
"""Shown in place of the text where a reply quotes a message from a blocked user."""
A_MESSAGE: Final = N_("a message")


SIZE_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
SIZE_STEP: Final = 1024


def format_message(event: MessageEvent) -> str:
    """Format a message with its time, sender, and room if it has one; further lines are indented."""
    sender = sanitize(event.sender)
    return _format_lines(event, _("{name} (to all)", name=sender) if event.broadcast is True else sender)


def format_own_message(event: MessageEvent) -> str:
    """Format a message that the user sent on another device or earlier.

    History does not say which: only a message with an id is known to be from another device.
    """
    is_other_device, to = bool(event.id), sanitize(event.to)
    if is_room(event.to):
        return _format_lines(event, _("you, on another device") if is_other_device else _("you, earlier"))
    author = (
        _("you, on another device, to {name}", name=to) if is_other_device else _("you, earlier, to {name}", name=to)
    )
    return _format_lines(event, author)


def format_hit(hit: SearchHit, own_name: str) -> str:
    """Format a search hit; an own message names its recipient."""
    delivery, sender = hit.delivery, sanitize(hit.delivery.sender)
    is_own = fold(delivery.sender) == fold(own_name) and not is_room(delivery.to)
    return _format_lines(
        delivery, _("{name} to {to}", name=sender, to=sanitize(hit.conversation)) if is_own else sender
    )


def _format_lines(event: MessageEvent, author: str) -> str:
    if event.erased is True:
        return as_notice(erased_text(event.by if isinstance(event, HistoryMessage) else ""))
    room = f"{sanitize(event.to)} " if is_room(event.to) else ""
    if event.edited:
        author = _("{name} (edited)", name=author)
    first, *rest = strip_codes(event.message).replace("\r\n", "\n").split("\n")
    head = f"* {author}" if event.kind == "action" else f"{author}:"
    lines = [f"[{format_time(event.time)}] {room}{head} {sanitize(first)}"]
    lines += [CONTINUATION_INDENT + sanitize(line) for line in rest]
    if event.file:
        lines.append(CONTINUATION_INDENT + format_file(event.file))
    if isinstance(event, HistoryMessage) and event.reactions:
        lines.append(CONTINUATION_INDENT + format_reactions(event.reactions))
    return "\n".join(lines)


def format_file(file: SentFile) -> str:
    """Format the file of a message in one line: its URL, and what it is."""
    size = format_size(file.size)
    sides = f", {file.width} × {file.height}" if file.width and file.height else ""
    return f"{sanitize(file.url)} ({sanitize(file.type)}, {size}{sides})"


def format_size(size: int) -> str:
    """Return a number of bytes as people read it."""
    value, unit = float(size), 0
    while value >= SIZE_STEP and unit < len(SIZE_UNITS) - 1:
        value, unit = value / SIZE_STEP, unit + 1
    return f"{value:.{int(unit > 0 and value < 10)}f} {SIZE_UNITS[unit]}"


def erased_text(by: str) -> str:
    """Return what is shown in place of an erased message; `by` is empty if it is not known who erased it."""
    return _("{name} has erased this message", name=sanitize(by)) if by else _(ERASED_MESSAGE)


def quote_text(sender: str, text: str) -> str:
    """Return the beginning of a message as replies quote it, in one line; the arguments are sanitized."""
    words = " ".join(text.split())
    return f"{sender}: {words if len(words) <= QUOTE_LENGTH else words[:QUOTE_LENGTH] + '…'}"


def format_reactions(reactions: Sequence[ReactionInfo]) -> str:
    """Format the reactions to a message in one line: each with who reacted so."""
    return "  ".join(
        reaction_text(sanitize(reaction.text), list(map(sanitize, reaction.names)), reaction.count)
        for reaction in reactions
    )


def reaction_text(text: str, names: Sequence[str], count: int) -> str:
    """Format one reaction; `count` is how many users reacted so, of whom not all may be in `names`."""
    more = f" +{count - len(names)}" if count > len(names) else ""
    return f"{text} {', '.join(names)}{more}".rstrip()


def message_number(number: int | None) -> str:
    """Return how a sentence calls a message with a number in line mode; without one, `a message`."""
    return _(A_MESSAGE) if number is None else _("message {number}", number=number)


def _edited(delivery: MessageEvent, message: str, author: str) -> str:
    return _format_lines(delivery, _("{name} (edited)", name=author))


def _erased(delivery: MessageEvent, message: str, author: str) -> str:
    return as_notice(_("{name} has erased {message}", name=author, message=message))


def _reacted(delivery: MessageEvent, message: str, author: str) -> str:
    return as_notice(
        _(
            "{name} has reacted to {message}: {reaction}",
            name=author,
            message=message,
            reaction=sanitize(delivery.message),
        )
    )


def _unreacted(delivery: MessageEvent, message: str, author: str) -> str:
    return as_notice(
        _(
            "{name} has taken the reaction {reaction} to {message} back",
            name=author,
            message=message,
            reaction=sanitize(delivery.message),
        )
    )


AMENDMENT_FORMATTERS: Final[dict[str, Callable[[MessageEvent, str, str], str]]] = {
    "edit": _edited,
    "erase": _erased,
    "react": _reacted,
    "unreact": _unreacted,
}
"""How each kind of amendment is shown as a line: of the delivery, how the message is called, and who amended it."""


def format_amendment(event: MessageAmended, number: int | None = None) -> str | None:
    """Format an amendment as a line; `number` is that of the amended message, if it has one.

    None for an edit of what is erased by now, and for kinds of a later release.
    """
    formatter, delivery = AMENDMENT_FORMATTERS.get(event.delivery.what or ""), event.delivery
    if formatter is None or (delivery.erased is True and delivery.what != "erase"):
        return None
    is_own = event.is_own and not delivery.by
    author = _("you, on another device") if is_own else sanitize(event.by)
    return formatter(delivery, _message_in(delivery.to, number), author)


def _message_in(to: str, number: int | None) -> str:
    """Return how a sentence calls a message, with its room if it has one."""
    message = message_number(number)
    return _("{message} in {room}", message=message, room=sanitize(to)) if is_room(to) else message


ACCEPTED_SENTENCES: Final = {
    None: N_("sent to {name}"),
    "edit": N_("edited {message}"),
    "erase": N_("erased {message}"),
    "react": N_("reacted to {message} with {text}"),
    "unreact": N_("took the reaction {text} to {message} back"),
}
"""What is said when the server has accepted a message, by what it does to an earlier one."""
REJECTED_SENTENCES: Final = {
    "edit": N_("{message} was not edited: {reason} Your text was: {text}"),
    "erase": N_("{message} was not erased: {reason}"),
    "react": N_("the reaction {text} to {message} was not accepted: {reason}"),
    "unreact": N_("the reaction {text} to {message} was not taken back: {reason}"),
}
"""What is said when the server has refused an amendment."""


def format_accepted(message: OutgoingMessage, number: int | None = None) -> str:
    """Say that the server has accepted a message; `number` is that of the message that it amends."""
    return as_notice(_format_outgoing(ACCEPTED_SENTENCES[message.what], message, message_number(number)))


def format_amendment_rejected(message: OutgoingMessage, reason: str, number: int | None = None) -> str:
    """Say that the server has refused an amendment, with all of the text; `reason` is sanitized."""
    assert message.what is not None
    called = _message_in(message.to, number)
    return as_notice(_format_outgoing(REJECTED_SENTENCES[message.what], message, called, reason=reason))


def _format_outgoing(sentence: str, message: OutgoingMessage, called: str, **more: str) -> str:
    name, text = sanitize(message.to), sanitize(message.text)
    return _(sentence, name=name, text=text, message=called, **more)
