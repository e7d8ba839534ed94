"""Closed rooms: what was said can be read, and nothing more is said.
docs/protocol.md, "Moderation and blocks"."""

import pytest

from tests.support.accounts import Town
from tests.support.course_clients import CLASSIC
from tests.support.moderation import admin_service, done, operator, refused


@pytest.mark.parametrize("restarted", [False, True])
def test_a_closed_room_is_read_and_left_and_nothing_else(town: Town, restarted: bool) -> None:
    hank, dale = operator(town), town.comes("dale")
    for person in (dale, hank):
        done(person.ask("join", room="#Dev"))
    dale.sends("#dev", "before")
    done(hank.ask("close", room="#DEV", reason="too loud"))
    expected = {"action": "close", "room": "#Dev", "user": {"account_name": "hank"}, "reason": "too loud"}
    assert dale.event("close") == expected and hank.event("close") == expected
    if restarted:
        town.restarts()
        hank, dale = town.comes("hank"), town.comes("dale")
    bobby, course = town.comes("bobby"), town.course(CLASSIC, "bill")
    for person in (dale, hank):
        answer = refused(person.say("#dev", "psst"), "room_closed")
        assert answer["error"] == "An operator has closed this room: too loud."
    refused(dale.ask("topic", room="#dev", topic="ha"), "room_closed")
    refused(bobby.ask("join", room="#dev"), "room_closed")
    course.say("#dev", "psst")
    assert [frame["message"] for frame in dale.history("#dev")] == ["before"]
    (listed,) = done(bobby.ask("rooms"))["rooms"]
    assert listed == {"room": "#Dev", "topic": "", "members": 2, "closed": True}
    done(dale.ask("join", room="#dev"))  # who is in is in
    done(dale.ask("leave", room="#dev"))
    refused(dale.ask("join", room="#dev"), "room_closed")


def test_it_is_opened_again(town: Town) -> None:
    hank, dale = operator(town), town.comes("dale")
    done(dale.ask("join", room="#dev"))
    done(hank.ask("close", room="#dev"))
    assert dale.event("close") == {"action": "close", "room": "#dev", "user": {"account_name": "hank"}}
    done(hank.ask("open", room="#dev"))
    assert dale.event("open") == {"action": "open", "room": "#dev", "user": {"account_name": "hank"}}
    dale.sends("#dev", "after")
    done(hank.ask("join", room="#dev"))
    assert "closed" not in done(hank.ask("rooms"))["rooms"][0]
    refused(hank.ask("open", room="#dev"), "never_seen", 404)


def test_a_deleted_room_comes_again_open(town: Town) -> None:
    hank, dale = operator(town), town.comes("dale")
    done(dale.ask("join", room="#dev"))
    done(hank.ask("close", room="#dev"))
    admin_service(town).delete_room("#dev")
    done(dale.ask("join", room="#dev"))
    assert dale.sends("#dev", "anew") == [1]
