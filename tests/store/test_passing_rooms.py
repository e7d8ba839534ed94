"""Rooms that guests make, in every kind of store."""

from __future__ import annotations

import gevent
import pytest

from gmessenger.errors import LastOwner, NoSuchRoom
from tests.store.test_contract import StoreDriver, driver, opened  # noqa: F401  # fixtures
from tests.support.timeouts import TEST_TIMEOUT


def make(driver: StoreDriver) -> int:  # noqa: F811
    """Make a passing room; return its id."""
    return driver.store.create_room("#tea", "#Tea", None, 1.0, passing=True).id


def test_a_passing_room_is_kept_as_such(driver: StoreDriver) -> None:  # noqa: F811
    driver.create_room("#dev")
    made = driver.store.create_room("#tea", "#Tea", None, 1.0, passing=True)
    assert (made.creator, made.passing, made.members, made.roles) == (None, True, {}, {})
    assert {room.key: room.passing for room in driver.store.rooms()} == {"#dev": False, "#tea": True}
    assert driver.store.create_room("#tea", "#TEA", driver.hank, 2.0) == made
    assert not driver.store.create_room("#dev", "#dev", None, 2.0, passing=True).passing


def test_it_is_dropped_with_its_messages_only_if_no_account_is_in_it(driver: StoreDriver) -> None:  # noqa: F811
    id = make(driver)
    driver.store.join("#tea", driver.hank, 2.0)
    driver.append(driver.message("in the cup", "#tea"))
    assert not driver.store.drop_passing_room("#tea", id)
    driver.store.leave("#tea", driver.hank)
    assert driver.store.drop_passing_room("#tea", id)
    assert list(driver.store.rooms()) == [] and driver.find_texts("cup") == []
    assert not driver.store.drop_passing_room("#tea", id)
    with pytest.raises(NoSuchRoom):
        driver.store.join("#tea", driver.hank, 3.0)


def test_only_a_passing_room_of_that_id_is_dropped(driver: StoreDriver) -> None:  # noqa: F811
    before = make(driver)
    driver.store.delete_room("#tea")
    after = make(driver)
    lasting = driver.store.create_room("#dev", "#dev", None, 1.0).id
    assert not driver.store.drop_passing_room("#tea", before)
    assert not driver.store.drop_passing_room("#dev", lasting)
    assert [room.id for room in driver.store.rooms()] == sorted([after, lasting])


def test_who_joins_while_it_is_dropped_is_in_it_or_is_refused(driver: StoreDriver) -> None:  # noqa: F811
    for _ in range(10):
        id = make(driver)
        joining = gevent.spawn(driver.store.join, "#tea", driver.hank, 2.0)
        dropping = gevent.spawn(driver.store.drop_passing_room, "#tea", id)
        gevent.joinall([joining, dropping], timeout=TEST_TIMEOUT)
        assert dropping.get() == isinstance(joining.exception, NoSuchRoom)
        driver.store.delete_room("#tea")


def test_a_passing_room_may_lose_its_last_owner(driver: StoreDriver) -> None:  # noqa: F811
    make(driver)
    for account in (driver.hank, driver.dale):
        driver.store.join("#tea", account, 2.0)
    driver.store.change_role("#tea", driver.hank, "owner")
    driver.store.change_role("#tea", driver.hank, "member", actor=driver.hank)
    driver.store.change_role("#tea", driver.hank, "owner")
    assert driver.store.leave("#tea", driver.hank) is None
    driver.store.change_role("#tea", driver.dale, "owner")
    assert driver.store.delete_account(driver.dale) == {}


def test_a_lasting_room_may_not(driver: StoreDriver) -> None:  # noqa: F811
    driver.store.create_room("#dev", "#dev", driver.hank, 1.0)
    with pytest.raises(LastOwner):
        driver.store.change_role("#dev", driver.hank, "member")
