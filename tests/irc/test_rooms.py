"""JOIN, PART, KICK, INVITE, TOPIC, NAMES and LIST, with clients of either protocol in the room."""

from __future__ import annotations

from typing import Any

import pytest
from gevent.event import Event

from gmessenger.server.irc import room_views
from gmessenger.server.irc.replies import Reply
from tests.irc.conftest import SERVER, IrcServer, register
from tests.support.accounts import PASSWORD
from tests.support.irc_client import commands, find
from tests.support.native_clients import Connector
from tests.support.timeouts import TEST_TIMEOUT


def params(lines: list) -> list[tuple[str, list[str]]]:
    """Return commands and parameters of lines."""
    return [(line.command, line.params) for line in lines]


# -- JOIN and PART


def test_several_rooms_are_joined_and_what_is_none_is_refused(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    answer = hank.ask("JOIN #alley,0,&den,#alley,#all,##two,#tower")
    assert [line.params[0] for line in answer if line.command == "JOIN"] == ["#alley", "#tower"]
    assert [line.params[1] for line in answer if line.command == "403"] == ["0", "&den", "#all", "##two"]
    assert hank.ask("JOIN #Alley") == []  # it is there already
    (refused,) = hank.ask("JOIN :#al ley")
    assert (refused.command, refused.params[1]) == ("403", "#al")


def test_why_a_room_cannot_be_joined(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank)
    for modes, numeric in (("+i", "473"), ("-i+l 1", "471"), ("-l+R", "477"), ("-R+b dale", "474")):
        hank.ask(f"MODE #alley {modes}")
        (refused,) = dale.ask("JOIN #Alley")
        assert (refused.command, refused.params[:2]) == (numeric, ["dale", "#Alley"])
    hank.ask("MODE #alley -b dale")
    assert "JOIN" in commands(dale.ask("JOIN #alley"))


def test_operators_of_a_passing_room_act_on_each_other(irc: IrcServer, connector: Connector) -> None:
    register(irc, connector, "hank")
    dale, hank, bill = irc.log_in("dale"), irc.log_in("hank", password=PASSWORD), irc.log_in("bill")
    irc.join("#alley", dale, hank, bill)
    dale.ask("MODE #alley +oo hank bill")
    assert set(find(hank.ask("NAMES #alley"), "353").params[3].split()) == {"@dale", "@hank", "@bill"}
    hank.sync()
    assert params(hank.ask("MODE #alley -o dale")) == [("MODE", ["#alley", "-o", "dale"])]
    assert ("KICK", ["#alley", "hank", "bill"]) in params(bill.ask("KICK #alley hank"))
    assert commands(dale.ask("KICK #alley bill"))[-1] == "482"


def test_only_accounts_make_rooms_unless_guests_may(start_irc) -> None:
    guest = start_irc(irc_guest_rooms=False).log_in("gus")
    (refused,) = guest.ask("JOIN #alley")
    assert (refused.command, refused.params[:2]) == ("403", ["gus", "#alley"])


def test_the_other_clients_of_an_account_are_told_what_it_joins_and_leaves(
    irc: IrcServer, connector: Connector
) -> None:
    register(irc, connector, "hank")
    hank, phone = irc.log_in("hank", password=PASSWORD), irc.log_in("hank", password=PASSWORD)
    hank.ask("JOIN #alley", "TOPIC #alley :Propane")
    assert commands(phone.sync()) == ["JOIN", "353", "366", "TOPIC"]
    phone.ask("PART #alley :enough")
    assert params(hank.sync()) == [("PART", ["#alley", "enough"])]
    assert commands(hank.ask("JOIN #alley"))[0] == "JOIN"
    assert commands(phone.sync())[0] == "JOIN"


def test_why_somebody_leaves_is_told_by_irc_and_jim_is_told_that(irc: IrcServer, connector: Connector) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    bobby = connector.open_native(irc.running, "bobby")
    bobby.request("join", room="#alley")
    dale.sync()
    (line,) = dale.ask("PART #Alley :\x0304red\x03 alert")
    assert (line.params, line.source.partition("!")[0]) == (["#alley", "\x0304red\x03 alert"], "dale")
    assert params(hank.sync())[-1] == ("PART", line.params)
    assert bobby.next_event() == {"action": "leave", "room": "#alley", "user": {"account_name": "dale"}}
    bobby.request("leave", room="#alley")
    assert params(hank.sync()) == [("PART", ["#alley"])]


def test_what_one_is_not_in_cannot_be_left(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank)
    answer = dale.ask("PART #alley,#nowhere,den")
    assert [(line.command, line.params[1]) for line in answer] == [
        ("442", "#alley"),
        ("403", "#nowhere"),
        ("403", "den"),
    ]


# -- KICK


def test_who_is_kicked_is_shut_out_until_unbanned(irc: IrcServer, connector: Connector) -> None:
    hank, dale, viewer = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("viewer")
    irc.join("#alley", hank, dale, viewer)
    bobby = connector.open_native(irc.running, "bobby")
    bobby.request("join", room="#alley")
    hank.sync()
    own, notice = hank.ask("KICK #alley Dale :too\x02 loud")
    assert own.params == ["#alley", "dale", "too loud"] and notice.command == "NOTICE"
    assert params(dale.sync())[-1] == params(viewer.sync())[-1] == ("KICK", own.params)
    shut_out, leave = bobby.next_event(), bobby.next_event()
    assert (shut_out["action"], shut_out["user"]["account_name"], shut_out["by"]) == ("shut_out", "dale", "hank")
    assert (leave["action"], leave["by"], leave["reason"]) == ("leave", "hank", "too loud")
    (refused,) = dale.ask("JOIN #alley")
    assert refused.command == "474" and "too loud" in refused.params[2]
    assert find(viewer.ask("MODE #alley b"), "367").params[2] == "dale!*@*"
    assert params(hank.ask("MODE #alley -b DALE")) == [("MODE", ["#alley", "-b", "dale!*@*"])]
    assert params(viewer.sync()) == [("MODE", ["#alley", "-b", "dale!*@*"])]
    assert bobby.next_event("let_in")["user"] == {"account_name": "dale"}
    assert "JOIN" in commands(dale.ask("JOIN #alley"))


def test_what_jim_does_to_members_is_seen_by_irc(irc: IrcServer, connector: Connector) -> None:
    bobby = connector.open_native(irc.running, "bobby")
    bobby.request("register", password=PASSWORD)
    bobby.request("join", room="#alley")
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    assert find(hank.ask("NAMES #alley"), "353").params[3].split() == ["~bobby", "hank", "dale"]
    bobby.request("rule", room="#alley", set={"moderated": True, "most": 9})
    bobby.request("remove", room="#alley", user="dale")
    lines = hank.sync()
    assert params(lines) == [("MODE", ["#alley", "+ml", "9"]), ("KICK", ["#alley", "dale", "bobby"])]
    assert all(line.source.startswith("bobby!") for line in lines)
    (refused,) = hank.ask("MODE #alley +o hank")
    assert refused.command == "482"


def test_several_are_kicked_with_a_line_each(irc: IrcServer) -> None:
    hank, dale, bill, viewer = (irc.log_in(nick) for nick in ("hank", "dale", "bill", "viewer"))
    irc.join("#alley", hank, dale, bill, viewer)
    viewer.sync()
    hank.ask("KICK #alley dale,bill")
    assert params(viewer.sync()) == [("KICK", ["#alley", "dale", "hank"]), ("KICK", ["#alley", "bill", "hank"])]


def test_who_cannot_be_kicked(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", hank, dale)
    asked = ("KICK #alley bill", "KICK #alley nobody", "KICK #nowhere dale", "KICK #alley hank", "KICK #a,#b dale")
    assert [hank.ask(each)[0].command for each in asked] == ["441", "401", "403", "400", "461"]
    assert dale.ask("KICK #alley hank")[0].command == "482"
    assert bill.ask("KICK #alley hank")[0].command == "442"


# -- INVITE


def test_who_is_invited_is_told_and_may_come_in(irc: IrcServer) -> None:
    hank, dale, viewer = irc.log_in("hank"), irc.log_in("Dale"), irc.log_in("viewer")
    irc.join("#alley", hank, viewer)
    hank.ask("MODE #alley +il 2")
    viewer.sync()
    dale.ask("AWAY :fishing")
    numeric, away = hank.ask("INVITE dale #Alley")
    assert (numeric.command, numeric.params) == ("341", ["hank", "Dale", "#alley"])
    assert (away.command, away.params) == ("301", ["hank", "Dale", "fishing"])
    (told,) = dale.sync()
    assert (told.command, told.params, told.source.partition("!")[0]) == ("INVITE", ["Dale", "#alley"], "hank")
    assert viewer.sync() == []
    assert "JOIN" in commands(dale.ask("JOIN #alley"))


def test_moderators_that_want_it_are_told_of_invitations_by_either_protocol(
    irc: IrcServer, connector: Connector
) -> None:
    hank, dale = irc.log_in("hank", "invite-notify"), irc.log_in("dale", "invite-notify")
    irc.join("#alley", hank, dale)
    bobby = connector.open_native(irc.running, "bobby")
    hank.ask("INVITE bobby #alley")
    assert bobby.next_event() == {"action": "invited", "room": "#alley", "from": "hank"}
    bobby.request("join", room="#alley")
    irc.log_in("bill")
    dale.sync()
    hank.sync()
    bobby.request("invite", room="#alley", user="bill")
    (told,) = hank.sync()
    assert (told.command, told.params, told.source.partition("!")[0]) == ("INVITE", ["bill", "#alley"], "bobby")
    assert dale.sync() == []


def test_who_is_invited_can_list_the_rooms_until_it_joins(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    for room in ("#Den", "#alley"):
        irc.join(room, hank)
        hank.ask(f"INVITE dale {room}")
    dale.sync()
    assert params(dale.ask("INVITE")) == [
        ("336", ["dale", "#alley"]),
        ("336", ["dale", "#Den"]),
        ("337", ["dale", "End of /INVITE list"]),
    ]
    dale.ask("JOIN #den", "SILENCE +hank")
    for client in (dale, bill):
        assert commands(client.ask("INVITE")) == ["337"]
    assert commands(dale.ask("INVITE bill")) == ["461"]


def test_who_cannot_be_invited_and_by_whom(irc: IrcServer) -> None:
    hank, dale, bill = irc.log_in("hank"), irc.log_in("dale"), irc.log_in("bill")
    irc.join("#alley", hank, dale)
    (there,) = hank.ask("INVITE dale #alley")
    assert (there.command, there.params[:3]) == ("443", ["hank", "dale", "#alley"])
    assert hank.ask("INVITE nobody #alley")[0].command == "401"
    assert hank.ask("INVITE bill #nowhere")[0].command == "403"
    assert bill.ask("INVITE bill #alley")[0].command == "442"
    hank.ask("MODE #alley +i")
    dale.sync()
    assert dale.ask("INVITE bill #alley")[0].command == "482"
    assert bill.sync() == []


# -- TOPIC, NAMES and LIST


def test_the_topic_is_told_shown_and_removed(irc: IrcServer, connector: Connector) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    irc.join("#alley", hank, dale)
    bobby = connector.open_native(irc.running, "bobby")
    bobby.request("join", room="#alley")
    hank.sync()
    dale.sync()
    assert find(dale.ask("TOPIC #alley"), "331").params[1] == "#alley"
    (own,) = hank.ask("TOPIC #Alley :Propane")
    assert own.params == ["#alley", "Propane"] and params(dale.sync()) == [("TOPIC", own.params)]
    assert bobby.next_event("topic")["topic"] == "Propane"
    topic, setter = dale.ask("TOPIC #alley")
    assert topic.params[2] == "Propane" and setter.params[2].startswith("hank!")
    hank.ask("MODE #alley +t")
    assert dale.ask("TOPIC #alley :Mine")[-1].command == "482"
    (refused,) = hank.ask("TOPIC #alley :\x0304red")
    assert (refused.command, refused.params[:3]) == ("FAIL", ["TOPIC", "INVALID_TOPIC", "#alley"])
    assert params(hank.ask("TOPIC #alley :")) == [("TOPIC", ["#alley", ""])]
    assert commands(hank.ask("TOPIC #alley")) == ["331"]


def test_names_of_several_rooms_have_one_end(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale", "userhost-in-names")
    irc.join("#alley", hank)
    irc.join("#den", hank, dale)
    answer = hank.ask("NAMES #alley,#nowhere,#den")
    assert params(answer[:-1]) == [
        ("353", ["hank", "=", "#alley", "@hank"]),
        ("353", ["hank", "=", "#den", "@hank dale"]),
    ]
    assert answer[-1].params[:2] == ["hank", "#alley,#nowhere,#den"]
    assert find(hank.ask("NAMES"), "366").params[1] == "*"
    assert all("!~user@" in name for name in find(dale.ask("NAMES #den"), "353").params[3].split())


def test_names_of_many_fill_lines(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    others = [irc.log_in(f"guest{number:02}-{'x' * 20}") for number in range(20)]
    irc.join("#alley", hank, *others)
    lines = [line for line in hank.ask("NAMES #alley") if line.command == "353"]
    assert len(lines) == 2
    assert {name for line in lines for name in line.params[3].split()} == {"@hank", *(each.nick for each in others)}


def test_names_that_are_sent_in_parts_are_all_there(irc: IrcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_views, "NAMES_PART", 3)
    hank = irc.log_in("hank")
    others = [irc.log_in(f"guest{number}") for number in range(6)]
    irc.join("#alley", hank, *others)
    late = irc.log_in("late")
    for answer in (late.ask("NAMES #alley"), late.ask("JOIN #alley")):
        lines = [line for line in answer if line.command == "353"]
        assert [len(line.params[3].split()) for line in lines][:2] == [3, 3]
        listed = {name for line in lines for name in line.params[3].split()}
        assert listed - {"late"} == {"@hank", *(each.nick for each in others)}
        assert answer[-1].command == "366"
    assert "late" in listed


def test_the_names_in_a_large_room_that_another_device_joins_are_sent_in_parts(
    irc: IrcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_views, "NAMES_PART", 3)
    irc.register("hank", PASSWORD)
    one, two = irc.log_in("hank", password=PASSWORD), irc.log_in("hank", password=PASSWORD)
    plain = irc.log_in("hank", "no-implicit-names", password=PASSWORD)
    others = [irc.log_in(f"guest{number}") for number in range(6)]
    irc.join("#alley", *others)
    made, name_replies = [], room_views.name_replies

    def count_and_make(*given: Any) -> list[Reply]:
        made.append(given)
        return name_replies(*given)

    monkeypatch.setattr(room_views, "name_replies", count_and_make)
    one.send("JOIN #alley")
    lines = [two.receive()]
    while lines[-1].command != "366":
        lines.append(two.receive())
    assert [line.command for line in lines] == ["JOIN", "353", "353", "353", "366"]
    listed = {name.lstrip("@") for line in lines[1:-1] for name in line.params[3].split()}
    assert listed == {"hank", *(each.nick for each in others)}
    assert commands(plain.sync()) == ["JOIN"]
    one.expect("366")
    assert len(made) == 6, "of each of the two that are told, in parts"


def test_the_names_of_a_room_that_is_left_at_once_are_not_told(irc: IrcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_views, "NAMES_PART", 1)
    irc.register("hank", PASSWORD)
    one, two = irc.log_in("hank", password=PASSWORD), irc.log_in("hank", password=PASSWORD)
    irc.join("#alley", irc.log_in("dale"))
    told, tell = Event(), room_views.LateNames.tell

    def leave_and_tell(names: room_views.LateNames, target: str) -> None:
        one.ask(f"PART {target}")
        tell(names, target)
        told.set()

    monkeypatch.setattr(room_views.LateNames, "tell", leave_and_tell)
    one.send("JOIN #alley")
    assert told.wait(TEST_TIMEOUT)
    assert commands(two.sync()) == ["JOIN", "PART"]


def test_rooms_are_listed_as_asked(irc: IrcServer) -> None:
    hank, dale = irc.log_in("hank"), irc.log_in("dale")
    for room, members in (("#alley", (hank, dale)), ("#den", (hank,)), ("#tower", (dale,))):
        irc.join(room, *members)
    hank.ask("TOPIC #den :Quiet", "MODE #den +s")

    def listed(question: str) -> list[str]:
        lines = dale.ask(f"LIST {question}".strip())
        assert (lines[0].command, lines[-1].command) == ("321", "323")
        return [line.params[1] for line in lines[1:-1]]

    assert listed("") == listed(">0") == listed("<9,>0") == listed("#alley,#tower") == ["#alley", "#tower"]
    assert listed(">1") == listed("!*ow*") == listed("#a*,<3") == ["#alley"]
    assert listed("#a*,<2") == listed("#den") == listed(">x") == []
    assert find(hank.ask("LIST #den"), "322").params[1:] == ["#den", "1", "Quiet"]


def test_rooms_are_listed_by_when_they_and_their_topics_were_made(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    for room, minutes in (("#alley", 10), ("#den", 0), ("#tower", None)):
        irc.join(room, hank)
        hank.ask(f"TOPIC {room} :news")
        found = irc.app.messenger.rooms.find(room)
        assert found.created is not None
        found.created = found.topic_at = None if minutes is None else found.created - 60 * minutes - 1

    def listed(question: str) -> list[str]:
        return [line.params[1] for line in hank.ask(f"LIST {question}") if line.command == "322"]

    for letter in "CTct":
        assert listed(f"{letter}>0") == listed(f"{letter}<11") == ["#alley", "#den"]
        assert listed(f"{letter}>9") == listed(f"{letter}>9,#a*") == ["#alley"]
        assert listed(f"{letter}<9") == ["#den"]
        assert listed(f"{letter}<0") == listed(f"{letter}>") == listed(f"{letter}>x") == []
    hank.ask("TOPIC #alley :")
    assert (listed("T>0"), listed("C>9")) == (["#den"], ["#alley"])


def test_what_is_not_offered_is_unknown(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    irc.join("#alley", hank)
    assert [hank.ask(f"{command} #alley")[0].command for command in ("KNOCK", "RENAME")] == ["421", "421"]


def test_the_answers_to_a_label_are_its_batch(irc: IrcServer) -> None:
    hank = irc.log_in("hank", "labeled-response", "batch")
    irc.log_in("dale")
    start, *lines, end = hank.ask("@label=one JOIN #alley,den")
    assert (start.command, start.tags["label"], end.command) == ("BATCH", "one", "BATCH")
    assert commands(lines) == ["JOIN", "353", "366", "403"]
    assert {line.tags["batch"] for line in lines} == {start.params[0][1:]}
    hank.sync()
    start, change, _ = hank.ask("@label=two MODE #alley +m")
    assert (start.tags["label"], change.command, change.tags["batch"]) == ("two", "MODE", start.params[0][1:])
    (none,) = hank.ask("@label=three MODE #alley +m")
    assert (none.command, none.tags["label"], none.source) == ("ACK", "three", SERVER)


def test_who_quits_is_told_of_once_and_the_next_of_its_name_again(irc: IrcServer) -> None:
    hank = irc.log_in("hank")
    for _ in range(2):
        dale = irc.log_in("dale")
        irc.join("#alley", dale)
        irc.join("#den", dale)
        hank.ask("JOIN #alley,#den")
        dale.send("QUIT :gone fishing")
        dale.read_to_end()
        assert params(hank.sync()) == [("QUIT", ["Quit: gone fishing"])]
        hank.ask("PART #alley,#den")
