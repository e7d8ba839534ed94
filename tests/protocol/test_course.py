"""Course clients: every variant with every other, taken names, logouts and logins."""

import itertools
import json
from collections.abc import Iterable

import pytest

from tests.support.course_clients import (
    CLASSIC,
    DIALECTS,
    MSG,
    REQUEST_FORM,
    STATUS,
    UPPER,
    VARIANTS,
    Address,
    CourseVariant,
    Frame,
)
from tests.support.native_clients import Connector, run_together

EVERY_VARIANT = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)


def name_clients(suffix: str, variants: Iterable[CourseVariant] = VARIANTS) -> dict[str, CourseVariant]:
    return {f"{variant.name}.{suffix}": variant for variant in variants}


def test_there_are_at_least_twenty_spellings() -> None:
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS) >= 20


def test_every_spelling_hears_every_dialect_before_it_has_said_a_word(server: Address, connector: Connector) -> None:
    listeners, talkers = (
        connector.log_in_courses(server, name_clients("hears")),
        connector.log_in_courses(server, name_clients("says", DIALECTS)),
    )
    for talker, listener in itertools.product(talkers, listeners):
        talker.send_message(listener.name, f"{talker.name} → {listener.name}")
    jobs = {
        one.name: lambda one=one: one.receive_messages(
            (talker.name, f"{talker.name} → {one.name}") for talker in talkers
        )
        for one in listeners
    }
    assert run_together(jobs) == {}
    for listener in listeners:
        listener.check_pacing()


def test_every_spelling_exchanges_messages_with_every_other_both_ways(server: Address, connector: Connector) -> None:
    clients, hub = connector.log_in_courses(server, name_clients("talks")), connector.open_native(server, "hub")
    for client in clients:
        client.send_message("hub", "first word")
    assert {hub.receive_message() for _ in clients} == {(client.name, "first word") for client in clients}
    for sender, receiver in itertools.permutations(clients, 2):
        sender.send_message(receiver.name, f"{sender.name} → {receiver.name}")
    jobs = {
        one.name: lambda one=one: one.receive_messages(
            (other.name, f"{other.name} → {one.name}") for other in clients if other is not one
        )
        for one in clients
    }
    assert run_together(jobs, seconds=90) == {}
    for client in clients:
        client.check_pacing()


@EVERY_VARIANT
def test_a_taken_name_is_refused_in_the_callers_envelope_and_then_hung_up_on(
    variant: CourseVariant, server: Address, connector: Connector
) -> None:
    connector.open_native(server, "hank")
    connector.open_course(server, variant, "hank").expect_refused()


@EVERY_VARIANT
def test_a_name_is_free_at_once_when_its_owner_leaves(
    variant: CourseVariant, server: Address, connector: Connector
) -> None:
    for _ in range(3):
        client = connector.open_course(server, variant, "hank")
        client.send(variant.presence("hank"))
        variant.response_form.check_accepted(client.receive())
        client.quit()
    connector.open_native(server, "hank")


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one.quit("x")], ids=lambda variant: variant.name)
def test_leaving_frees_the_name_while_the_connection_lingers(
    variant: CourseVariant, server: Address, connector: Connector
) -> None:
    client = connector.open_course(server, variant, "hank")
    client.send(variant.presence("hank"))
    variant.response_form.check_accepted(client.receive())
    client.send(variant.quit("hank") or {})
    connector.open_native(server, "hank")


def test_leaving_with_the_name_of_another_leaves_the_other_alone(server: Address, connector: Connector) -> None:
    hank, dale = connector.log_in_course(server, CLASSIC, "hank"), connector.open_native(server, "dale")
    hank.send(CLASSIC.quit("dale") or {})
    assert connector.open_native(server, "hank").send_message("dale", "still here?")["response"] == 202
    assert dale.receive_message() == ("hank", "still here?")


def test_who_has_not_said_its_presence_cannot_send(server: Address, connector: Connector) -> None:
    dale, connection = connector.open_native(server, "dale"), connector.open_raw(server)
    connection.send_bytes(json.dumps(CLASSIC.message("hank", "dale", "hello")).encode())
    connection.send_bytes(json.dumps(CLASSIC.presence("hank")).encode())
    while connection.receive()["response"] != 200:
        pass
    dale.expect_no_events()


def test_who_returns_is_heard_and_hears_as_before(server: Address, connector: Connector) -> None:
    dale = connector.log_in_course(server, CLASSIC, "dale")
    for number, variant in enumerate((CLASSIC, UPPER, REQUEST_FORM)):
        hank = connector.log_in_course(server, variant, "hank")
        hank.send_message("dale", f"here {number}")
        assert dale.receive_message() == ("hank", f"here {number}")
        dale.send_message("hank", f"welcome {number}")
        assert hank.receive_message() == ("dale", f"welcome {number}")
        hank.quit()


def test_leaving_at_once_after_speaking_loses_nothing(server: Address, connector: Connector) -> None:
    dale = connector.log_in_course(server, CLASSIC, "dale")
    hank = connector.log_in_course(server, CLASSIC, "hank")
    for number in range(3):
        hank.send_message("dale", f"parting word {number}")
    hank.quit()
    assert [dale.receive_message()[1] for _ in range(3)] == [f"parting word {number}" for number in range(3)]


@pytest.mark.parametrize("taken", ["hank", "HANK", "Hank", "\uff48ank"])
def test_names_are_taken_whatever_their_case_and_width(taken: str, server: Address, connector: Connector) -> None:
    connector.log_in_course(server, CLASSIC, "Hank")
    connector.open_course(server, MSG, taken).expect_refused()


def test_an_addressee_is_found_whatever_the_case_and_sees_its_own_spelling(
    server: Address, connector: Connector
) -> None:
    dale, hank = connector.log_in_course(server, CLASSIC, "DaLe"), connector.log_in_course(server, CLASSIC, "Hank")
    hank.send_message("dAlE", "hello")
    assert dale.receive_message() == ("Hank", "hello")


@EVERY_VARIANT
def test_a_presence_again_with_the_same_name_is_accepted_again(
    variant: CourseVariant, server: Address, connector: Connector
) -> None:
    client = connector.open_course(server, variant, "hank")
    for _ in range(2):
        client.send(variant.presence("hank"))
        variant.response_form.check_accepted(client.receive())


@pytest.mark.parametrize("name", ["", "a b", "all", "server", "SYSTEM", "x" * 33, "h\u0430nk", "a\u202eb"])
def test_a_bad_name_is_refused_in_the_callers_envelope(name: str, server: Address, connector: Connector) -> None:
    for variant in (CLASSIC, STATUS, UPPER, REQUEST_FORM):
        connector.open_course(server, variant, name).expect_refused()


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
def test_the_first_spelling_of_a_name_is_the_one(names: Frame, server: Address, connector: Connector) -> None:
    connection = connector.open_raw(server)
    connection.send_bytes(json.dumps({"action": "presence", "time": 1, **names}).encode())
    assert connection.receive()["response"] == 200
    assert connector.open_native(server).try_log_in("hank")["code"] == "name_in_use"


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "dale", "destination": "no", "mess_text": "hello", "text": "no"},
        {"destination": "dale", "to_user": "no", "message_text": "hello", "message": "no"},
        {"to_user": "dale", "message_receiver": "no", "msg_txt": "hello", "text": "no"},
        {"message_receiver": "dale", "text": "hello", "message": "no"},
        {"to": "dale", "mess_text": 5, "message_text": None, "message": "hello"},
        {"body": {"to": "dale", "text": "hello"}},
    ],
)
def test_the_first_spelling_of_addressee_and_text_is_the_one(
    fields: Frame, server: Address, connector: Connector
) -> None:
    dale, hank = connector.open_native(server, "dale"), connector.log_in_course(server, CLASSIC, "hank")
    hank.send({"action": "message", "time": 1, **fields})
    assert dale.receive_message() == ("hank", "hello")
