"""Course dialects, from tables: every spelling and every form, bounded frames, split texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.wire import dialects, events
from gmessenger.wire.course import CourseCodec, split_text

NAMES: list[dict[str, Any]] = [
    {"action": "presence", "user": {"account_name": "hank"}},
    {"action": "presense", "user": {"client_name": "hank"}},
    {"action": "presence", "user": "hank"},
    {"action": "presence", "from_user": {"account_name": "hank"}},
    {"action": "presence", "account_name": "hank"},
    {"ACTION": "presence", "USER": {"AUTHUSER": "hank"}},
    {"action": "presence", "type": "request", "body": "hank"},
    {"Action": "Presence", "User": {"Account_Name": "hank"}},
    {"action": "presence", "user": {"account_name": 5, "client_name": "hank"}},
    {"action": "presenc", "user": {"account_name": "hank"}},
    {"action": "presence", "sender": "hank"},
    {"action": "presence", "from": "hank"},
    {"action": "presence", "user": "hank", "sender": "no", "from": "no"},
]
MESSAGES: list[dict[str, Any]] = (
    [
        {"action": action, to: "dale", text: "hi"}
        for action in ("message", "msg", "m")
        for to in ("to", "destination", "to_user", "message_receiver", "TO", "recipient", "client")
        for text in ("mess_text", "message_text", "msg_txt", "text", "message", "Message_Text")
    ]
    + [{"action": "message", "to": "dale", text: "hi"} for text in ("message_txt", "message text", "msg_text", "msg")]
    + [
        {"action": "msg", "body": {"to": "dale", "text": "hi"}},
        {"action": "msg", "to": "dale", "text": 5, "message": "hi"},
    ]
)
FORMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"action": "presence", "user": {"account_name": "hank"}},
        {
            "action": "message",
            "time": 1.5,
            "from": "dale",
            "sender": "dale",
            "to": "hank",
            "destination": "hank",
            "user": {"account_name": "dale"},
            "mess_text": "hi",
            "message_text": "hi",
            "text": "hi",
        },
    ),
    (
        {"action": "presence", "type": "status", "user": {"account_name": "hank"}},
        {"action": "msg", "time": 1.5, "to": "hank", "from": "dale", "encoding": "utf-8", "message": "hi"},
    ),
    (
        {"ACTION": "presence", "USER": {"AUTHUSER": "hank"}},
        {"RESPONSE": "message", "AUTHUSER": "dale", "FROM": "hank", "MESSAGE_TEXT": "hi", "TIME": 1.5},
    ),
    (
        {"action": "presence", "type": "request", "body": "hank"},
        {
            "type": "request",
            "action": "msg",
            "body": {"sender": "dale", "to": "hank", "text": "hi"},
            "time": 1.5,
        },
    ),
]
VARIATIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"action": "presence", "from_user": {"account_name": "hank"}}, {"from_user": "dale", "to_user": "hank"}),
    ({"action": "presence", "time": "12:30:59", "user": "hank"}, {"action": "m", "text": "hi"}),
    ({"action": "presence", "user": {"account_name": "hank", "status": "here"}}, {"action": "msg", "text": "hi"}),
    (
        {"action": "presence", "time": "1:30:59", "from_user": {"account_name": "hank"}},
        {"action": "m", "to_user": "hank"},
    ),
    (
        {"action": "presense", "user": {"account_name": "hank"}},
        {"action": "message", "msg_txt": "hi", "mess_text": "hi", "text": None},
    ),
    (
        {"action": "presense", "user": {"account_name": "hank", "status": "here"}},
        {"action": "msg", "msg_txt": "hi", "mess_text": "hi", "message": None},
    ),
    (
        {"action": "presence", "user": {"account_name": "hank", "status": "here"}},
        {"user": None, "encoding": "utf-8", "from": "dale", "to": "hank", "message_text": "hi", "message": "hi"},
    ),
    ({"action": "presence", "sender": "hank"}, {"recipient": "hank", "to": "hank", "mess_text": "hi"}),
    (
        {"action": "presence", "user": {"account_name": "hank", "pubkey": "MFww"}},
        {"action": "message", "mess_text": "hi", "message_text": None, "text": None},
    ),
]


def frames(codec: CourseCodec, text: str = "hi", action: str = "message") -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in codec.encode_message("dale", "hank", text, action, 1.5)]


def codec_after(*raw: dict[str, Any]) -> CourseCodec:
    codec = CourseCodec()
    for item in raw:
        codec.decode(item)
    return codec


@pytest.mark.parametrize("presence", NAMES)
def test_every_spelling_of_a_name_is_read(presence: dict[str, Any]) -> None:
    assert CourseCodec().decode(presence) == events.CoursePresence("hank")


@pytest.mark.parametrize("message", MESSAGES)
def test_every_spelling_of_a_message_is_read(message: dict[str, Any]) -> None:
    assert CourseCodec().decode(message) == events.CourseMessage("dale", "hi", message["action"])


def test_in_uppercase_from_is_the_addressee() -> None:
    codec = codec_after({"ACTION": "presence", "USER": {"AUTHUSER": "hank"}})
    raw = {"ACTION": "message", "FROM": "dale", "MESSAGE_TEXT": "hi"}
    assert codec.decode(raw) == events.CourseMessage("dale", "hi", "message")


@pytest.mark.parametrize("action", ["exit", "quit", "q", "EXIT"])
def test_every_way_of_leaving_is_known(action: str) -> None:
    assert CourseCodec().decode({"action": action, "account_name": "hank"}) == events.CourseQuit()


@pytest.mark.parametrize("to", ["#", "ALL", "all"])
def test_some_addressees_are_everybody(to: str) -> None:
    assert CourseCodec().decode({"action": "msg", "to": to, "text": "hi"}) == events.CourseMessage(None, "hi", "msg")


def test_with_type_status_nobody_is_everybody() -> None:
    codec = codec_after({"action": "presence", "type": "status", "user": {"account_name": "hank"}})
    assert codec.decode({"action": "msg", "message": "hi"}) == events.CourseMessage(None, "hi", "msg")
    assert isinstance(CourseCodec().decode({"action": "msg", "message": "hi"}), events.InvalidFrame)


@pytest.mark.parametrize(
    "message",
    [
        {"action": "msg", "to": "dale"},
        {"action": "msg", "to": "dale", "text": 5},
        {"action": "m", "text": "\0", "to": "d"},
    ],
)
def test_a_message_without_a_text_that_can_be_sent_is_refused(message: dict[str, Any]) -> None:
    assert isinstance(CourseCodec().decode(message), events.InvalidFrame)


@pytest.mark.parametrize("raw", [{"action": "dance"}, {}, {"action": None}, {"action": ["x"]}, {"type": "hello"}])
def test_what_is_not_in_the_table_is_unknown(raw: dict[str, Any]) -> None:
    assert CourseCodec().decode(raw) == events.CourseUnknown(False)


@pytest.mark.parametrize("action", ["get_messages", "authenticate", "Sign Up", "log in"])
def test_some_unknown_actions_are_waited_for(action: str) -> None:
    assert CourseCodec().decode({"action": action}) == events.CourseUnknown(True)


def test_a_response_is_no_request() -> None:
    assert CourseCodec().decode({"response": 200}) is None


@pytest.mark.parametrize(("presence", "form"), FORMS)
def test_the_presence_chooses_the_form(presence: dict[str, Any], form: dict[str, Any]) -> None:
    assert frames(codec_after(presence)) == [form]


@pytest.mark.parametrize(("presence", "changed"), VARIATIONS)
def test_the_presence_varies_the_open_form(presence: dict[str, Any], changed: dict[str, Any]) -> None:
    (frame,) = frames(codec_after(presence))
    assert {key: frame.get(key) for key in changed} == changed


def test_its_first_message_teaches_how_to_speak_to_it() -> None:
    codec = codec_after({"action": "presence", "user": "hank"}, {"action": "m", "to": "dale", "message_text": "x"})
    (frame,) = frames(codec, action="msg")
    assert (frame["action"], frame["message_text"]) == ("m", "hi")
    assert not {"text", "mess_text", "message"} & set(frame)


MIRRORED: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        {"action": "presence", "user": {"account_name": "hank"}},
        {"action": "message", "client": "dale", "text": "x"},
        {"client": "hank", "to": "hank", "text": "hi"},
    ),
    (
        {"action": "presence", "user": {"account_name": "hank"}},
        {"action": "message", "recipient": "dale", "message": "x"},
        {"recipient": "hank", "message": "hi"},
    ),
    (
        {"action": "presence", "type": "status", "user": {"account_name": "hank"}},
        {"action": "msg", "account_name": "hank", "destination": "dale", "message_text": "x"},
        {"action": "msg", "account_name": "dale", "destination": "hank", "message_text": "hi", "message": None},
    ),
    (
        {"action": "presence", "type": "status", "user": {"account_name": "hank"}},
        {"action": "msg", "from": "hank", "account_name": "hank", "to": "dale", "message": "x"},
        {"account_name": None, "destination": None, "message": "hi"},
    ),
]


@pytest.mark.parametrize(("presence", "message", "form"), MIRRORED)
def test_keys_of_its_own_come_back_after_its_first_message(
    presence: dict[str, Any], message: dict[str, Any], form: dict[str, Any]
) -> None:
    (frame,) = frames(codec_after(presence, message))
    assert {key: frame.get(key) for key in form} == form


KEYED = {"action": "presence", "user": {"account_name": "hank", "pubkey": "MFww"}}
SPECIFIED = {"action": "presence", "time": 1_795_922_379_000_000_000, "user": {"account_name": "hank", "status": "x"}}


@pytest.mark.parametrize("presence", [KEYED, {**KEYED, "type": "status"}])
def test_an_encrypted_text_is_not_cut(presence: dict[str, Any]) -> None:
    codec = codec_after(presence)
    for size in (344, 8000):
        (frame,) = codec.encode_message("林" * 32, "林" * 32, "x" * size, "msg", 1.5)
        assert len(frame) <= dialects.MAX_ENCRYPTED_FRAME


def test_the_public_key_comes_with_the_presence_unless_it_is_too_long() -> None:
    assert CourseCodec().decode(KEYED) == events.CoursePresence("hank", "MFww")
    too_long = {"action": "presence", "user": {"account_name": "hank", "pubkey": "x" * 2049}}
    assert CourseCodec().decode(too_long) == events.CoursePresence("hank")


@pytest.mark.parametrize(
    ("presence", "expects_answers", "interval"),
    [
        (KEYED, True, dialects.LIST_INTERVAL),
        (SPECIFIED, True, dialects.FRAME_INTERVAL),
        ({**SPECIFIED, "time": 1_795_922_379}, False, dialects.FRAME_INTERVAL),
        ({"action": "presence", "user": "hank"}, False, dialects.FRAME_INTERVAL),
    ],
)
def test_the_presence_tells_who_waits_for_answers(
    presence: dict[str, Any], expects_answers: bool, interval: float
) -> None:
    codec = codec_after(presence)
    assert (codec.expects_answers, codec.interval) == (expects_answers, interval)
    codec.decode({"action": "get_contacts"})
    assert (codec.expects_answers, codec.interval) == (True, dialects.LIST_INTERVAL)


def test_what_keeps_to_the_specification_is_sent_no_longer_frames() -> None:
    written = list(codec_after(SPECIFIED).encode_message("林" * 32, "林" * 32, "слово " * 100, "message", 1.5))
    assert max(map(len, written)) <= 640
    assert "".join(json.loads(frame)["message"] for frame in written) == "слово " * 100


@pytest.mark.parametrize("action", ["pubkey_need", "get_pubkey", "pubkey_request", "get_public_key"])
def test_a_public_key_comes_under_both_names_for_it_or_its_own(action: str) -> None:
    codec = codec_after(KEYED)
    request = codec.decode({"action": action, "account_name": "dale"})
    assert isinstance(request, events.CourseKey) and request.name == "dale"
    answer = json.loads(codec.encode_key("k" * 2048, request.key, 1.5) or b"")
    assert (answer["response"], answer["bin"], answer["key"]) == (511, "k" * 2048, "k" * 2048)
    console = codec_after({"action": "presence", "user": "hank"})
    answer = json.loads(console.encode_key("k" * 800, request.key, 1.5) or b"")
    assert {"bin", "key"} & set(answer) == {request.key}
    assert console.encode_key("k" * 2048, request.key, 1.5) is None


@pytest.mark.parametrize(
    ("raw", "event"),
    [
        ({"action": "join", "room": "#dev"}, events.CourseRoom("#dev", True)),
        ({"action": "leave", "room": "dev"}, events.CourseRoom("dev", False)),
        ({"action": "join"}, events.CourseRoom(None, True)),
    ],
)
def test_rooms_are_joined_and_left(raw: dict[str, Any], event: events.CourseRoom) -> None:
    assert CourseCodec().decode(raw) == event


def test_who_has_not_spoken_hears_a_msg_in_both_forms() -> None:
    first, second = frames(codec_after({"action": "presence", "user": "hank"}), action="msg")
    assert (first["action"], first["message"], second["action"], second["text"]) == ("msg", "hi", "message", "hi")
    assert "message" not in second


@pytest.mark.parametrize("text_key", ["mess_text", "message_text", "text"])
def test_every_frame_to_who_has_not_spoken_has_every_text_key(text_key: str) -> None:
    # Clients look for their text before they look at the action.
    heard = frames(codec_after({"action": "presence", "user": {"account_name": "hank"}}), action="msg")
    assert [frame[text_key] for frame in heard] == ["hi", "hi"]


ENVELOPES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        {"action": "presence", "user": "hank"},
        {"response": 200, "responce": 200, "time": 1.5, "alert": "OK"},
        {"response": 400, "responce": 400, "time": 1.5, "alert": "No.", "error": "No."},
    ),
    (
        {"ACTION": "presence", "USER": {"AUTHUSER": "hank"}},
        {"ACTION": "ALERT", "RESPONSE": 200, "ALERT": "OK", "TIME": 1.5},
        {"ACTION": "ALERT", "RESPONSE": 400, "ALERT": "No.", "TIME": 1.5},
    ),
    (
        {"action": "presence", "type": "request", "body": "hank"},
        {"type": "response", "code": 200, "message": "OK", "time": 1.5},
        {"type": "response", "code": 400, "message": "No.", "time": 1.5},
    ),
    (
        {"action": "presence", "sender": "hank"},
        {"response": 200},
        {"response": 400, "responce": 400, "time": 1.5, "alert": "No.", "error": "No."},
    ),
]


@pytest.mark.parametrize(("presence", "ok", "refusal"), ENVELOPES)
def test_answers_come_in_the_envelope_of_the_presence(
    presence: dict[str, Any], ok: dict[str, Any], refusal: dict[str, Any]
) -> None:
    codec = codec_after(presence)
    assert json.loads(codec.encode_ok(1.5)) == ok
    assert json.loads(codec.encode_error("No.", 1.5)) == refusal


@pytest.mark.parametrize(
    ("request_", "key", "event"),
    [
        ({"action": "get_users", "account_name": "hank"}, "data_list", events.CourseList("seen")),
        ({"action": "get_users", "user_login": "hank"}, "alert", events.CourseList("seen")),
        ({"action": "get_contacts", "user": "hank"}, "data_list", events.CourseList("contacts")),
        ({"action": "get_contacts", "user_login": "hank"}, "alert", events.CourseList("contacts")),
        ({"action": "get_clients"}, "data_list", events.CourseList("seen")),
        ({"action": "action_users", "time": 1}, "data_list", events.CourseList("present")),
    ],
)
def test_lists_come_where_they_are_looked_for(request_: dict[str, Any], key: str, event: events.CourseList) -> None:
    codec = CourseCodec()
    assert codec.decode(request_) == event
    frame = json.loads(codec.encode_list(["dale", "小林"], 1.5))
    assert (frame["response"], frame[key]) == (202, ["dale", "小林"])
    assert codec.fetches_lists


@pytest.mark.parametrize("count", [0, 1, 50, 100, 5000])
def test_lists_are_cut_to_the_frame_from_behind(count: int) -> None:
    codec = CourseCodec()
    names = [f"name-{number}" for number in range(count)]
    frame = codec.encode_list(names, 1.5)
    listed = json.loads(frame)["data_list"]
    assert len(frame) <= dialects.MAX_COURSE_FRAME
    assert listed == names[: len(listed)]
    assert len(listed) == count or len(frame) > dialects.MAX_COURSE_FRAME - 250


@pytest.mark.parametrize(
    ("action", "add"), [("add", True), ("add_contact", True), ("remove", False), ("del_contact", False)]
)
def test_contacts_are_added_and_removed(action: str, add: bool) -> None:
    raw = {"action": action, "user_id": "dale", "user_login": "hank"}
    assert CourseCodec().decode(raw) == events.CourseContact("dale", add)


TEXTS = [
    "word " * 600,
    "x" * 5000,
    "слово " * 400,
    "🎉" * 700,
    "e\u0301" * 900,
    '\x01"\\' * 300,
    " " * 3000,
    "a  b" * 500,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:4]))
@pytest.mark.parametrize("presence", [form[0] for form in FORMS] + [variation[0] for variation in VARIATIONS])
def test_long_texts_are_split_within_the_cap_and_lose_nothing(presence: dict[str, Any], text: str) -> None:
    codec = codec_after(presence)
    text *= 1 + codec.dialect.max_frame // dialects.MAX_COURSE_FRAME
    written = list(codec.encode_message("dale", "hank", text, "message", 1.5))
    assert len(written) > 1
    assert all(len(frame) <= codec.dialect.max_frame for frame in written)
    assert "".join(text_of(json.loads(frame)) for frame in written) == text


def text_of(frame: dict[str, Any]) -> str:
    body = frame.get("body", frame)
    return next(str(body[key]) for key in ("text", "mess_text", "message", "MESSAGE_TEXT") if key in body)


@pytest.mark.parametrize("name", ["x" * 32, "я" * 32, "林" * 32, "𐌰" * 32])
@pytest.mark.parametrize("presence", [form[0] for form in FORMS] + [variation[0] for variation in VARIATIONS])
def test_the_longest_names_leave_room_for_the_text(presence: dict[str, Any], name: str) -> None:
    codec = codec_after(presence)
    written = list(codec.encode_message(name, name, "слово " * 100, "message", 1.5))
    assert all(len(frame) <= codec.dialect.max_frame for frame in written)
    assert len(written) < 60


def test_texts_are_split_behind_spaces_and_between_characters() -> None:
    assert list(split_text("one two three", 8)) == ["one two ", "three"]
    assert list(split_text("abcdef", 4)) == ["abcd", "ef"]
    assert list(split_text("aae\u0301b", 3)) == ["aa", "e\u0301", "b"]
    assert list(split_text("a👩\u200d👩b", 11)) == ["a", "👩\u200d👩", "b"]
    assert list(split_text("a👍🏽b", 8)) == ["a", "👍🏽", "b"]
    assert list(split_text("🇩🇪🇫🇷", 12)) == ["🇩🇪", "🇫🇷"]
    assert list(split_text("a\r\nb", 4)) == ["a", "\r\n", "b"]


@st.composite
def codecs(draw: st.DrawFn) -> CourseCodec:
    """Draw a codec after a presence with any of what varies its dialect, and perhaps a message."""
    optional = {
        "user": st.fixed_dictionaries(
            {"account_name": st.just("hank")}, optional={"status": st.just("x"), "pubkey": st.just("k")}
        ),
        "sender": st.just("hank"),
        "from_user": st.just({"account_name": "hank"}),
        "time": st.sampled_from([1.5, 10**18, "12:00:00"]),
        "type": st.sampled_from(["status", "request", "x"]),
    }
    action = st.sampled_from(["presence", "presense", "presenc"])
    codec = codec_after(draw(st.fixed_dictionaries({"action": action}, optional=optional)))
    if draw(st.booleans()):
        codec.decode({**draw(st.sampled_from(MESSAGES)), draw(st.sampled_from(["from", "account_name"])): "hank"})
    return codec


@given(
    codecs(),
    st.sampled_from(["hank", "x" * 32, "林" * 32, "𐌰" * 32]),
    st.sampled_from(["hi", *TEXTS]),
    st.sampled_from(["msg", "message"]),
)
def test_every_dialect_keeps_its_limit_and_loses_no_text(codec: CourseCodec, name: str, text: str, action: str) -> None:
    pieces: dict[tuple[Any, int], list[str]] = {}
    for written in codec.encode_message(name, name, text, action, 1.5):
        assert len(written) <= codec.dialect.max_frame
        frame = json.loads(written)
        body = frame.get("body", frame)
        found = [body[key] for key in ("MESSAGE_TEXT", *dialects.TEXT_PATHS) if key in body]
        assert found and len(set(found)) == 1
        pieces.setdefault((frame.get("action"), len(body)), []).append(found[0])
    assert {"".join(texts) for texts in pieces.values()} == {text}
