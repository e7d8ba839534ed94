"""Invitations and sanctions of rooms, in every kind of store."""

from __future__ import annotations

from typing import get_args

import gevent
import pytest

from gmessenger.chat.records import ReadRange
from gmessenger.chat.room_access import (
    MAX_INVITATIONS,
    MAX_MASKS,
    MAX_ROOM_SANCTIONS,
    Invitation,
    MaskKind,
    RoomAccess,
    RoomMask,
    RoomSanction,
    RoomSanctionKind,
)
from gmessenger.errors import AccountDeleted, AlreadyMember, Forbidden, InvitedOnly, NoSuchRoom, ShutOut
from tests.store.test_contract import StoreDriver, driver, opened  # noqa: F401  # fixtures
from tests.support.timeouts import TEST_TIMEOUT

DALE = Invitation("dale", "Dale", "Hank", 3.0)


def shut_out(target: str = "dale", kind: RoomSanctionKind = "shut_out", until: float | None = None) -> RoomSanction:
    return RoomSanction(kind, target, target.title(), "Hank", "", 2.0, until)


def access(*items: RoomSanction | Invitation) -> RoomAccess:
    return RoomAccess(
        {(one.kind, one.target): one for one in items if isinstance(one, RoomSanction)},
        {one.key: one for one in items if isinstance(one, Invitation)},
    )


@pytest.fixture
def room(driver: StoreDriver) -> StoreDriver:  # noqa: F811
    driver.create_room("#dev")
    return driver


def test_who_is_shut_out_cannot_join_until_it_is_let_in(room: StoreDriver) -> None:
    store = room.store
    assert store.add_room_sanction("#dev", shut_out()) == access(shut_out())
    with pytest.raises(ShutOut):
        store.join("#dev", room.dale, 5.0)
    assert store.lift_room_sanction("#dev", "shut_out", "dale", "Hank") == access()
    assert store.join("#dev", room.dale, 5.0) == ReadRange(1, 1)
    store.add_room_sanction("#dev", shut_out())
    assert store.join("#dev", room.dale, 5.0) == ReadRange(1, 1)  # it is a member


def test_a_sanction_ends_and_another_takes_the_place_of_one_of_its_kind(room: StoreDriver) -> None:
    store = room.store
    store.add_room_sanction("#dev", shut_out(until=5.0))
    store.add_room_sanction("#dev", shut_out(kind="silence"))
    longer = shut_out(until=9.0)
    assert store.add_room_sanction("#dev", longer) == access(longer, shut_out(kind="silence"))
    with pytest.raises(ShutOut):
        store.join("#dev", room.dale, 8.9)
    store.join("#dev", room.dale, 9.0)


def test_an_invitation_lifts_what_keeps_a_name_out_and_is_used_up(room: StoreDriver) -> None:
    store = room.store
    store.add_room_sanction("#dev", shut_out())
    store.add_room_sanction("#dev", RoomSanction("network", "203.0.113.7", "dale", "Hank", "", 2.0))
    store.add_room_sanction("#dev", shut_out(kind="silence"))
    assert store.invite("#dev", DALE) == access(DALE, shut_out(kind="silence"))
    again = Invitation("dale", "Dale", "Bill", 4.0)
    assert store.invite("#dev", again) == access(DALE, shut_out(kind="silence"))
    store.join("#dev", room.dale, 5.0)
    assert store.room_accesses() == {"#dev": access(shut_out(kind="silence"))}
    with pytest.raises(AlreadyMember):
        store.invite("#dev", DALE)


def test_who_is_shut_out_or_taken_back_is_not_invited_any_more(room: StoreDriver) -> None:
    store = room.store
    store.invite("#dev", DALE)
    assert store.add_room_sanction("#dev", shut_out()) == access(shut_out())
    store.invite("#dev", DALE)
    assert store.uninvite("#dev", "dale") == store.uninvite("#dev", "nobody") == access()


def test_invitations_and_sanctions_of_a_room_are_bounded(room: StoreDriver) -> None:
    store = room.store
    names = [f"u{number}" for number in range(MAX_INVITATIONS + 1)]
    for name in names:
        store.create_account(name, name, "hash", 1.0)
    for name in names[1:]:
        store.invite("#dev", Invitation(name, name, "Hank", 1.0))
    with pytest.raises(Forbidden) as invited:
        store.invite("#dev", Invitation(names[0], names[0], "Hank", 1.0))
    assert invited.value.limit == MAX_INVITATIONS
    store.invite("#dev", Invitation(names[1], names[1], "Hank", 1.0))
    jobs = [
        gevent.spawn(store.add_room_sanction, "#dev", shut_out(f"name{number}", until=9.0))
        for number in range(MAX_ROOM_SANCTIONS)
    ]
    gevent.joinall(jobs, timeout=TEST_TIMEOUT, raise_error=True)
    with pytest.raises(Forbidden):
        store.add_room_sanction("#dev", shut_out())
    late = RoomSanction("silence", "dale", "Dale", "Hank", "", 10.0)
    assert store.add_room_sanction("#dev", late).sanctions == {("silence", "dale"): late}


def test_they_are_kept_and_go_with_the_account_and_the_room(room: StoreDriver) -> None:
    store = room.store
    store.create_room("#ops", "#ops", None, 1.0)
    store.invite("#ops", DALE)
    store.add_room_sanction("#dev", shut_out(kind="silence"))
    assert store.room_accesses() == {"#dev": access(shut_out(kind="silence")), "#ops": access(DALE)}
    store.delete_account(room.dale)
    assert store.room_accesses() == {}
    with pytest.raises(AccountDeleted):
        store.invite("#dev", DALE)
    store.add_room_sanction("#dev", shut_out())
    store.delete_room("#dev")
    assert store.room_accesses() == {}
    for change in (
        lambda: store.invite("#dev", DALE),
        lambda: store.uninvite("#dev", "dale"),
        lambda: store.add_room_sanction("#dev", shut_out()),
        lambda: store.lift_room_sanction("#dev", "shut_out", "dale"),
    ):
        with pytest.raises(NoSuchRoom):
            change()


def test_masks_are_kept_in_lists_and_removed(room: StoreDriver) -> None:
    store, masks = room.store, [RoomMask(kind, "*!*@here", "Hank", 2.0) for kind in get_args(MaskKind)]
    for mask in masks:
        store.add_room_mask("#dev", mask)
    again = RoomMask("ban", "*!*@here", "Bill", 3.0)
    expected = RoomAccess(masks={(mask.kind, mask.mask): mask for mask in masks})
    assert store.add_room_mask("#dev", again) == expected
    assert store.room_accesses() == {"#dev": expected}
    assert store.remove_room_mask("#dev", "ban", "*!*@there", "Hank") == expected
    del expected.masks["ban", "*!*@here"]
    assert store.remove_room_mask("#dev", "ban", "*!*@here", "Hank") == expected
    store.delete_room("#dev")
    assert store.room_accesses() == {}
    for change in (
        lambda: store.add_room_mask("#dev", again),
        lambda: store.remove_room_mask("#dev", "ban", "*!*@here"),
    ):
        with pytest.raises(NoSuchRoom):
            change()


def test_each_list_of_masks_is_bounded(room: StoreDriver) -> None:
    masks = [RoomMask("ban", f"*!*@{number}", "Hank", 2.0) for number in range(MAX_MASKS)]
    jobs = [gevent.spawn(room.store.add_room_mask, "#dev", mask) for mask in masks]
    gevent.joinall(jobs, timeout=TEST_TIMEOUT, raise_error=True)
    with pytest.raises(Forbidden) as refused:
        room.store.add_room_mask("#dev", RoomMask("ban", "one more", "Hank", 2.0))
    assert refused.value.limit == MAX_MASKS
    room.store.add_room_mask("#dev", masks[0])
    room.store.add_room_mask("#dev", RoomMask("spared", "one more", "Hank", 2.0))


def test_who_is_spared_may_join_unless_it_was_shut_out_after_that(room: StoreDriver) -> None:
    room.store.add_room_sanction("#dev", shut_out())
    for since in (0.0, 1.0, 2.0):
        with pytest.raises(ShutOut):
            room.store.join("#dev", room.dale, 5.0, spared_since=since)
    room.store.join("#dev", room.dale, 5.0, spared_since=3.0)


def test_who_is_welcome_needs_no_invitation(room: StoreDriver) -> None:
    room.store.change_rules("#dev", {"invited": True})
    with pytest.raises(InvitedOnly):
        room.store.join("#dev", room.dale, 5.0)
    room.store.join("#dev", room.dale, 5.0, is_welcome=True)
    room.store.leave("#dev", room.dale)
    room.store.add_room_sanction("#dev", shut_out())
    with pytest.raises(ShutOut):
        room.store.join("#dev", room.dale, 5.0, is_welcome=True)
