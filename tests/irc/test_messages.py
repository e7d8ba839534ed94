"""PRIVMSG and NOTICE: from IRC to IRC, and between IRC and JIM."""

from __future__ import annotations

import pytest

from gmessenger.server.irc.protocol import IrcProtocol
from gmessenger.wire.irc.lines import MAX_BODY
from tests.irc.conftest import IrcServer
from tests.support.accounts import PASSWORD
from tests.support.course_clients import VARIANTS
from tests.support.irc_client import commands, find
from tests.support.native_clients import Connector


def test_a_message_reaches_a_name_and_is_not_echoed(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    assert hank.ask("PRIVMSG Dale :hello there") == []
    line = dale.receive()
    assert (line.command, line.params) == ("PRIVMSG", ["dale", "hello there"])
    assert line.source.startswith("hank!~user@") and line.tags == {}


def test_a_room_gets_what_is_said_in_it_but_for_who_said_it(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    assert hank.ask("PRIVMSG #alley :yup", "NOTICE #alley :notice", "PRIVMSG #alley :\x01ACTION waves\x01") == []
    lines = dale.sync()
    assert [(line.command, line.params[1]) for line in lines] == [
        ("PRIVMSG", "yup"),
        ("NOTICE", "notice"),
        ("PRIVMSG", "\x01ACTION waves\x01"),
    ]


def test_hundreds_of_messages_in_one_read_arrive_in_order(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", hank, bill)
    for number in range(300):
        hank.send(f"PRIVMSG {('dale', '#alley')[number % 2]} :{number}")
    hank.sync()
    assert [int(line.params[1]) for line in dale.sync()] == list(range(0, 300, 2))
    assert [int(line.params[1]) for line in bill.sync()] == list(range(1, 300, 2))


def test_messages_of_one_read_to_a_name_each_arrive_like_those_that_come_alone(irc: IrcServer) -> None:
    """One that is plain takes the short way from guest to guest, any other the ordinary one."""
    hank, dale, bill, away = (irc.log_in(name) for name in ("hank", "dale", "bill", "boom"))
    irc.register("peggy", PASSWORD)
    away.ask("AWAY :fishing")
    assert hank.ask("PRIVMSG Dale :hello", "PRIVMSG bill :\x01ACTION waves\x01", "PRIVMSG nobody :hi") != []
    hank.send(
        "PRIVMSG Dale :1", "PRIVMSG bill :☃", "PRIVMSG boom :there?", "PRIVMSG peggy :stored", "PRIVMSG nobody :hi"
    )
    numerics = [line.command for line in hank.sync()]
    assert sorted(numerics) == ["301", "301", "401"]  # (who is offline is away, too)
    assert [line.params for line in dale.sync()] == [["dale", "hello"], ["dale", "1"]]
    assert [line.params for line in bill.sync()] == [["bill", "\x01ACTION waves\x01"], ["bill", "☃"]]
    assert [line.params[1] for line in away.sync() if line.command == "PRIVMSG"] == ["there?"]


def test_a_guest_is_shown_with_the_host_that_it_has_now(irc: IrcServer, connector: Connector) -> None:
    """One that comes back is another session, and may come from another network."""
    dale = irc.log_in("dale")
    hosts = []
    for address in ("192.0.2.7:1", "192.0.2.8:1", "192.0.2.7:1"):
        hank = connector.open_native(irc.running, "hank")
        irc.app.messenger.router.sessions("hank")[0].address = address
        hank.request("msg", to="dale", message="hello")
        hosts.append(dale.expect("PRIVMSG").source.partition("@")[2])
        hank.send({"action": "quit"})
        while dale.ask("ISON hank")[0].params[-1]:
            pass  # its name is not free yet
    assert hosts[0] == hosts[2] != hosts[1]


def test_one_write_with_other_commands_between_messages_keeps_its_order(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    hank.send("PRIVMSG #alley :1", "PRIVMSG #alley :2", "TOPIC #alley :two", "PRIVMSG #alley :3", "PRIVMSG #alley :4")
    hank.sync()
    assert [line.params[1] for line in dale.sync()] == ["1", "2", "two", "3", "4"]


def test_an_echo_has_the_id_that_the_others_see(irc: IrcServer) -> None:
    caps = ("echo-message", "message-tags", "server-time", "labeled-response", "batch")
    hank, dale = irc.log_in("hank", *caps), irc.log_in("dale", "message-tags", "server-time")
    irc.join("#alley", hank, dale)
    echo = find(hank.ask("@label=abc PRIVMSG #alley :yup"), "PRIVMSG")
    seen = find(dale.sync(), "PRIVMSG")
    assert echo.tags.pop("label") == "abc"
    assert echo.tags == seen.tags and echo.params == seen.params == ["#alley", "yup"]
    assert seen.tags.keys() >= {"msgid", "time"}


def test_a_label_without_an_echo_is_acknowledged(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "labeled-response", "batch", "message-tags")
    irc.log_in("dale")
    assert [(line.command, line.tags["label"]) for line in hank.ask("@label=x PRIVMSG dale :yup")] == [("ACK", "x")]


@pytest.mark.parametrize(
    ("line", "numeric", "target"),
    [
        ("PRIVMSG", "411", None),
        ("PRIVMSG dale", "412", None),
        ("PRIVMSG nobody :hi", "401", "nobody"),
        ("PRIVMSG #nowhere :hi", "403", "#nowhere"),
        ("PRIVMSG #den :hi", "404", "#den"),
        ("PRIVMSG a,b,c,d,e :hi", "407", None),
        ("PRIVMSG dale :" + "x" * 495, "417", None),
    ],
)
def test_what_cannot_be_sent_is_refused(irc: IrcServer, line: str, numeric: str, target: str | None) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#den", dale)
    (refused,) = hank.ask(line)
    assert refused.command == numeric and (target is None or refused.params[1] == target)


def test_a_notice_is_not_answered(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert hank.ask("NOTICE nobody :hi", "NOTICE #nowhere :hi") == []


def test_a_line_that_is_too_long_is_refused_and_nothing_after_it(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    assert commands(hank.ask("PRIVMSG dale :" + "x" * 600)) == ["417"]
    hank.ask("PRIVMSG dale :fine")
    assert [line.params[1] for line in dale.sync()] == ["fine"]


def test_a_line_that_fits_by_the_user_of_its_client_is_taken(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    hank, dale = irc.log_in("hank", password=PASSWORD, user="h"), irc.log_in("dale")
    (join,) = [line for line in hank.ask("JOIN #alley") if line.command == "JOIN"]
    dale.ask("JOIN #alley")
    irc.log_in("hank", password=PASSWORD, user="hankrutherf")
    text = "word " * 100
    text = text[: MAX_BODY - len(f":{join.source} PRIVMSG #alley :")]
    hank.sync()
    assert hank.ask(f"PRIVMSG #alley :{text}") == []
    assert "".join(line.params[1] for line in dale.sync()) == text
    assert commands(hank.ask(f"PRIVMSG #alley :{text}x")) == ["417"]


def test_what_is_not_utf8_is_refused(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    hank.sock.sendall(b"PRIVMSG dale :caf\xe9\r\n")
    refused = find(hank.sync(), "FAIL")
    assert refused.params[:2] == ["PRIVMSG", "INVALID_UTF8"] and dale.sync() == []


def test_an_unknown_command_and_missing_parameters_are_told(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert [line.command for line in hank.ask("DANCE now", "JOIN", "TOPIC")] == ["421", "461", "461"]


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in one read"])
def test_a_text_is_sent_on_without_marks_of_ctcp_within_it(together: bool, irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    hank.ask("PRIVMSG dale :the first, for which tokens are drawn")
    hank.send("PRIVMSG dale :hi \x01VERSION\x01", *(["PRIVMSG hank :me"] if together else []))
    hank.sync()
    assert [line.params[1] for line in dale.sync()] == ["the first, for which tokens are drawn", "hi VERSION"]


@pytest.mark.parametrize("capabilities", [(), ("server-time", "message-tags")])
@pytest.mark.parametrize("text", ["hi", "☃", "\x02bold\x02", "x" * 440, "x" * 460])
def test_a_guest_reads_the_same_however_a_text_comes_to_it(
    text: str, capabilities: tuple[str, ...], irc: IrcServer, connector: Connector
) -> None:
    """By the short way of IRC or of JIM, or by the ordinary one, which the first message takes."""
    hank, dale = irc.log_in("hank"), irc.log_in("dale", *capabilities)
    bill = connector.open_native(irc.running, "bill")
    for _ in range(2):
        hank.ask(f"PRIVMSG dale :{text}")
        assert bill.request("msg", to="dale", message=text)["response"] == 202
    lines = [line for line in dale.sync() if line.command == "PRIVMSG"]
    for sender in ("hank", "bill"):
        said = [line for line in lines if line.source.startswith(f"{sender}!")]
        assert "".join(line.params[1] for line in said) == 2 * text
        assert all(bool(line.tags) == bool(capabilities) for line in said)


@pytest.mark.parametrize(
    ("line", "is_relayed"),
    [
        ("PRIVMSG dale :hi", True),
        ("PRIVMSG DALE :☃", True),
        ("privmsg dale :hi", False),
        ("PRIVMSG dale hi", False),
        ("@+typing=done PRIVMSG dale :hi", False),
        ("PRIVMSG dale :\x01ACTION waves\x01", False),
    ],
)
def test_a_plain_text_alone_in_its_read_is_relayed_in_the_loop(
    line: str, is_relayed: bool, irc: IrcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    hank.ask("PRIVMSG dale :the first, for which tokens are drawn")
    dale.expect("PRIVMSG")
    left: dict[bytes, object] = {}
    receive = IrcProtocol.receive_in_loop

    def watch(protocol: IrcProtocol, data: bytes) -> object:
        left[data] = receive(protocol, data)
        return left[data]

    monkeypatch.setattr(IrcProtocol, "receive_in_loop", watch)
    hank.send(line)
    dale.expect("PRIVMSG")
    data = f"{line}\r\n".encode()
    assert left == {data: None if is_relayed else data}


def test_a_course_client_reads_what_guests_say_by_the_short_way(irc: IrcServer, connector: Connector) -> None:
    (dale,) = connector.log_in_courses(irc.running, {"dale": VARIANTS[0]})  # type: ignore[arg-type]
    hank = irc.log_in("hank")
    for number in range(3):
        hank.ask(f"PRIVMSG dale :number {number}")
    dale.receive_messages(("hank", f"number {number}") for number in range(3))
