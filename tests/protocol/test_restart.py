"""What was promised is kept when the server stops, and when it is killed in the middle of a burst.
Section 2 of the protocol, promises 1 to 3."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from tests.support.accounts import PASSWORD, Person, Place, Population, Town, numbered, seqs, texts
from tests.support.course_clients import TIMEOUT, Address, Frame
from tests.support.native_clients import Dial, dumped
from tests.support.server import ServerProcess

BURST = 3000


class Sent:
    """What somebody sends with which id, and the seqs of what of it was answered 200."""

    def __init__(self, sender: str) -> None:
        self.words = {f"{sender} {number}": f"text {number} of {sender}" for number in range(BURST)}
        self.answered: dict[str, int] = {}

    def unanswered(self) -> dict[str, str]:
        return {one: text for one, text in self.words.items() if one not in self.answered}

    def stored(self) -> dict[str, int]:
        return {self.words[one]: seq for one, seq in self.answered.items()}


@contextlib.contextmanager
def served(store: str) -> Iterator[tuple[Callable[[], None], Address]]:
    """A real server process: what kills it, which also happens at the end, and where it listens."""
    with ServerProcess("--ip", "127.0.0.1", "--store", store) as process:
        yield process.process.kill, Place(process.port())


def bursts(person: Person, to: str, sent: Sent, answered: Callable[[], object]) -> None:
    """Sends all that was not answered without waiting, and reads answers to the end of the connection."""
    lines = b"".join(dumped(action="msg", id=one, to=to, message=text) for one, text in sent.unanswered().items())

    def writes() -> None:
        with contextlib.suppress(OSError):
            person.send_bytes(lines)

    writing = gevent.spawn(writes)
    with contextlib.suppress(ConnectionError, EOFError):
        while len(sent.answered) < len(sent.words):
            frame = person.recv()
            if "response" in frame:
                assert frame["response"] == 200, frame
                sent.answered[frame["id"]] = frame["seq"]
                answered()
    writing.get(timeout=TIMEOUT)


def listens(person: Person, heard: list[Frame], acknowledging: str = "") -> None:
    """Keeps what is new, to the end of the connection, and acknowledges now and then what it has."""
    with contextlib.suppress(ConnectionError, EOFError):
        while True:
            frame = person.event("msg")
            if frame["seq"] > (heard[-1]["seq"] if heard else 0):
                heard.append(frame)
            if acknowledging and len(heard) % 40 == 0:
                person.send({"action": "ack", "with": acknowledging, "seq": heard[-1]["seq"]})


def resends(person: Person, to: str, sent: Sent) -> None:
    """Everything not answered, by the same ids."""
    missing = sent.unanswered()
    answers = person.pours(to, list(missing.values()), list(missing))
    assert {answer["response"] for answer in answers} <= {200}, answers
    sent.answered |= {answer["id"]: answer["seq"] for answer in answers}


def test_what_was_answered_200_is_delivered_after_a_restart_and_what_was_acknowledged_is_not(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    hank.pours("dale", numbered(500))
    dale.hears(500)
    dale.acknowledges("hank", 200)
    town.restarts()
    dale = town.comes("dale")
    assert seqs(dale.backlog) == list(range(201, 501))
    assert texts(dale.backlog) == numbered(300, 201)
    assert town.comes("hank").backlog == []
    assert texts(dale.history("hank", limit=3)) == numbered(3, 498)


def test_seqs_go_on_and_ids_are_remembered_after_restarts(town: Town) -> None:
    for round_ in range(3):
        hank, dale = town.comes("hank"), town.comes("dale")
        for person in (hank, dale):
            assert person.ask("join", room="#dev")["response"] == 200
        assert dale.sends("hank", "x") == [3 * round_ + 1]
        for to, seq in (("dale", 3 * round_ + 2), ("#dev", 2 * round_ + 1)):
            assert hank.ask("msg", id=f"m{round_}", to=to, message="text")["seq"] == seq
        for old in range(round_ + 1):
            assert hank.ask("msg", id=f"m{old}", to="dale", message="text")["seq"] == 3 * old + 2
            assert hank.ask("msg", id=f"m{old}", to="#dev", message="text")["seq"] == 2 * old + 1
            answer = hank.ask("msg", id=f"m{old}", to="dale", message="another text")
            assert (answer["response"], answer["code"]) == (409, "id_reused")
        assert hank.sends("dale", "y") == [3 * round_ + 3] and hank.sends("#dev", "y") == [2 * round_ + 2]
        town.restarts()
    dale = town.comes("dale")
    direct = [frame["seq"] for frame in dale.history("hank")]
    assert (direct, seqs(dale.history("#dev"))) == (list(range(1, 10)), list(range(1, 7)))


def test_everything_accepted_while_stopping_is_stored(town: Town) -> None:
    hank, sent, begun = town.comes("hank"), Sent("hank"), Event()
    sending = gevent.spawn(bursts, hank, "dale", sent, begun.set)
    assert begun.wait(TIMEOUT)
    town.server.stop()
    town.opens()
    sending.get(timeout=TIMEOUT)
    backlog = town.comes("dale").backlog
    assert seqs(backlog) == list(range(1, len(backlog) + 1))
    assert sent.stored().items() <= {frame["message"]: frame["seq"] for frame in backlog}.items()
    resends(town.comes("hank"), "dale", sent)
    backlog = town.comes("dale").backlog
    assert len(backlog) == BURST
    assert {frame["message"]: frame["seq"] for frame in backlog} == sent.stored()


def test_the_greeting_says_whether_anything_is_kept(
    start_server: Callable[..., Any], dial: Dial, tmp_path: Any
) -> None:
    stores = ("memory:", f"sqlite:///{tmp_path / 'chat.db'}")
    greetings = [dial.native(start_server(store=store)).login("hank")["alert"] for store in stores]
    assert greetings[0] != greetings[1] and all(greetings)


def test_a_store_is_made_with_its_folder_and_for_nobody_else_to_read(
    start_server: Callable[..., Any], dial: Dial, tmp_path: Any
) -> None:
    path = tmp_path / "not" / "there" / "chat.db"
    server = start_server(store=f"sqlite:///{path}")
    dial.open.append(hank := Person(server))
    hank.enter("hank").register()
    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir() if file.is_file()} == {"0o600"}


@pytest.mark.parametrize("kill_after", [1, 1000])
def test_killed_in_a_burst_nothing_answered_is_lost_or_doubled(
    kill_after: int, population: Population, dial: Dial, tmp_path: Path
) -> None:
    store, heard = population.copied(tmp_path), []
    crowd = {"hank": Sent("hank"), "bobby": Sent("bobby")}
    with served(store) as (kill, address):
        dale, *people = [population.comes(address, dial, name) for name in ("dale", *crowd)]
        for person in (dale, *people):
            assert person.ask("join", room="#dev")["response"] == 200

        def kills() -> None:
            if sum(len(sent.answered) for sent in crowd.values()) == kill_after:
                kill()

        jobs = [gevent.spawn(bursts, person, "#dev", crowd[person.name], kills) for person in people]
        gevent.joinall([*jobs, gevent.spawn(listens, dale, heard)], timeout=20, raise_error=True)
    answered = crowd["hank"].stored() | crowd["bobby"].stored()
    assert len(answered) >= kill_after
    assert seqs(heard) == list(range(1, len(heard) + 1)), "what came before the kill"
    with served(store) as (_, address):
        dale = population.comes(address, dial, "dale")
        stored = {frame["message"]: frame["seq"] for frame in dale.backlog}
        assert seqs(dale.backlog) == list(range(1, len(stored) + 1)), "holes, doubles or disorder"
        assert answered.items() <= stored.items(), "answered 200 and lost or moved"
        assert {frame["message"]: frame["seq"] for frame in heard}.items() <= stored.items(), "heard and not stored"
        for name, sent in crowd.items():
            resends(population.comes(address, dial, name), "#dev", sent)
        stored |= {frame["message"]: frame["seq"] for frame in dale.hears(2 * BURST - len(stored))}
        assert dale.unheard() == [], "stored twice"
        assert stored == crowd["hank"].stored() | crowd["bobby"].stored()
        assert sorted(stored.values()) == list(range(1, 2 * BURST + 1))
        dial.close()


def test_killed_again_and_again_a_client_that_drops_what_it_has_hears_each_once(
    population: Population, dial: Dial, tmp_path: Path
) -> None:
    store, sent, heard = population.copied(tmp_path), Sent("hank"), []
    for goal in (1, 700, BURST):
        with served(store) as (kill, address):
            dale, hank = (population.comes(address, dial, name) for name in ("dale", "hank"))
            heard += [frame for frame in dale.backlog if frame["seq"] > (heard[-1]["seq"] if heard else 0)]
            listening = gevent.spawn(listens, dale, heard, "hank")
            bursts(hank, "dale", sent, lambda kill=kill, goal=goal: kill() if len(sent.answered) >= goal else None)
            kill()
            listening.get(timeout=TIMEOUT)
    with served(store) as (_, address):
        last = heard[-1]["seq"]
        heard += [frame for frame in population.comes(address, dial, "dale").backlog if frame["seq"] > last]
        dial.close()
    assert seqs(heard) == list(range(1, BURST + 1))
    assert {frame["message"]: frame["seq"] for frame in heard} == sent.stored()


def test_an_acknowledgement_survives_a_kill_once_any_later_answer_was_received(
    population: Population, dial: Dial, tmp_path: Path
) -> None:
    store = population.copied(tmp_path)
    with served(store) as (kill, address):
        hank, dale, bobby = (population.comes(address, dial, name) for name in ("hank", "dale", "bobby"))
        hank.sends("dale", *numbered(3))
        dale.hears(3)
        busy = gevent.spawn(hank.send_bytes, dumped(action="msg", to="bobby", message="x" * 15000) * 400)
        bobby.hears(1)  # the disk is busy by now
        dale.acknowledges("hank", 3)
        kill()
        busy.kill()
    with served(store) as (_, address):
        assert population.comes(address, dial, "dale").backlog == []
        dial.close()


def test_accounts_rooms_topics_and_cursors_survive_a_kill(population: Population, dial: Dial, tmp_path: Path) -> None:
    store = population.copied(tmp_path)
    with served(store) as (kill, address):
        dial.open.append(olga := Person(address))
        olga.enter("olga").register()
        hank = population.comes(address, dial, "hank")
        for person in (hank, olga):
            assert person.ask("join", room="#dev")["response"] == 200
        hank.sends("olga", *numbered(3))
        olga.hears(3)
        olga.acknowledges("hank", 2)
        hank.sends("#dev", *numbered(3))
        assert hank.ask("topic", room="#dev", topic="what stays")["response"] == 200
        kill()
    with served(store) as (_, address):
        dial.open.append(again := Person(address))
        again.enter("olga", password=PASSWORD)
        waiting = [(frame["to"], frame["seq"]) for frame in again.backlog]
        assert sorted(waiting) == [("#dev", 1), ("#dev", 2), ("#dev", 3), ("olga", 3)]
        assert again.ask("join", room="#dev")["topic"] == "what stays"
        assert population.comes(address, dial, "hank").sends("#dev", "four") == [4]
        assert again.event("msg")["seq"] == 4
        dial.close()
