"""Who may send a message about another one, as far as that is known before the store is asked."""

from __future__ import annotations

import unicodedata
from typing import Final

from gmessenger.chat.policy import Policy
from gmessenger.chat.records import About
from gmessenger.chat.room import Room
from gmessenger.chat.session import Session
from gmessenger.constants import OPERATOR_ROLE
from gmessenger.errors import BadRequest
from gmessenger.names import INVISIBLE
from gmessenger.room_roles import has_rank

MAX_REACTION: Final = 16
"""Characters of a reaction: the longest emoji in use, a family with skin tones, has eleven."""
JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")
"""Characters without a look of their own that emoji are made with."""
TAG_PLANE: Final = range(0xE0020, 0xE0080)
"""Characters that the flags of regions are made with."""
REACTIONS: Final = ("react", "unreact")
BAD_CATEGORIES: Final = frozenset("CZ")
"""Major categories of Unicode with characters that are invisible, unassigned or separators."""
EMPTY: Final = INVISIBLE | {"\u2800"}
"""Invisible characters of other categories: fillers, and the Braille pattern without dots."""


def check_reaction(text: str) -> None:
    """Raise `BadRequest` where a text is not one visible character, as its reader sees it."""
    from wcwidth import iter_graphemes  # 5 MB and 20 ms, for the first reaction only

    is_one = 0 < len(text) <= MAX_REACTION and len(list(iter_graphemes(text))) == 1
    if not is_one or not all(_is_allowed(char) for char in text) or not _is_visible(text[0]):
        raise BadRequest(f"A reaction is one character or emoji, of at most {MAX_REACTION} code points.")


def _is_allowed(char: str) -> bool:
    return char in JOINERS or ord(char) in TAG_PLANE or unicodedata.category(char)[0] not in BAD_CATEGORIES


def _is_visible(char: str) -> bool:
    """Return whether a character is visible on its own, which a combining mark is not."""
    return char not in EMPTY and unicodedata.category(char)[0] not in BAD_CATEGORIES | {"M"}


def authorize(session: Session, about: About, conversation: str, room: Room | None, text: str, policy: Policy) -> None:
    """Fill in what the store has to know to allow an amendment of a message in a conversation.

    Raises `AccountsOnly` and `BadRequest` for reactions; all else the store decides.
    """
    if about.what in REACTIONS:
        session.require_account()
        check_reaction(text)
    about.is_own = session.has_said(conversation, about.seq)
    about.edit_for = policy.edit_for
    about.may_moderate = room is not None and may_moderate(session, room)
    if session.acting is not None and about.may_moderate and is_erasure(about) and not about.is_own:
        about.by = session.acting.name


def may_moderate(session: Session, room: Room) -> bool:
    """Return whether a session may erase what others have said in a room."""
    return session.role == OPERATOR_ROLE or has_rank(room.role_of(session), "moderator")


def is_erasure(about: About | None) -> bool:
    """Return whether a message erases another."""
    return about is not None and about.what == "erase"
