"""Files as both backends read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from gmessenger.chat.records import FileInfo, NewMessage, StoredFile, StoredMessage

FileRow: TypeAlias = tuple[str, int, str, str, str, int, int | None, int | None]
"""Conversation key and seq of a message; id, name, type, size, width and height of its file."""


def attach_files(messages: Sequence[StoredMessage], rows: Iterable[FileRow]) -> None:
    """Give messages the files of these rows."""
    by_place: dict[tuple[str, int], StoredMessage] | None = None
    for conversation, seq, id, name, type, size, width, height in rows:
        if by_place is None:  # of most pages there is none
            by_place = {(message.conversation, message.seq): message for message in messages}
        by_place[conversation, seq].file = FileInfo(id, name, type, size, width, height)


def stored_file_from_row(row: tuple[Any, ...]) -> StoredFile:
    """Return a file from its columns: those of `FileInfo`, digest, account, time, and whether it was sent."""
    *info, digest, account, time, is_sent = row
    return StoredFile(FileInfo(*info), digest, account, time, bool(is_sent))


def file_id(message: NewMessage) -> str | None:
    """Return the id of a message's file, if it has one."""
    return message.file.id if message.file is not None else None
