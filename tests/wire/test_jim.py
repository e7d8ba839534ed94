"""Native frames, from tables: what they mean, what is wrong with them, and how they are encoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from gmessenger.errors import BadFrame, TextTooLong, WireError
from gmessenger.wire import events
from gmessenger.wire.encoder import encode, encode_error, encode_response
from gmessenger.wire.event_decoder import EventDecoder, decode_server_frame
from gmessenger.wire.framing import MAX_LINE_DEPTH
from gmessenger.wire.request_decoder import RequestDecoder, decode_request, decode_requests

PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'

GOOD: dict[bytes, Any] = {
    b'{"action":"msg","to":"dale","message":"hi"}': events.MessageRequest(to="dale", message="hi"),
    b'{"action":"msg","id":"1","to":"#dev","message":""}': events.MessageRequest(id="1", to="#dev", message=""),
    b'{"message":"x","to":"d","action":"msg","unknown":[1],"time":"whenever"}': events.MessageRequest(
        to="d", message="x"
    ),
    b'{"action":"msg","to":"d","message":"\\u0001\\u001b"}': events.MessageRequest(to="d", message="\x01\x1b"),
    '{"action":"msg","to":"小林","message":"🎉"}'.encode(): events.MessageRequest(to="小林", message="🎉"),
    b'{"action":"users"}': events.UsersRequest(),
    b'{"action":"users","after":"dale"}': events.UsersRequest(after="dale"),
    b'{"action":"status","status":"away"}': events.StatusRequest(status="away"),
    b'{"action":"probe","id":"p"}': events.ProbeRequest(id="p"),
    b'{"action":"quit"}': events.QuitRequest(),
    b'{"response":200}': events.Pong(),
}
BAD: dict[bytes, tuple[str, str | None]] = {
    b"": ("bad_frame", None),
    b"hello": ("bad_frame", None),
    b"[]": ("bad_request", None),
    b"5": ("bad_request", None),
    b"{}{}": ("bad_frame", None),
    b'{"action":"quit"} {"action":"quit"}': ("bad_frame", None),
    b'{"action":"msg","to":"d","message":"\xff"}': ("bad_frame", None),
    b'{"action":"quit","other":"\xff"}': ("bad_frame", None),
    b'{"action":"msg","to":"d","message":"\\ud800"}': ("bad_frame", None),
    b'{"action":"msg","to":"d","message":"\\udc00x"}': ("bad_frame", None),
    b'{"action":"msg","to":"d","message":"\x01"}': ("bad_frame", None),
    b'{"action":"quit","deep":' + b"[" * 50_000: ("bad_frame", None),
    b'{"id":"i","action":"msg","to":"d","message":"\\u0000"}': ("bad_text", "i"),
    b'{"id":"i","action":"msg","to":"\\u0000","message":"x"}': ("bad_text", "i"),
    b'{"id":"i","action":"dance"}': ("unknown_action", "i"),
    b'{"id":"i"}': ("bad_request", "i"),
    b'{"id":"i","action":5}': ("bad_request", "i"),
    b'{"id":"i","action":"msg"}': ("bad_request", "i"),
    b'{"id":"i","action":"msg","to":5,"message":"x"}': ("bad_request", "i"),
    b'{"id":"i","action":"msg","to":"d","message":null}': ("bad_request", "i"),
    b'{"id":"","action":"quit"}': ("bad_id", None),
    b'{"id":5,"action":"quit"}': ("bad_id", None),
    b'{"id":null,"action":"quit"}': ("bad_id", None),
    b'{"id":"' + b"x" * 65 + b'","action":"quit"}': ("bad_id", None),
    b'{"id":"' + "я".encode() * 33 + b'","action":"quit"}': ("bad_id", None),
}


@pytest.mark.parametrize("frame", GOOD)
def test_a_request_is_understood(frame: bytes) -> None:
    assert decode_request(frame) == GOOD[frame]


@pytest.mark.parametrize("frame", BAD, ids=lambda frame: repr(frame[:60]))
def test_a_bad_request_says_what_is_wrong_and_which_it_was(frame: bytes) -> None:
    event = decode_request(frame)
    assert isinstance(event, events.InvalidFrame)
    if frame in (b"[]", b"5"):
        assert event.error.status == 400
    else:
        assert (event.error.code, event.id) == BAD[frame]


def test_the_longest_id_is_64_bytes() -> None:
    assert decode_request(b'{"id":"' + "я".encode() * 32 + b'","action":"quit"}') == events.QuitRequest(id="я" * 32)


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_all_that_is_good_and_bad_comes_out_in_order_of_any_split(size: int) -> None:
    lines = [*GOOD, *(line for line in BAD if line)]
    data = PRESENCE + b"\n".join(lines) + b"\n"
    decoder = RequestDecoder(65_536)
    decoded = [event for start in range(0, len(data), size) for event in decoder.feed(data[start : start + size])]
    assert isinstance(decoded[0], events.PresenceRequest)
    assert decoded[1 : 1 + len(GOOD)] == list(GOOD.values())
    assert all(isinstance(event, events.InvalidFrame) for event in decoded[1 + len(GOOD) :])
    assert len(decoded) == 1 + len(lines)


@pytest.mark.parametrize(
    ("jim", "native"), [("2", True), ("3", True), ("1", False), ('"2"', False), ("true", False), ("2.0", False)]
)
def test_a_presence_with_jim_2_or_above_makes_a_connection_native(jim: str, native: bool) -> None:
    decoder = RequestDecoder(65_536)
    decoder.feed(b'{"action":"presence","jim":' + jim.encode() + b',"user":{"account_name":"hank"}}')
    assert decoder.is_native is native


def test_a_native_frame_over_the_cap_is_refused_and_the_next_is_read() -> None:
    decoder = RequestDecoder(100)
    decoder.feed(PRESENCE)
    too_long, quitting = decoder.feed(b'{"x":"' + b"x" * 200 + b'"}\n{"action":"quit"}\n')
    assert isinstance(too_long, events.InvalidFrame) and isinstance(too_long.error, TextTooLong)
    assert (too_long.error.limit, too_long.fatal) == (100, False)
    assert quitting == events.QuitRequest()


def test_a_course_frame_over_the_cap_is_fatal() -> None:
    (event,) = RequestDecoder(100).feed(b'{"x":"' + b"x" * 200)
    assert isinstance(event, events.InvalidFrame) and event.fatal


def test_frames_are_utf8_with_their_newline() -> None:
    frame = encode(events.MessageEvent("hank", "小林", 1.5, "🎉\n"))
    assert frame == '{"action":"msg","from":"hank","to":"小林","time":1.5,"message":"🎉\\n"}\n'.encode()


def test_answers_carry_what_they_have() -> None:
    assert encode_response(202, "m", 1.5) == b'{"response":202,"id":"m","time":1.5}\n'
    assert encode_response(200, None, 1.5) == b'{"response":200,"time":1.5}\n'
    assert json.loads(encode_response(200, "m", 1.5, {"users": []})) == {
        "response": 200,
        "id": "m",
        "time": 1.5,
        "users": [],
    }


def test_errors_carry_code_word_sentence_and_their_numbers() -> None:
    frame = json.loads(encode_error(TextTooLong("Too long.", limit=5, retry_after=1.5), 1.0, "m"))
    assert frame == {
        "response": 413,
        "id": "m",
        "time": 1.0,
        "error": "Too long.",
        "code": "too_long",
        "limit": 5,
        "retry_after": 1.5,
    }
    assert "id" not in json.loads(encode_error(WireError(), 1.0))


SERVER_FRAMES: dict[bytes, Any] = {
    b'{"response":202,"id":"m","time":1.5}': events.ResponseFrame(202, "m", 1.5),
    b'{"response":404,"error":"e","code":"c","time":1}': events.ResponseFrame(404, time=1.0, error="e", code="c"),
    b'{"action":"msg","from":"a","to":"b","time":1.5,"message":"m","seq":7}': events.MessageEvent(
        "a", "b", 1.5, "m", seq=7
    ),
    b'{"action":"presence","user":{"account_name":"a","status":"away"}}': events.PresenceEvent(
        events.UserInfo("a", status="away")
    ),
    b'{"action":"synced"}': events.SyncedEvent(),
    b'{"action":"moving","retry_in":3.5}': events.MovingEvent(3.5),
    b'{"action":"probe"}': events.ProbeEvent(),
}


@pytest.mark.parametrize("frame", SERVER_FRAMES)
def test_a_client_understands_the_server(frame: bytes) -> None:
    assert decode_server_frame(frame) == SERVER_FRAMES[frame]


@pytest.mark.parametrize("frame", [b'{"action":"dance"}', b'{"action":"msg"}', b"{}", b"[1]", b'{"response":"x"}'])
def test_a_client_bears_what_it_does_not_know(frame: bytes) -> None:
    assert isinstance(decode_server_frame(frame), events.UnknownEvent)


def test_a_client_hears_the_very_bytes_and_refuses_what_is_not_jim() -> None:
    decoder = EventDecoder(100)
    frame = b'{"action":"synced" }'
    assert decoder.feed(frame + b"\n") == [(frame, events.SyncedEvent())]
    with pytest.raises(BadFrame):
        decoder.feed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(BadFrame):
        decoder.feed(b"x" * 200)


def test_an_absent_id_is_unset() -> None:
    request = decode_request(b'{"action":"quit"}')
    assert isinstance(request, events.QuitRequest) and request.id is UNSET and not request.id


@pytest.mark.parametrize("frame", [b"{}\n", b"\xff\n", b'{"action":"msg"}\n', b"[]\n"])
def test_of_frames_that_are_unreadable_no_more_are_looked_at_than_a_connection_survives(frame: bytes) -> None:
    decoder = RequestDecoder(65_536, 100)
    decoder.feed(PRESENCE)
    assert len(decoder.feed(frame * 20_000)) == 100
    assert len(decoder.feed(frame * 60 + b'{"action":"quit"}\n')) == 61


def test_of_frames_that_a_later_client_may_send_all_are_answered() -> None:
    decoder = RequestDecoder(65_536, 100)
    decoder.feed(PRESENCE)
    assert len(decoder.feed(b'{"action":"dance"}\n' * 300)) == 300


@pytest.mark.parametrize("depth", [MAX_LINE_DEPTH, 60_000])
def test_a_frame_that_is_nested_too_deep_is_refused_among_others_as_alone(depth: int) -> None:
    good, nested = b'{"action":"probe","id":"a"}', b'{"action":"probe","x":' + b"[" * depth + b"]" * depth + b"}"
    decoded = decode_requests([good, nested, good], 200_000)
    assert [type(event) for event in decoded] == [events.ProbeRequest, events.InvalidFrame, events.ProbeRequest]
    assert type(decode_request(nested)) is events.InvalidFrame
