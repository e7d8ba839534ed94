"""REDACT: what may be removed, and who is told."""

from __future__ import annotations

import pytest

from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find

CAPS = ("message-tags", "echo-message", "batch", "labeled-response", "draft/message-redaction")
PASSWORD = "correct-horse"


@pytest.fixture
def room(irc: IrcServer) -> list[IrcClient]:
    """The owner of a room, and another in it."""
    clients = [irc.log_in("hank", *CAPS), irc.log_in("dale", *CAPS)]
    irc.join("#dev", *clients)
    return clients


def say(client: IrcClient, target: str, text: str) -> str:
    """Say a text; return its id."""
    client.sync()
    return find(client.ask(f"PRIVMSG {target} :{text}"), "PRIVMSG").tags["msgid"]


def test_a_message_is_removed_by_who_wrote_it(room: list[IrcClient]) -> None:
    hank, dale = room
    id = say(dale, "#dev", "oops")
    hank.sync()
    (echo,) = dale.ask(f"@label=x REDACT #dev {id} :wrong window")
    (seen,) = hank.sync()
    assert (echo.tags["label"], echo.params) == ("x", ["#dev", id, "wrong window"])
    assert (seen.command, seen.params, seen.source) == ("REDACT", echo.params, echo.source)


def test_the_owner_of_a_room_removes_what_others_said(room: list[IrcClient]) -> None:
    hank, dale = room
    id = say(dale, "#dev", "spam")
    hank.sync()
    hank.ask(f"REDACT #dev {id}")
    assert find(dale.sync(), "REDACT").params == ["#dev", id]


def test_nobody_else_does(room: list[IrcClient]) -> None:
    hank, dale = room
    id = say(hank, "#dev", "fact")
    dale.sync()
    (refusal,) = dale.ask(f"@label=x REDACT #dev {id}")
    assert (refusal.command, refusal.params[:-1]) == ("FAIL", ["REDACT", "REDACT_FORBIDDEN", "#dev", id])
    assert refusal.tags["label"] == "x"
    assert hank.sync() == []


@pytest.mark.parametrize(
    ("target", "id", "code", "context"),
    [
        ("#dev", "nothing", "UNKNOWN_MSGID", ["#dev", "nothing"]),
        ("#elsewhere", "nothing", "INVALID_TARGET", ["#elsewhere"]),
        ("nobody", "nothing", "INVALID_TARGET", ["nobody"]),
        ("dale", "g-AAAA", "UNKNOWN_MSGID", ["dale", "g-AAAA"]),
    ],
)
def test_what_is_not_there_cannot_be_removed(
    room: list[IrcClient], target: str, id: str, code: str, context: list[str]
) -> None:
    (refusal,) = room[0].ask(f"REDACT {target} {id}")
    assert (refusal.command, refusal.params[:-1]) == ("FAIL", ["REDACT", code, *context])


def test_a_message_that_was_removed_is_unknown(room: list[IrcClient]) -> None:
    hank, _ = room
    id = say(hank, "#dev", "oops")
    hank.ask(f"REDACT #dev {id}")
    (refusal,) = hank.ask(f"REDACT #dev {id}")
    assert refusal.params[1] == "UNKNOWN_MSGID"


def test_clients_that_know_nothing_of_it_are_told_nothing(irc: IrcServer, room: list[IrcClient]) -> None:
    hank, _ = room
    bill = irc.log_in("bill")
    irc.join("#dev", bill)
    id = say(hank, "#dev", "oops")
    assert commands(bill.sync()) == ["PRIVMSG"]
    hank.ask(f"REDACT #dev {id}")
    assert bill.sync() == []
    assert commands(bill.ask(f"REDACT #dev {id}")) == ["421"]


def test_a_removal_passes_both_doors(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    irc.register("dale", PASSWORD)
    hank = irc.log_in("hank", *CAPS, password=PASSWORD)
    dale = irc.log_in_natively("dale", PASSWORD)
    id = say(hank, "dale", "oops")
    hank.ask(f"REDACT dale {id}")
    assert dale.receive()["message"] == "oops"
    assert (erased := dale.receive())["what"] == "erase"
    seq = dale.send_message("hank", "sorry")["seq"]
    said = find(hank.sync(), "PRIVMSG")
    assert erased["about"] == seq - 2
    dale.request("msg", to="hank", about=seq, what="erase", message="")
    assert find(hank.sync(), "REDACT").params == ["hank", said.tags["msgid"]]
