"""The table of course dialects: how hundreds of course clients spell JIM, and what each must be sent.

Everything a dialect changes is a field of `Dialect` or a row here; nothing outside `gmessenger.wire` knows that they
exist. Keys are given in lower case: course keys are compared case-insensitively.
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
"""Bytes with the newline: course clients read with one `recv(1024)`."""
TIMING_MARGIN: Final = 0.005  # for the clocks and the buffers on the way
FRAME_INTERVAL: Final = 0.12 + TIMING_MARGIN
"""Seconds between frames: two objects in one `recv` are the end of most of them."""
PRESENCE_DELAY: Final = 0.2 + TIMING_MARGIN
LIST_INTERVAL: Final = 2.4 + TIMING_MARGIN
"""Between pushes to a connection that fetched lists: it reads its answers where it also reads its messages."""

JsonMapping = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of course client is answered (`envelope`) and sent messages (`form`)."""

    name: str
    envelope: Literal["plain", "uppercase", "typed"] = "plain"
    form: Literal["open", "strict", "uppercase", "typed"] = "open"
    action: str = "message"
    action_known: bool = False  # False: it has not shown yet whether it listens for `message` or for `msg`
    text_keys: tuple[str, ...] = ("mess_text", "message_text", "text")
    text_known: bool = False  # False: the keys are a guess
    duplicate_users: bool = False  # also name both ends under from_user and to_user
    max_frame: int = MAX_COURSE_FRAME
    expects_greeting: bool = (
        False  # it waits for a message after its presence is answered; its messages may go to everybody
    )
    from_is_recipient: bool = False

    def refined_by(self, action: str, text_key: str) -> Dialect:
        """The dialect as its first message refines it: it understands at least the words it uses."""
        if self.form == "uppercase":
            return self
        text_keys = self.text_keys if self.form == "typed" else (text_key,)
        return replace(self, action=action, action_known=True, text_keys=text_keys, text_known=True)


DEFAULT: Final = Dialect("ordinary")


@dataclass(frozen=True, slots=True)
class Rule:
    """A presence that `shows` this is answered in this `dialect`."""

    matches: Callable[[JsonMapping, JsonMapping], bool]  # of the presence as spelled, and with its keys in lower case
    dialect: Dialect


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
"""First match wins; a presence that matches none is ORDINARY, varied by all the TRAITS it shows."""
VARIATIONS: Final[tuple[tuple[Callable[[JsonMapping, JsonMapping], bool], dict[str, Any]], ...]] = (
    (lambda raw, low: "from_user" in low, {"duplicate_users": True}),
    (lambda raw, low: str(low.get("action")).lower() == "presense", {"text_keys": ("msg_txt",), "text_known": True}),
    (_has_untyped_status, {"action": "msg", "action_known": True}),
    (_has_clock_time, {"action": "m", "action_known": True}),
)


def detect_dialect(presence: JsonMapping, lowered: JsonMapping) -> Dialect:
    """The dialect that a presence shows; `lowered` is the same object with its keys in lower case."""
    for row in RULES:
        if row.matches(presence, lowered):
            return row.dialect
    dialect = DEFAULT
    for shows, varied in VARIATIONS:
        if shows(presence, lowered):
            dialect = replace(dialect, **varied)
    return dialect


def lower_keys(value: Any) -> Any:
    """The same JSON value with every key in lower case, as deep as the table looks."""
    if not isinstance(value, dict):
        return value
    return {
        key.lower(): {inner.lower(): content for inner, content in nested.items()} if type(nested) is dict else nested
        for key, nested in value.items()
    }


def first_string(lowered: JsonMapping, paths: tuple[str, ...]) -> tuple[str, str] | None:
    """The last key of the first path that leads to a string, and that string."""
    for path in paths:
        outer, _, inner = path.partition(".")
        value = lowered.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if isinstance(value, str):
            return inner or outer, value
    return None
