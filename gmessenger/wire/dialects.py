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
LEAVING_ACTIONS: Final = frozenset({"exit", "quit", "q"})
LIST_ACTIONS: Final = {"get_users": False, "get_contacts": True}
CONTACT_ACTIONS: Final = {"add": True, "add_contact": True, "remove": False, "del_contact": False}

NAME: Final = (
    "user.account_name",
    "user.client_name",
    "user",
    "from_user.account_name",
    "account_name",
    "user.authuser",
    "body",
)
TO: Final = ("to", "destination", "to_user", "message_receiver", "body.to")
TO_IN_UPPERCASE: Final = ("from",)
TEXT: Final = ("mess_text", "message_text", "msg_txt", "text", "message", "body.text")
CONTACT: Final = ("contact", "user_id", "contact_name", "account_name", "to", "user.account_name")
EVERYBODY: Final = frozenset({"#", "all"})

LONGEST_FRAME: Final = 1000
"""Bytes with the newline: course clients read with one `recv(1024)`."""
MARGIN: Final = 0.005  # for the clocks and the buffers on the way
GAP: Final = 0.12 + MARGIN
"""Seconds between frames: two objects in one `recv` are the end of most of them."""
GAP_AFTER_PRESENCE: Final = 0.2 + MARGIN
GAP_AFTER_LISTS: Final = 2.4 + MARGIN
"""Between pushes to a connection that fetched lists: it reads its answers where it also reads its messages."""

Spelled = Mapping[str, Any]


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
    user_twins: bool = False  # also name both ends under from_user and to_user
    longest_frame: int = LONGEST_FRAME
    greeted: bool = False  # it waits for a message after its presence is answered; its messages may go to everybody
    from_is_addressee: bool = False

    def spoken(self, action: str, text_key: str) -> Dialect:
        """The dialect as its first message refines it: it understands at least the words it uses."""
        if self.form == "uppercase":
            return self
        text_keys = self.text_keys if self.form == "typed" else (text_key,)
        return replace(self, action=action, action_known=True, text_keys=text_keys, text_known=True)


ORDINARY: Final = Dialect("ordinary")


@dataclass(frozen=True, slots=True)
class Row:
    """A presence that `shows` this is answered in this `dialect`."""

    shows: Callable[[Spelled, Spelled], bool]  # of the presence as spelled, and with its keys in lower case
    dialect: Dialect


CLOCK: Final = re.compile(r"\d\d?:\d\d:\d\d")


def _clock(raw: Spelled, low: Spelled) -> bool:
    return isinstance(low.get("time"), str) and CLOCK.fullmatch(low["time"]) is not None


def _status_without_type(raw: Spelled, low: Spelled) -> bool:
    return "type" not in low and isinstance(low.get("user"), dict) and "status" in low["user"]


FORMS: Final = (
    Row(
        lambda raw, low: "ACTION" in raw,
        Dialect("uppercase", "uppercase", "uppercase", action_known=True, from_is_addressee=True),
    ),
    Row(
        lambda raw, low: low.get("type") == "request",
        Dialect("typed", "typed", "typed", action="msg", action_known=True, longest_frame=500),
    ),
    Row(
        lambda raw, low: low.get("type") == "status",
        Dialect("status", form="strict", action="msg", action_known=True, text_keys=("message",), greeted=True),
    ),
)
"""First match wins; a presence that matches none is ORDINARY, varied by all the TRAITS it shows."""
TRAITS: Final[tuple[tuple[Callable[[Spelled, Spelled], bool], dict[str, Any]], ...]] = (
    (lambda raw, low: "from_user" in low, {"user_twins": True}),
    (lambda raw, low: str(low.get("action")).lower() == "presense", {"text_keys": ("msg_txt",), "text_known": True}),
    (_status_without_type, {"action": "msg", "action_known": True}),
    (_clock, {"action": "m", "action_known": True}),
)


def dialect_of(presence: Spelled, lowered: Spelled) -> Dialect:
    """The dialect that a presence shows; `lowered` is the same object with its keys in lower case."""
    for row in FORMS:
        if row.shows(presence, lowered):
            return row.dialect
    dialect = ORDINARY
    for shows, varied in TRAITS:
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


def first_string(low: Spelled, paths: tuple[str, ...]) -> tuple[str, str] | None:
    """The last key of the first path that leads to a string, and that string."""
    for path in paths:
        outer, _, inner = path.partition(".")
        value = low.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if isinstance(value, str):
            return inner or outer, value
    return None
