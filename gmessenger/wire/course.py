"""The codec of a course connection: translates its dialect to requests, and responses and messages to its dialect.

The dialect is chosen at the presence and refined at the first message; before, it is `dialects.DEFAULT`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import json

from gmessenger.errors import BadRequest, BadText
from gmessenger.names import MAX_RAW_NAME
from gmessenger.wire import dialects
from gmessenger.wire.dialects import Dialect, JsonMapping, first_string, lower_keys
from gmessenger.wire.events import (
    CourseContact,
    CourseList,
    CourseMessage,
    CoursePresence,
    CourseQuit,
    CourseRequest,
    InvalidFrame,
)

JsonObject = dict[str, Any]

MIN_TEXT_SPACE: Final = 64
"""Bytes of text that each frame must have room for; with very long names, redundant keys are omitted for it."""
OPTIONAL_KEYS: Final = ("user", "destination", "sender", "text", "message_text")
JOINERS: Final = "\u200d\ufe0e\ufe0f"
SKIN_TONES: Final = "".join(map(chr, range(0x1F3FB, 0x1F400)))
REGIONAL_INDICATORS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))


class CourseCodec:
    """Decodes the objects of one connection, and encodes responses and messages for it.

    Every returned frame ends with a newline, and has at most the dialect's `max_frame` bytes with it.
    """

    __slots__ = ("_list_in_alert", "_observed", "dialect", "fetches_lists")

    def __init__(self) -> None:
        self.dialect: Dialect = dialects.DEFAULT
        self.fetches_lists = False
        self._list_in_alert = False
        self._observed: tuple[str, str] | None = None

    def decode(self, raw: JsonObject) -> CourseRequest | InvalidFrame | None:
        """Return the request of an object; None for an unknown action, which is ignored."""
        lowered = lower_keys(raw)
        action = str(lowered.get("action")).lower()
        if action in dialects.PRESENCE_ACTIONS:
            return self._decode_presence(raw, lowered)
        if action in dialects.MESSAGE_ACTIONS:
            return self._decode_message(lowered, action)
        if action in dialects.QUIT_ACTIONS:
            return CourseQuit()
        if action in dialects.LIST_ACTIONS:
            self.fetches_lists = True
            self._list_in_alert = "user_login" in lowered
            return CourseList(dialects.LIST_ACTIONS[action])
        if action in dialects.CONTACT_ACTIONS:
            name = _cut_name(first_string(lowered, dialects.CONTACT_PATHS))
            return CourseContact(name, dialects.CONTACT_ACTIONS[action])
        return None

    def encode_ok(self, time: float) -> bytes:
        """Encode the response to a successful request."""
        return self._encode_response(200, time, "OK")

    def encode_error(self, message: str, time: float) -> bytes:
        """Encode the response to a refused request."""
        return self._encode_response(400, time, message)

    def encode_list(self, names: Iterable[str], time: float) -> bytes:
        """Encode as many names as fit into a frame: as `data_list`, or as `alert` if the client said `user_login`."""
        room = self.dialect.max_frame - len(self._encode_list([], time))
        fitting: list[str] = []
        for name in names:
            room -= len(json.encode(name)) + 1
            if room < 0:
                break
            fitting.append(name)
        return self._encode_list(fitting, time)

    def _encode_list(self, names: list[str], time: float) -> bytes:
        if self._list_in_alert:
            return self._encode_response(202, time, names)
        return self._encode_response(202, time, "OK", data_list=names)

    def encode_message(self, sender: str, recipient: str, text: str, action: str, time: float) -> Iterator[bytes]:
        """Yield the frames of a message, in order; a long text takes several.

        `action` is that of the sender's client. If it is `msg` and the receiving client has not shown its own action,
        it is sent the `msg` form as well: users of the same client usually talk to each other.
        """
        dialect = self.dialect
        forms = [dialect]
        if action == "msg" and not dialect.action_known and dialect.form == "open" and not dialect.text_known:
            forms.insert(0, dialect.refined_by("msg", "message"))
        for form in forms:
            yield from _encode_frames(form, sender, recipient, text, time)

    def _decode_presence(self, raw: JsonObject, lowered: JsonMapping) -> CoursePresence:
        if self._observed is None:
            self.dialect = dialects.detect_dialect(raw, lowered)
        return CoursePresence(_cut_name(first_string(lowered, dialects.NAME_PATHS)))

    def _decode_message(self, lowered: JsonMapping, action: str) -> CourseMessage | InvalidFrame:
        text = first_string(lowered, dialects.TEXT_PATHS)
        if text is None:
            return InvalidFrame(BadRequest("The message has no text."))
        if "\0" in text[1]:
            return InvalidFrame(BadText())
        to = self._recipient(lowered)
        if to is not None and "\0" in to:
            return InvalidFrame(BadText())
        if not to and not self.dialect.expects_greeting and lowered.get("type") != "status":
            return InvalidFrame(BadRequest("The message has no recipient."))
        if self._observed != (action, text[0]):
            self._observed = (action, text[0])
            self.dialect = self.dialect.refined_by(*self._observed)
        return CourseMessage(None if not to or to.lower() in dialects.BROADCAST_NAMES else to, text[1], action)

    def _recipient(self, lowered: JsonMapping) -> str | None:
        is_uppercase = self.dialect.from_is_recipient
        paths = dialects.UPPERCASE_RECIPIENT_PATHS if is_uppercase else dialects.RECIPIENT_PATHS
        return _cut_name(first_string(lowered, paths))

    def _encode_response(self, status: int, time: float, alert: Any, **fields: Any) -> bytes:
        return _encode(ENVELOPE_BUILDERS[self.dialect.envelope](status, time, alert) | fields)


def _cut_name(found: tuple[str, str] | None) -> str | None:
    """Return the name of a key and a name, cut to a bound above which it cannot be valid."""
    return found[1][:MAX_RAW_NAME] if found is not None else None


def _encode(frame: JsonObject) -> bytes:
    return json.encode(frame) + b"\n"


def _plain_envelope(status: int, time: float, alert: Any) -> JsonObject:
    # One published client reads the misspelt key.
    envelope = {"response": status, "responce": status, "time": time, "alert": alert}
    return envelope | {"error": alert} if status >= 400 else envelope


def _uppercase_envelope(status: int, time: float, alert: Any) -> JsonObject:
    return {"ACTION": "ALERT", "RESPONSE": status, "ALERT": alert, "TIME": time}


def _typed_envelope(status: int, time: float, alert: Any) -> JsonObject:
    return {"type": "response", "code": status, "message": alert, "time": time}


ENVELOPE_BUILDERS: Final[dict[str, Callable[[int, float, Any], JsonObject]]] = {
    "plain": _plain_envelope,
    "uppercase": _uppercase_envelope,
    "typed": _typed_envelope,
}


def _open_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    frame: JsonObject = {"action": dialect.action, "time": time, "from": sender, "sender": sender, "to": recipient}
    frame |= {"destination": recipient, "user": {"account_name": sender}}
    if dialect.duplicate_users:
        frame |= {"from_user": sender, "to_user": recipient}
    return frame | dict.fromkeys(dialect.text_keys, text)


def _strict_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    frame = {"action": dialect.action, "time": time, "to": recipient, "from": sender, "encoding": "utf-8"}
    return frame | dict.fromkeys(dialect.text_keys, text)


def _uppercase_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    return {"RESPONSE": "message", "AUTHUSER": sender, "FROM": recipient, "MESSAGE_TEXT": text, "TIME": time}


def _typed_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    body = {"sender": sender, "to": recipient, "text": text}
    return {"type": "request", "action": dialect.action, "body": body, "time": time}


FORM_BUILDERS: Final[dict[str, Callable[[Dialect, str, str, str, float], JsonObject]]] = {
    "open": _open_form,
    "strict": _strict_form,
    "uppercase": _uppercase_form,
    "typed": _typed_form,
}


def _encode_frames(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> Iterator[bytes]:
    build_form = FORM_BUILDERS[dialect.form]
    omitted = _keys_to_omit(dialect, build_form(dialect, sender, recipient, "", time))
    copies = sum(key not in omitted for key in dialect.text_keys) if build_form in (_open_form, _strict_form) else 1

    def encode(piece: str) -> bytes:
        frame = build_form(dialect, sender, recipient, piece, time)
        return _encode({key: value for key, value in frame.items() if key not in omitted})

    frame = encode(text)
    if len(frame) <= dialect.max_frame:
        yield frame
        return
    max_bytes = (dialect.max_frame - len(encode(""))) // copies
    for piece in split_text(text, max_bytes):
        yield encode(piece)


def _keys_to_omit(dialect: Dialect, empty: JsonObject) -> frozenset[str]:
    """Return the redundant keys without which a frame without text leaves enough space for text."""
    omitted: set[str] = set()
    for key in OPTIONAL_KEYS:
        if len(_encode(empty)) + MIN_TEXT_SPACE * 3 <= dialect.max_frame:
            break
        if empty.pop(key, None) is not None:
            omitted.add(key)
    return frozenset(omitted)


def split_text(text: str, max_bytes: int) -> Iterator[str]:
    """Yield the pieces of a text, each of at most `max_bytes` as a JSON string; joined they are the text.

    It is cut after a space if possible, and never within a character with its accents and joiners, unless that alone is
    too long.
    """
    start, cut, size = 0, 0, 0
    for index, char in enumerate(text):
        char_size = len(json.encode(char)) - 2
        # After a cut at an early space, the rest may still be too long with a character of several bytes.
        while size + char_size > max_bytes and index > start:
            cut = cut if cut > start else _character_start(text, start, index)
            yield text[start:cut]
            size = len(json.encode(text[cut:index])) - 2
            start = cut
        size += char_size
        if char == " ":
            cut = index + 1
    yield text[start:]


def _character_start(text: str, start: int, index: int) -> int:
    """Return the last index up to `index`, and after `start`, where a character begins; `index` if there is none."""
    begin = index
    while begin > start and _continues_character(text, begin):
        begin -= 1
    return begin if begin > start else index


def _continues_character(text: str, index: int) -> bool:
    """Return whether the code point at `index` continues the one before: an accent, part of an emoji or flag, LF."""
    char, before = text[index], text[index - 1]
    if char in REGIONAL_INDICATORS and before in REGIONAL_INDICATORS:
        run = index - len(text[:index].rstrip(REGIONAL_INDICATORS))
        return run % 2 == 1
    attached = unicodedata.category(char)[0] == "M" or char in JOINERS or char in SKIN_TONES
    return attached or before == "\u200d" or (before, char) == ("\r", "\n")
