"""What an upload meets: refusals in words, servers that ask to wait, proxies, and files that are none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent.monkey import get_original

from gmessenger.client import Client, Timeouts
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.client.local_file import FileContent, LocalFile
from gmessenger.client.uploads import MAX_ATTEMPTS, FileUploader, UploadedFile
from gmessenger.errors import (
    AccountsOnly,
    FileQuotaExceeded,
    FilesFull,
    FilesRefused,
    FileTooLong,
    Forbidden,
    NotLoggedIn,
    PasswordRequired,
    StoreUnavailable,
    TooManyUploads,
    WireError,
)
from tests.conftest import RunningServer
from tests.support.files import ScriptedUploads, http_answer, open_upload
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "swordfish-and-more"
CREATED = http_answer("201 Created", "Location: /file/abc/x.txt")
PAGE = "<html><body><h1>nginx</h1></body></html>"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record for how long uploads wait, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr("gmessenger.client.uploads.gevent", SimpleNamespace(sleep=waited.append))
    return waited


def upload(server: ScriptedUploads, content: bytes = b"hello") -> UploadedFile:
    uploader = FileUploader(server.url, ServerEndpoint("127.0.0.1", 1), "token", Timeouts())
    return uploader.upload(FileContent(content, "x.txt"))


@pytest.mark.parametrize(
    ("status", "code", "headers", "error", "limit"),
    [
        ("401 Unauthorized", "password_needed", [], PasswordRequired, None),
        ("403 Forbidden", "accounts_only", [], AccountsOnly, None),
        ("413 Content Too Large", "file_too_large", ["Upload-Limit: maxsize=1000"], FileTooLong, 1000),
        ("507 Insufficient Storage", "file_quota_exceeded", [], FileQuotaExceeded, None),
        ("507 Insufficient Storage", "files_full", ["Retry-After: 10"], FilesFull, None),
    ],
)
def test_a_refusal_is_told_at_once(
    status: str, code: str, headers: list[str], error: type[WireError], limit: int | None, waits: list[float]
) -> None:
    answer = http_answer(status, f"Gmessenger-Code: {code}", *headers, body=f"{error.message}\n")
    with ScriptedUploads(answer) as server:
        with pytest.raises(error) as caught:
            upload(server)
        assert len(server.requests) == 1 and not waits
    assert caught.value.limit == limit
    assert str(caught.value) == (
        "The server does not know this session any more: log in again." if "401" in status else error.message
    )


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("401 Unauthorized", NotLoggedIn),
        ("403 Forbidden", Forbidden),
        ("404 Not Found", FilesRefused),
        ("413 Request Entity Too Large", FileTooLong),
        ("507 Insufficient Storage", FilesFull),
        ("302 Found", WireError),
    ],
)
def test_the_page_of_a_proxy_is_not_shown(status: str, error: type[WireError], waits: list[float]) -> None:
    answer = http_answer(status, "Content-Type: text/html", body=PAGE)
    with ScriptedUploads(answer) as server, pytest.raises(error) as caught:
        upload(server)
    assert "html" not in str(caught.value) and not waits
    assert error is not WireError or "302" in str(caught.value)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "502 Bad Gateway"])
def test_what_passes_is_waited_for(status: str, waits: list[float]) -> None:
    busy = http_answer(status, "Retry-After: 7")
    with ScriptedUploads(busy, busy, CREATED) as server:
        assert upload(server).id == "abc"
        assert len(server.requests) == 3 and all(request.endswith(b"hello") for request in server.requests)
    assert waits == [7.0, 14.0]


@pytest.mark.parametrize(
    ("status", "error"), [("429 Too Many Requests", TooManyUploads), ("503 Service Unavailable", StoreUnavailable)]
)
def test_what_does_not_pass_is_told(status: str, error: type[WireError], waits: list[float]) -> None:
    with ScriptedUploads(http_answer(status)) as server:
        with pytest.raises(error):
            upload(server)
        assert len(server.requests) == MAX_ATTEMPTS
    assert waits == [1.0, 2.0, 4.0]


def test_a_server_that_asks_for_long_is_not_asked_again(waits: list[float]) -> None:
    with ScriptedUploads(http_answer("503 Service Unavailable", "Retry-After: 3600")) as server:
        with pytest.raises(StoreUnavailable) as caught:
            upload(server)
        assert len(server.requests) == 1 and caught.value.retry_after == 3600
    assert not waits


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1", "9" * 100])
def test_what_is_no_number_of_seconds_is_not_waited_for(value: str, waits: list[float]) -> None:
    with ScriptedUploads(http_answer("503 Service Unavailable", f"Retry-After: {value}"), CREATED) as server:
        assert upload(server).id == "abc"
    assert waits == [1.0]


def test_a_large_file_that_is_refused_by_its_head_is_told(waits: list[float]) -> None:
    """The answer comes before the body was read; the connection is closed behind it."""
    answer = http_answer("413 Content Too Large", "Gmessenger-Code: file_too_large")
    with ScriptedUploads(answer) as server, pytest.raises(FileTooLong):
        upload(server, bytes(2**22))


def test_a_name_is_the_one_that_the_server_keeps() -> None:
    with ScriptedUploads(http_answer("201 Created", "Location: /file/abc/gr%C3%A4ph.png")) as server:
        assert upload(server).name == "gräph.png"


def wait_for(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(TEST_TIMEOUT):
        while not condition():
            gevent.sleep(0.005)


@pytest.fixture
def hank(start_server: Callable[..., RunningServer]) -> Iterator[tuple[Client, RunningServer]]:
    server = start_server(web="127.0.0.1:0")
    client = Client(server.host, server.app.port, "hank")
    client.start_registered(PASSWORD)
    yield client, server
    client.abort()


def test_the_url_of_an_upload_can_be_opened(hank: tuple[Client, RunningServer]) -> None:
    client, server = hank
    uploaded = client.upload(b"hello", "x.txt")
    assert uploaded.url == f"http://127.0.0.1:{server.app.web_port}/file/{uploaded.id}/x.txt"


def test_a_slot_is_waited_for(hank: tuple[Client, RunningServer], monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = hank
    others = [open_upload(server.app.web_port or 0, client._handshake.token, 1000, b"x") for _ in range(4)]
    files = server.app.messenger.files

    def end_one(seconds: float) -> None:
        assert seconds == 10.0
        others.pop().close()
        wait_for(lambda: files.upload_count == 3)

    wait_for(lambda: files.upload_count == 4)
    monkeypatch.setattr("gmessenger.client.uploads.gevent", SimpleNamespace(sleep=end_one))
    assert client.upload(b"hello", "x.txt").id
    for other in others:
        other.close()


def test_a_session_that_was_ended_is_told(hank: tuple[Client, RunningServer]) -> None:
    client, server = hank
    server.app.store.drop_tokens(server.app.store.accounts()[0].id)
    with pytest.raises(PasswordRequired, match="log in again"):
        client.upload(b"hello", "x.txt")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """None that one would wait for: a pipe has no end, and perhaps no writer."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            LocalFile(path)
    with pytest.raises(OSError, match="Invalid argument"):
        LocalFile(Path("a\0b"))


def test_a_disk_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").write_bytes(b"hello")
    released = get_original("threading", "Event")()
    monkeypatch.setattr("gmessenger.client.local_file.DISK_TIMEOUT", 0.05)
    monkeypatch.setattr("gmessenger.client.local_file._open_regular", lambda path: released.wait())
    try:
        with pytest.raises(OSError, match="has not answered"):
            LocalFile(tmp_path / "x.txt")
    finally:
        released.set()


def test_a_name_that_is_no_text_is_sent_as_one(hank: tuple[Client, RunningServer], tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    file.write_bytes(b"hello")
    assert hank[0].upload(file).name == "caf_.txt"
