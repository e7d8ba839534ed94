"""Push subscriptions in every kind of store, and what a push message says of a conversation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.chat.records import About, Credential, DeviceLogin, PushSubscription, Unread
from gmessenger.chat.storage import Store
from gmessenger.errors import NoSuchDevice
from gmessenger.store import open_store, verify_store
from gmessenger.store.sqlite import schema
from tests.store.test_contract import DIRECT, StoreDriver, driver, opened

__all__ = ["driver", "opened"]
FIRST = PushSubscription("https://push.example.org/1", "key", "secret")
SECOND = PushSubscription("https://push.example.org/2", "another key", "another secret")


@pytest.fixture
def phone(driver: StoreDriver) -> int:
    """Return a device of dale's, with a subscription."""
    device = driver.log_in(driver.dale, "phone").id
    driver.store.set_push_subscription(driver.dale, device, FIRST)
    return device


def test_a_device_has_one_subscription(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    assert store.find_push_subscription(phone) == FIRST
    assert [*store.push_devices()] == [*store.push_devices(driver.dale)] == [(driver.dale, phone)]
    assert [*store.push_devices(driver.hank)] == []
    store.set_push_subscription(driver.dale, phone, SECOND)
    assert store.find_push_subscription(phone) == SECOND
    store.drop_push_subscription(driver.dale, phone, FIRST.endpoint)  # which it has no more
    assert store.find_push_subscription(phone) == SECOND
    store.drop_push_subscription(driver.dale, phone)
    assert store.find_push_subscription(phone) is None and [*store.push_devices()] == []


def test_an_endpoint_belongs_to_who_was_given_it_last(driver: StoreDriver, phone: int) -> None:
    """Else who logs in where another has logged out would be told what that one is sent."""
    other = driver.log_in(driver.hank, "web").id
    driver.store.set_push_subscription(driver.hank, other, FIRST)
    assert [*driver.store.push_devices()] == [(driver.hank, other)]
    assert driver.store.find_push_subscription(phone) is None


def test_it_survives_a_login_and_goes_with_the_token(driver: StoreDriver, phone: int) -> None:
    laptop = driver.log_in(driver.dale, "laptop").id
    driver.store.set_push_subscription(driver.dale, laptop, SECOND)
    assert driver.log_in(driver.dale, "phone", 2.0).id == phone
    assert driver.store.find_push_subscription(phone) == FIRST
    driver.store.drop_tokens(driver.dale, "phone")
    assert [*driver.store.push_devices()] == [(driver.dale, laptop)]
    assert driver.store.find_push_subscription(laptop, used_after=1.0) == SECOND
    assert driver.store.find_push_subscription(laptop, used_after=1.5) is None  # its token has expired


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_new_password_ends_the_subscriptions_of_those_it_logs_out(
    driver: StoreDriver, phone: int, is_kept: bool
) -> None:
    kept = "token of phone" if is_kept else "another"
    driver.store.change_password(driver.dale, "hash", "new hash", kept)
    assert (driver.store.find_push_subscription(phone) is not None) is is_kept
    driver.store.set_password(driver.dale, "third hash")
    assert [*driver.store.push_devices()] == []


def test_it_goes_with_the_device_and_with_the_account(driver: StoreDriver, phone: int) -> None:
    for number in range(20):  # evicts the phone
        driver.store.begin_session(
            driver.dale, DeviceLogin(f"web{number}", f"token {number}"), 2.0 + number, Credential(password_hash="hash")
        )
    assert [*driver.store.push_devices()] == []
    device = driver.log_in(driver.dale, "tablet", 90.0).id
    driver.store.set_push_subscription(driver.dale, device, SECOND)
    driver.store.delete_account(driver.dale)
    assert [*driver.store.push_devices()] == [] and driver.store.find_push_subscription(device) is None


def test_no_other_account_is_given_one_for_a_device(driver: StoreDriver, phone: int) -> None:
    for account, device in ((driver.hank, phone), (driver.dale, phone + 1000)):
        with pytest.raises(NoSuchDevice):
            driver.store.set_push_subscription(account, device, SECOND)
    assert driver.store.find_push_subscription(phone) == FIRST


def test_the_key_is_made_once(opened: Callable[[], Store], request: pytest.FixtureRequest) -> None:
    store = opened()
    assert store.vapid_key("first") == "first"
    assert store.vapid_key("second") == "first"
    if "memory" not in request.node.name:
        store.close()
        assert opened().vapid_key("third") == "first"


def test_what_is_unread(driver: StoreDriver, phone: int) -> None:
    store = driver.store
    assert store.unread(driver.dale, DIRECT, phone) is None
    for text in ("one", "two", "three"):
        driver.append(driver.message(text))
    assert store.unread(driver.dale, DIRECT, phone) == Unread(0, 3, 0)
    assert store.unread(driver.hank, DIRECT, phone) == Unread(0, 0, 0)  # they are its own
    store.mark_read(driver.dale, DIRECT, 1)
    store.acknowledge(phone, DIRECT, 2)
    assert store.unread(driver.dale, DIRECT, phone) == Unread(1, 2, 2)  # before it is on disk, too
    store.flush()
    driver.append(driver.message("", about=About(2, "erase")))
    driver.append(driver.message("👍", about=About(3, "react")))
    assert store.unread(driver.dale, DIRECT, phone) == Unread(1, 1, 2)


def test_what_was_said_before_one_has_joined_or_while_one_was_away_is_not_unread(
    driver: StoreDriver, phone: int
) -> None:
    store = driver.store
    store.create_room("#dev", "#dev", driver.hank, 1.0)
    store.change_rules("#dev", {"history": "joined"})

    def say(text: str) -> None:
        driver.append(driver.message(text, "#dev"))

    say("before")
    assert store.unread(driver.dale, "#dev", phone) is None
    store.join("#dev", driver.dale, 2.0)
    say("heard")
    store.leave("#dev", driver.dale)
    assert store.unread(driver.dale, "#dev", phone) is None
    say("away")
    store.join("#dev", driver.dale, 3.0)
    say("again")
    assert store.unread(driver.dale, "#dev", phone) == Unread(0, 2, 0)


def test_a_store_of_the_release_before_is_migrated(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as db, db:
        for statement in [each for step in schema.MIGRATIONS[:-1] for each in step]:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {schema.VERSION - 1}")
    store = open_store(f"sqlite:///{file}")
    assert [*store.push_devices()] == []
    store.close()
    assert verify_store(f"sqlite:///{file}").faults == []
