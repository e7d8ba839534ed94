"""Files over HTTP: who may upload what, what is sent, which parts, and what a browser is kept from."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from unittest.mock import ANY

import gevent
import pytest

from gmessenger.chat.files import UPLOADS_OF_ALL, UPLOADS_OF_ONE
from gmessenger.contents.folder import MARKER
from tests.conftest import RunningServer
from tests.support.accounts import UserClient
from tests.support.files import HttpAnswer, ask, basic, bearer, open_upload, png, upload
from tests.support.native_clients import Connector
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.web import read_head, read_response

PASSWORD = "swordfish-and-more"
StartServer = Callable[..., RunningServer]


class Office:
    """A server with a web port, and a person in it."""

    def __init__(self, server: RunningServer, connector: Connector) -> None:
        self.server = server
        self.connector = connector
        assert server.app.web_port is not None
        self.port = server.app.web_port
        self.hank = self.register("hank")

    def connect(self) -> UserClient:
        self.connector.connections.append(client := UserClient(self.server))
        return client

    def register(self, name: str) -> UserClient:
        client = self.connect().start_session(name)
        client.session = client.register(PASSWORD)["session"]
        return client

    @property
    def folder(self) -> Path:
        files = self.server.app.files
        assert files is not None
        return files.folder.path

    def contents(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("??/*"))

    def upload(self, content: bytes = b"", **more: str) -> HttpAnswer:
        return upload(self.port, self.hank.session, content, **more)

    def send(self, answer: HttpAnswer, to: str = "hank", **more: str) -> dict[str, object]:
        return self.hank.request("msg", to=to, message=more.pop("message", ""), file=answer.id, **more)

    def get(self, target: str, **headers: str) -> HttpAnswer:
        return ask(self.port, "GET", target, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connector:
        yield connector


@pytest.fixture
def open_office(start_server: StartServer, connector: Connector) -> Callable[..., Office]:
    return lambda **options: Office(start_server(web="127.0.0.1:0", **options), connector)


@pytest.fixture
def office(open_office: Callable[..., Office]) -> Office:
    return open_office()


def test_who_has_the_url_gets_the_file(office: Office) -> None:
    answer = office.upload()
    digest = hashlib.sha256(png()).hexdigest()
    assert (answer.status, answer.body) == (201, b"")
    assert office.contents() == [digest] and digest not in answer.headers["Location"]
    assert len(answer.id) >= 22 and answer.headers["Location"] == f"/file/{answer.id}/graph.png"
    found = office.get(answer.headers["Location"])
    assert (found.status, found.body) == (200, png())
    assert found.headers["Content-Type"] == "image/png"
    assert found.headers["Content-Disposition"] == "inline; filename=\"graph.png\"; filename*=UTF-8''graph.png"
    head = ask(office.port, "HEAD", answer.headers["Location"])
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(png())))


def test_a_browser_is_kept_from_harm(office: Office) -> None:
    headers = office.get(office.upload().headers["Location"]).headers
    assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'; media-src 'self'"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not any(name.lower().startswith(("access-control", "set-cookie")) for name in headers)


@pytest.mark.parametrize(
    ("content", "declared", "type", "sent_as"),
    [
        (png(), "text/html", "image/png", "image/png"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "image/png", None, None),
        (b"<svg/>", "image/svg+xml", "image/svg+xml", None),
        (b"<html><script>alert(1)</script>", "image/png", None, None),
        (b"<html>", "text/html", "text/html", None),
        (b"%PDF-1.7", "application/pdf", "application/pdf", None),
        ("Привет\n".encode(), "text/plain; charset=utf-8", "text/plain", "text/plain; charset=utf-8"),
        (b"# notes\n", "text/markdown", "text/plain", "text/plain; charset=utf-8"),
        (b"\xff\xfe\x00h", "text/plain", None, None),
        (b"a\0b", "text/plain", None, None),
        (b"MZ\x90", "Application/X-MSDownload", "application/x-msdownload", None),
        (b"MZ", "nonsense\x7f", None, None),
        (b"", "text/plain", None, None),
    ],
)
def test_a_file_is_what_its_first_bytes_are(
    content: bytes, declared: str, type: str | None, sent_as: str | None, office: Office
) -> None:
    answer = ask(
        office.port, "POST", "/file", {**bearer(office.hank.session), "Content-Type": declared}, content or b""
    )
    if not content and answer.status == 411:
        pytest.fail("an empty file has a length, too")
    office.send(answer)
    sent = office.hank.history("hank")[0]["file"]
    assert sent["type"] == (type or "application/octet-stream" if content else "text/plain")
    found = office.get(sent["url"])
    if content:
        assert found.headers["Content-Type"] == (sent_as or "application/octet-stream")
        assert found.headers["Content-Disposition"].startswith("inline" if sent_as else "attachment")
    assert found.body == content


def test_a_message_has_the_file(office: Office) -> None:
    dale = office.register("dale")
    answer = office.upload(png(640, 480), name="graph 1.png")
    sent = office.send(answer, "dale", message="the graph", id="m1")
    assert (sent["response"], sent["seq"]) == (200, 1)
    file = dale.next_event("msg")["file"]
    assert sent["file"] == file
    assert office.send(answer, "dale", message="the graph", id="m1") == {**sent, "time": ANY}
    assert file == {
        "url": answer.headers["Location"],
        "name": "graph 1.png",
        "type": "image/png",
        "size": len(png(640, 480)),
        "width": 640,
        "height": 480,
    }
    assert dale.history("hank")[0]["file"] == file
    assert dale.request("search", text="graph")["messages"][0]["file"] == file
    assert office.get(file["url"]).body == png(640, 480)


def test_a_message_without_a_text_has_the_name(office: Office) -> None:
    office.send(office.upload(name="graph.png"))
    assert office.hank.history("hank")[0]["message"] == "graph.png"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\hank\\graph.png", "graph.png"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("\x1b[2Jx\r\nSet-Cookie: a=b", "[2JxSet-Cookie_ a=b"),
        ('a"b;c.png', "a_b;c.png"),
        ("..", "file"),
        (" .hidden ", "hidden"),
        ("\u0433\u0440\u0430\u0444\u0438\u043a.png", "\u0433\u0440\u0430\u0444\u0438\u043a.png"),
        ("x" * 300 + ".png", "x" * 96 + ".png"),
        ("", "file"),
    ],
)
def test_a_name_is_only_a_name(name: str, kept: str, office: Office) -> None:
    answer = office.upload(name=name)
    office.send(answer)
    sent = office.hank.history("hank")[0]["file"]
    assert sent["name"] == kept
    found = office.get(sent["url"])
    assert found.status == 200 and found.body == png()
    assert all("\n" not in value for value in found.headers.values()) and "Set-Cookie" not in found.headers


@pytest.mark.parametrize(
    "target",
    [
        "/file/",
        "/file/nothing/graph.png",
        "/file/../../etc/passwd",
        "/file/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        f"/file/{hashlib.sha256(png()).hexdigest()}/graph.png",
        f"/file/{MARKER}",
        "/file/ab/../gmessenger-files",
        "/file/\x00",
    ],
)
def test_nothing_else_is_found(target: str, office: Office) -> None:
    office.upload()
    with closing(open_upload(office.port, "", 0)) as sock:
        read_response(sock)
    assert ask(office.port, "GET", target.replace("\x00", "%00")).status == 404


def test_an_erased_file_is_gone(office: Office) -> None:
    answer = office.upload()
    seq = office.send(answer)["seq"]
    assert office.hank.request("msg", to="hank", message="", about=seq, what="erase")["response"] == 200
    assert office.get(answer.headers["Location"]).status == 404
    assert office.server.app.files is not None
    office.server.app.files.collect()
    assert office.contents() == []
    assert "file" not in office.hank.history("hank")[0]


def test_a_message_that_is_sent_again_is_answered_as_before(office: Office) -> None:
    """As a client does whose connection broke before the answer; meanwhile the message may have been erased."""
    answer, other = office.upload(), office.upload()
    sent = office.send(answer, id="one")
    assert office.send(answer, id="one") | {"time": 0} == sent | {"time": 0}
    refused = office.send(other, id="one")
    assert (refused["response"], refused["code"]) == (409, "id_reused")
    assert office.hank.request("msg", to="hank", message="", about=sent["seq"], what="erase")["response"] == 200
    again = office.send(answer, id="one")
    assert again["seq"] == sent["seq"]
    assert "file" not in again
    assert office.send(other)["seq"] == 3


def test_what_is_no_file_of_ones_own_is_refused(office: Office) -> None:
    dale = office.register("dale")
    theirs = upload(office.port, dale.session, png())
    for id in (theirs.id, "nothing"):
        refused = office.hank.request("msg", to="dale", message="mine", file=id)
        assert (refused["response"], refused["code"]) == (404, "no_such_file")
    assert dale.request("conversations")["conversations"] == []


def test_a_content_stays_while_another_file_has_it(office: Office) -> None:
    first, second = office.upload(), office.upload()
    seq = office.send(first)["seq"]
    office.hank.request("msg", to="hank", message="", about=seq, what="erase")
    assert office.server.app.files is not None
    office.server.app.files.collect()
    assert office.get(first.headers["Location"]).status == 404
    assert office.get(second.headers["Location"]).body == png()


@pytest.mark.parametrize(
    ("header", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=2-5", 206, slice(2, 6)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-4", 206, slice(-4, None)),
        ("bytes=-999999", 206, slice(None)),
        ("bytes=0-999999999999999", 206, slice(None)),
        ("bytes=10-9", 200, slice(None)),
        ("bytes=0-1,3-4", 200, slice(None)),
        ("bytes=", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=a-b", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=99999-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
def test_a_part_is_sent(header: str, status: int, part: slice | None, office: Office) -> None:
    found = office.get(office.upload().headers["Location"], Range=header)
    assert found.status == status
    if part is None:
        assert found.headers["Content-Range"] == f"bytes */{len(png())}"
        return
    assert found.body == png()[part]
    if status == 206:
        start, end, _ = part.indices(len(png()))
        assert found.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(png())}"


def test_a_client_that_has_the_file_is_not_sent_it_again(office: Office) -> None:
    location = office.upload().headers["Location"]
    etag = office.get(location).headers["ETag"]
    assert hashlib.sha256(png()).hexdigest()[:16] not in etag
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = office.get(location, If_None_Match=tag)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert office.get(location, If_None_Match='"other"').status == 200
    assert office.get(location, Range="bytes=0-1", If_Range=etag).status == 206
    assert office.get(location, Range="bytes=0-1", If_Range='"other"').status == 200


def test_who_may_upload(office: Office) -> None:
    guest = office.connect().start_session("gus")
    wrong = [({}, 401), (bearer("no-such-token"), 401), (bearer(guest.session), 403), (basic("hank", "wrong"), 401)]
    wrong += [({"Authorization": "Basic !"}, 401), ({"Authorization": "Digest x"}, 401)]
    for headers, status in wrong:
        answer = ask(office.port, "POST", "/file", headers, png())
        assert answer.status == status, headers
        assert status != 401 or "WWW-Authenticate" in answer.headers
    assert ask(office.port, "POST", "/file", basic("hank", PASSWORD), png()).status == 201
    assert ask(office.port, "POST", "/file", bearer(office.hank.session), png()).status == 201
    foreign = {**bearer(office.hank.session), "Origin": "https://evil.example"}
    assert ask(office.port, "POST", "/file", foreign, png()).status == 403
    assert len(office.contents()) == 1


def test_guessing_passwords_is_throttled_as_at_a_login(open_office: Callable[..., Office]) -> None:
    office = open_office(failures_per_name=3)
    statuses = [ask(office.port, "POST", "/file", basic("hank", f"wrong {n}"), png()).status for n in range(5)]
    assert statuses[:3] == [401, 401, 401] and statuses[-1] == 429


def test_what_may_be_uploaded(open_office: Callable[..., Office]) -> None:
    office = open_office(max_file=1000, files_of_one=3 * 4096, files_of_all=4 * 4096)
    options = ask(office.port, "OPTIONS", "/file")
    assert (options.status, options.headers["Upload-Limit"]) == (204, "maxsize=1000")
    large = office.upload(b"x" * 1001)
    assert (large.status, large.headers["Upload-Limit"]) == (413, "maxsize=1000")
    chunked = ask(office.port, "POST", "/file", bearer(office.hank.session), iter([b"x"]))
    assert chunked.status == 411
    assert [office.upload(f"{number}".encode()).status for number in range(4)] == [201, 201, 201, 507]
    dale = office.register("dale")
    assert [upload(office.port, dale.session, b"x").status for _ in range(2)] == [201, 507]
    assert not list((office.folder / "incoming").iterdir())


def test_a_server_may_keep_no_files(open_office: Callable[..., Office]) -> None:
    office = open_office(max_file=0)
    assert office.upload().status == 403
    answer = office.connect().try_log_in("hank", password=PASSWORD)
    assert "file" not in answer["features"] and "files" not in answer and "file" not in answer["limits"]


def test_a_login_tells_where_to_upload(office: Office) -> None:
    answer = office.connect().try_log_in("hank", password=PASSWORD)
    assert answer["files"] == f"http://127.0.0.1:{office.port}/file"
    assert "file" in answer["features"] and answer["limits"]["file"] == 16 * 2**20


def test_few_uploads_are_under_way_at_a_time(office: Office) -> None:
    with ExitStack() as stack:
        people = [office.hank] + [office.register(f"user{number}") for number in range(4)]
        for person in people[: UPLOADS_OF_ALL // UPLOADS_OF_ONE]:
            for _ in range(UPLOADS_OF_ONE):
                stack.enter_context(closing(open_upload(office.port, person.session, 100_000, b"x")))
        service = office.server.app.messenger.files
        with gevent.Timeout(TEST_TIMEOUT):
            while service.upload_count < UPLOADS_OF_ALL:
                gevent.sleep(0.01)
        answer = office.upload()
        assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0
        assert upload(office.port, people[-1].session).status == 429
    with gevent.Timeout(TEST_TIMEOUT):
        while service.upload_count:
            gevent.sleep(0.01)
    assert office.upload().status == 201
    assert not list((office.folder / "incoming").iterdir())


def test_an_upload_that_stops_is_given_up(open_office: Callable[..., Office]) -> None:
    office = open_office(web_timeout=0.2)
    with closing(open_upload(office.port, office.hank.session, 100_000, b"x" * 70_000)) as sock:
        assert read_response(sock)[0].startswith(b"HTTP/1.1 408 ")
    assert office.contents() == [] and not list((office.folder / "incoming").iterdir())


def test_an_upload_that_ends_early_is_no_file(office: Office) -> None:
    with closing(open_upload(office.port, office.hank.session, 100, b"x" * 99)) as sock:
        sock.shutdown(1)
        assert read_response(sock)[0].startswith(b"HTTP/1.1 400 ")
    assert office.contents() == [] and office.server.app.store.file_usage().count == 0


def test_a_client_that_waits_for_leave_gets_it(office: Office) -> None:
    with closing(open_upload(office.port, office.hank.session, 0)) as sock:
        assert read_response(sock)[0].startswith(b"HTTP/1.1 201 ")
        head = f"POST /file HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {office.hank.session}\r\n"
        sock.sendall(f"{head}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        assert read_response(sock)[0].startswith(b"HTTP/1.1 201 ")


def test_a_large_file_takes_little_memory(open_office: Callable[..., Office]) -> None:
    size = 50 * 2**20
    office = open_office(max_file=size)
    piece = os.urandom(2**20)
    with closing(open_upload(office.port, office.hank.session, size)) as sock:
        tracemalloc.start()
        try:
            for _ in range(50):
                sock.sendall(piece)
            head, _ = read_response(sock)
            location = next(line.split()[1] for line in head.split(b"\r\n") if line.startswith(b"Location:")).decode()
            digest = hashlib.sha256()
            sock.sendall(f"GET {location} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            _, data = read_head(sock)
            received = 0
            while received < size:
                digest.update(data)
                received += len(data)
                data = sock.recv(2**20) if received < size else b""
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert digest.hexdigest() == hashlib.sha256(piece * 50).hexdigest() == office.contents()[0]
    assert peak < 8 * 2**20


def test_a_course_client_gets_the_url(open_office: Callable[..., Office]) -> None:
    from tests.support.course_clients import CLASSIC

    office = open_office(web_url="https://chat.example.org")
    course = office.connector.log_in_course(office.server, CLASSIC, "peter")
    answer = office.upload()
    office.send(answer, "peter", message="the graph")
    texts = [course.receive_message()[1]]
    while "https://" not in texts[-1]:
        texts.append(course.receive_message()[1])
    assert "\n".join(texts) == f"the graph\nhttps://chat.example.org{answer.headers['Location']}"
