"""The journal: unanswered messages are kept on disk and sent by the next process."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Client, Notice
from gmessenger.client.journal import JournalFile
from gmessenger.client.sender import OutgoingMessage, make_message
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer

StartClient = Callable[..., tuple[Reader, ClientConnection]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "unsent" / "hank.jsonl"


@pytest.fixture
def start_client(fake: FakeServer, file: Path) -> Iterator[StartClient]:
    """Start clients for `hank` with a journal."""
    clients: list[Client] = []

    def started(*, account: bool = True, **options: Any) -> tuple[Reader, ClientConnection]:
        client = Client(fake.host, fake.port, "hank", timeouts=SHORT_TIMEOUTS, unsent_file=file, **options)
        clients.append(client)
        starting = gevent.spawn(client.start)
        connection = fake.accept_and_log_in(account=account)
        starting.get(timeout=TIMEOUT)
        return Reader(client), connection

    yield started
    for client in clients:
        client.close()


def pending_messages(file: Path) -> list[OutgoingMessage]:
    unsent = JournalFile(file)
    messages = unsent.open()
    unsent.close()
    return messages


def test_the_next_link_sends_what_was_left(start_client: StartClient, file: Path) -> None:
    reader, connection = start_client()
    sent = [reader.client.send("dale", text) for text in ("one", "два\n", "three")]
    assert reader.client.is_durable
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for message in sent:
        assert connection.expect("msg")["id"] == message.id
    connection.respond({"id": sent[1].id}, 200, seq=1)
    reader.next(Accepted)
    reader.client.close()
    reader, connection = start_client()
    assert reader.client.pending_count == 2
    for message in (sent[0], sent[2]):
        request = connection.expect("msg")
        assert (request["id"], request["message"]) == (message.id, message.text)
        connection.respond(request, 200, seq=2)
        reader.next(Accepted)
    assert file.read_bytes() == b""


def test_of_a_guest_nothing_is_kept(start_client: StartClient, file: Path) -> None:
    reader, _ = start_client(account=False)
    reader.client.send("dale", "hi")
    assert not file.exists() and not reader.client.is_durable


def test_a_guest_that_registers_has_a_file(start_client: StartClient, file: Path) -> None:
    reader, connection = start_client(account=False)
    registering = gevent.spawn(reader.client.register, "correct horse")
    request = connection.expect("register")
    assert request["password"] == "correct horse"
    connection.respond(request, 201, session="new")
    registering.get(timeout=TIMEOUT)
    message = reader.client.send("dale", "hi")
    reader.client.close()
    assert [item.id for item in pending_messages(file)] == [message.id]


def test_two_of_one_name_do_not_share_a_file(start_client: StartClient, file: Path) -> None:
    first, _ = start_client()
    second, _ = start_client()
    message = first.client.send("dale", "first")
    second.client.send("dale", "second")
    assert first.client.is_durable and not second.client.is_durable
    first.client.close()
    second.client.send("dale", "third")  # the file is free now, with what the first one left
    assert second.client.is_durable
    second.client.close()
    assert [item.text for item in pending_messages(file)] == [message.text, "second", "third"]


def test_a_killed_process_leaves_its_messages(file: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path\n"
        "from gmessenger.client.journal import JournalFile; from gmessenger.client.sender import make_message\n"
        "unsent = JournalFile(Path(sys.argv[1])); unsent.open()\n"
        "messages = [make_message('dale', str(number)) for number in range(10)]\n"
        "for message in messages: unsent.add([message])\n"
        "for message in messages[::2]: unsent.remove(message)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(file)], timeout=TIMEOUT)
    assert [message.text for message in pending_messages(file)] == ["1", "3", "5", "7", "9"]


@pytest.mark.parametrize(
    "torn", [b'{"id":"x","to":"da', b"\xff\xfe", b"[1]", b'{"id":"x","to":"\\ud800","message":"m"}']
)
def test_a_line_that_was_not_written_whole(file: Path, torn: bytes) -> None:
    unsent = JournalFile(file)
    unsent.open()
    unsent.add([make_message("dale", "before")])
    unsent.close()
    with file.open("ab") as torn_file:
        torn_file.write(torn)
    assert [message.text for message in unsent.open()] == ["before"]
    unsent.add([make_message("dale", "after")])
    unsent.close()
    assert [message.text for message in pending_messages(file)] == ["before", "after"]


def test_a_disk_that_fails_is_told_of_and_stops_nothing(
    start_client: StartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, connection = start_client()

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gmessenger.client.journal.os.write", full)
    reader.client.send("dale", "one"), reader.client.send("dale", "two")
    monkeypatch.undo()
    for seq in (1, 2):
        connection.respond(connection.expect("msg"), 200, seq=seq)
    reader.next(Accepted), reader.next(Accepted)
    notices = [event for event in reader.seen if isinstance(event, Notice)]
    assert notices == [Notice("Unsent messages cannot be saved on disk: No space left on device.", is_local=True)]


def test_a_disk_with_room_for_half_a_line(
    start_client: StartClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, _ = start_client()
    first = reader.client.send("dale", "one")
    write = os.write
    monkeypatch.setattr("gmessenger.client.journal.os.write", lambda fd, data: write(fd, data[: len(data) // 2]))
    second = reader.client.send("dale", "two")
    assert "No space left" in reader.next(Notice).text
    assert not reader.client.is_durable
    assert file.read_bytes().count(b"\n") == 2
    monkeypatch.undo()
    third = reader.client.send("dale", "three")
    assert reader.client.is_durable
    reader.client.close()
    assert [item.id for item in pending_messages(file)] == [first.id, second.id, third.id]


def test_a_place_that_cannot_be(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    client = Client(fake.host, fake.port, "hank", timeouts=SHORT_TIMEOUTS, unsent_file=tmp_path / "file" / "hank.jsonl")
    starting = gevent.spawn(client.start)
    fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    assert "cannot be saved on disk" in Reader(client).next(Notice).text
    client.close()
