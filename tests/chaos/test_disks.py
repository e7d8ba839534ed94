"""Full and read-only disks: senders get errors, everything else goes on, and the server recovers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from tests.chaos.checker import RunStats
from tests.chaos.disks import Disk, FrozenFiles, small_disk
from tests.chaos.load import NAMES, ClientGroup
from tests.chaos.process import RestartableServer
from tests.chaos.scale import SCALE
from tests.support.accounts import UserClient
from tests.support.course_clients import TIMEOUT

QUIET = ("--log-level", "error")
"""The log is a file like others: it must not be what complains of a full disk."""
GROUP, READER, WRITER, LISTENER = NAMES[:4], "elena", "greta", "fedor"


@pytest.fixture(params=["full", "frozen"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "frozen":
        (tmp_path / "disk").mkdir()
        yield FrozenFiles(tmp_path / "disk")
        return
    try:
        with small_disk(tmp_path / "disk") as disk:
            yield disk
    except PermissionError as error:
        pytest.skip(f"no small disk: {error.strerror}")


Comes = Callable[..., UserClient]


def check_others_unaffected(reader: UserClient, guests: tuple[UserClient, UserClient]) -> None:
    """Check that clients that store nothing notice nothing."""
    assert reader.request("probe")["response"] == 200
    assert [frame["message"] for frame in reader.history(LISTENER)] == ["kept before"]
    assert reader.search("kept") == ["kept before"]
    one, other = guests
    assert one.send_message(other.name, "nothing of this is kept")["response"] == 202
    assert other.next_event("msg")["message"] == "nothing of this is kept"


def check_writer_answered(writer: UserClient, text: str) -> None:
    """Check that each request to store is answered (a page may be free), and the connection stays."""
    responses = [
        writer.send_message(LISTENER, text),
        writer.send_message("nobody at all", text),
        writer.request("probe"),
    ]
    assert responses[0]["response"] in (200, 503) and responses[1]["response"] in (404, 503), responses
    assert all(answer["response"] == 200 or answer["code"] for answer in responses), responses


def test_a_full_disk_refuses_senders_and_nobody_else_and_recovers(
    disk: Disk,
    start: Callable[..., RestartableServer],
    log_in: Comes,
    tabulate: Callable[[RunStats], None],
    request: pytest.FixtureRequest,
) -> None:
    server = start(*QUIET, folder=disk.folder)
    server.start()
    reader, writer, guest = (log_in(server, name) for name in (READER, WRITER, "guest"))
    reader.send({"action": "msg", "to": LISTENER, "message": "kept before"})
    assert reader.request("probe")["response"] == 200
    assert reader.search("kept") == ["kept before"]  # it is in the index, which a full disk would keep incomplete
    with ClientGroup(server, names=GROUP) as group:
        for number in range(SCALE.full_disks):
            assert group.log.next_acceptance.wait(TIMEOUT)
            gevent.sleep(random.uniform(0.0, 0.4))
            disk.fill(server)
            group.log.next_rejection.clear()
            assert group.log.next_rejection.wait(TIMEOUT), "nobody was told that the disk is full"
            check_others_unaffected(reader, (guest, log_in(server, f"guest{number}")))
            check_writer_answered(writer, "cannot be kept")
            group.check_failures()
            disk.drain(server)
            group.log.next_acceptance.clear()
            assert group.log.next_acceptance.wait(TIMEOUT), "it did not recover"
        group.finish()
        assert reader.send_messages(LISTENER, "kept again") == [2] and writer.send_messages(LISTENER, "kept again")
        server.kill()
    log = group.log
    remarks = f"{SCALE.full_disks} times, {log.rejected} answered 503"
    tabulate(log.stats(f"disk {request.node.callspec.params['disk']}", server_kills=1, remarks=remarks))
    log.verify_received()
    log.verify_file(disk.folder / "chat.db")


def test_acknowledged_while_nothing_can_be_stored_survives_a_kill_after_the_next_answer(
    start: Callable[..., RestartableServer], log_in: Comes, tmp_path: Path
) -> None:
    server, disk = start(*QUIET), FrozenFiles(tmp_path)
    server.start()
    anna, boris = log_in(server, "anna"), log_in(server, "boris")
    assert anna.send_messages("boris", "one", "two", "three") == [1, 2, 3]
    boris.receive_messages(3)
    disk.fill(server)
    boris.send({"action": "ack", "with": "anna", "seq": 2})
    assert boris.send_message("anna", "cannot be kept")["response"] == 503
    disk.drain(server)
    assert boris.request("probe")["response"] == 200
    server.kill()
    server.start()
    assert [frame["seq"] for frame in log_in(server, "boris").backlog] == [3]
