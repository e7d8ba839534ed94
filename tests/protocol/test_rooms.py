"""Rooms: who is in them, what members get and others do not, course clients in them.
Section 2 of the protocol, "Requests" and "Names and privacy", and section 3."""

from typing import Any

import pytest

from tests.support.accounts import PASSWORD, Person, Town, is_refusal, numbered, seqs, texts
from tests.support.course_clients import Frame
from tests.support.native_clients import together

BAD_ROOMS = (
    "dev",
    "#",
    "",
    "#two words",
    "#" + "x" * 33,
    "##dev",
    "#all",
    "#SERVER",
    "#d\u0435v",
    "#a\u202eb",
    5,
    None,
)


def joins(person: Person, room: str = "#dev") -> Frame:
    answer = person.ask("join", room=room)
    assert answer["response"] == 200, answer
    return answer


def together_in(town: Town, *names: str, room: str = "#dev") -> list[Person]:
    """Accounts who have all heard that the last of them joined."""
    people = [town.comes(name) for name in names]
    for number, person in enumerate(people):
        joins(person, room)
        for other in people[:number]:
            told_of(other, "join", person.name)
    return people


def told_of(person: Person, action: str, name: str) -> Frame:
    """The event about somebody; one may or may not be told what one did oneself."""
    while (frame := person.event(action))["user"]["account_name"] != name:
        assert frame["user"]["account_name"] == person.name, frame
    return frame


def names(answer: Frame) -> set[str]:
    """The members in an answer; the protocol does not say whether they are names or cards."""
    assert answer["response"] == 200, answer
    listed = answer["members"] if "members" in answer else answer["users"]
    return {one if isinstance(one, str) else one["account_name"] for one in listed}


def rooms(answer: Frame) -> list[str]:
    assert answer["response"] == 200 and isinstance(answer["more"], bool), answer
    return [one if isinstance(one, str) else one.get("room", one.get("name")) for one in answer["rooms"]]


def test_an_account_makes_a_room_by_joining_it(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    assert is_refusal(dale.say("#dev", "is there a room?"))
    answer = joins(hank)
    assert names(answer) == {"hank"} and answer["seq"] == 0 and not answer["topic"]
    hank.sends("#dev", *numbered(3))
    answer = joins(dale, "#DEV")
    assert names(answer) == {"hank", "dale"} and answer["seq"] == 3
    listed = hank.ask("members", room="#dev")
    assert names(listed) == {"hank", "dale"} and listed["topic"] == ""
    assert joins(dale)["seq"] == 3, "joining again changes nothing"
    assert rooms(dale.ask("rooms")) == ["#dev"]


@pytest.mark.parametrize("room", BAD_ROOMS, ids=ascii)
def test_a_bad_room_is_not_made(room: Any, town: Town) -> None:
    hank = town.comes("hank")
    answer = hank.ask("join", room=room)
    assert answer["response"] == 400 and answer["error"] and answer["code"]
    assert rooms(hank.ask("rooms")) == []


def test_members_are_told_who_joins_leaves_and_says_what_it_is_about(town: Town) -> None:
    hank, dale, bobby = town.comes("hank"), town.comes("dale"), town.comes("bobby")
    joins(hank)
    joins(dale)
    assert dale.ask("topic", room="#dev", topic="привет всем")["response"] == 200
    assert dale.ask("leave", room="#dev")["response"] == 200
    user = {"account_name": "dale"}
    assert [told_of(hank, action, "dale") for action in ("join", "topic", "leave")] == [
        {"action": "join", "room": "#dev", "user": user},
        {"action": "topic", "room": "#dev", "topic": "привет всем", "user": user},
        {"action": "leave", "room": "#dev", "user": user},
    ]
    assert bobby.unheard("join") == bobby.unheard("topic") == []
    assert joins(bobby)["topic"] == "привет всем"


def test_who_is_not_a_member_is_refused(town: Town) -> None:
    (hank,), dale = together_in(town, "hank"), town.comes("dale")
    hank.sends("#dev", "one")
    answer = dale.say("#dev", "let me in")
    assert (answer["response"], bool(answer["error"] and answer["code"])) == (403, True)
    for action, fields in (("topic", {"topic": "mine"}), ("leave", {}), ("history", {"with": "#dev"})):
        assert is_refusal(dale.ask(action, **{"room": "#dev", **fields})), action
    assert is_refusal(dale.ask("members", room="#nowhere"))
    assert hank.sends("#dev", "two") == [2]
    assert hank.unheard() == dale.unheard() == []


def test_a_message_reaches_every_member_and_the_senders_other_devices(town: Town) -> None:
    hank, dale = together_in(town, "hank", "dale")
    phone, bobby = town.comes("hank", "phone"), town.comes("bobby")
    answer = hank.ask("msg", id="m1", to="#Dev", message="hello")
    assert (answer["response"], answer["seq"]) == (200, 1)
    expected = {"action": "msg", "from": "hank", "to": "#dev", "message": "hello", "seq": 1}
    for person, more in ((dale, {}), (phone, {"id": "m1"})):
        frame = person.event("msg")
        assert isinstance(frame.pop("time"), float)
        assert frame == {**expected, **more}
    assert hank.ask("msg", id="m1", to="#dev", message="hello")["seq"] == 1
    assert hank.ask("msg", id="m1", to="#dev", message="bye")["code"] == "id_reused"
    assert hank.unheard() == dale.unheard() == bobby.unheard() == []


def test_members_who_speak_at_once_leave_no_hole_and_all_hear_the_same(town: Town) -> None:
    people = together_in(town, "hank", "dale", "bobby", "peggy")
    said: dict[str, list[int]] = {}
    jobs = {
        one.name: lambda one=one: said.update({one.name: seqs(one.pours("#dev", [one.name] * 100))}) for one in people
    }
    assert together(jobs) == {}
    everything = {seq: name for name, numbers in said.items() for seq in numbers}
    assert sorted(everything) == list(range(1, 401))
    for person in people:
        heard = [(frame["seq"], frame["from"]) for frame in person.hears(300)]
        assert heard == [(seq, name) for seq, name in sorted(everything.items()) if name != person.name]


def test_a_member_who_is_away_gets_it_later_also_after_a_restart(town: Town) -> None:
    hank, dale = together_in(town, "hank", "dale")
    hank.ask("topic", room="#dev", topic="what stays")
    dale.close()
    hank.sends("#dev", *numbered(3))
    dale = town.comes("dale")
    assert [(frame["to"], frame["message"]) for frame in dale.backlog] == [("#dev", text) for text in numbered(3)]
    dale.acknowledges("#dev", 2)
    town.restarts()
    hank, dale = town.comes("hank"), town.comes("dale")
    assert seqs(dale.backlog) == [3]
    assert hank.sends("#dev", "four") == [4]
    assert dale.event("msg")["seq"] == 4
    answer = joins(hank)
    assert (answer["topic"], names(answer)) == ("what stays", {"hank", "dale"})


def test_who_joins_sees_nothing_from_before(town: Town) -> None:
    (hank,), dale = together_in(town, "hank"), town.comes("dale")
    hank.sends("#dev", *numbered(3))
    assert joins(dale)["seq"] == 3
    assert dale.unheard() == [] == dale.history("#dev") == dale.finds("text")
    hank.sends("#dev", "four")
    assert seqs(dale.hears(1)) == [4]
    assert seqs(dale.history("#dev", before=5)) == seqs(dale.history("#dev", after=0)) == [4]
    assert seqs(town.dials().enter("dale", password=PASSWORD, device="tablet").backlog) == [4]
    assert seqs(hank.history("#dev")) == [1, 2, 3, 4]


def test_who_leaves_gets_no_more_and_who_returns_does_not_see_what_was_said_meanwhile(town: Town) -> None:
    hank, dale = together_in(town, "hank", "dale")
    assert dale.ask("leave", room="#dev")["response"] == 200
    hank.sends("#dev", "in private")
    assert dale.unheard() == []
    assert is_refusal(dale.ask("history", **{"with": "#dev"}))
    assert dale.say("#dev", "hello?")["response"] == 403
    assert dale.finds("private") == []
    assert "private" not in str(town.comes("dale", "phone").backlog)
    assert names(hank.ask("members", room="#dev")) == {"hank"}
    joins(dale)
    hank.sends("#dev", "together again")
    assert texts(dale.hears(1)) == texts(dale.history("#dev")) == ["together again"]


def test_rooms_and_members_after_a_name_go_on_behind_it(town: Town) -> None:
    hank, *_ = together_in(town, "hank", "dale", "bobby", "peggy", room="#a")
    for room in ("#b", "#c", "#жители", "#東京"):
        joins(hank, room)
    everything = rooms(hank.ask("rooms"))
    assert len(everything) == 5
    for number, room in enumerate(everything):
        assert rooms(hank.ask("rooms", after=room)) == everything[number + 1 :]
    seen: set[str] = set()
    for name in sorted(names(hank.ask("members", room="#a"))):
        rest = names(hank.ask("members", room="#a", after=name))
        assert name not in rest and len(rest) == 3 - len(seen)
        seen.add(name)


def test_a_status_is_told_to_those_in_the_same_room(town: Town) -> None:
    hank, dale = together_in(town, "hank", "dale")
    bobby = town.comes("bobby")
    assert dale.ask("status", status="away")["response"] == 200
    frame = hank.event("presence")
    while frame["user"]["status"] != "away":  # that Dale came may be told first
        frame = hank.event("presence")
    assert frame == {"action": "presence", "user": {"account_name": "dale", "status": "away"}}
    assert bobby.unheard("presence") == []
