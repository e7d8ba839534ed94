"""Frames that a course client of each variant accepts: section 3 of the protocol.

A frame that would crash the client raises AssertionError.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Frame = dict[str, Any]
ReceivedText = tuple[str, str]
FrameReader = Callable[[Frame, str, bool], ReceivedText | None]
TEXT_KEYS = ("mess_text", "message_text", "text")
ORDINARY_KEYS = frozenset({"action", "time", "from", "sender", "to", "destination", "user"})


@dataclass(frozen=True)
class ResponseForm:
    """Form of the response to a presence: `accepted` in full, and what an error must contain."""

    accepted: Frame
    rejected: Frame
    text_fields: tuple[str, ...]
    time_field: str = "time"

    def check_accepted(self, answer: Frame) -> None:
        if not self.time_field:
            assert answer == self.accepted, f"any further key is a refusal: {answer}"
            return
        assert isinstance(answer.get(self.time_field), float), f"{self.time_field} is not a float: {answer}"
        assert answer == {**self.accepted, self.time_field: answer[self.time_field]}, (
            f"not the promised answer: {answer}"
        )

    def check_rejected(self, answer: Frame) -> None:
        assert self.rejected.items() <= answer.items(), f"not a refusal in this envelope: {answer}"
        assert all(answer.get(key) and isinstance(answer[key], str) for key in self.text_fields), answer


ORDINARY = ResponseForm({"response": 200, "responce": 200, "alert": "OK"}, {"response": 400}, ("error", "alert"))
UPPERCASE = ResponseForm(
    {"ACTION": "ALERT", "RESPONSE": 200, "ALERT": "OK"}, {"ACTION": "ALERT", "RESPONSE": 400}, ("ALERT",), "TIME"
)
BARE = ResponseForm({"response": 200}, {"response": 400}, ("error",), "")
REQUEST = ResponseForm(
    {"type": "response", "code": 200, "message": "OK"}, {"type": "response", "code": 400}, ("message",)
)


def check_keys(frame: Frame, keys: Iterable[str]) -> None:
    assert set(frame) == set(keys), f"dies of keys {sorted(set(frame) ^ set(keys))} in {frame}"


def sender_name(value: Any) -> str:
    """Return the name in `from_user`, which may be a string or an object."""
    return value["account_name"] if isinstance(value, dict) else value


def ordinary_reader(
    action: str,
    own: tuple[str, str],
    texts: tuple[str, ...] | None = TEXT_KEYS,
    from_user: bool = False,
    *,
    names_user: bool = True,
    recipient: str = "",
    own_recipient: str = "",
) -> FrameReader:
    """Create a reader of ordinary frames: `action` and `texts` before the first message sent, `own` after.

    `names_user`: there must be `user`; else there must not be, but `encoding`. `recipient`: a further key with the
    recipient in every frame, `own_recipient`: after the first message sent.
    """

    def read(frame: Frame, name: str, has_sent: bool) -> ReceivedText | None:
        if not has_sent and action == "message" and frame.get("action") == "msg":
            # The msg form sent ahead of the one that is understood; the text is looked for before the action.
            assert set(texts or ()) <= set(frame), f"dies without its text key: {frame}"
            return None
        expected = own[0] if has_sent else action
        assert frame.get("action") == expected, f"knows only action {expected}: {frame}"
        keys = {own[1]} if has_sent else set(texts or {*frame} & {*TEXT_KEYS, "message"})
        further = {recipient, own_recipient if has_sent else ""} - {""}
        names = ORDINARY_KEYS if names_user else ORDINARY_KEYS - {"user"} | {"encoding"}
        check_keys(frame, names | keys | further | ({"from_user", "to_user"} if from_user else set()))
        assert isinstance(frame["time"], int | float), f"time is not a number: {frame}"
        senders = {frame["from"], frame["sender"]} | ({frame["user"]["account_name"]} if names_user else set())
        addressees = {frame["to"], frame["destination"]} | {frame[key] for key in further}
        message_texts = {frame[key] for key in keys}
        if from_user:
            senders.add(sender_name(frame["from_user"]))
            addressees.add(sender_name(frame["to_user"]))
        assert addressees == {name}, f"not addressed to {name}: {frame}"
        assert len(senders) == len(message_texts) == 1, f"contradicts itself: {frame}"
        return senders.pop(), message_texts.pop()

    return read


def read_status(frame: Frame, name: str, has_sent: bool) -> ReceivedText:
    check_keys(frame, ("action", "time", "to", "from", "encoding", "message"))
    assert frame["action"] == "msg" and frame["to"] == name, f"not a msg to {name}: {frame}"
    assert isinstance(frame["time"], int | float) and isinstance(frame["encoding"], str), frame
    return frame["from"], frame["message"]


def read_uppercase(frame: Frame, name: str, has_sent: bool) -> ReceivedText:
    check_keys(frame, ("RESPONSE", "AUTHUSER", "FROM", "MESSAGE_TEXT", "TIME"))
    assert frame["RESPONSE"] == "message" and frame["FROM"] == name, f"not a message to {name}: {frame}"
    return frame["AUTHUSER"], frame["MESSAGE_TEXT"]


def read_request(frame: Frame, name: str, has_sent: bool) -> ReceivedText:
    check_keys(frame, ("type", "action", "body", "time"))
    check_keys(frame["body"], ("sender", "to", "text"))
    assert (frame["type"], frame["action"], frame["body"]["to"]) == ("request", "msg", name), frame
    return frame["body"]["sender"], frame["body"]["text"]
