"""From the first line to 001: CAP, NICK, USER, PASS and SASL."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from gmessenger.wire.irc.capabilities import CAPABILITIES
from gmessenger.wire.irc.lines import Line
from tests.irc.conftest import SERVER, IrcServer
from tests.support.irc_client import IrcClient, commands, find, plain

PASSWORD = "a long password"
OTHER_LETTER = "\U00020000"
"""One with the most bytes."""


def answer(client: IrcClient, *lines: str) -> Line:
    """Send lines, and return the next line from the server."""
    client.send(*lines)
    return client.receive()


def list_capabilities(client: IrcClient, *lines: str) -> list[str]:
    """Send lines, and return the capabilities that the server lists then, in one line or several."""
    client.send(*lines)
    listed: list[str] = []
    while True:
        line = client.receive()
        assert line.params[1] == "LS"
        listed += line.params[-1].split()
        if line.params[2] != "*":
            return listed


def test_a_free_nick_makes_a_guest(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("NICK hank", "USER hank 0 * :Hank Hill")
    welcome = [client.receive() for _ in range(5)]
    assert commands(welcome) == ["001", "002", "003", "004", "005"]
    assert all(line.source == SERVER and line.params[0] == "hank" for line in welcome)
    assert welcome[0].params[1].endswith(".guest") and "hank!~hank@" in welcome[0].params[1]
    end = client.expect("376")
    assert end.params == ["hank", "End of /MOTD command"]


def test_no_address_is_shown(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("NICK hank", "USER hank 0 * :Hank Hill")
    lines = [client.expect("001"), *client.ask("WHOIS hank", "WHO hank", "USERHOST hank", "JOIN #alley")]
    text = " ".join(" ".join([line.source, *line.params]) for line in lines if line.command != "338")
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("first", ["NICK hank", "USER hank 0 * :x", "CAP LS 302"])
def test_the_registration_waits_for_all_of_it(irc: IrcServer, first: str) -> None:
    client = irc.connect()
    lines = ["NICK hank", "USER hank 0 * :x"]
    sent = [first, *(line for line in lines if line != first and not first.startswith(line[:4]))]
    if first.startswith("CAP"):
        list_capabilities(client, *sent)
        assert answer(client, "PING x").command == "PONG"
        client.send("CAP END")
    else:
        client.send(*sent)
    assert client.receive().command == "001"


@pytest.mark.parametrize(
    ("nick", "numeric"),
    [("", "431"), ("7", "432"), ("a b", "432"), ("#alley", "432"), ("a[b]", "432"), ("x" * 33, "432")],
)
def test_a_nick_that_cannot_be_a_name_is_refused(irc: IrcServer, nick: str, numeric: str) -> None:
    client = irc.connect()
    assert answer(client, f"NICK :{nick}").command == numeric
    client.send("NICK hank", "USER hank 0 * :x")
    assert client.receive().command == "001"


def test_a_nick_in_use_is_refused_and_another_may_follow(irc: IrcServer) -> None:
    irc.log_in("hank")
    client = irc.connect()
    refused = answer(client, "NICK Hank", "USER x 0 * :x")
    assert (refused.command, refused.params[1]) == ("433", "Hank")
    assert answer(client, "NICK hank_").command == "001"


def test_the_nick_of_an_account_is_refused_with_what_to_do(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    refused = answer(client, "NICK hank", "USER x 0 * :x")
    assert refused.command == "433"
    notice = client.receive()
    assert notice.command == "NOTICE" and "SASL" in notice.params[1]


@pytest.mark.parametrize("line", ["PRIVMSG hank :hi", "JOIN :", "LIST", "BOUNCER LISTNETWORKS", "PONG"])
def test_commands_before_the_registration_are_refused(irc: IrcServer, line: str) -> None:
    client = irc.connect()
    answers = {"PONG": [], "BOUNCER LISTNETWORKS": ["421"]}.get(line, ["451"])
    client.send(line, "PING x")
    found = []
    while (got := client.receive()).command != "PONG":
        found.append(got.command)
    assert found == answers


def test_who_says_too_much_before_the_registration_is_disconnected(irc: IrcServer) -> None:
    client = irc.connect()
    client.send(*["LIST"] * 60)
    assert client.read_to_end()[-1].command == "ERROR"


def test_who_does_not_register_in_time_is_told(start_irc: Callable[..., IrcServer]) -> None:
    client = start_irc(login_timeout=0.2).connect()
    client.send("CAP LS 302")
    (end,) = [line for line in client.read_to_end() if line.command != "CAP"]
    assert (end.command, end.params) == ("ERROR", ["Closing link: did not log in"])


def test_the_stop_of_the_server_is_told_to_all(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    registered, early, half = irc.log_in("dale"), irc.connect(), irc.connect()
    assert early.ask("NICK bill") == []
    half.send("CAP REQ sasl", "AUTHENTICATE PLAIN", f"AUTHENTICATE {plain('hank', PASSWORD)}")
    half.expect("903")
    irc.running.stop()
    for client, reason in ((registered, "restarts"), (early, "stops"), (half, "stops")):
        *_, end = client.read_to_end()
        assert (end.command, end.params) == ("ERROR", [f"Closing link: the server {reason}"])


def test_a_web_page_cannot_speak_irc(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("POST / HTTP/1.1", "Host: x", "", "NICK hank", "USER hank 0 * :x")
    received = b""
    while data := client.sock.recv(65_536):
        received += data
    assert received.startswith(b"HTTP/1.1 400") and b" 001 " not in received


def test_capabilities_are_listed_with_values_for_who_reads_them(irc: IrcServer) -> None:
    old, new = irc.connect(), irc.connect()
    names = list_capabilities(old, "CAP LS")
    assert "=" not in "".join(names) and "draft/multiline" not in names
    listed = list_capabilities(new, "CAP LS 302")
    assert {name.partition("=")[0] for name in listed} == CAPABILITIES.keys()
    assert "sasl=PLAIN" in listed


def test_a_request_of_capabilities_is_granted_whole_or_not_at_all(irc: IrcServer) -> None:
    client = irc.connect()
    assert answer(client, "CAP REQ :server-time no-such-thing").params[1:] == ["NAK", "server-time no-such-thing"]
    assert answer(client, "CAP LIST").params[-1] == ""
    assert answer(client, "CAP REQ :server-time echo-message").params[1] == "ACK"
    assert answer(client, "CAP REQ :-echo-message").params[1] == "ACK"
    assert answer(client, "CAP LIST").params[-1] == "server-time"
    assert answer(client, "CAP DANCE").command == "410"


def test_sasl_logs_an_account_in_before_001(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send("CAP LS 302", "CAP REQ sasl", "NICK other", "USER x 0 * :x", "AUTHENTICATE PLAIN")
    client.expect("AUTHENTICATE")
    logged_in = answer(client, f"AUTHENTICATE {plain('hank', PASSWORD)}")
    assert logged_in.command == "900" and logged_in.params[2] == "hank"
    assert client.receive().command == "903"
    assert answer(client, "CAP END").params[0] == "hank"


@pytest.mark.parametrize(
    "parts",
    [
        ("", "hank", PASSWORD),
        ("hank", "hank", PASSWORD),
        ("hank@laptop", "hank@laptop", PASSWORD),
        ("hank", "hank@x", PASSWORD),
    ],
)
def test_the_identity_of_sasl_may_be_the_name_with_its_device(irc: IrcServer, parts: tuple[str, ...]) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN")
    client.expect("AUTHENTICATE")
    response = base64.b64encode("\0".join(parts).encode()).decode()
    assert answer(client, f"AUTHENTICATE {response}").command == "900"


@pytest.mark.parametrize(
    ("lines", "numerics"),
    [
        ((f"AUTHENTICATE {plain('hank', 'wrong password')}",), ["904"]),
        ((f"AUTHENTICATE {plain('nobody', PASSWORD)}",), ["904"]),
        (("AUTHENTICATE !!!",), ["904"]),
        (("AUTHENTICATE *",), ["906"]),
        (("AUTHENTICATE " + "x" * 401,), ["905"]),
        (("AUTHENTICATE " + "A" * 400,) * 9, ["904"]),
        (("AUTHENTICATE " + plain("hank@" + "x" * 129, PASSWORD),), ["904"]),
    ],
)
def test_sasl_that_fails_says_so_and_may_be_tried_again(
    irc: IrcServer, lines: tuple[str, ...], numerics: list[str]
) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN")
    client.expect("AUTHENTICATE")
    client.send(*lines)
    assert [client.receive().command for _ in numerics] == numerics
    client.send("AUTHENTICATE PLAIN")
    client.expect("AUTHENTICATE")
    assert answer(client, f"AUTHENTICATE {plain('hank', PASSWORD)}").command == "900"


@pytest.mark.parametrize("length", [600 - len("hank.hank."), 1024])
def test_sasl_takes_the_longest_passwords(irc: IrcServer, length: int) -> None:
    password = "x" * length
    irc.register("hank", password)
    client = irc.connect()
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN", *chunks("hank", "hank", password))
    assert client.expect("900").params[2] == "hank"


def test_sasl_takes_the_longest_password_of_the_longest_name(irc: IrcServer) -> None:
    name, password = OTHER_LETTER * 32, OTHER_LETTER * 256
    irc.register(name, password)
    client = irc.connect()
    identity = f"{name}@{OTHER_LETTER * 128}"
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN", *chunks(identity, identity, password))
    assert client.expect("900").params[2] == name


def chunks(*parts: str) -> list[str]:
    """Return the lines of a response of SASL PLAIN."""
    response = base64.b64encode("\0".join(parts).encode()).decode()
    pieces = [response[start : start + 400] for start in range(0, len(response), 400)]
    return [f"AUTHENTICATE {piece}" for piece in [*pieces, *(["+"] if len(pieces[-1]) == 400 else [])]]


def test_an_unknown_mechanism_is_answered_with_those_there_are(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("CAP REQ sasl")
    client.expect("CAP")
    refused = answer(client, "AUTHENTICATE EXTERNAL")
    assert (refused.command, refused.params[1]) == ("908", "PLAIN")
    assert client.receive().command == "904"


def test_three_wrong_passwords_end_the_connection(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send("CAP REQ sasl", *["AUTHENTICATE PLAIN", f"AUTHENTICATE {plain('hank', 'wrong password')}"] * 3)
    assert commands(client.read_to_end())[-2:] == ["904", "ERROR"]


@pytest.mark.parametrize("given", [f":hank:{PASSWORD}", f":hank@laptop:{PASSWORD}", f":{PASSWORD}", f"hank:{PASSWORD}"])
def test_a_password_of_the_connection_logs_in_as_well(irc: IrcServer, given: str) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send(f"PASS {given}", "NICK hank", "USER x 0 * :x")
    assert client.expect("001").params[0] == "hank"


def test_a_password_is_ignored_where_the_nick_is_no_account(irc: IrcServer) -> None:
    client = irc.connect()
    client.send("PASS :left over from another network", "NICK hank", "USER x 0 * :x")
    assert client.receive().command == "001"


def test_a_wrong_password_of_the_connection_ends_it(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    client = irc.connect()
    client.send("PASS :wrong password", "NICK hank", "USER x 0 * :x")
    assert commands(client.read_to_end()) == ["464", "ERROR"]


@pytest.fixture
def closed(start_irc: Callable[..., IrcServer], tmp_path: Path) -> IrcServer:
    """A server with a password, and the account hank."""
    file = tmp_path / "irc-password"
    file.write_text("open sesame\n")
    irc = start_irc(irc_password_file=str(file), failures_per_ip=2, limit_loopback=True)
    irc.register("hank", PASSWORD)
    return irc


def test_who_gives_the_password_of_the_server_is_let_in(closed: IrcServer) -> None:
    guest, account, both = closed.connect(), closed.connect(), closed.connect()
    guest.send("PASS :open sesame", "NICK dale", "USER x 0 * :x")
    assert guest.expect("001").params[0] == "dale"
    account.send("PASS :open sesame")
    assert account.log_in("hank", password=PASSWORD).ask("PING x")
    both.send("PASS :open sesame", f"PASS :hank:{PASSWORD}", "NICK hank", "USER x 0 * :x")
    assert both.expect("001").params[0] == "hank"


@pytest.mark.parametrize("lines", [["PASS :open sesamE"], ["PASS :"], [f"PASS :hank:{PASSWORD}"], []])
def test_who_does_not_is_not_let_in(closed: IrcServer, lines: list[str]) -> None:
    client = closed.connect()
    client.send(*lines, "NICK dale", "USER x 0 * :x")
    assert commands(client.read_to_end()) == ["464", "ERROR"]


def test_an_account_needs_the_password_of_the_server_too(closed: IrcServer) -> None:
    client = closed.connect()
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN", "NICK hank", "USER x 0 * :x", "CAP END")
    lines = client.read_to_end()
    assert commands(lines) == ["CAP", "904", "464", "ERROR"] and "PASS" in lines[1].params[-1]


def test_wrong_passwords_of_the_server_count_as_those_of_accounts_do(closed: IrcServer) -> None:
    for _ in range(2):
        client = closed.connect()
        client.send("PASS wrong")
        assert commands(client.read_to_end()) == ["464", "ERROR"]
    client = closed.connect()
    client.send("PASS :open sesame")
    lines = client.read_to_end()
    assert commands(lines) == ["FAIL", "ERROR"] and lines[0].params[1] == "TOO_MANY_FAILURES"
    assert closed.app.messenger.stats.logins["wrong_password"] == 2


def test_where_guests_are_refused_the_reason_is_told(start_irc: Callable[..., IrcServer]) -> None:
    client = start_irc(guests=False).connect()
    client.send("NICK hank", "USER x 0 * :x")
    lines = client.read_to_end()
    assert commands(lines) == ["FAIL", "ERROR"] and lines[0].params[:2] == ["*", "ACCOUNT_REQUIRED"]


def test_sessions_of_an_account_do_not_replace_each_other(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    first, second = irc.log_in("hank", password=PASSWORD), irc.log_in("hank", password=PASSWORD)
    first.send("PRIVMSG hank :to both")
    assert second.expect("PRIVMSG").params == ["hank", "to both"]
    assert "ERROR" not in commands(first.sync())


def test_a_device_that_is_named_replaces_its_session(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    clients = [irc.connect(), irc.connect()]
    for client in clients:
        client.send(f"PASS :hank@laptop:{PASSWORD}", "NICK hank", "USER x 0 * :x")
        client.expect("376")
    assert commands(clients[0].read_to_end())[-2:] == ["NOTICE", "ERROR"]
    assert clients[1].ask("PING x") != []


def test_the_rooms_of_an_account_are_joined_at_login(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    client = irc.log_in("hank", password=PASSWORD)
    irc.join("#alley", client)
    client.send("QUIT :later")
    client.read_to_end()
    again = irc.connect()
    again.send(f"PASS :{PASSWORD}", "NICK hank", "USER x 0 * :x")
    assert again.expect("JOIN").params[0] == "#alley"
    assert again.expect("353").params[-1].lstrip("~@+") == "hank"


def test_a_guest_may_take_another_name(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    irc.join("#den", hank, dale)
    assert [(line.command, line.params) for line in hank.ask("NICK Strickland")] == [("NICK", ["Strickland"])]
    seen = dale.sync()
    assert [(line.command, line.params, line.source.partition("!")[0]) for line in seen] == [
        ("NICK", ["Strickland"], "hank")
    ]
    hank.ask("PRIVMSG #alley :it is me")
    assert find(dale.sync(), "PRIVMSG").source.startswith("Strickland!~user@")
    assert irc.log_in("hank").nick == "hank"  # the name is free


@pytest.mark.parametrize(("nick", "numeric"), [("dale", "433"), ("peggy", "433"), ("a[b", "432"), ("", "431")])
def test_a_name_that_a_guest_cannot_take_is_refused(irc: IrcServer, nick: str, numeric: str) -> None:
    irc.register("peggy", PASSWORD)
    hank = irc.log_in("hank")
    irc.log_in("dale")
    assert commands(hank.ask(f"NICK :{nick}")) == [numeric]
    assert hank.ask("NICK hank") == []


def test_an_account_has_its_own_name(irc: IrcServer) -> None:
    irc.register("hank", PASSWORD)
    hank = irc.log_in("hank", password=PASSWORD)
    assert commands(hank.ask("NICK dale")) == ["447"]
