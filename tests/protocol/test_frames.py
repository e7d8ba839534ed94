"""Frames: split, joined, too large and malformed; the connection is read on afterwards.

docs/protocol.md, section 1.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from tests.support.course_clients import CLASSIC, Address
from tests.support.native_clients import Connector, NativeClient, RawConnection

PRESENCE = {"action": "presence", "time": 1, "user": {"account_name": "hank"}}
TRICKY = 'a "quoted" \\ {brace} [bracket] }{ ][ \\" привет 😀 \t'
MSG = b'{"action":"msg","id":"x","to":"dale","message":%s}'
NOT_JSON = {
    "a word": b"nonsense",
    "half an object": b'{"action":"probe"',
    "a trailing comma": b'{"action":"probe",}',
    "single quotes": b"{'action':'probe'}",
    "not a number": b'{"action":"probe","x":NaN}',
    "a raw tab in a string": b'{"action":"pro\tbe"}',
    "two objects on a line": b'{"action":"probe"}{"action":"probe"}',
    "something after the object": b'{"action":"probe"} x',
    "deep nesting": b'{"action":"probe","x":' + b"[" * 30000 + b"]" * 30000 + b"}",
    "endless nesting": b"[" * 60000,
    "a truncated escape": MSG % b'"\\u12"',
}
NOT_AN_OBJECT = {name: name.encode() for name in ("[]", '[{"action":"probe"}]', '"text"', "5", "null", "true")}
NOT_UTF8 = {
    "not UTF-8": b"\xff\xfe\xfd",
    "not UTF-8 in a text": MSG % b'"a\xffb"',
    "half a character": MSG % b'"a\xd0"',
    "an overlong slash": MSG % b'"\xc0\xaf"',
    "a surrogate in UTF-8": MSG % b'"\xed\xa0\x80"',
    "latin-1": MSG % "«café»".encode("latin-1"),
}
BAD_TEXT = {
    "U+0000 in a text": MSG % b'"a\\u0000b"',
    "a lone high surrogate": MSG % b'"\\ud83d"',
    "a lone low surrogate": MSG % b'"a\\ude00"',
    "surrogates the wrong way round": MSG % b'"\\ude00\\ud83d"',
    "U+0000 in an id": b'{"action":"probe","id":"a\\u0000b"}',
    "U+0000 in a name": b'{"action":"msg","id":"x","to":"da\\u0000le","message":"hi"}',
}
WRONG_TYPES = {
    "an action that is a number": b'{"action":5}',
    "an action that is null": b'{"action":null}',
    "no action": b'{"to":"dale"}',
    "an empty object": b"{}",
    "a number as addressee": b'{"action":"msg","id":"x","to":5,"message":"hi"}',
    "a list as addressee": b'{"action":"msg","id":"x","to":["dale"],"message":"hi"}',
    "no addressee": b'{"action":"msg","id":"x","message":"hi"}',
    "a number as text": MSG % b"5",
    "null as text": MSG % b"null",
    "an object as text": MSG % b"{}",
    "no text": b'{"action":"msg","id":"x","to":"dale"}',
    "a number as status": b'{"action":"status","id":"x","status":5}',
    "no status": b'{"action":"status","id":"x"}',
    "an unknown action": b'{"action":"dance","id":"x"}',
}
ONLY_BAD_IN_LINES = {"half an object", "two objects on a line", "something after the object"}
BAD_IN_A_STREAM = {
    name: line for name, line in {**NOT_JSON, **NOT_AN_OBJECT, **NOT_UTF8}.items() if name not in ONLY_BAD_IN_LINES
}
BAD_LINES = {**NOT_JSON, **NOT_AN_OBJECT, **NOT_UTF8, **BAD_TEXT, **WRONG_TYPES}


def encode_json(frame: Any) -> bytes:
    return json.dumps(frame, ensure_ascii=False).encode()


def padded_probe(size: int) -> bytes:
    """Make a probe of exactly `size` bytes, newline included."""
    empty = encode_json({"action": "probe", "id": "big", "pad": ""})
    return empty[:-2] + b"x" * (size - len(empty) - 1) + empty[-2:] + b"\n"


def send_bytewise(connection: RawConnection, data: bytes) -> None:
    for number in range(len(data)):
        connection.send_bytes(data[number : number + 1])
        gevent.idle()


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_answered_400_and_the_next_is_read(line: bytes, server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send_bytes(line + b"\n" + encode_json({"action": "msg", "id": "good", "to": "dale", "message": "hi"}) + b"\n")
    hank.expect_error()
    assert (hank.receive()["response"], dale.receive_message()) == (202, ("hank", "hi"))
    dale.expect_no_events()


@pytest.mark.parametrize("line", BAD_IN_A_STREAM.values(), ids=BAD_IN_A_STREAM.keys())
def test_a_bad_object_before_the_presence_is_answered_400_and_the_next_is_read(
    line: bytes, server: Address, connector: Connector
) -> None:
    connection = connector.open_raw(server)
    connection.send_bytes(line + b"\n" + encode_json(PRESENCE))
    connection.expect_error()
    assert connection.receive()["response"] == 200


def test_a_course_client_that_sends_a_bad_line_is_still_heard_afterwards(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "hank"), connector.open_native(server, "dale")
    for line in (b"nonsense", b"[1]", b'{"action":}', b'{"action":"message","to":"dale","text":"\xff"}'):
        hank.sock.sendall(line + b"\n")
        hank.send_message("dale", "still here")
        assert dale.receive_message() == ("hank", "still here")


def test_a_presence_and_a_message_byte_by_byte_are_a_presence_and_a_message(
    server: Address, connector: Connector
) -> None:
    hank, dale = connector.open_raw(server), connector.open_native(server, "dale")
    send_bytewise(hank, encode_json(PRESENCE))
    assert hank.receive()["response"] == 200
    send_bytewise(hank, encode_json({"action": "message", "to": "dale", "text": TRICKY}))
    assert dale.receive_message() == ("hank", TRICKY)


def test_native_frames_byte_by_byte_are_native_frames(server: Address, connector: Connector) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.open_native(server)
    send_bytewise(hank, encode_json({**PRESENCE, "jim": 2}) + b"\n")
    assert hank.receive()["response"] == 200 and hank.receive()["action"] == "synced"
    send_bytewise(hank, encode_json({"action": "msg", "id": "m1", "to": "dale", "message": TRICKY}) + b"\n")
    assert hank.receive()["id"] == "m1"
    assert dale.receive_message() == ("hank", TRICKY)


@pytest.mark.parametrize("between", ["", " ", "\n", "\r\n", " \t\r\n\n "], ids=repr)
def test_objects_joined_in_one_packet_are_read_one_after_the_other(
    between: str, server: Address, connector: Connector
) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.open_raw(server)
    texts = [f"{TRICKY} {number}" for number in range(20)]
    frames = [PRESENCE, *({"action": "message", "to": "dale", "text": text} for text in texts)]
    hank.send_bytes(between.encode().join(encode_json(frame) for frame in frames))
    assert hank.receive()["response"] == 200
    assert [dale.receive_message()[1] for _ in texts] == texts


@pytest.mark.parametrize("step", [2, 7, 64, 1000])
def test_native_frames_in_pieces_of_any_size_are_the_same_frames(
    step: int, server: Address, connector: Connector
) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.open_native(server, "hank")
    texts = [f"{TRICKY} {number}" for number in range(10)]
    data = b"".join(encode_json({"action": "msg", "to": "dale", "message": text}) + b"\n" for text in texts)
    for start in range(0, len(data), step):
        hank.send_bytes(data[start : start + step])
        gevent.idle()
    assert [dale.receive_message()[1] for _ in texts] == texts
    hank.expect_no_events()


def test_an_object_pretty_printed_over_lines_is_one_object_before_the_native_presence(
    server: Address, connector: Connector
) -> None:
    connection = connector.open_raw(server)
    connection.send_bytes(json.dumps({**PRESENCE, "jim": 2}, indent=2).encode() + b"\n")
    answer = connection.receive()
    assert (answer["response"], answer["jim"]) == (200, 2)


def test_every_frame_is_one_line_of_utf8_without_escapes(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "小林さん"), connector.open_native(server, "dale")
    assert hank.send_message("dale", "привет 😀 हिन्दी\n")["response"] == 202
    line = dale.receive_line()
    assert "小林さん".encode() in line and "привет 😀 हिन्दी\\n".encode() in line


def test_control_characters_other_than_zero_pass(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    text = "".join(map(chr, range(1, 32))) + "\x7f\x9b\u202e\u2028\ufffe\U0010ffff"
    assert hank.send_message("dale", text)["response"] == 202
    assert dale.receive_message() == ("hank", text)


def test_a_surrogate_pair_is_one_character(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send_bytes(MSG % b'"\\ud83d\\ude00"' + b"\n")
    assert dale.receive_message() == ("hank", "😀")


def test_unknown_keys_are_ignored(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    more = {"verbose": [1, {"a": None}], "seq": 9, "time": "12:00", "unicode": "привет"}
    assert hank.request("probe", **more)["response"] == 200
    assert connector.open_native(server).try_log_in("dale", hobby="grain", verbose=1)["response"] == 200


@pytest.mark.parametrize("clock", [1, 1.5, "12:30:01", "yesterday", None, [], {"a": 1}, -1e300], ids=repr)
def test_time_is_accepted_in_any_form_and_the_servers_is_sent(
    clock: Any, server: Address, connector: Connector
) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    assert hank.request("msg", to="dale", message="hi", time=clock)["response"] == 202
    frame = dale.next_event("msg")
    assert isinstance(frame["time"], float) and abs(frame["time"] - time.time()) < 60


def test_an_unknown_action_is_answered_400_with_its_id(server: Address, connector: Connector) -> None:
    answer = connector.open_native(server, "hank").request("dance")
    assert answer["response"] == 400 and answer["error"] and answer["code"]


def test_an_unknown_action_of_a_course_client_is_passed_over_in_silence(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "hank"), connector.open_native(server, "dale")
    hank.send({"action": "dance", "time": 1})
    hank.send_message("dale", "hello")
    assert dale.receive_message() == ("hank", "hello")
    dale.send_message("hank", "the first thing to come")
    assert hank.receive_message() == ("dale", "the first thing to come")


def test_a_frame_as_large_as_the_cap_is_read(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    hank.send_bytes(padded_probe(65536))
    assert hank.receive()["id"] == "big"


def test_a_frame_over_the_cap_is_answered_413_and_reading_resumes_after_it(
    server: Address, connector: Connector
) -> None:
    hank = connector.open_native(server, "hank")
    for size in (65538, 70_000, 2_000_000):
        hank.send_bytes(padded_probe(size))
        answer = hank.receive()
        assert answer["response"] == 413 and answer["error"] and answer["code"], answer
        hank.expect_no_events()


def test_the_cap_is_an_option_and_said_in_the_limits(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    hank = NativeClient(start_server(max_frame=4096))
    connector.connections.append(hank)
    assert hank.log_in("hank")["limits"]["frame"] == 4096
    hank.send_bytes(padded_probe(5000))
    assert hank.receive()["response"] == 413
    hank.expect_no_events()


@pytest.mark.parametrize("presence", [b"", encode_json(PRESENCE)], ids=["before the presence", "after it"])
def test_a_course_client_over_the_cap_is_closed(presence: bytes, server: Address, connector: Connector) -> None:
    connection = connector.open_raw(server)
    if presence:
        connection.send_bytes(presence)
        assert connection.receive()["response"] == 200
    connection.send_bytes(encode_json({"action": "message", "to": "hank", "text": "x" * 70_000})[:-2])
    connection.receive_until_closed()
    connector.open_native(server, "hank")


def test_bad_frames_are_forgiven_a_bounded_number_of_times(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    sender = gevent.spawn(send_ignoring_errors, hank, b"nonsense\n" * 20_000)
    answers = hank.receive_until_closed()
    sender.join()
    assert 1 <= len(answers) < 20_000
    assert {answer.get("response") for answer in answers[:1]} == {400}
    connector.open_native(server, "hank")


def send_ignoring_errors(connection: RawConnection, data: bytes) -> None:
    try:
        connection.send_bytes(data)
    except OSError:
        return
