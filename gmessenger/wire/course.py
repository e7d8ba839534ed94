"""Translates between one course connection and the events of the messenger, by the table of dialects.

The dialect is chosen at the presence and refined at the first message; until then the ordinary one serves.
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
"""Bytes of text a frame must have room for; very long names make it leave out what it says twice."""
OPTIONAL_KEYS: Final = ("user", "destination", "sender", "text", "message_text")
JOINERS: Final = "\u200d\ufe0e\ufe0f"
SKIN_TONES: Final = "".join(map(chr, range(0x1F3FB, 0x1F400)))
REGIONAL_INDICATORS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))


class CourseCodec:
    """One connection's tongue: `decode` objects into events, and spell answers and messages for it.

    Every frame it returns ends with a newline and, with it, fits the dialect's `longest_frame`.
    """

    __slots__ = ("_list_in_alert", "_observed", "dialect", "fetches_lists")

    def __init__(self) -> None:
        self.dialect: Dialect = dialects.DEFAULT
        self.fetches_lists = False
        self._list_in_alert = False
        self._observed: tuple[str, str] | None = None

    def decode(self, raw: JsonObject) -> CourseRequest | InvalidFrame | None:
        """The event that an object means; None where it means nothing to us, which is met with silence."""
        low = lower_keys(raw)
        action = str(low.get("action")).lower()
        if action in dialects.PRESENCE_ACTIONS:
            return self._decode_presence(raw, low)
        if action in dialects.MESSAGE_ACTIONS:
            return self._decode_message(low, action)
        if action in dialects.QUIT_ACTIONS:
            return CourseQuit()
        if action in dialects.LIST_ACTIONS:
            self.fetches_lists = True
            self._list_in_alert = "user_login" in low
            return CourseList(dialects.LIST_ACTIONS[action])
        if action in dialects.CONTACT_ACTIONS:
            found = first_string(low, dialects.CONTACT_PATHS)
            return CourseContact(_cut_name(found), dialects.CONTACT_ACTIONS[action])
        return None

    def encode_ok(self, time: float) -> bytes:
        return self._encode_response(200, time, "OK")

    def encode_error(self, sentence: str, time: float) -> bytes:
        return self._encode_response(400, time, sentence)

    def encode_list(self, names: Iterable[str], time: float) -> bytes:
        """Names under `data_list`, or in `alert` for a client that says `user_login`; as many as fit a frame."""
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
        """The frames that bring `me` a message, in order, made one by one; a long text comes in several.

        `said` is the sender's word for a message. A receiver that has not shown its own is sent the `msg` form as
        well: clients of one make usually talk among themselves.
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
        found = first_string(lowered, dialects.NAME_PATHS)
        return CoursePresence(_cut_name(found))

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
        found = first_string(
            lowered, dialects.UPPERCASE_RECIPIENT_PATHS if self.dialect.from_is_recipient else dialects.RECIPIENT_PATHS
        )
        return _cut_name(found)

    def _encode_response(self, status: int, time: float, alert: Any, **fields: Any) -> bytes:
        return _encode(ENVELOPE_BUILDERS[self.dialect.envelope](status, time, alert) | fields)


def _cut_name(found: tuple[str, str] | None) -> str | None:
    """The name that was found, not much longer than one can be: cut, it is still nobody's."""
    return found[1][:MAX_RAW_NAME] if found is not None else None


def _encode(frame: JsonObject) -> bytes:
    return json.encode(frame) + b"\n"


def _plain_envelope(status: int, time: float, alert: Any) -> JsonObject:
    # One published client reads the misspelt key.
    answer = {"response": status, "responce": status, "time": time, "alert": alert}
    return answer | {"error": alert} if status >= 400 else answer


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
    form = FORM_BUILDERS[dialect.form]
    left_out = _keys_to_omit(dialect, form(dialect, sender, recipient, "", time))
    copies = sum(key not in left_out for key in dialect.text_keys) if form in (_open_form, _strict_form) else 1

    def encode(piece: str) -> bytes:
        frame = form(dialect, sender, recipient, piece, time)
        return _encode({key: value for key, value in frame.items() if key not in left_out})

    whole = encode(text)
    if len(whole) <= dialect.max_frame:
        yield whole
        return
    room = (dialect.max_frame - len(encode(""))) // copies
    for piece in split_text(text, room):
        yield encode(piece)


def _keys_to_omit(dialect: Dialect, empty: JsonObject) -> frozenset[str]:
    left_out: set[str] = set()
    for key in OPTIONAL_KEYS:
        if len(_encode(empty)) + MIN_TEXT_SPACE * 3 <= dialect.max_frame:
            break
        if empty.pop(key, None) is not None:
            left_out.add(key)
    return frozenset(left_out)


def split_text(text: str, max_bytes: int) -> Iterator[str]:
    """Pieces of `text` that take at most `room` bytes each inside a JSON string; joined they are the text again.

    It is cut behind a space where there is one, and never inside a character, its accents and joiners included.
    """
    start, cut, size = 0, 0, 0
    for place, char in enumerate(text):
        cost = len(json.encode(char)) - 2
        # (Cut behind an early space, what is left may still be too much with a character that takes several bytes.)
        while size + cost > max_bytes and place > start:
            cut = cut if cut > start else _character_start(text, start, place)
            yield text[start:cut]
            size = len(json.encode(text[cut:place])) - 2
            start = cut
        size += cost
        if char == " ":
            cut = place + 1
    yield text[start:]


def _character_start(text: str, start: int, place: int) -> int:
    """The nearest place at or before `place` where a character begins; `place` where there is none behind `start`."""
    back = place
    while back > start and _continues_character(text, back):
        back -= 1
    return back if back > start else place


def _continues_character(text: str, place: int) -> bool:
    """Whether the character at `place` belongs to the one before it: an accent, part of an emoji or flag, or LF."""
    char, before = text[place], text[place - 1]
    if char in REGIONAL_INDICATORS and before in REGIONAL_INDICATORS:
        run = place - len(text[:place].rstrip(REGIONAL_INDICATORS))
        return run % 2 == 1
    attached = unicodedata.category(char)[0] == "M" or char in JOINERS or char in SKIN_TONES
    return attached or before == "\u200d" or (before, char) == ("\r", "\n")
