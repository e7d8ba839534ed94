"""Accounts: registering, logging in with a password or a session, and names that nobody else can take any more.
Section 2, "Logging in" and "Requests", and "Names and privacy" of the protocol."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import PASSWORD, Person, Town, is_refusal, seqs
from tests.support.course_clients import CLASSIC, DIALECTS, Address
from tests.support.native_clients import Dial, dumped

GOOD_PASSWORDS = {
    "8 bytes": "12345678",
    "8 bytes in 4 letters": "пяль",
    "8 bytes in 2 characters": "🐈🐕",
    "8 blanks": " " * 8,
    "1024 bytes": "x" * 1024,
    "1024 bytes in 512 letters": "ж" * 512,
    "quotes and control characters": "\"\\\t\x1b[31m\x7f'",
}
BAD_PASSWORDS = {
    "nothing": "",
    "7 bytes": "1234567",
    "6 bytes in 3 letters": "жжж",
    "1025 bytes": "x" * 1025,
    "1026 bytes in 513 letters": "ж" * 513,
    "U+0000": "correct\0horse",
    "a number": 1234567890,
    "null": None,
    "a list": ["correct horse"],
}
OTHER_SPELLINGS = ("hank", "HANK", "Hank", "\uff48ank")


def called(server: Address, dial: Dial, *names: str) -> list[Person]:
    """Guests."""
    people = [Person(server).enter(name) for name in names]
    dial.open += people
    return people


def logging_in(server: Address, dial: Dial, name: str, **user: Any) -> dict[str, Any]:
    """The answer to one try on a connection of its own."""
    dial.open.append(person := Person(server))
    return person.present(name, **user)


def refused_with(answer: dict[str, Any], response: int) -> bool:
    return answer["response"] == response and bool(answer["error"] and answer["code"])


def test_a_guest_registers_and_its_session_goes_on_as_the_account(server: Address, dial: Dial) -> None:
    hank, dale = called(server, dial, "Hank", "dale")
    assert dale.say("Hank", "nobody remembers this")["response"] == 202
    assert hank.ask("register", id="r1", password=PASSWORD)["response"] == 201
    assert dale.sends("Hank", "from guest to account") == [1]
    assert hank.sends("dale", "from account to guest") == [2]
    assert [frame["message"] for frame in hank.hears(2)] == ["nobody remembers this", "from guest to account"]
    frame = dale.event("msg")
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": "Hank", "to": "dale", "message": "from account to guest", "seq": 2}
    assert {user["account_name"] for user in dale.ask("users")["users"]} == {"Hank", "dale"}


def test_a_name_is_registered_once(server: Address, dial: Dial) -> None:
    (hank,) = called(server, dial, "hank")
    hank.register()
    assert refused_with(hank.ask("register", password="another password"), 409)
    assert logging_in(server, dial, "hank", password="another password")["response"] == 402
    assert logging_in(server, dial, "hank", password=PASSWORD)["response"] == 200


def test_of_two_registrations_in_one_write_one_succeeds(server: Address, dial: Dial) -> None:
    (hank,) = called(server, dial, "hank")
    hank.send_bytes(b"".join(dumped(action="register", id=word, password=PASSWORD + word) for word in ("one", "two")))
    answers: dict[int, str] = {}
    while len(answers) < 2:
        if "response" in (frame := hank.recv()):  # `synced` may come between the two
            answers[frame["response"]] = frame["id"]
    assert set(answers) == {201, 409}
    assert logging_in(server, dial, "hank", password=PASSWORD + answers[409])["response"] == 402
    assert logging_in(server, dial, "hank", password=PASSWORD + answers[201])["response"] == 200


@pytest.mark.parametrize(
    ("policy", "fields"),
    [("closed", {}), ("closed", {"invite": "guessed"}), ("invite", {}), ("invite", {"invite": "guessed"})],
)
def test_who_may_not_register_stays_a_guest(
    policy: str, fields: dict[str, str], start_server: Callable[..., Address], dial: Dial
) -> None:
    hank, dale = called(start_server(registration=policy), dial, "hank", "dale")
    assert refused_with(hank.ask("register", password=PASSWORD, **fields), 403)
    assert dale.say("hank", "still a guest?")["response"] == 202


def test_only_who_is_logged_in_registers(server: Address, dial: Dial) -> None:
    nobody = dial.wire(server)
    nobody.send({"action": "register", "id": "r1", "password": PASSWORD})
    nobody.send({"action": "presence", "jim": 2, "user": {"account_name": "nobody"}})
    while (answer := nobody.recv())["response"] != 200:
        assert is_refusal(answer)
    assert answer["account"] is False
    stranger = dial.course(server, CLASSIC, "stranger")
    stranger.send({"action": "register", "password": PASSWORD})
    stranger.leave()
    called(server, dial, "stranger")


@pytest.mark.parametrize("password", GOOD_PASSWORDS.values(), ids=GOOD_PASSWORDS.keys())
def test_a_good_password_registers_and_logs_in(password: str, server: Address, dial: Dial) -> None:
    (hank,) = called(server, dial, "hank")
    hank.register(password)
    answer = logging_in(server, dial, "hank", password=password)
    assert (answer["response"], answer["account"]) == (200, True)


def test_a_bad_password_is_refused_and_leaves_a_guest(server: Address, dial: Dial) -> None:
    hank, dale = called(server, dial, "hank", "dale")
    for kind, password in BAD_PASSWORDS.items():
        hank.send({"action": "register", "id": kind[:64], "password": password})
        assert is_refusal(hank.recv()), kind
    hank.send({"action": "register", "id": "none"})
    assert is_refusal(hank.recv())
    assert dale.say("hank", "still a guest?")["response"] == 202


def test_an_account_logs_in_with_its_password_and_is_told_so(town: Town) -> None:
    answer = logging_in(town, town.dial, "hank", password=PASSWORD)
    assert (answer["response"], answer["jim"], answer["account"]) == (200, 2, True)
    assert isinstance(answer["session"], str) and len(answer["session"]) >= 16
    assert answer["limits"]["frame"] == 65536 and answer["limits"]["text"] == 16384
    assert isinstance(answer["alert"], str) and answer["alert"]
    assert "registration" not in answer


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_a_guest_is_told_whether_it_may_register(
    start_server: Callable[..., Any], dial: Dial, registration: str
) -> None:
    guest = dial.native(start_server(registration=registration))
    assert guest.present("hank")["registration"] == registration


def test_a_refused_login_may_be_tried_again_on_the_same_connection(town: Town) -> None:
    hank = town.dials()
    assert refused_with(hank.present("hank"), 401)
    assert refused_with(hank.present("hank", password="not " + PASSWORD), 402)
    assert refused_with(hank.present("hank", password="short"), 402)
    hank.enter("hank", password=PASSWORD)


def test_a_wrong_password_and_a_name_without_account_are_refused_in_the_same_words(town: Town) -> None:
    town.guest("guest")
    answers = [logging_in(town, town.dial, name, password="not " + PASSWORD) for name in ("hank", "nobody", "guest")]
    for answer in answers:
        assert isinstance(answer.pop("time"), float)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["response"] == 402


def test_a_session_resumes_its_account_without_a_password_and_replaces_the_half_dead_connection(town: Town) -> None:
    hank, dale = town.dials().enter("hank", password=PASSWORD), town.comes("dale")
    again = town.dials()
    answer = again.present("hank", session=hank.session)
    assert (answer["response"], answer["account"]) == (200, True)
    assert hank.rest()[-1]["code"] == "replaced"
    again.until_synced()
    assert dale.sends("hank", "hello") == [1]
    assert again.event("msg")["message"] == "hello"


def test_a_session_resumes_its_account_after_a_restart(town: Town) -> None:
    hank = town.dials().enter("hank", password=PASSWORD)
    town.restarts()
    answer = town.dials().present("hank", session=hank.session)
    assert (answer["response"], answer["account"]) == (200, True)


def test_the_session_of_a_guest_who_registered_resumes_the_account(server: Address, dial: Dial) -> None:
    (hank,) = called(server, dial, "hank")
    session = hank.register().get("session", hank.session)
    answer = logging_in(server, dial, "hank", session=session)
    assert (answer["response"], answer["account"]) == (200, True)


def test_the_session_of_one_account_does_not_open_another(town: Town) -> None:
    dale = town.dials().enter("dale", password=PASSWORD)
    for session in (dale.session, "guessed", ""):
        assert refused_with(logging_in(town, town.dial, "hank", session=session), 401)


@pytest.mark.parametrize("name", OTHER_SPELLINGS, ids=ascii)
def test_the_name_of_an_account_is_closed_to_guests_and_open_to_its_password(name: str, town: Town) -> None:
    for spelling in DIALECTS:
        town.dial.stranger(town, spelling, name).refused()
    assert refused_with(logging_in(town, town.dial, name), 401)
    hank, dale = town.dials().enter(name, password=PASSWORD), town.comes("dale")
    assert hank.sends("DALE", "hello") == [1]
    frame = dale.event("msg")
    assert (frame["from"], frame["to"]) == ("hank", "dale")


def test_a_name_is_shown_as_it_was_registered(server: Address, dial: Dial) -> None:
    hank, dale = called(server, dial, "HaNk", "dale")
    hank.register()
    dial.open.append(again := Person(server))
    again.enter("hank", password=PASSWORD, device="phone").sends("dale", "hello")
    assert dale.event("msg")["from"] == "HaNk"
    assert dale.sends("hAnK", "hello") == [2]
    assert again.event("msg")["to"] == "HaNk"


def test_where_guests_are_refused_accounts_log_in(settle: Callable[..., Town]) -> None:
    town = settle(guests=False)
    for name, response in (("stranger", 403), ("hank", 401)):
        assert refused_with(logging_in(town, town.dial, name), response)
    town.dial.stranger(town, CLASSIC, "stranger").refused()
    assert logging_in(town, town.dial, "stranger", password=PASSWORD)["response"] == 402
    town.dials().enter("hank", password=PASSWORD)


def test_an_account_outlives_the_server_in_a_file_and_not_in_memory(
    start_server: Callable[..., Any], dial: Dial, tmp_path: Any
) -> None:
    for store, response in ((f"sqlite:///{tmp_path / 'a' / 'chat.db'}", 401), ("memory:", 200)):
        first = start_server(store=store)
        called(first, dial, "hank")[0].register()
        first.stop()
        assert logging_in(start_server(store=store), dial, "hank")["response"] == response


def test_registering_ends_nothing_that_a_course_client_said_and_heard(server: Address, dial: Dial) -> None:
    (hank,) = called(server, dial, "hank")
    cathy = dial.course(server, CLASSIC, "cathy")
    hank.register()
    cathy.say("hank", "hello")
    assert seqs(hank.hears(1)) == [1]
    assert hank.sends("cathy", "hello cathy") == [2]
    assert cathy.hear() == ("hank", "hello cathy")
