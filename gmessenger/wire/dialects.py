"""The table of course dialects: how hundreds of course clients spell JIM, and what each must be sent.

All differences are fields of `Dialect` or rows of this table; only `gmessenger.wire` and `server.jim.course` know of
dialects. Keys are in lower case, as the keys of course clients are compared case-insensitively.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

JsonMapping = Mapping[str, Any]
NameList: TypeAlias = Literal["seen", "present", "contacts"]
"""Names that a client may fetch: all that were seen, those present, or its contacts."""

PRESENCE_PREFIX: Final = "presen"
"""How the action of a presence begins; the rest is spelt in several ways."""
MESSAGE_ACTIONS: Final = frozenset({"message", "msg", "m"})
QUIT_ACTIONS: Final = frozenset({"exit", "quit", "q"})
LIST_ACTIONS: Final[dict[str, NameList]] = {
    "get_users": "seen",
    "get_clients": "seen",
    "action_users": "present",
    "get_contacts": "contacts",
}
KEY_ACTIONS: Final = {"pubkey_need": "bin", "get_pubkey": "key", "pubkey_request": "key", "get_public_key": "key"}
"""Requests for a user's public key, and under which key of the response the client looks for it."""
ROOM_ACTIONS: Final = {"join": True, "leave": False}
REFUSED_ACTIONS: Final = frozenset({"get_messages", "authenticate", "sign up", "log in"})
"""Actions that are not supported, and whose clients wait for an answer."""
CONTACT_ACTIONS: Final = {"add": True, "add_contact": True, "remove": False, "del_contact": False}

NAME_PATHS: Final = (
    "user.account_name",
    "user.client_name",
    "user",
    "from_user.account_name",
    "account_name",
    "user.authuser",
    "body",
    "sender",
    "from",
)
RECIPIENT_PATHS: Final = ("to", "destination", "to_user", "message_receiver", "body.to", "recipient", "client")
UPPERCASE_RECIPIENT_PATHS: Final = ("from",)
SENDER_PATHS: Final = ("from", "sender", "from_user", "account_name")
TEXT_PATHS: Final = (
    "mess_text",
    "message_text",
    "msg_txt",
    "text",
    "message",
    "body.text",
    "message_txt",
    "message text",
    "msg_text",
    "msg",
)
ROOM_PATHS: Final = ("room", "to")
PUBLIC_KEY_PATHS: Final = ("user.pubkey",)
KEY_OWNER_PATHS: Final = ("account_name", "to", "destination", "contact", "user_id", "user.account_name", "user")
CONTACT_PATHS: Final = ("contact", "user_id", "contact_name", "account_name", "to", "user.account_name")
BROADCAST_NAMES: Final = frozenset({"#", "all"})

MAX_COURSE_FRAME: Final = 1000
"""Bytes, with the newline: course clients read with one `recv(1024)`."""
MAX_SPECIFIED_FRAME: Final = 640
"""The same for clients that keep to the length that the specification of JIM allows."""
MAX_ENCRYPTED_FRAME: Final = 9000
"""The same for clients that encrypt: they read 10,240 bytes, and cannot decrypt a part of a text."""
MAX_PUBLIC_KEY: Final = 2048
"""Characters of a public key. (One of 4096 bits has 800.)"""
MIN_NANOSECONDS: Final = 10**17
"""A time from here on cannot be seconds."""
TIMING_MARGIN: Final = 0.005  # seconds, for clocks and buffers on the way
FRAME_INTERVAL: Final = 0.12 + TIMING_MARGIN
"""Seconds between frames: most course clients fail if one `recv` returns two objects."""
PRESENCE_DELAY: Final = 0.2 + TIMING_MARGIN  # seconds
LIST_INTERVAL: Final = 2.4 + TIMING_MARGIN
"""Seconds between frames to a client that has fetched lists: it reads responses and messages in one place, once in a
second or two."""


class Spelling(NamedTuple):
    """The words of a client's message: its action, and the keys of text, recipient and sender; empty for none."""

    action: str
    text_key: str
    recipient_key: str = ""
    sender_key: str = ""


class Dialect(Struct, frozen=True):
    """How one kind of course client is answered (`envelope`), and in which `form` it is sent messages."""

    name: str
    envelope: Literal["plain", "bare", "uppercase", "typed"] = "plain"
    form: Literal["open", "strict", "uppercase", "typed"] = "open"
    action: str = "message"
    action_known: bool = False  # whether the client has shown which action it expects, `message` or `msg`
    text_keys: tuple[str, ...] = ("mess_text", "message_text", "text")
    text_known: bool = False  # whether the client has shown its text key; else text_keys are a guess
    duplicate_users: bool = False  # also send both names as from_user and to_user
    names_user: bool = True  # also send the sender as user.account_name; else the encoding
    sender_keys: tuple[str, ...] = ()  # further keys of the sender
    recipient_keys: tuple[str, ...] = ()  # further keys of the recipient
    max_frame: int = MAX_COURSE_FRAME
    expects_answers: bool = False  # the client waits for a response to each message it sends
    reads_slowly: bool = False  # it needs LIST_INTERVAL between frames from the beginning
    # The client expects a message after the response to its presence; its own messages may have no recipient.
    expects_greeting: bool = False
    from_is_recipient: bool = False

    def refined_by(self, spelling: Spelling) -> Dialect:
        """Return the dialect after the client's first message: a client understands the words it uses."""
        if self.form == "uppercase":
            return self
        known = replace(self, action=spelling.action, action_known=True, text_known=True)
        if self.form == "typed":
            return known
        known = replace(known, text_keys=(spelling.text_key,))
        for row in MIRRORED_KEYS:
            if row.is_used(self.form, spelling):
                known = replace(known, sender_keys=row.sender_keys, recipient_keys=(row.recipient_key,))
        return known


class MirroredKeys(Struct, frozen=True):
    """Keys that a form lacks, and that are sent to a client which uses them in its messages."""

    form: str
    recipient_key: str
    sender_keys: tuple[str, ...] = ()

    def is_used(self, form: str, spelling: Spelling) -> bool:
        """Return whether a client that is sent this form spells its messages so."""
        is_sender = not self.sender_keys or spelling.sender_key in self.sender_keys
        return form == self.form and spelling.recipient_key == self.recipient_key and is_sender


MIRRORED_KEYS: Final = (
    MirroredKeys("open", "recipient"),
    MirroredKeys("open", "client"),
    MirroredKeys("strict", "destination", sender_keys=("account_name",)),
)
DEFAULT: Final = Dialect("ordinary")
MSG_TEXT_KEYS: Final = ("message", *DEFAULT.text_keys)
"""Where a client that expects the action `msg` may look for the text, before it has shown its own key."""


class Rule(Struct, frozen=True):
    """The dialect of a presence that `matches`."""

    matches: Callable[[JsonMapping, JsonMapping], bool]  # of the presence as spelled, and with its keys in lower case
    dialect: Dialect


class Variation(Struct, frozen=True):
    """A change of the default dialect, for a presence that `matches`."""

    matches: Callable[[JsonMapping, JsonMapping], bool]
    apply: Callable[[Dialect], Dialect]


CLOCK_PATTERN: Final = re.compile(r"\d\d?:\d\d:\d\d")


def _has_clock_time(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return isinstance(lowered.get("time"), str) and CLOCK_PATTERN.fullmatch(lowered["time"]) is not None


def _has_public_key(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return first_string(lowered, PUBLIC_KEY_PATHS) is not None


def _is_named_by_sender(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return (first_string(lowered, NAME_PATHS) or ("",))[0] == "sender"


def _has_untyped_status(raw: JsonMapping, lowered: JsonMapping) -> bool:
    return "type" not in lowered and isinstance(lowered.get("user"), dict) and "status" in lowered["user"]


def _has_nanoseconds(raw: JsonMapping, lowered: JsonMapping) -> bool:
    time = lowered.get("time")
    return _has_untyped_status(raw, lowered) and type(time) is int and time > MIN_NANOSECONDS


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
        _has_untyped_status,
        lambda dialect: replace(dialect, action="msg", action_known=True, text_keys=MSG_TEXT_KEYS, names_user=False),
    ),
    Variation(
        lambda raw, low: str(low.get("action")).lower() == "presense",
        lambda dialect: replace(dialect, text_keys=("msg_txt", "mess_text"), text_known=True),
    ),
    Variation(_has_nanoseconds, lambda dialect: replace(dialect, max_frame=MAX_SPECIFIED_FRAME, expects_answers=True)),
    Variation(_has_clock_time, lambda dialect: replace(dialect, action="m", action_known=True)),
    Variation(_is_named_by_sender, lambda dialect: replace(dialect, envelope="bare", recipient_keys=("recipient",))),
    Variation(_has_public_key, lambda dialect: replace(dialect, text_keys=("mess_text",), text_known=True)),
)


def detect_dialect(presence: JsonMapping, lowered: JsonMapping) -> Dialect:
    """Return the dialect of a presence; `lowered` is the same object with its keys in lower case."""
    dialect = next((rule.dialect for rule in RULES if rule.matches(presence, lowered)), DEFAULT)
    if dialect is DEFAULT:
        for variation in VARIATIONS:
            if variation.matches(presence, lowered):
                dialect = variation.apply(dialect)
    if _has_public_key(presence, lowered):
        return replace(dialect, max_frame=MAX_ENCRYPTED_FRAME, expects_answers=True, reads_slowly=True)
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
