"""Hooks in every kind of store: accounts that cannot log in, and the alerts that they have posted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.chat.records import ALERT_TTL, MAX_ALERTS, MAX_HOOKS, Credential, DeviceLogin, Hook
from gmessenger.chat.storage import Store
from gmessenger.errors import NameTaken, NoSuchRoom, NotOwner, PasswordRequired, TooManyHooks
from gmessenger.store import open_store, verify_store
from gmessenger.store.sqlite import schema
from tests.store.test_contract import StoreDriver, driver, opened

__all__ = ["driver", "opened"]
DAY = 86_400.0


def add_hook(driver: StoreDriver, name: str = "Grafana", room: str = "#ops", token: str = "secret") -> int:
    return driver.store.add_hook(name.lower(), name, room, token, 7.0, "Hank", driver.hank).id


@pytest.fixture
def ops(driver: StoreDriver) -> StoreDriver:
    """Return a driver whose store has a room of hank's."""
    driver.store.create_room("#ops", "#Ops", driver.hank, 2.0)
    return driver


def test_a_hook_is_an_account_and_a_speaker_in_its_room(ops: StoreDriver) -> None:
    hook = add_hook(ops)
    (found,) = ops.store.hooks()
    assert found == Hook(hook, "Grafana", "#ops", found.device, ops.hank, "Hank", 7.0, 7.0)
    assert ops.store.find_hook("secret") == found
    assert ops.store.find_hook("Secret") is None
    assert {account.key: account.is_bot for account in ops.store.accounts()} == {
        "hank": False,
        "dale": False,
        "grafana": True,
    }
    (room,) = ops.store.rooms()
    assert set(room.members) == {ops.hank, hook} and room.roles == {ops.hank: "owner", hook: "speaker"}


def test_no_password_or_token_is_that_of_a_hook(ops: StoreDriver) -> None:
    hook = add_hook(ops)
    assert ops.store.password_hash(hook) == ""
    assert ops.store.find_token("secret") is None and not ops.store.devices(hook)
    for credential in (Credential(token="secret"), Credential(password_hash="hash")):
        with pytest.raises(PasswordRequired):
            ops.store.begin_session(hook, DeviceLogin("phone", "new"), 8.0, credential)


def test_a_hook_is_added_as_a_whole_or_not_at_all(ops: StoreDriver) -> None:
    add_hook(ops)
    with pytest.raises(NameTaken):
        add_hook(ops, "GRAFANA", token="another")
    with pytest.raises(NoSuchRoom):
        add_hook(ops, "ci", "#nowhere", "another")
    ops.store.join("#ops", ops.dale, 3.0)
    with pytest.raises(NotOwner):
        ops.store.add_hook("ci", "ci", "#ops", "another", 7.0, "Dale", ops.dale)
    assert [account.key for account in ops.store.accounts() if account.is_bot] == ["grafana"]
    assert [len(room.members) for room in ops.store.rooms()] == [3]
    assert ops.store.add_hook("ci", "ci", "#ops", "another", 7.0, "server").key == "ci"


def test_a_room_has_few_hooks(ops: StoreDriver) -> None:
    hooks = [add_hook(ops, f"hook{number}", token=str(number)) for number in range(MAX_HOOKS)]
    with pytest.raises(TooManyHooks):
        add_hook(ops, "more", token="more")
    ops.store.create_room("#other", "#other", ops.hank, 2.0)
    add_hook(ops, "elsewhere", "#other", "elsewhere")
    ops.store.delete_account(hooks[0])
    add_hook(ops, "more", token="more")
    assert len(ops.store.hooks("#ops")) == MAX_HOOKS and len(ops.store.hooks()) == MAX_HOOKS + 1


def test_a_hook_goes_with_its_account(ops: StoreDriver) -> None:
    hook = add_hook(ops)
    ops.append(ops.message("the disk is full", "#ops", account=hook))
    ops.store.note_alerts(hook, ["disk"], 1, 8.0)
    ops.store.delete_account(hook)
    assert not ops.store.hooks() and ops.store.find_hook("secret") is None
    assert ops.store.find_alert(hook, ["disk"], 8.0) is None
    (room,) = ops.store.rooms()
    assert set(room.members) == {ops.hank} and room.head == 1
    assert add_hook(ops) != hook


def test_hooks_go_with_their_room(ops: StoreDriver) -> None:
    add_hook(ops)
    ops.store.create_room("#other", "#other", ops.hank, 2.0)
    other = add_hook(ops, "ci", "#other", "another")
    ops.store.delete_room("#ops")
    assert [hook.account for hook in ops.store.hooks()] == [other]
    assert [account.key for account in ops.store.accounts()] == ["hank", "dale", "ci"]


def test_no_hook_inherits_a_room(ops: StoreDriver) -> None:
    add_hook(ops)
    ops.store.join("#ops", ops.dale, 9.0)
    assert ops.store.leave("#ops", ops.hank) == ops.dale
    assert ops.store.leave("#ops", ops.dale) is None
    assert [room.roles for room in ops.store.rooms()] == [{ops.store.hooks()[0].account: "speaker"}]


def test_an_alert_is_found_by_its_fingerprint_for_a_month(ops: StoreDriver) -> None:
    hook, other = add_hook(ops), add_hook(ops, "ci", token="another")
    ops.store.note_alerts(hook, ["a", "b", "a"], 3, 10.0)
    ops.store.note_alerts(hook, ["b"], 5, 11.0)
    assert ops.store.find_alert(hook, ["a"], 12.0) == 3
    assert ops.store.find_alert(hook, ["a", "b", "c"], 12.0) == 5
    assert ops.store.find_alert(hook, ["c"], 12.0) is None and ops.store.find_alert(hook, [], 12.0) is None
    assert ops.store.find_alert(other, ["a"], 12.0) is None
    assert ops.store.find_alert(hook, ["a", "b"], 10.5 + ALERT_TTL) == 5
    assert ops.store.find_alert(hook, ["a"], 10.5 + ALERT_TTL) is None


def test_of_a_hook_the_newest_alerts_are_kept(ops: StoreDriver) -> None:
    hook = add_hook(ops)
    ops.store.note_alerts(hook, ["first"], 1, 9.0)
    ops.store.note_alerts(hook, [str(number) for number in range(MAX_ALERTS)], 2, 10.0)
    assert ops.store.find_alert(hook, ["first"], 10.0) is None
    assert ops.store.find_alert(hook, ["0"], 10.0) == ops.store.find_alert(hook, [str(MAX_ALERTS - 1)], 10.0) == 2
    ops.store.prune(10.5)
    assert ops.store.find_alert(hook, ["0"], 10.0) is None


def test_hooks_are_kept(ops: StoreDriver, opened: Callable[[], Store]) -> None:
    add_hook(ops)
    if ops.store.is_persistent:
        hooks = ops.store.hooks()
        ops.store.close()
        assert opened().hooks() == hooks


def make_store_of_the_release_before(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        for step in schema.MIGRATIONS[: schema.VERSION - 1]:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {schema.VERSION - 1}")
        db.execute("INSERT INTO accounts (key, name, password, created) VALUES ('hank', 'Hank', 'hash', 1.0)")


def test_a_store_of_the_release_before_gets_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    make_store_of_the_release_before(file)
    assert verify_store(f"sqlite:///{file}").faults == []
    store = open_store(f"sqlite:///{file}")
    assert [(account.key, account.is_bot) for account in store.accounts()] == [("hank", False)]
    store.create_room("#ops", "#ops", 1, 2.0)
    store.add_hook("ci", "ci", "#ops", "secret", 3.0, "Hank", 1)
    store.close()
    assert verify_store(f"sqlite:///{file}").faults == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM accounts WHERE key = 'ci'", "1 hooks belong to no account or no room."),
        ("DELETE FROM hooks", "1 alerts belong to no hook."),
    ],
)
def test_verification_finds_what_belongs_to_nothing(tmp_path: Path, damage: str, fault: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    hank = store.create_account("hank", "Hank", "hash", 1.0).id
    store.create_room("#ops", "#ops", hank, 2.0)
    store.note_alerts(store.add_hook("ci", "ci", "#ops", "secret", 3.0, "Hank", hank).id, ["a"], 1, 4.0)
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as db, db:
        db.execute(damage)
    assert fault in verify_store(url).faults
