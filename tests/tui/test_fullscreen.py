"""The full-screen mode with a real server: sending, receiving, and no loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Client, MessageReceived, ReadMarkerMoved
from gmessenger.errors import MessagesNotSent
from gmessenger.terminal.tui import controller, drafts, loader
from gmessenger.terminal.tui.conversation import MessageState
from gmessenger.terminal.tui.event_pump import EventPump
from gmessenger.terminal.tui.model import ConnectionPhase
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT
from tests.support.tui_client import PASSWORD, SHORT_TIMEOUTS, TuiClient


def test_a_conversation(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    dale = start_client("dale", account=False)
    hank = open_tui(server, "hank")
    hank.wait_for("You are hank.")
    hank.type_lines("hello?")
    hank.wait_for("There is no recipient yet")
    hank.type("\x03")
    hank.type_lines("/msg dale good morning", "and more")  # in one breath: the second goes where the first one went
    assert [dale.next(MessageReceived).delivery.message for _ in range(2)] == ["good morning", "and more"]
    hank.wait_for("and more ✓")
    dale.client.send("hank", "hi\x1b[2J there")
    hank.wait_for("hi^[[2J there")
    hank.type_lines("/uesrs")
    hank.wait_for("Did you mean /users?")
    hank.type("\x03")
    hank.type_lines("/users")
    hank.wait_for("2 here:")
    assert hank.model.current.name == "dale"
    hank.type_lines("3")
    assert hank.wait_for_exit() == 0


def test_words_of_the_seed_and_a_dialogue_typed_in_one_breath(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    dale = start_client("dale", account=False)
    hank = open_tui(server, "hank")
    hank.type_lines("1", "dale", "3", "exit stage left")
    assert [dale.next(MessageReceived).delivery.message for _ in range(2)] == ["3", "exit stage left"]
    hank.type_lines("2")
    hank.wait_for("list the commands")
    hank.type_lines("/register", PASSWORD, PASSWORD)
    hank.wait_for("hank is now your account")
    assert PASSWORD not in hank.screen_output.raw
    hank.type_lines("exit")
    assert hank.wait_for_exit() == 0


def test_a_room_and_its_members(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    dale = start_client("dale")
    dale.client.join("#dev")
    dale.client.set_topic("#dev", "be kind")
    hank = open_tui(server, "hank", columns=120)
    hank.type_lines("/join dev")
    hank.wait_for("you are in #dev, with dale, hank")
    assert (hank.model.current.name, hank.model.current.topic) == ("#dev", "be kind")
    assert set(hank.model.current.members) == {"dale", "hank"}
    hank.wait_until(lambda: hank.model.presence.get("dale") == "online")
    hank.type_lines("hi all")
    assert dale.next(MessageReceived).delivery.to == "#dev"
    hank.type_lines("/hide")
    hank.wait_until(lambda: hank.model.current is hank.model.home)
    assert hank.model.find("#dev") is None
    dale.client.send("#dev", "hank: still there?")
    hank.wait_until(lambda: hank.model.find("#dev") is not None)
    assert hank.model.open("#dev").mentions == 1
    hank.wait_until(lambda: "\x07" in hank.screen_output.raw)


def test_history_comes_when_it_is_looked_at_and_at_the_top_once(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    for number in range(180):
        dale.client.send("hank", f"number {number}")
        dale.next(Accepted)
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        reader = Reader(before)
        for _ in range(180):
            reader.next(MessageReceived)
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.wait_until(lambda: tui.model.find("dale") is not None)
    conversation = tui.model.open("dale")
    assert (conversation.unread, conversation.entries) == (180, [])
    tui.type("\x1b1")
    tui.wait_for("number 179")
    assert (conversation.first_seq, conversation.unread) == (131, 0)
    tui.type("\x1b[5~" * 3)
    tui.wait_until(lambda: conversation.first_seq == 31)
    tui.type("\x1b[1;5H")
    tui.wait_until(lambda: conversation.is_complete)
    seqs = [entry.seq for entry in conversation.entries if entry.sender]
    assert seqs == list(range(1, 181))


def read_all(server: RunningServer, count: int) -> None:
    """Receive all of hank's messages on the screen's device, so that the screen must load them from the history."""
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        reader = Reader(before)
        for _ in range(count):
            reader.next(MessageReceived)


def test_what_was_found_is_turned_to(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    for number in range(1, 451):
        dale.client.send("hank", f"number {number}" + (" haystack needle" if number in (30, 400) else ""))
    assert dale.client.flush(60) == 0
    read_all(server, 450)
    dale.client.join("#dev")
    dale.client.send("#dev", "no needle here, in a room of others")
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/search needle")
    tui.wait_for("found 2 messages")
    tui.wait_for("/jump N goes to one of them")
    tui.type("\x1bj")  # the newest first
    tui.wait_until(lambda: tui.model.current.name == "dale")
    tui.wait_for("─ found ─")
    tui.wait_for("number 400 haystack needle")
    assert not tui.ui.at_bottom
    tui.type("\x1bj")
    tui.wait_for("number 30 haystack needle")
    seqs = [entry.seq for entry in tui.model.current.entries if entry.seq]
    assert seqs == list(range(seqs[0], 451)) and seqs[0] <= 30  # without a hole
    tui.type_lines("/jump 2")
    tui.wait_for("number 400 haystack needle")
    tui.type_lines("/jump 3")
    tui.wait_for("they are numbered 1 to 2")
    tui.type_lines("/search @dale number 400")
    tui.wait_for("found 1 message")


def test_what_was_found_too_far_back_is_shown_with_what_was_around_it(
    server: RunningServer,
    open_tui: Callable[..., TuiClient],
    start_client: Callable[..., Reader],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "MAX_ENTRIES", 550)
    dale = start_client("dale")
    for number in range(1, 201):
        dale.client.send("hank", f"number {number}")
    assert dale.client.flush(60) == 0
    read_all(server, 200)
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/search @dale 20")
    tui.wait_for("/jump N goes to one of them")
    tui.type_lines("/jump 1")
    tui.wait_for("messages around the search result, in dale:")
    tui.wait_for("> [")
    tui.wait_for("number 25")
    assert tui.model.current.name == "dale"


def test_ones_own_status_is_in_sight(server: RunningServer, open_tui: Callable[..., TuiClient]) -> None:
    hank = open_tui(server, "hank")
    hank.type_lines("/status out to lunch")
    hank.wait_for("your status is now: out to lunch (/status online clears it)")
    hank.wait_for("[hank: out to lunch]")
    hank.type_lines("/status")
    hank.wait_for("your status: out to lunch; /status WORDS changes it, /status online clears")
    hank.type_lines("/status online")
    hank.wait_for("your status is online again")
    hank.wait_for("[hank]")
    hank.type_lines("/go")
    hank.wait_for("0 gmessenger (text without a command goes here)")


def test_rooms_one_is_not_in_are_offered_as_one_types(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    start_client("dale").client.join("#design")
    hank = open_tui(server, "hank")
    hank.type("/join #")
    hank.wait_until(lambda: "#design" in hank.controller.loader.rooms)
    hank.type("de")
    hank.wait_for("#design")
    hank.type("\t\r")
    hank.wait_for("you are in #design")


def test_what_is_read_here_is_read_everywhere(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader], hank: None
) -> None:
    dale = start_client("dale")
    phone = Reader(Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS))
    phone.client.start()
    tui = open_tui(server, "hank", password=PASSWORD)
    for text in ("one", "two"):
        dale.client.send("hank", text)
    tui.wait_for("dale          2")
    tui.type("\x1ba")
    read = phone.next(ReadMarkerMoved)
    assert (read.conversation, read.seq) == ("dale", 2)
    tui.type("\x1b0")
    tui.wait_until(lambda: tui.model.current is tui.model.home)
    dale.client.send("hank", "three")
    tui.wait_for("dale          1")
    phone.client.mark_read("dale", 3)
    tui.wait_until_gone("dale          1")
    phone.client.close()


def test_what_is_typed_over_a_restart_of_the_server(
    start_server: Callable[..., RunningServer], tmp_path: Path, open_tui: Callable[..., TuiClient]
) -> None:
    server = start_server()
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as client:
        client.register(PASSWORD)
    dale = Reader(Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS))
    dale.client.start()
    dale.client.register(PASSWORD)
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/msg dale before")
    assert dale.next(MessageReceived).delivery.message == "before"
    tui.type("half a ")
    server.stop()
    tui.wait_until(lambda: tui.model.connection.phase is ConnectionPhase.LOST)
    tui.type("line\rand another")
    tui.wait_for("half a line …")
    start_server(port=server.port)
    tui.wait_for("caught up: 1 of your messages was sent")
    assert dale.next(MessageReceived).delivery.message == "half a line"
    assert tui.model.current.draft == "and another"
    dale.client.close()


def test_a_refused_message_says_why_and_is_taken_back_to_be_edited(
    server: RunningServer, open_tui: Callable[..., TuiClient]
) -> None:
    tui = open_tui(server, "hank")
    tui.type_lines("/msg nobody\N{NO-BREAK SPACE} hi", "hello there")
    tui.wait_for("✗")
    assert tui.model.current.entries[-1].state is MessageState.REJECTED
    tui.type("\x1be")
    tui.wait_for("] hello there")
    assert not any(entry.source_text == "hello there" for entry in tui.model.current.entries)


def test_nothing_is_left_of_a_name_that_there_is_not(server: RunningServer, open_tui: Callable[..., TuiClient]) -> None:
    tui = open_tui(server, "hank")
    tui.type_lines("/msg nosuch hi")
    tui.wait_for("✗")
    assert "nosuch" not in tui.controller.saved_state().shown
    tui.type("\x1be")
    tui.wait_for("[@nosuch] hi")
    assert tui.controller.saved_state().shown["nosuch"] == "hi"
    tui.type("\x1b0")
    tui.wait_until(lambda: tui.model.current is tui.model.home)
    tui.type_lines("/go nosuch")
    tui.wait_for("[@nosuch] hi")
    tui.type("\x03")
    tui.wait_until_gone("[@nosuch] hi")
    tui.type("\x1b0")
    tui.wait_until(lambda: tui.model.find("nosuch") is None)
    tui.type_lines("/msg nosuch hi")
    tui.wait_for("✗")
    tui.type_lines("/hide")
    tui.wait_until(lambda: tui.model.find("nosuch") is None)
    assert not tui.controller.saved_state().hidden


def test_a_refused_message_is_sent_again_with_its_file(
    start_server: Callable[..., RunningServer], open_tui: Callable[..., TuiClient], tmp_path: Path
) -> None:
    server = start_server(web="127.0.0.1:0")
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as client:
        client.register(PASSWORD)
    (tmp_path / "graph.png").write_bytes(b"x")
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/msg dale hi", f"/file {tmp_path}/graph.png")
    tui.wait_until(lambda: tui.model.current.entries[-1].attached is not None)
    entry = tui.model.current.entries[-1]
    assert entry.text == "graph.png" and entry.file.startswith(f"http://127.0.0.1:{server.app.web_port}/file/")
    tui.wait_until(lambda: entry.state is MessageState.REJECTED)
    with Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS) as dale:
        tui.type("\x1be")
        tui.wait_for("] /again graph.png")
        tui.type(" of today\r")
        message = Reader(dale).next(MessageReceived).delivery
        assert (message.message, message.file.name) == ("graph.png of today", "graph.png")


def test_a_refused_message_is_sent_again_by_its_command(
    server: RunningServer, open_tui: Callable[..., TuiClient]
) -> None:
    tui = open_tui(server, "hank")
    tui.type_lines("/msg nobody\N{NO-BREAK SPACE} hi")

    def has_rejected(*typed: str) -> bool:
        own = [entry for entry in tui.model.current.entries if entry.is_own]
        return [entry.source_text for entry in own if entry.state is MessageState.REJECTED] == list(typed)

    tui.wait_until(lambda: has_rejected("hi"))
    tui.type_lines("/again hello again")
    tui.wait_until(lambda: has_rejected("hello again"))
    tui.type_lines("there")
    tui.wait_until(lambda: has_rejected("hello again", "there"))


def test_drafts_outlive_the_process_and_hidden_conversations_stay_hidden(
    server: RunningServer, open_tui: Callable[..., TuiClient], hank: None, tmp_path: Path
) -> None:
    first = TuiClient(server, "hank", password=PASSWORD)
    with first:
        first.type_lines("/msg dale", "/msg bob")
        first.type("for bob\x1b\r(two lines)")
        first.type("\x1b1")
        first.type("for дейл")
        file = first.drafts_file
        first.wait_until(lambda: file.exists() and "for дейл" in file.read_text("utf-8"))
        first.crash()
    assert file.stat().st_mode & 0o777 == 0o600
    second = open_tui(server, "hank", password=PASSWORD)
    second.type("\x1b1")
    second.wait_for("] for дейл")
    assert {conversation.name: conversation.draft for conversation in second.model if conversation.name} == {
        "dale": "for дейл",
        "bob": "for bob\n(two lines)",
    }


@pytest.mark.parametrize("returning", [("/join dev",), ("/msg #dev hi again",)])
def test_what_was_hidden_and_is_used_again_is_there_after_a_crash(
    server: RunningServer,
    open_tui: Callable[..., TuiClient],
    hank: None,
    returning: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = TuiClient(server, "hank", password=PASSWORD)
    with first:
        first.type_lines("/join dev")
        first.wait_until(lambda: first.model.current.name == "#dev")
        first.type_lines("hello")
        first.wait_for("hello ✓")
        first.type_lines("/hide")
        file = first.drafts_file
        first.wait_until(lambda: file.exists() and "hidden\t#dev" in file.read_text("utf-8"))
        monkeypatch.setattr(drafts, "SAVE_DELAY", 600.0)
        first.type_lines(*returning)
        first.wait_until(lambda: "hidden\t#dev" not in file.read_text("utf-8"))
        assert "shown\t#dev" in file.read_text("utf-8")
        first.crash()
    second = open_tui(server, "hank", password=PASSWORD)
    second.wait_until(lambda: second.model.find("#dev") is not None)


def test_what_a_guest_has_said_to_nobody_yet_is_a_draft_after_a_crash(
    start_server: Callable[..., RunningServer], open_tui: Callable[..., TuiClient]
) -> None:
    server = start_server()
    first = TuiClient(server, "hank")
    with first:
        first.type_lines("/msg dale")
        server.stop()
        first.wait_until(lambda: first.model.connection.phase is ConnectionPhase.LOST)
        first.type_lines("one", "two")
        first.type("three")
        first.wait_until(
            lambda: first.drafts_file.exists() and r"one\ntwo\nthree" in first.drafts_file.read_text("utf-8")
        )
        first.crash()
    again = open_tui(start_server(port=server.port), "hank")
    again.type("\x1b1")
    again.wait_until(lambda: again.model.current.draft == "one\ntwo\nthree")


def test_any_conversation_is_reached_by_number_or_name(
    server: RunningServer, open_tui: Callable[..., TuiClient], hank: None
) -> None:
    tui = open_tui(server, "hank", password=PASSWORD)
    tui.type_lines("/join dev")
    tui.wait_until(lambda: tui.model.current.name == "#dev")
    tui.type_lines(*(f"/msg friend{number}" for number in range(12)))
    tui.wait_until(lambda: tui.model.current.name == "friend11")
    for target, name in (("11", tui.model.conversations[11].name), ("#dev", "#dev"), ("friend1", "friend1")):
        tui.type_lines(f"/go {target}")
        tui.wait_until(lambda name=name: tui.model.current.name == name)
    for target, name in (("@FRIEND0", "friend0"), ("de", "#dev"), ("0", "")):
        tui.type_lines(f"/go {target}")
        tui.wait_until(lambda name=name: tui.model.current.name == name)
    tui.type_lines("/go nowhere")
    tui.wait_for("there is no conversation nowhere")


def test_ctrl_c_long_after_another_is_the_first_again(
    server: RunningServer, open_tui: Callable[..., TuiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    tui = open_tui(server, "hank")
    monkeypatch.setattr(controller, "CONFIRM_TIMEOUT", 0.0)
    tui.type("\x03\x03")
    tui.wait_until(lambda: tui.text.count("press Ctrl-C again to quit") == 2)
    assert not tui.mode.is_leaving
    tui.type("\x04")
    assert tui.wait_for_exit() == 0


def test_leaving_says_what_was_not_answered(server: RunningServer, open_tui: Callable[..., TuiClient]) -> None:
    tui = open_tui(server, "hank")
    tui.client._reconnector._connection.fail(OSError("the cable was pulled"))  # type: ignore[union-attr]
    server.app.stop("to be away for good")
    tui.wait_until(lambda: tui.model.connection.phase is ConnectionPhase.LOST)
    tui.type_lines("/msg dale one")
    tui.type("\x04")
    tui.wait_for("Ctrl-C quits at once")
    with pytest.raises(MessagesNotSent, match="may be lost: 1"):
        tui.wait_for_exit()


def test_an_event_that_cannot_be_dealt_with_is_one_line_and_the_next_one_comes(
    server: RunningServer,
    open_tui: Callable[..., TuiClient],
    start_client: Callable[..., Reader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dale = start_client("dale", account=False)
    tui = open_tui(server, "hank")
    original = EventPump._handle_event

    def handle_event(pump: EventPump, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.delivery.message == "bad":
            raise ValueError("bad")
        original(pump, event)

    monkeypatch.setattr(EventPump, "_handle_event", handle_event)
    dale.client.send("hank", "bad")
    dale.client.send("hank", "good")
    tui.wait_for("Internal error (ValueError); details are in the log")
    tui.wait_until(lambda: tui.model.find("dale") is not None)
    assert "Traceback" not in tui.text


def test_a_burst_while_typing_leaves_the_draft_whole(
    server: RunningServer, open_tui: Callable[..., TuiClient], start_client: Callable[..., Reader]
) -> None:
    dale = start_client("dale", account=False)
    tui = open_tui(server, "hank")
    tui.type_lines("/msg dale")
    for number in range(200):
        dale.client.send("hank", f"number {number}", timeout=TIMEOUT)
        if number % 10 == 0:
            tui.type("x")
            gevent.sleep(0)
    tui.wait_for("number 199")
    tui.wait_until(lambda: tui.model.current.draft == "x" * 20)


def test_a_room_that_one_is_in_is_there_at_once_with_its_members_and_topic(
    server: RunningServer, open_tui: Callable[..., TuiClient], hank: None
) -> None:
    with Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS) as phone:
        phone.join("#dev")
        phone.set_topic("#dev", "be kind")
    tui = open_tui(server, "hank", password=PASSWORD, columns=120)
    tui.wait_until(lambda: tui.model.find("#dev") is not None)
    tui.type("\x1b1")
    tui.wait_for("be kind")
    assert tui.model.open("#dev").members == {"hank": "hank"}
    tui.type_lines("/topic be very kind")
    tui.wait_until(lambda: tui.model.current.topic == "be very kind")


def test_what_was_being_written_at_home_is_there_again(
    server: RunningServer, open_tui: Callable[..., TuiClient]
) -> None:
    with TuiClient(server, "hank") as first:
        first.type("/msg dale half")
        first.wait_until(first.drafts_file.exists)
        first.wait_until(lambda: "half" in first.drafts_file.read_text("utf-8"))
        first.crash()
    open_tui(server, "hank").wait_for("] /msg dale half")


def test_no_screen_comes_up_when_the_end_was_said_while_logging_in(
    server: RunningServer, open_tui: Callable[..., TuiClient]
) -> None:
    tui = TuiClient(server, "hank")
    tui.exit_controller.exit()
    tui.mode.run()
    assert not tui.screen_output.raw
    tui.client.abort()
    tui._stack.close()


def test_what_is_submitted_just_before_the_end_is_handed_to_the_link(
    server: RunningServer, hank: None, open_tui: Callable[..., TuiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    tui = open_tui(server, "hank", password=PASSWORD)
    send, sent = Client.send, []

    def slow_send(start_client: Client, to: str, text: str, **about: Any) -> Any:
        gevent.sleep(0.05)  # as on a slow disk
        sent.append(text)
        return send(start_client, to, text, **about)

    monkeypatch.setattr(Client, "send", slow_send)
    for text in ("one", "two", "three"):
        tui.controller.send("hank", text)
    tui.exit_controller.exit(143)
    assert tui.wait_for_exit() == 143
    assert sent == ["one", "two", "three"]
