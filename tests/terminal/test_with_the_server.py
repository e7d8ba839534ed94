"""The client and the real server together: two people at two terminals, a pipe, a restart."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.client import Accepted, Connected, Link, Lost, Patience, Received, Rejected
from gmessenger.errors import NoSuchRoom, Refused
from gmessenger.server import app
from tests.client.conftest import Owner
from tests.conftest import RunningServer
from tests.terminal.conftest import Sit, Start
from tests.terminal.people import TIMEOUT
from tests.terminal.test_at_a_terminal import READY

QUICK = Patience(first_pause=0.02, longest_pause=0.1)


def test_two_people_chat(server: RunningServer, sit: Sit) -> None:
    hank, dale = sit(server, "--name", "hank"), sit(server, "--name", "dale")
    hank.sees(r"Connected to gmessenger/.*\r\n.*\r\nYou are hank")
    hank.sees(READY)
    dale.sees(READY)
    hank.line("/users")
    hank.sees(r"-- 2 here:\r\n   dale\r\n   hank \(you\)")
    hank.line("/msg dale привет 👍")
    hank.sees("-- sent to dale")
    dale.sees(r"\[\d\d:\d\d\] hank: привет 👍\r\n> ")
    dale.line("/msg hank hello \x1b[31m")
    hank.sees(r"dale: hello \^\[\[31m\r\nto dale> ")
    dale.line("/status away")
    hank.sees("-- dale is away")
    dale.line("3")
    assert dale.leaves() == 0
    hank.line("still there?")
    hank.sees("-- not sent to dale: dale has left, .* The text was: still there[?]")
    hank.line("/msg nobody hi")
    hank.sees("-- not sent to nobody: Nobody of that name has been here")
    hank.types("\x04")
    assert hank.leaves() == 0


def test_a_taken_name(server: RunningServer, sit: Sit) -> None:
    hank = sit(server, "--name", "hank")
    hank.sees(READY)
    other = sit(server, "--name", "HANK")
    assert other.leaves() == 77
    assert "uses that name" in other.seen


def test_from_a_pipe_to_a_bot(server: RunningServer, start: Start) -> None:
    bot = start(server, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    assert bot.stdout is not None and bot.stderr is not None
    bot.stderr.readline()
    lines = "".join(f"line {number}\n" for number in range(2000)).encode()
    cron = start(server, "--name", "cron", "--to", "bot")
    _, err = cron.communicate(lines, timeout=TIMEOUT)
    assert (cron.returncode, err) == (0, b"")
    for number in range(2000):
        assert f'"message":"line {number}"'.encode() in bot.stdout.readline()
    bot.send_signal(signal.SIGINT)
    assert bot.wait(timeout=TIMEOUT) == 0


@pytest.fixture
def link(server: RunningServer) -> Callable[[str], Owner]:
    def linked(name: str) -> Owner:
        link = Link(server.host, server.port, name, patience=QUICK)
        link.start()
        return Owner(link)

    return linked


def test_the_library(server: RunningServer, link: Callable[[str], Owner]) -> None:
    hank, dale = link("hank"), link("dale")
    assert "kept" in hank.next(Connected).greeting
    message = hank.link.send("dale", "hi")
    received = dale.next(Received)
    assert (received.delivery.sender, received.delivery.message) == ("hank", "hi")
    assert hank.next(Accepted).message is message
    hank.link.send("dale", "x" * 20_000)
    assert hank.next(Rejected).answer.limit == 16_384
    hank.link.send("dale", "x" * 70_000)
    assert hank.next(Rejected).answer.response == 413
    dale.link.status("out")
    assert [(card.account_name, card.status) for card in hank.link.users()] == [("dale", "out"), ("hank", "online")]
    with pytest.raises(NoSuchRoom):
        hank.link.join("#ops")
    with pytest.raises(Refused, match="uses that name"):
        link("hank")
    hank.link.close(), dale.link.close()


def test_a_restart(
    start_server: Callable[..., Any],
    link: Callable[[str], Owner],
    server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "COME_BACK_IN", 0.05)
    hank, dale = link("hank"), link("dale")
    dale.link.status("out")
    port = server.port
    server.stop()
    lost = hank.next(Lost)
    assert lost.attempt == 1
    hank.link.send("dale", "sent while the server was away")
    dale.next(Lost)
    start_server(port=port)
    # Hank may be back before Dale is; his message waits for her.
    assert dale.next(Received).delivery.message == "sent while the server was away"
    hank.next(Accepted)
    with gevent.Timeout(TIMEOUT):
        while [card.status for card in hank.link.users()] != ["out", "online"]:
            pass
    hank.link.close(), dale.link.close()


def test_resuming(server: RunningServer, link: Callable[[str], Owner]) -> None:
    hank = link("hank")
    hank.next(Connected)
    connection = hank.link._upkeep._connection
    assert connection is not None
    # The line breaks without the server's hearing of it; its token lets hank in again all the same.
    connection.fail(ConnectionError("the cable was pulled"))
    assert hank.next(Lost).reason == "the cable was pulled"
    assert hank.next(Connected).again
    hank.link.close()
