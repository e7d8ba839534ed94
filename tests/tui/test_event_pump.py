"""Events change the model, also after a reconnect to a server that counts from the beginning."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import pytest

from gmessenger.client import Accepted, ChatEvent, Client, MessageReceived, UserInfo
from gmessenger.terminal.tui.model import ConnectionPhase, Model
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient


def test_what_comes_to_a_guests_next_session_is_shown_though_its_numbers_begin_anew(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    dale = start_client("dale")
    hank = open_tui(server, "hank")
    for text in ("one", "two"):
        dale.client.send("hank", text)
    hank.wait_until(lambda: hank.model.find("dale") is not None and hank.model.open("dale").last_seq == 2)
    hank.client._reconnector._connection.fail(OSError("the cable was pulled"))  # type: ignore[union-attr]
    hank.wait_until(lambda: hank.model.connection.phase is ConnectionPhase.LOST)
    hank.wait_until(lambda: hank.model.connection.phase is ConnectionPhase.CONNECTED)
    dale.client.send("hank", "three")
    assert dale.next(Accepted).response.seq is not None
    dale.client.send("hank", "four")
    hank.wait_until(lambda: any(entry.text == "four" for entry in hank.model.open("dale").entries))
    texts = [entry.text for entry in hank.model.open("dale").entries if entry.sender]
    assert texts == ["one", "two", "three", "four"]
    assert hank.model.open("dale").unread == 4


def test_what_blocked_people_have_said_meanwhile_is_not_shown(
    server: RunningServer,
    open_tui: Callable[..., TuiClient],
    start_client: Callable[..., Reader],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dale = start_client("dale")
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as phone:
        dale.client.join("#dev")
        phone.join("#dev")
        phone.block("dale")
    for text in ("hank: boo", "hank: are you there?"):
        dale.client.send("#dev", text)
        dale.next(Accepted)
    blocks, apply = Client.blocks, Model.apply
    applied: list[ChatEvent] = []

    def slow_blocks(client: Client) -> list[UserInfo]:
        gevent.sleep(0.1)
        return blocks(client)

    def apply_and_note(model: Model, event: ChatEvent, now: float) -> bool:
        applied.append(event)
        return apply(model, event, now)

    monkeypatch.setattr(Client, "blocks", slow_blocks)
    monkeypatch.setattr(Model, "apply", apply_and_note)
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.wait_until(lambda: sum(isinstance(event, MessageReceived) for event in applied) == 2)
    assert [entry for entry in tui.model.open("#dev").entries if entry.sender] == []
