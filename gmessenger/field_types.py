"""Types of request fields, of the wire and of the control socket: every string and every number has a bound, here.

A string is counted in characters as it comes. What it may hold, and how long it is after normalisation, is looked at by
what it is for; but nothing unbounded ever gets as far as that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from gmessenger.constants import OFFLINE
from gmessenger.errors import BadId, BadName, BadPassword, BadRequest, WireError
from gmessenger.names import MAX_RAW_NAME

MAX_STATUS: Final = 32
MAX_TOPIC: Final = 400
MAX_REASON: Final = 200
MAX_DEVICE: Final = 128
MAX_QUERY: Final = 4096
MAX_PATH: Final = 4096
MAX_ID: Final = 64
"""Bytes of the id of a request."""
MAX_SEQ: Final = 2**53
"""The highest seq and the largest number in a request: beyond it floats, and so JavaScript, lose precision."""
MAX_SECONDS: Final = 3_155_760_000
"""A century is for good."""
MAX_DAYS: Final = 100_000

Name: TypeAlias = Annotated[str, Meta(max_length=MAX_RAW_NAME)]
"""Of an account, a guest or a room; also where a page begins behind one."""
Password: TypeAlias = Annotated[str, Meta(max_length=1024)]
Token: TypeAlias = Annotated[str, Meta(max_length=256)]
"""A secret of the server's own making: of a session, or an invite."""
Device: TypeAlias = Annotated[str, Meta(max_length=MAX_DEVICE)]
Status: TypeAlias = Annotated[str, Meta(max_length=MAX_STATUS)]
Topic: TypeAlias = Annotated[str, Meta(max_length=MAX_TOPIC)]
Reason: TypeAlias = Annotated[str, Meta(max_length=MAX_REASON)]
Address: TypeAlias = Annotated[str, Meta(max_length=64)]
Query: TypeAlias = Annotated[str, Meta(max_length=MAX_QUERY)]
Id: TypeAlias = Annotated[str, Meta(max_length=MAX_ID)]
FilePath: TypeAlias = Annotated[str, Meta(max_length=MAX_PATH)]

Number: TypeAlias = Annotated[int, Meta(ge=-MAX_SEQ, le=MAX_SEQ)]
"""A seq or a count."""
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
"""How long something lasts."""
Days: TypeAlias = Annotated[float, Meta(gt=0, le=MAX_DAYS)]

ErrorFactory: TypeAlias = Callable[[], WireError]
LENGTH_ERRORS: Final[dict[str, ErrorFactory]] = {
    **dict.fromkeys(("account_name", "to", "with", "user", "room", "after"), BadName),
    "id": BadId,
    "password": BadPassword,
    "device": lambda: BadRequest(f"The name of a device has at most {MAX_DEVICE} characters."),
    "status": lambda: BadRequest(f"A status is 1 to {MAX_STATUS} printable characters, and not {OFFLINE!r}."),
    "topic": lambda: BadRequest(f"A topic is at most {MAX_TOPIC} printable characters."),
    "reason": lambda: BadRequest(f"A reason is at most {MAX_REASON} printable characters."),
    "text": lambda: BadRequest(f"A search has at most {MAX_QUERY} characters."),
}
"""What a string that is too long is refused with, by its field; by `BadRequest` where it is not here."""
LENGTH_COMPLAINT: Final = re.compile(r"of length <= \d+ - at `\$(?:\.\w+)*?\.(\w+)`")
"""How msgspec says it."""


def length_error(complaint: str) -> WireError | None:
    """What a request is refused with, of which msgspec complains that a string is too long; None for all else."""
    found = LENGTH_COMPLAINT.search(complaint)
    refusal = LENGTH_ERRORS.get(found[1]) if found is not None else None
    return refusal() if refusal is not None else None
