"""WebSocket, both ends: messages whole, byte by byte, in fragments, with pings between; and rubbish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from gmessenger.wire.websocket import WebSocketCodec, encode_masked_messages, encode_messages
from gmessenger.wire.websocket_lines import (
    IRC_BINARY_FRAMING,
    IRC_MAX_MESSAGE,
    IRC_TEXT_FRAMING,
    JIM_FRAMING,
    LineFraming,
)

MAX_MESSAGE = 1000
PAYLOADS = st.lists(st.binary(max_size=300).map(lambda data: data.replace(b"\n", b" ")), max_size=8)


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, side: Side = Side.SERVER) -> bytes:
    """Return a frame for a codec of that side: only what a client sends is masked."""
    return Frame(opcode, data, fin).serialize(mask=side is Side.SERVER)


def close_code(reply: bytes) -> int:
    """Return the code of a close, which a client masks."""
    assert reply[0] == 0x88, reply
    if reply[1] & 0x80:
        return int.from_bytes(bytes(byte ^ mask for byte, mask in zip(reply[6:8], reply[2:4], strict=True)), "big")
    return int.from_bytes(reply[2:4], "big")


both_sides = pytest.mark.parametrize("side", [Side.SERVER, Side.CLIENT], ids=["server", "client"])


def feed(codec: WebSocketCodec, data: bytes, cuts: int) -> bytes:
    """Feed so many bytes at a time."""
    return b"".join(codec.receive(data[start : start + cuts]) for start in range(0, len(data), cuts))


@both_sides
@given(payloads=PAYLOADS, piece=st.integers(1, 40), cuts=st.integers(1, 400))
def test_messages_are_lines_however_they_are_cut(side: Side, payloads: list[bytes], piece: int, cuts: int) -> None:
    sent = b""
    for payload in payloads:
        pieces = [payload[start : start + piece] for start in range(0, len(payload), piece)] or [b""]
        for number, part in enumerate(pieces):
            opcode = Opcode.CONT if number else Opcode.TEXT
            sent += frame(opcode, part, fin=number == len(pieces) - 1, side=side)
            sent += frame(Opcode.PING, b"between", side=side)
    codec = WebSocketCodec(MAX_MESSAGE, side)
    assert feed(codec, sent, cuts) == b"".join(payload + b"\n" for payload in payloads if payload)
    peer = Protocol(Side.CLIENT if side is Side.SERVER else Side.SERVER, state=State.OPEN)
    peer.receive_data(codec.take_replies())
    assert [(each.opcode, each.data) for each in peer.events_received()] == [(Opcode.PONG, b"between")][: len(payloads)]
    assert not codec.is_closed and not codec.is_oversized and codec.fault == ""


@given(PAYLOADS)
def test_a_client_reads_each_line_as_one_message(payloads: list[bytes]) -> None:
    client = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    client.receive_data(encode_messages(b"".join(payload + b"\n" for payload in payloads)))
    assert [event.data for event in client.events_received()] == [payload for payload in payloads if payload]


@given(PAYLOADS)
def test_a_server_reads_each_line_as_one_masked_message(payloads: list[bytes]) -> None:
    server = Protocol(Side.SERVER, state=State.OPEN, max_size=None)
    sent = encode_masked_messages(b"".join(payload + b"\n" for payload in payloads))
    server.receive_data(sent)
    assert [(each.opcode, each.fin, each.data) for each in server.events_received()] == [
        (Opcode.TEXT, True, payload) for payload in payloads if payload
    ]
    assert server.parser_exc is None, "an unmasked one would be a fault"


@pytest.mark.parametrize("length", [1, 125, 126, 65_535, 65_536, 200_000])
def test_heads_have_the_length_in_the_shortest_form(length: int) -> None:
    assert encode_messages(b"x" * length + b"\n") == Frame(Opcode.TEXT, b"x" * length).serialize(mask=False)


@both_sides
@pytest.mark.parametrize("data", [b"", b"bye"])
def test_a_close_is_echoed_and_nothing_is_received_after_it(data: bytes, side: Side) -> None:
    codec = WebSocketCodec(MAX_MESSAGE, side)
    sent = frame(Opcode.TEXT, b"before", side=side) + frame(Opcode.CLOSE, b"\x03\xe8" + data, side=side)
    assert codec.received_close is None
    assert codec.receive(sent + frame(Opcode.TEXT, b"after", side=side)) == b"before\n"
    assert codec.is_closed and close_code(codec.take_replies()) == 1000
    assert codec.received_close == (1000, data.decode()) and codec.fault == ""
    assert codec.receive(frame(Opcode.TEXT, b"later", side=side)) == b"" and codec.close(1000) == b""


def test_a_close_without_a_code_has_none() -> None:
    codec = WebSocketCodec(MAX_MESSAGE, Side.CLIENT)
    codec.receive(b"\x88\x00")
    assert codec.is_closed and codec.received_close == (1005, "")


def test_who_was_closed_may_still_send_until_it_closes() -> None:
    codec = WebSocketCodec(MAX_MESSAGE)
    assert close_code(codec.close(1001)) == 1001
    assert codec.close(1001) == b""
    assert codec.receive(frame(Opcode.TEXT, b"on its way")) == b"on its way\n"
    assert codec.receive(frame(Opcode.CLOSE, b"\x03\xe9")) == b"" and codec.is_closed


@both_sides
@pytest.mark.parametrize("fragments", [1, 2, 7])
def test_a_message_that_is_too_long_ends_the_connection(fragments: int, side: Side) -> None:
    codec = WebSocketCodec(MAX_MESSAGE, side)
    part = b"x" * (MAX_MESSAGE // fragments + 1)
    for number in range(fragments):
        opcode = Opcode.CONT if number else Opcode.TEXT
        assert codec.receive(frame(opcode, part, fin=number == fragments - 1, side=side)) == b""
    assert codec.is_closed and codec.is_oversized and close_code(codec.take_replies()) == 1009


def test_a_frame_that_says_it_is_endless_ends_it_at_once() -> None:
    codec = WebSocketCodec(MAX_MESSAGE)
    assert codec.receive(b"\x81\xff" + b"\x7f" * 8) == b"" and codec.is_oversized


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(Opcode.BINARY, b"x"), 1003),
        (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        (b"\xc1\x81aaaab", 1002),
        (b"\x83\x80aaaa", 1002),
        (frame(Opcode.CONT, b"x"), 1002),
        (frame(Opcode.TEXT, b"x", fin=False) + frame(Opcode.TEXT, b"y"), 1002),
        (b"\x09\x80aaaa", 1002),
        (b"\x89\xfe\x00\x7eaaaa" + b"x" * 126, 1002),
        (frame(Opcode.CLOSE, b"\x00"), 1002),
    ],
    ids=[
        "binary",
        "unmasked",
        "reserved",
        "opcode",
        "no start",
        "two starts",
        "cut ping",
        "long ping",
        "close",
    ],
)
def test_what_the_protocol_forbids_ends_the_connection_with_its_code(sent: bytes, code: int) -> None:
    codec = WebSocketCodec(MAX_MESSAGE)
    codec.receive(sent)
    assert codec.is_closed and close_code(codec.take_replies()) == code


TEXT_FROM_SERVER = frame(Opcode.TEXT, b"x", side=Side.CLIENT)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(Opcode.BINARY, b"x", side=Side.CLIENT), 1003),
        (frame(Opcode.TEXT, b"x"), 1002),
        (b"\xc1\x01x", 1002),
        (b"\x83\x00", 1002),
        (frame(Opcode.CONT, b"x", side=Side.CLIENT), 1002),
        (frame(Opcode.TEXT, b"x", fin=False, side=Side.CLIENT) + TEXT_FROM_SERVER, 1002),
        (b"\x09\x00", 1002),
        (b"\x89\x7e\x00\x7e" + b"x" * 126, 1002),
        (b"\x88\x01\x00", 1002),
        (b"\x81\xff" + b"\x7f" * 8, 1002),
        (b"\x81\x7f" + b"\x7f" * 8, 1009),
    ],
    ids=[
        *("binary", "masked", "reserved", "opcode", "no start", "two starts", "cut ping", "long ping", "close"),
        *("endless and masked", "endless"),
    ],
)
@pytest.mark.parametrize("cuts", [1, 10_000], ids=["byte by byte", "whole"])
def test_what_a_server_must_not_send_ends_the_connection_and_has_a_name(sent: bytes, code: int, cuts: int) -> None:
    codec = WebSocketCodec(MAX_MESSAGE, Side.CLIENT)
    assert feed(codec, TEXT_FROM_SERVER + sent + b"rubbish" * 9, cuts) == b"x\n"
    assert codec.is_closed and close_code(codec.take_replies()) == code
    assert codec.fault and codec.is_oversized == (code == 1009)


SKIPPING = LineFraming(b"\r\n", takes_binary=True, too_long_line=b"<too long>")
irc_framings = pytest.mark.parametrize("framing", [IRC_TEXT_FRAMING, IRC_BINARY_FRAMING], ids=["text", "binary"])


@irc_framings
@given(
    payloads=st.lists(st.binary(max_size=300).map(lambda data: data.translate(None, b"\r\n")), max_size=8),
    cuts=st.integers(1, 400),
)
def test_messages_are_lines_of_irc_of_either_kind(framing: LineFraming, payloads: list[bytes], cuts: int) -> None:
    codec = WebSocketCodec(IRC_MAX_MESSAGE, framing=framing)
    kinds = (Opcode.TEXT, Opcode.BINARY)
    sent = b"".join(frame(kinds[number % 2], payload) for number, payload in enumerate(payloads))
    lines = b"".join(payload + b"\r\n" for payload in payloads if payload)
    assert feed(codec, sent, cuts) == lines and codec.take_replies() == b"" and not codec.is_closed
    client = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    client.receive_data(encode_messages(lines, framing))
    opcode = Opcode.BINARY if framing.is_binary else Opcode.TEXT
    assert [(each.opcode, each.data) for each in client.events_received()] == [
        (opcode, payload) for payload in payloads if payload
    ]


@pytest.mark.parametrize("length", [1, 125, 126, 65_535, 65_536])
def test_binary_heads_have_the_length_in_the_shortest_form(length: int) -> None:
    sent = encode_messages(b"x" * length + b"\r\n", IRC_BINARY_FRAMING)
    assert sent == Frame(Opcode.BINARY, b"x" * length).serialize(mask=False)


@given(
    sizes=st.lists(st.lists(st.integers(0, 2 * MAX_MESSAGE), min_size=1, max_size=4), max_size=5),
    cuts=st.integers(1, 3000),
)
def test_messages_that_are_too_long_are_skipped(sizes: list[list[int]], cuts: int) -> None:
    sent, lines = b"", b""
    for fragments in sizes:
        for number, size in enumerate(fragments):
            opcode = Opcode.CONT if number else Opcode.TEXT
            sent += frame(opcode, b"x" * size, fin=number == len(fragments) - 1) + frame(Opcode.PING, b"")
        length = sum(fragments)
        line = b"x" * length if length <= MAX_MESSAGE else SKIPPING.too_long_line
        lines += line + SKIPPING.line_end if length else b""
    codec = WebSocketCodec(MAX_MESSAGE, framing=SKIPPING)
    assert feed(codec, sent, cuts) == lines
    assert not codec.is_closed and codec.fault == ""
    assert len(codec._tail) + len(codec._message) <= MAX_MESSAGE + 14


def test_an_endless_frame_is_skipped_and_holds_nothing() -> None:
    codec = WebSocketCodec(MAX_MESSAGE, framing=SKIPPING)
    assert codec.receive(b"\x82\xff" + b"\x7f" * 8 + b"mask") == b"<too long>\r\n"
    for _ in range(100):
        assert codec.receive(b"x" * 65_536) == b""
    assert not codec.is_closed and not codec._tail and not codec._message


@pytest.mark.parametrize(
    "sent",
    [
        Frame(Opcode.TEXT, b"x" * 2000).serialize(mask=False),
        b"\xc1\xfe\xff\xffaaaa",
        b"\x83\xfe\xff\xffaaaa",
        frame(Opcode.CONT, b"x" * 2000),
        frame(Opcode.TEXT, b"x" * 2000, fin=False) + frame(Opcode.TEXT, b"x"),
        frame(Opcode.TEXT, b"x" * 2000, fin=False) + b"\x89\xff" + b"\x7f" * 8,
    ],
    ids=["unmasked", "reserved", "opcode", "no start", "two starts", "endless ping"],
)
def test_what_is_too_long_must_be_valid_all_the_same(sent: bytes) -> None:
    codec = WebSocketCodec(MAX_MESSAGE, framing=SKIPPING)
    codec.receive(sent)
    assert codec.is_closed and close_code(codec.take_replies()) in (1002, 1009)


@both_sides
@pytest.mark.parametrize("framing", [JIM_FRAMING, SKIPPING, IRC_BINARY_FRAMING], ids=["jim", "skipping", "binary"])
@given(data=st.binary(max_size=2000), cuts=st.integers(1, 100))
def test_rubbish_raises_nothing_and_holds_nothing(side: Side, framing: LineFraming, data: bytes, cuts: int) -> None:
    codec = WebSocketCodec(MAX_MESSAGE, side, framing)
    feed(codec, data, cuts)
    assert len(codec.take_replies()) <= 2 * 131


def test_of_many_pings_the_last_is_answered() -> None:
    codec = WebSocketCodec(MAX_MESSAGE)
    for number in range(1000):
        codec.receive(frame(Opcode.PING, b"%d" % number))
    assert codec.take_replies() == b"\x8a\x03999"
