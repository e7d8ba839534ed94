"""Protocol detection: the table of signatures, whole, byte by byte, and with other bytes after them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.errors import BadFrame, FrameTooLong
from gmessenger.wire import events
from gmessenger.wire.protocol_detection import (
    EXPECTED,
    HTTP_METHODS,
    REJECTIONS,
    SIGNATURES,
    ProtocolDetector,
    detect_protocol,
)
from gmessenger.wire.request_decoder import RequestDecoder

PRESENCE = b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n'
HTTP = [
    *(method + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n" for method in sorted(HTTP_METHODS)),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"PROPFIND /dav HTTP/1.1\r\n",
    b"brew /pot-0 HTTP/1.1\r\n",
    b"x-!#$%&'*+.^_`|~9 /?a={%22b%22:[1]} HTTP/1.0\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\n",
    b"GET http://example.org/ HTTP/1.1\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n",
    b"GET  \t /  HTTP/1.1\n",
    b"\r\n\r\n  POST /x HTTP/1.1\r\n",
    b"OPTIONS rtsp://example.org/ RTSP/1.0\r\n",
    b"REGISTER sip:example.org SIP/2.0\r\n",
    b"GET /\r\n",
    b"GET / HTTP\r\n",
    b"FROB /a b c/d HTTP/1.1\r\n",
    b"FROB /a b/c/d e HTTP/1.1\r\n",
]
OTHERS = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
    (b"\x16\x03\x03\x00\x0a\n{}", "tls"),
    (b"\x80\x2e\x01\x03\x01\x00\x15", "tls"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "ssh"),
    (b"\x04\x01\x00\x0a\x7f\x00\x00\x01\x00", "socks4"),
    (b"\x04\x02\x1e\x61\x7f\x00\x00\x01me\x00", "socks4"),
    (b"\x05\x01\x00", "socks5"),
    (b"\x05\x02\x00\x02", "socks5"),
    (b"\x05\x0a\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", "socks5"),
    (b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00", "rdp"),
    (b"\x00\x00\x00\x45\xffSMBr\x00", "smb"),
    (b"\x00\x00\x0a\x0a\xfeSMB@\x00", "smb"),
    (b"\x00\x01\x00\x0a\x21\x12\xa4\x42aaaaaaaaaaaa", "stun"),
    (b"\x00\x03\x01\xf0\x21\x12\xa4\x42\n{}", "stun"),
    (b"\x00\x00\x00\x54\x00\x03\x00\x00user\x00", "postgresql"),
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", "postgresql"),
    (b"\x10\x0a\x00\x04MQTT\x04", "mqtt"),
    (b"AMQP\x00\x00\x09\x01", "amqp"),
    (b"\x13BitTorrent protocol", "bittorrent"),
    (b"*1\r\n$4\r\nPING\r\n", "redis"),
    (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "http"),
    (b"\xef\xbb\xbfPOST / HTTP/1.1\r\n\r\n", "http"),
    (b"\xef\xbb\xbfGET /\r\n", "http"),
    (b"<?xml version='1.0'?>", "xml"),
    (b"<stream:stream to='x'>", "xml"),
    (b"<policy-file-request/>\x00", "xml"),
]
CASES = [*((data, "http") for data in HTTP), *OTHERS]
RUBBISH = [
    b"hello\n",
    b"hello big world\n",
    b"GETTING nowhere\n",
    b"POSTING it HTTP\n",
    b'hello {"a":1}\n',
    b"]]]\n",
    b"\x00\xff\x16\x03\x01\n",
    b"\x16\x02\n",
    b"\x05\n",
    b"\x04\n",
    b"\xef\xbb\xbf\n",
    b"\xef\xbb\xbfhello\n",
    b"HTTP\n",
    b"HTTP/x\n",
    b"SSH\n",
    b"<html>\n",
    b"*\n",
    b"*1\n",
    b"AMQ\n",
    b"FROB / nothing\n",
    b"FROB / HTTP/x\n",
    b"hello / wide/world of / things\n",
    b"GET\n",
    b"hello \n",
    b"/\n",
    b"\x7f\x45\x4c\x46\n",
    b'"text"\n',
    b"12345\n",
    b"null\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 7777\r\n",
]


def detect_byte_by_byte(data: bytes) -> str | None:
    detector = ProtocolDetector()
    for byte in data:
        if (protocol := detector.feed(bytes([byte]))) is not None:
            return protocol
    return None


@pytest.mark.parametrize(("data", "protocol"), CASES, ids=lambda value: str(value)[:30])
def test_another_protocol_is_known_whole_and_byte_by_byte_with_anything_behind(data: bytes, protocol: str) -> None:
    for behind in (b"", b"\n", PRESENCE, b"\x00" * 100):
        assert detect_protocol(data + behind) == protocol
    assert detect_byte_by_byte(data) == protocol


def test_every_signature_has_a_case() -> None:
    assert {protocol for protocol, _ in SIGNATURES} <= {protocol for _, protocol in OTHERS}
    assert set(REJECTIONS) <= {protocol for _, protocol in CASES}


@pytest.mark.parametrize("data", RUBBISH)
def test_rubbish_is_none_of_them_and_what_follows_it_is_heard(data: bytes) -> None:
    assert detect_protocol(data + PRESENCE) == detect_byte_by_byte(data + PRESENCE) == EXPECTED
    for pieces in ([data + PRESENCE], [bytes([byte]) for byte in data + PRESENCE]):
        decoder = RequestDecoder(65_536)
        decoded = [event for piece in pieces for event in decoder.feed(piece)]
        assert isinstance(decoded[-1], events.PresenceRequest)
        assert {type(event.error) for event in decoded[:-1]} == {BadFrame}


OWN_WORDS = frozenset({b"USER", b"PASS"})


@pytest.mark.parametrize("data", [b"USER a b /c HTTP/1.1\r\n", b"pass :horse/1 x/2\n", b"\r\nUSER HTTP/1.1\n"])
def test_a_line_that_begins_with_a_protocols_own_word_is_of_it_whatever_follows(data: bytes) -> None:
    assert detect_protocol(data, OWN_WORDS) == EXPECTED
    detector = ProtocolDetector(OWN_WORDS)
    found = [protocol for byte in data if (protocol := detector.feed(bytes([byte]))) is not None]
    assert found[0] == EXPECTED


@pytest.mark.parametrize(("data", "protocol"), CASES, ids=lambda value: str(value)[:30])
def test_own_words_hide_no_other_protocol(data: bytes, protocol: str) -> None:
    assert detect_protocol(data, OWN_WORDS) == protocol


@pytest.mark.parametrize("data", [b"{", b" \r\n\t{", PRESENCE, b'{"ACTION":"presence"'])
def test_jim_is_known_by_its_first_byte(data: bytes) -> None:
    assert detect_protocol(data) == EXPECTED


@pytest.mark.parametrize(("data", "protocol"), CASES, ids=lambda value: str(value)[:30])
def test_a_connection_of_another_protocol_is_one_event(data: bytes, protocol: str) -> None:
    decoder, byte_decoder = RequestDecoder(65_536), RequestDecoder(65_536)
    assert decoder.feed(data + PRESENCE) == [events.ForeignProtocol(protocol)]
    assert decoder.feed(PRESENCE) == []
    assert [event for byte in data + PRESENCE for event in byte_decoder.feed(bytes([byte]))] == [
        events.ForeignProtocol(protocol)
    ]


def test_what_may_become_a_request_is_held_back_up_to_the_largest_frame() -> None:
    decoder = RequestDecoder(1000)
    assert decoder.feed(b"A" * 1000) == []
    (event,) = decoder.feed(b"A")
    assert isinstance(event, events.InvalidFrame) and isinstance(event.error, FrameTooLong) and event.fatal


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_how_it_is_split_does_not_matter(data: bytes, cuts: list[int]) -> None:
    detector, protocol = ProtocolDetector(), None
    positions = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(positions):
        if protocol is None:
            protocol = detector.feed(data[start:end])
    assert protocol == detect_protocol(data)


@pytest.mark.parametrize("size", [1, 7, 50, 400, 4096])
@pytest.mark.parametrize(
    "data",
    [b"r.inted " + b"[" * 400 + b" 2\n >]\ny\n", b"FROB /" + b"a" * 400 + b" HTTP/1.1\r\n"],
    ids=["rubbish", "http"],
)
def test_a_first_line_over_the_cap_is_refused_however_it_is_split(data: bytes, size: int) -> None:
    decoder = RequestDecoder(300)
    decoded: list[events.ClientEvent] = []
    for start in range(0, len(data), size):
        decoded += decoder.feed(data[start : start + size])
        if decoded:
            break
    (refused,) = decoded
    assert isinstance(refused, events.InvalidFrame) and (refused.error.code, refused.fatal) == ("frame_too_long", True)


def test_the_http_farewell_is_an_http_answer() -> None:
    head, _, body = REJECTIONS["http"].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert f"Content-Length: {len(body)}".encode() in head.splitlines()


def test_a_line_of_many_words_is_no_deeper_than_one_of_few() -> None:
    assert detect_protocol(b"FROB /" + b" a/b" * 16_000) is None
    assert detect_protocol(b"FROB /" + b" a/b" * 16_000 + b" HTTP/1") == "http"


def test_bytes_are_looked_at_once_however_slowly_they_come() -> None:
    detector = ProtocolDetector()
    looked = 0
    before = detector._position
    for _ in range(5000):
        assert detector.feed(b"a") is None
        looked += detector._position - before
        before = detector._position
    assert looked == 5000
