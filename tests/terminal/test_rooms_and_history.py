"""Line mode of an account, on a pty: rooms, history, search, missed and unsent messages."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from gmessenger.client import Accepted, MessageDelivered
from gmessenger.client.sender import make_message
from gmessenger.terminal.line_mode import SLOW_DELIVERY, DeliveryTracker
from gmessenger.wire.events import ResponseFrame
from tests.support.pty_client import PtyClient
from tests.support.scripted_server import ClientConnection, FakeServer, Frame
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_line_mode import READY

NOW = time.time()


def log_in(
    fake: FakeServer, open_terminal: OpenTerminal, *, account: bool = True
) -> tuple[PtyClient, ClientConnection]:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(account=account)
    hank.wait_for(READY)
    return hank, peer


def entry(seq: int, text: str, sender: str = "dale", to: str = "#dev", **more: str) -> Frame:
    return {"from": sender, "to": to, "time": NOW, "message": text, "seq": seq, **more}


def test_a_room(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/topic")
    hank.wait_for("-- which room[?] give its name, as in /leave #ROOM, or write")
    hank.type_line("/go @dale")
    hank.wait_for("to dale> ")
    hank.type_line("/join dev")
    request = peer.expect("join")
    assert request["room"] == "#dev"
    peer.respond(request, 200, members=["hank", "dale\x1b"], topic="be\x07 kind", seq=0)
    hank.wait_for(r"-- you are in #dev, with hank, dale\^\[\r\n-- the topic of #dev: be\^G kind\r\nto #dev> ")
    hank.type_line("hello")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("#dev", "hello")
    peer.respond(message, 200, seq=1)
    hank.wait_for("-- sent to #dev")
    peer.push_message("dale", "hi", "#dev", seq=2)
    hank.wait_for(r"\[\d\d:\d\d\] #dev dale: hi\r\n")
    user = {"account_name": "bob"}
    peer.send({"action": "join", "room": "#dev", "user": user}, {"action": "leave", "room": "#dev", "user": user})
    hank.wait_for(r"-- bob has joined #dev\r\n.*-- bob has left #dev\r\n")
    peer.send({"action": "leave", "room": "#dev", "user": user, "by": "dale"})
    peer.send({"action": "topic", "room": "#dev", "user": user, "topic": "deploys"})
    hank.wait_for(r"-- dale removed bob from #dev\r\n.*-- bob changed the topic of #dev: deploys\r\n")
    hank.type_line("/topic cats")
    peer.respond(next_request(peer), 200)
    hank.wait_for("-- the topic of #dev: cats")
    hank.type_line("/members")
    peer.respond(next_request(peer), 200, users=[{"account_name": "dale", "status": "away"}])
    hank.wait_for(r"-- 1 in #dev:\r\n   dale \(away\)\r\n")
    hank.type_line("/rooms")
    peer.respond(next_request(peer), 200, rooms=[{"room": "#dev", "members": 2, "topic": "cats"}], more=False)
    hank.wait_for(r"-- 1 room:\r\n   #dev \(2\) cats\r\n")
    hank.type_line("/leave")
    peer.respond(next_request(peer), 200)
    hank.wait_for("-- you have left #dev\r\n> ")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"seq": 17, "first": 18},
            "17 messages were sent here before you joined; you can read what is sent from now on",
        ),
        ({"seq": 17, "first": 1}, "you can read the 17 messages that were sent here before"),
        ({"seq": 17, "first": 3, "absent": [[9, 12]]}, "of 17 messages that were sent here before, you can read 11"),
    ],
)
def test_who_joins_is_told_what_can_be_read(
    fake: FakeServer, open_terminal: OpenTerminal, told: dict[str, Any], said: str
) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/join dev")
    peer.respond(peer.expect("join"), 200, members=["hank", "dale"], topic="", **told)
    hank.wait_for(rf"-- you are in #dev, with hank, dale\r\n-- {said}\r\n")


def test_what_may_not_be_read_is_counted(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #dev")
    hank.type_line("/history 5")
    page = [entry(3, "three"), entry(7, "seven")]
    peer.respond(peer.expect("history"), 200, messages=page, more=False, first=3, absent=[[4, 6]])
    hank.wait_for(
        r"-- 2 messages not shown: before you joined\r\n-- the last 2 messages in #dev:\r\n"
        r"1 \[\d\d:\d\d\] #dev dale: three\r\n-- 3 messages not shown: you were not in the room\r\n"
        r"2 \[\d\d:\d\d\] #dev dale: seven\r\n-- end of earlier messages\r\n"
    )


def next_request(peer: ClientConnection) -> Frame:
    """Receive the next frame that is no acknowledgement or read marker."""
    while (frame := peer.receive())["action"] in ("ack", "read"):
        pass
    return frame


def test_history_and_search(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/history")
    hank.wait_for("-- which conversation[?]")
    hank.type_line("/msg dale")
    hank.type_line("/history 3")
    request = peer.expect("history")
    assert (request["with"], request["limit"]) == ("dale", 3)
    page = [entry(2, "two\x1b", to="hank"), {"seq": 3, "erased": True, "message": ""}]
    peer.respond(request, 200, messages=page, more=True)  # cut to the frame
    request = peer.expect("history")
    assert (request["before"], request["limit"]) == (2, 1)
    peer.respond(request, 200, messages=[entry(1, "one", "hank", "dale")], more=False)
    hank.wait_for(
        r"-- the last 3 messages with dale:\r\n1 \[\d\d:\d\d\] hank: one\r\n2 \[\d\d:\d\d\] dale: two\^\[\r\n"
        r"-- this message has been erased\r\n-- end of earlier messages\r\n"
    )
    hank.type_line("/search two words")
    request = peer.expect("search")
    assert request["text"] == "two words"
    found = [entry(9, "new", "hank", "dale", **{"with": "dale"}), entry(4, "old", **{"with": "#dev"})]
    peer.respond(request, 200, messages=found, more=False)
    hank.wait_for(
        r"-- found 2 messages:\r\n  1 \[\d\d:\d\d\] #dev dale: old\r\n  2 \[\d\d:\d\d\] hank to dale: new\r\n"
    )
    hank.type_line("/jump")  # to the newest first
    request = peer.expect("history")
    assert (request["with"], request["before"]) == ("dale", 15)
    peer.respond(request, 200, messages=[entry(8, "before", to="hank"), entry(9, "new", "hank", "dale")], more=False)
    hank.wait_for(
        r"-- messages around the search result, in dale:\r\n"
        r"  \[\d\d:\d\d\] dale: before\r\n> \[\d\d:\d\d\] hank: new\r\n-- end of search results\r\nto dale> "
    )
    hank.type_line("/jump 1")
    request = peer.expect("history")
    assert (request["with"], request["before"]) == ("#dev", 10)
    peer.respond(request, 200, messages=[entry(4, "old", to="#dev")], more=False)
    hank.wait_for(r"> \[\d\d:\d\d\] #dev dale: old\r\n.*\r\nto #dev> ")
    hank.type_line("/jump 3")
    hank.wait_for("-- there is no such search result; they are numbered 1 to 2\r\n")
    for typed, conversation, text in (
        ("#dev two words", "#dev", "two words"),
        ("@dale  word", "dale", "word"),
        ("#dev", None, "#dev"),
        ("# x", None, "# x"),
    ):
        hank.type_line(f"/search {typed}")
        request = peer.expect("search")
        assert (request.get("with"), request["text"]) == (conversation, text)
        peer.respond(request, 200, messages=[], more=False)
        hank.wait_for("-- nothing found")
    hank.type_line("/jump")
    hank.wait_for("-- there are no search results yet; /search WORDS searches for messages")
    for messages, expected in (([], "-- nothing found"), ([entry(9, "new", **{"with": "#dev"})], "#dev dale: new")):
        hank.type_line("/search all")
        peer.respond(peer.expect("search"), 200, messages=messages, more=False, incomplete=True)
        hank.wait_for(
            rf"{expected}\r\n-- the search is incomplete: there may be more results; try less common words, or one room"
        )
    hank.type_line("/search nothing")
    peer.respond(peer.expect("search"), 403, code="accounts_only", error="Only accounts may do this.")
    hank.wait_for("-- Only accounts may do this")


def test_a_hole_is_marked(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.push_message("dale", "one", seq=1)
    peer.push_message("dale", "three", seq=3)
    hank.wait_for("dale: one")
    peer.respond(next_request(peer), 200, messages=[entry(2, "two", to="hank")], more=False)
    hank.wait_for(
        r"-- 1 message with dale arrived out of order; here it is, with those that follow:\r\n"
        r".*dale: two\r\n.*dale: three\r\n"
    )
    peer.push_message("hank", "from afar", "dale", seq=4, id="x")
    hank.wait_for(r"\] you, on another device, to dale: from afar\r\n")


def test_registering(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, account=False)
    hank.type_line("/register")
    hank.wait_for("A password for hank: $")
    hank.type_line("correct horse")
    hank.wait_for("Repeat the password: $")
    hank.type_line("another horse")
    hank.wait_for("-- the passwords differ; nothing was registered\r\n> $")
    hank.type_line("/register invitation")
    hank.wait_for("A password for hank: $")
    hank.type_line("correct horse")
    hank.wait_for("Repeat the password: $")
    hank.type_line("correct horse")
    request = peer.expect("register")
    assert (request["password"], request["invite"]) == ("correct horse", "invitation")
    peer.respond(request, 201, account=True, session="new")
    hank.wait_for("-- hank is now your account")
    peer.close()
    assert fake.accept().accept_login(account=True)["session"] == "new"


def test_what_was_not_sent_is_kept(fake: FakeServer, open_terminal: OpenTerminal, tmp_path: Path) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/msg dale one")
    request = peer.expect("msg")
    hank.signal(signal.SIGKILL)
    hank.wait_for_exit()
    (journal,) = (tmp_path / "unsent").iterdir()
    assert request["id"] in journal.read_text() and journal.stat().st_mode & 0o777 == 0o600
    hank = open_terminal(fake, "--name", "hank", "--answer-timeout", "0.5")
    peer = fake.accept_and_log_in(account=True)
    hank.wait_for("-- 1 message of the last session had no answer; sending it again")
    assert peer.expect("msg") == request
    hank.type("\x04")
    assert hank.wait_for_exit() == 75
    assert "without an answer, saved and sent at the next start: 1." in hank.seen


def test_a_room_is_the_same_in_every_spelling(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/join #Straße")
    peer.respond(peer.expect("join"), 200, members=["hank"], topic="", seq=0)
    hank.wait_for("to #Straße> ")
    hank.type_line("/topic")
    peer.respond(next_request(peer), 200, rooms=[{"room": "#ＳtraSSe", "members": 1, "topic": "roads"}], more=False)
    hank.wait_for("-- the topic of #Straße: roads")
    hank.type_line("/leave #STRAẞE")
    peer.respond(next_request(peer), 200)
    hank.wait_for("-- you have left #STRAẞE\r\n> ")


@pytest.mark.parametrize(("seconds", "notices"), [(SLOW_DELIVERY - 1, False), (SLOW_DELIVERY, True)])
def test_a_word_about_what_is_delivered_late(seconds: float, notices: bool) -> None:
    now = 0.0
    tracker = DeliveryTracker(lambda: now)
    for seq in (1, 2):
        tracker.on_accepted(Accepted(make_message("Dale", "hi"), ResponseFrame(200, seq=seq)))
    tracker.on_accepted(Accepted(make_message("#dev", "hi"), ResponseFrame(200, seq=9)))
    now = seconds
    assert tracker.was_slow(MessageDelivered("dale", 1)) is notices
    assert tracker.was_slow(MessageDelivered("dale", 2)) is notices
    assert not tracker.was_slow(MessageDelivered("dale", 3)) and not tracker.was_slow(MessageDelivered("bob", 1))


def test_delivery_is_recognised_under_another_spelling_of_the_name() -> None:
    now = 0.0
    tracker = DeliveryTracker(lambda: now)
    tracker.on_accepted(Accepted(make_message("ｄａｌｅ", "hi"), ResponseFrame(200, seq=1)))
    now = SLOW_DELIVERY
    assert tracker.was_slow(MessageDelivered("Dale", 1))
