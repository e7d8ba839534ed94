"""The client with a real server: two users at terminals, a pipe, a restart."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import gevent
import pytest

from gmessenger.client import (
    Accepted,
    Client,
    Connected,
    Disconnected,
    GapDetected,
    MessageReceived,
    MessageSentElsewhere,
    Rejected,
    Timeouts,
)
from gmessenger.errors import NoSuchRoom, Refused
from gmessenger.server import server as server_module
from tests.client.conftest import Reader
from tests.conftest import RunningServer
from tests.support.pty_client import TIMEOUT
from tests.terminal.conftest import OpenTerminal, StartClient
from tests.terminal.test_line_mode import READY

QUICK = Timeouts(initial_backoff=0.02, max_backoff=0.1)


def test_two_people_chat(server: RunningServer, open_terminal: OpenTerminal) -> None:
    hank, dale = open_terminal(server, "--name", "hank"), open_terminal(server, "--name", "dale")
    hank.wait_for(r"Connected to gmessenger/.*\r\n.*\r\nAn account that joins .*\r\nYou are hank")
    hank.wait_for(READY)
    dale.wait_for(READY)
    hank.type_line("/users")
    hank.wait_for(r"-- 2 here:\r\n   dale\r\n   hank \(you\)")
    hank.type_line("/msg dale привет 👍")
    hank.wait_for("-- sent to dale")
    dale.wait_for(r"\[\d\d:\d\d\] hank: привет 👍\r\n> ")
    dale.type_line("/msg hank hello \x1b[31m")
    hank.wait_for(r"dale: hello \^\[\[31m\r\nto dale> ")
    dale.type_line("/status away")
    hank.wait_for("-- dale is away")
    dale.type_line("3")
    assert dale.wait_for_exit() == 0
    hank.type_line("still there?")
    hank.wait_for("-- not sent to dale: dale has left, .* The text was: still there[?]")
    hank.type_line("/msg nobody hi")
    hank.wait_for("-- not sent to nobody: This name is not known on this server")
    hank.type("\x04")
    assert hank.wait_for_exit() == 0


def test_a_lost_device_is_logged_out_by_a_new_password(server: RunningServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(server, "--name", "hank", "--device", "desk")
    hank.wait_for(READY)
    hank.type_line("/register")
    for _ in range(2):
        hank.wait_for(": $")
        hank.type_line("correct horse")
    hank.wait_for("hank is now your account")
    phone = open_terminal(server, "--name", "hank", "--device", "phone", MESSENGER_PASSWORD="correct horse")
    phone.wait_for(READY)
    hank.type_line("/devices")
    hank.wait_for(r"-- 2 devices are logged in:\r\n(.*\r\n)?   phone \(connected now\)\r\n")
    hank.type_line("/password")
    for answer in ("correct horse", "battery staple", "battery staple"):
        hank.wait_for(": $")
        hank.type_line(answer)
    hank.wait_for("-- the password is changed; your other devices are logged out")
    assert phone.wait_for_exit() == 77
    phone = open_terminal(server, "--name", "hank", "--device", "phone", MESSENGER_PASSWORD="battery staple")
    phone.wait_for(READY)
    hank.type_line("/logout phone")
    hank.wait_for("-- phone is logged out")
    assert phone.wait_for_exit() == 77
    hank.type_line("/logout")
    hank.wait_for("-- logged out here")
    assert hank.wait_for_exit() == 0


def test_a_taken_name(server: RunningServer, open_terminal: OpenTerminal) -> None:
    hank = open_terminal(server, "--name", "hank")
    hank.wait_for(READY)
    other = open_terminal(server, "--name", "HANK")
    assert other.wait_for_exit() == 77
    assert "name is already in use" in other.seen


def test_from_a_pipe_to_a_bot(server: RunningServer, start_client: StartClient) -> None:
    bot = start_client(server, "--name", "bot", "--listen", "--json", stdin=subprocess.DEVNULL)
    assert bot.stdout is not None and bot.stderr is not None
    bot.stderr.readline()
    lines = "".join(f"line {number}\n" for number in range(2000)).encode()
    cron = start_client(server, "--name", "cron", "--to", "bot")
    _, err = cron.communicate(lines, timeout=TIMEOUT)
    assert (cron.returncode, err) == (0, b"")
    for number in range(2000):
        assert f'"message":"line {number}"'.encode() in bot.stdout.readline()
    bot.send_signal(signal.SIGINT)
    assert bot.wait(timeout=TIMEOUT) == 0


@pytest.fixture
def connect(server: RunningServer) -> Callable[[str], Reader]:
    def log_in(name: str) -> Reader:
        client = Client(server.host, server.port, name, timeouts=QUICK)
        client.start()
        return Reader(client)

    return log_in


def test_the_library(server: RunningServer, connect: Callable[[str], Reader]) -> None:
    hank, dale = connect("hank"), connect("dale")
    assert "kept" in hank.next(Connected).greeting
    message = hank.client.send("dale", "hi")
    received = dale.next(MessageReceived)
    assert (received.delivery.sender, received.delivery.message) == ("hank", "hi")
    assert hank.next(Accepted).message is message
    hank.client.send("dale", "x" * 20_000)
    assert hank.next(Rejected).response.limit == 16_384
    hank.client.send("dale", "x" * 70_000)
    assert hank.next(Rejected).response.response == 413
    dale.client.set_status("out")
    assert [(card.account_name, card.status) for card in hank.client.users()] == [("dale", "out"), ("hank", "online")]
    with pytest.raises(NoSuchRoom):
        hank.client.join("#ops")
    with pytest.raises(Refused, match="name is already in use"):
        connect("hank")
    hank.client.close(), dale.client.close()


def test_a_restart(
    start_server: Callable[..., Any],
    connect: Callable[[str], Reader],
    server: RunningServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "MIN_RETRY_AFTER", 0.05)
    hank, dale = connect("hank"), connect("dale")
    dale.client.set_status("out")
    port = server.port
    server.stop()
    lost = hank.next(Disconnected)
    assert lost.attempt == 1
    hank.client.send("dale", "sent while the server was away")
    dale.next(Disconnected)
    start_server(port=port)
    # Hank may be back before Dale is; his message waits for her.
    assert dale.next(MessageReceived).delivery.message == "sent while the server was away"
    hank.next(Accepted)
    with gevent.Timeout(TIMEOUT):
        while [card.status for card in hank.client.users()] != ["out", "online"]:
            pass
    hank.client.close(), dale.client.close()


def test_resuming(server: RunningServer, connect: Callable[[str], Reader]) -> None:
    hank = connect("hank")
    hank.next(Connected)
    connection = hank.client._reconnector._connection
    assert connection is not None
    # The line breaks without the server's hearing of it; its token lets hank in again all the same.
    connection.fail(ConnectionError("the cable was pulled"))
    assert hank.next(Disconnected).reason == "the cable was pulled"
    assert hank.next(Connected).reconnected
    hank.client.close()


def test_an_account_from_its_making_to_its_second_device(server: RunningServer, open_terminal: OpenTerminal) -> None:
    hank, dale = open_terminal(server, "--name", "hank"), open_terminal(server, "--name", "dale")
    for person, name in ((hank, "hank"), (dale, "dale")):
        person.wait_for(READY)
        person.type_line("/register")
        person.wait_for(f"A password for {name}: $")
        person.type_line("correct horse")
        person.wait_for("Repeat the password: $")
        person.type_line("correct horse")
        person.wait_for(f"-- {name} is now your account")
        person.type_line("/join #dev")
        person.wait_for("(?s)-- you are in #dev, with .*to #dev> ")
    hank.type_line("3")
    assert hank.wait_for_exit() == 0
    dale.type_line("the deploy is at five")
    dale.wait_for("-- sent to #dev")
    dale.type_line("/msg hank call me")
    dale.wait_for("-- sent to hank")
    hank = open_terminal(server, "--name", "hank")
    hank.wait_for("Password for hank: $")
    hank.type_line("correct horse")
    hank.wait_for(READY)
    hank.wait_for("#dev dale: the deploy is at five")
    hank.wait_for(r"\] dale: call me")
    hank.type_line("/search DEPLOY")
    hank.wait_for(r"-- found 1 message:\r\n  1 \[\d\d:\d\d\] #dev dale: the deploy is at five")
    phone = open_terminal(server, "--name", "hank", "--device", "phone", MESSENGER_PASSWORD="correct horse")
    phone.wait_for(READY)
    phone.type_line("/msg dale from the phone")
    hank.wait_for("you, on another device, to dale: from the phone")
    dale.wait_for("hank: from the phone")
    hank.type_line("/msg dale from the desk")
    phone.wait_for("you, on another device, to dale: from the desk")
    dale.type_line("/history 3")
    dale.wait_for(r"(?s)dale: call me\r\n.*hank: from the phone\r\n.*hank: from the desk\r\n")
    for person in (hank, dale, phone):
        person.type("\x04")
        assert person.wait_for_exit() == 0
    again = open_terminal(server, "--name", "hank", MESSENGER_PASSWORD="correct horse")
    again.wait_for(READY)
    again.type("\x04")
    assert again.wait_for_exit() == 0
    assert "from" not in again.seen and "call me" not in again.seen


def test_a_name_and_a_room_in_any_spelling(
    server: RunningServer, connect: Callable[[str], Reader], open_terminal: OpenTerminal
) -> None:
    hank = connect("hank")
    hank.client.register("correct horse")
    hank.client.close()
    person = open_terminal(server, "--name", "HANK", MESSENGER_PASSWORD="correct horse")
    person.wait_for(READY)
    person.type_line("/users")
    person.wait_for(r"   hank \(you\)")
    for typed, seen in (
        ("/join dev", "-- you are in #dev"),
        ("/members dev", r"-- 1 in #dev:\r\n   hank \(owner, you\)"),
        ("/leave dev", "-- you have left #dev"),
    ):
        person.type_line(typed)
        person.wait_for(seen)
    person.type("\x04")
    assert person.wait_for_exit() == 0


def test_a_script_makes_a_room(
    server: RunningServer, connect: Callable[[str], Reader], start_client: StartClient
) -> None:
    cron = connect("cron")
    cron.client.register("correct horse")
    cron.client.close()
    script = start_client(server, "--name", "cron", "--to", "#ops", password="correct horse")
    assert script.communicate(b"backup done\n", timeout=TIMEOUT) == (b"", b"")
    assert script.returncode == 0
    dale = connect("dale")
    assert dale.client.join("#ops").members == ["cron", "dale"]
    dale.client.send("#ops", "thanks")
    assert dale.next(Accepted).response.seq == 2
    dale.client.close()


def break_line(reader: Reader) -> None:
    connection = reader.client._reconnector._connection
    if connection is not None:
        connection.fail(ConnectionError("the cable was pulled"))


def test_each_message_once_and_in_order_over_lines_that_break(
    server: RunningServer, connect: Callable[[str], Reader]
) -> None:
    hank, dale = connect("hank"), connect("dale")
    for reader in (hank, dale):
        reader.client.register("correct horse")
        reader.client.join("#dev")
    reading = [gevent.spawn(read_texts, reader, 400) for reader in (hank, dale)]
    for number in range(200):
        hank.client.send("#dev", f"hank {number}"), dale.client.send("#dev", f"dale {number}")
        hank.client.send("dale", f"direct {number}"), dale.client.send("hank", f"direct {number}")
        if number % 40 == 20:
            break_line(hank)
        if number % 40 == 30:
            break_line(dale)
        gevent.sleep(0.002)
    for reader, greenlet, other in zip((hank, dale), reading, ("dale", "hank"), strict=True):
        texts = greenlet.get(timeout=TIMEOUT)
        assert [text for text in texts if text.startswith("direct")] == [f"direct {number}" for number in range(200)]
        assert [text for text in texts if text.startswith(other)] == [f"{other} {number}" for number in range(200)]
        assert reader.client.flush(TIMEOUT) == 0
        assert not any(isinstance(event, GapDetected | MessageSentElsewhere | Rejected) for event in reader.seen)
    hank.client.close(), dale.client.close()


def read_texts(reader: Reader, count: int) -> list[str]:
    return [reader.next(MessageReceived).delivery.message for _ in range(count)]
