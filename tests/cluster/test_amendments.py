"""Edits, erases and reactions on two nodes: decided once, seen the same, and an erased text never comes back."""

from __future__ import annotations

from typing import Any

import gevent

from tests.cluster.conftest import Cluster
from tests.support.accounts import UserClient, numbered_texts, seqs, texts
from tests.support.course_clients import Frame
from tests.support.timeouts import TEST_TIMEOUT

COUNT = 40


def amend(client: UserClient, to: str, about: int, what: str, text: str = "", **more: Any) -> Frame:
    return client.request("msg", to=to, message=text, about=about, what=what, **more)


def test_what_is_changed_on_one_node_is_changed_on_the_other(cluster: Cluster) -> None:
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.send_messages("dale", "wrogn", "a password")
    dale.receive_messages(2)
    assert amend(hank, "dale", 1, "edit", "right")["seq"] == 3
    assert amend(hank, "dale", 2, "erase")["seq"] == 4
    assert amend(dale, "hank", 1, "react", "\N{THUMBS UP SIGN}")["seq"] == 5
    frames = dale.receive_messages(2)
    assert [(frame["what"], frame["about"], frame["message"]) for frame in frames] == [
        ("edit", 1, "right"),
        ("erase", 2, ""),
    ]
    assert hank.receive_messages(1)[0]["what"] == "react"
    for client, other in ((hank, "dale"), (dale, "hank")):
        assert texts(client.history(other)) == ["right", ""]
        assert client.history(other)[0]["reactions"][0]["n"] == 1
        assert client.search("password") == client.search("wrogn") == []


def test_a_message_is_erased_once_however_many_nodes_are_asked(cluster: Cluster) -> None:
    laptop = cluster.register(cluster.first, "hank")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    laptop.send_messages("hank", *numbered_texts(COUNT))
    phone.receive_messages(COUNT)
    greenlets = [
        gevent.spawn(lambda client=client: [amend(client, "hank", seq, "erase") for seq in range(1, COUNT + 1)])
        for client in (laptop, phone)
    ]
    both = [greenlet.get(timeout=TEST_TIMEOUT) for greenlet in greenlets]
    for pair in zip(*both, strict=True):
        assert sorted((answer["response"], answer.get("code")) for answer in pair) == [
            (200, None),
            (404, "no_such_message"),
        ]
    erased = sorted(answer["seq"] for answers in both for answer in answers if answer["response"] == 200)
    assert erased == list(range(COUNT + 1, 2 * COUNT + 1))
    assert texts(phone.history("hank", limit=100)) == [""] * COUNT


def test_no_edit_brings_back_what_is_erased_meanwhile(cluster: Cluster) -> None:
    laptop = cluster.register(cluster.first, "hank")
    phone = cluster.log_in(cluster.second, "hank", "phone")
    watcher = cluster.log_in(cluster.second, "hank", "tablet")
    laptop.send_messages("hank", *numbered_texts(COUNT))
    phone.receive_messages(COUNT)
    watcher.receive_messages(COUNT)
    edits = gevent.spawn(lambda: [amend(laptop, "hank", seq, "edit", "new") for seq in range(1, COUNT + 1)])
    erases = gevent.spawn(lambda: [amend(phone, "hank", seq, "erase") for seq in range(1, COUNT + 1)])
    edited, erased = edits.get(timeout=TEST_TIMEOUT), erases.get(timeout=TEST_TIMEOUT)
    assert {answer["response"] for answer in erased} == {200}
    assert {answer["response"] for answer in edited} <= {200, 404}
    count = COUNT + sum(answer["response"] == 200 for answer in edited)
    frames = watcher.receive_messages(count)
    assert seqs(frames) == list(range(COUNT + 1, COUNT + count + 1))
    gone: set[int] = set()
    for frame in frames:
        assert frame["about"] not in gone or frame["message"] == ""
        if frame["what"] == "erase":
            gone.add(frame["about"])
    for client in (laptop, phone):
        assert texts(client.history("hank", limit=200)) == [""] * COUNT
        assert client.search("new") == client.search("text") == []


def test_without_hints_what_was_erased_is_never_said(cluster: Cluster) -> None:
    """A node whose hints are lost reads the store, which has a tombstone and an edit without a text by then."""
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    hank.send_messages("dale", "first")
    dale.receive_messages(1)
    bus = cluster.first.app.node.bus
    send = bus.send
    bus.send = lambda data, nodes=None: None
    try:
        hank.send_messages("dale", "a password")
        assert amend(hank, "dale", 2, "edit", "still a password")["response"] == 200
        assert amend(hank, "dale", 2, "erase")["response"] == 200
    finally:
        bus.send = send
    frames = dale.receive_messages(3)
    assert seqs(frames) == [2, 3, 4]
    assert "erase" in {frame.get("what") for frame in frames}
    assert not [frame for frame in frames[2:] if frame["message"]]
    assert texts(dale.history("hank")) == ["first", ""]
