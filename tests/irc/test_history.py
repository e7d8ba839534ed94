"""CHATHISTORY, HISTORY and SEARCH: what a client may read, by each way of asking."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.wire.irc.lines import Line
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find

CAPS = ("message-tags", "server-time", "echo-message", "batch", "labeled-response", "draft/chathistory")
PASSWORD = "correct-horse"


def say(client: IrcClient, target: str, *texts: str) -> list[Line]:
    """Say texts one after another; return the echoes."""
    client.sync()
    return [find(client.ask(f"PRIVMSG {target} :{text}"), "PRIVMSG") for text in texts]


def texts(lines: list[Line]) -> list[str]:
    return [line.params[1] for line in lines if line.command == "PRIVMSG"]


def read(client: IrcClient, *words: str) -> list[str]:
    """Ask for history; return the texts of the batch that comes."""
    client.sync()
    first, *inside, last = client.ask(f"CHATHISTORY {' '.join(words)}")
    assert (first.command, last.command) == ("BATCH", "BATCH")
    assert last.params == [f"-{first.params[0][1:]}"]
    assert all(line.tags["batch"] == first.params[0][1:] for line in inside)
    return texts(inside)


@pytest.fixture
def dev(irc: IrcServer) -> tuple[IrcClient, list[Line]]:
    """A guest in a room where it has said six texts, from `0` to `5`."""
    hank = irc.log_in("hank", *CAPS)
    irc.join("#dev", hank)
    return hank, say(hank, "#dev", *"012345")


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("LATEST #dev * 10", "012345"),
        ("LATEST #dev * 2", "45"),
        ("LATEST #dev {kind2} 10", "345"),
        ("LATEST #dev {kind2} 2", "45"),
        ("BEFORE #dev {kind3} 10", "012"),
        ("BEFORE #dev {kind3} 2", "12"),
        ("AFTER #dev {kind3} 10", "45"),
        ("AFTER #dev {kind1} 2", "23"),
        ("AROUND #dev {kind3} 1", "3"),
        ("AROUND #dev {kind3} 3", "234"),
        ("BETWEEN #dev {kind0} {kind5} 10", "1234"),
        ("BETWEEN #dev {kind5} {kind0} 10", "1234"),
        ("BETWEEN #dev {kind0} {kind5} 2", "12"),
        ("BETWEEN #dev {kind5} {kind0} 2", "34"),
        ("BETWEEN #dev {kind3} {kind3} 2", ""),
    ],
)
@pytest.mark.parametrize("kind", ["msgid", "timestamp"])
def test_messages_are_selected(
    irc: IrcServer, request_line: str, expected: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_000_000))
    monkeypatch.setattr(irc.app.messenger.message_service._dispatcher, "_clock", lambda: 1e9 + next(clock) / 4)
    hank = irc.log_in("hank", *CAPS)
    irc.join("#dev", hank)
    said = say(hank, "#dev", *"012345")
    tag = "msgid" if kind == "msgid" else "time"
    selectors = {f"kind{number}": f"{kind}={line.tags[tag]}" for number, line in enumerate(said)}
    assert read(hank, request_line.format(**selectors)) == list(expected)


def test_a_stored_message_looks_as_it_did_live(dev: tuple[IrcClient, list[Line]]) -> None:
    hank, said = dev
    _, *stored, _ = hank.ask("CHATHISTORY LATEST #dev * 10")
    for line in stored:
        line.tags.pop("batch")
    assert stored == said


def test_a_label_is_on_the_outermost_batch(dev: tuple[IrcClient, list[Line]]) -> None:
    hank, _ = dev
    outer, inner, only, inner_end, outer_end = hank.ask("@label=x CHATHISTORY LATEST #dev * 1")
    assert (outer.tags, outer.params[1:]) == ({"label": "x"}, ["labeled-response"])
    assert inner.tags["batch"] == inner_end.tags["batch"] == outer.params[0][1:]
    assert only.tags["batch"] == inner.params[0][1:]
    assert outer_end.params == [f"-{outer.params[0][1:]}"]


@pytest.mark.parametrize(
    ("request_line", "code", "context"),
    [
        ("", "INVALID_PARAMS", ["*"]),
        ("FIRST #dev * 10", "INVALID_PARAMS", ["FIRST"]),
        ("LATEST #dev *", "INVALID_PARAMS", ["LATEST"]),
        ("LATEST #dev * 10 10", "INVALID_PARAMS", ["LATEST"]),
        ("LATEST #dev * ten", "INVALID_PARAMS", ["LATEST", "ten"]),
        ("LATEST #dev * 0", "INVALID_PARAMS", ["LATEST", "0"]),
        ("BEFORE #dev * 10", "INVALID_PARAMS", ["BEFORE", "*"]),
        ("BEFORE #dev timestamp=noon 10", "INVALID_PARAMS", ["BEFORE", "timestamp=noon"]),
        ("BEFORE #dev msgid=nothing-1 10", "MESSAGE_ERROR", ["BEFORE", "#dev"]),
        ("BEFORE #dev place=1 10", "INVALID_MSGREFTYPE", ["BEFORE", "#dev"]),
        ("LATEST #elsewhere * 10", "INVALID_TARGET", ["LATEST", "#elsewhere"]),
        ("LATEST dale * 10", "INVALID_TARGET", ["LATEST", "dale"]),
    ],
)
def test_a_request_that_cannot_be_answered(
    dev: tuple[IrcClient, list[Line]], request_line: str, code: str, context: list[str]
) -> None:
    hank, _ = dev
    (line,) = hank.ask(f"CHATHISTORY {request_line}")
    assert (line.command, line.params[:-1]) == ("FAIL", ["CHATHISTORY", code, *context])


def test_an_id_of_another_conversation_selects_nothing(irc: IrcServer) -> None:
    hank = irc.log_in("hank", *CAPS)
    irc.join("#dev", hank)
    irc.join("#ops", hank)
    (said,) = say(hank, "#ops", "secret")
    (line,) = hank.ask(f"CHATHISTORY AROUND #dev msgid={said.tags['msgid']} 10")
    assert line.params[1] == "MESSAGE_ERROR"


def test_a_guest_reads_what_was_said_since_it_has_joined(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", *CAPS), irc.log_in("dale", *CAPS)
    irc.join("#dev", hank)
    say(hank, "#dev", "before")
    irc.join("#dev", dale)
    say(hank, "#dev", "after")
    say(dale, "#dev", "own")
    assert read(dale, "LATEST #dev * 10") == ["after", "own"]
    assert read(hank, "LATEST #dev * 10") == ["before", "after", "own"]
    dale.ask("PART #dev")
    (line,) = dale.ask("CHATHISTORY LATEST #dev * 10")
    assert line.params[1] == "INVALID_TARGET"
    irc.join("#dev", dale)
    assert read(dale, "LATEST #dev * 10") == []


def test_a_guest_reads_nothing_of_what_it_has_said_with_others(irc: IrcServer) -> None:
    """Clients ask whenever a conversation is opened, and would show a refusal each time."""
    irc.register("peggy", PASSWORD)
    hank, _ = irc.log_in("hank", *CAPS), irc.log_in("dale", *CAPS)
    say(hank, "dale", "hi")
    for name in ("dale", "peggy", "hank"):
        assert read(hank, f"LATEST {name} * 10") == []


def test_nothing_is_kept_of_what_is_said_to_a_service(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    for client in (irc.log_in("hank", *CAPS, password=PASSWORD), irc.log_in("dale", *CAPS)):
        client.ask("PRIVMSG NickServ :help")
        assert read(client, "LATEST NickServ * 10") == []
        assert read(client, "BEFORE NickServ timestamp=2030-01-01T00:00:00.000Z 10") == []


def test_an_account_reads_what_it_has_said_with_others(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    irc.register("dale", PASSWORD)
    hank, dale = irc.log_in("hank", *CAPS, password=PASSWORD), irc.log_in("dale", *CAPS, password=PASSWORD)
    say(hank, "dale", "hi")
    say(dale, "hank", "hi yourself")
    assert read(hank, "LATEST dale * 10") == read(dale, "LATEST HANK * 10") == ["hi", "hi yourself"]


def test_what_was_erased_is_left_out_and_does_not_count(dev: tuple[IrcClient, list[Line]]) -> None:
    hank, said = dev
    hank.ask("CAP REQ draft/message-redaction")
    for line in said[4:]:
        hank.ask(f"REDACT #dev {line.tags['msgid']}")
    assert read(hank, "LATEST #dev * 2") == ["2", "3"]
    assert read(hank, f"AFTER #dev msgid={said[0].tags['msgid']} 10") == ["1", "2", "3"]


def test_conversations_are_listed_by_the_time_of_their_last_message(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    hank, dale = irc.log_in("hank", *CAPS, password=PASSWORD), irc.log_in("dale", *CAPS)
    irc.join("#dev", hank)
    times = [say(hank, target, "hi")[0].tags["time"] for target in ("#dev", "dale")]
    dale.sync()
    ever = ("timestamp=2000-01-01T00:00:00.000Z", "timestamp=2100-01-01T00:00:00.000Z")

    def targets(*words: str) -> list[list[str]]:
        first, *inside, _ = hank.ask(f"CHATHISTORY TARGETS {' '.join(words)}")
        assert first.params[1] == "draft/chathistory-targets"
        return [line.params for line in inside]

    expected = [["TARGETS", "#dev", times[0]], ["TARGETS", "dale", times[1]]]
    assert targets(*ever, "10") == targets(*ever[::-1], "10") == expected
    assert targets(*ever, "1") == expected[:1]
    assert targets(*ever[::-1], "1") == expected[1:]
    assert targets(ever[0], f"timestamp={times[0]}", "10") == []


def test_without_batch_history_is_plain_lines(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "draft/chathistory")
    irc.join("#dev", hank)
    hank.ask("PRIVMSG #dev :hi", "PRIVMSG #dev :again")
    answer = hank.ask("CHATHISTORY LATEST #dev * 10")
    assert commands(answer) == ["PRIVMSG", "PRIVMSG"]
    assert all(not line.tags for line in answer)


def test_history_for_clients_that_cannot_ask(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#dev", hank)
    hank.ask("PRIVMSG #dev :hi", "PRIVMSG #dev :again")
    begin, *shown, end = hank.ask("HISTORY #dev 1")
    assert commands([begin, end]) == ["NOTICE", "NOTICE"]
    assert begin.params[0] == "#dev"
    (line,) = shown
    assert line.params[1].endswith("] again")
    (refusal,) = hank.ask("HISTORY #elsewhere")
    assert refusal.command == "NOTICE"
    assert refusal.params[1].startswith("*** #elsewhere: ")


def test_several_lines_are_a_batch_within_the_batch(irc: IrcServer) -> None:
    hank = irc.log_in("hank", *CAPS, "draft/multiline")
    irc.join("#dev", hank)
    hank.ask("BATCH +1 draft/multiline #dev", "@batch=1 PRIVMSG #dev :a", "@batch=1 PRIVMSG #dev :b", "BATCH -1")
    outer, inner, one, two, inner_end, outer_end = hank.ask("CHATHISTORY LATEST #dev * 10")
    assert inner.tags["batch"] == outer.params[0][1:]
    assert one.tags["batch"] == two.tags["batch"] == inner.params[0][1:]
    assert [inner_end.params, outer_end.params] == [[f"-{line.params[0][1:]}"] for line in (inner, outer)]
    assert texts([one, two]) == ["a", "b"]


SEARCH_CAPS = (*CAPS, "soju.im/search")


def test_messages_are_found_by_their_words(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    hank, dale = irc.log_in("hank", *SEARCH_CAPS, password=PASSWORD), irc.log_in("dale", *CAPS)
    irc.join("#dev", hank, dale)
    say(hank, "#dev", "green tea", "black coffee")
    say(dale, "#dev", "green apples")
    hank.sync()

    def find_texts(attributes: str) -> list[str]:
        first, *inside, _ = hank.ask(f"SEARCH {attributes}")
        assert first.params[1:] == ["soju.im/search"]
        return texts(inside)

    assert find_texts("text=green") == ["green tea", "green apples"]
    assert find_texts("text=green;from=dale") == ["green apples"]
    assert find_texts("text=black\\scoffee;in=#dev") == ["black coffee"]
    assert find_texts("text=green;limit=1") == ["green apples"]
    assert find_texts("text=green;before=2000-01-01T00:00:00.000Z") == []


@pytest.mark.parametrize("attributes", ["text=", "in=#dev", "text=a;limit=0", "text=a;after=noon"])
def test_a_search_that_is_none(irc: IrcServer, attributes: str) -> None:
    irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", *SEARCH_CAPS, password=PASSWORD)
    (line,) = hank.ask(f"SEARCH {attributes}")
    assert (line.command, line.params[:2]) == ("FAIL", ["SEARCH", "INVALID_PARAMS"])


@pytest.mark.parametrize("attributes", ["text=green", "text=green;in=#den", "text=green;in=dale"])
def test_a_guest_is_told_that_only_accounts_search(irc: IrcServer, attributes: str) -> None:
    hank = irc.log_in("hank", *SEARCH_CAPS)
    hank.ask("JOIN #den")
    (line,) = hank.ask(f"SEARCH {attributes}")
    assert (line.command, line.params[:2]) == ("FAIL", ["SEARCH", "ACCOUNT_REQUIRED"])


def test_a_long_history_is_complete(start_irc: Callable[..., IrcServer]) -> None:
    hank = start_irc().log_in("hank", *CAPS)
    hank.ask("JOIN #dev")
    hank.ask(*[f"PRIVMSG #dev :{number}" for number in range(600)])
    _, *inside, _ = hank.ask("CHATHISTORY LATEST #dev * 1000")
    assert texts(inside) == [str(number) for number in range(100, 600)]
