"""The table of course dialects: how hundreds of course clients spell JIM, and what each must be sent.

All differences are fields of `Dialect` or rows of this table; only `gmessenger.wire` and `server.jim.course` know of
dialects. Keys are in lower case, as the keys of course clients are compared case-insensitively.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

PRESENCE_ACTIONS: Final = frozenset({"presence", "presense"})
MESSAGE_ACTIONS: Final = frozenset({"message", "msg", "m"})
QUIT_ACTIONS: Final = frozenset({"exit", "quit", "q"})
LIST_ACTIONS: Final = {"get_users": False, "get_contacts": True}
CONTACT_ACTIONS: Final = {"add": True, "add_contact": True, "remove": False, "del_contact": False}

NAME_PATHS: Final = (
    "user.account_name",
    "user.client_name",
    "user",
    "from_user.account_name",
    "account_name",
    "user.authuser",
    "body",
)
RECIPIENT_PATHS: Final = ("to", "destination", "to_user", "message_receiver", "body.to")
UPPERCASE_RECIPIENT_PATHS: Final = ("from",)
TEXT_PATHS: Final = ("mess_text", "message_text", "msg_txt", "text", "message", "body.text")
CONTACT_PATHS: Final = ("contact", "user_id", "contact_name", "account_name", "to", "user.account_name")
BROADCAST_NAMES: Final = frozenset({"#", "all"})

MAX_COURSE_FRAME: Final = 1000
"""Bytes, with the newline: course clients read with one `recv(1024)`."""
TIMING_MARGIN: Final = 0.005  # seconds, for clocks and buffers on the way
FRAME_INTERVAL: Final = 0.12 + TIMING_MARGIN
"""Seconds between frames: most course clients fail if one `recv` returns two objects."""
PRESENCE_DELAY: Final = 0.2 + TIMING_MARGIN  # seconds
LIST_INTERVAL: Final = 2.4 + TIMING_MARGIN
"""Seconds between messages to a client that has fetched lists: it reads responses and messages in one place."""

JsonMapping = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of course client is answered (`envelope`), and in which `form` it is sent messages."""

    name: str
    envelope: Literal["plain", "uppercase", "typed"] = "plain"
    form: Literal["open", "strict", "uppercase", "typed"] = "open"
    action: str = "message"
    action_known: bool = False  # whether the client has shown which action it expects, `message` or `msg`
    text_keys: tuple[str, ...] = ("mess_text", "message_text", "text")
    text_known: bool = False  # whether the client has shown its text key; else text_keys are a guess
    duplicate_users: bool = False  # also send both names as from_user and to_user
    max_frame: int = MAX_COURSE_FRAME
    # The client expects a message after the response to its presence; its own messages may have no recipient.
    expects_greeting: bool = False
    from_is_recipient: bool = False

    def refined_by(self, action: str, text_key: str) -> Dialect:
        """Return the dialect after the client's first message: a client understands the words it uses."""
        if self.form == "uppercase":
            return self
        text_keys = self.text_keys if self.form == "typed" else (text_key,)
        return replace(self, action=action, action_known=True, text_keys=text_keys, text_known=True)


DEFAULT: Final = Dialect("ordinary")


@dataclass(frozen=True, slots=True)
class Rule:
    """The dialect of a presence that `matches`."""

    matches: Callable[[JsonMapping, JsonMapping], bool]  # of the presence as spelled, and with its keys in lower case
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Variation:
    """A change of the default dialect, for a presence that `matches`."""

    matches: Callable[[JsonMapping, JsonMapping], bool]
    apply: Callable[[Dialect], Dialect]


CLOCK_PATTERN: Final = re.compile(r"\d\d?:\d\d:\d\d")


def _has_clock_time(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return isinstance(lowered.get("time"), str) and CLOCK_PATTERN.fullmatch(lowered["time"]) is not None


def _has_untyped_status(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return "type" not in lowered and isinstance(lowered.get("user"), dict) and "status" in lowered["user"]


RULES: Final = (
    Rule(
        lambda raw, low: "ACTION" in raw,
        Dialect("uppercase", "uppercase", "uppercase", action_known=True, from_is_recipient=True),
    ),
    Rule(
        lambda raw, low: low.get("type") == "request",
        Dialect("typed", "typed", "typed", action="msg", action_known=True, max_frame=500),
    ),
    Rule(
        lambda raw, low: low.get("type") == "status",
        Dialect(
            "status", form="strict", action="msg", action_known=True, text_keys=("message",), expects_greeting=True
        ),
    ),
)
"""The first match wins; without one it is DEFAULT with all VARIATIONS that match."""
VARIATIONS: Final[tuple[Variation, ...]] = (
    Variation(lambda raw, low: "from_user" in low, lambda dialect: replace(dialect, duplicate_users=True)),
    Variation(
        lambda raw, low: str(low.get("action")).lower() == "presense",
        lambda dialect: replace(dialect, text_keys=("msg_txt",), text_known=True),
    ),
    Variation(_has_untyped_status, lambda dialect: replace(dialect, action="msg", action_known=True)),
    Variation(_has_clock_time, lambda dialect: replace(dialect, action="m", action_known=True)),
)


def detect_dialect(presence: JsonMapping, lowered: JsonMapping) -> Dialect:
    """Return the dialect of a presence; `lowered` is the same object with its keys in lower case."""
    for rule in RULES:
        if rule.matches(presence, lowered):
            return rule.dialect
    dialect = DEFAULT
    for variation in VARIATIONS:
        if variation.matches(presence, lowered):
            dialect = variation.apply(dialect)
    return dialect


def lower_keys(value: Any) -> Any:
    """Return a JSON value with its keys in lower case, down to the second level, where the paths of the table end."""
    if not isinstance(value, dict):
        return value
    return {
        key.lower(): {inner.lower(): content for inner, content in nested.items()} if type(nested) is dict else nested
        for key, nested in value.items()
    }


def first_string(lowered: JsonMapping, paths: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the last key of the first path that leads to a string, and that string; None if there is none."""
    for path in paths:
        outer, _, inner = path.partition(".")
        value = lowered.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if isinstance(value, str):
            return inner or outer, value
    return None
