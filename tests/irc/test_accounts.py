"""Accounts: REGISTER, NickServ, and a guest that logs in as an account."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.chat.delivery import DeliveryService
from tests.conftest import FAST
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, find, plain
from tests.support.native_clients import Connector

PASSWORD = "a password"
REGISTER_BY = [f"REGISTER * * :{PASSWORD}", f"REGISTER Dale dale@example.org :{PASSWORD}"]


@pytest.mark.parametrize("line", REGISTER_BY)
def test_register_makes_the_nick_an_account(irc: IrcServer, line: str) -> None:
    hank, dale = irc.log_in("hank", "account-notify"), irc.log_in("Dale", "account-notify")
    irc.join("#alley", hank, dale)
    answer = dale.ask(line)
    assert commands(answer) == ["REGISTER", "900", "396"]
    assert answer[0].params[:2] == ["SUCCESS", "Dale"]
    assert answer[1].params[0] == "Dale" and answer[1].params[2] == "Dale" and answer[1].params[1].startswith("Dale!")
    (told,) = hank.sync()
    assert (told.command, told.params) == ("ACCOUNT", ["Dale"])
    assert find(hank.ask("WHO dale %a"), "354").params == ["hank", "Dale"]
    assert find(dale.ask("REGISTER * * other"), "FAIL").params[:3] == ["REGISTER", "ALREADY_AUTHENTICATED", "Dale"]
    dale.send("QUIT")
    dale.read_to_end()
    assert "330" in commands(hank.ask("WHOIS dale"))
    again = irc.log_in("dale", password=PASSWORD)
    assert find(again.ask("NAMES #alley"), "353").params[1:3] == ["=", "#alley"]


def test_what_is_said_to_who_has_just_registered_arrives(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    hank.ask("PRIVMSG #alley :before")
    dale.ask(f"NICKSERV REGISTER {PASSWORD.replace(' ', '_')}")
    hank.ask("PRIVMSG #alley :after", "PRIVMSG dale :you")
    assert [line.params[1] for line in (dale.expect("PRIVMSG"), dale.expect("PRIVMSG"))] == ["after", "you"]


def test_the_service_takes_no_email_for_part_of_the_password(irc: IrcServer) -> None:
    dale = irc.log_in("dale")
    assert "No e-mail address" in find(dale.ask("NICKSERV REGISTER opensesame dale@example.org"), "NOTICE").params[1]
    assert "dale" not in irc.app.messenger.authenticator.accounts
    dale.ask('NICKSERV REGISTER "opensesame dale@example.org"')
    irc.log_in("dale", password="opensesame dale@example.org")


def test_register_is_refused_with_the_codes_of_its_specification(irc: IrcServer) -> None:
    early = irc.connect()
    early.send("CAP LS 302", "NICK hank", "REGISTER * * opensesame", "VERIFY hank code")
    for command in ("REGISTER", "VERIFY"):
        assert early.expect("FAIL").params[:2] == [command, "COMPLETE_CONNECTION_REQUIRED"]
    hank = irc.log_in("hank")
    assert find(hank.ask("REGISTER dale * opensesame"), "FAIL").params[:3] == [
        "REGISTER",
        "ACCOUNT_NAME_MUST_BE_NICK",
        "dale",
    ]
    assert find(hank.ask("REGISTER * * :"), "FAIL").params[:3] == ["REGISTER", "UNACCEPTABLE_PASSWORD", "hank"]
    assert find(hank.ask("VERIFY hank 1234"), "FAIL").params[:3] == ["VERIFY", "INVALID_CODE", "hank"]
    assert commands(hank.ask("REGISTER * opensesame")) == ["461"]


def test_register_by_invite(start_irc: Callable[..., IrcServer]) -> None:
    irc = start_irc(registration="invite")
    irc.app.store.add_invite("let-me-in", 1.0)
    hank = irc.log_in("hank")
    assert find(hank.ask("REGISTER * * opensesame"), "FAIL").params[1] == "INVITE_REQUIRED"
    assert find(hank.ask("REGISTER * invite:wrong opensesame"), "FAIL").params[1] == "INVITE_REQUIRED"
    assert commands(hank.ask("REGISTER * invite:let-me-in opensesame"))[0] == "REGISTER"


def test_register_where_it_is_closed(start_irc: Callable[..., IrcServer]) -> None:
    irc = start_irc(registration="closed")
    hank = irc.connect()
    hank.send("CAP LS 302")
    assert "account-registration" not in hank.expect("CAP").params[-1]
    hank.log_in("hank")
    assert find(hank.ask("REGISTER * * opensesame"), "FAIL").params[:3] == ["REGISTER", "DISALLOWED", "hank"]


def early(irc: IrcServer, *lines: str) -> IrcClient:
    """Return a client that has asked for REGISTER, and sent lines, before its registration."""
    client = irc.connect()
    client.send("CAP LS 302", "CAP REQ draft/account-registration", *lines)
    return client


def test_register_before_the_welcome_where_guests_are_refused(start_irc: Callable[..., IrcServer]) -> None:
    irc = start_irc(guests=False)
    dale = early(irc, "NICK Dale", f"REGISTER * * :{PASSWORD}")
    assert "draft/account-registration=before-connect" in dale.expect("CAP").params[-1].split()
    assert dale.expect("REGISTER").params[:2] == ["SUCCESS", "Dale"]
    logged_in = dale.expect("900")
    assert logged_in.params[2] == "Dale" and logged_in.params[1].startswith("Dale!")
    dale.send("REGISTER * * another")
    assert dale.expect("FAIL").params[:3] == ["REGISTER", "ALREADY_AUTHENTICATED", "Dale"]
    dale.send("USER dale 0 * :Dale", "CAP END")
    assert dale.expect("001").params[0] == "Dale"
    dale.sync()
    assert commands(dale.ask("JOIN #alley"))[0] == "JOIN"
    peggy = irc.log_in("dale", password=PASSWORD)
    peggy.ask("PRIVMSG Dale :to both")
    assert dale.expect("PRIVMSG").params == ["Dale", "to both"]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["REGISTER * * secret"], "NEED_NICK"),
        (["REGISTER dale * secret"], "NEED_NICK"),
        (["NICK dale", "REGISTER hank * secret"], "ACCOUNT_NAME_MUST_BE_NICK"),
        (["NICK peggy", "REGISTER * * secret"], "ACCOUNT_EXISTS"),
        (["NICK dale", "REGISTER * * x"], "UNACCEPTABLE_PASSWORD"),
    ],
)
def test_an_early_register_is_refused_with_its_codes(
    start_irc: Callable[..., IrcServer], lines: list[str], code: str
) -> None:
    irc = start_irc(guests=False)
    early(irc, "NICK peggy", f"REGISTER * * :{PASSWORD}").expect("REGISTER")
    client = early(irc, *lines)
    assert client.expect("FAIL").params[:2] == ["REGISTER", code]
    client.send("NICK bobby", f"REGISTER bobby * :{PASSWORD}", "USER x 0 * :x", "CAP END")
    assert client.expect("001").params[0] == "bobby"


def test_an_early_register_by_invite(start_irc: Callable[..., IrcServer]) -> None:
    irc = start_irc(guests=False, registration="invite")
    irc.app.store.add_invite("let-me-in", 1.0)
    client = early(irc, "NICK hank", f"REGISTER * * :{PASSWORD}")
    assert client.expect("FAIL").params[1] == "INVITE_REQUIRED"
    client.send(f"REGISTER * invite:let-me-in :{PASSWORD}")
    assert client.expect("REGISTER").params[:2] == ["SUCCESS", "hank"]


@pytest.fixture
def account(irc: IrcServer) -> IrcServer:
    """A server with the account peggy, who is in #home."""
    irc.register("peggy", "opensesame")
    peggy = irc.log_in("peggy", password="opensesame")
    peggy.ask("JOIN #home")
    peggy.send("QUIT")
    peggy.read_to_end()
    return irc


def identify_by_sasl(client: IrcClient, name: str, password: str) -> None:
    client.send("CAP REQ sasl", "AUTHENTICATE PLAIN", f"AUTHENTICATE {plain(name, password)}")


def identify_by_message(client: IrcClient, name: str, password: str) -> None:
    client.send(f"PRIVMSG NickServ :IDENTIFY {name} {password}")


@pytest.mark.parametrize("identify", [identify_by_sasl, identify_by_message])
def test_a_guest_becomes_an_account_on_its_connection(
    account: IrcServer, identify: Callable[[IrcClient, str, str], None]
) -> None:
    hank, guest = account.log_in("hank"), account.log_in("guest")
    account.join("#alley", hank, guest)
    hank.ask("PRIVMSG peggy :welcome", "PRIVMSG guest :bye")
    identify(guest, "Peggy", "opensesame")
    assert guest.expect("PRIVMSG").params == ["guest", "bye"]
    logged_in = guest.expect("900")
    assert (logged_in.params[0], logged_in.params[2]) == ("guest", "peggy")
    part = guest.expect("PART")
    assert (part.params, part.source.partition("!")[0]) == (["#alley"], "guest")
    nick = guest.expect("NICK")
    assert (nick.params, nick.source) == (["peggy"], part.source)
    join = guest.expect("JOIN")
    assert (join.params, join.source.partition("!")[0]) == (["#home"], "peggy")
    assert guest.expect("PRIVMSG").params[0] == "peggy"
    assert [line.command for line in hank.sync()] == ["QUIT"]
    assert find(guest.ask("WHOIS peggy"), "330").params[:3] == ["peggy", "peggy", "peggy"]
    hank.ask("PRIVMSG peggy :again")
    assert guest.expect("PRIVMSG").params == ["peggy", "again"]
    assert commands(hank.ask("PRIVMSG guest :gone?")) == ["401"]
    assert commands(guest.ask("CAP REQ sasl", "AUTHENTICATE PLAIN"))[-1] == "907"
    account.log_in("guest")  # the nick is free


def test_a_guest_that_gives_a_wrong_password_goes_on(account: IrcServer) -> None:
    guest = account.log_in("guest")
    for line in ("NICKSERV IDENTIFY peggy wrong", "NS IDENTIFY nobody wrong", "NS IDENTIFY wrong"):
        assert commands(guest.ask(line)) == ["NOTICE"]
    identify_by_sasl(guest, "peggy", "wrong")
    guest.expect("904")
    assert find(guest.ask("WHO guest"), "352").params[5] == "guest"


def test_an_away_guest_is_away_as_an_account(account: IrcServer) -> None:
    hank, guest = account.log_in("hank"), account.log_in("guest")
    guest.ask("AWAY :out")
    guest.ask("NS IDENTIFY peggy opensesame")
    assert find(hank.ask("WHOIS peggy"), "301").params[2] == "out"


def test_a_monitored_guest_that_logs_in_is_gone_and_the_account_is_there(account: IrcServer) -> None:
    hank, guest = account.log_in("hank"), account.log_in("guest")
    hank.ask("MONITOR + guest,peggy")
    guest.ask("MONITOR + hank", "NS IDENTIFY peggy opensesame")
    assert [(line.command, line.params[1].partition("!")[0]) for line in hank.sync()] == [
        ("730", "peggy"),
        ("731", "guest"),
    ]
    hank.send("QUIT")
    hank.read_to_end()
    assert find(guest.sync(), "731").params == ["peggy", "hank"]


def test_nickserv_answers_by_notices(account: IrcServer) -> None:
    hank = account.log_in("hank")
    for line in ("PRIVMSG NickServ :help", "NICKSERV", "NS help"):
        answer = hank.ask(line)
        assert set(commands(answer)) == {"NOTICE"} and len(answer) > 5
        assert answer[0].source == "NickServ!services@irc.example" and answer[0].params[0] == "hank"
    for line, words in {
        "NS INFO peggy": "account",
        "NS INFO hank": "guest",
        "NS INFO nobody": "nobody",
        "NS GHOST peggy": "not needed",
        "NS LOGOUT": "QUIT",
        "NS NONSENSE": "NONSENSE",
        "NS REGISTER": "<password>",
        "NS SET": "PASSWORD",
        "NS DROP opensesame": "account",
    }.items():
        (notice,) = hank.ask(line)
        assert words in notice.params[1], notice
    assert hank.ask("NOTICE NickServ :help") == []


def test_what_is_said_to_nickserv_is_echoed_before_its_answer(irc: IrcServer) -> None:
    """A client with `echo-message` shows a line when its echo arrives, and reports it as failed if none does."""
    hank = irc.log_in("hank", "echo-message", "labeled-response")
    begin, *inside, _ = hank.ask(f"@label=x PRIVMSG nickserv :info {'x' * 40}")
    assert (begin.params[1], begin.tags["label"]) == ("labeled-response", "x")
    echo, answer = inside
    assert (echo.command, echo.params) == ("PRIVMSG", ["NickServ", f"info {'x' * 40}"])
    assert echo.source is not None and echo.source.startswith("hank!")
    assert echo.tags == answer.tags == {"batch": begin.params[0][1:]}
    (echo,) = hank.ask("@label=y NOTICE NickServ :help")
    assert (echo.command, echo.params, echo.tags["label"]) == ("NOTICE", ["NickServ", "help"], "y")


def test_typing_to_nickserv_is_no_error(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "message-tags", "echo-message")
    assert hank.ask("@+typing=active TAGMSG NickServ") == []


def test_nickserv_deletes_an_account(account: IrcServer) -> None:
    hank, peggy = account.log_in("hank"), account.log_in("peggy", password="opensesame")
    assert "password" in find(peggy.ask("NS DROP wrong"), "NOTICE").params[1]
    peggy.send("NS DROP opensesame")
    assert peggy.expect("NOTICE").params[1].startswith("The account is deleted")
    assert commands(peggy.read_to_end()) == ["ERROR"]
    assert commands(hank.ask("WHOIS peggy")) == ["401", "318"]


def test_nickserv_changes_the_password(account: IrcServer) -> None:
    peggy, other = account.log_in("peggy", password="opensesame"), account.log_in("peggy", password="opensesame")
    peggy.ask("NS SET PASSWORD opensesame another-one")
    assert commands(other.read_to_end())[-1] == "ERROR"
    assert peggy.ask("PRIVMSG NickServ :SET PASSWORD wrong another-one")[0].command == "NOTICE"
    account.log_in("peggy", password="another-one")


@pytest.mark.parametrize("password", ["correct horse  battery", "two words"])
def test_nickserv_takes_passwords_with_spaces(irc: IrcServer, password: str) -> None:
    dale = irc.log_in("dale")
    assert "900" in commands(dale.ask(f"PRIVMSG NickServ :REGISTER {password}"))
    guest = irc.log_in("guest")
    assert "900" in commands(guest.ask(f"PRIVMSG NickServ :IDENTIFY dale {password}"))
    guest.ask(f'PRIVMSG NickServ :SET PASSWORD "{password}" a new  one')
    again = irc.log_in("dale", password="a new  one")
    again.send("PRIVMSG NickServ :DROP a new  one")
    assert "deleted" in again.expect("NOTICE").params[1]


def test_a_password_with_spaces_before_an_invite_is_quoted(start_irc: Callable[..., IrcServer]) -> None:
    irc = start_irc(registration="invite")
    irc.app.store.add_invite("let-me-in", 1.0)
    hank = irc.log_in("hank")
    assert commands(hank.ask("PRIVMSG NickServ :REGISTER two words let-me-in")) == ["NOTICE"]
    assert "900" in commands(hank.ask('PRIVMSG NickServ :REGISTER "two words" let-me-in'))
    irc.log_in("hank", password="two words")


def test_who_has_a_one_time_password_changes_it_first(account: IrcServer) -> None:
    app = account.app
    AdminService(app.messenger, app.store, FAST, time.time).set_password("peggy", "once-only", once=True)
    peggy = account.connect()
    peggy.send("PASS peggy:once-only", "NICK peggy", "USER user 0 * :Peggy")
    assert "SET PASSWORD" in peggy.expect("NOTICE").params[1]
    peggy.sync()
    for line in ("JOIN #alley", "PRIVMSG #home :hi", "AWAY :out"):
        assert commands(peggy.ask(line)) == ["NOTICE"]
    peggy.ask("PRIVMSG NickServ :SET PASSWORD once-only for-good-now")
    assert commands(peggy.ask("PRIVMSG #home :hi", "AWAY :out")) == ["306"]


def test_who_registers_by_another_protocol_is_told_of_as_well(irc: IrcServer, connector: Connector) -> None:
    hank = irc.log_in("hank", "account-notify")
    irc.join("#alley", hank)
    dale = connector.open_native(irc.running, "dale")
    dale.request("join", room="#alley")
    dale.request("register", password=PASSWORD)
    assert hank.expect("ACCOUNT").params == ["dale"]


def test_what_an_account_does_is_tagged_for_those_who_want_that(account: IrcServer) -> None:
    hank, peggy = account.log_in("hank", "account-tag"), account.log_in("peggy", password="opensesame")
    dale = account.log_in("dale")
    account.join("#alley", hank)
    peggy.ask("JOIN #alley", "TOPIC #alley :beer", "INVITE hank #home")
    dale.ask("JOIN #alley")
    tags = {(line.command, line.source.partition("!")[0]): line.tags for line in hank.sync()}
    assert tags == {
        ("JOIN", "peggy"): {"account": "peggy"},
        ("TOPIC", "peggy"): {"account": "peggy"},
        ("INVITE", "peggy"): {"account": "peggy"},
        ("JOIN", "dale"): {},
    }


def test_what_is_said_right_after_registering_is_echoed_before_a_ping_is_answered(
    irc: IrcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, _ = irc.log_in("hank", "echo-message"), irc.log_in("dale")
    start = DeliveryService.start_catch_up
    monkeypatch.setattr(DeliveryService, "start_catch_up", lambda *given: gevent.spawn_later(0.1, start, *given))
    answer = hank.ask(f"PRIVMSG NickServ :REGISTER {PASSWORD}", "PRIVMSG dale :hello")
    assert [line.params[0] for line in answer if line.command == "PRIVMSG"] == ["NickServ", "dale"]
