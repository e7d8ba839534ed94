"""The full screen with a real server behind it: what is typed gets there, what comes is seen, and nothing is lost."""

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


def test_a_conversation(server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader]) -> None:
    dale = link("dale", account=False)
    hank = seat(server, "hank")
    hank.wait_for("You are hank.")
    hank.type_lines("hello?")
    hank.wait_for("There is no recipient yet")
    hank.type_lines("/msg dale good morning", "and more")  # in one breath: the second goes where the first one went
    assert [dale.next(MessageReceived).delivery.message for _ in range(2)] == ["good morning", "and more"]
    hank.wait_for("and more ✓")
    dale.client.send("hank", "hi\x1b[2J there")
    hank.wait_for("hi^[[2J there")
    hank.type_lines("/uesrs")
    hank.wait_for("Did you mean /users?")
    hank.type_lines("/users")
    hank.wait_for("2 here:")
    assert hank.model.current.name == "dale"
    hank.type_lines("3")
    assert hank.wait_for_exit() == 0


def test_words_of_the_seed_and_a_dialogue_typed_in_one_breath(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader]
) -> None:
    dale = link("dale", account=False)
    hank = seat(server, "hank")
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
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader]
) -> None:
    dale = link("dale")
    dale.client.join("#dev")
    dale.client.set_topic("#dev", "be kind")
    hank = seat(server, "hank", columns=120)
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
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader], hank: None
) -> None:
    dale = link("dale")
    for number in range(180):
        dale.client.send("hank", f"number {number}")
        dale.next(Accepted)
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        seen = Reader(before)
        for _ in range(180):
            seen.next(MessageReceived)
    at = seat(server, "hank", password=PASSWORD)
    at.wait_until(lambda: at.model.find("dale") is not None)
    conversation = at.model.open("dale")
    assert (conversation.unread, conversation.entries) == (180, [])
    at.type("\x1b1")
    at.wait_for("number 179")
    assert (conversation.first_seq, conversation.unread) == (131, 0)
    at.type("\x1b[5~" * 3)
    at.wait_until(lambda: conversation.first_seq == 31)
    at.type("\x1b[1;5H")
    at.wait_until(lambda: conversation.is_complete)
    said = [entry.seq for entry in conversation.entries if entry.sender]
    assert said == list(range(1, 181))


def read_all(server: RunningServer, count: int) -> None:
    """Hank has had all messages on the device that the seat is at, so there they have to be fetched."""
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=SHORT_TIMEOUTS) as before:
        seen = Reader(before)
        for _ in range(count):
            seen.next(MessageReceived)


def test_what_was_found_is_turned_to(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader], hank: None
) -> None:
    dale = link("dale")
    for number in range(1, 451):
        dale.client.send("hank", f"number {number}" + (" haystack needle" if number in (30, 400) else ""))
    assert dale.client.flush(60) == 0
    read_all(server, 450)
    dale.client.join("#dev")
    dale.client.send("#dev", "no needle here, in a room of others")
    at = seat(server, "hank", password=PASSWORD)
    at.type_lines("/search needle")
    at.wait_for("found 2 messages")
    at.wait_for("/jump N goes to one of them")
    at.type("\x1bj")  # the newest first
    at.wait_until(lambda: at.model.current.name == "dale")
    at.wait_for("─ found ─")
    at.wait_for("number 400 haystack needle")
    assert not at.ui.at_bottom
    at.type("\x1bj")
    at.wait_for("number 30 haystack needle")
    said = [entry.seq for entry in at.model.current.entries if entry.seq]
    assert said == list(range(said[0], 451)) and said[0] <= 30  # without a hole
    at.type_lines("/jump 2")
    at.wait_for("number 400 haystack needle")
    at.type_lines("/jump 3")
    at.wait_for("they are numbered 1 to 2")
    at.type_lines("/search @dale number 400")
    at.wait_for("found 1 message")


def test_what_was_found_too_far_back_is_shown_with_what_was_around_it(
    server: RunningServer,
    seat: Callable[..., TuiClient],
    link: Callable[..., Reader],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "MAX_ENTRIES", 550)
    dale = link("dale")
    for number in range(1, 201):
        dale.client.send("hank", f"number {number}")
    assert dale.client.flush(60) == 0
    read_all(server, 200)
    at = seat(server, "hank", password=PASSWORD)
    at.type_lines("/search @dale 20")
    at.wait_for("/jump N goes to one of them")
    at.type_lines("/jump 1")
    at.wait_for("messages around the search result, in dale:")
    at.wait_for("> [")
    at.wait_for("number 25")
    assert at.model.current.name == "dale"


def test_ones_own_status_is_in_sight(server: RunningServer, seat: Callable[..., TuiClient]) -> None:
    hank = seat(server, "hank")
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
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader]
) -> None:
    link("dale").client.join("#design")
    hank = seat(server, "hank")
    hank.type("/join #")
    hank.wait_until(lambda: "#design" in hank.controller.loader.rooms)
    hank.type("de")
    hank.wait_for("#design")
    hank.type("\t\r")
    hank.wait_for("you are in #design")


def test_what_is_read_here_is_read_everywhere(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader], hank: None
) -> None:
    dale = link("dale")
    phone = Reader(Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS))
    phone.client.start()
    at = seat(server, "hank", password=PASSWORD)
    for text in ("one", "two"):
        dale.client.send("hank", text)
    at.wait_for("dale          2")
    at.type("\x1ba")
    read = phone.next(ReadMarkerMoved)
    assert (read.conversation, read.seq) == ("dale", 2)
    at.type("\x1b0")
    at.wait_until(lambda: at.model.current is at.model.home)
    dale.client.send("hank", "three")
    at.wait_for("dale          1")
    phone.client.mark_read("dale", 3)
    at.wait_until_gone("dale          1")
    phone.client.close()


def test_what_is_typed_over_a_restart_of_the_server(
    start_server: Callable[..., RunningServer], tmp_path: Path, seat: Callable[..., TuiClient]
) -> None:
    server = start_server()
    with Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as once:
        once.register(PASSWORD)
    dale = Reader(Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS))
    dale.client.start()
    dale.client.register(PASSWORD)
    at = seat(server, "hank", password=PASSWORD)
    at.type_lines("/msg dale before")
    assert dale.next(MessageReceived).delivery.message == "before"
    at.type("half a ")
    server.stop()
    at.wait_until(lambda: at.model.connection.phase is ConnectionPhase.LOST)
    at.type("line\rand another")
    at.wait_for("half a line …")
    start_server(port=server.port)
    at.wait_for("caught up: 1 of your messages was sent")
    assert dale.next(MessageReceived).delivery.message == "half a line"
    assert at.model.current.draft == "and another"
    dale.client.close()


def test_a_refused_message_says_why_and_is_taken_back_to_be_edited(
    server: RunningServer, seat: Callable[..., TuiClient]
) -> None:
    at = seat(server, "hank")
    at.type_lines("/msg nobody\N{NO-BREAK SPACE} hi", "hello there")
    at.wait_for("✗")
    assert at.model.current.entries[-1].state is MessageState.REJECTED
    at.type("\x1be")
    at.wait_for("] hello there")
    assert not any(entry.source_text == "hello there" for entry in at.model.current.entries)


def test_nothing_is_left_of_a_name_that_there_is_not(server: RunningServer, seat: Callable[..., TuiClient]) -> None:
    at = seat(server, "hank")
    at.type_lines("/msg nosuch hi")
    at.wait_for("✗")
    assert "nosuch" not in at.controller.saved_state().shown
    at.type("\x1be")
    at.wait_for("[@nosuch] hi")
    assert at.controller.saved_state().shown["nosuch"] == "hi"
    at.type("\x1b0")
    at.wait_until(lambda: at.model.current is at.model.home)
    at.type_lines("/go nosuch")
    at.wait_for("[@nosuch] hi")
    at.type("\x03")
    at.wait_until_gone("[@nosuch] hi")
    at.type("\x1b0")
    at.wait_until(lambda: at.model.find("nosuch") is None)
    at.type_lines("/msg nosuch hi")
    at.wait_for("✗")
    at.type_lines("/hide")
    at.wait_until(lambda: at.model.find("nosuch") is None)
    assert not at.controller.saved_state().hidden


def test_a_refused_message_is_sent_again_by_its_command(server: RunningServer, seat: Callable[..., TuiClient]) -> None:
    at = seat(server, "hank")
    at.type_lines("/msg nobody\N{NO-BREAK SPACE} hi")

    def refused(*typed: str) -> bool:
        own = [entry for entry in at.model.current.entries if entry.is_own]
        return [entry.source_text for entry in own if entry.state is MessageState.REJECTED] == list(typed)

    at.wait_until(lambda: refused("hi"))
    at.type_lines("/again hello again")
    at.wait_until(lambda: refused("hello again"))
    at.type_lines("there")
    at.wait_until(lambda: refused("hello again", "there"))


def test_drafts_outlive_the_process_and_hidden_conversations_stay_hidden(
    server: RunningServer, seat: Callable[..., TuiClient], hank: None, tmp_path: Path
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
    second = seat(server, "hank", password=PASSWORD)
    second.type("\x1b1")
    second.wait_for("] for дейл")
    assert {each.name: each.draft for each in second.model if each.name} == {
        "dale": "for дейл",
        "bob": "for bob\n(two lines)",
    }


@pytest.mark.parametrize("returning", [("/join dev",), ("/msg #dev hi again",)])
def test_what_was_hidden_and_is_used_again_is_there_after_a_crash(
    server: RunningServer,
    seat: Callable[..., TuiClient],
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
    second = seat(server, "hank", password=PASSWORD)
    second.wait_until(lambda: second.model.find("#dev") is not None)


def test_what_a_guest_has_said_to_nobody_yet_is_a_draft_after_a_crash(
    start_server: Callable[..., RunningServer], seat: Callable[..., TuiClient]
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
    again = seat(start_server(port=server.port), "hank")
    again.type("\x1b1")
    again.wait_until(lambda: again.model.current.draft == "one\ntwo\nthree")


def test_any_conversation_is_reached_by_number_or_name(
    server: RunningServer, seat: Callable[..., TuiClient], hank: None
) -> None:
    at = seat(server, "hank", password=PASSWORD)
    at.type_lines("/join dev")
    at.wait_until(lambda: at.model.current.name == "#dev")
    at.type_lines(*(f"/msg friend{number}" for number in range(12)))
    at.wait_until(lambda: at.model.current.name == "friend11")
    for where, name in (("11", at.model.conversations[11].name), ("#dev", "#dev"), ("friend1", "friend1")):
        at.type_lines(f"/go {where}")
        at.wait_until(lambda name=name: at.model.current.name == name)
    for where, name in (("@FRIEND0", "friend0"), ("de", "#dev"), ("0", "")):
        at.type_lines(f"/go {where}")
        at.wait_until(lambda name=name: at.model.current.name == name)
    at.type_lines("/go nowhere")
    at.wait_for("there is no conversation nowhere")


def test_ctrl_c_long_after_another_is_the_first_again(
    server: RunningServer, seat: Callable[..., TuiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = seat(server, "hank")
    monkeypatch.setattr(controller, "CONFIRM_TIMEOUT", 0.0)
    at.type("\x03\x03")
    at.wait_until(lambda: at.text.count("press Ctrl-C again to quit") == 2)
    assert not at.mode.is_leaving
    at.type("\x04")
    assert at.wait_for_exit() == 0


def test_leaving_says_what_was_not_answered(server: RunningServer, seat: Callable[..., TuiClient]) -> None:
    at = seat(server, "hank")
    at.client._reconnector._connection.fail(OSError("the cable was pulled"))  # type: ignore[union-attr]
    server.app.stop("to be away for good")
    at.wait_until(lambda: at.model.connection.phase is ConnectionPhase.LOST)
    at.type_lines("/msg dale one")
    at.type("\x04")
    at.wait_for("Ctrl-C quits at once")
    with pytest.raises(MessagesNotSent, match="may be lost: 1"):
        at.wait_for_exit()


def test_an_event_that_cannot_be_dealt_with_is_one_line_and_the_next_one_comes(
    server: RunningServer,
    seat: Callable[..., TuiClient],
    link: Callable[..., Reader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dale = link("dale", account=False)
    at = seat(server, "hank")
    take = EventPump._handle_event

    def stumbles(following: EventPump, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.delivery.message == "bad":
            raise ValueError("bad")
        take(following, event)

    monkeypatch.setattr(EventPump, "_handle_event", stumbles)
    dale.client.send("hank", "bad")
    dale.client.send("hank", "good")
    at.wait_for("Internal error (ValueError); details are in the log")
    at.wait_until(lambda: at.model.find("dale") is not None)
    assert "Traceback" not in at.text


def test_a_burst_while_typing_leaves_the_draft_whole(
    server: RunningServer, seat: Callable[..., TuiClient], link: Callable[..., Reader]
) -> None:
    dale = link("dale", account=False)
    at = seat(server, "hank")
    at.type_lines("/msg dale")
    for number in range(200):
        dale.client.send("hank", f"number {number}", timeout=TIMEOUT)
        if number % 10 == 0:
            at.type("x")
            gevent.sleep(0)
    at.wait_for("number 199")
    at.wait_until(lambda: at.model.current.draft == "x" * 20)


def test_a_room_that_one_is_in_is_there_at_once_with_its_members_and_topic(
    server: RunningServer, seat: Callable[..., TuiClient], hank: None
) -> None:
    with Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=SHORT_TIMEOUTS) as phone:
        phone.join("#dev")
        phone.set_topic("#dev", "be kind")
    at = seat(server, "hank", password=PASSWORD, columns=120)
    at.wait_until(lambda: at.model.find("#dev") is not None)
    at.type("\x1b1")
    at.wait_for("be kind")
    assert at.model.open("#dev").members == {"hank": "hank"}
    at.type_lines("/topic be very kind")
    at.wait_until(lambda: at.model.current.topic == "be very kind")


def test_what_was_being_written_at_home_is_there_again(server: RunningServer, seat: Callable[..., TuiClient]) -> None:
    with TuiClient(server, "hank") as first:
        first.type("/msg dale half")
        first.wait_until(first.drafts_file.exists)
        first.wait_until(lambda: "half" in first.drafts_file.read_text("utf-8"))
        first.crash()
    seat(server, "hank").wait_for("] /msg dale half")


def test_no_screen_comes_up_when_the_end_was_said_while_logging_in(
    server: RunningServer, seat: Callable[..., TuiClient]
) -> None:
    at = TuiClient(server, "hank")
    at.exit_controller.exit()
    at.mode.run()
    assert not at.screen_output.raw
    at.client.abort()
    at._stack.close()


def test_what_is_submitted_just_before_the_end_is_handed_to_the_link(
    server: RunningServer, hank: None, seat: Callable[..., TuiClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = seat(server, "hank", password=PASSWORD)
    send, sent = Client.send, []

    def slowly(link: Client, to: str, text: str) -> Any:
        gevent.sleep(0.05)  # as on a slow disk
        sent.append(text)
        return send(link, to, text)

    monkeypatch.setattr(Client, "send", slowly)
    for text in ("one", "two", "three"):
        at.controller.send("hank", text)
    at.exit_controller.exit(143)
    assert at.wait_for_exit() == 143
    assert sent == ["one", "two", "three"]
