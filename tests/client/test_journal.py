"""Messages that were not answered: kept on disk, and sent by whoever comes next."""

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
from tests.client.conftest import IMPATIENT, Owner
from tests.support.scripted_server import TIMEOUT, ClientConnection, FakeServer

Come = Callable[..., tuple[Owner, ClientConnection]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "unsent" / "hank.jsonl"


@pytest.fixture
def come(fake: FakeServer, file: Path) -> Iterator[Come]:
    """Hank comes, and keeps what he has not sent."""
    links: list[Client] = []

    def started(*, account: bool = True, **options: Any) -> tuple[Owner, ClientConnection]:
        link = Client(fake.host, fake.port, "hank", timeouts=IMPATIENT, unsent_file=file, **options)
        links.append(link)
        starting = gevent.spawn(link.start)
        peer = fake.accept_and_log_in(account=account)
        starting.get(timeout=TIMEOUT)
        return Owner(link), peer

    yield started
    for link in links:
        link.close()


def left(file: Path) -> list[OutgoingMessage]:
    unsent = JournalFile(file)
    messages = unsent.open()
    unsent.close()
    return messages


def test_the_next_link_sends_what_was_left(come: Come, file: Path) -> None:
    owner, peer = come()
    sent = [owner.link.send("dale", text) for text in ("one", "два\n", "three")]
    assert owner.link.is_durable
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    for message in sent:
        assert peer.expect("msg")["id"] == message.id
    peer.respond({"id": sent[1].id}, 200, seq=1)
    owner.next(Accepted)
    owner.link.close()
    owner, peer = come()
    assert owner.link.pending_count == 2
    for message in (sent[0], sent[2]):
        asked = peer.expect("msg")
        assert (asked["id"], asked["message"]) == (message.id, message.text)
        peer.respond(asked, 200, seq=2)
        owner.next(Accepted)
    assert file.read_bytes() == b""


def test_of_a_guest_nothing_is_kept(come: Come, file: Path) -> None:
    owner, _ = come(account=False)
    owner.link.send("dale", "hi")
    assert not file.exists() and not owner.link.is_durable


def test_a_guest_that_registers_has_a_file(come: Come, file: Path) -> None:
    owner, peer = come(account=False)
    registering = gevent.spawn(owner.link.register, "correct horse")
    asked = peer.expect("register")
    assert asked["password"] == "correct horse"
    peer.respond(asked, 201, session="new")
    registering.get(timeout=TIMEOUT)
    message = owner.link.send("dale", "hi")
    owner.link.close()
    assert [each.id for each in left(file)] == [message.id]


def test_two_of_one_name_do_not_share_a_file(come: Come, file: Path) -> None:
    first, _ = come()
    second, _ = come()
    kept = first.link.send("dale", "first")
    second.link.send("dale", "second")
    assert first.link.is_durable and not second.link.is_durable
    first.link.close()
    second.link.send("dale", "third")  # the file is free now, with what the first one left
    assert second.link.is_durable
    second.link.close()
    assert [each.text for each in left(file)] == [kept.text, "second", "third"]


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
    assert [message.text for message in left(file)] == ["1", "3", "5", "7", "9"]


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
    assert [message.text for message in left(file)] == ["before", "after"]


def test_a_disk_that_fails_is_told_of_and_stops_nothing(come: Come, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, peer = come()

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gmessenger.client.journal.os.write", full)
    owner.link.send("dale", "one"), owner.link.send("dale", "two")
    monkeypatch.undo()
    for seq in (1, 2):
        peer.respond(peer.expect("msg"), 200, seq=seq)
    owner.next(Accepted), owner.next(Accepted)
    notices = [event for event in owner.seen if isinstance(event, Notice)]
    assert notices == [Notice("Unsent messages cannot be saved on disk: No space left on device.", is_local=True)]


def test_a_disk_with_room_for_half_a_line(come: Come, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, _ = come()
    first = owner.link.send("dale", "one")
    write = os.write
    monkeypatch.setattr("gmessenger.client.journal.os.write", lambda fd, data: write(fd, data[: len(data) // 2]))
    second = owner.link.send("dale", "two")
    assert "No space left" in owner.next(Notice).text
    assert not owner.link.is_durable
    assert file.read_bytes().count(b"\n") == 2
    monkeypatch.undo()
    third = owner.link.send("dale", "three")
    assert owner.link.is_durable
    owner.link.close()
    assert [each.id for each in left(file)] == [first.id, second.id, third.id]


def test_a_place_that_cannot_be(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    link = Client(fake.host, fake.port, "hank", timeouts=IMPATIENT, unsent_file=tmp_path / "file" / "hank.jsonl")
    starting = gevent.spawn(link.start)
    fake.accept_and_log_in(account=True)
    starting.get(timeout=TIMEOUT)
    assert "cannot be saved on disk" in Owner(link).next(Notice).text
    link.close()
