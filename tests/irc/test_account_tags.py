"""The account of who has caused a line (IRCv3 `account-tag`)."""

from __future__ import annotations

import pytest

from tests.irc.conftest import IrcServer
from tests.support.irc_client import find

PASSWORD = "swordfish-and-more"


@pytest.mark.parametrize(
    "command",
    [
        "INVITE dale #alley",
        "TOPIC #dev :work",
        "MODE #dev +t",
        "MODE #dev +b peggy!*@*",
        "AWAY :gone",
        "KICK #dev dale :bye",
        "PRIVMSG dale :hi",
        "TAGMSG dale",
        "SETNAME :The other hank",
        "PART #dev :bye",
    ],
)
def test_what_an_account_does_is_told_with_the_account(irc: IrcServer, command: str) -> None:
    irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", "account-tag", "message-tags", "setname", password=PASSWORD)
    dale = irc.log_in("dale", "account-tag", "message-tags", "away-notify", "setname")
    plain = irc.log_in("bill", "away-notify")
    irc.join("#dev", hank, plain, dale)
    hank.ask("JOIN #alley")
    for client in (plain, dale):
        client.sync()
    answer = hank.ask("@+x=y TAGMSG dale" if command == "TAGMSG dale" else command)
    word = command.split(maxsplit=1)[0]
    assert [line.tags["account"] for line in answer if line.command == word] in ([], ["hank"])
    assert find(dale.sync(), word).tags["account"] == "hank"
    assert [line.tags for line in plain.sync() if "account" in line.tags] == []


def test_who_joins_is_told_with_the_account(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    dale, hank = irc.log_in("dale", "account-tag"), irc.log_in("hank", "account-tag", password=PASSWORD)
    irc.join("#dev", dale)
    assert find(hank.ask("JOIN #dev"), "JOIN").tags["account"] == "hank"
    assert find(dale.sync(), "JOIN").tags["account"] == "hank"


def test_guests_have_no_account(irc: IrcServer) -> None:
    dale, bill = irc.log_in("dale", "account-tag"), irc.log_in("bill", "account-tag")
    irc.join("#dev", dale)
    assert "account" not in find(bill.ask("JOIN #dev"), "JOIN").tags
    bill.send("NICK boomhauer", "QUIT")
    bill.read_to_end()
    assert [(line.command, "account" in line.tags) for line in dale.sync()] == [
        ("JOIN", False),
        ("NICK", False),
        ("QUIT", False),
    ]
