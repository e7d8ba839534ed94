"""What is fetched from the server when somebody looks at it, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.client import Accepted, Client, MessageReceived, ReadMarkerMoved
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient


def test_what_history_brings_before_ones_eyes_counts_as_read(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader], hank: None
) -> None:
    dale = link("dale")
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        for text in ("one", "two"):
            dale.client.send("hank", text)
        seen = Reader(before)
        for _ in range(2):
            seen.next(MessageReceived)  # acknowledged, and not read
    phone = Reader(Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS))
    phone.client.start()
    at = seat(server, "hank", password=PASSWORD)
    at.wait_until(lambda: at.model.find("dale") is not None and at.model.open("dale").unread == 2)
    at.type("\x1b1")
    at.wait_for("two")
    read = phone.next(ReadMarkerMoved)
    assert (read.conversation, read.seq) == ("dale", 2)
    phone.client.close()


def test_what_was_hidden_is_there_with_its_history_and_members_when_one_turns_to_it_again(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader], hank: None
) -> None:
    dale = link("dale")
    dale.client.join("#dev")
    at = seat(server, "hank", password=PASSWORD, columns=120)
    at.type_lines("/join dev")
    at.wait_for("you are in #dev")
    at.type_lines("one", "two")
    at.wait_until(lambda: at.model.current.last_seq == 2)
    at.type_lines("/hide")
    at.wait_until(lambda: at.model.find("#dev") is None)
    dale.client.send("#dev", "three")
    dale.next(Accepted)
    at.wait_until(lambda: at.model.find("#dev") is not None)
    at.type("\x1b1")
    at.wait_until(lambda: set(at.model.current.members) == {"dale", "hank"})
    at.wait_until(lambda: at.model.current.first_seq == 1)


def test_who_comes_in_while_the_topic_is_asked_for_is_a_member(
    server: RunningServer,
    seat: Callable[..., TuiClient],
    link: Callable[..., Reader],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS) as phone:
        phone.join("#dev")
    dale = link("dale")
    topic = Client.topic
    at = seat(server, "hank", password=PASSWORD, columns=120)
    at.wait_until(lambda: at.model.find("#dev") is not None)

    def slowly(line: Client, room: str) -> str:
        dale.client.join("#dev")
        at.wait_until(lambda: "dale" in at.model.open("#dev").members)
        return topic(line, room)

    monkeypatch.setattr(Client, "topic", slowly)
    at.type("\x1b1")
    at.wait_until(lambda: at.model.current.members == {"hank": "hank", "dale": "dale"})
    at.wait_for_redraw()
    at.wait_until(lambda: at.controller.loader._jobs.drain(1))
    assert set(at.model.current.members) == {"hank", "dale"}
