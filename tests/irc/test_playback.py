"""What was missed: nothing is lost where the server dies, and nothing comes again once it has arrived."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gmessenger.server.irc import acknowledgements
from gmessenger.wire.irc.lines import Line
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find
from tests.support.ports import free_port
from tests.support.server import ServerProcess

PASSWORD = "correct-horse"
NUMBERS = itertools.count()
CAPS = ("message-tags", "server-time", "batch")


def log_in(port: int, *caps: str, device: str = "") -> tuple[IrcClient, list[Line]]:
    """Log in as hank; return the client, and what was said while it was away.

    That is all before what zed says now, as it is sent in the order of the conversations' keys.
    """
    client = IrcClient(port)
    name = f"hank@{device}" if device else "hank"
    client.send(f"CAP REQ :{' '.join(caps)}", f"PASS {name}:{PASSWORD}", "NICK hank", "USER u 0 * :u", "CAP END")
    client.expect("001")
    zed = say_something(port)
    seen = [client.receive()]
    while not seen[-1].source.startswith(f"{zed}!"):
        seen.append(client.receive())
    shown = [line for line in seen if line.command in ("PRIVMSG", "NOTICE", "BATCH")]
    batches = {line.params[0][1:] for line in shown if line.params[-1].startswith("zed")}
    return client, [line for line in shown if not is_of_zed(line) and line.params[0][1:] not in batches]


def is_of_zed(line: Line) -> bool:
    """Return whether a line is about what zed has said."""
    return line.source.startswith("zed") or line.params[-1].startswith("*** zed")


def say_something(port: int) -> str:
    """Have a guest that was not there before say something to hank; return its name, which comes last of all."""
    name = f"zed{next(NUMBERS)}"
    with IrcClient(port).log_in(name) as zed:
        zed.ask("PRIVMSG hank :marker")
    return name


def acknowledge(client: IrcClient, port: int) -> None:
    """Wait until the client has said that all has arrived that was sent to it before."""
    say_something(port)
    client.expect("PRIVMSG")
    client.answer_ping("gm")
    client.sync()


def texts(lines: list[Line]) -> list[str]:
    return [line.params[1] for line in lines if line.command == "PRIVMSG"]


def ids(lines: list[Line]) -> list[str]:
    return [line.tags["msgid"] for line in lines if line.command == "PRIVMSG"]


@contextmanager
def serving(store: Path) -> Iterator[tuple[ServerProcess, int]]:
    """Run a server in a process of its own, which speaks IRC on a free port."""
    port = free_port()
    arguments = ("--store", f"sqlite:///{store}", "--irc-port", str(port), "--irc-name", "irc.example")
    with ServerProcess(*arguments) as server:
        server.wait_for_port()
        yield server, port


def test_a_server_that_dies_before_the_pong_has_lost_nothing(tmp_path: Path) -> None:
    store = tmp_path / "chat.db"
    with serving(store) as (server, port):
        with IrcClient(port).log_in("hank") as hank:
            assert "900" in commands(hank.ask(f"NICKSERV REGISTER {PASSWORD}"))
        hank, _ = log_in(port, *CAPS)
        with hank, IrcClient(port).log_in("dale") as dale:
            dale.ask("PRIVMSG hank :one", "PRIVMSG hank :two")
            before = [hank.expect("PRIVMSG"), hank.expect("PRIVMSG")]
            server.stop(signal.SIGKILL)
    with serving(store) as (server, port):
        hank, after = log_in(port, *CAPS)
        with hank:
            assert texts(after) == ["one", "two"]
            assert ids(after) == ids(before)
            acknowledge(hank, port)
            server.stop(signal.SIGKILL)
    with serving(store) as (_, port):
        hank, after = log_in(port, *CAPS)
        with hank:
            assert texts(after) == []


@pytest.fixture
def missed(
    start_irc: Callable[..., IrcServer], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> IrcServer:
    """Hank is away, and dale and a room have written to it. The parameter: how much is played back."""
    irc = start_irc(irc_playback=getattr(request, "param", 500))
    monkeypatch.setattr(acknowledgements, "ACKNOWLEDGE_AFTER", 0.0)
    irc.register("hank", PASSWORD)
    hank, _ = log_in(irc.port)
    dale = irc.log_in("dale", *CAPS)
    irc.join("#dev", hank, dale)
    hank.send("QUIT")
    hank.read_to_end()
    hank.close()
    dale.ask(*[f"PRIVMSG #dev :{number}" for number in range(3)], "PRIVMSG hank :hi")
    return irc


def test_what_was_missed_comes_in_a_batch_of_each_conversation(missed: IrcServer) -> None:
    hank, lines = log_in(missed.port, *CAPS)
    missed.clients.append(hank)
    opened = [line.params for line in lines if line.command == "BATCH" and line.params[0][0] == "+"]
    assert [(kind, target) for _, kind, target in opened] == [("chathistory", "#dev"), ("chathistory", "dale")]
    for reference, _, target in opened:
        inside = [line for line in lines if line.tags.get("batch") == reference[1:]]
        assert texts(inside) == (["0", "1", "2"] if target == "#dev" else ["hi"])
        assert all("time" in line.tags for line in inside)


def test_without_batch_it_comes_between_two_notices_with_its_times(missed: IrcServer) -> None:
    hank, lines = log_in(missed.port)
    missed.clients.append(hank)
    assert commands(lines) == ["NOTICE", "PRIVMSG", "PRIVMSG", "PRIVMSG", "NOTICE", "NOTICE", "PRIVMSG", "NOTICE"]
    assert [line.params[0] for line in lines[:5]] == ["#dev"] * 5
    assert all(line.params[1][0] == "[" for line in lines if line.command == "PRIVMSG")


def test_the_time_before_a_text_costs_none_of_it(missed: IrcServer) -> None:
    dale = next(client for client in missed.clients if isinstance(client, IrcClient) and client.nick == "dale")
    long = "x" * 430
    dale.ask(f"PRIVMSG #dev :{long}")
    hank, lines = log_in(missed.port)
    missed.clients.append(hank)
    assert "".join(texts(lines)).count("x") == len(long)


def test_an_action_is_still_one(missed: IrcServer) -> None:
    dale = next(client for client in missed.clients if isinstance(client, IrcClient) and client.nick == "dale")
    dale.ask("PRIVMSG #dev :\x01ACTION waves\x01")
    hank, lines = log_in(missed.port, "batch")
    missed.clients.append(hank)
    action = next(line.params[1] for line in lines if "waves" in line.params[-1])
    assert action.startswith("\x01ACTION [") and action.endswith("] waves\x01")


@pytest.mark.parametrize("missed", [2], indirect=True)
def test_what_is_too_much_is_left_out_with_a_hint(missed: IrcServer) -> None:
    hank, lines = log_in(missed.port, *CAPS)
    missed.clients.append(hank)
    assert texts(lines) == ["1", "2", "hi"]
    hint = find(lines, "NOTICE").params[1]
    assert hint == "*** 1 older messages in #dev are left out: /quote HISTORY #dev 200"


def test_a_client_that_can_ask_is_played_nothing(missed: IrcServer) -> None:
    hank, lines = log_in(missed.port, *CAPS, "draft/chathistory")
    missed.clients.append(hank)
    assert lines == []
    _, *inside, _ = hank.ask("CHATHISTORY LATEST #dev * 10")
    assert texts(inside) == ["0", "1", "2"]


def test_what_one_device_has_got_no_other_is_played(missed: IrcServer) -> None:
    for number, device in enumerate(("", "laptop", "")):
        hank, lines = log_in(missed.port, *CAPS, device=device)
        missed.clients.append(hank)
        assert texts(lines) == ([] if number else ["0", "1", "2", "hi"])
        if not number:
            acknowledge(hank, missed.port)
        hank.send("QUIT")
        hank.read_to_end()


def test_what_is_said_before_the_session_is_live_is_in_the_answer_to_chathistory(
    missed: IrcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog, late = missed.app.store.backlog, ["late"]
    gus = missed.log_in("gus")

    def say_first(account_id: int) -> object:
        if late:
            gus.ask(f"PRIVMSG hank :{late.pop()}")
        return backlog(account_id)

    monkeypatch.setattr(missed.app.store, "backlog", say_first)
    hank = missed.connect()
    hank.send(f"CAP REQ :{' '.join(CAPS)} draft/chathistory", f"PASS hank:{PASSWORD}", "NICK hank", "USER u 0 * :u")
    answer = hank.ask("CAP END", "CHATHISTORY LATEST gus * 10")
    assert texts(answer) == ["late"]
