"""Line mode: numbers that name messages, and what is said of replies, edits, erases and reactions."""

from __future__ import annotations

import time

from gmessenger.terminal.message_numbers import MAX_NUMBER, MessageNumbers
from tests.support.scripted_server import FakeServer, Frame
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_rooms_and_history import NOW, entry, log_in, next_request

REPLY: Frame = {"action": "msg", "from": "bob", "to": "#dev", "time": NOW, "message": "a", "seq": 20, "about": 7}


def test_numbers_begin_again_and_name_the_newest() -> None:
    numbers = MessageNumbers()
    assert [numbers.add("#dev", seq, "dale", "hi").number for seq in (5, 6, 5)] == [1, 2, 1]
    for seq in range(10, 10 + MAX_NUMBER):
        numbers.add("#dev", seq, "dale", "hi")
    found = numbers.find(1)
    assert found is not None and found.seq == 10 + MAX_NUMBER - 2
    assert numbers.find_by_seq("#DEV", 5) is None and numbers.find(0) is None


def test_messages_are_named_by_their_numbers(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.push_message("dale", "shall we?\x1b", "#dev", seq=7)
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev dale: shall we[?]\^\[\r\n")
    hank.type_line("/reply 1 yes, at two")
    request = next_request(peer)
    assert (request["to"], request["message"], request["about"]) == ("#dev", "yes, at two", 7)
    peer.respond(request, 200, seq=8)
    hank.wait_for(r"-- sent to #dev \(2\)\r\n")
    for typed, text, about, what, said in (
        ("/edit 2 yes, at three", "yes, at three", 8, "edit", "edited message 2"),
        ("/react 1 👍", "👍", 7, "react", "reacted to message 1 with 👍"),
        ("/unreact 1 👍", "👍", 7, "unreact", "took the reaction 👍 to message 1 back"),
        ("/erase 2", "", 8, "erase", "erased message 2"),
    ):
        hank.type_line(typed)
        request = next_request(peer)
        assert (request["message"], request["about"], request["what"]) == (text, about, what)
        peer.respond(request, 200, seq=9)
        hank.wait_for(f"-- {said}\r\n")
    hank.type_line("/edit 1 not mine")
    peer.respond(next_request(peer), 403, code="not_yours", error="Only who wrote a message may change it.")
    hank.wait_for("-- message 1 in #dev was not edited: Only who .* may change it. Your text was: not mine")
    hank.type_line("/reply 77 yes")
    hank.wait_for("-- no message here has the number 77\r\n")
    hank.type_line("/reply yes")
    hank.wait_for("-- which message[?] give the number that is shown before it")
    hank.type_line("/edit 2")
    hank.wait_for("-- nothing sent: the text is missing")
    hank.type_line("/go #dev")
    hank.type_line("/me waves")
    request = next_request(peer)
    assert (request["message"], request["kind"]) == ("waves", "action")
    peer.respond(request, 200, seq=10)


def test_what_others_do_with_messages_is_said(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    frame = {"action": "msg", "from": "dale", "to": "#dev", "time": time.time()}
    peer.push_message("dale", "shall we", "#dev", seq=7)
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev dale: shall we\r\n")
    peer.send(frame | {"message": "shall we?", "seq": 8, "about": 7, "what": "edit"})
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev dale \(edited\): shall we[?]\r\n")
    peer.send(frame | {"from": "bob", "message": "yes", "seq": 9, "about": 7})
    hank.wait_for(r"        > 1 dale: shall we[?]\r\n2 \[\d\d:\d\d\] #dev bob: yes\r\n")
    peer.send(frame | {"message": "👍", "seq": 10, "about": 9, "what": "react"})
    hank.wait_for("-- dale has reacted to message 2 in #dev: 👍\r\n")
    peer.send(frame | {"message": "", "seq": 11, "about": 7, "what": "erase"})
    hank.wait_for("-- dale has erased message 1 in #dev\r\n")
    peer.send(frame | {"message": "", "seq": 12, "about": 9, "what": "erase", "by": "server"})
    hank.wait_for("-- server has erased message 2 in #dev\r\n")
    peer.send(frame | {"from": "bob", "message": "ok", "seq": 13, "about": 7})
    hank.wait_for(r"        > 1 dale has erased this message\r\n3 \[\d\d:\d\d\] #dev bob: ok\r\n")
    peer.send(frame | {"message": "waves", "seq": 14, "kind": "action"})
    hank.wait_for(r"4 \[\d\d:\d\d\] #dev \* dale waves\r\n")
    peer.send(frame | {"message": "", "seq": 15, "about": 3, "what": "erase"})
    hank.wait_for("-- dale has erased a message in #dev\r\n")


def test_a_reply_to_what_was_not_shown_has_its_beginning(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    frame = {"action": "msg", "from": "bob", "to": "#dev", "time": time.time()}
    for seq, about, page, shown in (
        (20, 7, [entry(7, "shall\nwe?\x1b")], "1 dale: shall we[?]\\^\\["),
        (21, 7, None, "1 dale: shall we[?]"),
        (22, 9, [entry(9, "") | {"erased": True, "by": "hank"}], "4 hank has erased this message"),
    ):
        peer.send(frame | {"message": "yes", "seq": seq, "about": about})
        if page is not None:
            request = next_request(peer)
            assert (request["action"], request["with"], request["before"]) == ("history", "#dev", about + 1)
            peer.respond(request, 200, messages=page, more=True, first=1)
        hank.wait_for(rf"        > {shown}.*\r\n\d \[\d\d:\d\d\] #dev bob: yes\r\n")
    hank.type_line("/reply 1 so do I")
    assert next_request(peer)["about"] == 7


def test_of_a_blocked_user_a_reply_quotes_nothing_but_the_name(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/block dale")
    peer.respond(next_request(peer), 200)
    hank.wait_for("dale is blocked")
    peer.send(REPLY)
    peer.respond(next_request(peer), 200, messages=[entry(7, "rubbish")], more=True, first=1)
    hank.wait_for(r"        > 1 dale: …\r\n2 \[\d\d:\d\d\] #dev bob: a\r\n")


def test_without_an_answer_a_reply_is_shown_alone(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.send(REPLY)
    peer.respond(next_request(peer), 404, code="no_such_room", error="There is no such room.")
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev bob: a\r\n")


def test_after_a_quote_that_was_waited_for_in_vain_replies_are_shown_without(
    fake: FakeServer, open_terminal: OpenTerminal
) -> None:
    """In a long backlog the response is behind more messages than the client reads ahead."""
    hank, peer = log_in(fake, open_terminal)
    peer.send(REPLY, REPLY | {"seq": 21, "about": 8})
    assert next_request(peer)["before"] == 8
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev bob: a\r\n.*2 \[\d\d:\d\d\] #dev bob: a\r\n")
    hank.type_line("/rooms")
    request = next_request(peer)
    assert request["action"] == "rooms"  # and not the history
    peer.respond(request, 200, rooms=[], more=False)


def test_a_guest_loads_nothing_to_be_quoted(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, account=False)
    peer.send(REPLY)
    hank.wait_for(r"1 \[\d\d:\d\d\] #dev bob: a\r\n")


def test_the_history_quotes_what_is_before_it(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go #dev")
    hank.type_line("/history 1")
    peer.respond(next_request(peer), 200, messages=[entry(20, "yes") | {"about": 7}], more=True, first=1)
    request = next_request(peer)
    assert request["before"] == 8
    peer.respond(request, 200, messages=[entry(7, "shall we?")], more=True, first=1)
    hank.wait_for(r"        > 1 dale: shall we[?]\r\n2 \[\d\d:\d\d\] #dev dale: yes\r\n")


def test_a_refused_edit_keeps_its_text(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.push_message("dale", "mine", "#dev", seq=7)
    hank.wait_for("#dev dale: mine\r\n")
    hank.type_line("/edit 1 yours")
    peer.respond(next_request(peer), 403, code="not_yours", error="no")
    hank.wait_for("-- message 1 in #dev was not edited: .* Your text was: yours\r\n")
    hank.type_line("/again")
    request = next_request(peer)
    assert (request["message"], request["about"], request["what"]) == ("yours", 7, "edit")
