"""The client's end of the WebSocket handshake: against the server of `websockets`, and answers that open none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from gmessenger.wire.http import MAX_HEAD
from gmessenger.wire.http_client import ResponseHead
from gmessenger.wire.websocket_handshake import ClientHandshake

NONCE = bytes(range(16))
KEY = "AAECAwQFBgcICQoLDA0ODw=="
UPGRADE = ("HTTP/1.1 101 Switching Protocols", "Upgrade: WebSocket", "Connection: keep-alive, Upgrade")
ACCEPT = f"Sec-WebSocket-Accept: {accept_key(KEY)}"


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def begun() -> ClientHandshake:
    handshake = ClientHandshake("chat.example.org", "/jim?x=1", NONCE)
    handshake.request()
    return handshake


def answered(handshake: ClientHandshake, data: bytes, cuts: int) -> ResponseHead:
    """Feed so many bytes at a time, until the answer is complete; the rest of `data` goes in with the last ones."""
    for start in range(0, len(data), cuts):
        if (answer := handshake.receive(data[start : start + cuts])) is not None:
            return answer
    raise AssertionError("no answer")


def test_a_server_takes_the_request() -> None:
    handshake = ClientHandshake("chat.example.org", "/jim", NONCE)
    server = ServerProtocol(subprotocols=["jim.2"])  # type: ignore[list-item]
    server.receive_data(handshake.request())
    (request,) = server.events_received()
    response = server.accept(request)  # type: ignore[arg-type]
    assert response.status_code == 101
    server.send_response(response)
    answer = handshake.receive(b"".join(server.data_to_send()))
    assert answer is not None and handshake.find_fault(answer) == ""
    assert answer.header("sec-websocket-protocol") == "jim.2"


def test_the_request_names_host_and_target_and_has_no_origin() -> None:
    request = ClientHandshake("[::1]:7780", "/a/jim?x=1", NONCE).request()
    assert request.startswith(b"GET /a/jim?x=1 HTTP/1.1\r\nHost: [::1]:7780\r\n") and request.endswith(b"\r\n\r\n")
    assert f"Sec-WebSocket-Key: {KEY}".encode() in request and b"origin" not in request.lower()


@pytest.mark.parametrize("cuts", [1, 7, 10_000])
def test_an_answer_is_read_however_it_is_cut_and_what_follows_is_kept(cuts: int) -> None:
    handshake = begun()
    early = head("HTTP/1.1 103 Early Hints", "Link: </style.css>")
    received = early + head(*UPGRADE, ACCEPT)
    answer = answered(handshake, received, cuts)
    assert (answer.status, answer.reason) == (101, "Switching Protocols")
    assert handshake.find_fault(answer) == "" and handshake.take_rest() == b""
    handshake = begun()
    answered(handshake, received + b"\x81\x02{}", 10_000)
    assert handshake.take_rest() == b"\x81\x02{}"


@pytest.mark.parametrize(
    "lines",
    [
        ("HTTP/1.1 200 OK", "Content-Length: 0"),
        ("HTTP/1.1 101 Switching Protocols", "Upgrade: h2c", "Connection: Upgrade", ACCEPT),
        ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", ACCEPT),
        UPGRADE,
        (*UPGRADE, f"Sec-WebSocket-Accept: {accept_key('AAAAAAAAAAAAAAAAAAAAAA==')}"),
        (*UPGRADE, ACCEPT, ACCEPT),
        (*UPGRADE, ACCEPT, "Sec-WebSocket-Extensions: permessage-deflate"),
        (*UPGRADE, ACCEPT, "Sec-WebSocket-Protocol: mqtt"),
    ],
    ids=["ok", "other", "no connection", "no accept", "wrong accept", "two", "extension", "subprotocol"],
)
def test_an_answer_that_opens_no_websocket_has_a_fault(lines: tuple[str, ...]) -> None:
    handshake = begun()
    assert handshake.find_fault(answered(handshake, head(*lines), 10_000))


def test_the_head_of_a_refusal_is_read_without_its_body() -> None:
    received = head("HTTP/1.1 503 Service Unavailable", "Retry-After: 7", "Transfer-Encoding: chunked") + b"2\r\nno\r\n"
    answer = answered(begun(), received, 10_000)
    assert (answer.status, answer.header("retry-after")) == (503, "7")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b'{"response":400,"error":"Bad Request"}\n\n',
        b"\x15\x03\x01\x00\x02\x02\x46" + b"\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * MAX_HEAD,
    ],
)
def test_what_is_no_answer_or_does_not_end_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        answered(begun(), data, 10_000)


def test_an_answer_that_is_cut_short_is_an_error() -> None:
    handshake = begun()
    assert handshake.receive(b"HTTP/1.1 101 Swit") is None
    with pytest.raises(ValueError, match=r"."):
        handshake.receive(b"")


@given(st.binary(max_size=400), st.booleans(), st.integers(1, 50))
def test_rubbish_is_an_answer_or_an_error(data: bytes, is_http: bool, cuts: int) -> None:
    handshake = begun()
    received = b"HTTP/1.1 101 X\r\n" * is_http + data
    for start in range(0, len(received), cuts):
        try:
            answer = handshake.receive(received[start : start + cuts])
        except ValueError:
            return
        if answer is not None:
            assert handshake.find_fault(answer)
            return
