"""Client tags, TAGMSG and CTCP: what clients tell each other beside the text that people read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.irc.conftest import IrcServer
from tests.support.files import ask, basic, png
from tests.support.irc_client import IrcClient, commands, find
from tests.support.native_clients import NativeClient

TAGS = ("message-tags",)
ECHO = ("message-tags", "echo-message", "labeled-response", "batch")
PASSWORD = "correct-horse"


@pytest.fixture
def three(irc: IrcServer) -> list[IrcClient]:
    """In a room: one with echoes, one with tags, and one without."""
    clients = [irc.log_in("hank", *ECHO), irc.log_in("dale", *TAGS), irc.log_in("bill")]
    irc.join("#dev", *clients)
    return clients


def test_tags_of_clients_are_passed_on_with_a_message(three: list[IrcClient]) -> None:
    hank, dale, bill = three
    (echo,) = hank.ask("@+foo=a\\sb;+bar;time=never;msgid=x;account=root PRIVMSG #dev :hi")
    (seen,), (plain,) = dale.sync(), bill.sync()
    assert echo.tags == seen.tags
    assert (seen.tags.pop("msgid") not in ("", "x"), seen.tags) == (True, {"+foo": "a b", "+bar": ""})
    assert plain.tags == {}


def test_tags_of_a_client_that_has_not_negotiated_them_are_dropped(three: list[IrcClient]) -> None:
    _, dale, bill = three
    bill.ask("@+foo=a PRIVMSG #dev :hi")
    (seen,) = dale.sync()
    assert seen.tags.keys() == {"msgid"}


@pytest.mark.parametrize("target", ["#dev", "dale"])
def test_a_message_of_tags_only_is_for_clients_with_tags(three: list[IrcClient], target: str) -> None:
    hank, dale, bill = three
    (echo,) = hank.ask(f"@label=x;+typing=active TAGMSG {target}")
    (seen,) = dale.sync()
    assert echo.tags.pop("label") == "x"
    assert (seen.command, seen.params, seen.tags) == ("TAGMSG", [target], echo.tags)
    assert seen.tags.keys() == {"msgid", "+typing"}
    assert bill.sync() == []


def test_tags_only_are_not_kept(three: list[IrcClient]) -> None:
    hank, dale, _ = three
    hank.ask("@+typing=active TAGMSG #dev", "@+foo=a PRIVMSG #dev :hi")
    dale.sync()
    dale.ask("CAP REQ draft/chathistory")
    (stored,) = dale.ask("CHATHISTORY LATEST #dev * 10")
    assert (stored.command, set(stored.tags)) == ("PRIVMSG", {"msgid"})


def test_nobody_is_told_what_a_blocked_or_muted_name_types(irc: IrcServer, three: list[IrcClient]) -> None:
    hank, dale, _ = three
    dale.ask("SILENCE +hank")
    assert hank.ask("@+typing=active TAGMSG dale") == []
    hank.ask("@+typing=active TAGMSG #dev")
    assert dale.sync() == []
    (refusal,) = hank.ask("@label=x;+typing=active TAGMSG dale")
    assert refusal.command != "TAGMSG" and refusal.tags == {"label": "x"}


@pytest.mark.parametrize(("target", "numeric"), [("#elsewhere", "403"), ("nobody", "401")])
def test_tags_to_nowhere_are_refused(three: list[IrcClient], target: str, numeric: str) -> None:
    (refusal,) = three[0].ask(f"@+typing=active TAGMSG {target}")
    assert refusal.command == numeric


def test_what_is_said_to_those_with_a_role_is_for_no_others_and_not_kept(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale", *ECHO), irc.log_in("bill", *ECHO)
    irc.join("#alley", hank, dale, bill)
    hank.ask("MODE #alley +v dale")
    for client in (dale, bill):
        client.sync()
    (echo,) = bill.ask("@label=x;+foo=bar PRIVMSG @#Alley :help")
    assert (echo.params, echo.tags["label"], echo.tags["+foo"]) == (["@#alley", "help"], "x", "bar")
    bill.ask("NOTICE +#alley :psst", "PRIVMSG @#alley :\x01ACTION waves\x01", "@+typing=active TAGMSG +#alley")
    assert [(line.command, line.params) for line in hank.sync()] == [
        ("PRIVMSG", ["@#alley", "help"]),
        ("NOTICE", ["+#alley", "psst"]),
        ("PRIVMSG", ["@#alley", "\x01ACTION waves\x01"]),
    ]
    assert [(line.command, line.params[0]) for line in dale.sync()] == [("NOTICE", "+#alley"), ("TAGMSG", "+#alley")]
    hank.ask("PRIVMSG @#alley :to myself")
    assert hank.ask("PRIVMSG ~#alley :to nobody") == dale.sync() == bill.sync() == []
    assert [commands(bill.ask(f"PRIVMSG {target}")) for target in ("@#alley :\x01PING 1\x01", "@bill :hi")] == [
        ["404"],
        ["401"],
    ]
    hank.ask("MODE #alley +m")
    bill.sync()
    assert commands(bill.ask("PRIVMSG @#alley :help")) == ["404"]


def test_tags_to_oneself_come_twice_where_echoes_do(three: list[IrcClient]) -> None:
    hank, dale, _ = three
    first, second = hank.ask("@+typing=active TAGMSG hank")
    assert (first.params, first.tags) == (second.params, second.tags)
    assert commands(dale.ask("@+typing=active TAGMSG dale")) == ["TAGMSG"]


def test_tags_as_long_as_they_may_be(three: list[IrcClient]) -> None:
    hank, dale, _ = three
    longest = "a" * (4094 - len("+foo="))
    hank.ask(f"@+foo={longest} TAGMSG #dev")
    (seen,) = dale.sync()
    assert seen.tags["+foo"] == longest
    (refusal,) = hank.ask(f"@+foo={longest}a TAGMSG #dev")
    assert refusal.command == "417"


def test_a_message_to_oneself_comes_once_or_with_its_echo(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale", *ECHO)
    assert commands(hank.ask("PRIVMSG hank :note")) == ["PRIVMSG"]
    echo, delivered = dale.ask("@label=x PRIVMSG dale :note")
    assert echo.tags.pop("label") == "x"
    assert echo == delivered
    irc.register("bill", PASSWORD)
    bill = irc.log_in("bill", password=PASSWORD)
    bill.send("PRIVMSG bill :note")
    bill.expect("PRIVMSG")  # maybe by its catch-up, which a PONG does not wait for
    assert "PRIVMSG" not in commands(bill.ask("CAP REQ :echo-message message-tags"))
    echo, delivered = bill.ask("PRIVMSG bill :again")
    assert echo == delivered


def test_a_question_to_a_client_is_passed_on_and_kept_nowhere(irc: IrcServer) -> None:
    irc.register("dale", PASSWORD)
    hank, dale = irc.log_in("hank"), irc.log_in("dale", password=PASSWORD)
    assert hank.ask("PRIVMSG dale :\x01VERSION\x01") == []
    (question,) = dale.sync()
    assert question.params == ["dale", "\x01VERSION\x01"]
    dale.ask("NOTICE hank :\x01VERSION one\x01")
    assert find(hank.sync(), "NOTICE").params == ["hank", "\x01VERSION one\x01"]
    assert commands(dale.ask("HISTORY hank")) == ["NOTICE"]


@pytest.mark.parametrize("line", ["PRIVMSG #dev :\x01VERSION\x01", "PRIVMSG dale :\x01DCC SEND f 1 2\x01"])
def test_questions_to_a_room_and_dcc_are_refused(three: list[IrcClient], line: str) -> None:
    hank, dale, _ = three
    (refusal,) = hank.ask(line)
    assert refusal.command == "404"
    assert dale.sync() == []


@pytest.fixture
def doors(irc: IrcServer) -> tuple[IrcClient, NativeClient]:
    """Two accounts in a room: one by IRC, one by JIM."""
    irc.register("hank", PASSWORD)
    irc.register("dale", PASSWORD)
    hank = irc.log_in("hank", *ECHO, "draft/message-redaction", password=PASSWORD)
    dale = irc.log_in_natively("dale", PASSWORD)
    dale.events.clear()
    hank.ask("JOIN #dev")
    dale.request("join", room="#dev")
    hank.sync()
    return hank, dale


def receive_message(client: NativeClient) -> dict[str, object]:
    """Return the next message that a native client is sent."""
    while True:
        frame = client.events.popleft() if client.events else client.receive()
        if frame.get("action") == "msg":
            return frame


def test_replies_and_reactions_pass_both_doors(doors: tuple[IrcClient, NativeClient]) -> None:
    hank, dale = doors
    seq = dale.send_message("#dev", "hi")["seq"]
    said = find(hank.sync(), "PRIVMSG")
    id = said.tags["msgid"]

    hank.ask(f"@+draft/reply={id} PRIVMSG #dev :hi yourself")
    reply = receive_message(dale)
    assert (reply["message"], reply["about"]) == ("hi yourself", seq)

    (echo,) = hank.ask(f"@+draft/reply={id};+draft/react=👍 TAGMSG #dev")
    assert (echo.command, echo.tags["+draft/react"], echo.tags["+draft/reply"]) == ("TAGMSG", "👍", id)
    reaction = receive_message(dale)
    assert (reaction["message"], reaction["about"], reaction["what"]) == ("👍", seq, "react")
    (echo,) = hank.ask(f"@+reply={id};+draft/unreact=👍 TAGMSG #dev")
    assert receive_message(dale)["what"] == "unreact"

    dale.request("msg", to="#dev", message="❤", about=seq, what="react")
    seen = find(hank.sync(), "TAGMSG")
    assert (seen.tags["+draft/react"], seen.tags["+reply"], seen.tags["+draft/reply"]) == ("❤", id, id)
    dale.request("msg", to="#dev", message="yes", about=seq)
    assert find(hank.sync(), "PRIVMSG").tags["+draft/reply"] == id


def test_a_reaction_of_words_is_for_those_who_are_here(irc: IrcServer, doors: tuple[IrcClient, NativeClient]) -> None:
    hank, dale = doors
    bill = irc.log_in("bill", *TAGS)
    irc.join("#dev", bill)
    hank.sync()
    (said,) = hank.ask("PRIVMSG #dev :hi")
    bill.sync()
    hank.ask(f"@+draft/reply={said.tags['msgid']};+draft/react=lol TAGMSG #dev")
    (seen,) = bill.sync()
    assert (seen.tags["+draft/react"], seen.tags["+draft/reply"]) == ("lol", said.tags["msgid"])
    assert receive_message(dale)["message"] == "hi"
    hank.ask("PRIVMSG #dev :next")
    assert receive_message(dale)["message"] == "next"


def test_kinds_pass_both_doors(doors: tuple[IrcClient, NativeClient]) -> None:
    hank, dale = doors
    hank.ask("PRIVMSG #dev :\x01ACTION waves\x01", "NOTICE #dev :beware")
    assert [receive_message(dale).get("kind") for _ in range(2)] == ["action", "notice"]
    dale.request("msg", to="#dev", message="nods", kind="action")
    dale.request("msg", to="#dev", message="built", kind="notice")
    action, notice = hank.sync()
    assert (action.command, action.params[1]) == ("PRIVMSG", "\x01ACTION nods\x01")
    assert (notice.command, notice.params[1]) == ("NOTICE", "built")


def test_an_edit_is_shown_as_one(doors: tuple[IrcClient, NativeClient]) -> None:
    hank, dale = doors
    seq = dale.send_message("#dev", "teh end")["seq"]
    said = find(hank.sync(), "PRIVMSG")
    dale.request("msg", to="#dev", message="the end", about=seq, what="edit")
    edit = find(hank.sync(), "PRIVMSG")
    assert edit.params[1] == "[edit] the end"
    assert edit.tags["+draft/reply"] == said.tags["msgid"]
    (kept,) = [line.params[1] for line in hank.ask("HISTORY #dev") if line.command == "PRIVMSG"]
    assert kept.endswith("] the end")  # behind its time, which this client has not asked for by server-time


def test_signals_are_no_frames_of_jim(doors: tuple[IrcClient, NativeClient]) -> None:
    hank, dale = doors
    hank.ask("@+typing=active TAGMSG #dev", "@+typing=active TAGMSG dale", "PRIVMSG dale :\x01VERSION\x01")
    hank.ask("PRIVMSG dale :hi")
    assert receive_message(dale)["message"] == "hi"


def test_several_targets_are_answered_in_one_batch(irc: IrcServer, three: list[IrcClient]) -> None:
    hank, _, _ = three
    begin, *answers, end = hank.ask("@label=x PRIVMSG dale,nobody,#dev :hi")
    batch = begin.params[0][1:]
    assert (begin.tags, begin.params[1], end.params) == ({"label": "x"}, "labeled-response", [f"-{batch}"])
    assert sorted(commands(answers)) == ["401", "PRIVMSG", "PRIVMSG"]
    assert all(line.tags["batch"] == batch for line in answers)
    begin, *answers, end = hank.ask("@label=y PRIVMSG nobody,nowhere :hi")
    assert (commands(answers), end.params) == (["401", "401"], [f"-{begin.params[0][1:]}"])


def test_a_file_is_shown_by_its_url(start_irc: Callable[..., IrcServer], tmp_path: Path) -> None:
    irc = start_irc(web="127.0.0.1:0", web_url="https://chat.example", store=f"sqlite:///{tmp_path}/chat.db")
    irc.register("dale", PASSWORD)
    hank, dale = irc.log_in("hank", *TAGS), irc.log_in_natively("dale", PASSWORD)
    port = irc.app.web_port
    assert port is not None
    named = {"Content-Type": "image/png", "Content-Disposition": "attachment; filename=cat.png"}
    answer = ask(port, "POST", "/file", basic("dale", PASSWORD) | named, png())
    dale.request("msg", to="hank", message="look", file=answer.id)
    (seen,) = hank.sync()
    assert seen.params[1] == f"look https://chat.example{answer.headers['Location']}"
