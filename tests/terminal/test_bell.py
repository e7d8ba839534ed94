"""Line mode: when the bell rings, and what counts as read."""

from gmessenger.terminal.bell import BELL_INTERVAL, BellPolicy
from tests.support.pty_client import PtyClient
from tests.support.scripted_server import ClientConnection, FakeServer, Frame
from tests.terminal.conftest import OpenTerminal, StartClient
from tests.terminal.test_pipe_mode import feed, finish

READY = r"interrupted it\.\r\n> "


def log_in(
    fake: FakeServer, open_terminal: OpenTerminal, *arguments: str, account: bool = True
) -> tuple[PtyClient, ClientConnection]:
    hank = open_terminal(fake, "--name", "hank", *arguments)
    peer = fake.accept_and_log_in(account=account)
    hank.wait_for(READY)
    return hank, peer


def test_a_message_to_oneself_rings_and_a_mention_in_a_room(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, account=False)
    peer.push_message("dale", "one of many", "#dev")
    hank.wait_for(r"^\r +\r\[\d\d:\d\d\] #dev dale: one of many\r\n> $")
    peer.push_message("dale", "and Hank?", "#dev")
    hank.wait_for(r"^\a\r +\r\[\d\d:\d\d\] #dev dale: and Hank\?\r\n> $")
    peer.push_message("dale", "one", "hank")
    hank.wait_for("dale: one\r\n> $")


def test_a_direct_message_rings(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal, account=False)
    peer.push_message("dale", "one", "hank")
    hank.wait_for(r"^\a\r +\r\[\d\d:\d\d\] dale: one\r\n> $")


def test_who_wants_silence_has_it(fake: FakeServer, open_terminal: OpenTerminal, start_client: StartClient) -> None:
    hank, peer = log_in(fake, open_terminal, "--bell", "no", account=False)
    peer.push_message("dale", "one", "hank")
    hank.wait_for(r"^\r +\r\[\d\d:\d\d\] dale: one\r\n> $")
    hank.type_line("/quit")
    assert hank.wait_for_exit() == 0
    process = start_client(fake, "--name", "hank")
    peer = fake.accept_and_log_in()
    peer.push_message("dale", "one", "hank")
    assert process.stdout is not None
    while b"dale: one" not in (line := process.stdout.readline()):
        assert b"\a" not in line
    assert b"\a" not in line
    feed(process, b"")
    assert finish(process)[0] == 0


def test_what_was_shown_is_read_when_a_line_is_typed(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank, peer = log_in(fake, open_terminal)
    peer.push_message("dale", "one", "hank", seq=1)
    peer.push_message("dale", "two", "hank", seq=2)
    peer.push_message("dale", "in a room", "#dev", seq=7)
    hank.wait_for("in a room")
    hank.type_line("/msg dale three")
    *before, message = frames_until(peer, "msg")
    assert [(frame["with"], frame["seq"]) for frame in before if frame["action"] == "read"] == [
        ("dale", 2),
        ("#dev", 7),
    ]
    peer.respond(message, 200, seq=3)
    hank.wait_for("-- sent to dale")
    hank.type_line("")
    assert frames_until(peer, "read")[-1]["seq"] == 3


def frames_until(peer: ClientConnection, action: str) -> list[Frame]:
    """Read frames up to the first with this action; acknowledgements may come at any time."""
    frames = [peer.receive()]
    while frames[-1]["action"] != action:
        frames.append(peer.receive())
    return frames


def test_bells_do_not_come_in_swarms() -> None:
    now = [0.0]
    policy = BellPolicy(lambda: now[0])
    assert [policy.may_ring() for _ in range(3)] == [True, False, False]
    now[0] += BELL_INTERVAL
    assert policy.may_ring()
