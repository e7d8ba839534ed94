"""MODE of rooms: rules, roles and lists, and what clients of either protocol are told of them."""

from __future__ import annotations

import time

import pytest

from tests.irc.conftest import IrcServer, register
from tests.support.accounts import PASSWORD
from tests.support.irc_client import IrcClient, commands, find
from tests.support.native_clients import Connector


def shown_modes(client: IrcClient, room: str) -> list[str]:
    """Return the modes of a room, with their values."""
    return find(client.ask(f"MODE {room}"), "324").params[2:]


def names_in(client: IrcClient, room: str) -> set[str]:
    """Return the names in a room, with their prefixes."""
    return {name for line in client.ask(f"NAMES {room}") if line.command == "353" for name in line.params[3].split()}


def test_the_modes_of_a_room_are_shown_to_all(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank)
    assert shown_modes(dale, "#alley") == ["+n"]
    assert hank.ask("MODE #alley +ml-s 7")[0].params == ["#alley", "+ml", "7"]
    assert shown_modes(dale, "#Alley") == ["+mnl", "7"]


def test_it_is_told_when_a_room_was_made(irc: IrcServer, connector: Connector) -> None:
    before = int(time.time())
    register(irc, connector, "hank")
    joined = irc.log_in_natively("hank", PASSWORD).request("join", room="#dev")
    assert joined["response"] == 200 and "created" not in joined
    answer = irc.log_in("dale").ask("MODE #Dev")
    assert commands(answer) == ["324", "329"] and answer[1].params[:2] == ["dale", "#dev"]
    assert before <= int(answer[1].params[2]) <= time.time()


def test_of_a_hidden_room_only_those_in_it_know(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank)
    hank.ask("MODE #alley +s")
    for asked in (
        "MODE #alley",
        "MODE #alley b",
        "MODE #alley +m",
        "TOPIC #alley",
        "PART #alley",
        "INVITE hank #alley",
    ):
        (refused,) = dale.ask(asked)
        assert (refused.command, refused.params[:2]) == ("403", ["dale", "#alley"])
        (refused,) = dale.ask(asked.replace("#alley", "#nowhere"))
        assert (refused.command, refused.params[:2]) == ("403", ["dale", "#nowhere"])
    assert commands(dale.ask("NAMES #alley")) == ["366"]
    assert find(hank.ask("NAMES #alley"), "353").params[1:] == ["@", "#alley", "@hank"]


@pytest.mark.parametrize("letter", "imnstR")
def test_flags_are_set_and_unset_and_told_once(irc: IrcServer, letter: str) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    for sign in "-+" if letter == "n" else "+-":
        (line,) = hank.ask(f"MODE #alley {sign}{letter}")
        assert (line.command, line.params) == ("MODE", ["#alley", f"{sign}{letter}"])
        assert line.source.startswith("hank!~user@")
        (told,) = dale.sync()
        assert (told.command, told.params, told.source) == ("MODE", line.params, line.source)
        assert (letter in shown_modes(dale, "#alley")[0]) == (sign == "+")
        assert hank.ask(f"MODE #alley {sign}{letter}") == []  # it is so already


@pytest.mark.parametrize("change", ["+l", "+l 0", "+l -1", "+l many", "+l 1000001"])
def test_what_is_no_limit_is_refused(irc: IrcServer, change: str) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    (refused,) = hank.ask(f"MODE #alley {change}")
    assert (refused.command, refused.params[1:3]) == ("696", ["#alley", "l"])
    assert shown_modes(hank, "#alley") == ["+n"]


def test_a_key_is_for_those_in_the_room_and_lets_in(irc: IrcServer) -> None:
    hank, dale, viewer = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("viewer")
    irc.join("#alley", hank, viewer)
    assert [hank.ask("MODE #alley +k pocket:sand")[0].params, viewer.sync()[0].params] == [
        ["#alley", "+k", "pocket:sand"]
    ] * 2
    assert shown_modes(viewer, "#alley") == ["+nk", "pocket:sand"]
    assert shown_modes(dale, "#alley") == ["+nk", "*"]
    for asked in ("JOIN #alley", "JOIN #alley pocket", "JOIN #den,#alley pocket:sand"):
        assert find(dale.ask(asked), "475").params[:2] == ["dale", "#alley"]
    assert commands(dale.ask("JOIN #tower,#alley x,pocket:sand")).count("JOIN") == 2
    hank.sync()
    assert hank.ask("MODE #alley -k *")[0].params == ["#alley", "-k", "*"]
    assert shown_modes(hank, "#alley") == ["+n"]


def test_a_key_that_jim_has_set_is_told(irc: IrcServer, connector: Connector) -> None:
    bobby = connector.open_native(irc.running, "bobby")
    bobby.request("register", password=PASSWORD)
    bobby.request("join", room="#alley")
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    bobby.request("rule", room="#alley", set={"key": "sänd", "most": 5})
    (line,) = hank.sync()
    assert line.params == ["#alley", "+kl", "sänd", "5"]
    assert "JOIN" in commands(irc.log_in("dale").ask("JOIN #alley sänd"))


@pytest.mark.parametrize("key", ["", " ", "two words", "a,b", "x" * 33])
def test_what_cannot_be_given_after_join_is_no_key(irc: IrcServer, key: str) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    (refused,) = hank.ask(f"MODE #alley +k :{key}")
    assert (refused.command, refused.params[1:4]) == ("696", ["#alley", "k", "*"])


def test_what_is_unknown_is_refused_and_the_rest_is_changed(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    answer = hank.ask("MODE #alley +mx-n+t")
    assert commands(answer) == ["472", "MODE"]
    assert (answer[0].params[1], answer[1].params) == ("x", ["#alley", "+m-n+t"])
    assert hank.ask("MODE #alley +n")[0].params == ["#alley", "+n"]


def test_a_room_has_no_modes_at_all(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    hank.ask("MODE #alley +imstRk-n key")
    assert shown_modes(hank, "#alley") == ["+Rimstk", "key"]
    assert hank.ask("MODE #alley -imnstRk *")[0].params == ["#alley", "-imstRk", "*"]
    assert shown_modes(hank, "#alley") == ["+"]


def test_who_is_outside_writes_where_that_is_allowed(irc: IrcServer) -> None:
    hank, bill = irc.log_in("hank"), irc.log_in("bill", "echo-message", "labeled-response", "message-tags", "batch")
    irc.join("#alley", hank)
    assert commands(bill.ask("PRIVMSG #alley :psst")) == ["404"]
    hank.ask("MODE #alley -n")
    assert find(bill.ask("@label=x PRIVMSG #Alley :psst"), "PRIVMSG").tags["label"] == "x"
    assert hank.receive().params == ["#alley", "psst"]
    hank.ask("MODE #alley +b bill")
    assert commands(bill.ask("PRIVMSG #alley :psst")) == ["404"]
    hank.ask("MODE #alley -b bill", "MODE #alley +m")
    assert commands(bill.ask("PRIVMSG #alley :psst")) == ["404"]
    assert hank.sync() == []


def test_messages_from_outside_have_one_id(irc: IrcServer) -> None:
    hank, bill = irc.log_in("hank", "message-tags"), irc.log_in("bill", "echo-message", "message-tags")
    irc.join("#alley", hank)
    hank.ask("MODE #alley -n")
    (echo,) = bill.ask("PRIVMSG #alley :psst")
    assert hank.receive().tags["msgid"] == echo.tags["msgid"]


def test_only_operators_change_modes(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", hank, dale)
    for change in ("+m", "+o dale", "+b bill!*@*", "+l 7", "+ov dale dale"):
        (refused,) = dale.ask(f"MODE #alley {change}")
        assert (refused.command, refused.params[:2]) == ("482", ["dale", "#alley"])
        (refused,) = bill.ask(f"MODE #alley {change}")
        assert (refused.command, refused.params[:2]) == ("442", ["bill", "#alley"])
    assert shown_modes(hank, "#alley") == ["+n"]
    assert names_in(hank, "#alley") == {"@hank", "dale"}


def test_operators_and_speakers_are_made_and_unmade(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    for change, shown in (("+v", "+dale"), ("+o", "@dale"), ("-o", "dale"), ("+o", "@dale")):
        lines = hank.ask(f"MODE #alley {change} DALE")
        assert [line.params[0] for line in lines] == ["#alley"]
        assert [(line.command, line.params) for line in dale.sync()] == [("MODE", line.params) for line in lines]
        assert names_in(dale, "#alley") == {"@hank", shown}
    assert dale.ask("MODE #alley +v dale") == []  # an operator has it
    assert dale.ask("MODE #alley -o hank")[0].params == ["#alley", "-o", "hank"]
    assert names_in(hank, "#alley") == {"hank", "@dale"}


def test_whose_role_is_changed_must_be_in_the_room(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.log_in("dale")
    irc.join("#alley", hank)
    (absent,) = hank.ask("MODE #alley +o dale")
    assert (absent.command, absent.params[:3]) == ("441", ["hank", "dale", "#alley"])
    (unknown,) = hank.ask("MODE #alley +o nobody")
    assert (unknown.command, unknown.params[:2]) == ("401", ["hank", "nobody"])
    (missing,) = hank.ask("MODE #alley +o")
    assert (missing.command, missing.params[1:4]) == ("696", ["#alley", "o", "*"])


class PrefixTracker:
    """Keeps the prefixes of those in a room, as clients do: from NAMES, and then by MODE lines."""

    def __init__(self, client: IrcClient, room: str) -> None:
        self._client = client
        self._room = room
        self.prefixes = self.listed()

    def listed(self) -> dict[str, str]:
        """Return what NAMES says."""
        entries = names_in(self._client, self._room)
        return {entry.lstrip("~@+"): entry[: len(entry) - len(entry.lstrip("~@+"))] for entry in entries}

    def follow(self) -> dict[str, str]:
        """Return the prefixes after the MODE lines that have come."""
        for line in self._client.sync():
            if line.command == "MODE":
                self._apply(line.params[1], line.params[2:])
        return self.prefixes

    def _apply(self, letters: str, names: list[str]) -> None:
        sign = "+"
        for letter in letters:
            if letter in "+-":
                sign = letter
                continue
            name, prefix = names.pop(0), "~@+"["qov".index(letter)]
            kept = set(self.prefixes[name]) - {prefix} | ({prefix} if sign == "+" else set())
            self.prefixes[name] = "".join(each for each in "~@+" if each in kept)


@pytest.mark.parametrize("caps", [(), ("multi-prefix",)])
def test_prefixes_of_a_client_that_follows_modes_stay_those_of_names(
    irc: IrcServer, connector: Connector, caps: tuple[str, ...]
) -> None:
    for name in ("hank", "dale"):
        register(irc, connector, name)
    hank, dale = irc.log_in("hank", password=PASSWORD), irc.log_in("dale", password=PASSWORD)
    viewer = irc.log_in("viewer", *caps)
    irc.join("#house", hank, dale, viewer)
    tracker = PrefixTracker(viewer, "#house")
    assert tracker.prefixes["hank"] == ("~@+" if caps else "~")
    seen = set()
    for change in ("+v", "+o", "+q", "-q", "-o", "+o", "-o", "+v", "+q", "-q", "+v", "-o", "+v", "-v"):
        actor = dale if change == "-q" else hank  # owners are not acted on by others
        assert set(commands(actor.ask(f"MODE #house {change} dale"))) <= {"MODE"}
        assert tracker.follow() == tracker.listed(), change
        seen.add(tracker.prefixes["dale"])
    assert seen == ({"", "+", "@+", "~@+"} if caps else {"", "+", "@", "~"})


# -- lists


@pytest.mark.parametrize(("letter", "numerics"), [("b", ("367", "368")), ("e", ("348", "349")), ("I", ("346", "347"))])
def test_lists_are_shown_to_all_and_changed_by_operators(
    irc: IrcServer, letter: str, numerics: tuple[str, str]
) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    assert commands(dale.ask(f"MODE #alley {letter}")) == commands(dale.ask(f"MODE #alley +{letter}")) == [numerics[1]]
    for mask, full in (("*!*@*.example", "*!*@*.example"), ("user@host", "*!user@host"), ("nobody", "nobody!*@*")):
        (line,) = hank.ask(f"MODE #alley +{letter} {mask}")
        assert line.params == ["#alley", f"+{letter}", full] and dale.sync()[0].params == line.params
        assert hank.ask(f"MODE #alley +{letter} {full.upper()}") == []  # it is there
    *entries, end = dale.ask(f"MODE #alley {letter}")
    assert [entry.command for entry in entries] == [numerics[0]] * 3 and end.command == numerics[1]
    assert [entry.params[2] for entry in entries] == ["*!*@*.example", "*!user@host", "nobody!*@*"]
    assert all(entry.params[3].startswith("hank!") and entry.params[4].isdecimal() for entry in entries)
    (refused,) = dale.ask(f"MODE #alley -{letter} nobody")
    assert refused.command == "482"
    (line,) = hank.ask(f"MODE #alley -{letter} NOBODY")
    assert line.params == ["#alley", f"-{letter}", "nobody!*@*"] and dale.sync()[0].params == line.params
    assert hank.ask(f"MODE #alley -{letter} nobody") == []
    (refused,) = hank.ask(f"MODE #alley +{letter} {'x' * 255}")
    assert (refused.command, refused.params[1:3]) == ("696", ["#alley", letter])


def test_who_is_banned_by_a_mask_can_neither_join_nor_write_unless_spared(irc: IrcServer, connector: Connector) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale", user="rusty"), irc.log_in("bill", user="rusty")
    bobby = connector.open_native(irc.running, "bobby")
    irc.join("#alley", hank, dale)
    hank.ask("MODE #alley +b *!~rusty@*", "MODE #alley +b bob*!*@*.guest")
    assert bill.ask("JOIN #alley")[0].command == "474"
    assert bobby.request("join", room="#alley")["code"] == "shut_out"
    assert commands(dale.ask("PRIVMSG #alley :hi"))[-1] == "404"
    hank.ask("MODE #alley +v dale")
    assert commands(dale.ask("PRIVMSG #alley :hi")) == ["MODE"]
    hank.ask("MODE #alley +ee bill b?bby")
    assert "JOIN" in commands(bill.ask("JOIN #alley"))
    assert bobby.request("join", room="#alley")["response"] == 200
    hank.ask("MODE #alley -e b?bby")
    assert bobby.request("msg", to="#alley", message="hi")["code"] == "silenced"


def test_an_exception_lets_in_who_was_banned_before_but_not_who_is_removed_after(
    irc: IrcServer, connector: Connector
) -> None:
    for name in ("hank", "dale"):
        register(irc, connector, name)
    hank, dale = irc.log_in("hank", password=PASSWORD), irc.log_in("dale", password=PASSWORD)
    irc.join("#house", hank)
    hank.ask("MODE #house +b dale")
    assert commands(dale.ask("JOIN #house")) == ["474"]
    hank.ask("MODE #house +e dale")
    assert "JOIN" in commands(dale.ask("JOIN #house"))
    hank.ask("KICK #house dale")
    assert commands(dale.ask("JOIN #house")) == ["KICK", "474"]
    hank.ask("MODE #house -e dale", "MODE #house +e dale")
    assert "JOIN" in commands(dale.ask("JOIN #house"))


def test_who_is_muted_cannot_write_in_any_protocol_unless_exempt_or_with_a_role(
    irc: IrcServer, connector: Connector
) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale", user="rusty"), irc.log_in("bill", user="rusty")
    bobby = connector.open_native(irc.running, "bobby")
    irc.join("#alley", hank)
    for change, shown in (("m:*!~RUSTY@*", "m:*!~RUSTY@*"), ("m:Bobby", "m:Bobby!*@*")):
        assert hank.ask(f"MODE #alley +b {change}")[0].params == ["#alley", "+b", shown]
    irc.join("#alley", dale, bill)
    bobby.request("join", room="#alley")
    for client in (hank, dale, bill):
        client.sync()
    assert bobby.request("msg", to="#alley", message="hi")["code"] == "silenced"
    assert commands(dale.ask("PRIVMSG #alley :hi")) == commands(bill.ask("PRIVMSG #alley :hi")) == ["404"]
    entries = [line.params[2] for line in dale.ask("MODE #alley b") if line.command == "367"]
    assert entries == ["m:*!~RUSTY@*", "m:Bobby!*@*"]
    hank.ask("MODE #alley +v dale", "MODE #alley +e m:bill")
    assert commands(dale.ask("PRIVMSG #alley :hi")) == ["MODE", "MODE"]
    assert commands(bill.ask("PRIVMSG #alley :hi")) == ["MODE", "MODE", "PRIVMSG"]
    assert find(hank.ask("MODE #alley e"), "348").params[2] == "m:bill!*@*"
    assert hank.ask("MODE #alley -b m:bobby")[0].params == ["#alley", "-b", "m:Bobby!*@*"]
    assert bobby.request("msg", to="#alley", message="hi")["response"] == 200


def test_a_name_that_was_silenced_elsewhere_is_in_the_list_until_that_is_lifted(
    irc: IrcServer, connector: Connector
) -> None:
    bobby, peggy = connector.open_native(irc.running, "bobby"), connector.open_native(irc.running, "peggy")
    bobby.request("register", password=PASSWORD)
    for client in (bobby, peggy):
        client.request("join", room="#alley")
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    bobby.request("silence", room="#alley", user="Hank", reason="enough")
    mode, reason = hank.sync()
    assert (mode.command, mode.params) == ("MODE", ["#alley", "+b", "m:hank!*@*"])
    assert reason.params == ["#alley", "*** bobby has silenced hank: enough"]
    assert find(hank.ask("MODE #alley b"), "367").params[2] == "m:hank!*@*"
    assert commands(hank.ask("PRIVMSG #alley :hi")) == ["404"]
    bobby.request("unsilence", room="#alley", user="hank")
    assert [line.params for line in hank.sync()] == [["#alley", "-b", "m:hank!*@*"]]
    bobby.request("silence", room="#alley", user="peggy")
    assert [line.params for line in hank.sync()] == [["#alley", "+b", "m:peggy!*@*"]]
    other = irc.log_in("bobby", password=PASSWORD)
    assert other.ask("MODE #alley +b m:peggy") == []  # it is so already
    assert [line.params for line in other.ask("MODE #alley -b m:PEGGY")] == [["#alley", "-b", "m:peggy!*@*"]]
    assert peggy.next_event("unsilence")["by"] == "bobby"
    assert commands(other.ask("MODE #alley b")) == ["368"]


def test_a_mask_of_an_account_is_for_who_is_logged_in_as_it_only(irc: IrcServer, connector: Connector) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    assert hank.ask("MODE #alley +b a:Bobby")[0].params == ["#alley", "+b", "a:Bobby"]
    assert hank.ask("MODE #alley +b a:bobby") == []
    guest = irc.log_in("bobby")
    assert "JOIN" in commands(guest.ask("JOIN #alley"))
    guest.ask("NICKSERV REGISTER opensesame", "PART #alley")
    native = irc.log_in_natively("bobby", "opensesame")
    assert commands(guest.ask("JOIN #alley")) == ["474"]
    assert native.request("join", room="#alley")["code"] == "shut_out"
    hank.ask("MODE #alley +e a:bob*", "MODE #alley +iI a:bobby", "MODE #alley +b m:a:*")
    assert "JOIN" in commands(guest.ask("JOIN #alley"))
    assert commands(guest.ask("PRIVMSG #alley :hi")) == ["404"]
    assert find(guest.ask("MODE #alley e"), "348").params[2] == "a:bob*"
    assert find(guest.ask("MODE #alley I"), "346").params[2] == "a:bobby"
    assert [line.params[2] for line in guest.ask("MODE #alley b") if line.command == "367"] == ["a:Bobby", "m:a:*"]
    assert hank.ask("MODE #alley -b m:a:*")[-1].params == ["#alley", "-b", "m:a:*"]
    assert "404" not in commands(guest.ask("PRIVMSG #alley :hi"))


@pytest.mark.parametrize(
    "change", ["+b r:bad", "+b a:", "+b m:", "+b account:hank", "+b ~a:hank", "+I m:hank", "+e z:m:hank", "-b r:bad"]
)
def test_masks_of_other_servers_are_refused(irc: IrcServer, change: str) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    (refused,) = hank.ask(f"MODE #alley {change}")
    assert (refused.command, refused.params[1:3]) == ("696", ["#alley", change[1]])


def test_who_is_welcome_needs_no_invitation(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", hank)
    hank.ask("MODE #alley +iI dal*")
    assert bill.ask("JOIN #alley")[0].command == "473"
    assert "JOIN" in commands(dale.ask("JOIN #alley"))


def test_a_ban_of_a_name_shuts_it_out_in_all_protocols(irc: IrcServer, connector: Connector) -> None:
    hank, viewer = irc.log_in("hank"), irc.log_in("viewer")
    irc.join("#alley", hank, viewer)
    bobby, dale = connector.open_native(irc.running, "bobby"), connector.open_native(irc.running, "dale")
    for client in (bobby, dale):
        client.request("join", room="#alley")
    viewer.sync()
    hank.sync()
    assert [line.params for line in hank.ask("MODE #alley +b Bobby")] == [["#alley", "bobby", "hank"]]  # a KICK
    assert [line.params for line in viewer.sync()] == [["#alley", "bobby", "hank"]]
    shut_out = dale.next_event("shut_out")
    assert (shut_out["user"]["account_name"], shut_out["by"]) == ("bobby", "hank")
    assert bobby.request("join", room="#alley")["code"] == "shut_out"
    assert find(viewer.ask("MODE #alley b"), "367").params[2] == "bobby!*@*"
    assert [line.params for line in hank.ask("MODE #alley -b bobby!*@*")] == [["#alley", "-b", "bobby!*@*"]]
    assert dale.next_event("let_in")["user"]["account_name"] == "bobby"
    bobby.request("leave", room="#alley")
    assert [line.params for line in hank.ask("MODE #alley +b bobby")] == [["#alley", "+b", "bobby!*@*"]]
    assert bobby.request("join", room="#alley")["code"] == "shut_out"


def test_at_most_four_parameters_are_taken(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    lines = hank.ask("MODE #alley +bbbbbm a b c d e")
    assert [line.params[2] for line in lines] == [f"{name}!*@*" for name in "abcd"]
    assert commands(hank.ask(f"MODE #alley +{'o' * 50}")) == ["696"] * 4
    assert commands(hank.ask("MODE #alley +wxyzWXYZ")) == ["472"] * 4
