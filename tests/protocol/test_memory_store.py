"""The store `memory:`, which keeps nothing after exit, keeps all other promises of section 2."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.protocol.test_slow_reader import send_flood
from tests.support.accounts import PASSWORD, UserClient, numbered_texts, seqs, texts
from tests.support.native_clients import Connector

LogIn = Callable[..., UserClient]


@pytest.fixture
def log_in(start_server: Callable[..., Any], connector: Connector) -> LogIn:
    """Log in accounts, which are registered at their first login."""
    server, known = start_server(store="memory:", outbox_frames=50), set()

    def log_in_client(name: str, device: str = "laptop") -> UserClient:
        connector.connections.append(client := UserClient(server))
        if name in known:
            return client.start_session(name, device=device, password=PASSWORD)
        known.add(name)
        client.start_session(name, device=device).register()
        assert client.take_events() == []
        return client

    return log_in_client


def test_offline_delivery_cursors_and_resending(log_in: LogIn) -> None:
    hank, dale = log_in("hank"), log_in("dale")
    dale.close()
    hank.send_messages("dale", *numbered_texts(3))
    for _ in range(2):
        assert hank.request("msg", id="same", to="dale", message="four")["seq"] == 4
    assert hank.request("msg", id="same", to="dale", message="five")["code"] == "id_reused"
    dale = log_in("dale")
    assert seqs(dale.backlog) == [1, 2, 3, 4]
    dale.acknowledge("hank", 3)
    assert hank.next_event("delivered")["seq"] == 3
    assert seqs(log_in("dale").backlog) == seqs(log_in("dale", "phone").backlog) == [4]


def test_rooms_history_and_search(log_in: LogIn) -> None:
    hank, dale, bobby = log_in("hank"), log_in("dale"), log_in("bobby")
    for client in (hank, dale):
        assert client.request("join", room="#dev")["response"] == 200
    dale.close()
    hank.send_messages("#dev", "зелёная ёлка", "今天天气很好", *numbered_texts(98, 3))
    assert bobby.request("join", room="#dev")["seq"] == 100
    dale = log_in("dale")
    assert seqs(dale.backlog) == list(range(1, 101))
    assert seqs(dale.history("#dev", before=100, limit=2)) == [98, 99]
    assert seqs(dale.history("#dev", after=2, limit=2)) == [3, 4]
    assert (dale.search("ЕЛКА"), dale.search("天气")) == (["зелёная ёлка"], ["今天天气很好"])
    assert bobby.history("#dev") == bobby.search("елка") == []


def test_a_slow_reader(log_in: LogIn) -> None:
    hank, dale = log_in("hank"), log_in("dale")
    send_flood(hank, "dale")
    received = dale.receive_until_synced()
    assert seqs(received) == list(range(1, 4001))
    assert len(set(texts(received))) == 4000


def test_both_directions_at_once_leave_no_hole(log_in: LogIn) -> None:
    hank, dale = log_in("hank"), log_in("dale")
    sent = seqs(hank.send_pipelined("dale", numbered_texts(300)) + dale.send_pipelined("hank", numbered_texts(300)))
    assert sorted(sent) == list(range(1, 601))
    assert seqs(dale.receive_messages(300)) == sent[:300] and seqs(hank.receive_messages(300)) == sent[300:]
