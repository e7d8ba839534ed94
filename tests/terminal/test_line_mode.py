"""The client on a pty, against a server that does what the test says."""

import os
import re
import signal
import termios

import pytest

from tests.support.pty_client import Person
from tests.support.scripted_server import FakeServer, Peer
from tests.support.timeouts import PATIENCE
from tests.terminal.conftest import Sit

READY = r"interrupted it\.\r\n> "
ESCAPES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def seated(fake: FakeServer, sit: Sit, *arguments: str, greeting: str = "Be kind.") -> tuple[Person, Peer]:
    hank = sit(fake, "--name", "hank", *arguments)
    peer = fake.accept()
    assert peer.let_in(greeting=greeting)["user"] == {"account_name": "hank", "device": os.uname().nodename}
    hank.sees(READY)
    return hank, peer


def test_greeting_help_and_a_conversation(fake: FakeServer, sit: Sit) -> None:
    hank = sit(fake, "--name", "hank")
    peer = fake.enter(greeting="Welcome, stranger.")
    hank.sees(r"Connected to fake/1\.\r\nWelcome, stranger\.\r\nYou are hank\.")
    hank.sees("(?s)1, message, /msg .*2, help, /help .*3, exit, /quit.*> $")
    hank.line("/msg dale hi")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "hi")
    peer.answer(message, 202)
    hank.sees("-- sent to dale\r\nto dale> ")
    peer.say("dale", "hello hank\nhow are you?")
    hank.sees(r"\[\d\d:\d\d\] dale: hello hank\r\n        how are you\?\r\nto dale> ")
    peer.say("bob", "and me?")
    hank.sees("bob: and me[?]\r\nto dale> ")  # whoever writes does not become the addressee
    hank.line("fine, привет 👍")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "fine, привет 👍")
    peer.answer(message, 410, code="not_here", error="They have left.")
    hank.sees("-- not sent to dale: They have left. The text was: fine, привет 👍\r\nto dale> ")
    hank.line("3")
    assert peer.read() == {"action": "quit"}
    assert hank.leaves() == 0


def test_the_dialogue(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("1")
    hank.sees("To whom[?] ")
    hank.line("dale")
    hank.sees("Text for dale: ")
    hank.line("3")  # a text here, whatever it is elsewhere
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "3")
    hank.line("message")
    hank.sees("To whom[?] ")
    hank.line("")
    hank.sees("-- nothing sent\r\nto dale> ")
    hank.line("hello")
    hank.sees("Nobody|to dale> ")
    assert peer.expect("msg")["message"] == "hello"


def test_hints(fake: FakeServer, sit: Sit) -> None:
    hank, _ = seated(fake, sit)
    hank.line("hello?")
    hank.sees("-- There is no recipient yet: write /msg NAME TEXT first")
    hank.line("/uesrs")
    hank.sees("-- There is no command /uesrs. Did you mean /users[?]")
    hank.line("/msg dale")
    hank.sees("to dale> ")
    hank.line("help")
    hank.sees("list the commands")
    hank.line("")
    hank.line("/quit")
    assert hank.leaves() == 0


def test_users_and_status(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/users")
    users = [{"account_name": "dale", "status": "away"}, {"account_name": "hank", "status": "online"}]
    peer.answer(peer.expect("users"), 200, users=users, more=False)
    hank.sees(r"-- 2 here:\r\n   dale \(away\)\r\n   hank \(you\)\r\n> ")
    hank.line("/status out to lunch")
    status = peer.expect("status")
    assert status["status"] == "out to lunch"
    peer.answer(status, 400, code="bad_request", error="A status is shorter.")
    hank.sees("-- A status is shorter.")
    for typed, sent, said in (
        ("out to lunch", "out to lunch", r"-- your status is now: out to lunch \(/status online clears it\)\r\n"),
        ("ONLINE", "online", r"-- your status is online again\r\n"),
    ):
        hank.line(f"/status {typed}")
        status = peer.expect("status")
        assert status["status"] == sent
        peer.answer(status, 200)
        hank.sees(said)
    hank.line("/status")
    peer.answer(peer.expect("users"), 200, users=[{"account_name": "Hank", "status": "away"}], more=False)
    hank.sees("-- your status: away; /status WORDS changes it, /status online clears it\r\n")
    hank.line("/help")
    hank.sees(r"/status \[WORDS\] .*/status online clears it")
    peer.send({"action": "presence", "user": {"account_name": "dale", "status": "offline"}})
    hank.sees("-- dale has left")


def test_conversations_have_numbers(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/go 1")
    hank.sees("-- there is no conversation 1; /go lists them\r\n")
    hank.line("/go")
    peer.answer(peer.expect("conversations"), 400, code="unknown_action", error="?")
    hank.sees("-- there are no conversations yet; /msg NAME or /join #ROOM starts one\r\n")
    peer.say("dale", "hi")
    peer.say("3", "I am called 3", "#dev")
    peer.say("bob", "from all", broadcast=True)
    hank.sees("from all")
    hank.line("/msg 3")
    hank.sees("to 3> ")
    hank.line("/go")
    known = [{"with": "alice", "seq": 3, "first": 1, "read": 3, "unread": 0, "time": 1.0}]
    peer.answer(peer.expect("conversations"), 200, conversations=known, more=False)
    lines = [
        "-- conversations, for /go N:",
        "     1 dale",
        "     2 #dev",
        r"     3 3 \(text without a command goes here\)",
        "     4 alice",
    ]
    hank.sees(r"\r\n".join(lines) + r"\r\nto 3> ")
    for number, name in ((1, "dale"), (2, "#dev"), (4, "alice"), (3, "3"), ("@3", "3"), ("dale", "dale")):
        hank.line(f"/go {number}")
        hank.sees(f"to {name}> ")
    hank.line("/go 5")
    hank.sees("-- there is no conversation 5; /go lists them\r\nto dale> ")


def test_nothing_a_stranger_sends_steers_the_terminal(fake: FakeServer, sit: Sit) -> None:
    hostile = "\x1b[2J\x1b]0;pwned\x07 \x9b31m \u202egnp.exe \x00\x08"
    hank, peer = seated(fake, sit, "--bell", "no", greeting=f"Greetings{hostile}")
    peer.say(f"dale{hostile}", f"text{hostile}\nmore{hostile}", f"#room{hostile}")
    peer.send({"action": "presence", "user": {"account_name": f"dale{hostile}", "status": hostile}})
    peer.send({"response": 400, "code": "bad_frame", "error": f"Error{hostile}", "time": 1.0})
    hank.line("/users")
    peer.answer(peer.expect("users"), 200, users=[{"account_name": f"user{hostile}", "status": hostile}])
    hank.line(f"/msg dale{hostile[:3]} hi")
    hank.line("/quit")
    asked = peer.read()
    while asked["action"] != "quit":
        if asked["action"] == "msg":
            peer.answer(asked, 403, code="x", error=f"No{hostile}")
        asked = peer.read()
    assert hank.leaves() == 0
    for word in ("text", "more", "Error", "user", "No", "#room"):
        assert f"{word}^[[2J^[]0;pwned^G <9b>31m <202e>gnp.exe ^@^H" in hank.seen
    assert not ESCAPES.search(hank.seen.replace("\x1b[2", ""))  # that one the terminal itself echoed


def test_what_is_typed_while_the_line_is_down_is_sent_later(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/msg dale one")
    assert peer.take(1) == ["one"]
    hank.sees("sent to dale")
    peer.close()
    fake.stop_listening()
    hank.sees(
        "-- connection lost: the server closed the connection; trying again in .* s; messages you type .* sent then"
    )
    hank.line("two")
    hank.sees("-- queued: the connection is lost; this message goes to dale when it is back\r\nto dale> ")
    hank.line("/users")
    hank.sees("-- the connection is lost; try again")
    with FakeServer(fake.port) as again:
        peer = again.enter()
        assert peer.take(1) == ["two"]
        hank.sees("-- connected again; sending 1 now")
        hank.sees("-- sent to dale")
        hank.types("\x04")
        assert hank.leaves() == 0


def test_the_name_is_asked_for_when_none_is_given(fake: FakeServer, sit: Sit) -> None:
    hank = sit(fake)
    hank.sees("Your name: $")
    hank.line("  ")
    hank.sees("Your name: $")
    hank.line("хэнк")
    assert fake.accept().let_in()["user"]["account_name"] == "хэнк"
    hank.sees("You are хэнк")


def test_what_was_refused_can_be_sent_again(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/again")
    hank.sees("-- no message was refused")
    hank.line("/msg dale " + "far too long " * 10)
    peer.answer(peer.expect("msg"), 400, code="too_long", error="Say less.")
    hank.sees("-- not sent to dale: ")
    hank.line("/msg bob and to somebody else")
    peer.answer(peer.expect("msg"))
    hank.line("/again")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "far too long " * 10)
    peer.answer(message, 400, code="too_long", error="Say less.")
    hank.sees("-- not sent to dale: ")
    hank.line("/again short")
    message = peer.expect("msg")
    assert (message["to"], message["message"]) == ("dale", "short")


@pytest.mark.parametrize("way", ["\x04", "\x03"])
def test_no_name_after_all(fake: FakeServer, sit: Sit, way: str) -> None:
    hank = sit(fake)
    hank.sees("Your name: $")
    hank.types(way)
    assert hank.leaves() == 0


def test_leaving_waits_for_answers(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/msg dale one")
    message = peer.expect("msg")
    hank.types("\x04")
    hank.sees("-- waiting for 1 answer; Ctrl-C quits at once")
    peer.answer(message, 202)
    hank.sees("-- sent to dale")
    assert peer.read() == {"action": "quit"}
    assert hank.leaves() == 0


def test_leaving_does_not_wait_for_ever(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit, "--answer-timeout", "0.2")
    hank.line("/msg dale one")
    peer.expect("msg")
    hank.types("\x04")
    assert hank.leaves() == 75
    assert "gmessenger-client: Messages without an answer, which may be lost: 1." in hank.seen


def test_control_c_leaves(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.types("half a line\x03")
    assert peer.read() == {"action": "quit"}
    assert hank.leaves() == 0


def test_control_c_twice_leaves_at_once(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/msg dale one")
    peer.expect("msg")
    hank.types("\x03")
    hank.sees("waiting for 1")
    hank.types("\x03")
    assert hank.leaves() == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)])
def test_signals(fake: FakeServer, sit: Sit, number: signal.Signals, code: int) -> None:
    hank, peer = seated(fake, sit)
    before = termios.tcgetattr(hank.master)
    hank.signal(number)
    peer.expect_left()
    assert hank.leaves() == code
    assert before[3] & termios.ECHO
    assert "Traceback" not in hank.seen


def test_the_terminal_goes_away(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.hang_up()
    peer.expect_left()
    assert hank.process.wait(timeout=PATIENCE) == 129


def test_a_terminal_that_stops_does_not_stop_the_heartbeat(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit, "--probe-after", "0.1", "--answer-timeout", "0.2")
    hank.types("\x13")  # Ctrl-S
    for number in range(2000):
        peer.say("dale", f"{number} " + "x" * 80)
    for _ in range(4):
        assert peer.read() == {"action": "probe"}
    hank.types("\x11")  # Ctrl-Q
    hank.sees("dale: 1999 ")
    assert "connection lost" not in hank.seen


def test_a_stopped_terminal_does_not_stop_leaving(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.types("\x13")
    for _ in range(300):
        peer.say("dale", "x" * 100)
    hank.signal(signal.SIGTERM)
    assert hank.process.wait(timeout=PATIENCE) == 143


def test_refused(fake: FakeServer, sit: Sit) -> None:
    hank = sit(fake, "--name", "hank")
    fake.accept().turn_away(409, "name_in_use", "This name is already in use\x1b; choose another.")
    assert hank.leaves() == 77
    assert hank.seen == "gmessenger-client: This name is already in use^[; choose another.\r\n"


def test_replaced(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    peer.send({"response": 409, "code": "replaced", "error": "You are elsewhere.", "time": 1.0})
    assert hank.leaves() == 77
    assert "gmessenger-client: You are elsewhere. (Two clients of one account" in hank.seen


def test_a_long_typed_line_is_not_sent_in_part(fake: FakeServer, sit: Sit) -> None:
    hank, peer = seated(fake, sit)
    hank.line("/msg dale " + "x" * 5000)
    hank.sees("-- not sent: a line can have at most 4095 bytes typed at once")
    hank.line("/msg dale short")
    assert peer.expect("msg")["message"] == "short"


def test_a_narrow_terminal(fake: FakeServer, sit: Sit) -> None:
    hank = sit(fake, "--name", "hank", columns=40)
    peer = fake.enter()
    hank.sees(r"  1, message, /msg \[NAME \[TEXT\]\]\r\n      write to NAME")
    hank.sees(READY)
    peer.say("dale", "a sentence that is longer than the terminal is wide")
    hank.sees(r"dale: a sentence that is longer\r\n   than the terminal is wide\r\n> ")
