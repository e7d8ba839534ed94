"""MARKREAD: what was read by one client is read for all of the account."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from gevent.event import Event

from gmessenger.server.irc import read_marks
from gmessenger.server.irc.handler import IrcHandler
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find
from tests.support.native_clients import NativeClient
from tests.support.timeouts import TEST_TIMEOUT

CAPS = ("draft/read-marker", "message-tags", "server-time", "echo-message")
PASSWORD = "correct-horse"
EARLY, LATE = "timestamp=2019-01-04T14:33:26.123Z", "timestamp=2019-06-01T12:00:00.000Z"


def mark(client: IrcClient, *words: str) -> list[str]:
    """Ask or set a mark; return what is answered."""
    return find(client.ask(f"MARKREAD {' '.join(words)}"), "MARKREAD").params


@pytest.mark.parametrize("is_account", [False, True])
def test_a_mark_is_returned_and_never_moves_back(irc: IrcServer, is_account: bool) -> None:
    if is_account:
        irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", *CAPS, password=PASSWORD if is_account else None)
    irc.join("#dev", hank)
    for target in ("#dev", "dale", "#nowhere"):
        assert mark(hank, target) == [target, "*"]
        assert mark(hank, target, LATE) == [target, LATE]
        assert mark(hank, target, EARLY) == [target, LATE]
        assert mark(hank, target.upper()) == [target.upper(), LATE]


def test_nothing_is_read_before_it_is_said(irc: IrcServer) -> None:
    hank = irc.log_in("hank", *CAPS)
    irc.join("#dev", hank)
    said = find(hank.ask("PRIVMSG #dev :hi"), "PRIVMSG").tags["time"]
    _, shown = mark(hank, "#dev", "timestamp=2200-01-01T00:00:00.000Z")
    assert f"timestamp={said}" <= shown < "timestamp=2200"


@pytest.mark.parametrize(
    ("words", "code"),
    [("", "NEED_MORE_PARAMS"), ("#dev *", "INVALID_PARAMS"), ("#dev timestamp=noon", "INVALID_PARAMS")],
)
def test_what_is_no_mark(irc: IrcServer, words: str, code: str) -> None:
    (refusal,) = irc.log_in("hank", *CAPS).ask(f"MARKREAD {words}".strip())
    assert (refusal.command, refusal.params[:2]) == ("FAIL", ["MARKREAD", code])


def test_a_join_says_the_mark_before_the_end_of_the_names(irc: IrcServer) -> None:
    hank = irc.log_in("hank", *CAPS)
    answer = commands(hank.ask("JOIN #dev"))
    assert answer.index("JOIN") < answer.index("MARKREAD") < answer.index("366")
    mark(hank, "#dev", EARLY)
    hank.ask("PART #dev")
    assert find(hank.ask("JOIN #dev"), "MARKREAD").params == ["#dev", EARLY]
    assert "MARKREAD" not in commands(irc.log_in("dale").ask("JOIN #dev"))


def test_other_clients_of_the_account_are_told_and_the_next_is(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    one, two = irc.log_in("hank", *CAPS, password=PASSWORD), irc.log_in("hank", *CAPS, password=PASSWORD)
    irc.join("#dev", one)
    assert find(two.sync(), "MARKREAD").params == ["#dev", "*"]
    mark(one, "#dev", LATE)
    assert find(two.sync(), "MARKREAD").params == ["#dev", LATE]
    three = irc.connect()
    three.send("CAP REQ :sasl draft/read-marker")
    lines = three.log_in("hank", *CAPS, password=PASSWORD)
    assert mark(lines, "#dev") == ["#dev", LATE]


@pytest.fixture
def doors(irc: IrcServer) -> tuple[IrcClient, NativeClient, IrcClient]:
    """An account by IRC and by JIM, and another that writes to it."""
    irc.register("hank", PASSWORD)
    irc.register("dale", PASSWORD)
    hank = irc.log_in("hank", *CAPS, password=PASSWORD)
    native = irc.log_in_natively("hank", PASSWORD, device="phone")
    return hank, native, irc.log_in("dale", *CAPS, password=PASSWORD)


def test_what_was_read_by_jim_is_read_by_irc(doors: tuple[IrcClient, NativeClient, IrcClient]) -> None:
    hank, native, dale = doors
    dale.ask("PRIVMSG hank :one", "PRIVMSG hank :two")
    first = hank.expect("PRIVMSG").tags["time"]
    second = hank.expect("PRIVMSG").tags["time"]
    seq = native.receive()["seq"]
    native.send({"action": "read", "with": "dale", "seq": seq})
    assert hank.expect("MARKREAD").params == ["dale", f"timestamp={first}"]
    native.send({"action": "read", "with": "dale", "seq": seq + 1})
    assert hank.expect("MARKREAD").params == ["dale", f"timestamp={second}"]


def test_after_an_internal_error_the_other_receipts_are_told(
    irc: IrcServer, doors: tuple[IrcClient, NativeClient, IrcClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, native, dale = doors
    irc.register("bobby", PASSWORD)
    begun, may_fail, find_mark = Event(), Event(), read_marks.find_mark

    def fail_once(handler: IrcHandler, target: str) -> float | None:
        if begun.is_set():
            return find_mark(handler, target)
        begun.set()
        assert may_fail.wait(TEST_TIMEOUT)
        raise RuntimeError("of the test")

    monkeypatch.setattr(read_marks, "find_mark", fail_once)
    for writer, name in ((dale, "dale"), (irc.log_in("bobby", password=PASSWORD), "bobby")):
        writer.ask("PRIVMSG hank :hi")
        hank.expect("PRIVMSG")
        native.send({"action": "read", "with": name, "seq": native.receive()["seq"]})
        assert begun.wait(TEST_TIMEOUT)
    native.request("probe")
    hank.sync()
    may_fail.set()
    assert hank.expect("MARKREAD").params[0] == "bobby"
    assert irc.running.failures == 1
    irc.app.supervisor.failure_count = 0


def test_what_was_read_by_irc_is_read_by_jim(doors: tuple[IrcClient, NativeClient, IrcClient]) -> None:
    hank, native, dale = doors
    dale.ask("PRIVMSG hank :one")
    time = hank.expect("PRIVMSG").tags["time"]
    seq = native.receive()["seq"]
    assert mark(hank, "dale", f"timestamp={time}") == ["dale", f"timestamp={time}"]
    event = native.receive()
    assert (event["action"], event["with"], event["seq"]) == ("read", "dale", seq)


def test_a_mark_at_a_message_is_the_same_after_a_restart(start_irc: Callable[..., IrcServer]) -> None:
    first = start_irc()
    first.register("hank", PASSWORD)
    hank = first.log_in("hank", *CAPS, password=PASSWORD)
    first.join("#dev", hank)
    said = [f"timestamp={find(hank.ask(f'PRIVMSG #dev :{text}'), 'PRIVMSG').tags['time']}" for text in ("one", "two")]
    assert mark(hank, "#dev", said[0]) == ["#dev", said[0]]
    first.running.stop()
    again = start_irc().log_in("hank", *CAPS, password=PASSWORD)
    assert mark(again, "#dev") == ["#dev", said[0]]
