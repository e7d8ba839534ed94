"""The store that keeps nothing after exit keeps every other promise: section 2 of the protocol on `memory:`."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.test_slow_reader import floods
from tests.support.accounts import PASSWORD, Person, numbered, seqs, texts
from tests.support.native_clients import Dial

People = Callable[..., Person]


@pytest.fixture
def enters(start_server: Callable[..., Any], dial: Dial) -> People:
    """Logs somebody in, who registers at the first time."""
    server, known = start_server(store="memory:", outbox_frames=50), set()

    def enter(name: str, device: str = "laptop") -> Person:
        dial.open.append(person := Person(server))
        if name in known:
            return person.enter(name, device=device, password=PASSWORD)
        known.add(name)
        person.enter(name, device=device).register()
        assert person.unheard() == []
        return person

    return enter


def test_offline_delivery_cursors_and_resending(enters: People) -> None:
    hank, dale = enters("hank"), enters("dale")
    dale.close()
    hank.sends("dale", *numbered(3))
    for _ in range(2):
        assert hank.ask("msg", id="same", to="dale", message="four")["seq"] == 4
    assert hank.ask("msg", id="same", to="dale", message="five")["code"] == "id_reused"
    dale = enters("dale")
    assert seqs(dale.backlog) == [1, 2, 3, 4]
    dale.acknowledges("hank", 3)
    assert hank.event("delivered")["seq"] == 3
    assert seqs(enters("dale").backlog) == seqs(enters("dale", "phone").backlog) == [4]


def test_rooms_history_and_search(enters: People) -> None:
    hank, dale, bobby = enters("hank"), enters("dale"), enters("bobby")
    for person in (hank, dale):
        assert person.ask("join", room="#dev")["response"] == 200
    dale.close()
    hank.sends("#dev", "зелёная ёлка", "今天天气很好", *numbered(98, 3))
    assert bobby.ask("join", room="#dev")["seq"] == 100
    dale = enters("dale")
    assert seqs(dale.backlog) == list(range(1, 101))
    assert seqs(dale.history("#dev", before=100, limit=2)) == [98, 99]
    assert seqs(dale.history("#dev", after=2, limit=2)) == [3, 4]
    assert (dale.finds("ЕЛКА"), dale.finds("天气")) == (["зелёная ёлка"], ["今天天气很好"])
    assert bobby.history("#dev") == bobby.finds("елка") == []


def test_a_slow_reader(enters: People) -> None:
    hank, dale = enters("hank"), enters("dale")
    floods(hank, "dale")
    heard = dale.until_synced()
    assert seqs(heard) == list(range(1, 4001))
    assert len(set(texts(heard))) == 4000


def test_both_directions_at_once_leave_no_hole(enters: People) -> None:
    hank, dale = enters("hank"), enters("dale")
    said = seqs(hank.pours("dale", numbered(300)) + dale.pours("hank", numbered(300)))
    assert sorted(said) == list(range(1, 601))
    assert seqs(dale.hears(300)) == said[:300] and seqs(hank.hears(300)) == said[300:]
