"""The codec of a course connection: translates its dialect to requests, and responses and messages to its dialect.

The dialect is chosen at the presence and refined at the first message; before, it is `dialects.DEFAULT`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from msgspec import json
from msgspec.structs import replace

from gmessenger.errors import BadRequest, BadText
from gmessenger.names import MAX_RAW_NAME
from gmessenger.wire import dialects
from gmessenger.wire.dialects import Dialect, JsonMapping, Spelling, first_string, lower_keys
from gmessenger.wire.events import (
    CourseContact,
    CourseKey,
    CourseList,
    CourseMessage,
    CoursePresence,
    CourseQuit,
    CourseRequest,
    CourseRoom,
    CourseUnknown,
    InvalidFrame,
)

JsonObject = dict[str, Any]

MIN_TEXT_SPACE: Final = 64
"""Bytes of text that each frame must have room for; with very long names, redundant keys are omitted for it."""
OPTIONAL_KEYS: Final = ("user", "destination", "sender", "text", "message_text", "to_user", "recipient", "client")
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
        self._observed: tuple[str, str, str] | None = None

    @property
    def expects_answers(self) -> bool:
        """Whether the client waits for a response to each of its messages."""
        return self.fetches_lists or self.dialect.expects_answers

    @property
    def interval(self) -> float:
        """Seconds that the client needs between two frames."""
        is_slow = self.fetches_lists or self.dialect.reads_slowly
        return dialects.LIST_INTERVAL if is_slow else dialects.FRAME_INTERVAL

    def decode(self, raw: JsonObject) -> CourseRequest | InvalidFrame | None:
        """Return the request of an object; None for a response, which is ignored."""
        lowered = lower_keys(raw)
        action = str(lowered.get("action")).lower()
        decode = ACTION_DECODERS.get(action)
        if decode is not None:
            return decode(self, lowered, action)
        if action.startswith(dialects.PRESENCE_PREFIX):
            return self._decode_presence(raw, lowered)
        is_response = "action" not in lowered and "response" in lowered
        return None if is_response else CourseUnknown(action in dialects.REFUSED_ACTIONS)

    def encode_ok(self, time: float) -> bytes:
        """Encode the response to a successful request."""
        return self._encode_response(200, time, "OK")

    def encode_error(self, message: str, time: float) -> bytes:
        """Encode the response to a refused request."""
        return self._encode_response(400, time, message)

    def encode_key(self, public_key: str, field: str, time: float) -> bytes | None:
        """Encode a public key: under both names for it if they fit into a frame, else under `field`; or None."""
        for fields in ("bin", "key"), (field,):
            frame = self._encode_response(511, time, "OK", **dict.fromkeys(fields, public_key))
            if len(frame) <= self.dialect.max_frame:
                return frame
        return None

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
        it is sent the `msg` form as well: users of the same client usually talk to each other. Both forms have all text
        keys, since many clients look for theirs before they look at the action.
        """
        dialect = self.dialect
        forms = [dialect]
        if action == "msg" and not dialect.action_known and dialect.form == "open" and not dialect.text_known:
            forms.insert(0, replace(dialect, action="msg", text_keys=dialects.MSG_TEXT_KEYS))
        for form in forms:
            yield from _encode_frames(form, sender, recipient, text, time)

    def _decode_presence(self, raw: JsonObject, lowered: JsonMapping) -> CoursePresence:
        if self._observed is None:
            self.dialect = dialects.detect_dialect(raw, lowered)
        public_key = first_string(lowered, dialects.PUBLIC_KEY_PATHS)
        is_kept = public_key is not None and len(public_key[1]) <= dialects.MAX_PUBLIC_KEY
        name = _cut_name(first_string(lowered, dialects.NAME_PATHS))
        return CoursePresence(name, public_key[1] if public_key is not None and is_kept else None)

    def _decode_message(self, lowered: JsonMapping, action: str) -> CourseMessage | InvalidFrame:
        text = first_string(lowered, dialects.TEXT_PATHS)
        if text is None:
            return InvalidFrame(BadRequest("The message has no text."))
        if "\0" in text[1]:
            return InvalidFrame(BadText())
        recipient = self._recipient(lowered)
        to = _cut_name(recipient)
        if to is not None and "\0" in to:
            return InvalidFrame(BadText())
        if not to and not self.dialect.expects_greeting and lowered.get("type") != "status":
            return InvalidFrame(BadRequest("The message has no recipient."))
        words = (action, text[0], recipient[0] if recipient else "")
        if self._observed != words:
            self._observed = words
            sender = first_string(lowered, dialects.SENDER_PATHS)
            self.dialect = self.dialect.refined_by(Spelling(*words, sender[0] if sender else ""))
        return CourseMessage(None if not to or to.lower() in dialects.BROADCAST_NAMES else to, text[1], action)

    def _decode_list(self, lowered: JsonMapping, action: str) -> CourseList:
        self.fetches_lists = True
        self._list_in_alert = "user_login" in lowered
        return CourseList(dialects.LIST_ACTIONS[action])

    def _decode_contact(self, lowered: JsonMapping, action: str) -> CourseContact:
        name = _cut_name(first_string(lowered, dialects.CONTACT_PATHS))
        return CourseContact(name, dialects.CONTACT_ACTIONS[action])

    def _decode_key(self, lowered: JsonMapping, action: str) -> CourseKey:
        self.fetches_lists = True  # a client that fetches keys reads and waits as one that fetches lists
        return CourseKey(_cut_name(first_string(lowered, dialects.KEY_OWNER_PATHS)), dialects.KEY_ACTIONS[action])

    def _decode_room(self, lowered: JsonMapping, action: str) -> CourseRoom:
        return CourseRoom(_cut_name(first_string(lowered, dialects.ROOM_PATHS)), dialects.ROOM_ACTIONS[action])

    def _decode_quit(self, lowered: JsonMapping, action: str) -> CourseQuit:
        return CourseQuit()

    def _recipient(self, lowered: JsonMapping) -> tuple[str, str] | None:
        is_uppercase = self.dialect.from_is_recipient
        return first_string(lowered, dialects.UPPERCASE_RECIPIENT_PATHS if is_uppercase else dialects.RECIPIENT_PATHS)

    def _encode_response(self, status: int, time: float, alert: Any, **fields: Any) -> bytes:
        return _encode(ENVELOPE_BUILDERS[self.dialect.envelope](status, time, alert) | fields)


ActionDecoder: TypeAlias = Callable[[CourseCodec, JsonMapping, str], CourseRequest | InvalidFrame]
DECODED_ACTIONS: Final[tuple[tuple[Iterable[str], ActionDecoder], ...]] = (
    (dialects.MESSAGE_ACTIONS, CourseCodec._decode_message),
    (dialects.QUIT_ACTIONS, CourseCodec._decode_quit),
    (dialects.LIST_ACTIONS, CourseCodec._decode_list),
    (dialects.CONTACT_ACTIONS, CourseCodec._decode_contact),
    (dialects.KEY_ACTIONS, CourseCodec._decode_key),
    (dialects.ROOM_ACTIONS, CourseCodec._decode_room),
)
ACTION_DECODERS: Final = {action: decode for actions, decode in DECODED_ACTIONS for action in actions}


def _cut_name(found: tuple[str, str] | None) -> str | None:
    """Return the name of a key and a name, cut to a bound above which it cannot be valid."""
    return found[1][:MAX_RAW_NAME] if found is not None else None


def _encode(frame: JsonObject) -> bytes:
    return json.encode(frame) + b"\n"


def _plain_envelope(status: int, time: float, alert: Any) -> JsonObject:
    # One published client reads the misspelt key.
    envelope = {"response": status, "responce": status, "time": time, "alert": alert}
    return envelope | {"error": alert} if status >= 400 else envelope


def _bare_envelope(status: int, time: float, alert: Any) -> JsonObject:
    # To the client that is sent this, any further key is a refusal.
    return {"response": status} if status == 200 else _plain_envelope(status, time, alert)


def _uppercase_envelope(status: int, time: float, alert: Any) -> JsonObject:
    return {"ACTION": "ALERT", "RESPONSE": status, "ALERT": alert, "TIME": time}


def _typed_envelope(status: int, time: float, alert: Any) -> JsonObject:
    return {"type": "response", "code": status, "message": alert, "time": time}


ENVELOPE_BUILDERS: Final[dict[str, Callable[[int, float, Any], JsonObject]]] = {
    "plain": _plain_envelope,
    "bare": _bare_envelope,
    "uppercase": _uppercase_envelope,
    "typed": _typed_envelope,
}


def _open_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    frame: JsonObject = {"action": dialect.action, "time": time, "from": sender, "sender": sender, "to": recipient}
    frame["destination"] = recipient
    frame |= {"user": {"account_name": sender}} if dialect.names_user else {"encoding": "utf-8"}
    if dialect.duplicate_users:
        frame |= {"from_user": sender, "to_user": recipient}
    return frame | _further_keys(dialect, sender, recipient, text)


def _strict_form(dialect: Dialect, sender: str, recipient: str, text: str, time: float) -> JsonObject:
    frame = {"action": dialect.action, "time": time, "to": recipient, "from": sender, "encoding": "utf-8"}
    return frame | _further_keys(dialect, sender, recipient, text)


def _further_keys(dialect: Dialect, sender: str, recipient: str, text: str) -> JsonObject:
    names = dict.fromkeys(dialect.sender_keys, sender) | dict.fromkeys(dialect.recipient_keys, recipient)
    return names | dict.fromkeys(dialect.text_keys, text)


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
        if key in dialect.text_keys and len(dialect.text_keys) == 1:
            continue
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
