"""Format what one may read of a conversation, and why not more, as text for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gmessenger.names import is_room
from gmessenger.terminal.i18n import N_, _, ngettext

BEFORE_JOINING: Final = N_("before you joined")
BEFORE_REGISTERING: Final = N_("before you registered")
OR_TOO_OLD: Final = N_("{reason}, or too old")


def hidden_messages(conversation: str, count: int, *, is_pruned: bool) -> str:
    """Say how many messages there are before the first that the user may read, and why they are not shown.

    is_pruned: the server keeps messages for some time only, so they may be too old.
    """
    reason = _(BEFORE_JOINING if is_room(conversation) else BEFORE_REGISTERING)
    if is_pruned:
        reason = _(OR_TOO_OLD, reason=reason)
    return ngettext("{count} message not shown: {reason}", "{count} messages not shown: {reason}", count, reason=reason)


def readable_messages(
    last_seq: int | None, first_readable: int | None, absences: Sequence[tuple[int, int]]
) -> str | None:
    """Say how much of what was said in a room someone who joins it can read.

    None if nothing was said, or the server does not say: one of an earlier release.

    last_seq: the seq of the last message before the user joined.
    absences: the first and the last seq of what the user may not read after `first_readable`.
    """
    if not last_seq or first_readable is None:
        return None
    hidden = first_readable - 1 + sum(last - first + 1 for first, last in absences)
    readable = last_seq - hidden
    if readable <= 0:
        return ngettext(
            "{count} message was sent here before you joined; you can read what is sent from now on",
            "{count} messages were sent here before you joined; you can read what is sent from now on",
            last_seq,
        )
    if hidden:
        return ngettext(
            "of {count} message that was sent here before, you can read {readable}",
            "of {count} messages that were sent here before, you can read {readable}",
            last_seq,
            readable=readable,
        )
    return ngettext(
        "you can read the {count} message that was sent here before",
        "you can read the {count} messages that were sent here before",
        last_seq,
    )


def absent_messages(count: int) -> str:
    """Say that messages are not shown because the user was not a member of the room when they were sent."""
    return ngettext(
        "{count} message not shown: you were not in the room",
        "{count} messages not shown: you were not in the room",
        count,
    )
