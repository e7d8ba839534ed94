"""Only what was written or shown is acknowledged; the rest is delivered to the next client."""

import json
import signal
import subprocess

import pytest

from tests.support.pty_client import TIMEOUT
from tests.support.scripted_server import ClientConnection, FakeServer
from tests.terminal.conftest import OpenTerminal, StartClient
from tests.terminal.test_line_mode import READY

SHORT = 0.3


def acknowledged(peer: ClientConnection) -> int:
    """Return the last acknowledged seq, when no more acknowledgements arrive."""
    last = 0
    peer.sock.settimeout(SHORT)
    try:
        while True:
            frame = peer.receive()
            last = frame["seq"] if frame["action"] == "ack" else last
    except (TimeoutError, EOFError):
        return last


def test_a_reader_that_takes_nothing(fake: FakeServer, start_client: StartClient) -> None:
    bot = start_client(fake, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    peer = fake.accept_and_log_in(account=True)
    for seq in range(1, 401):
        peer.push_message("dale", "x" * 1000, "bot", seq=seq)
    last = acknowledged(peer)
    assert 10 < last < 200  # a pipe's worth
    bot.send_signal(signal.SIGKILL)
    out, _ = bot.communicate(timeout=TIMEOUT)
    written = [json.loads(line)["seq"] for line in out.splitlines() if line.endswith(b"}")]
    assert written == list(range(1, len(written) + 1)) and len(written) >= last


def test_a_stopped_terminal(fake: FakeServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(account=True)
    hank.wait_for(READY)
    hank.type("\x13")  # Ctrl-S
    for seq in range(1, 101):
        peer.push_message("dale", f"{seq} " + "x" * 1000, seq=seq)
    assert acknowledged(peer) < 50
    hank.type("\x11")  # Ctrl-Q
    hank.wait_for("dale: 100 ")
    assert acknowledged(peer) == 100


def test_a_reader_that_takes_nothing_until_the_client_is_stopped(fake: FakeServer, start_client: StartClient) -> None:
    bot = start_client(fake, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    peer = fake.accept_and_log_in(account=True)
    for seq in range(1, 401):
        peer.push_message("dale", "x" * 1000, "bot", seq=seq)
    last = acknowledged(peer)
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(timeout=TIMEOUT) == 143
    out, _ = bot.communicate(timeout=TIMEOUT)
    assert max(last, acknowledged(peer)) <= out.count(b"\n")


def test_a_reader_that_leaves(fake: FakeServer, start_client: StartClient) -> None:
    bot = start_client(fake, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    peer = fake.accept_and_log_in(account=True)
    for seq in range(1, 401):
        peer.push_message("dale", "x" * 1000, "bot", seq=seq)
    last = acknowledged(peer)
    assert bot.stdout is not None
    bot.stdout.close()
    assert bot.wait(timeout=TIMEOUT) == 0
    assert max(last, acknowledged(peer)) == last < 200


def test_what_is_read_at_once_is_acknowledged_when_the_client_is_stopped(
    fake: FakeServer, start_client: StartClient
) -> None:
    bot = start_client(fake, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    peer = fake.accept_and_log_in(account=True)
    for seq in range(1, 21):
        peer.push_message("dale", "text", "bot", seq=seq)
    assert bot.stdout is not None
    for _ in range(20):
        bot.stdout.readline()
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(timeout=TIMEOUT) == 143
    assert acknowledged(peer) == 20


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_stopped_terminal_of_a_client_that_ends(
    fake: FakeServer, open_terminal: OpenTerminal, number: signal.Signals
) -> None:
    hank = open_terminal(fake, "--name", "hank")
    peer = fake.accept_and_log_in(account=True)
    hank.wait_for(READY)
    hank.type("\x13")  # Ctrl-S
    for seq in range(1, 101):
        peer.push_message("dale", f"{seq} " + "x" * 1000, seq=seq)
    last = acknowledged(peer)
    hank.signal(number)
    assert max(last, acknowledged(peer)) == last
    hank.hang_up()
