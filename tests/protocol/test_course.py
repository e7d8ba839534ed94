"""Course clients among themselves: every spelling with every other, taken names, leaving and returning.
Section 3 of the protocol; a client raises on anything its published model would die of."""

import itertools
import json
from collections.abc import Iterable

import pytest

from tests.support.course_clients import (
    ASKING,
    CLASSIC,
    DIALECTS,
    MSG,
    SPELLINGS,
    STATUS,
    UPPER,
    Address,
    Frame,
    Spelling,
)
from tests.support.native_clients import Dial, together

EVERY = pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.name)


def named(suffix: str, spellings: Iterable[Spelling] = SPELLINGS) -> dict[str, Spelling]:
    return {f"{spelling.name}.{suffix}": spelling for spelling in spellings}


def test_there_are_at_least_twenty_spellings() -> None:
    assert len({spelling.name for spelling in SPELLINGS}) == len(SPELLINGS) >= 20


def test_every_spelling_hears_every_dialect_before_it_has_said_a_word(server: Address, dial: Dial) -> None:
    listeners, talkers = dial.courses(server, named("hears")), dial.courses(server, named("says", DIALECTS))
    for talker, listener in itertools.product(talkers, listeners):
        talker.say(listener.name, f"{talker.name} → {listener.name}")
    jobs = {
        one.name: lambda one=one: one.hear_all((talker.name, f"{talker.name} → {one.name}") for talker in talkers)
        for one in listeners
    }
    assert together(jobs) == {}
    for listener in listeners:
        listener.keeps_pace()


def test_every_spelling_exchanges_messages_with_every_other_both_ways(server: Address, dial: Dial) -> None:
    clients, hub = dial.courses(server, named("talks")), dial.native(server, "hub")
    for client in clients:
        client.say("hub", "first word")
    assert {hub.hear() for _ in clients} == {(client.name, "first word") for client in clients}
    for sender, receiver in itertools.permutations(clients, 2):
        sender.say(receiver.name, f"{sender.name} → {receiver.name}")
    jobs = {
        one.name: lambda one=one: one.hear_all(
            (other.name, f"{other.name} → {one.name}") for other in clients if other is not one
        )
        for one in clients
    }
    assert together(jobs) == {}
    for client in clients:
        client.keeps_pace()


@EVERY
def test_a_taken_name_is_refused_in_the_callers_envelope_and_then_hung_up_on(
    spelling: Spelling, server: Address, dial: Dial
) -> None:
    dial.native(server, "hank")
    dial.stranger(server, spelling, "hank").refused()


@EVERY
def test_a_name_is_free_at_once_when_its_owner_leaves(spelling: Spelling, server: Address, dial: Dial) -> None:
    for _ in range(3):
        client = dial.stranger(server, spelling, "hank")
        client.send(spelling.presence("hank"))
        spelling.envelope.check_accepted(client.receive())
        client.leave()
    dial.native(server, "hank")


@pytest.mark.parametrize("spelling", [one for one in SPELLINGS if one.leave("x")], ids=lambda spelling: spelling.name)
def test_leaving_frees_the_name_while_the_connection_lingers(spelling: Spelling, server: Address, dial: Dial) -> None:
    client = dial.stranger(server, spelling, "hank")
    client.send(spelling.presence("hank"))
    spelling.envelope.check_accepted(client.receive())
    client.send(spelling.leave("hank") or {})
    dial.native(server, "hank")


def test_leaving_with_the_name_of_another_leaves_the_other_alone(server: Address, dial: Dial) -> None:
    hank, dale = dial.course(server, CLASSIC, "hank"), dial.native(server, "dale")
    hank.send(CLASSIC.leave("dale") or {})
    assert dial.native(server, "hank").say("dale", "still here?")["response"] == 202
    assert dale.hear() == ("hank", "still here?")


def test_who_has_not_said_its_presence_cannot_send(server: Address, dial: Dial) -> None:
    dale, wire = dial.native(server, "dale"), dial.wire(server)
    wire.send_bytes(json.dumps(CLASSIC.message("hank", "dale", "hello")).encode())
    wire.send_bytes(json.dumps(CLASSIC.presence("hank")).encode())
    while wire.recv()["response"] != 200:
        pass
    dale.heard_nothing()


def test_who_returns_is_heard_and_hears_as_before(server: Address, dial: Dial) -> None:
    dale = dial.course(server, CLASSIC, "dale")
    for number, spelling in enumerate((CLASSIC, UPPER, ASKING)):
        hank = dial.course(server, spelling, "hank")
        hank.say("dale", f"here {number}")
        assert dale.hear() == ("hank", f"here {number}")
        dale.say("hank", f"welcome {number}")
        assert hank.hear() == ("dale", f"welcome {number}")
        hank.leave()


def test_leaving_at_once_after_speaking_loses_nothing(server: Address, dial: Dial) -> None:
    dale = dial.course(server, CLASSIC, "dale")
    hank = dial.course(server, CLASSIC, "hank")
    for number in range(3):
        hank.say("dale", f"parting word {number}")
    hank.leave()
    assert [dale.hear()[1] for _ in range(3)] == [f"parting word {number}" for number in range(3)]


@pytest.mark.parametrize("taken", ["hank", "HANK", "Hank", "\uff48ank"])
def test_names_are_taken_whatever_their_case_and_width(taken: str, server: Address, dial: Dial) -> None:
    dial.course(server, CLASSIC, "Hank")
    dial.stranger(server, MSG, taken).refused()


def test_an_addressee_is_found_whatever_the_case_and_sees_its_own_spelling(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, CLASSIC, "DaLe"), dial.course(server, CLASSIC, "Hank")
    hank.say("dAlE", "hello")
    assert dale.hear() == ("Hank", "hello")


@EVERY
def test_a_presence_again_with_the_same_name_is_accepted_again(spelling: Spelling, server: Address, dial: Dial) -> None:
    client = dial.stranger(server, spelling, "hank")
    for _ in range(2):
        client.send(spelling.presence("hank"))
        spelling.envelope.check_accepted(client.receive())


@pytest.mark.parametrize("name", ["", "a b", "all", "server", "SYSTEM", "x" * 33, "h\u0430nk", "a\u202eb"])
def test_a_bad_name_is_refused_in_the_callers_envelope(name: str, server: Address, dial: Dial) -> None:
    for spelling in (CLASSIC, STATUS, UPPER, ASKING):
        dial.stranger(server, spelling, name).refused()


@pytest.mark.parametrize(
    "names",
    [
        {"user": {"account_name": "hank", "client_name": "no"}, "account_name": "no", "body": "no"},
        {"user": {"client_name": "hank"}, "from_user": {"account_name": "no"}},
        {"user": "hank", "account_name": "no"},
        {"from_user": {"account_name": "hank"}, "account_name": "no"},
        {"account_name": "hank", "body": "no"},
    ],
)
def test_the_first_spelling_of_a_name_is_the_one(names: Frame, server: Address, dial: Dial) -> None:
    wire = dial.wire(server)
    wire.send_bytes(json.dumps({"action": "presence", "time": 1, **names}).encode())
    assert wire.recv()["response"] == 200
    assert dial.native(server).present("hank")["code"] == "name_in_use"


@pytest.mark.parametrize(
    "words",
    [
        {"to": "dale", "destination": "no", "mess_text": "hello", "text": "no"},
        {"destination": "dale", "to_user": "no", "message_text": "hello", "message": "no"},
        {"to_user": "dale", "message_receiver": "no", "msg_txt": "hello", "text": "no"},
        {"message_receiver": "dale", "text": "hello", "message": "no"},
        {"to": "dale", "mess_text": 5, "message_text": None, "message": "hello"},
        {"body": {"to": "dale", "text": "hello"}},
    ],
)
def test_the_first_spelling_of_addressee_and_text_is_the_one(words: Frame, server: Address, dial: Dial) -> None:
    dale, hank = dial.native(server, "dale"), dial.course(server, CLASSIC, "hank")
    hank.send({"action": "message", "time": 1, **words})
    assert dale.hear() == ("hank", "hello")
