"""Blocks: whoever does not want to hear from somebody does not, and is not seen by them.
docs/protocol.md, "Moderation and blocks"."""

from tests.support.accounts import PASSWORD, Person, Town
from tests.support.course_clients import CLASSIC, Frame
from tests.support.moderation import done, refused


def blocked(person: Person) -> list[str]:
    listed = done(person.ask("blocks"))
    assert listed["more"] is False
    return [card["account_name"] for card in listed["users"]]


def present(person: Person) -> set[str]:
    return {card["account_name"] for card in done(person.ask("users"))["users"]}


def test_an_accounts_blocks_hold_on_all_devices_and_after_a_restart(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    assert "blocks" not in town.dials().present("hank", device="phone", password=PASSWORD)
    done(hank.ask("block", user="Dale"))
    done(hank.ask("block", user="dale"))
    refused(dale.say("hank", "hi"), "blocked")
    assert hank.say("dale", "not you")["response"] == 200
    assert town.comes("hank", "phone").unheard() == []
    town.restarts()
    hank, dale = town.comes("hank"), town.comes("dale")
    assert blocked(hank) == ["dale"] and blocked(dale) == []
    assert town.dials().present("hank", device="phone", password=PASSWORD)["blocks"] == 1
    refused(dale.say("HANK", "hi"), "blocked")
    done(hank.ask("unblock", user="DALE"))
    refused(hank.ask("unblock", user="dale"), "never_seen", 404)
    dale.sends("hank", "hi")
    assert [frame["message"] for frame in hank.hears(1)] == ["hi"]


def test_a_guests_blocks_last_as_long_as_the_guest(town: Town) -> None:
    bill, joe = town.guest("bill"), town.guest("joe")
    done(bill.ask("block", user="joe"))
    refused(joe.say("bill", "hi"), "blocked")
    again = town.dials().enter("bill", session=bill.session)
    refused(joe.say("bill", "hi"), "blocked")
    again.send({"action": "quit"})
    again.rest()
    bill = town.guest("bill")
    assert joe.say("bill", "hi")["response"] == 202 and blocked(bill) == []


def test_a_guest_who_registers_keeps_them(town: Town) -> None:
    bill = town.guest("bill")
    done(bill.ask("block", user="dale"))
    bill.register()
    bill.event("synced")
    town.restarts()
    bill, dale = town.dials().enter("bill", password=PASSWORD), town.comes("dale")
    assert blocked(bill) == ["dale"]
    refused(dale.say("bill", "hi"), "blocked")


def test_who_erases_the_account_leaves_no_blocks(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    done(hank.ask("block", user="dale"))
    done(hank.ask("forget", password=PASSWORD))
    hank.rest()
    assert town.guest("hank") and dale.say("hank", "hi")["response"] == 200


def test_broadcasts_pass_by_who_blocks_their_sender(town: Town) -> None:
    hank, dale, bobby = (town.comes(name) for name in ("hank", "dale", "bobby"))
    done(hank.ask("block", user="dale"))
    assert dale.say("#all", "hear me")["response"] == 202
    assert bobby.event("msg")["message"] == "hear me"
    assert hank.unheard() == []


def test_rooms_have_no_holes(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    for person in (hank, dale):
        done(person.ask("join", room="#dev"))
    done(hank.ask("block", user="dale"))
    dale.sends("#dev", "one", "two")
    assert [frame["seq"] for frame in hank.hears(2)] == [1, 2]


def test_who_blocks_is_not_seen_by_whom_they_block(town: Town) -> None:
    hank, dale, bobby = (town.comes(name) for name in ("hank", "dale", "bobby"))
    for person in (hank, dale, bobby):
        done(person.ask("join", room="#dev"))
    done(hank.ask("block", user="dale"))
    assert present(dale) == {"dale", "bobby"} and present(bobby) == {"hank", "dale", "bobby"}
    members: list[Frame] = done(dale.ask("members", room="#dev"))["users"]
    assert {card["account_name"]: card["status"] for card in members} == {
        "hank": "offline",
        "dale": "online",
        "bobby": "online",
    }
    done(hank.ask("status", status="away"))
    assert bobby.event("presence")["user"] == {"account_name": "hank", "status": "away"}
    assert dale.unheard("presence") == []


def test_a_blocked_course_client_meets_silence(town: Town) -> None:
    hank, bill = town.comes("hank"), town.course(CLASSIC, "bill")
    done(hank.ask("block", user="bill"))
    bill.say("hank", "hi")
    hank.sends("bill", "go away")
    assert bill.hear() == ("hank", "go away")
    assert hank.unheard() == []


def test_what_makes_no_sense_is_refused(town: Town) -> None:
    hank = town.comes("hank")
    refused(hank.ask("block", user="HANK"), "bad_request", 400)
    refused(hank.ask("block", user="two words"), "bad_name", 400)
    refused(hank.ask("block"), "bad_request", 400)
    assert blocked(hank) == []


def test_they_are_paged_and_there_is_an_end_of_them(town: Town) -> None:
    bill = town.guest("bill")
    for number in range(1000):
        bill.send({"action": "block", "id": f"b{number}", "user": f"n{number:03}"})
    assert all(bill.recv()["response"] == 200 for _ in range(1000))
    refused(bill.ask("block", user="one-more"), "forbidden")
    done(bill.ask("block", user="N000"))
    names, more, after = [], True, None
    while more:
        page = done(bill.ask("blocks", after=after))
        names += [card["account_name"] for card in page["users"]]
        more, after = page["more"], names[-1]
    assert len(names) == len(set(names)) == 1000 and names[0] == "N000"
