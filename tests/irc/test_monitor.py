"""MONITOR: told at once of who comes and goes, and with `extended-monitor` of what they say about themselves."""

from __future__ import annotations

from gmessenger.server.irc.clients import MAX_MONITORED
from tests.irc.conftest import IrcServer
from tests.support.irc_client import commands, find


def test_who_comes_and_goes_is_told_at_once(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert [(line.command, line.params[1]) for line in hank.ask("MONITOR + dale,hank")] == [
        ("730", find(hank.ask("MONITOR S"), "730").params[1]),
        ("731", "dale"),
    ]
    dale = irc.log_in("Dale")
    (line,) = hank.sync()
    assert line.command == "730" and line.params[1].startswith("Dale!")
    dale.send("QUIT")
    dale.read_to_end()
    assert [(line.command, line.params[1]) for line in hank.sync()] == [("731", "Dale")]


def test_a_service_is_always_online(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    (line,) = hank.ask("MONITOR + nickserv")
    assert (line.command, line.params[1]) == ("730", "NickServ!services@irc.example")
    assert find(hank.ask("ISON hank nickserv"), "303").params[1] == "hank NickServ"
    found = hank.ask("WHOIS nickserv")
    assert [line.params[1] for line in found] == ["NickServ"] * len(found)
    assert commands(found) == ["311", "312", "318"]


def test_the_list_can_be_read_and_changed(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    hank.ask("MONITOR + dale,bill")
    assert find(hank.ask("MONITOR L"), "732").params[1] == "dale,bill"
    assert hank.ask("MONITOR - DALE") == []
    assert find(hank.ask("MONITOR l"), "732").params[1] == "bill"
    irc.log_in("dale")
    assert hank.sync() == []
    assert hank.ask("MONITOR C") == []
    assert commands(hank.ask("MONITOR L")) == ["733"]
    assert commands(hank.ask("MONITOR S")) == []
    assert commands(hank.ask("MONITOR +", "MONITOR", "MONITOR X")) == ["461", "461", "FAIL"]


def test_masks_are_not_monitored(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert find(hank.ask("MONITOR + *!*@*"), "731").params[1] == "*!*@*"
    irc.log_in("dale")
    assert hank.sync() == []
    assert commands(hank.ask("MONITOR L")) == ["733"]


def test_the_list_is_bounded(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    for start in range(0, MAX_MONITORED, 50):
        hank.ask("MONITOR + " + ",".join(f"n{number}" for number in range(start, start + 50)))
    full = find(hank.ask("MONITOR + n7,one,two"), "734").params
    assert full[1:3] == [str(MAX_MONITORED), "one,two"]
    names = ",".join(line.params[1] for line in hank.ask("MONITOR L") if line.command == "732").split(",")
    assert names == [f"n{number}" for number in range(MAX_MONITORED)]


def test_a_connection_that_is_closed_is_told_nothing_more(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    hank.ask("MONITOR + bill")
    dale.ask("MONITOR + hank")
    hank.close()
    assert dale.expect("731").params[1] == "hank"
    irc.log_in("bill")  # nobody is left who monitors it, or the server would have failed


def test_who_has_blocked_one_is_offline_to_it(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    hank.ask("SILENCE +dale")
    assert find(dale.ask("MONITOR + hank"), "731").params[1] == "hank"
    hank.send("QUIT")
    hank.read_to_end()
    assert dale.sync() == []


def test_extended_monitor_tells_what_is_said_about_oneself(irc: IrcServer) -> None:
    caps = ("away-notify", "setname", "account-notify")
    hank, bill = irc.log_in("hank", "extended-monitor", *caps), irc.log_in("bill", *caps)
    dale = irc.log_in("dale")
    for watcher in (hank, bill):
        watcher.ask("MONITOR + dale")
    dale.ask("AWAY :out", "SETNAME :Rusty", "AWAY")
    assert [(line.command, line.params) for line in hank.sync()] == [
        ("AWAY", ["out"]),
        ("SETNAME", ["Rusty"]),
        ("AWAY", []),
    ]
    dale.ask("NICKSERV REGISTER shackleford")
    assert [(line.command, line.params) for line in hank.sync()] == [("ACCOUNT", ["dale"])]
    assert bill.sync() == []


def test_who_is_monitored_and_in_the_same_room_is_told_of_once(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", "extended-monitor", "away-notify"), irc.log_in("dale")
    hank.ask("MONITOR + dale")
    irc.join("#alley", hank, dale)
    dale.ask("AWAY :out")
    assert commands(hank.sync()) == ["AWAY"]
