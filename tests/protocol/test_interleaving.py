"""Coming, going, joining and registering while messages stream: no hole, no double, nothing one may not see.
Section 2 of the protocol, "Logging in", promises 1 to 3, "Names and privacy"."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent.event import Event

from tests.support.accounts import Person, Town, numbered, seqs, texts
from tests.support.course_clients import TIMEOUT
from tests.support.timeouts import PATIENCE

COUNT = 1500


@contextmanager
def streaming(sender: Person, to: str, count: int = COUNT) -> Iterator[Event]:
    """Says so many things meanwhile, every one of which is answered 200; the event is set when a third was said."""
    begun = Event()

    def streams() -> None:
        words = numbered(count)
        for start in range(0, count, 50):
            answers = sender.pours(to, words[start : start + 50])
            assert {answer["response"] for answer in answers} == {200}
            if start >= count // 3:
                begun.set()

    greenlet = gevent.spawn(streams)
    assert begun.wait(TIMEOUT)
    yield begun
    greenlet.get(timeout=PATIENCE)


def through(person: Person, last: int) -> list[int]:
    """The seqs of its backlog and of what follows, up to the last."""
    came = seqs(person.backlog)
    while not came or came[-1] < last:
        came.append(person.event("msg")["seq"])
    return came


@pytest.mark.parametrize("options", [{}, {"outbox_frames": 20}], ids=["wide", "narrow"])
def test_who_logs_in_meanwhile_gets_everything_once(settle: Callable[..., Town], options: dict[str, int]) -> None:
    town = settle(**options)
    hank = town.comes("hank")
    with streaming(hank, "dale"):
        for _ in range(5):
            laptop, phone = town.comes("dale", "laptop"), town.comes("dale", "phone")
    for person in (laptop, phone):
        assert through(person, COUNT) == list(range(1, COUNT + 1))
        assert person.unheard() == []


def test_who_comes_and_goes_and_acknowledges_what_it_has_gets_everything_once(town: Town) -> None:
    hank, heard = town.comes("hank"), []
    with streaming(hank, "dale"):
        for _ in range(8):
            dale = town.comes("dale")
            assert seqs(dale.backlog)[:1] in ([], [len(heard) + 1]), "what was acknowledged came again"
            heard += dale.backlog
            heard += dale.hears(min(40, COUNT - len(heard)))
            dale.acknowledges("hank", heard[-1]["seq"])
            dale.close()
    dale = town.comes("dale")
    heard += dale.backlog + dale.hears(COUNT - len(heard) - len(dale.backlog))
    assert seqs(heard) == list(range(1, COUNT + 1))
    assert texts(heard) == numbered(COUNT)


def test_who_joins_meanwhile_gets_everything_after_and_nothing_before(town: Town) -> None:
    hank, others, joined = town.comes("hank"), [town.comes(name) for name in ("dale", "bobby", "peggy")], []
    assert hank.ask("join", room="#dev")["response"] == 200
    with streaming(hank, "#dev"):
        for other in others:
            last = other.ask("join", room="#dev")["seq"]
            joined.append((last, [frame["seq"] for frame in other.events if frame["action"] == "msg"]))
    for other, (last, before) in zip(others, joined, strict=True):
        came = through(other, COUNT)
        assert 0 < last < COUNT
        assert came == list(range(came[0], COUNT + 1))
        assert came[len(before)] == last + 1, "the answer said that this was the last, and then it came"
        assert seqs(other.history("#dev", after=0, limit=1)) == came[:1]


def test_who_leaves_meanwhile_gets_nothing_after_the_answer(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    for person in (hank, dale):
        assert person.ask("join", room="#dev")["response"] == 200
    with streaming(hank, "#dev"):
        assert dale.ask("leave", room="#dev")["response"] == 200
        heard = seqs(dale.unheard())
        assert heard == list(range(1, len(heard) + 1))
    assert dale.unheard() == []
    assert "#dev" not in {frame["to"] for frame in town.comes("dale").backlog}


def test_who_registers_meanwhile_misses_nothing_and_reads_nothing_older(town: Town) -> None:
    hank, olga = town.comes("hank"), town.guest("olga")
    with streaming(hank, "olga"):
        olga.register()
    assert through(olga, COUNT) == list(range(1, COUNT + 1))
    first = seqs(olga.history("hank", after=0, limit=1))[0]
    assert 1 < first < COUNT
    assert olga.finds(f'"text {first - 1}"') == [] and olga.finds(f'"text {first}"') == [f"text {first}"]


def test_who_is_cut_off_and_resends_everything_by_id_says_it_once(town: Town) -> None:
    dale, words, ids = town.comes("dale"), numbered(COUNT), [f"mine {number}" for number in range(COUNT)]
    for cut in (1, 400, 900):
        hank = town.comes("hank")
        pouring = gevent.spawn(hank.pours, "dale", words, ids)
        dale.hears(1 if cut == 1 else 300)
        hank.sock.shutdown(2)
        pouring.join(timeout=TIMEOUT)
        assert pouring.ready()
    answers = town.comes("hank").pours("dale", words, ids)
    assert {answer["response"] for answer in answers} == {200}
    said = dict(zip(seqs(answers), words, strict=True))
    assert sorted(said) == list(range(1, COUNT + 1))
    town.comes("hank")
    backlog = town.comes("dale").backlog
    assert {frame["seq"]: frame["message"] for frame in backlog} == said
    assert seqs(backlog) == sorted(said)


def test_a_device_replaced_again_and_again_misses_nothing(town: Town) -> None:
    hank, sessions = town.comes("hank"), []
    with streaming(hank, "dale"):
        sessions = [town.comes("dale") for _ in range(10)]
    for person in sessions[:-1]:
        came = [*person.backlog, *(frame for frame in [*person.events, *person.rest()] if "message" in frame)]
        assert seqs(came) == list(range(1, len(came) + 1)), "holes or doubles before it was replaced"
    assert through(sessions[-1], COUNT) == list(range(1, COUNT + 1))
