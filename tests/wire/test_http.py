"""HTTP, the server's end: requests whole and byte by byte; bodies; what is none, too long, or two requests in one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.wire.http import MAX_HEAD, HttpCodec, HttpError, HttpRequest, HttpResponse

HEAD = (
    b"GET /jim?x=1 HTTP/1.1\r\nHost: chat.example\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Accept: a\r\nAccept: b\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nbackup done"
CHUNKED = (
    b"POST /hook HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6\r\nbackup\r\n5;x=y\r\n done\r\n0\r\na: b\r\n\r\n"
)


def refused(data: bytes) -> tuple[int, bytes]:
    codec = HttpCodec()
    codec.receive(data)
    with pytest.raises(HttpError) as raised:
        codec.next_request()
    return raised.value.status, codec.respond(raised.value.response(), close=True)


def read_body(codec: HttpCodec) -> tuple[bytes, bool]:
    """Return what has arrived of the body, and whether that is all."""
    body = b""
    while data := codec.next_data():
        body += data
    return body, data == b""


@pytest.mark.parametrize("cuts", [1, 7, len(HEAD)])
def test_a_head_is_read_however_it_is_cut(cuts: int) -> None:
    codec = HttpCodec()
    results = []
    for start in range(0, len(HEAD), cuts):
        codec.receive(HEAD[start : start + cuts])
        results.append(codec.next_request())
    assert results[:-1] == [None] * (len(results) - 1)
    request = results[-1]
    assert isinstance(request, HttpRequest)
    assert (request.method, request.target, request.path) == ("GET", "/jim?x=1", "/jim")
    assert request.header("host") == "chat.example" and request.header("cookie") == ""
    assert request.has_token("upgrade", "websocket") and request.has_token("connection", "upgrade")
    assert request.header("accept") == "a, b"


def test_what_follows_the_head_is_kept() -> None:
    codec = HttpCodec()
    codec.receive(HEAD + b"behind it")
    assert codec.next_request() is not None
    assert codec.take_rest() == b"behind it"
    answer = codec.switch_protocols([("Upgrade", "websocket")])
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n") and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("cuts", [1, 10, 1000])
@pytest.mark.parametrize("data", [POST, CHUNKED])
def test_a_body_is_read_however_it_is_cut(data: bytes, cuts: int) -> None:
    codec, body, request, is_whole = HttpCodec(), b"", None, False
    for start in range(0, len(data), cuts):
        assert not is_whole
        codec.receive(data[start : start + cuts])
        request = request or codec.next_request()
        if request is not None:
            more, is_whole = read_body(codec)
            body += more
    assert is_whole and body == b"backup done"
    assert codec.declared_length == (11 if data is POST else 0)
    assert b"Connection: close" not in codec.respond(HttpResponse(200, b"ok")) and codec.start_next()


def test_requests_are_answered_one_after_the_other() -> None:
    codec = HttpCodec()
    assert codec.is_idle
    codec.receive(GET + POST + GET)
    for path, body in [("/", b""), ("/hook", b"backup done"), ("/", b"")]:
        assert not codec.is_idle
        request = codec.next_request()
        assert request is not None and request.path == path
        assert read_body(codec) == (body, True) and read_body(codec) == (b"", True)
        assert codec.respond(HttpResponse(200, b"ok")).endswith(b"Content-Length: 2\r\n\r\nok")
        assert codec.start_next()
    assert codec.is_idle and codec.next_request() is None


@pytest.mark.parametrize(
    "data",
    [
        GET.replace(b"/1.1", b"/1.0"),
        GET.replace(b"Host: a", b"Host: a\r\nConnection: close"),
        POST[:-1],
        POST,
        CHUNKED[:-2],
    ],
)
def test_what_is_not_read_whole_or_asks_for_it_ends_the_connection(data: bytes) -> None:
    codec = HttpCodec()
    codec.receive(data)
    assert codec.next_request() is not None
    assert b"Connection: close\r\n" in codec.respond(HttpResponse(200, b"ok"))
    assert not codec.start_next()


def test_a_client_that_waits_is_asked_for_the_body() -> None:
    codec = HttpCodec()
    codec.receive(POST.replace(b"Host: a", b"Host: a\r\nExpect: 100-continue")[:-11])
    assert codec.next_request() is not None and codec.expects_continue
    assert codec.accept_body() == b"HTTP/1.1 100 Continue\r\n\r\n"
    codec.receive(b"backup done")
    assert read_body(codec) == (b"backup done", True) and not codec.expects_continue


@pytest.mark.parametrize(
    ("method", "status", "has_length", "has_body"),
    [(b"GET", 200, True, True), (b"HEAD", 200, True, False), (b"GET", 304, False, False), (b"GET", 204, False, False)],
)
def test_only_some_responses_have_a_body(method: bytes, status: int, has_length: bool, has_body: bool) -> None:
    codec = HttpCodec()
    codec.receive(GET.replace(b"GET", method))
    assert codec.next_request() is not None
    answer = codec.respond(HttpResponse(status, b"page" if has_length else b"", "text/html", (("ETag", "x"),)))
    assert (b"Content-Length: 4\r\n" in answer, answer.endswith(b"page")) == (has_length, has_body)
    assert b"ETag: x\r\n" in answer and codec.start_next()


def test_a_body_that_is_cut_off_is_refused() -> None:
    codec = HttpCodec()
    codec.receive(POST[:-1])
    assert codec.next_request() is not None
    assert codec.next_data() == b"backup don" and codec.next_data() is None
    codec.receive(b"")
    with pytest.raises(HttpError) as raised:
        codec.next_data()
    assert raised.value.status == 400


PIECES = st.one_of(st.binary(min_size=1, max_size=200), st.sampled_from([GET, POST, CHUNKED, HEAD, POST[:40]]))


def answer_all(codec: HttpCodec, pieces: list[bytes]) -> HttpError | None:
    """Answer what is requested until the connection ends; return the error that ends it."""
    try:
        for piece in [*pieces, b""]:
            codec.receive(piece)
            while codec.next_request() is not None:
                read_body(codec)
                codec.respond(HttpResponse(200, b"ok"))
                if not codec.start_next():
                    return None
    except HttpError as error:
        return error
    return None


@given(st.lists(PIECES, max_size=6))
def test_any_bytes_raise_nothing_but_the_one_error(pieces: list[bytes]) -> None:
    codec = HttpCodec()
    error = answer_all(codec, pieces)
    if error is not None:
        assert codec.respond(error.response(), close=True).startswith(b"HTTP/1.1 %d " % error.status)
        assert not codec.start_next()


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
