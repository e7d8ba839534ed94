"""Clients that do not read: what waits for them is bounded, the others are answered, and an account loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import gevent

from tests.irc.conftest import IrcServer
from tests.support.accounts import PASSWORD
from tests.support.timeouts import TEST_TIMEOUT

MAX_FRAMES: Final = 100
MAX_BYTES: Final = 50_000
BATCH: Final = 25
COUNT: Final = 40 * BATCH
LONG_TEXT: Final = "x" * 300


def start(start_irc: Callable[..., IrcServer]) -> IrcServer:
    irc = start_irc(outbox_frames=MAX_FRAMES, outbox_bytes=MAX_BYTES)
    irc.running.limit_send_buffers(4096)
    return irc


def test_an_account_that_does_not_read_is_sent_everything_once_it_does(start_irc: Callable[..., IrcServer]) -> None:
    irc = start(start_irc)
    irc.register("hank", PASSWORD)
    hank, gus, dale = irc.log_in("hank", "message-tags", password=PASSWORD), irc.log_in("gus"), irc.log_in("dale")
    irc.join("#alley", hank, gus, dale)
    texts = [f"{number} {LONG_TEXT}" for number in range(COUNT)]
    for first in range(0, COUNT, BATCH):
        dale.ask(*(f"PRIVMSG #alley :{text}" for text in texts[first : first + BATCH]))
        for name in ("hank", "gus"):
            (session,) = irc.running.app.messenger.router.sessions(name)
            assert session.outbox.pending_frames <= MAX_FRAMES + 1  # a PING that asks for acknowledgement comes besides
    received = [hank.expect("PRIVMSG") for _ in range(COUNT)]
    assert [line.params[-1] for line in received] == texts
    assert len({line.tags["msgid"] for line in received}) == COUNT


def test_who_asks_and_does_not_read_is_read_no_more(start_irc: Callable[..., IrcServer]) -> None:
    irc = start(start_irc)
    eve, dale = irc.log_in("eve"), irc.log_in("dale")
    asking = gevent.spawn(eve.sock.sendall, b"HELP\r\nMOTD\r\n" * 5_000)
    (session,) = irc.running.app.messenger.router.sessions("eve")
    connection: Any = next(each for each in irc.running.app.acceptor.connections if each.protocol.user_name == "eve")
    deadline = time.monotonic() + TEST_TIMEOUT
    while not connection.writer.is_blocked or not connection._is_handling:
        assert time.monotonic() < deadline, "it is read on and on"
        gevent.sleep(0.01)
    for _ in range(5):
        dale.sync()
        assert session.outbox._size + connection.writer.pending_bytes < 4 * MAX_BYTES
    asking.kill()
