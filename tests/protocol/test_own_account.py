"""One's own account: a new password, and the sessions that end by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.course_clients import settle

NEW = "a brand new password"


def change_password(client: UserClient, old: Any = PASSWORD, new: Any = NEW) -> dict[str, Any]:
    return client.request("password", old=old, new=new)


def closed_with(client: UserClient) -> tuple[int, str]:
    """Return status and code of the error with which a connection was closed."""
    (error,) = [frame for frame in client.receive_until_closed() if "response" in frame]
    return error["response"], error["code"]


def test_a_new_password_ends_every_other_session_and_this_one_goes_on(chat_server: ChatServer) -> None:
    laptop, phone, dale = chat_server.log_in("hank"), chat_server.log_in("hank", "phone"), chat_server.log_in("dale")
    assert change_password(laptop)["response"] == 200
    assert closed_with(phone) == (401, "password_needed")
    assert dale.send_messages("hank", "still here?") == [1]
    assert laptop.next_event("msg")["message"] == "still here?"


def test_after_a_new_password_only_the_token_of_this_session_is_good(chat_server: ChatServer) -> None:
    tokens = {}
    for device in ("laptop", "phone", "tablet"):
        client = chat_server.connect().start_session("hank", password=PASSWORD, device=device)
        tokens[device] = client.session
        if device == "tablet":
            client.close()
        if device == "laptop":
            laptop = client
    assert change_password(laptop)["response"] == 200
    for device in ("phone", "tablet"):
        answer = chat_server.connect().try_log_in("hank", device=device, session=tokens[device])
        assert (answer["response"], answer["code"]) == (401, "password_needed")
    assert chat_server.connect().try_log_in("hank", device="laptop", session=tokens["laptop"])["response"] == 200
    assert chat_server.connect().try_log_in("hank", device="new", password=PASSWORD)["response"] == 402
    assert chat_server.connect().try_log_in("hank", device="new", password=NEW)["response"] == 200


def test_a_password_is_changed_again_and_back(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    for old, new in ((PASSWORD, NEW), (NEW, PASSWORD), (PASSWORD, NEW)):
        assert change_password(hank, old, new)["response"] == 200
    assert hank.request("probe")["response"] == 200


def resume(chat_server: ChatServer, client: UserClient, device: str = "laptop") -> UserClient:
    """Connect again by the token, as a client does whose connection was lost."""
    return chat_server.connect().start_session("hank", session=client.session, device=device)


def test_a_new_password_whose_answer_was_lost_may_be_asked_for_again(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert change_password(laptop)["response"] == 200
    assert change_password(laptop)["response"] == 200
    again = resume(chat_server, laptop)
    phone = chat_server.connect().start_session("hank", password=NEW, device="phone")
    assert change_password(again)["response"] == 200
    assert phone.request("probe")["response"] == 200
    for old, new in ((PASSWORD, "another new password"), ("not the password", "nor this one"), (NEW + "x", PASSWORD)):
        assert change_password(again, old, new)["code"] == "wrong_password"
    assert change_password(phone)["code"] == "wrong_password"  # it has not made the change


def test_who_has_set_an_earlier_password_is_told_that_it_is_wrong(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert change_password(laptop)["response"] == 200
    phone = chat_server.connect().start_session("hank", password=NEW, device="phone")
    assert change_password(phone, NEW, PASSWORD)["response"] == 200
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert change_password(laptop, "not the password", PASSWORD)["code"] == "wrong_password"


def test_a_new_password_may_be_asked_for_again_after_a_restart(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert change_password(laptop)["response"] == 200
    chat_server.restart()
    assert change_password(resume(chat_server, laptop))["response"] == 200


@pytest.mark.parametrize(
    ("old", "new", "response", "code"),
    [
        ("not the password", NEW, 402, "wrong_password"),
        ("", NEW, 402, "wrong_password"),
        (PASSWORD, "short", 400, "bad_password"),
        (PASSWORD, "", 400, "bad_password"),
        (PASSWORD, "x" * 1025, 400, "bad_password"),
        (PASSWORD, "ж" * 513, 400, "bad_password"),
    ],
)
def test_a_password_that_is_refused_changes_nothing(
    old: str, new: str, response: int, code: str, chat_server: ChatServer
) -> None:
    hank, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    answer = change_password(hank, old, new)
    assert (answer["response"], answer["code"]) == (response, code)
    assert phone.request("probe")["response"] == 200
    assert chat_server.connect().try_log_in("hank", device="new", password=PASSWORD)["response"] == 200


def test_a_guest_has_no_password_to_change(chat_server: ChatServer) -> None:
    answer = change_password(chat_server.log_in_guest("gus"))
    assert (answer["response"], answer["code"]) == (403, "accounts_only")


def test_wrong_passwords_are_counted_whatever_they_are_given_for(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    for _ in range(5):
        assert change_password(hank, "not the password")["code"] == "wrong_password"
        assert hank.request("forget", password="not the password")["code"] == "wrong_password"
    for answer in (change_password(hank), hank.request("forget", password=PASSWORD)):
        assert (answer["response"], answer["code"]) == (429, "too_many_failures") and answer["retry_after"] > 0
    assert hank.request("probe")["response"] == 200


def test_strangers_to_an_account_are_limited_by_address_too(start_chat_server: Callable[..., ChatServer]) -> None:
    hank = start_chat_server(limit_loopback=True, failures_per_ip=3).log_in("hank")
    codes = [change_password(hank, "not the password")["code"] for _ in range(4)]
    assert codes == ["wrong_password"] * 3 + ["too_many_failures"]


def test_strangers_who_guess_do_not_keep_the_owner_from_changing_the_password(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(failures_per_name=2)
    hank = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    chat_server.restart()
    hank = resume(chat_server, hank)
    for app in [node.app for node in getattr(chat_server.server, "nodes", [chat_server.server])]:
        throttle = app.messenger.authenticator._login_throttle
        for _ in range(2):
            # As from elsewhere: on this machine no network is counted.
            assert not throttle.verify("hank", "203.0.113.7:1", None, "guessed")
    assert change_password(hank)["response"] == 200


def test_a_new_password_outlives_the_server(chat_server: ChatServer) -> None:
    assert change_password(chat_server.log_in("hank"))["response"] == 200
    chat_server.restart()
    assert chat_server.connect().try_log_in("hank", password=PASSWORD)["response"] == 402
    assert chat_server.connect().try_log_in("hank", password=NEW)["response"] == 200


def devices_of(client: UserClient) -> dict[str, dict[str, Any]]:
    answer = client.request("devices")
    assert answer["response"] == 200, answer
    return {device.pop("device"): device for device in answer["devices"]}


def test_a_user_sees_where_the_account_is_logged_in(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    phone = chat_server.connect().start_session("hank", password=PASSWORD, device="phone")
    tablet = chat_server.connect().start_session("hank", password=PASSWORD, device="tablet")
    tablet.send({"action": "quit"})
    tablet.receive_until_closed()
    settle(chat_server, always=True)
    listed = laptop.request("devices")["devices"]
    assert all(isinstance(device.pop("used"), float) for device in listed)
    assert sorted(listed, key=lambda device: device["device"]) == [
        {"device": "laptop", "here": True, "this": True},
        {"device": "phone", "here": True},
        {"device": "tablet", "here": False},
    ]
    assert devices_of(phone)["phone"]["this"] is True


def test_a_device_that_is_dropped_needs_the_password_again_and_goes_on_where_it_was(chat_server: ChatServer) -> None:
    laptop, phone, dale = chat_server.log_in("hank"), chat_server.log_in("hank", "phone"), chat_server.log_in("dale")
    dale.send_messages("hank", "one", "two")
    phone.acknowledge("dale", 1)
    token = chat_server.populated_store.sessions["hank", "phone"]
    assert laptop.request("drop", device="phone")["response"] == 200
    assert closed_with(phone) == (401, "password_needed")
    assert set(devices_of(laptop)) == {"laptop"}
    answer = chat_server.connect().try_log_in("hank", device="phone", session=token)
    assert (answer["response"], answer["code"]) == (401, "password_needed")
    again = chat_server.connect().start_session("hank", device="phone", password=PASSWORD)
    assert [frame["message"] for frame in again.backlog] == ["two"]
    assert laptop.request("probe")["response"] == 200


def test_what_a_dropped_device_sends_again_is_stored_once(chat_server: ChatServer) -> None:
    laptop, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    first = phone.request("msg", id="unanswered", to="dale", message="once")
    assert laptop.request("drop", device="phone")["response"] == 200
    again = chat_server.connect().start_session("hank", device="phone", password=PASSWORD)
    assert again.request("msg", id="unanswered", to="dale", message="once")["seq"] == first["seq"]
    assert again.request("msg", to="dale", message="next")["seq"] == first["seq"] + 1


def test_all_other_devices_are_dropped_at_once(chat_server: ChatServer) -> None:
    laptop, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    assert laptop.request("drop", all=True)["response"] == 200
    assert closed_with(phone) == (401, "password_needed")
    assert set(devices_of(laptop)) == {"laptop"}
    assert laptop.request("drop", all=True)["response"] == 200
    assert laptop.request("probe")["response"] == 200


def test_a_user_logs_the_own_device_out(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert laptop.request("drop", device="laptop")["response"] == 200
    assert closed_with(laptop) == (401, "password_needed")
    answer = chat_server.connect().try_log_in("hank", device="laptop", session=laptop.session)
    assert answer["code"] == "password_needed"


@pytest.mark.parametrize(
    ("fields", "response", "code"),
    [
        ({"device": "nowhere"}, 404, "no_such_device"),
        ({"device": ""}, 404, "no_such_device"),
        ({}, 400, "bad_request"),
        ({"all": False}, 400, "bad_request"),
        ({"all": True, "device": "phone"}, 400, "bad_request"),
        ({"device": "x" * 129}, 400, "bad_request"),
    ],
)
def test_a_device_that_is_not_there_is_not_dropped(
    fields: dict[str, Any], response: int, code: str, chat_server: ChatServer
) -> None:
    laptop, phone = chat_server.log_in("hank"), chat_server.log_in("hank", "phone")
    answer = laptop.request("drop", **fields)
    assert (answer["response"], answer["code"]) == (response, code)
    assert phone.request("probe")["response"] == 200


def test_a_device_of_another_account_is_not_dropped(chat_server: ChatServer) -> None:
    dale = chat_server.connect().start_session("dale", password=PASSWORD, device="desk")
    assert chat_server.log_in("hank").request("drop", device="desk")["code"] == "no_such_device"
    assert dale.request("probe")["response"] == 200


def test_guests_have_no_devices(chat_server: ChatServer) -> None:
    gus = chat_server.log_in_guest("gus")
    assert gus.request("devices")["code"] == gus.request("drop", all=True)["code"] == "accounts_only"


def test_a_device_logs_in_by_a_certificate_that_is_shown_and_removed(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    digits = "ab" * 32
    assert laptop.request("certificate", fingerprint=":".join(["AB"] * 32))["response"] == 200
    assert laptop.request("certificate", fingerprint="cd" * 32, device="irc")["response"] == 200
    found = devices_of(laptop)
    assert {name: device.get("certificate") for name, device in found.items() if name in ("laptop", "irc")} == {
        "laptop": digits,
        "irc": "cd" * 32,
    }
    assert found["irc"]["here"] is False
    assert laptop.request("certificate", fingerprint=digits, device="irc")["response"] == 200
    assert {name for name, device in devices_of(laptop).items() if "certificate" in device} == {"irc"}
    assert laptop.request("certificate")["code"] == "no_such_device"
    assert laptop.request("certificate", device="irc")["response"] == 200
    assert "irc" not in devices_of(laptop)


def test_a_device_with_a_certificate_is_dropped_with_it(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    laptop.request("certificate", fingerprint="ab" * 32, device="irc")
    assert laptop.request("drop", device="irc")["response"] == 200
    assert "irc" not in devices_of(laptop)
    assert laptop.request("drop", device="irc")["code"] == "no_such_device"
    laptop.request("certificate", fingerprint="ab" * 32, device="irc")
    assert change_password(laptop)["response"] == 200
    assert "irc" not in devices_of(laptop)


def test_a_fingerprint_that_is_none_and_a_guests_are_refused(chat_server: ChatServer) -> None:
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    for fingerprint in ("", "ab", "ab" * 20, "xy" * 32, "ab" * 64):
        assert laptop.request("certificate", fingerprint=fingerprint)["code"] == "bad_request"
    gus = chat_server.log_in_guest("gus")
    assert gus.request("certificate", fingerprint="ab" * 32)["code"] == "accounts_only"
    assert gus.request("certificate")["code"] == "accounts_only"


def test_a_token_expires_after_its_last_connection_ended_and_not_before(
    start_chat_server: Callable[..., ChatServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_server = start_chat_server(token_days=30.0)
    started = time.time()
    days = 0.0
    for app in [node.app for node in getattr(chat_server.server, "nodes", [chat_server.server])]:
        for service in (app.messenger.authenticator, app.messenger.device_use):
            monkeypatch.setattr(service, "_clock", lambda: started + days * 86_400)

    def record_use() -> None:
        settle(chat_server, always=True)
        for node in getattr(chat_server.server, "nodes", [chat_server.server]):
            node.app.messenger.device_use.write()

    phone = chat_server.connect().start_session("hank", password=PASSWORD, device="phone")
    days = 40.0  # it was connected all the time
    phone.send({"action": "quit"})
    phone.receive_until_closed()
    record_use()
    days = 69.0
    again = chat_server.connect().start_session("hank", device="phone", session=phone.session)
    again.send({"action": "quit"})
    again.receive_until_closed()
    record_use()
    days = 100.0
    answer = chat_server.connect().try_log_in("hank", device="phone", session=phone.session)
    assert (answer["response"], answer["code"]) == (401, "password_needed")
    laptop = chat_server.connect().start_session("hank", password=PASSWORD, device="laptop")
    assert "phone" not in devices_of(laptop)


def test_the_use_of_a_device_is_stored_when_the_server_stops(chat_server: ChatServer) -> None:
    phone = chat_server.connect().start_session("hank", password=PASSWORD, device="phone")
    before = devices_of(phone)["phone"]["used"]
    chat_server.restart()
    assert devices_of(chat_server.log_in("hank"))["phone"]["used"] > before
