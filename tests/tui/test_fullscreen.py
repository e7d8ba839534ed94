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
from tests.client.conftest import Owner
from tests.conftest import RunningServer
from tests.support.scripted_server import TIMEOUT
from tests.support.tui_client import IMPATIENT, PASSWORD, Seat


def test_a_conversation(server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]) -> None:
    dale = link("dale", account=False)
    hank = seat(server, "hank")
    hank.sees("You are hank.")
    hank.line("hello?")
    hank.sees("There is no recipient yet")
    hank.line("/msg dale good morning", "and more")  # in one breath: the second goes where the first one went
    assert [dale.next(MessageReceived).delivery.message for _ in range(2)] == ["good morning", "and more"]
    hank.sees("and more ✓")
    dale.link.send("hank", "hi\x1b[2J there")
    hank.sees("hi^[[2J there")
    hank.line("/uesrs")
    hank.sees("Did you mean /users?")
    hank.line("/users")
    hank.sees("2 here:")
    assert hank.book.current.name == "dale"
    hank.line("3")
    assert hank.leaves() == 0


def test_words_of_the_seed_and_a_dialogue_typed_in_one_breath(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]
) -> None:
    dale = link("dale", account=False)
    hank = seat(server, "hank")
    hank.line("1", "dale", "3", "exit stage left")
    assert [dale.next(MessageReceived).delivery.message for _ in range(2)] == ["3", "exit stage left"]
    hank.line("2")
    hank.sees("list the commands")
    hank.line("/register", PASSWORD, PASSWORD)
    hank.sees("hank is now your account")
    assert PASSWORD not in hank.paper.raw
    hank.line("exit")
    assert hank.leaves() == 0


def test_a_room_and_its_members(server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]) -> None:
    dale = link("dale")
    dale.link.join("#dev")
    dale.link.set_topic("#dev", "be kind")
    hank = seat(server, "hank", columns=120)
    hank.line("/join dev")
    hank.sees("you are in #dev, with dale, hank")
    assert (hank.book.current.name, hank.book.current.topic) == ("#dev", "be kind")
    assert set(hank.book.current.members) == {"dale", "hank"}
    hank.until(lambda: hank.book.presence.get("dale") == "online")
    hank.line("hi all")
    assert dale.next(MessageReceived).delivery.to == "#dev"
    hank.line("/hide")
    hank.until(lambda: hank.book.current is hank.book.home)
    assert hank.book.find("#dev") is None
    dale.link.send("#dev", "hank: still there?")
    hank.until(lambda: hank.book.find("#dev") is not None)
    assert hank.book.open("#dev").mentions == 1
    hank.until(lambda: "\x07" in hank.paper.raw)


def test_history_comes_when_it_is_looked_at_and_at_the_top_once(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner], hank: None
) -> None:
    dale = link("dale")
    for number in range(180):
        dale.link.send("hank", f"number {number}")
        dale.next(Accepted)
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=IMPATIENT) as before:
        seen = Owner(before)
        for _ in range(180):
            seen.next(MessageReceived)
    at = seat(server, "hank", password=PASSWORD)
    at.until(lambda: at.book.find("dale") is not None)
    conversation = at.book.open("dale")
    assert (conversation.unread, conversation.entries) == (180, [])
    at.types("\x1b1")
    at.sees("number 179")
    assert (conversation.first_seq, conversation.unread) == (131, 0)
    at.types("\x1b[5~" * 3)
    at.until(lambda: conversation.first_seq == 31)
    at.types("\x1b[1;5H")
    at.until(lambda: conversation.is_complete)
    said = [entry.seq for entry in conversation.entries if entry.sender]
    assert said == list(range(1, 181))


def read_all(server: RunningServer, count: int) -> None:
    """Hank has had all messages on the device that the seat is at, so there they have to be fetched."""
    with Client(server.host, server.port, "hank", password=PASSWORD, device="desk", timeouts=IMPATIENT) as before:
        seen = Owner(before)
        for _ in range(count):
            seen.next(MessageReceived)


def test_what_was_found_is_turned_to(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner], hank: None
) -> None:
    dale = link("dale")
    for number in range(1, 451):
        dale.link.send("hank", f"number {number}" + (" haystack needle" if number in (30, 400) else ""))
    assert dale.link.flush(60) == 0
    read_all(server, 450)
    dale.link.join("#dev")
    dale.link.send("#dev", "no needle here, in a room of others")
    at = seat(server, "hank", password=PASSWORD)
    at.line("/search needle")
    at.sees("found 2 messages")
    at.sees("/jump N goes to one of them")
    at.types("\x1bj")  # the newest first
    at.until(lambda: at.book.current.name == "dale")
    at.sees("─ found ─")
    at.sees("number 400 haystack needle")
    assert not at.ui.at_bottom
    at.types("\x1bj")
    at.sees("number 30 haystack needle")
    said = [entry.seq for entry in at.book.current.entries if entry.seq]
    assert said == list(range(said[0], 451)) and said[0] <= 30  # without a hole
    at.line("/jump 2")
    at.sees("number 400 haystack needle")
    at.line("/jump 3")
    at.sees("they are numbered 1 to 2")
    at.line("/search @dale number 400")
    at.sees("found 1 message")


def test_what_was_found_too_far_back_is_shown_with_what_was_around_it(
    server: RunningServer,
    seat: Callable[..., Seat],
    link: Callable[..., Owner],
    hank: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loader, "MAX_ENTRIES", 550)
    dale = link("dale")
    for number in range(1, 201):
        dale.link.send("hank", f"number {number}")
    assert dale.link.flush(60) == 0
    read_all(server, 200)
    at = seat(server, "hank", password=PASSWORD)
    at.line("/search @dale 20")
    at.sees("/jump N goes to one of them")
    at.line("/jump 1")
    at.sees("messages around the search result, in dale:")
    at.sees("> [")
    at.sees("number 25")
    assert at.book.current.name == "dale"


def test_ones_own_status_is_in_sight(server: RunningServer, seat: Callable[..., Seat]) -> None:
    hank = seat(server, "hank")
    hank.line("/status out to lunch")
    hank.sees("your status is now: out to lunch (/status online clears it)")
    hank.sees("[hank: out to lunch]")
    hank.line("/status")
    hank.sees("your status: out to lunch; /status WORDS changes it, /status online clears")
    hank.line("/status online")
    hank.sees("your status is online again")
    hank.sees("[hank]")
    hank.line("/go")
    hank.sees("0 gmessenger (text without a command goes here)")


def test_rooms_one_is_not_in_are_offered_as_one_types(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]
) -> None:
    link("dale").link.join("#design")
    hank = seat(server, "hank")
    hank.types("/join #")
    hank.until(lambda: "#design" in hank.acting.loader.rooms)
    hank.types("de")
    hank.sees("#design")
    hank.types("\t\r")
    hank.sees("you are in #design")


def test_what_is_read_here_is_read_everywhere(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner], hank: None
) -> None:
    dale = link("dale")
    phone = Owner(Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=IMPATIENT))
    phone.link.start()
    at = seat(server, "hank", password=PASSWORD)
    for text in ("one", "two"):
        dale.link.send("hank", text)
    at.sees("dale          2")
    at.types("\x1ba")
    read = phone.next(ReadMarkerMoved)
    assert (read.conversation, read.seq) == ("dale", 2)
    at.types("\x1b0")
    at.until(lambda: at.book.current is at.book.home)
    dale.link.send("hank", "three")
    at.sees("dale          1")
    phone.link.mark_read("dale", 3)
    at.sees_no("dale          1")
    phone.link.close()


def test_what_is_typed_over_a_restart_of_the_server(
    start_server: Callable[..., RunningServer], tmp_path: Path, seat: Callable[..., Seat]
) -> None:
    server = start_server()
    with Client(server.host, server.port, "hank", timeouts=IMPATIENT) as once:
        once.register(PASSWORD)
    dale = Owner(Client(server.host, server.port, "dale", timeouts=IMPATIENT))
    dale.link.start()
    dale.link.register(PASSWORD)
    at = seat(server, "hank", password=PASSWORD)
    at.line("/msg dale before")
    assert dale.next(MessageReceived).delivery.message == "before"
    at.types("half a ")
    server.stop()
    at.until(lambda: at.book.connection.phase is ConnectionPhase.LOST)
    at.types("line\rand another")
    at.sees("half a line …")
    start_server(port=server.port)
    at.sees("caught up: 1 of your messages was sent")
    assert dale.next(MessageReceived).delivery.message == "half a line"
    assert at.book.current.draft == "and another"
    dale.link.close()


def test_a_refused_message_says_why_and_is_taken_back_to_be_edited(
    server: RunningServer, seat: Callable[..., Seat]
) -> None:
    at = seat(server, "hank")
    at.line("/msg nobody\N{NO-BREAK SPACE} hi", "hello there")
    at.sees("✗")
    assert at.book.current.entries[-1].state is MessageState.REJECTED
    at.types("\x1be")
    at.sees("] hello there")
    assert not any(entry.source_text == "hello there" for entry in at.book.current.entries)


def test_nothing_is_left_of_a_name_that_there_is_not(server: RunningServer, seat: Callable[..., Seat]) -> None:
    at = seat(server, "hank")
    at.line("/msg nosuch hi")
    at.sees("✗")
    assert "nosuch" not in at.acting.saved_state().shown
    at.types("\x1be")
    at.sees("[@nosuch] hi")
    assert at.acting.saved_state().shown["nosuch"] == "hi"
    at.types("\x1b0")
    at.until(lambda: at.book.current is at.book.home)
    at.line("/go nosuch")
    at.sees("[@nosuch] hi")
    at.types("\x03")
    at.sees_no("[@nosuch] hi")
    at.types("\x1b0")
    at.until(lambda: at.book.find("nosuch") is None)
    at.line("/msg nosuch hi")
    at.sees("✗")
    at.line("/hide")
    at.until(lambda: at.book.find("nosuch") is None)
    assert not at.acting.saved_state().hidden


def test_a_refused_message_is_sent_again_by_its_command(server: RunningServer, seat: Callable[..., Seat]) -> None:
    at = seat(server, "hank")
    at.line("/msg nobody\N{NO-BREAK SPACE} hi")

    def refused(*typed: str) -> bool:
        own = [entry for entry in at.book.current.entries if entry.is_own]
        return [entry.source_text for entry in own if entry.state is MessageState.REJECTED] == list(typed)

    at.until(lambda: refused("hi"))
    at.line("/again hello again")
    at.until(lambda: refused("hello again"))
    at.line("there")
    at.until(lambda: refused("hello again", "there"))


def test_drafts_outlive_the_process_and_hidden_conversations_stay_hidden(
    server: RunningServer, seat: Callable[..., Seat], hank: None, tmp_path: Path
) -> None:
    first = Seat(server, "hank", password=PASSWORD)
    with first:
        first.line("/msg dale", "/msg bob")
        first.types("for bob\x1b\r(two lines)")
        first.types("\x1b1")
        first.types("for дейл")
        file = first.drafts_file
        first.until(lambda: file.exists() and "for дейл" in file.read_text("utf-8"))
        first.dies()
    assert file.stat().st_mode & 0o777 == 0o600
    second = seat(server, "hank", password=PASSWORD)
    second.types("\x1b1")
    second.sees("] for дейл")
    assert {each.name: each.draft for each in second.book if each.name} == {
        "dale": "for дейл",
        "bob": "for bob\n(two lines)",
    }


@pytest.mark.parametrize("returning", [("/join dev",), ("/msg #dev hi again",)])
def test_what_was_hidden_and_is_used_again_is_there_after_a_crash(
    server: RunningServer,
    seat: Callable[..., Seat],
    hank: None,
    returning: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Seat(server, "hank", password=PASSWORD)
    with first:
        first.line("/join dev")
        first.until(lambda: first.book.current.name == "#dev")
        first.line("hello")
        first.sees("hello ✓")
        first.line("/hide")
        file = first.drafts_file
        first.until(lambda: file.exists() and "hidden\t#dev" in file.read_text("utf-8"))
        monkeypatch.setattr(drafts, "SAVE_DELAY", 600.0)
        first.line(*returning)
        first.until(lambda: "hidden\t#dev" not in file.read_text("utf-8"))
        assert "shown\t#dev" in file.read_text("utf-8")
        first.dies()
    second = seat(server, "hank", password=PASSWORD)
    second.until(lambda: second.book.find("#dev") is not None)


def test_what_a_guest_has_said_to_nobody_yet_is_a_draft_after_a_crash(
    start_server: Callable[..., RunningServer], seat: Callable[..., Seat]
) -> None:
    server = start_server()
    first = Seat(server, "hank")
    with first:
        first.line("/msg dale")
        server.stop()
        first.until(lambda: first.book.connection.phase is ConnectionPhase.LOST)
        first.line("one", "two")
        first.types("three")
        first.until(lambda: first.drafts_file.exists() and r"one\ntwo\nthree" in first.drafts_file.read_text("utf-8"))
        first.dies()
    again = seat(start_server(port=server.port), "hank")
    again.types("\x1b1")
    again.until(lambda: again.book.current.draft == "one\ntwo\nthree")


def test_any_conversation_is_reached_by_number_or_name(
    server: RunningServer, seat: Callable[..., Seat], hank: None
) -> None:
    at = seat(server, "hank", password=PASSWORD)
    at.line("/join dev")
    at.until(lambda: at.book.current.name == "#dev")
    at.line(*(f"/msg friend{number}" for number in range(12)))
    at.until(lambda: at.book.current.name == "friend11")
    for where, name in (("11", at.book.conversations[11].name), ("#dev", "#dev"), ("friend1", "friend1")):
        at.line(f"/go {where}")
        at.until(lambda name=name: at.book.current.name == name)
    for where, name in (("@FRIEND0", "friend0"), ("de", "#dev"), ("0", "")):
        at.line(f"/go {where}")
        at.until(lambda name=name: at.book.current.name == name)
    at.line("/go nowhere")
    at.sees("there is no conversation nowhere")


def test_ctrl_c_long_after_another_is_the_first_again(
    server: RunningServer, seat: Callable[..., Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = seat(server, "hank")
    monkeypatch.setattr(controller, "CONFIRM_TIMEOUT", 0.0)
    at.types("\x03\x03")
    at.until(lambda: at.shown.count("press Ctrl-C again to quit") == 2)
    assert not at.mode.is_leaving
    at.types("\x04")
    assert at.leaves() == 0


def test_leaving_says_what_was_not_answered(server: RunningServer, seat: Callable[..., Seat]) -> None:
    at = seat(server, "hank")
    at.link._reconnector._connection.fail(OSError("the cable was pulled"))  # type: ignore[union-attr]
    server.app.stop("to be away for good")
    at.until(lambda: at.book.connection.phase is ConnectionPhase.LOST)
    at.line("/msg dale one")
    at.types("\x04")
    at.sees("Ctrl-C quits at once")
    with pytest.raises(MessagesNotSent, match="may be lost: 1"):
        at.leaves()


def test_an_event_that_cannot_be_dealt_with_is_one_line_and_the_next_one_comes(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner], monkeypatch: pytest.MonkeyPatch
) -> None:
    dale = link("dale", account=False)
    at = seat(server, "hank")
    take = EventPump._handle_event

    def stumbles(following: EventPump, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.delivery.message == "bad":
            raise ValueError("bad")
        take(following, event)

    monkeypatch.setattr(EventPump, "_handle_event", stumbles)
    dale.link.send("hank", "bad")
    dale.link.send("hank", "good")
    at.sees("Internal error (ValueError); details are in the log")
    at.until(lambda: at.book.find("dale") is not None)
    assert "Traceback" not in at.shown


def test_a_burst_while_typing_leaves_the_draft_whole(
    server: RunningServer, seat: Callable[..., Seat], link: Callable[..., Owner]
) -> None:
    dale = link("dale", account=False)
    at = seat(server, "hank")
    at.line("/msg dale")
    for number in range(200):
        dale.link.send("hank", f"number {number}", timeout=TIMEOUT)
        if number % 10 == 0:
            at.types("x")
            gevent.sleep(0)
    at.sees("number 199")
    at.until(lambda: at.book.current.draft == "x" * 20)


def test_a_room_that_one_is_in_is_there_at_once_with_its_members_and_topic(
    server: RunningServer, seat: Callable[..., Seat], hank: None
) -> None:
    with Client(server.host, server.port, "hank", password=PASSWORD, device="phone", timeouts=IMPATIENT) as phone:
        phone.join("#dev")
        phone.set_topic("#dev", "be kind")
    at = seat(server, "hank", password=PASSWORD, columns=120)
    at.until(lambda: at.book.find("#dev") is not None)
    at.types("\x1b1")
    at.sees("be kind")
    assert at.book.open("#dev").members == {"hank": "hank"}
    at.line("/topic be very kind")
    at.until(lambda: at.book.current.topic == "be very kind")


def test_what_was_being_written_at_home_is_there_again(server: RunningServer, seat: Callable[..., Seat]) -> None:
    with Seat(server, "hank") as first:
        first.types("/msg dale half")
        first.until(first.drafts_file.exists)
        first.until(lambda: "half" in first.drafts_file.read_text("utf-8"))
        first.dies()
    seat(server, "hank").sees("] /msg dale half")


def test_no_screen_comes_up_when_the_end_was_said_while_logging_in(
    server: RunningServer, seat: Callable[..., Seat]
) -> None:
    at = Seat(server, "hank")
    at.ending.exit()
    at.mode.run()
    assert not at.paper.raw
    at.link.abort()
    at._stack.close()


def test_what_is_submitted_just_before_the_end_is_handed_to_the_link(
    server: RunningServer, hank: None, seat: Callable[..., Seat], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = seat(server, "hank", password=PASSWORD)
    send, sent = Client.send, []

    def slowly(link: Client, to: str, text: str) -> Any:
        gevent.sleep(0.05)  # as on a slow disk
        sent.append(text)
        return send(link, to, text)

    monkeypatch.setattr(Client, "send", slowly)
    for text in ("one", "two", "three"):
        at.acting.send("hank", text)
    at.ending.exit(143)
    assert at.leaves() == 143
    assert sent == ["one", "two", "three"]
