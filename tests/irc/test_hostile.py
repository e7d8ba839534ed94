"""What one client does so that others suffer: names and rules that hardly fit a line, CTCP, long lists."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.constants import SERVER_OWNER
from gmessenger.server.irc.commands import COMMANDS, CommandRow
from gmessenger.server.irc.replies import Reply
from tests.irc.conftest import IrcServer, register
from tests.support.accounts import PASSWORD
from tests.support.irc_client import IrcClient, commands, find, plain
from tests.support.native_clients import Connector

LONGEST = "\U00020000" * 32
"""The name with the most bytes."""
OTHER = "\U00020001" * 32
ROOM = f"#{LONGEST}"
INTERNAL_ERROR = "400"


def check_alive(irc: IrcServer, *clients: IrcClient) -> None:
    """Check that nothing failed, and that each client is answered."""
    for client in clients:
        assert INTERNAL_ERROR not in commands(client.sync())
    assert irc.running.app.supervisor.failure_count == 0


def test_a_list_of_bans_is_shown_where_all_names_have_the_most_bytes(irc: IrcServer) -> None:
    hank = irc.log_in(LONGEST)
    irc.join(ROOM, hank)
    irc.join(ROOM, irc.log_in(OTHER))
    hank.ask(f"MODE {ROOM} +b {OTHER}")
    assert commands(hank.ask(f"MODE {ROOM} b")) == ["367", "368"]
    check_alive(irc, hank)


def test_who_answers_all_fields_where_all_names_have_the_most_bytes(irc: IrcServer) -> None:
    irc.register(LONGEST, PASSWORD)
    hank = irc.log_in(LONGEST, password=PASSWORD)
    irc.join(ROOM, hank)
    answer = hank.ask(f"WHO {ROOM} %tcuihsnfdlaor,123")
    assert commands(answer) == ["354", "315"] and answer[0].params[1] == "123"
    check_alive(irc, hank)


def test_who_answers_a_realname_of_several_words(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert find(hank.ask("WHO hank %nr"), "354").params[1:] == ["hank", "The real hank"]


@pytest.mark.parametrize("roles", [["speaker", "moderator", "owner"], ["moderator", "member"], ["owner"]])
def test_a_role_of_the_longest_name_is_told(irc: IrcServer, connector: Connector, roles: list[str]) -> None:
    for name in ("hank", OTHER, LONGEST):
        register(irc, connector, name)
    hank = irc.log_in(LONGEST, "multi-prefix", password=PASSWORD)
    irc.join(ROOM, hank)
    dale = irc.log_in(OTHER, "multi-prefix", password=PASSWORD)
    irc.join(ROOM, dale)
    native = irc.log_in_natively(LONGEST, PASSWORD)
    for role in roles:
        assert native.request("role", room=ROOM, user=OTHER, role=role)["response"] == 200
    told = [line for line in dale.sync() if line.command == "MODE"]
    assert "".join(letter for line in told for letter in line.params[1] if letter not in "+-")
    assert all(line.params[2:] == [OTHER] * (len(line.params) - 2) for line in told)
    check_alive(irc, hank, dale)


@pytest.mark.parametrize("key", ["x\n", ":x", "\x00", "x\x1f"])
def test_a_key_that_no_line_can_have_is_refused(irc: IrcServer, connector: Connector, key: str) -> None:
    register(irc, connector, "hank")
    hank = irc.log_in("hank", password=PASSWORD)
    irc.join("#alley", hank)
    native = irc.log_in_natively("hank", PASSWORD)
    assert native.request("rule", room="#alley", set={"key": key, "most": 5})["response"] == 400
    assert native.request("rule", room="#alley", set={"key": "x:y", "most": 5})["response"] == 200
    assert find(hank.sync(), "MODE").params == ["#alley", "+kl", "x:y", "5"]
    check_alive(irc, hank)


@pytest.mark.parametrize(
    "text",
    ["\x01DCC SEND x 1 2 3\x01", "hello\n\x01VERSION\x01", "hello\r\x01VERSION\x01", "\x01", "\n\x01\x01VERSION\x01"],
)
def test_ctcp_from_the_native_protocol_asks_no_client_of_irc(irc: IrcServer, connector: Connector, text: str) -> None:
    register(irc, connector, "hank")
    hank, dale = irc.log_in("hank", password=PASSWORD), irc.log_in("dale", "draft/multiline", "message-tags", "batch")
    irc.join("#alley", hank, dale)
    native = irc.log_in_natively("hank", PASSWORD)
    for target in ("#alley", "dale"):
        native.send_message(target, text)
    native.send_message("#alley", "\x01ACTION waves\x01")
    for client in (hank, dale):
        assert not [
            line for line in client.sync() if line.params[-1].startswith("\x01") and "waves" not in line.params[-1]
        ]
    check_alive(irc, hank, dale)


def test_a_message_of_several_lines_asks_no_client(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", "draft/multiline", "message-tags", "batch"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    hank.ask(
        "BATCH +m draft/multiline #alley",
        "@batch=m PRIVMSG #alley :\x01DCC SEND x 1 2 3\x01",
        "@batch=m PRIVMSG #alley :\x01VERSION\x01",
        "BATCH -m",
    )
    assert not [line for line in dale.sync() if line.params[-1].startswith("\x01")]


def test_one_label_for_a_service_and_a_user_is_answered_once(irc: IrcServer) -> None:
    dale = irc.log_in("dale")
    hank = irc.log_in("hank", "labeled-response", "batch", "message-tags", "echo-message")
    answer = hank.ask(f"@label=one PRIVMSG NickServ,dale :REGISTER {PASSWORD}")
    begun = [line.params[0][1:] for line in answer if line.command == "BATCH" and line.params[0][0] == "+"]
    ended = [line.params[0][1:] for line in answer if line.command == "BATCH" and line.params[0][0] == "-"]
    assert begun == ended
    assert len([line for line in answer if line.tags.get("label") == "one"]) == 1
    check_alive(irc, hank, dale)


def test_an_answer_that_cannot_be_written_is_an_internal_error(irc: IrcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "TIME", CommandRow(lambda handler, line: handler.add(Reply("a b", "391"))))
    hank = irc.log_in("hank")
    assert commands(hank.ask("TIME")) == [INTERNAL_ERROR]
    supervisor = irc.running.app.supervisor
    assert supervisor.failure_count == 1
    supervisor.failure_count = 0


def test_a_room_is_named_once_whatever_its_case(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    assert commands(hank.ask("NAMES #alley,#ALLEY,#Alley,#nowhere")) == ["353", "366"]
    assert commands(hank.ask("PART #Alley,#alley")) == ["PART"]


@pytest.mark.parametrize(
    "line",
    [
        "PRIVMSG",
        "NOTICE hank",
        "PRIVMSG a,b,c,d,e x",
        "PRIVMSG #alley :\x01VERSION\x01",
        f"PRIVMSG #alley :{'x' * 480}",
        "PRIVMSG NickServ :HELP",
        "TAGMSG",
        "@batch=x TAGMSG #alley",
        "JOIN ##x",
        "NAMES #a,#b,#c",
    ],
)
def test_what_is_answered_at_once_costs_something(start_irc: Callable[..., IrcServer], line: str) -> None:
    irc = start_irc(request_rate=20)
    hank = irc.log_in("hank", "message-tags")
    irc.join("#alley", hank)
    (session,) = irc.running.app.messenger.router.sessions("hank")
    before = session.buckets.requests.tokens
    assert hank.ask(line, line)
    assert session.buckets.requests.tokens <= before - 2


def test_what_was_refused_is_not_remembered(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "labeled-response", "batch")
    irc.running.app.messenger.moderation.mute(SERVER_OWNER, "hank")
    for target in ("$*", "dale", "#nowhere"):
        refused = hank.ask(*[f"@label=x PRIVMSG {target} :hello"] * 3)
        assert [line.tags.get("label") for line in refused] == ["x"] * 3
    (connection,) = irc.running.app.acceptor.connections
    protocol: Any = connection.protocol
    assert not protocol._handler.sent


def test_no_secret_is_logged(irc: IrcServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter2-hunter2"
    irc.register("hank", PASSWORD)
    early = irc.connect()
    early.send(f"PASS {secret}", f"PASS hank:{secret}", "NICK hank", "USER u 0 * :u")
    early.read_to_end()
    dale = irc.log_in("dale", "sasl")
    for name in ("hank", "nobody"):
        dale.ask("AUTHENTICATE PLAIN", f"AUTHENTICATE {plain(name, secret)}", f"NS IDENTIFY {name} {secret}")
    dale.ask(f"OPER hank {secret}", f"JOIN #alley {secret}", f"PASS {secret}", f"REGISTER nick x {secret}")
    dale.sock.sendall(f"NS IDENTIFY hank {secret}".encode() + b"\xff\r\n" + f"AUTHENTICATE {secret}\0\r\n".encode())
    dale.ask(f"REGISTER * * {secret}", f"NS SET PASSWORD {secret} {secret}x", f"NS DROP {secret}xx", f"OPER {secret}")
    assert caplog.records and secret not in caplog.text and plain("hank", secret) not in caplog.text
    check_alive(irc)
