"""The list of one's conversations: which are in it, what of them is new, and in what pages it comes.
Section "Requests" of the protocol."""

from collections.abc import Callable
from typing import Any

from gmessenger.chat import directory
from tests.support.accounts import Person, Town
from tests.support.course_clients import Frame


def listed(person: Person, **fields: Any) -> list[Frame]:
    answer = person.ask("conversations", **fields)
    assert (answer["response"], answer["more"]) == (200, False), answer
    return answer["conversations"]  # type: ignore[no-any-return]


def stands(person: Person) -> list[tuple[str, int, int, int]]:
    return [(each["with"], each["seq"], each["first"], each["read"]) for each in listed(person)]


def test_direct_ones_and_rooms_are_listed_by_name_with_what_was_read(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    assert listed(hank) == []
    assert hank.ask("join", room="#Dev")["response"] == 200
    hank.sends("#Dev", "one")
    assert dale.ask("join", room="#dev")["response"] == 200
    assert stands(dale) == [("#Dev", 0, 2, 0)] and "time" not in listed(dale)[0]
    hank.sends("dale", "one", "two", "three")
    dale.hears(3)
    dale.send({"action": "read", "with": "hank", "seq": 2})
    assert stands(dale) == [("#Dev", 0, 2, 0), ("hank", 3, 1, 2)]
    assert stands(hank) == [("#Dev", 1, 1, 0), ("dale", 3, 1, 0)]
    newest = hank.history("dale")[-1]
    assert [each["time"] for each in listed(hank, after="#dev")] == [newest["time"]]
    town.restarts()
    assert stands(town.comes("dale")) == [("#Dev", 0, 2, 0), ("hank", 3, 1, 2)]


def test_who_was_taken_out_or_has_left_is_not_in_it(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    for person in (hank, dale):
        assert person.ask("join", room="#dev")["response"] == 200
    assert hank.ask("remove", room="#dev", user="dale")["response"] == 200
    assert hank.ask("leave", room="#dev")["response"] == 200
    assert stands(hank) == stands(dale) == []


def test_a_guest_is_told_of_its_rooms_only_and_has_nothing_to_read(town: Town) -> None:
    hank, gus = town.comes("hank"), town.guest("gus")
    for room in ("#ops", "#dev"):
        assert hank.ask("join", room=room)["response"] == 200
        hank.sends(room, "one")
        assert gus.ask("join", room=room)["response"] == 200
    hank.sends("gus", "one")
    assert stands(gus) == [("#dev", 0, 2, 0), ("#ops", 0, 2, 0)]
    assert stands(hank) == [("#dev", 1, 1, 0), ("#ops", 1, 1, 0), ("gus", 1, 1, 0)]
    assert [each["with"] for each in listed(gus, after="#DEV")] == ["#ops"]


def test_pages_fit_the_frame(settle: Callable[..., Town]) -> None:
    town = settle(max_frame=directory.MAX_ENTRY_BYTES * 4)
    names = [f"#{letter * 10}{'ж' * 22}" for letter in "жзийклмнпр"]
    for person in (town.comes("hank"), town.guest("gus")):
        for name in names:
            town.comes("dale").ask("join", room=name)
            assert person.ask("join", room=name)["response"] == 200
        seen: list[str] = []
        more = True
        while more:
            answer = person.ask("conversations", after=seen[-1] if seen else "")
            assert len(answer["conversations"]) <= 4
            seen += [each["with"] for each in answer["conversations"]]
            more = answer["more"]
        assert seen == names
