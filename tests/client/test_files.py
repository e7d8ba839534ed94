"""Files by the client library and the command: uploaded once, sent once, whatever is lost in between."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Client, MessageReceived, TlsConfig
from gmessenger.client.endpoint import ServerEndpoint
from gmessenger.errors import AccountsOnly, FileTooLong, InsecureTransport, WireError
from tests.conftest import RunningServer
from tests.support.files import ask, png
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "swordfish-and-more"


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(web="127.0.0.1:0", max_file=2**20)


@pytest.fixture
def connect(server: RunningServer) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def connect(name: str, *, register: bool = True, **more: Any) -> Client:
        client = Client(server.host, server.app.port, name, **more)
        clients.append(client)
        if register:
            client.start_registered(PASSWORD)
        else:
            client.start(None)
        return client

    yield connect
    for client in clients:
        client.abort()


def next_event(client: Client, kind: type[Any]) -> Any:
    with gevent.Timeout(TEST_TIMEOUT):
        return next(event for event in client if isinstance(event, kind))


def test_a_file_is_sent(connect: Callable[..., Client], server: RunningServer, tmp_path: Path) -> None:
    hank, dale = connect("hank"), connect("dale")
    file = tmp_path / "gr\u00e4ph 1.png"
    file.write_bytes(png(640, 480))
    progress: list[tuple[int, int]] = []
    hank.send_file("dale", file, "the graph", on_progress=lambda *state: progress.append(state))
    accepted = next_event(hank, Accepted)
    assert accepted.message.text == "the graph"
    delivery = next_event(dale, MessageReceived).delivery
    assert (delivery.message, delivery.file.name, delivery.file.width) == ("the graph", "gr\u00e4ph 1.png", 640)
    assert delivery.file.url.startswith(f"http://127.0.0.1:{server.app.web_port}/file/")
    assert ask(server.app.web_port or 0, "GET", "/" + delivery.file.url.split("/", 3)[3]).body == png(640, 480)
    assert progress[0] == (0, len(png(640, 480))) and progress[-1][0] == progress[-1][1]
    assert accepted.response.file == dale.history("hank", 10)[0].file == delivery.file
    assert dale.search("graph")[0].delivery.file == delivery.file


def test_bytes_are_sent_without_a_text(connect: Callable[..., Client]) -> None:
    hank = connect("hank")
    hank.send_file("hank", b"a,b\n", name="table.csv")
    assert next_event(hank, Accepted).message.text == "table.csv"
    assert hank.history("hank", 1)[0].file.name == "table.csv"


def test_what_is_refused_is_known(connect: Callable[..., Client], tmp_path: Path) -> None:
    hank, guest = connect("hank"), connect("gus", register=False)
    with pytest.raises(AccountsOnly):
        guest.upload(b"x", "x")
    with pytest.raises(FileTooLong):
        hank.upload(bytes(2**20 + 1), "large")
    with pytest.raises(OSError, match="No such file"):
        hank.upload(tmp_path / "nothing")
    with pytest.raises(OSError, match="directory"):
        hank.upload(tmp_path)
    hank.limits = {}
    with pytest.raises(FileTooLong):
        hank.upload(bytes(2**20 + 1), "large")


def test_an_answer_that_is_lost_is_asked_for_again(connect: Callable[..., Client], server: RunningServer) -> None:
    hank = connect("hank")
    listener = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        for _ in range(2):
            sock, _ = listener.accept()
            with closing(sock):
                requests.append(sock.recv(65536))
                if len(requests) == 2:
                    while b"hello" not in requests[-1]:
                        requests[-1] += sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 201 Created\r\nLocation: /file/abc/x\r\nContent-Length: 0\r\n\r\n")

    with closing(listener):
        serving = gevent.spawn(serve)
        hank.files_url = f"http://127.0.0.1:{listener.getsockname()[1]}/file"
        assert hank.upload(b"hello", "x").id == "abc"
        serving.get(timeout=TEST_TIMEOUT)
    assert len(requests) == 2


def test_the_token_of_an_encrypted_session_is_not_sent_in_plain_text() -> None:
    endpoint = ServerEndpoint("127.0.0.1", 1, TlsConfig())
    with pytest.raises(InsecureTransport):
        endpoint.open_web_connection("http", "127.0.0.1", 80, 1.0)


def test_a_client_that_knows_a_url_finds_the_files_there() -> None:
    endpoint = ServerEndpoint("wss://chat.example.org/jim")
    assert endpoint.files_url("http://box:7780/file") == "https://chat.example.org:443/file"
    assert endpoint.files_url("") == ""
    assert ServerEndpoint("127.0.0.1", 7777).files_url("http://box:7780/file") == "http://box:7780/file"


def test_a_file_is_not_uploaded_again_by_the_next_process(
    connect: Callable[..., Client], server: RunningServer, tmp_path: Path
) -> None:
    """Its message was not acknowledged: it is in the journal, with the id of the file."""
    journal = tmp_path / "unsent"
    first = connect("hank", device="phone", unsent_file=journal)
    uploaded = first.upload(png(), "graph.png")
    first._sender.pause()
    first.send("hank", "the graph", file=uploaded.id)
    assert json.loads(journal.read_bytes().strip())["file"] == uploaded.id
    first.abort()
    second = Client(server.host, server.app.port, "hank", password=PASSWORD, device="phone", unsent_file=journal)
    with closing(second):
        second.start()
        assert next_event(second, Accepted).message.file == uploaded.id
        assert second.history("hank", 1)[0].file.url.endswith(uploaded.url)
    assert server.app.store.file_usage().count == 1


def test_a_refused_code_becomes_its_error(connect: Callable[..., Client], server: RunningServer) -> None:
    hank = connect("hank")
    server.app.messenger.policy.files_of_one = 1
    with pytest.raises(WireError) as caught:
        hank.upload(b"x", "x")
    assert caught.value.code == "file_quota_exceeded"
