"""Line mode on a pty, with a scripted server."""

import os
import re
import signal
import termios

import pytest

from tests.support.pty_client import PtyClient
from tests.support.scripted_server import ClientConnection, FakeServer
from tests.support.timeouts import TEST_TIMEOUT
from tests.terminal.conftest import OpenTerminal

READY = r"interrupted it\.\r\n> "
ESCAPES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def log_in(
    fake: FakeServer, open_terminal: OpenTerminal, *arguments: str, greeting: str = "Be kind."
) -> tuple[PtyClient, ClientConnection]:
    hank = open_terminal(fake, "--name", "hank", *arguments)
    peer = fake.accept()
    assert peer.accept_login(greeting=greeting)["user"] == {"account_name": "hank", "device": os.uname().nodename}
    hank.wait_for(READY)
    return hank, peer


def test_greeting_help_and_a_conversation(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(greeting="Welcome, stranger.")
    hank.wait_for(r"Connected to fake/1\.\r\nWelcome, stranger\.\r\nYou are hank\.")
    hank.wait_for("(?s)1, message, /msg .*2, help, /help .*3, exit, /quit.*> $")
    hank.type_line("/msg dale hi")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "hi")
    peer.respond(message, 202)
    hank.wait_for("-- sent to dale\r\nto dale> ")
    peer.push_message("dale", "hello hank\nhow are you?")
    hank.wait_for(r"\[\d\d:\d\d\] dale: hello hank\r\n        how are you\?\r\nto dale> ")
    peer.push_message("bob", "and me?")
    hank.wait_for("bob: and me[?]\r\nto dale> ")  # an incoming message does not change the recipient
    hank.type_line("fine, привет 👍")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "fine, привет 👍")
    peer.respond(message, 410, code="not_here", error="They have left.")
    hank.wait_for("-- not sent to dale: They have left. The text was: fine, привет 👍\r\nto dale> ")
    hank.type_line("3")
    assert peer.receive() == {"action": "quit"}
    assert hank.wait_for_exit() == 0


def test_the_dialogue(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("1")
    hank.wait_for("To whom[?] ")
    hank.type_line("dale")
    hank.wait_for("Text for dale: ")
    hank.type_line("3")  # a text here, whatever it is elsewhere
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "3")
    hank.type_line("message")
    hank.wait_for("To whom[?] ")
    hank.type_line("")
    hank.wait_for("-- nothing sent\r\nto dale> ")
    hank.type_line("hello")
    hank.wait_for("Nobody|to dale> ")
    assert peer.expect("msg")["message"] == "hello"


def test_hints(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, _ = log_in(fake, open_terminal)
    hank.type_line("hello?")
    hank.wait_for("-- There is no recipient yet: write /msg NAME TEXT first")
    hank.type_line("/uesrs")
    hank.wait_for("-- There is no command /uesrs. Did you mean /users[?]")
    hank.type_line("/msg dale")
    hank.wait_for("to dale> ")
    hank.type_line("help")
    hank.wait_for("list the commands")
    hank.type_line("")
    hank.type_line("/quit")
    assert hank.wait_for_exit() == 0


def test_users_and_status(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/users")
    users = [{"account_name": "dale", "status": "away"}, {"account_name": "hank", "status": "online"}]
    peer.respond(peer.expect("users"), 200, users=users, more=False)
    hank.wait_for(r"-- 2 here:\r\n   dale \(away\)\r\n   hank \(you\)\r\n> ")
    hank.type_line("/status out to lunch")
    status = peer.expect("status")
    assert status["status"] == "out to lunch"
    peer.respond(status, 400, code="bad_request", error="A status is shorter.")
    hank.wait_for("-- A status is shorter.")
    for typed, sent, expected in (
        ("out to lunch", "out to lunch", r"-- your status is now: out to lunch \(/status online clears it\)\r\n"),
        ("ONLINE", "online", r"-- your status is online again\r\n"),
    ):
        hank.type_line(f"/status {typed}")
        status = peer.expect("status")
        assert status["status"] == sent
        peer.respond(status, 200)
        hank.wait_for(expected)
    hank.type_line("/status")
    peer.respond(peer.expect("users"), 200, users=[{"account_name": "Hank", "status": "away"}], more=False)
    hank.wait_for("-- your status: away; /status WORDS changes it, /status online clears it\r\n")
    hank.type_line("/help")
    hank.wait_for(r"/status \[WORDS\] .*/status online clears it")
    peer.send({"action": "presence", "user": {"account_name": "dale", "status": "offline"}})
    hank.wait_for("-- dale has left")


def test_conversations_have_numbers(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/go 1")
    hank.wait_for("-- there is no conversation 1; /go lists them\r\n")
    hank.type_line("/go")
    peer.respond(peer.expect("conversations"), 400, code="unknown_action", error="?")
    hank.wait_for("-- there are no conversations yet; /msg NAME or /join #ROOM starts one\r\n")
    peer.push_message("dale", "hi")
    peer.push_message("3", "I am called 3", "#dev")
    peer.push_message("bob", "from all", broadcast=True)
    hank.wait_for("from all")
    hank.type_line("/msg 3")
    hank.wait_for("to 3> ")
    hank.type_line("/go")
    known = [{"with": "alice", "seq": 3, "first": 1, "read": 3, "unread": 0, "time": 1.0}]
    peer.respond(peer.expect("conversations"), 200, conversations=known, more=False)
    lines = [
        "-- conversations, for /go N:",
        "     1 dale",
        "     2 #dev",
        r"     3 3 \(text without a command goes here\)",
        "     4 alice",
    ]
    hank.wait_for(r"\r\n".join(lines) + r"\r\nto 3> ")
    for number, name in ((1, "dale"), (2, "#dev"), (4, "alice"), (3, "3"), ("@3", "3"), ("dale", "dale")):
        hank.type_line(f"/go {number}")
        hank.wait_for(f"to {name}> ")
    hank.type_line("/go 5")
    hank.wait_for("-- there is no conversation 5; /go lists them\r\nto dale> ")


def test_nothing_a_stranger_sends_steers_the_terminal(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hostile = "\x1b[2J\x1b]0;pwned\x07 \x9b31m \u202egnp.exe \x00\x08"
    hank, peer = log_in(fake, open_terminal, "--bell", "no", greeting=f"Greetings{hostile}")
    peer.push_message(f"dale{hostile}", f"text{hostile}\nmore{hostile}", f"#room{hostile}")
    peer.send({"action": "presence", "user": {"account_name": f"dale{hostile}", "status": hostile}})
    peer.send({"response": 400, "code": "bad_frame", "error": f"Error{hostile}", "time": 1.0})
    hank.type_line("/users")
    peer.respond(peer.expect("users"), 200, users=[{"account_name": f"user{hostile}", "status": hostile}])
    hank.type_line(f"/msg dale{hostile[:3]} hi")
    hank.type_line("/quit")
    frame = peer.receive()
    while frame["action"] != "quit":
        if frame["action"] == "msg":
            peer.respond(frame, 403, code="x", error=f"No{hostile}")
        frame = peer.receive()
    assert hank.wait_for_exit() == 0
    for word in ("text", "more", "Error", "user", "No", "#room"):
        assert f"{word}^[[2J^[]0;pwned^G <9b>31m <202e>gnp.exe ^@^H" in hank.seen
    assert not ESCAPES.search(hank.seen.replace("\x1b[2", ""))  # that one the terminal itself echoed


def test_what_is_typed_while_the_line_is_down_is_sent_later(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/msg dale one")
    assert peer.accept_messages(1) == ["one"]
    hank.wait_for("sent to dale")
    peer.close()
    fake.stop_listening()
    hank.wait_for(
        "-- connection lost: the server closed the connection; trying again in .* s; messages you type .* sent then"
    )
    hank.type_line("two")
    hank.wait_for("-- queued: the connection is lost; this message goes to dale when it is back\r\nto dale> ")
    hank.type_line("/users")
    hank.wait_for("-- the connection is lost; try again")
    with FakeServer(fake.port) as again:
        peer = again.accept_and_log_in()
        assert peer.accept_messages(1) == ["two"]
        hank.wait_for("-- connected again; sending 1 now")
        hank.wait_for("-- sent to dale")
        hank.type("\x04")
        assert hank.wait_for_exit() == 0


def test_the_name_is_asked_for_when_none_is_given(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake)
    hank.wait_for("Your name: $")
    hank.type_line("  ")
    hank.wait_for("Your name: $")
    hank.type_line("хэнк")
    assert fake.accept().accept_login()["user"]["account_name"] == "хэнк"
    hank.wait_for("You are хэнк")


def test_what_was_refused_can_be_sent_again(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/again")
    hank.wait_for("-- no message was refused")
    hank.type_line("/msg dale " + "far too long " * 10)
    peer.respond(peer.expect("msg"), 400, code="too_long", error="Say less.")
    hank.wait_for("-- not sent to dale: ")
    hank.type_line("/msg bob and to somebody else")
    peer.respond(peer.expect("msg"))
    hank.type_line("/again")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "far too long " * 10)
    peer.respond(message, 400, code="too_long", error="Say less.")
    hank.wait_for("-- not sent to dale: ")
    hank.type_line("/again short")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "short")


@pytest.mark.parametrize("signal_name", ["\x04", "\x03"])
def test_no_name_after_all(fake: FakeServer, open_terminal: OpenTerminal, signal_name: str) -> None:
    hank = open_terminal(fake)
    hank.wait_for("Your name: $")
    hank.type(signal_name)
    assert hank.wait_for_exit() == 0


def test_leaving_waits_for_answers(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/msg dale one")
    message = peer.expect("msg")
    hank.type("\x04")
    hank.wait_for("-- waiting for 1 answer; Ctrl-C quits at once")
    peer.respond(message, 202)
    hank.wait_for("-- sent to dale")
    assert peer.receive() == {"action": "quit"}
    assert hank.wait_for_exit() == 0


def test_leaving_does_not_wait_for_ever(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, "--answer-timeout", "0.2")
    hank.type_line("/msg dale one")
    peer.expect("msg")
    hank.type("\x04")
    assert hank.wait_for_exit() == 75
    assert "gmessenger-client: Messages without an answer, which may be lost: 1." in hank.seen


def test_control_c_leaves(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type("half a line\x03")
    assert peer.receive() == {"action": "quit"}
    assert hank.wait_for_exit() == 0


def test_control_c_twice_leaves_at_once(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/msg dale one")
    peer.expect("msg")
    hank.type("\x03")
    hank.wait_for("waiting for 1")
    hank.type("\x03")
    assert hank.wait_for_exit() == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_signals(fake: FakeServer, open_terminal: OpenTerminal, number: signal.Signals, code: int) -> None:
    hank, peer = log_in(fake, open_terminal)
    before = termios.tcgetattr(hank.master)
    hank.signal(number)
    peer.expect_closed()
    assert hank.wait_for_exit() == code
    assert before[3] & termios.ECHO
    assert "Traceback" not in hank.seen


def test_the_terminal_goes_away(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.hang_up()
    peer.expect_closed()
    assert hank.process.wait(timeout=TEST_TIMEOUT) == 129


def test_a_terminal_that_stops_does_not_stop_the_heartbeat(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, "--probe-after", "0.1", "--answer-timeout", "0.5")
    hank.type("\x13")  # Ctrl-S
    for number in range(2000):
        peer.push_message("dale", f"{number} " + "x" * 80)
    for _ in range(8):
        assert peer.receive() == {"action": "probe"}
    hank.type("\x11")  # Ctrl-Q
    match = hank.wait_for("dale: 1999 ")
    assert "connection lost" not in match.string[: match.end()]


def test_a_stopped_terminal_does_not_stop_leaving(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type("\x13")
    for _ in range(300):
        peer.push_message("dale", "x" * 100)
    hank.signal(signal.SIGTERM)
    assert hank.process.wait(timeout=TEST_TIMEOUT) == 143


def test_refused(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank")
    fake.accept().reject_login(409, "name_in_use", "This name is already in use\x1b; choose another.")
    assert hank.wait_for_exit() == 77
    assert hank.seen == "gmessenger-client: This name is already in use^[; choose another.\r\n"


def test_replaced(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.send({"response": 409, "code": "replaced", "error": "You are elsewhere.", "time": 1.0})
    assert hank.wait_for_exit() == 77
    assert "gmessenger-client: You are elsewhere. (Two clients of one account" in hank.seen


def test_a_long_typed_line_is_not_sent_in_part(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    hank.type_line("/msg dale " + "x" * 5000)
    hank.wait_for("-- not sent: a line can have at most 4095 bytes typed at once")
    hank.type_line("/msg dale short")
    assert peer.expect("msg")["message"] == "short"


def test_a_narrow_terminal(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank", columns=40)
    peer = fake.accept_and_log_in()
    hank.wait_for(r"  1, message, /msg \[NAME \[TEXT\]\]\r\n      write to NAME")
    hank.wait_for(READY)
    peer.push_message("dale", "a sentence that is longer than the terminal is wide")
    hank.wait_for(r"dale: a sentence that is longer\r\n   than the terminal is wide\r\n> ")
