"""What is loaded when the user looks at it, and which read markers are sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.client import Accepted, Client, MessageReceived, ReadMarkerMoved
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient


def test_what_history_brings_before_ones_eyes_counts_as_read(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        for text in ("one", "two"):
            dale.client.send("hank", text)
        reader = Reader(before)
        for _ in range(2):
            reader.next(MessageReceived)  # acknowledged, and not read
    phone = Reader(Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS))
    phone.client.start()
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.wait_until(lambda: tui.model.find("dale") is not None and tui.model.open("dale").unread == 2)
    tui.type("\x1b1")
    tui.wait_for("two")
    read = phone.next(ReadMarkerMoved)
    assert (read.conversation, read.seq) == ("dale", 2)
    phone.client.close()


def test_what_was_hidden_is_there_with_its_history_and_members_when_one_turns_to_it_again(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    dale.client.join("#dev")
    tui = open_tui(server, "hank", password=PASSWORD, columns=120)
    tui.type_lines("/join dev")
    tui.wait_for("you are in #dev")
    tui.type_lines("one", "two")
    tui.wait_until(lambda: tui.model.current.last_seq == 2)
    tui.type_lines("/hide")
    tui.wait_until(lambda: tui.model.find("#dev") is None)
    dale.client.send("#dev", "three")
    dale.next(Accepted)
    tui.wait_until(lambda: tui.model.find("#dev") is not None)
    tui.type("\x1b1")
    tui.wait_until(lambda: set(tui.model.current.members) == {"dale", "hank"})
    tui.wait_until(lambda: tui.model.current.first_seq == 1)


def test_who_comes_in_while_the_topic_is_asked_for_is_a_member(
    server: RunningServer,
    open_tui: Callable[..., TuiClient],
    start_client: Callable[..., Reader],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS) as phone:
        phone.join("#dev")
    dale = start_client("dale")
    topic = Client.topic
    tui = open_tui(server, "hank", password=PASSWORD, columns=120)
    tui.wait_until(lambda: tui.model.find("#dev") is not None)

    def slow_topic(client: Client, room: str) -> str:
        dale.client.join("#dev")
        tui.wait_until(lambda: "dale" in tui.model.open("#dev").members)
        return topic(client, room)

    monkeypatch.setattr(Client, "topic", slow_topic)
    tui.type("\x1b1")
    tui.wait_until(lambda: tui.model.current.members == {"hank": "hank", "dale": "dale"})
    tui.wait_for_redraw()
    tui.wait_until(lambda: tui.controller.loader._jobs.drain(1))
    assert set(tui.model.current.members) == {"hank", "dale"}
