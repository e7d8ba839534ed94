"""Types of the fields of requests, on the wire and on the control socket: every string and number has a bound.

Strings are bounded in characters as they arrive. Which characters are allowed, and the length after normalisation, is
checked where the value is used; these bounds keep anything unbounded from getting there. Only the text of a message
(`message`) has none here: the size of a frame bounds it, and then `--max-text` (`chat.sending`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from gmessenger.constants import OFFLINE
from gmessenger.errors import BadId, BadName, BadPassword, BadRequest, WireError
from gmessenger.names import MAX_RAW_NAME

MAX_STATUS: Final = 32
MAX_NOTE: Final = 200
MAX_TOPIC: Final = 400
MAX_REASON: Final = 200
MAX_DEVICE: Final = 128
MAX_QUERY: Final = 4096
MAX_PATH: Final = 4096
MAX_ENDPOINT: Final = 1024
"""Characters of the URL of a push subscription; those of the known push services have at most 600."""
MAX_PUSH_KEY: Final = 128
"""Characters of a key of a push subscription, of which base64url needs 88."""
MAX_INVITE_USES: Final = 10_000
MAX_ID: Final = 64
"""Bytes of the id of a request."""
MAX_SEQ: Final = 2**53
"""The highest seq and the largest number in a request: beyond it floats, and so JavaScript, lose precision."""
MAX_SECONDS: Final = 3_155_760_000
"""A hundred years: longer than any sanction needs."""
MAX_DAYS: Final = 100_000

Kind: TypeAlias = Literal["action", "notice"]
"""Of a message: that its sender does it, or that no program answers it."""
What: TypeAlias = Literal["edit", "erase", "react", "unreact"]
"""What a message does to the one that it is about."""

Name: TypeAlias = Annotated[str, Meta(max_length=MAX_RAW_NAME)]
"""Of an account, a guest or a room; also of the last item of the previous page of a list."""
Password: TypeAlias = Annotated[str, Meta(max_length=1024)]
Token: TypeAlias = Annotated[str, Meta(max_length=256)]
"""A secret that the server has made: a session token or an invite."""
Device: TypeAlias = Annotated[str, Meta(max_length=MAX_DEVICE)]
Fingerprint: TypeAlias = Annotated[str, Meta(max_length=128)]
"""Of a certificate: 64 hexadecimal digits, maybe with colons between two."""
Status: TypeAlias = Annotated[str, Meta(max_length=MAX_STATUS)]
Note: TypeAlias = Annotated[str, Meta(max_length=MAX_NOTE)]
Topic: TypeAlias = Annotated[str, Meta(max_length=MAX_TOPIC)]
Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON)]
Address: TypeAlias = Annotated[str, Meta(max_length=64)]
Query: TypeAlias = Annotated[str, Meta(max_length=MAX_QUERY)]
Id: TypeAlias = Annotated[str, Meta(max_length=MAX_ID)]
FileId: TypeAlias = Annotated[str, Meta(max_length=64)]
"""Of a file that was uploaded."""
Endpoint: TypeAlias = Annotated[str, Meta(max_length=MAX_ENDPOINT)]
"""The URL of a push subscription."""
PushKey: TypeAlias = Annotated[str, Meta(max_length=MAX_PUSH_KEY)]
"""A key of a push subscription."""
FilePath: TypeAlias = Annotated[str, Meta(max_length=MAX_PATH)]

InviteUses: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_INVITE_USES)]
Number: TypeAlias = Annotated[int, Meta(ge=-MAX_SEQ, le=MAX_SEQ)]
"""A seq or a count."""
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
"""A duration."""
Days: TypeAlias = Annotated[float, Meta(gt=0, le=MAX_DAYS)]

MAX_RULES: Final = 32
MAX_RULE: Final = 32
RuleWord: TypeAlias = Annotated[str, Meta(max_length=MAX_RULE)]
Rules: TypeAlias = Annotated[dict[RuleWord, bool | Number | RuleWord], Meta(max_length=MAX_RULES)]
"""Rules of a room, by key; which keys and values there are is checked where they are set."""

ErrorFactory: TypeAlias = Callable[[], WireError]
LENGTH_ERRORS: Final[dict[str, ErrorFactory]] = {
    **dict.fromkeys(("account_name", "to", "with", "user", "room", "name", "after"), BadName),
    "id": BadId,
    **dict.fromkeys(("password", "old", "new"), BadPassword),
    "device": lambda: BadRequest(f"The name of a device has at most {MAX_DEVICE} characters."),
    "status": lambda: BadRequest(f"A status is 1 to {MAX_STATUS} printable characters, and not {OFFLINE!r}."),
    "note": lambda: BadRequest(f"A note is at most {MAX_NOTE} printable characters."),
    "topic": lambda: BadRequest(f"A topic is at most {MAX_TOPIC} printable characters."),
    "reason": lambda: BadRequest(f"A reason is at most {MAX_REASON} printable characters."),
    "text": lambda: BadRequest(f"A search has at most {MAX_QUERY} characters."),
}
"""The error for a string that is too long, by field; other fields are refused by a general `BadRequest`."""
LENGTH_COMPLAINT: Final = re.compile(r"of length <= \d+ - at `\$(?:\.\w+)*?\.(\w+)`")
"""What msgspec says of a string that is too long."""


def length_error(complaint: str) -> WireError | None:
    """Return the error for a field that msgspec found too long; None for other complaints and fields."""
    match = LENGTH_COMPLAINT.search(complaint)
    make_error = LENGTH_ERRORS.get(match[1]) if match is not None else None
    return make_error() if make_error is not None else None
