"""A disk that fills and drains, and files that turn read-only: senders are told, all others go on, it recovers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from tests.chaos.checker import Figures
from tests.chaos.disks import Disk, FrozenFiles, small_disk
from tests.chaos.load import NAMES, Crowd
from tests.chaos.process import Server
from tests.chaos.scale import SCALE
from tests.support.accounts import Person
from tests.support.course_clients import TIMEOUT

QUIET = ("--log-level", "error")
"""The log is a file like others: it must not be what complains of a full disk."""
CROWD, READER, WRITER, LISTENER = NAMES[:4], "elena", "greta", "fedor"


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


Comes = Callable[..., Person]


def others_go_on(reader: Person, guests: tuple[Person, Person]) -> None:
    """Whoever stores nothing notices nothing."""
    assert reader.ask("probe")["response"] == 200
    assert [frame["message"] for frame in reader.history(LISTENER)] == ["kept before"]
    assert reader.finds("kept") == ["kept before"]
    one, other = guests
    assert one.say(other.name, "nothing of this is kept")["response"] == 202
    assert other.event("msg")["message"] == "nothing of this is kept"


def is_told(writer: Person, text: str) -> None:
    """Who asks for something to be stored is told whether it was (a page may be free), and stays connected."""
    answers = [writer.say(LISTENER, text), writer.say("nobody at all", text), writer.ask("probe")]
    assert answers[0]["response"] in (200, 503) and answers[1]["response"] in (404, 503), answers
    assert all(answer["response"] == 200 or answer["code"] for answer in answers), answers


def test_a_full_disk_refuses_senders_and_nobody_else_and_recovers(
    disk: Disk,
    start: Callable[..., Server],
    comes: Comes,
    tabulate: Callable[[Figures], None],
    request: pytest.FixtureRequest,
) -> None:
    server = start(*QUIET, folder=disk.folder)
    server.start()
    reader, writer, guest = (comes(server, name) for name in (READER, WRITER, "guest"))
    reader.send({"action": "msg", "to": LISTENER, "message": "kept before"})
    assert reader.ask("probe")["response"] == 200
    with Crowd(server, CROWD) as crowd:
        for number in range(SCALE.full_disks):
            assert crowd.ledger.acceptance.wait(TIMEOUT)
            gevent.sleep(random.uniform(0.0, 0.4))
            disk.fill(server)
            crowd.ledger.refusal.clear()
            assert crowd.ledger.refusal.wait(TIMEOUT), "nobody was told that the disk is full"
            others_go_on(reader, (guest, comes(server, f"guest{number}")))
            is_told(writer, "cannot be kept")
            crowd.check()
            disk.drain(server)
            crowd.ledger.acceptance.clear()
            assert crowd.ledger.acceptance.wait(TIMEOUT), "it did not recover"
        crowd.settle()
        assert reader.sends(LISTENER, "kept again") == [2] and writer.sends(LISTENER, "kept again")
        server.kill()
    ledger = crowd.ledger
    remarks = f"{SCALE.full_disks} times, {ledger.refused} answered 503"
    tabulate(ledger.figures(f"disk {request.node.callspec.params['disk']}", server_kills=1, remarks=remarks))
    ledger.verify_heard()
    ledger.verify_file(disk.folder / "chat.db")


def test_acknowledged_while_nothing_can_be_stored_survives_a_kill_after_the_next_answer(
    start: Callable[..., Server], comes: Comes, tmp_path: Path
) -> None:
    server, disk = start(*QUIET), FrozenFiles(tmp_path)
    server.start()
    anna, boris = comes(server, "anna"), comes(server, "boris")
    assert anna.sends("boris", "one", "two", "three") == [1, 2, 3]
    boris.hears(3)
    disk.fill(server)
    boris.send({"action": "ack", "with": "anna", "seq": 2})
    assert boris.say("anna", "cannot be kept")["response"] == 503
    disk.drain(server)
    assert boris.ask("probe")["response"] == 200
    server.kill()
    server.start()
    assert [frame["seq"] for frame in comes(server, "boris").backlog] == [3]
