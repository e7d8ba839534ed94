"""OPER, and what operators may do to users, networks and rooms."""

from __future__ import annotations

import time

import pytest

from gmessenger.chat.admin import AdminService
from tests.conftest import FAST
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find

PASSWORD = "opensesame"
OPERATORS_ONLY = [
    "KILL dale",
    "KLINE dale",
    "UNKLINE dale",
    "DLINE 192.0.2.1",
    "UNDLINE 192.0.2.1",
    "MUTE dale",
    "UNMUTE dale",
    "CLOSE #alley",
    "OPEN #alley",
    "STATS k",
    "WALLOPS :hello",
]


@pytest.fixture
def operator(irc: IrcServer) -> IrcClient:
    """A guest who acts as the operator boss."""
    irc.register("boss", PASSWORD)
    AdminService(irc.app.messenger, irc.app.store, FAST, time.time).grant("boss")
    guest = irc.log_in("guest")
    answer = guest.ask(f"OPER boss {PASSWORD}")
    assert commands(answer) == ["MODE", "381"]
    assert find(answer, "MODE").params == ["guest", "+o"]
    return guest


def test_oper_shows_in_what_is_told_of_one_until_it_is_given_up(irc: IrcServer, operator: IrcClient) -> None:
    hank = irc.log_in("hank")
    assert "313" in commands(hank.ask("WHOIS guest"))
    assert find(hank.ask("WHO guest"), "352").params[6] == "H*"
    assert find(hank.ask("USERHOST guest"), "302").params[1].startswith("guest*=+")
    assert [line.params[5] for line in hank.ask("WHO * o") if line.command == "352"] == ["guest"]
    assert "338" in commands(operator.ask("WHOIS hank"))
    assert find(operator.ask("MODE guest"), "221").params[1] == "+o"
    assert find(operator.ask("MODE guest -o"), "MODE").params == ["guest", "-o"]
    assert "313" not in commands(hank.ask("WHOIS guest"))
    assert commands(operator.ask("KILL hank")) == ["481"]


def test_who_loses_the_rights_of_an_operator_is_told(irc: IrcServer, operator: IrcClient) -> None:
    boss = irc.log_in("boss", password=PASSWORD)
    admin = AdminService(irc.app.messenger, irc.app.store, FAST, time.time)
    admin.revoke("boss")
    for client in (operator, boss):
        mode, notice = client.sync()
        assert (mode.command, mode.params) == ("MODE", [client.nick, "-o"]) and "any more" in notice.params[1]
    assert commands(operator.ask("KILL boss")) == ["481"]
    admin.grant("boss")
    assert commands(boss.sync()) == ["MODE", "NOTICE"] and operator.sync() == []


@pytest.mark.parametrize("wrong", ["boss wrong", "nobody wrong", f"hank {PASSWORD}"])
def test_oper_with_anything_wrong_is_refused(irc: IrcServer, operator: IrcClient, wrong: str) -> None:
    irc.register("hank", PASSWORD)
    dale = irc.log_in("dale")
    assert commands(dale.ask(f"OPER {wrong}")) == ["464"]
    assert commands(dale.ask("OPER boss")) == ["461"]
    assert find(dale.ask("MODE dale"), "221").params[1] == "+"


@pytest.mark.parametrize("line", OPERATORS_ONLY)
def test_others_may_not(irc: IrcServer, line: str) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", dale)
    assert "481" in commands(hank.ask(line))
    assert dale.ask("PRIVMSG #alley :still here") == []


def test_kill_ends_the_connections_of_a_nick(irc: IrcServer, operator: IrcClient) -> None:
    dale = irc.log_in("dale")
    assert commands(operator.ask("KILL dale :enough")) == ["NOTICE"]
    lines = dale.read_to_end()
    assert commands(lines) == ["KILL", "ERROR"] and "enough" in lines[0].params[1]
    assert commands(operator.ask("KILL dale")) == ["401"]


def test_kline_bans_a_nick(irc: IrcServer, operator: IrcClient) -> None:
    dale = irc.log_in("dale")
    assert commands(operator.ask("KLINE 10 dale!*@* :enough")) == ["NOTICE"]
    assert commands(dale.read_to_end()) == ["465", "ERROR"]
    again = irc.connect()
    again.send("NICK dale", "USER u 0 * :u")
    assert commands(again.read_to_end()) == ["465", "ERROR"]
    listed = find(operator.ask("STATS k"), "216").params
    assert listed[1:3] == ["K", "dale"] and listed[4] == "boss" and listed[5].startswith("enough, until ")
    assert commands(operator.ask("UNKLINE dale")) == ["NOTICE"]
    irc.log_in("dale")
    assert "no such" in find(operator.ask("UNKLINE dale"), "NOTICE").params[1]


def test_dline_bans_a_network(irc: IrcServer, operator: IrcClient) -> None:
    assert commands(operator.ask("DLINE 192.0.2.0/24 :enough")) == ["NOTICE"]
    assert find(operator.ask("STATS k"), "216").params[1:] == ["K", "192.0.2.0/24", "*", "boss", "enough"]
    assert commands(operator.ask("UNDLINE 192.0.2.0/24", "STATS k")) == ["NOTICE", "219"]
    assert commands(operator.ask("DLINE nonsense")) != ["NOTICE", "NOTICE"]


def test_mute_refuses_what_a_nick_says(irc: IrcServer, operator: IrcClient) -> None:
    dale = irc.log_in("dale")
    irc.join("#alley", dale)
    operator.ask("MUTE 10 dale :enough")
    assert commands(dale.ask("PRIVMSG #alley :hi")) == ["404"]
    operator.ask("UNMUTE dale")
    assert dale.ask("PRIVMSG #alley :hi") == []


def test_close_refuses_messages_and_joins(irc: IrcServer, operator: IrcClient) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", dale)
    operator.ask("CLOSE #alley :spam")
    assert commands(dale.ask("PRIVMSG #alley :hi")) == ["NOTICE", "404"]
    assert commands(hank.ask("JOIN #alley")) == ["474"]
    operator.ask("OPEN #alley")
    assert commands(dale.ask("PRIVMSG #alley :hi")) == ["NOTICE"]
    assert commands(operator.ask("CLOSE #nowhere")) == ["403"]


def test_stats_tells_since_when_the_server_is_up(irc: IrcServer) -> None:
    assert find(irc.log_in("hank").ask("STATS u"), "242").params[1].startswith("Server Up 0 days 0:00:")


def test_wallops_is_for_those_with_its_mode(irc: IrcServer, operator: IrcClient) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    for client in (hank, bill):
        client.ask(f"MODE {client.nick} +w")
    bill.ask("MODE bill -w")
    assert operator.ask("WALLOPS :The server moves at noon") == []
    (told,) = hank.sync()
    assert (told.command, told.params) == ("WALLOPS", ["The server moves at noon"])
    assert told.source.startswith("guest!~user@")
    assert dale.sync() == bill.sync() == []
    assert commands(operator.ask("MODE guest +w", "WALLOPS :again")) == ["MODE", "WALLOPS"]
    assert commands(operator.ask("WALLOPS", "WALLOPS :", f"WALLOPS :{'x' * 490}")) == ["461", "412", "417"]


def test_who_has_blocked_an_operator_is_sent_no_wallops(irc: IrcServer, operator: IrcClient) -> None:
    irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", password=PASSWORD)
    hank.ask("MODE hank +w", "SILENCE +guest")
    operator.ask("WALLOPS :hello")
    assert hank.sync() == []
