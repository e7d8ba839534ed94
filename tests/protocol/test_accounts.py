"""Accounts: registration, logins by password and session, and names that are taken.

docs/protocol.md, section 2, "Logging in", "Requests", and "Names and privacy".
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient, is_client_error, seqs
from tests.support.course_clients import CLASSIC, DIALECTS, Address
from tests.support.native_clients import Connector, encode_frame

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


def log_in_guests(server: Address, connector: Connector, *names: str) -> list[UserClient]:
    """Log in guests."""
    clients = [UserClient(server).start_session(name) for name in names]
    connector.connections += clients
    return clients


def try_log_in(server: Address, connector: Connector, name: str, **user: Any) -> dict[str, Any]:
    """Return the response to a login on a connection of its own."""
    connector.connections.append(client := UserClient(server))
    return client.try_log_in(name, **user)


def is_error(answer: dict[str, Any], response: int) -> bool:
    return answer["response"] == response and bool(answer["error"] and answer["code"])


def test_a_guest_registers_and_its_session_goes_on_as_the_account(server: Address, connector: Connector) -> None:
    hank, dale = log_in_guests(server, connector, "Hank", "dale")
    assert dale.send_message("Hank", "nobody remembers this")["response"] == 202
    assert hank.request("register", id="r1", password=PASSWORD)["response"] == 201
    assert dale.send_messages("Hank", "from guest to account") == [1]
    assert hank.send_messages("dale", "from account to guest") == [2]
    assert [frame["message"] for frame in hank.receive_messages(2)] == [
        "nobody remembers this",
        "from guest to account",
    ]
    frame = dale.next_event("msg")
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": "Hank", "to": "dale", "message": "from account to guest", "seq": 2}
    assert {user["account_name"] for user in dale.request("users")["users"]} == {"Hank", "dale"}


def test_a_name_is_registered_once(server: Address, connector: Connector) -> None:
    (hank,) = log_in_guests(server, connector, "hank")
    hank.register()
    assert is_error(hank.request("register", password="another password"), 409)
    assert try_log_in(server, connector, "hank", password="another password")["response"] == 402
    assert try_log_in(server, connector, "hank", password=PASSWORD)["response"] == 200


def test_of_two_registrations_in_one_write_one_succeeds(server: Address, connector: Connector) -> None:
    (hank,) = log_in_guests(server, connector, "hank")
    hank.send_bytes(
        b"".join(encode_frame(action="register", id=word, password=PASSWORD + word) for word in ("one", "two"))
    )
    answers: dict[int, str] = {}
    while len(answers) < 2:
        if "response" in (frame := hank.receive()):  # `synced` may come between the two
            answers[frame["response"]] = frame["id"]
    assert set(answers) == {201, 409}
    assert try_log_in(server, connector, "hank", password=PASSWORD + answers[409])["response"] == 402
    assert try_log_in(server, connector, "hank", password=PASSWORD + answers[201])["response"] == 200


@pytest.mark.parametrize(
    ("policy", "fields"),
    [("closed", {}), ("closed", {"invite": "guessed"}), ("invite", {}), ("invite", {"invite": "guessed"})],
)
def test_who_may_not_register_stays_a_guest(
    policy: str, fields: dict[str, str], start_server: Callable[..., Address], connector: Connector
) -> None:
    hank, dale = log_in_guests(start_server(registration=policy), connector, "hank", "dale")
    assert is_error(hank.request("register", password=PASSWORD, **fields), 403)
    assert dale.send_message("hank", "still a guest?")["response"] == 202


def test_only_who_is_logged_in_registers(server: Address, connector: Connector) -> None:
    unknown = connector.open_raw(server)
    unknown.send({"action": "register", "id": "r1", "password": PASSWORD})
    unknown.send({"action": "presence", "jim": 2, "user": {"account_name": "nobody"}})
    while (answer := unknown.receive())["response"] != 200:
        assert is_client_error(answer)
    assert answer["account"] is False
    stranger = connector.log_in_course(server, CLASSIC, "stranger")
    stranger.send({"action": "register", "password": PASSWORD})
    stranger.quit()
    log_in_guests(server, connector, "stranger")


@pytest.mark.parametrize("password", GOOD_PASSWORDS.values(), ids=GOOD_PASSWORDS.keys())
def test_a_good_password_registers_and_logs_in(password: str, server: Address, connector: Connector) -> None:
    (hank,) = log_in_guests(server, connector, "hank")
    hank.register(password)
    answer = try_log_in(server, connector, "hank", password=password)
    assert (answer["response"], answer["account"]) == (200, True)


def test_a_bad_password_is_refused_and_leaves_a_guest(server: Address, connector: Connector) -> None:
    hank, dale = log_in_guests(server, connector, "hank", "dale")
    for kind, password in BAD_PASSWORDS.items():
        hank.send({"action": "register", "id": kind[:64], "password": password})
        assert is_client_error(hank.receive()), kind
    hank.send({"action": "register", "id": "none"})
    assert is_client_error(hank.receive())
    assert dale.send_message("hank", "still a guest?")["response"] == 202


def test_an_account_logs_in_with_its_password_and_is_told_so(chat_server: ChatServer) -> None:
    answer = try_log_in(chat_server, chat_server.connector, "hank", password=PASSWORD)
    assert (answer["response"], answer["jim"], answer["account"]) == (200, 2, True)
    assert isinstance(answer["session"], str) and len(answer["session"]) >= 16
    assert answer["limits"]["frame"] == 65536 and answer["limits"]["text"] == 16384
    assert isinstance(answer["alert"], str) and answer["alert"]
    assert "registration" not in answer


@pytest.mark.parametrize("registration", ["open", "invite", "closed"])
def test_a_guest_is_told_whether_it_may_register(
    start_server: Callable[..., Any], connector: Connector, registration: str
) -> None:
    guest = connector.open_native(start_server(registration=registration))
    assert guest.try_log_in("hank")["registration"] == registration


def test_a_refused_login_may_be_tried_again_on_the_same_connection(chat_server: ChatServer) -> None:
    hank = chat_server.connect()
    assert is_error(hank.try_log_in("hank"), 401)
    assert is_error(hank.try_log_in("hank", password="not " + PASSWORD), 402)
    assert is_error(hank.try_log_in("hank", password="short"), 402)
    hank.start_session("hank", password=PASSWORD)


def test_a_wrong_password_and_a_name_without_account_are_refused_in_the_same_words(chat_server: ChatServer) -> None:
    chat_server.log_in_guest("guest")
    answers = [
        try_log_in(chat_server, chat_server.connector, name, password="not " + PASSWORD)
        for name in ("hank", "nobody", "guest")
    ]
    for answer in answers:
        assert isinstance(answer.pop("time"), float)
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["response"] == 402


def test_a_session_resumes_its_account_without_a_password_and_replaces_the_half_dead_connection(
    chat_server: ChatServer,
) -> None:
    hank, dale = chat_server.connect().start_session("hank", password=PASSWORD), chat_server.log_in("dale")
    again = chat_server.connect()
    answer = again.try_log_in("hank", session=hank.session)
    assert (answer["response"], answer["account"]) == (200, True)
    assert hank.receive_until_closed()[-1]["code"] == "replaced"
    again.receive_until_synced()
    assert dale.send_messages("hank", "hello") == [1]
    assert again.next_event("msg")["message"] == "hello"


def test_a_session_resumes_its_account_after_a_restart(chat_server: ChatServer) -> None:
    hank = chat_server.connect().start_session("hank", password=PASSWORD)
    chat_server.restart()
    answer = chat_server.connect().try_log_in("hank", session=hank.session)
    assert (answer["response"], answer["account"]) == (200, True)


def test_the_session_of_a_guest_who_registered_resumes_the_account(server: Address, connector: Connector) -> None:
    (hank,) = log_in_guests(server, connector, "hank")
    session = hank.register().get("session", hank.session)
    answer = try_log_in(server, connector, "hank", session=session)
    assert (answer["response"], answer["account"]) == (200, True)


def test_the_session_of_one_account_does_not_open_another(chat_server: ChatServer) -> None:
    dale = chat_server.connect().start_session("dale", password=PASSWORD)
    for session in (dale.session, "guessed", ""):
        assert is_error(try_log_in(chat_server, chat_server.connector, "hank", session=session), 401)


@pytest.mark.parametrize("name", OTHER_SPELLINGS, ids=ascii)
def test_the_name_of_an_account_is_closed_to_guests_and_open_to_its_password(
    name: str, chat_server: ChatServer
) -> None:
    for variant in DIALECTS:
        chat_server.connector.open_course(chat_server, variant, name).expect_refused()
    assert is_error(try_log_in(chat_server, chat_server.connector, name), 401)
    hank, dale = chat_server.connect().start_session(name, password=PASSWORD), chat_server.log_in("dale")
    assert hank.send_messages("DALE", "hello") == [1]
    frame = dale.next_event("msg")
    assert (frame["from"], frame["to"]) == ("hank", "dale")


def test_a_name_is_shown_as_it_was_registered(server: Address, connector: Connector) -> None:
    hank, dale = log_in_guests(server, connector, "HaNk", "dale")
    hank.register()
    connector.connections.append(again := UserClient(server))
    again.start_session("hank", password=PASSWORD, device="phone").send_messages("dale", "hello")
    assert dale.next_event("msg")["from"] == "HaNk"
    assert dale.send_messages("hAnK", "hello") == [2]
    assert again.next_event("msg")["to"] == "HaNk"


def test_where_guests_are_refused_accounts_log_in(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(guests=False)
    for name, response in (("stranger", 403), ("hank", 401)):
        assert is_error(try_log_in(chat_server, chat_server.connector, name), response)
    chat_server.connector.open_course(chat_server, CLASSIC, "stranger").expect_refused()
    assert try_log_in(chat_server, chat_server.connector, "stranger", password=PASSWORD)["response"] == 402
    chat_server.connect().start_session("hank", password=PASSWORD)


def test_an_account_outlives_the_server_in_a_file_and_not_in_memory(
    start_server: Callable[..., Any], connector: Connector, tmp_path: Any
) -> None:
    for store, response in ((f"sqlite:///{tmp_path / 'a' / 'chat.db'}", 401), ("memory:", 200)):
        first = start_server(store=store)
        log_in_guests(first, connector, "hank")[0].register()
        first.stop()
        assert try_log_in(start_server(store=store), connector, "hank")["response"] == response


def test_registering_ends_nothing_that_a_course_client_said_and_heard(server: Address, connector: Connector) -> None:
    (hank,) = log_in_guests(server, connector, "hank")
    cathy = connector.log_in_course(server, CLASSIC, "cathy")
    hank.register()
    cathy.send_message("hank", "hello")
    assert seqs(hank.receive_messages(1)) == [1]
    assert hank.send_messages("cathy", "hello cathy") == [2]
    assert cathy.receive_message() == ("hank", "hello cathy")
