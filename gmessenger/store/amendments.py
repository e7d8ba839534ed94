"""What both backends decide about an amendment, from what is stored of the message that it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple, TypeAlias

from gmessenger.chat.records import REMOVES_TEXT, About, NewMessage, Reaction, StoredMessage
from gmessenger.errors import NoSuchFile, NoSuchMessage, NoSuchRoom, NotYours, TooLate, WireError
from gmessenger.names import ROOM_PREFIX

MAX_REACTION_TEXTS: Final = 20
"""Different reactions to one message."""
MAX_REACTION_NAMES: Final = 20
"""Names that are told of those who reacted in one way."""


class AmendmentTarget(NamedTuple):
    """What is stored of a message that another one amends. `row`: its number in the table."""

    row: int
    account: int | None
    time: float
    erased: bool
    what: str
    text: str


def check_amendment(message: NewMessage, about: About, amended: AmendmentTarget | None) -> WireError | None:
    """Return why a message may not amend another, or None."""
    if amended is None or amended.erased or amended.what:
        return NoSuchMessage()
    check = AMENDMENT_CHECKS.get(about.what)
    return check(message, about, amended) if check is not None else None


def _check_edit(message: NewMessage, about: About, amended: AmendmentTarget) -> WireError | None:
    if not _is_author(message, about, amended):
        return NotYours()
    if message.time >= amended.time + about.edit_for:
        return TooLate(limit=int(about.edit_for))
    return None


def _check_erase(message: NewMessage, about: About, amended: AmendmentTarget) -> WireError | None:
    return None if about.may_moderate or _is_author(message, about, amended) else NotYours()


def _is_author(message: NewMessage, about: About, amended: AmendmentTarget) -> bool:
    if amended.account is None:
        return about.is_own
    return amended.account == message.account


AMENDMENT_CHECKS: Final[dict[str, Callable[[NewMessage, About, AmendmentTarget], WireError | None]]] = {
    "edit": _check_edit,
    "erase": _check_erase,
}
"""Who may amend a message; a reaction may come from everybody who may write."""


def may_begin(message: NewMessage) -> bool:
    """Return whether a message may be the first of a conversation: no reply, and none whose file is gone."""
    return message.about is None and (message.file is None or message.file.is_known)


def missing_error(message: NewMessage) -> WireError:
    """Return why a message is refused whose conversation does not exist."""
    if message.conversation[:1] == ROOM_PREFIX:
        return NoSuchRoom()
    return NoSuchFile() if message.about is None else NoSuchMessage()


def own_text(message: NewMessage) -> str:
    """Return the text that is kept of a message itself: none of an edit or an erase."""
    return "" if message.about is not None and message.about.what in REMOVES_TEXT else message.text


def seqs_by_conversation(messages: Iterable[StoredMessage]) -> dict[str, list[int]]:
    """Return the seqs of messages by the keys of their conversations."""
    seqs: dict[str, list[int]] = {}
    for message in messages:
        seqs.setdefault(message.conversation, []).append(message.seq)
    return seqs


ReactionRow: TypeAlias = tuple[str, int, str, int, str]
"""Conversation key and seq of a message, text of a reaction, how many reacted so, and the name of one of them."""


def attach_reactions(messages: Sequence[StoredMessage], rows: Iterable[ReactionRow]) -> None:
    """Give messages the reactions of these rows, the most frequent first; rows of one reaction follow each other."""
    by_place = {(message.conversation, message.seq): message for message in messages}
    for (conversation, seq, text, count), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        message = by_place[conversation, seq]
        message.reactions = [*message.reactions, Reaction(text, [row[4] for row in group], count)]
    for message in messages:
        if len(message.reactions) > 1:
            message.reactions.sort(key=lambda reaction: (-reaction.count, reaction.text))


def replies_behind_others(messages: Sequence[NewMessage]) -> list[int]:
    """Return the indexes of replies in conversations that earlier ones of these messages are sent to, too."""
    conversations: set[str] = set()
    found = []
    for index, message in enumerate(messages):
        if message.about is not None and message.conversation in conversations:
            found.append(index)
        conversations.add(message.conversation)
    return found


def is_ahead(message: NewMessage, head: int) -> bool:
    """Return whether a message is about one that comes after a conversation's head."""
    return message.about is not None and message.about.seq > head


def is_amendment(message: NewMessage) -> bool:
    """Return whether a message changes another."""
    return message.about is not None and message.about.what != ""


def is_inserted_alone(message: NewMessage) -> bool:
    """Return whether a message changes something besides: another message, or the file that it takes."""
    return message.file is not None or is_amendment(message)
