"""A stalled reader under load: memory stays flat, senders are answered, nothing is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from tests.chaos.checker import DeliveryLog, RunStats
from tests.chaos.process import RestartableServer
from tests.chaos.scale import SCALE
from tests.support.accounts import UserClient, seqs, texts

WARM: int = 1_000
BATCH: int = 250
SIZE: int = 1_000
GROWTH: int = 12_000
"""Kilobytes that the server may grow by, whatever the flood: the outbox is bounded by one megabyte and 1000 frames."""
PEOPLE: dict[str, str] = {"anna": "boris", "clara": "#dev"}
"""Who floods whom: boris himself, and a room that he is in."""


def make_texts(name: str, start: int, count: int) -> list[str]:
    return [f"{number} of {name} ".ljust(SIZE, "x") for number in range(start, start + count)]


def flood(sender: UserClient, to: str, log: DeliveryLog, start: int, count: int, seconds: float) -> None:
    """Send at an even rate; each message must be answered 200 with the next seq, at once."""
    started_at = time.monotonic()
    for first in range(start, start + count, BATCH):
        portion = min(BATCH, start + count - first)
        texts = make_texts(sender.name, first, portion)
        ids = [f"{sender.name} {number}" for number in range(first, first + portion)]
        conversation = to if to[0] == "#" else f"{sender.name} {to}"
        log.texts |= {id: (sender.name, conversation, text) for id, text in zip(ids, texts, strict=True)}
        responses = sender.send_pipelined(to, texts, ids)
        assert [one["response"] for one in responses] == [200] * portion, responses
        log.seqs |= {one["id"]: one["seq"] for one in responses}
        gevent.sleep(max(0.0, started_at + seconds * (first - start) / count - time.monotonic()))


@pytest.fixture
def server(start: Callable[..., RestartableServer]) -> Iterator[RestartableServer]:
    server = start()
    server.start()
    yield server
    server.stop()


def flood_all(clients: Sequence[UserClient], log: DeliveryLog, start: int, count: int, seconds: float) -> None:
    jobs = [gevent.spawn(flood, one, PEOPLE[one.name], log, start, count, seconds) for one in clients]
    gevent.joinall(jobs, raise_error=True)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="how much memory a process holds is read from /proc")
def test_a_stalled_reader_costs_no_memory_and_loses_nothing(
    server: RestartableServer, log_in: Callable[..., UserClient], tabulate: Callable[[RunStats], None], tmp_path: Path
) -> None:
    log, share = DeliveryLog(), SCALE.stalled_messages // len(PEOPLE)
    boris = log_in(server, "boris", receive_buffer=4096)
    # The server hashes a dummy password at its start, with 64 MB, which are free again once this is answered.
    with contextlib.closing(UserClient(server)) as stranger:
        assert stranger.try_log_in("stranger", password="no password of anybody")["code"] == "wrong_password"
    log.recipients = {PEOPLE["clara"]: {"boris"}, "anna boris": {"boris"}}
    clients = [log_in(server, name) for name in PEOPLE]
    flood_all(clients, log, 0, WARM, 0.0)  # more than buffers and outbox hold
    before = server.resident_kilobytes()
    grown: list[int] = []

    def watch() -> None:
        while True:
            grown.append(server.resident_kilobytes() - before)
            gevent.sleep(0.1)

    watching = gevent.spawn(watch)
    flood_all(clients, log, WARM, share - WARM, SCALE.stall_seconds)
    watching.kill()
    assert log_in(server, "denis").request("probe")["response"] == 200
    received = boris.receive_until_synced()
    after = server.resident_kilobytes() - before
    for frame in received:
        conversation = frame["to"] if frame["to"][0] == "#" else "anna boris"
        log.received["boris", conversation].append((frame["seq"], frame["from"], frame["message"]))
    remarks = f"memory: at most +{max(grown)} kB while stalled, +{after} kB after"
    tabulate(log.stats("stalled reader", remarks=remarks))
    assert max(grown) < GROWTH and after < GROWTH, remarks
    assert seqs(boris.receive_messages(0)) == texts(boris.take_events()) == []
    log.verify_received()
    log.verify_file(tmp_path / "chat.db")
    assert clients[0].send_messages("boris", "live again") == [share + 1]
    assert boris.next_event("msg")["message"] == "live again"
