"""Messages of several lines: as they are sent, as they are seen, and what is none."""

from __future__ import annotations

import pytest

from gmessenger.wire.irc.capabilities import MAX_MULTILINE_BYTES, MAX_MULTILINE_LINES
from gmessenger.wire.irc.lines import Line
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find

BASE = ("message-tags", "batch", "echo-message", "server-time", "labeled-response")
CAPS = (*BASE, "draft/multiline")
CONCAT = "draft/multiline-concat"
PASSWORD = "correct-horse"


@pytest.fixture
def three(irc: IrcServer) -> list[IrcClient]:
    """In a room: two that know of it, and one that does not."""
    clients = [irc.log_in("hank", *CAPS), irc.log_in("dale", *CAPS), irc.log_in("bill", *BASE)]
    irc.join("#dev", *clients)
    return clients


def pieces(lines: list[Line]) -> list[tuple[str, bool]]:
    return [(line.params[1], CONCAT in line.tags) for line in lines if line.command == "PRIVMSG"]


def test_a_message_of_several_lines_is_seen_as_it_was_sent(three: list[IrcClient]) -> None:
    hank, dale, bill = three
    first, *inside, last = hank.ask(
        "@label=x;+foo=bar BATCH +1 draft/multiline #dev",
        "@batch=1 PRIVMSG #dev :one",
        "@batch=1 PRIVMSG #dev :",
        "@batch=1 PRIVMSG #dev :two ",
        f"@batch=1;{CONCAT} PRIVMSG #dev :halves",
        "BATCH -1",
    )
    assert (first.tags["label"], first.tags["+foo"], first.params[1:]) == ("x", "bar", ["draft/multiline", "#dev"])
    assert last.params == [f"-{first.params[0][1:]}"]
    expected = [("one", False), ("", False), ("two ", False), ("halves", True)]
    assert pieces(inside) == expected
    assert all(line.tags.keys() - {CONCAT} == {"batch"} for line in inside)

    seen_first, *seen, _ = dale.sync()
    assert pieces(seen) == expected
    assert seen_first.tags["msgid"] == first.tags["msgid"]

    fallback = bill.sync()
    assert [line.params[1] for line in fallback] == ["one", "two ", "halves"]
    assert [line.tags.get("msgid") for line in fallback] == [first.tags["msgid"], None, None]
    assert all(line.tags["+foo"] == "bar" and line.tags["time"] == first.tags["time"] for line in fallback)


def test_it_is_one_message_for_clients_of_jim(irc: IrcServer) -> None:
    irc.register("dale", PASSWORD)
    hank, dale = irc.log_in("hank", *CAPS), irc.log_in_natively("dale", PASSWORD)
    lines = ["@batch=1 NOTICE dale :one", f"@batch=1;{CONCAT} NOTICE dale :half", "@batch=1 NOTICE dale :two"]
    hank.ask("BATCH +1 draft/multiline dale", *lines, "BATCH -1")
    frame = dale.receive()
    assert (frame["message"], frame["kind"]) == ("onehalf\ntwo", "notice")
    dale.send_message("hank", "a\n\n" + "b" * 600)
    first, *inside, _ = hank.sync()
    assert first.params == [first.params[0], "draft/multiline", "hank"]
    shown = pieces(inside)
    assert [continues for _, continues in shown] == [False, False, False, True]
    assert "".join(text if continues else f"\n{text}" for text, continues in shown) == "\na\n\n" + "b" * 600


def test_a_long_line_of_a_client_with_the_longest_names_fits(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", *CAPS), irc.log_in("dale")
    hank.ask("BATCH +1 draft/multiline dale", *(f"@batch=1 PRIVMSG dale :{'é' * 240}",) * 3, "BATCH -1")
    assert "".join(line.params[1] for line in dale.sync()) == "é" * 720


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["@batch=2 PRIVMSG #dev :a"], ["MULTILINE_INVALID"]),
        (["@batch=1 PRIVMSG #dev :a", f"@batch=1;{CONCAT} PRIVMSG #dev :"], ["MULTILINE_INVALID"]),
        (["@batch=1 PRIVMSG #dev :a", "@batch=1 NOTICE #dev :b"], ["MULTILINE_INVALID"]),
        (["@batch=1 PRIVMSG #dev :", "@batch=1 PRIVMSG #dev :", "BATCH -1"], ["MULTILINE_INVALID"]),
        (["@batch=1 TAGMSG #dev"], ["MULTILINE_INVALID"]),
        (["BATCH -1"], ["MULTILINE_INVALID"]),
        (["BATCH -2"], ["MULTILINE_INVALID"]),
        (["BATCH +2 netjoin #dev"], ["MULTILINE_INVALID"]),
        (["@batch=1 PRIVMSG #ops :a"], ["MULTILINE_INVALID_TARGET", "#dev", "#ops"]),
        (["@batch=1 PRIVMSG #dev :a"] * (MAX_MULTILINE_LINES + 1), ["MULTILINE_MAX_LINES", str(MAX_MULTILINE_LINES)]),
        (
            [f"@batch=1 PRIVMSG #dev :{'a' * 400}"] * (MAX_MULTILINE_BYTES // 400 + 1),
            ["MULTILINE_MAX_BYTES", str(MAX_MULTILINE_BYTES)],
        ),
    ],
)
def test_what_is_no_message_is_refused_once_and_seen_by_nobody(
    three: list[IrcClient], lines: list[str], expected: list[str]
) -> None:
    hank, dale, _ = three
    answer = hank.ask("BATCH +1 draft/multiline #dev", *lines)
    assert [(line.command, line.params[:-1]) for line in answer] == [("FAIL", ["BATCH", *expected])]
    hank.ask("@batch=1 PRIVMSG #dev :rest", "BATCH -1")
    assert dale.sync() == []
    assert "BATCH" in commands(hank.ask("BATCH +3 draft/multiline #dev", *["@batch=3 PRIVMSG #dev :a"] * 2, "BATCH -3"))


def test_a_refusal_by_the_room_is_answered_under_the_label(irc: IrcServer) -> None:
    hank = irc.log_in("hank", *CAPS)
    refusal = find(
        hank.ask("@label=x BATCH +1 draft/multiline #elsewhere", "@batch=1 PRIVMSG #elsewhere :a", "BATCH -1"), "403"
    )
    assert refusal.tags["label"] == "x"


def test_a_reply_of_several_lines(three: list[IrcClient]) -> None:
    hank, dale, _ = three
    said = find(hank.ask("PRIVMSG #dev :hi"), "PRIVMSG")
    dale.sync()
    id = said.tags["msgid"]
    hank.ask(f"@+draft/reply={id} BATCH +1 draft/multiline #dev", *["@batch=1 PRIVMSG #dev :a"] * 2, "BATCH -1")
    assert dale.sync()[0].tags["+draft/reply"] == id
