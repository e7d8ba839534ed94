"""Tell whether a message that comes with the id of an earlier one is the same, as far as that can still be known."""

from __future__ import annotations

import hashlib
from typing import Final

from gmessenger.chat.records import NewMessage
from gmessenger.errors import IdReused, WireError
from gmessenger.store.files import file_id

ANY_TEXT: Final = b"\x00"
"""Begins a digest of a message whose text was changed: that is not compared."""
SAME_TEXT: Final = b"\x01"
DIGEST_BYTES: Final = 16
WITH_FILE: Final = b"file"
"""Keeps digests of messages with files apart from those of texts that begin like one."""


def message_digest(
    key: bytes, text: str, about: int | None, what: str, file: str | None = None, *, is_changed: bool
) -> bytes:
    """Return bytes that tell whether another message was sent under the same id as one that was pruned.

    Args:
        key: the secret of the store: without it texts cannot be tried against a digest.
        file: the id of the message's file.
        is_changed: the text that was sent is not known any more; then any text and any file count as the same.
    """
    sent, person = ("", b"") if is_changed else (text, b"") if file is None else (f"{file} {text}", WITH_FILE)
    content = f"{about or 0} {what} {sent}"
    digest = hashlib.blake2b(content.encode(), key=key, digest_size=DIGEST_BYTES, person=person).digest()
    return (ANY_TEXT if is_changed else SAME_TEXT) + digest


def compare_with_digest(key: bytes, message: NewMessage, digest: bytes) -> WireError | None:
    """Return `IdReused` where a message is not the one with this digest. Digests of earlier releases tell nothing.

    Nor can be told whether it is the same without its text: that was the name of its file, which is gone.
    """
    is_changed = digest[:1] == ANY_TEXT
    if len(digest) != 1 + DIGEST_BYTES or (message.file is not None and not message.text and not is_changed):
        return None
    seq, what = about_columns(message)
    sent = message_digest(key, message.text, seq, what, file_id(message), is_changed=is_changed)
    return None if sent == digest else IdReused()


def compare_with_stored(
    message: NewMessage, text: str, about: int | None, what: str, *, is_changed: bool
) -> WireError | None:
    """Return `IdReused` where a message is not the stored one with its id, which has these columns.

    The text that was sent is not known any more where it `is_changed`, or the message is an edit or an erase.
    """
    if about_columns(message) != (about, what):
        return IdReused()
    return None if is_changed or text == message.text else IdReused()


def about_columns(message: NewMessage) -> tuple[int | None, str]:
    """Return the columns `about` and `what` of a message."""
    return (message.about.seq, message.about.what) if message.about is not None else (None, "")
