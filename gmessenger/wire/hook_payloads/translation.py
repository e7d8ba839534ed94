"""What the translators of hook payloads share: the payload, its translation, and how its fields are read.

A payload may hold anything anywhere: fields are read with `get_text`, `get_object` and `get_objects`, which return
nothing where a value has another type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from gmessenger.field_types import MAX_ID

MAX_BODY: Final = 1_048_576  # bytes
MAX_ITEMS: Final = 100
"""Items of a list (attachments, embeds, blocks, fields) that are looked at; a message with more is none for people."""
KEY_HEADERS: Final = (
    *("idempotency-key", "webhook-id", "x-github-delivery", "x-gitea-delivery", "x-gogs-delivery"),
    "x-gitlab-event-uuid",
)
"""Headers that are the same where a post is sent again, the most reliable first."""
CONTROLS: Final = {
    code: None for code in [*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000)] if chr(code) not in "\n\t"
}
"""Characters that are dropped: controls, and halves of surrogate pairs."""
ELLIPSIS: Final = "…"


class NoTextError(Exception):
    """A post in which nothing is to be said: its sender, or how it is set up, is not one that is understood."""


class Payload(Struct, frozen=True):
    """A post whose body is an object: its headers by lower-case name, and that object."""

    headers: Mapping[str, str]
    content: dict[str, Any]


class Translation(Struct, frozen=True):
    """The message of a post. `text`: empty where there is nothing to say.

    `key`: an idempotency key: the post with it may be sent again. `firing`, `resolved`: fingerprints of the alerts that
    the message is about, at most `MAX_FINGERPRINTS` of each.
    """

    text: str
    key: str | None = None
    firing: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()


NOTHING_TO_SAY: Final = Translation("")
MAX_FINGERPRINTS: Final = 1000
FINGERPRINT_SIZE: Final = 32  # characters


def make_fingerprint(text: str) -> str:
    """Return what names an alert from now on: of bounded length, whatever its sender calls it."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:FINGERPRINT_SIZE]


def find_key(headers: Mapping[str, str]) -> str | None:
    """Return the idempotency key of a post, or its hash where it is too long for the id of a message."""
    key = next((key for name in KEY_HEADERS if (key := headers.get(name, "").strip())), "")
    if len(encoded := key.encode(errors="replace")) > MAX_ID:
        return hashlib.sha256(encoded).hexdigest()
    return key or None


def clean_text(text: str, max_text: int) -> str:
    """Return a text without control characters but newline and tab, cut to so many characters with an ellipsis."""
    text = text.translate(CONTROLS).rstrip().lstrip("\n")
    return text if len(text) <= max_text else text[: max_text - 1].rstrip() + ELLIPSIS


def get_text(content: Any, *names: str) -> str:
    """Return the first of these fields of an object that is a text and not blank, without white space around it."""
    for name in names if isinstance(content, dict) else ():
        value = content.get(name)
        if isinstance(value, str) and (value := value.strip()):
            return value
    return ""


def get_object(content: Any, *path: str) -> dict[str, Any]:
    """Return the object at a path of names in another one; an empty one if there is none."""
    for name in path:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def get_number(content: Any, name: str) -> int:
    """Return a field that is a whole number; 0 if there is none."""
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def get_objects(content: Any, name: str, most: int = MAX_ITEMS) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list, of which at most the first so many items are looked at."""
    value = content.get(name) if isinstance(content, dict) else None
    for item in value[:most] if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def first_line(text: str) -> str:
    """Return the first line of a text that is not blank."""
    return text.strip().partition("\n")[0].strip()


def join_lines(lines: Iterable[str]) -> str:
    """Return the texts that are not empty, each beginning a line."""
    return "\n".join(line for line in lines if line)
