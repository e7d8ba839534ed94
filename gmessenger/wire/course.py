"""Translates between one course connection and the events of the messenger, by the table of dialects.

The dialect is chosen at the presence and refined at the first message; until then the ordinary one serves.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import json

from gmessenger.errors import BadRequest, BadText
from gmessenger.field_types import MAX_GIVEN_NAME
from gmessenger.wire import dialects
from gmessenger.wire.dialects import Dialect, Spelled, first_string, lower_keys
from gmessenger.wire.events import (
    CourseContact,
    CourseList,
    CourseMsg,
    CoursePresence,
    CourseQuit,
    CourseRequest,
    Unreadable,
)

Frame = dict[str, Any]

SPARE_TEXT: Final = 64
"""Bytes of text a frame must have room for; very long names make it leave out what it says twice."""
REDUNDANT: Final = ("user", "destination", "sender", "text", "message_text")
JOINERS: Final = "\u200d\ufe0e\ufe0f"
SKIN_TONES: Final = "".join(map(chr, range(0x1F3FB, 0x1F400)))
FLAG_LETTERS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))


class CourseCodec:
    """One connection's tongue: `decode` objects into events, and spell answers and messages for it.

    Every frame it returns ends with a newline and, with it, fits the dialect's `longest_frame`.
    """

    __slots__ = ("_list_in_alert", "_spoken", "dialect", "fetches_lists")

    def __init__(self) -> None:
        self.dialect: Dialect = dialects.ORDINARY
        self.fetches_lists = False
        self._list_in_alert = False
        self._spoken: tuple[str, str] | None = None

    def decode(self, spelled: Frame) -> CourseRequest | Unreadable | None:
        """The event that an object means; None where it means nothing to us, which is met with silence."""
        low = lower_keys(spelled)
        action = str(low.get("action")).lower()
        if action in dialects.PRESENCE_ACTIONS:
            return self._presence(spelled, low)
        if action in dialects.MESSAGE_ACTIONS:
            return self._message(low, action)
        if action in dialects.LEAVING_ACTIONS:
            return CourseQuit()
        if action in dialects.LIST_ACTIONS:
            self.fetches_lists = True
            self._list_in_alert = "user_login" in low
            return CourseList(dialects.LIST_ACTIONS[action])
        if action in dialects.CONTACT_ACTIONS:
            found = first_string(low, dialects.CONTACT)
            return CourseContact(_name(found), dialects.CONTACT_ACTIONS[action])
        return None

    def ok(self, time: float) -> bytes:
        return self._answer(200, time, "OK")

    def refusal(self, sentence: str, time: float) -> bytes:
        return self._answer(400, time, sentence)

    def listing(self, names: Iterable[str], time: float) -> bytes:
        """Names under `data_list`, or in `alert` for a client that says `user_login`; as many as fit a frame."""
        room = self.dialect.longest_frame - len(self._list([], time))
        fitting: list[str] = []
        for name in names:
            room -= len(json.encode(name)) + 1
            if room < 0:
                break
            fitting.append(name)
        return self._list(fitting, time)

    def _list(self, names: list[str], time: float) -> bytes:
        if self._list_in_alert:
            return self._answer(202, time, names)
        return self._answer(202, time, "OK", data_list=names)

    def message(self, sender: str, me: str, text: str, said: str, time: float) -> Iterator[bytes]:
        """The frames that bring `me` a message, in order, made one by one; a long text comes in several.

        `said` is the sender's word for a message. A receiver that has not shown its own is sent the `msg` form as
        well: clients of one make usually talk among themselves.
        """
        dialect = self.dialect
        forms = [dialect]
        if said == "msg" and not dialect.action_known and dialect.form == "open" and not dialect.text_known:
            forms.insert(0, dialect.spoken("msg", "message"))
        for form in forms:
            yield from _frames(form, sender, me, text, time)

    def _presence(self, spelled: Frame, low: Spelled) -> CoursePresence:
        if self._spoken is None:
            self.dialect = dialects.dialect_of(spelled, low)
        found = first_string(low, dialects.NAME)
        return CoursePresence(_name(found))

    def _message(self, low: Spelled, action: str) -> CourseMsg | Unreadable:
        text = first_string(low, dialects.TEXT)
        if text is None:
            return Unreadable(BadRequest("The message has no text."))
        if "\0" in text[1]:
            return Unreadable(BadText())
        to = self._addressee(low)
        if to is not None and "\0" in to:
            return Unreadable(BadText())
        if not to and not self.dialect.greeted and low.get("type") != "status":
            return Unreadable(BadRequest("The message has no recipient."))
        if self._spoken != (action, text[0]):
            self._spoken = (action, text[0])
            self.dialect = self.dialect.spoken(*self._spoken)
        return CourseMsg(None if not to or to.lower() in dialects.EVERYBODY else to, text[1], action)

    def _addressee(self, low: Spelled) -> str | None:
        found = first_string(low, dialects.TO_IN_UPPERCASE if self.dialect.from_is_addressee else dialects.TO)
        return _name(found)

    def _answer(self, code: int, time: float, alert: Any, **more: Any) -> bytes:
        return _encode(ENVELOPES[self.dialect.envelope](code, time, alert) | more)


def _name(found: tuple[str, str] | None) -> str | None:
    """The name that was found, not much longer than one can be: cut, it is still nobody's."""
    return found[1][:MAX_GIVEN_NAME] if found is not None else None


def _encode(frame: Frame) -> bytes:
    return json.encode(frame) + b"\n"


def _plain(code: int, time: float, alert: Any) -> Frame:
    # One published client reads the misspelt key.
    answer = {"response": code, "responce": code, "time": time, "alert": alert}
    return answer | {"error": alert} if code >= 400 else answer


def _uppercase(code: int, time: float, alert: Any) -> Frame:
    return {"ACTION": "ALERT", "RESPONSE": code, "ALERT": alert, "TIME": time}


def _typed(code: int, time: float, alert: Any) -> Frame:
    return {"type": "response", "code": code, "message": alert, "time": time}


ENVELOPES: Final[dict[str, Callable[[int, float, Any], Frame]]] = {
    "plain": _plain,
    "uppercase": _uppercase,
    "typed": _typed,
}


def _open_form(dialect: Dialect, sender: str, me: str, text: str, time: float) -> Frame:
    frame: Frame = {"action": dialect.action, "time": time, "from": sender, "sender": sender, "to": me}
    frame |= {"destination": me, "user": {"account_name": sender}}
    if dialect.user_twins:
        frame |= {"from_user": sender, "to_user": me}
    return frame | dict.fromkeys(dialect.text_keys, text)


def _strict_form(dialect: Dialect, sender: str, me: str, text: str, time: float) -> Frame:
    frame = {"action": dialect.action, "time": time, "to": me, "from": sender, "encoding": "utf-8"}
    return frame | dict.fromkeys(dialect.text_keys, text)


def _uppercase_form(dialect: Dialect, sender: str, me: str, text: str, time: float) -> Frame:
    return {"RESPONSE": "message", "AUTHUSER": sender, "FROM": me, "MESSAGE_TEXT": text, "TIME": time}


def _typed_form(dialect: Dialect, sender: str, me: str, text: str, time: float) -> Frame:
    body = {"sender": sender, "to": me, "text": text}
    return {"type": "request", "action": dialect.action, "body": body, "time": time}


FORMS: Final[dict[str, Callable[[Dialect, str, str, str, float], Frame]]] = {
    "open": _open_form,
    "strict": _strict_form,
    "uppercase": _uppercase_form,
    "typed": _typed_form,
}


def _frames(dialect: Dialect, sender: str, me: str, text: str, time: float) -> Iterator[bytes]:
    form = FORMS[dialect.form]
    left_out = _to_leave_out(dialect, form(dialect, sender, me, "", time))
    copies = sum(key not in left_out for key in dialect.text_keys) if form in (_open_form, _strict_form) else 1

    def encode(piece: str) -> bytes:
        frame = form(dialect, sender, me, piece, time)
        return _encode({key: value for key, value in frame.items() if key not in left_out})

    whole = encode(text)
    if len(whole) <= dialect.longest_frame:
        yield whole
        return
    room = (dialect.longest_frame - len(encode(""))) // copies
    for piece in split_text(text, room):
        yield encode(piece)


def _to_leave_out(dialect: Dialect, empty: Frame) -> frozenset[str]:
    left_out: set[str] = set()
    for key in REDUNDANT:
        if len(_encode(empty)) + SPARE_TEXT * 3 <= dialect.longest_frame:
            break
        if empty.pop(key, None) is not None:
            left_out.add(key)
    return frozenset(left_out)


def split_text(text: str, room: int) -> Iterator[str]:
    """Pieces of `text` that take at most `room` bytes each inside a JSON string; joined they are the text again.

    It is cut behind a space where there is one, and never inside a character, its accents and joiners included.
    """
    start, cut, size = 0, 0, 0
    for place, char in enumerate(text):
        cost = len(json.encode(char)) - 2
        # (Cut behind an early space, what is left may still be too much with a character that takes several bytes.)
        while size + cost > room and place > start:
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
    while back > start and _goes_on(text, back):
        back -= 1
    return back if back > start else place


def _goes_on(text: str, place: int) -> bool:
    """Whether the character at `place` belongs to the one before it: an accent, part of an emoji or flag, or LF."""
    char, before = text[place], text[place - 1]
    if char in FLAG_LETTERS and before in FLAG_LETTERS:
        run = place - len(text[:place].rstrip(FLAG_LETTERS))
        return run % 2 == 1
    attached = unicodedata.category(char)[0] == "M" or char in JOINERS or char in SKIN_TONES
    return attached or before == "\u200d" or (before, char) == ("\r", "\n")
