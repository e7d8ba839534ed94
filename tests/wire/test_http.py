"""HTTP, the server's end: heads whole and byte by byte; what is none, too long, or two requests in one."""

from __future__ import annotations

import pytest

from gmessenger.wire.http import MAX_HEAD, HttpCodec, HttpError, HttpRequest

HEAD = (
    b"GET /jim?x=1 HTTP/1.1\r\nHost: chat.example\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Accept: a\r\nAccept: b\r\n\r\n"
)


def refused(data: bytes) -> tuple[int, bytes]:
    codec = HttpCodec()
    with pytest.raises(HttpError) as raised:
        codec.receive(data)
    return raised.value.status, codec.refuse(raised.value)


@pytest.mark.parametrize("cuts", [1, 7, len(HEAD)])
def test_a_head_is_read_however_it_is_cut(cuts: int) -> None:
    codec = HttpCodec()
    results = [codec.receive(HEAD[start : start + cuts]) for start in range(0, len(HEAD), cuts)]
    assert results[:-1] == [None] * (len(results) - 1)
    request = results[-1]
    assert isinstance(request, HttpRequest)
    assert (request.method, request.target) == ("GET", "/jim?x=1")
    assert request.header("host") == "chat.example" and request.header("cookie") == ""
    assert request.has_token("upgrade", "websocket") and request.has_token("connection", "upgrade")
    assert request.header("accept") == "a, b"


def test_what_follows_the_head_is_kept() -> None:
    codec = HttpCodec()
    assert codec.receive(HEAD + b"behind it") is not None
    assert codec.take_rest() == b"behind it"
    answer = codec.switch_protocols([("Upgrade", "websocket")])
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n") and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b'{"action":"presence"}\n\n',
        b"NICK bill\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\x00: x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(data: bytes) -> None:
    status, answer = refused(data)
    assert status in (400, 501)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close" in head
    assert body.endswith(b"\n") and f"Content-Length: {len(body)}".encode() in head


@pytest.mark.parametrize("data", [b"GET /" + b"x" * MAX_HEAD, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_HEAD])
def test_a_head_that_does_not_end_is_refused(data: bytes) -> None:
    assert refused(data)[0] == 431
