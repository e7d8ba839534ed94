"""WHO, WHOIS, WHOWAS, USERHOST, ISON, AWAY, SETNAME, user modes, SILENCE and HELP."""

from __future__ import annotations

import pytest

from gmessenger.server.irc.commands import COMMANDS
from tests.irc.conftest import SERVER, IrcServer
from tests.support.irc_client import commands, find


def test_who_of_a_room_lists_those_in_it_to_those_in_it(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale", user="gribble"), irc.log_in("bill")
    irc.join("#alley", hank, dale)
    dale.ask("AWAY :in the tower")
    rows = {line.params[5]: line.params for line in hank.ask("WHO #Alley") if line.command == "352"}
    assert rows.keys() == {"hank", "dale"}
    assert rows["dale"][1:3] == ["#alley", "~gribble"] and rows["dale"][4:] == [SERVER, "dale", "G", "0 The real dale"]
    assert rows["hank"][6].startswith("H") and len(rows["hank"][6]) > 1  # with the prefix of who made the room
    (end,) = bill.ask("WHO #alley")
    assert (end.command, end.params[:2]) == ("315", ["bill", "#alley"])


@pytest.mark.parametrize("mask", ["dale", "DALE", "da*", "*!~user@*", "*", "0"])
def test_who_of_a_nick_or_a_mask_needs_no_common_room(irc: IrcServer, mask: str) -> None:
    hank = irc.log_in("hank")
    irc.log_in("dale")
    found = [line.params[5] for line in hank.ask(f"WHO {mask}") if line.command == "352"]
    assert "dale" in found and len(found) == (2 if mask[0] in "*0" else 1)


def test_who_is_invisible_is_found_by_nick_and_by_those_in_the_same_room_only(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    assert find(dale.ask("MODE dale +i"), "MODE").params == ["dale", "+i"]
    assert commands(hank.ask("WHO da*")) == ["315"]
    assert commands(hank.ask("WHO dale")) == ["352", "315"]
    irc.join("#alley", hank, dale)
    assert commands(hank.ask("WHO da*")) == ["352", "315"]


def test_whox_answers_the_fields_that_were_asked_for_in_its_order(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.log_in("dale")
    row = find(hank.ask("WHO dale %rolafdnshiuct,42"), "354").params
    assert row[1:4] == ["42", "*", "~user"] and row[6:9] == [SERVER, "dale", "H"]
    assert (row[4], row[9:]) == ("255.255.255.255", ["0", row[10], "0", "n/a", "The real dale"])
    assert find(hank.ask("WHO dale %tn,1234"), "354").params == ["hank", "0", "dale"]
    assert find(hank.ask("WHO dale %z"), "352").params[5] == "dale"


def test_whois_tells_what_one_may_know(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", dale, hank)
    irc.join("#den", dale)
    dale.ask("MODE #den +s")
    irc.register("peggy", "opensesame")
    answer = hank.ask("WHOIS dale")
    assert commands(answer)[0] == "311" and commands(answer)[-1] == "318"
    assert find(answer, "311").params[1:3] == ["dale", "~user"] and find(answer, "311").params[4:] == [
        "*",
        "The real dale",
    ]
    assert "#alley" in find(answer, "319").params[2]
    assert not {"301", "313", "330", "338", "671"} & set(commands(answer))
    assert find(answer, "312").params[1:3] == ["dale", SERVER]
    dale.ask("AWAY :later")
    assert find(bill.ask("WHOIS dale"), "301").params == ["bill", "dale", "later"]
    assert find(dale.ask("WHOIS dale"), "338").params[2] == "127.0.0.1"
    offline = hank.ask("WHOIS peggy")
    assert find(offline, "330").params[:3] == ["hank", "peggy", "peggy"]
    assert find(offline, "301").params[2] == "offline" and "317" not in commands(offline)


def test_whois_tells_for_how_long_a_guest_has_said_nothing(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    (session,) = irc.app.messenger.router.sessions("dale")

    def idle() -> int:
        return int(find(hank.ask("WHOIS dale"), "317").params[2])

    irc.join("#alley", hank, dale)
    said = (
        "PRIVMSG hank :the first, for which tokens are drawn",
        "PRIVMSG hank :at once",
        "PRIVMSG hank :one\r\nPRIVMSG hank :two, in one read",
        "PRIVMSG #alley,hank :hi",
        "PRIVMSG @#alley :to those with a role",
        "PRIVMSG hank :\1VERSION\1",
    )
    for line in said:
        session.active_at -= 1000
        assert idle() >= 1000
        dale.send(line)
        dale.sync()
        assert idle() < 1000


def test_who_says_something_on_another_device_is_not_idle(irc: IrcServer) -> None:
    irc.register("peggy", "opensesame")
    hank = irc.log_in("hank")
    irc.log_in("peggy", password="opensesame")
    native = irc.log_in_natively("peggy", "opensesame", device="phone")
    for session in irc.app.messenger.router.sessions("peggy"):
        session.active_at -= 1000
    assert int(find(hank.ask("WHOIS peggy"), "317").params[2]) >= 1000
    assert native.request("msg", to="hank", message="hi")["response"] == 200
    assert int(find(hank.ask("WHOIS peggy"), "317").params[2]) < 1000


def test_whois_refuses_what_nobody_is(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    assert commands(hank.ask("WHOIS nobody")) == ["401", "318"]
    assert commands(hank.ask("WHOIS")) == ["431"]
    assert commands(hank.ask("WHOIS elsewhere.example hank")) == ["402"]
    for server in (SERVER, "hank"):
        assert commands(hank.ask(f"WHOIS {server} hank"))[0] == "311"


def test_whowas_tells_the_latest_first(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    for user in ("first", "second"):
        dale = irc.log_in("dale", user=user)
        dale.send("QUIT")
        dale.read_to_end()
    found = [line.params[2] for line in hank.ask("WHOWAS Dale") if line.command == "314"]
    assert found == ["~second", "~first"]
    assert commands(hank.ask("WHOWAS dale 1")) == ["314", "312", "369"]
    assert commands(hank.ask("WHOWAS nobody")) == ["406", "369"]
    assert commands(hank.ask("WHOWAS")) == ["431"]


def test_userhost_and_ison_tell_who_is_online(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    host = find(hank.ask("USERHOST dale nobody"), "302").params[1]
    assert host.startswith("dale=+~user@") and " " not in host
    dale.ask("AWAY :out")
    assert find(hank.ask("USERHOST dale"), "302").params[1].startswith("dale=-~user@")
    assert find(hank.ask("ISON Dale nobody hank"), "303").params[1] == "dale hank"


def test_away_is_told_to_those_in_the_room_and_to_who_writes(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", "away-notify"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    assert commands(dale.ask("AWAY :in the tower")) == ["306"]
    (line,) = hank.sync()
    assert (line.command, line.params, line.source.partition("!")[0]) == ("AWAY", ["in the tower"], "dale")
    assert find(hank.ask("PRIVMSG dale :there?"), "301").params == ["hank", "dale", "in the tower"]
    assert hank.ask("NOTICE dale :there?") == []
    assert commands(dale.ask("AWAY :")) == ["PRIVMSG", "NOTICE", "305"]
    (line,) = hank.sync()
    assert (line.command, line.params) == ("AWAY", [])
    assert hank.ask("PRIVMSG dale :there?") == []


def test_who_joins_and_is_away_says_so(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank", "away-notify"), irc.log_in("dale")
    irc.join("#alley", hank)
    dale.ask("AWAY :asleep")
    assert "AWAY" not in commands(dale.ask("JOIN #alley"))
    assert [(line.command, line.params) for line in hank.sync()] == [("JOIN", ["#alley"]), ("AWAY", ["asleep"])]


def test_away_before_the_registration_is_for_those_who_asked_for_it(irc: IrcServer) -> None:
    hank, dale = irc.connect(), irc.log_in("dale")
    hank.send("CAP LS 302", "AWAY :early")
    assert hank.expect("451")
    hank.send("CAP REQ draft/pre-away", "AWAY *")
    assert hank.expect("306")
    hank.log_in("hank")
    assert find(dale.ask("WHOIS hank"), "301").params[2] == "away"


def test_a_client_without_its_user_does_not_make_an_account_away_that_is_here(irc: IrcServer) -> None:
    irc.register("hank", "opensesame")
    hank, dale = irc.log_in("hank", password="opensesame"), irc.log_in("dale")
    phone = irc.connect()
    phone.send("CAP LS 302", "CAP REQ draft/pre-away", "AWAY *", "PASS hank:opensesame")
    phone.log_in("hank")
    assert "301" not in commands(dale.ask("WHOIS hank"))
    hank.send("QUIT")
    hank.read_to_end()
    assert find(dale.ask("WHOIS hank"), "301").params[2] == "away"
    phone.ask("AWAY")
    assert "301" not in commands(dale.ask("WHOIS hank"))


def test_setname_is_told_to_those_in_the_room_who_want_that(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank", "setname"), irc.log_in("dale", "setname"), irc.log_in("bill")
    irc.join("#alley", hank, dale, bill)
    (line,) = hank.ask("SETNAME :Hank Hill")
    assert (line.command, line.params) == ("SETNAME", ["Hank Hill"])
    (line,) = dale.sync()
    assert (line.command, line.params, line.source.partition("!")[0]) == ("SETNAME", ["Hank Hill"], "hank")
    assert bill.sync() == []
    assert find(bill.ask("WHOIS hank"), "311").params[-1] == "Hank Hill"
    assert bill.ask("SETNAME :Bill") == []
    for wrong in ("", " ", "x" * 151):
        assert find(hank.ask(f"SETNAME :{wrong}"), "FAIL").params[:2] == ["SETNAME", "INVALID_REALNAME"]


def test_user_modes_are_ones_own(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    assert find(hank.ask("MODE hank"), "221").params == ["hank", "+"]
    assert find(hank.ask("MODE hank +iw-x"), "MODE").params == ["hank", "+iw"]
    assert commands(hank.ask("MODE hank +x")) == ["501"]
    assert hank.ask("MODE hank +o") == []
    assert find(hank.ask("MODE Hank -w+B"), "MODE").params == ["hank", "+B-w"]
    assert find(hank.ask("MODE hank"), "221").params == ["hank", "+Bi"]
    assert commands(dale.ask("MODE hank +i")) == ["502"]
    assert commands(dale.ask("MODE nobody")) == ["401"]
    assert "335" in commands(dale.ask("WHOIS hank"))
    assert "B" in find(dale.ask("WHO hank"), "352").params[6]


def test_silence_blocks_a_nick(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    assert find(hank.ask("SILENCE +dale"), "SILENCE").params == ["+dale!*@*"]
    assert next(line.params for line in hank.ask("SILENCE")) == ["hank", "hank", "dale!*@*"]
    assert commands(dale.ask("PRIVMSG hank :hi")) == ["531"]
    assert find(dale.ask("ISON hank"), "303").params[1] == ""
    assert commands(hank.ask("SILENCE -dale!*@*", "SILENCE")) == ["SILENCE", "272"]
    assert dale.ask("PRIVMSG hank :hi") == []
    hank.sync()
    for mask in ("*", "d?le", "*!*@example.org", "dale!~x@*"):
        assert commands(hank.ask(f"SILENCE +{mask}")) == ["415"]


@pytest.mark.parametrize("command", ["HELP", "HELPOP"])
def test_help_is_printed_from_the_table_of_commands(irc: IrcServer, command: str) -> None:
    hank = irc.log_in("hank")
    answer = hank.ask(command)
    assert (commands(answer)[0], commands(answer)[-1]) == ("704", "706")
    listed = " ".join(line.params[2] for line in answer if line.command == "705").split()
    assert listed == sorted(COMMANDS) == list(COMMANDS)
    assert all(row.help for row in COMMANDS.values())
    answer = hank.ask(f"{command} away")
    assert [line.params[1] for line in answer] == ["AWAY"] * 3
    assert answer[1].params[2] == COMMANDS["AWAY"].help
    assert commands(hank.ask(f"{command} nonsense")) == ["524"]


def test_a_guest_may_take_another_nick(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale", user="gribble"), irc.log_in("bill")
    irc.join("#alley", hank, dale)
    bill.ask("MONITOR + dale,rusty")
    (line,) = dale.ask("NICK Rusty")
    assert (line.command, line.params, line.source.partition("@")[0]) == ("NICK", ["Rusty"], "dale!~gribble")
    (told,) = hank.sync()
    assert (told.command, told.params, told.source) == ("NICK", ["Rusty"], line.source)
    changes = [(line.command, line.params[1].partition("@")[0]) for line in bill.sync()]
    assert changes == [("731", "dale"), ("730", "Rusty!~gribble")]
    assert find(hank.ask("WHOIS rusty"), "311").params[1:3] == ["Rusty", "~gribble"]
    assert find(hank.ask("WHOWAS dale"), "314").params[1:3] == ["dale", "~gribble"]
    assert commands(dale.ask("NICK hank")) == ["433"]
    assert commands(dale.ask("NICK a!b")) == ["432"]
    assert commands(dale.ask("NICK")) == ["431"]
    (line,) = dale.ask("NICK RUSTY")
    assert line.params == ["RUSTY"]
    assert hank.ask("PRIVMSG rusty :hi")[-1].command == "NICK"
    assert dale.expect("PRIVMSG").params == ["RUSTY", "hi"]
    irc.log_in("dale")


def test_an_account_keeps_its_nick(irc: IrcServer) -> None:
    irc.register("hank", "opensesame")
    hank = irc.log_in("hank", password="opensesame")
    assert commands(hank.ask("NICK other")) == ["447"]
    assert hank.ask("NICK hank") == []
