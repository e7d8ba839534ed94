"""A reader that stalls under a flood: the server's memory stays flat, senders are answered, nothing is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from tests.chaos.checker import Figures, Ledger
from tests.chaos.process import Server
from tests.chaos.scale import SCALE
from tests.support.accounts import Person, seqs, texts

WARM: int = 1_000
PORTION: int = 250
SIZE: int = 1_000
GROWTH: int = 12_000
"""Kilobytes that the server may grow by, whatever the flood: the outbox is bounded by one megabyte and 1000 frames."""
PEOPLE: dict[str, str] = {"anna": "boris", "clara": "#dev"}
"""Who floods whom: boris himself, and a room that he is in."""


def wordy(name: str, start: int, count: int) -> list[str]:
    return [f"{number} of {name} ".ljust(SIZE, "x") for number in range(start, start + count)]


def flood(sender: Person, to: str, ledger: Ledger, start: int, count: int, seconds: float) -> None:
    """Sends spread over so much time; each message has to be answered 200 with the next seq, at once."""
    began = time.monotonic()
    for first in range(start, start + count, PORTION):
        portion = min(PORTION, start + count - first)
        words = wordy(sender.name, first, portion)
        ids = [f"{sender.name} {number}" for number in range(first, first + portion)]
        conversation = to if to[0] == "#" else f"{sender.name} {to}"
        ledger.texts |= {id: (sender.name, conversation, text) for id, text in zip(ids, words, strict=True)}
        answers = sender.pours(to, words, ids)
        assert [one["response"] for one in answers] == [200] * portion, answers
        ledger.seqs |= {one["id"]: one["seq"] for one in answers}
        gevent.sleep(max(0.0, began + seconds * (first - start) / count - time.monotonic()))


@pytest.fixture
def server(start: Callable[..., Server]) -> Iterator[Server]:
    server = start()
    server.start()
    yield server
    server.stop()


def together(people: Sequence[Person], ledger: Ledger, start: int, count: int, seconds: float) -> None:
    jobs = [gevent.spawn(flood, one, PEOPLE[one.name], ledger, start, count, seconds) for one in people]
    gevent.joinall(jobs, raise_error=True)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="how much memory a process holds is read from /proc")
def test_a_stalled_reader_costs_no_memory_and_loses_nothing(
    server: Server, comes: Callable[..., Person], tabulate: Callable[[Figures], None], tmp_path: Path
) -> None:
    ledger, share = Ledger(), SCALE.stalled_messages // len(PEOPLE)
    boris = comes(server, "boris", receive_buffer=4096)
    # The server hashes a password of nobody's at its start, with 64 MB; when this is answered it has given them back.
    with contextlib.closing(Person(server)) as stranger:
        assert stranger.present("stranger", password="no password of anybody")["code"] == "wrong_password"
    ledger.audience = {PEOPLE["clara"]: {"boris"}, "anna boris": {"boris"}}
    people = [comes(server, name) for name in PEOPLE]
    together(people, ledger, 0, WARM, 0.0)  # more than buffers and outbox hold
    before = server.resident()
    grown: list[int] = []

    def watch() -> None:
        while True:
            grown.append(server.resident() - before)
            gevent.sleep(0.1)

    watching = gevent.spawn(watch)
    together(people, ledger, WARM, share - WARM, SCALE.stall)
    watching.kill()
    assert comes(server, "denis").ask("probe")["response"] == 200
    heard = boris.until_synced()
    after = server.resident() - before
    for frame in heard:
        conversation = frame["to"] if frame["to"][0] == "#" else "anna boris"
        ledger.heard["boris", conversation].append((frame["seq"], frame["from"], frame["message"]))
    remarks = f"memory: at most +{max(grown)} kB while stalled, +{after} kB after"
    tabulate(ledger.figures("stalled reader", remarks=remarks))
    assert max(grown) < GROWTH and after < GROWTH, remarks
    assert seqs(boris.hears(0)) == texts(boris.unheard()) == []
    ledger.verify_heard()
    ledger.verify_file(tmp_path / "chat.db")
    assert people[0].sends("boris", "live again") == [share + 1]
    assert boris.event("msg")["message"] == "live again"
