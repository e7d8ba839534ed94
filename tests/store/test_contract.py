"""The `Store` contract, tested against every backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import AsyncResult

from gmessenger.chat.records import (
    MAX_PAGE_CHARACTERS,
    ConversationRow,
    Credential,
    Device,
    DeviceCursor,
    DeviceLogin,
    NewMessage,
    ReaderInfo,
    ReadRange,
    Sanction,
    SearchResult,
    SentInfo,
    StoredMessage,
)
from gmessenger.chat.storage import Store
from gmessenger.errors import (
    BadRequest,
    IdReused,
    InvalidInvite,
    LastOwner,
    NameTaken,
    NoSuchRoom,
    NotFound,
    NotOwner,
    NotStorable,
    PasswordRequired,
    WireError,
    WrongPassword,
)
from gmessenger.room_rules import OPEN_ROOM, RoomRules
from gmessenger.store import common, group_commit, open_store
from tests.support.timeouts import TEST_TIMEOUT

DIRECT = "dale hank"


class StoreDriver:
    """A store with the accounts hank and dale, and short ways to fill and read it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hank = store.create_account("hank", "Hank", "hash", 1.0).id
        self.dale = store.create_account("dale", "Dale", "hash", 1.0).id

    def append(self, *messages: NewMessage) -> list[tuple[int, bool, WireError | None]]:
        """Append messages at once; wait for the seq, duplicate flag and error of each."""
        results: list[AsyncResult[Any]] = [AsyncResult() for _ in messages]
        for message, result in zip(messages, results, strict=True):
            self.store.append(message, lambda *outcome, result=result: result.set(outcome))
        return [result.get(timeout=TEST_TIMEOUT) for result in results]

    def message(self, text: str = "hi", conversation: str = DIRECT, **more: Any) -> NewMessage:
        return NewMessage(
            conversation, "Hank", "Dale", text, more.pop("time", 5.0), more.pop("account", self.hank), **more
        )

    def create_room(self, key: str) -> None:
        """Create a room without members."""
        self.store.create_room(key, key, None, 1.0)

    def log_in(self, account: int, name: str, time: float = 1.0, live: Sequence[int] = ()) -> Device:
        """Begin a session of an account on a device."""
        return self.store.begin_session(
            account, DeviceLogin(name, f"token of {name}", live), time, Credential(password_hash="hash")
        )

    def page(self, after: int = 0, conversation: str = DIRECT) -> list[StoredMessage]:
        return self.store.page(self.dale, conversation, after).messages

    def conversations(self, account: int, after: str = "", limit: int = 10) -> list[ConversationRow]:
        return self.store.conversations(account, after, limit)[0]

    def find_texts(self, words: str, account: int | None = None, conversation: str | None = None) -> list[str]:
        """Return the texts that are found once all are indexed: on a busy machine a first attempt may come too late."""
        deadline = time.monotonic() + TEST_TIMEOUT
        while (found := self.search(words, account, conversation)).incomplete and time.monotonic() < deadline:
            pass
        return self.texts(found.messages)

    def search(
        self, words: str, account: int | None = None, conversation: str | None = None, limit: int = 10
    ) -> SearchResult:
        return self.store.search(account or self.hank, words, conversation, limit, 30.0)

    def texts(self, found: list[StoredMessage]) -> list[str]:
        return [item.text for item in found]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    stores: list[Store] = []
    urls: dict[str, Callable[[], str]] = {
        "memory": lambda: "memory:",
        "sqlite": lambda: f"sqlite:///{tmp_path}/sub/store.db",
        "postgresql": lambda: request.getfixturevalue("postgres").database(),
    }
    url = urls[request.param]()

    def open_() -> Store:
        stores.append(open_store(url))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def driver(opened: Callable[[], Store]) -> StoreDriver:
    return StoreDriver(opened())


def test_seqs_are_gapless_by_conversation_and_in_order(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    messages = [driver.message(str(number), "#dev" if number % 3 else DIRECT) for number in range(1200)]
    outcomes = driver.append(*messages)
    for conversation in ("#dev", DIRECT):
        mine = [
            outcome[0]
            for message, outcome in zip(messages, outcomes, strict=True)
            if message.conversation == conversation
        ]
        assert mine == list(range(1, len(mine) + 1))
    assert driver.append(driver.message()) == [(401, False, None)]


def test_the_same_id_is_kept_once_in_a_batch_and_later(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    device = driver.log_in(driver.hank, "laptop", 1.0).id
    same = [driver.message("x", device=device, id="m1"), driver.message("y", device=device, id="m2")] * 2
    first = driver.append(*same)
    assert first == [(1, False, None), (2, False, None), (1, True, None), (2, True, None)]
    assert driver.append(same[1]) == [(2, True, None)]
    ((seq, duplicate, error),) = driver.append(driver.message("other", device=device, id="m1"))
    assert (seq, duplicate, type(error)) == (1, True, IdReused)
    assert driver.append(driver.message("x", "#dev", device=device, id="m1")) == [(1, False, None)]


LARGE_BATCH = 1700
"""Messages: several of SQLite's chunks, which the commit thread inserts, and a rest."""


def test_a_message_sent_again_in_the_middle_of_a_large_batch_is_kept_once(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "laptop", 1.0).id
    messages = [driver.message(f"text {number}", device=device, id=f"m{number}") for number in range(LARGE_BATCH)]
    assert driver.append(*messages[:3]) == [(seq, False, None) for seq in (1, 2, 3)]
    resent = driver.append(*messages[3:900], messages[1], *messages[900:], messages[1200])
    new = iter(range(4, LARGE_BATCH + 1))
    expected = [(next(new), False, None) for _ in range(897)] + [(2, True, None)]
    expected += [(next(new), False, None) for _ in range(LARGE_BATCH - 900)] + [(1201, True, None)]
    assert resent == expected
    assert [message.seq for message in driver.page(LARGE_BATCH - 3)] == [1698, 1699, 1700]
    assert driver.append(driver.message("next")) == [(LARGE_BATCH + 1, False, None)]


def test_a_message_that_cannot_be_stored_in_the_middle_of_a_large_batch_is_refused_alone(driver: StoreDriver) -> None:
    messages = [driver.message("\ud800" if number == 700 else str(number)) for number in range(LARGE_BATCH)]
    outcomes = driver.append(*messages)
    assert type(outcomes[700][2]) is NotStorable
    assert [error for _, _, error in outcomes if error is not None] == [outcomes[700][2]]
    assert sorted(seq for seq, _, error in outcomes if error is None) == list(range(1, LARGE_BATCH))


def test_a_commit_takes_so_many_characters_and_the_next_the_rest(
    opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_BATCH_TEXT", 10)
    driver = StoreDriver(opened())
    outcomes = driver.append(*[driver.message("x" * length) for length in (4, 4, 4, 30, 1, 1)])
    assert outcomes == [(seq, False, None) for seq in range(1, 7)]


def test_names_are_given_once(driver: StoreDriver) -> None:
    with pytest.raises(NameTaken):
        driver.store.create_account("hank", "HANK", "hash", 2.0)
    assert [account.name for account in driver.store.accounts()] == ["Hank", "Dale"]


def test_an_invite_is_good_once(driver: StoreDriver) -> None:
    driver.store.add_invite("secret", 1.0)
    with pytest.raises(InvalidInvite):
        driver.store.create_account("bill", "Bill", "hash", 2.0, "guessed")
    driver.store.create_account("bill", "Bill", "hash", 2.0, "secret")
    with pytest.raises(InvalidInvite):
        driver.store.create_account("joe", "Joe", "hash", 2.0, "secret")


def test_an_invite_is_good_for_so_many_until_it_expires_or_is_removed(driver: StoreDriver) -> None:
    store = driver.store

    def register(name: str, time: float, invite: str) -> bool:
        try:
            store.create_account(name, name, "hash", time, invite)
        except InvalidInvite:
            return False
        return True

    store.add_invite("two", 1.0, "server", 10.0, 2)
    store.add_invite("one", 2.0, "hank")
    store.add_invite("other", 3.0, "hank", 20.0)
    two, one, other = store.invites()
    assert (two.by, two.created, two.expires, two.uses) == ("server", 1.0, 10.0, 2)
    assert (one.by, one.expires, one.uses) == ("hank", None, 1)
    assert len({two.id, one.id, other.id}) == 3 and "two" not in two.id
    assert register("a", 9.9, "two")
    assert [invite.uses for invite in store.invites()] == [1, 1, 1]
    with pytest.raises(NameTaken):
        store.create_account("hank", "Hank", "hash", 9.9, "two")
    assert not register("b", 10.0, "two") and register("b", 9.9, "two") and not register("c", 9.9, "two")
    assert store.remove_invite(one.id) and not store.remove_invite(one.id)
    assert not register("c", 5.0, "one")
    assert [invite.id for invite in store.invites()] == [other.id]
    store.add_invite("later", 21.0)
    assert [invite.created for invite in store.invites()] == [21.0]


def test_tokens_stand_for_account_and_device_until_the_password_changes(driver: StoreDriver) -> None:
    for token in ("old", "token"):
        driver.store.begin_session(driver.hank, DeviceLogin("laptop", token), 1.0, Credential(password_hash="hash"))
    assert driver.store.find_token("token") == (driver.hank, "laptop")
    assert driver.store.find_token("old") is driver.store.find_token("guessed") is None
    resumed = driver.store.begin_session(driver.hank, DeviceLogin("phone", "another"), 2.0, Credential(token="token"))
    assert (resumed.name, driver.store.find_token("token")) == ("phone", (driver.hank, "laptop"))
    driver.store.set_password(driver.hank, "other")
    for proof in (
        Credential(token="token"),
        Credential(token="another"),
        Credential(password_hash="hash"),
        Credential(),
    ):
        with pytest.raises(PasswordRequired):
            driver.store.begin_session(driver.hank, DeviceLogin("laptop", "token"), 3.0, proof)
    assert (driver.store.find_token("token"), driver.store.password_hash(driver.hank)) == (None, "other")


def test_devices_with_a_token_are_listed_and_lose_it(driver: StoreDriver) -> None:
    store = driver.store
    laptop, phone, tablet = (
        driver.log_in(driver.hank, name, time) for name, time in (("laptop", 1.0), ("phone", 3.0), ("tablet", 2.0))
    )
    driver.log_in(driver.dale, "other")
    assert [(each.name, each.used) for each in store.devices(driver.hank)] == [
        ("phone", 3.0),
        ("tablet", 2.0),
        ("laptop", 1.0),
    ]
    store.note_use({laptop.id: 5.0, phone.id: 2.5, 999: 7.0})
    assert [(each.name, each.used) for each in store.devices(driver.hank)] == [
        ("laptop", 5.0),
        ("phone", 3.0),
        ("tablet", 2.0),
    ]
    assert [each.name for each in store.devices(driver.hank, 2.5)] == ["laptop", "phone"]
    assert store.find_token("token of laptop", 5.0) == (driver.hank, "laptop")
    assert store.find_token("token of laptop", 5.1) is None
    with pytest.raises(PasswordRequired):
        store.begin_session(
            driver.hank, DeviceLogin("laptop", "x"), 6.0, Credential(token="token of laptop", used_after=5.1)
        )
    assert store.drop_tokens(driver.hank, "phone") == [phone.id]
    assert store.drop_tokens(driver.hank, "phone") == store.drop_tokens(driver.hank, "other") == []
    assert store.find_token("token of phone") is None
    assert driver.log_in(driver.hank, "phone", 8.0).id == phone.id
    assert sorted(store.drop_tokens(driver.hank, kept=laptop.id)) == [phone.id, tablet.id]
    assert [each.name for each in store.devices(driver.hank)] == ["laptop"]
    assert store.drop_tokens(driver.hank) == [laptop.id]
    assert [each.name for each in store.devices(driver.dale)] == ["other"]


def test_of_more_than_twenty_devices_one_that_is_logged_out_goes_first(driver: StoreDriver) -> None:
    ids = [driver.log_in(driver.hank, f"d{number}", float(number)).id for number in range(20)]
    driver.store.drop_tokens(driver.hank, "d19")
    assert driver.log_in(driver.hank, "one more", 30.0).evicted == [ids[19]]


def test_a_one_time_password_begins_sessions_until_it_expires_or_is_changed(driver: StoreDriver) -> None:
    store, login = driver.store, DeviceLogin("laptop", "token")
    store.set_password(driver.hank, "once", 10.0)
    assert store.begin_session(driver.hank, login, 9.0, Credential(password_hash="once")).password_until == 10.0
    for proof in (Credential(password_hash="once"), Credential(token="token")):
        with pytest.raises(WrongPassword):
            store.begin_session(driver.hank, login, 10.0, proof)
    store.change_password(driver.hank, "once", "own", "token")
    assert store.begin_session(driver.hank, login, 11.0, Credential(token="token")).password_until is None
    store.note_use({store.devices(driver.hank)[0].id: 12.0})
    assert store.last_uses() == {driver.hank: 12.0}


def test_of_two_changes_of_a_password_one_is_made_and_keeps_one_token(driver: StoreDriver) -> None:
    store = driver.store
    for device in ("laptop", "phone"):
        driver.log_in(driver.hank, device)
    assert store.change_password(driver.hank, "hash", "new", "token of phone") == 1
    with pytest.raises(WrongPassword):
        store.change_password(driver.hank, "hash", "newer", "token of laptop")
    assert store.password_hash(driver.hank) == "new"
    assert store.is_password_set_by(driver.hank, "token of phone")
    assert not store.is_password_set_by(driver.hank, "token of laptop")
    assert not store.is_password_set_by(driver.dale, "token of phone")
    assert store.find_token("token of laptop") is None
    assert store.find_token("token of phone") == (driver.hank, "phone")
    proof = Credential(token="token of phone")
    assert store.begin_session(driver.hank, DeviceLogin("phone", "token of phone"), 2.0, proof).generation == 1
    assert store.set_password(driver.hank, "newest") == 2
    assert not store.is_password_set_by(driver.hank, "token of phone")
    assert {account.key: account.generation for account in store.accounts()} == {"hank": 2, "dale": 0}


def test_a_cursor_only_moves_on_and_not_beyond_the_head(driver: StoreDriver) -> None:
    device = driver.log_in(driver.dale, "laptop", 1.0).id
    driver.append(*[driver.message()] * 5)
    for seq, expected in ((3, 3), (2, 3), (99, 5)):
        driver.store.acknowledge(device, DIRECT, seq)
        assert driver.log_in(driver.dale, "laptop", 2.0).cursors == {DIRECT: expected}


def test_a_new_device_starts_at_the_furthest_cursor(driver: StoreDriver) -> None:
    driver.append(*[driver.message()] * 5)
    laptop = driver.log_in(driver.dale, "laptop", 1.0)
    assert laptop.cursors == {DIRECT: 0}
    driver.store.acknowledge(laptop.id, DIRECT, 3)
    assert driver.log_in(driver.dale, "phone", 2.0).cursors == {DIRECT: 3}


def test_of_more_than_twenty_devices_the_longest_unused_goes(driver: StoreDriver) -> None:
    first = [driver.log_in(driver.hank, f"d{number}", number).id for number in range(20)]
    assert driver.log_in(driver.hank, "d0", 50.0).id == first[0]
    driver.log_in(driver.hank, "d20", 51.0)
    assert driver.log_in(driver.hank, "d0", 52.0).id == first[0]
    assert driver.log_in(driver.hank, "d1", 53.0).id not in first


def test_a_device_that_is_there_is_not_dropped_for_being_long_there(driver: StoreDriver) -> None:
    first = [driver.log_in(driver.hank, f"d{number}", number).id for number in range(20)]
    added = driver.log_in(driver.hank, "d20", 51.0, live=first[:2])
    assert added.evicted == [first[2]]
    assert driver.log_in(driver.hank, "d0", 52.0).id == first[0]
    everybody = [*first[:2], *first[3:], added.id]
    assert driver.log_in(driver.hank, "d21", 53.0, live=everybody).evicted == [
        first[1]
    ]  # some must go, though all are there


def test_pages_go_on_where_the_last_ended(driver: StoreDriver) -> None:
    driver.append(*[driver.message(str(number)) for number in range(1, 8)])
    assert driver.store.backlog(driver.dale) == {DIRECT: 7}
    page = driver.page(4)
    assert [(item.seq, item.text) for item in page] == [(5, "5"), (6, "6"), (7, "7")]
    assert driver.page(2)[0] == StoredMessage(DIRECT, 3, "Hank", "Dale", "3", 5.0)


@pytest.mark.parametrize(
    ("before", "after", "seqs", "more"),
    [(None, None, [5, 6, 7], True), (4, None, [1, 2, 3], False), (6, None, [3, 4, 5], True), (None, 5, [6, 7], False)],
)
def test_history_is_paged_both_ways(
    driver: StoreDriver, before: int | None, after: int | None, seqs: list[int], more: bool
) -> None:
    driver.append(*[driver.message()] * 7)
    page = driver.store.history(DIRECT, ReadRange(1, 1), before, after, 3)
    assert ([item.seq for item in page.messages], page.more, page.first_seq) == (seqs, more, 1)


def test_who_registers_later_sees_nothing_from_before(driver: StoreDriver) -> None:
    driver.append(*[driver.message(conversation="bill hank")] * 3)
    bill = driver.store.create_account("bill", "Bill", "hash", 2.0).id
    assert driver.store.read_range(bill, "bill hank") == ReadRange(4, 4)
    assert driver.log_in(bill, "default", 3.0).cursors == {"bill hank": 3}
    assert driver.store.read_range(driver.hank, "bill hank") == ReadRange(1, 1)
    assert driver.store.read_range(bill, DIRECT) is None


def test_rooms_are_kept_with_their_members(driver: StoreDriver, opened: Callable[[], Store]) -> None:
    driver.store.create_room("#dev", "#Dev", driver.hank, 1.0)
    assert driver.store.join("#dev", driver.hank, 1.0).start == 1
    driver.append(driver.message(conversation="#dev"))
    joined = [driver.store.join("#dev", member, 2.0) for member in (driver.dale, driver.hank)]
    assert joined == [ReadRange(2, 2), ReadRange(1, 1)]
    assert driver.store.create_room("#dev", "#DEV", driver.dale, 2.0).creator == driver.hank
    driver.store.set_topic("#dev", "work")
    (room,) = driver.store.rooms()
    assert (room.name, room.topic, room.creator, room.head) == ("#Dev", "work", driver.hank, 1)
    assert (room.members, room.roles) == ({driver.hank: 1, driver.dale: 2}, {driver.hank: "owner"})
    driver.store.leave("#dev", driver.dale)
    assert driver.store.read_range(driver.dale, "#dev") is None
    driver.store.delete_room("#dev")
    assert driver.store.rooms() == [] and driver.page(0, "#dev") == []


def test_what_is_said_in_a_room_that_is_not_there_is_not_kept(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    driver.store.delete_room("#dev")
    outcomes = driver.append(driver.message("gone", "#dev"), driver.message("here"), driver.message("gone", "#dev"))
    assert [(seq, type(error)) for seq, _, error in outcomes] == [(0, NoSuchRoom), (1, type(None)), (0, NoSuchRoom)]
    with pytest.raises(NoSuchRoom):
        driver.store.join("#dev", driver.hank, 1.0)
    driver.store.leave("#dev", driver.hank)
    assert driver.store.rooms() == []


def test_conversations_are_listed_by_name_with_what_is_read_and_what_is_not(driver: StoreDriver) -> None:
    bill = driver.store.create_account("bill", "Bill", "hash", 1.0).id
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.append(driver.message("early", "#dev"))
    driver.store.join("#dev", driver.hank, 1.0)
    driver.append(driver.message(time=6.0), driver.message(time=7.0), driver.message("so", "bill hank", time=8.0))
    driver.append(
        NewMessage("hank joe", "Joe", "Hank", "hi", 9.0),
        NewMessage("hank hank", "Hank", "Hank", "me", 9.5, driver.hank),
    )
    assert [driver.store.mark_read(driver.hank, DIRECT, seq) for seq in (1, 0)] == [1, 1]
    assert driver.store.mark_read(driver.hank, "bill dale", 1) == 0
    assert driver.conversations(driver.hank) == [
        ConversationRow("#dev", "#Dev", 0, 2, 0, None),
        ConversationRow("bill", "Bill", 1, 1, 0, 8.0),
        ConversationRow("dale", "Dale", 2, 1, 1, 7.0),
        ConversationRow("hank", "Hank", 1, 1, 0, 9.5),
        ConversationRow("joe", "Joe", 1, 1, 0, 9.0),
    ]
    assert driver.conversations(bill) == [ConversationRow("hank", "Hank", 1, 1, 0, 8.0)]
    driver.append(driver.message("later", "#dev", time=9.0))
    assert driver.conversations(driver.hank)[0] == ConversationRow("#dev", "#Dev", 2, 2, 0, 9.0)
    driver.store.leave("#dev", driver.hank)
    assert [item.key for item in driver.conversations(driver.hank)] == ["bill", "dale", "hank", "joe"]


def test_conversations_are_paged_by_name(driver: StoreDriver) -> None:
    names = [f"guest{number}" for number in range(7)] + ["aa", "zz", "x_y", "xzy", "ёж"]
    driver.append(*[driver.message(conversation=" ".join(sorted((name, "hank")))) for name in names])
    pages, after, more = [], "", True
    while more:
        page, more = driver.store.conversations(driver.hank, after, 4)
        pages.append([item.key for item in page])
        after = page[-1].key
    assert [len(page) for page in pages] == [4, 4, 4]
    assert [key for page in pages for key in page] == sorted(names)


def test_a_name_is_told_from_one_it_resembles(driver: StoreDriver) -> None:
    han_ = driver.store.create_account("han_", "Han_", "hash", 1.0).id
    driver.append(driver.message(conversation="han_ hank", time=6.0))
    assert [item.target for item in driver.conversations(han_)] == ["Hank"]
    assert [item.target for item in driver.conversations(driver.hank)] == ["Han_"]


def test_conversations_with_nothing_to_read_are_not_listed(driver: StoreDriver) -> None:
    driver.append(driver.message(conversation="bill hank"), driver.message())
    bill = driver.store.create_account("bill", "Bill", "hash", 6.0).id
    assert driver.conversations(bill) == []  # what was said to a guest of the name
    driver.append(driver.message(conversation="bill hank", time=7.0))
    assert driver.conversations(bill) == [ConversationRow("hank", "Hank", 2, 2, 0, 7.0)]
    driver.store.prune(6.5)
    assert driver.conversations(driver.hank) == [ConversationRow("bill", "Bill", 2, 2, 0, 7.0)]
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.store.join("#dev", bill, 1.0)
    driver.store.delete_room("#dev")
    assert [item.key for item in driver.conversations(bill)] == ["hank"]


def test_of_an_erased_message_no_time_is_listed_and_of_who_is_gone_the_name(driver: StoreDriver) -> None:
    driver.append(driver.message())
    driver.store.erase_messages(driver.hank)
    driver.store.delete_account(driver.hank)
    assert driver.conversations(driver.dale) == [ConversationRow("hank", "Hank", 1, 1, 0, None)]


FOUND = [
    ("Deploy on FRIDAY", "friday deploy", True),
    ("Ещё один ёж", "еще еж", True),
    ("Еще один еж", "ещё ёж", True),
    ("йод", "иод", False),
    ("Crème brûlée", "creme brulee", True),
    ("東京都に行きます", "京都", True),
    ("今日は小林さんと会う", "小林", True),
    ("한국어 검색", "국어", True),
    ("हिन्दी में", "हिन्दी", True),
    ("東京と京都", "東京都", False),
    ("東京都庁前", "東京都", True),
    ("a category", "C++", False),
    ("I write C++", "c++", True),
    ("the deployment", "deploy", True),
    ("redeploy", "deploy", False),
    ('say "quoted" OR NOT near(', '"quoted" or not NEAR(', True),
    ("100% a-b_c*", "a-b_c*", True),
    ("nothing", "*", False),
    ("nothing", "'; DROP TABLE messages; --", False),
]


@pytest.mark.parametrize(("text", "query", "found"), FOUND)
def test_search_folds_as_people_expect(driver: StoreDriver, text: str, query: str, found: bool) -> None:
    driver.append(driver.message("something else"), driver.message(text))
    assert driver.find_texts(query) == ([text] if found else [])


def test_search_finds_newest_first_and_only_what_one_may_read(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    driver.append(
        driver.message("word one"), driver.message("word two", "bill joe", time=6.0), driver.message("word three")
    )
    bill = driver.store.create_account("bill", "Bill", "hash", 2.0).id
    driver.store.join("#dev", bill, 1.0)
    assert driver.find_texts("word", driver.dale, DIRECT) == ["word three", "word one"]
    assert driver.find_texts("word", bill) == []
    found = driver.search("word", limit=1)
    assert (len(found.messages), found.more, found.incomplete) == (1, True, False)


def test_forgetting_leaves_tombstones(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "laptop", 1.0).id
    driver.append(driver.message("secret", device=device), driver.message("other", account=driver.dale))
    assert driver.store.erase_messages(driver.hank) == 1
    gone, other = driver.page()
    assert (gone.seq, gone.text, gone.erased, other.text) == (1, "", True, "other")
    assert driver.find_texts("secret") == []


def test_pruning_moves_first_and_never_the_seq(driver: StoreDriver) -> None:
    driver.append(*[driver.message(f"old {number}", time=float(number)) for number in range(1, 6)])
    assert driver.store.prune(3.5) == 3
    page = driver.store.history(DIRECT, ReadRange(1, 1), None, None, 9)
    assert ([item.seq for item in page.messages], page.first_seq) == ([4, 5], 4)
    assert driver.find_texts("old") == ["old 5", "old 4"]
    assert driver.store.prune(99.0) == 2
    assert driver.append(driver.message("new")) == [(6, False, None)]
    assert driver.find_texts("old") == []
    assert driver.find_texts("new") == ["new"]


def test_the_first_message_from_a_time_on_is_found(driver: StoreDriver) -> None:
    seq_at = driver.store.seq_at
    assert seq_at(DIRECT, 0.0) == 1
    driver.append(*[driver.message(time=time) for time in (2.0, 3.0, 3.0, 3.25, 9.0)])
    times = (0.0, 2.0, 2.5, 3.0, 3.001, 9.0, 9.5)
    assert [seq_at(DIRECT, time) for time in times] == [1, 1, 2, 2, 4, 5, 6]
    driver.store.erase_messages(driver.hank)
    assert [seq_at(DIRECT, time) for time in times] == [1, 1, 2, 2, 4, 5, 6]
    driver.store.prune(3.1)
    assert [seq_at(DIRECT, time) for time in times] == [4, 4, 4, 4, 4, 5, 6]
    driver.store.prune(99.0)
    assert [seq_at(DIRECT, time) for time in times] == [6] * len(times)


def test_everything_is_paged_oldest_first_and_an_account_gets_what_it_may_read(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    driver.create_room("#other")
    driver.append(driver.message("a"), driver.message("b", "#other"), driver.message("c", "#dev"), driver.message("d"))
    driver.store.join("#dev", driver.dale, 1.0)
    driver.append(driver.message("e", "#dev"))
    pages, index = [], 0
    more = True
    while more:
        page, more = driver.store.export_page(index, 2)
        pages.append(driver.texts([item.message for item in page]))
        index = page[-1].position
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    mine, _ = driver.store.export_page(0, 9, driver.dale)
    assert driver.texts([item.message for item in mine]) == ["a", "d", "e"]
    assert [item.message.seq for item in driver.store.export_page(mine[1].position, 9, driver.dale)[0]] == [2]


def test_erasing_goes_in_slices_and_others_speak_meanwhile(
    driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.create_room("#dev")
    monkeypatch.setattr(common, "PRUNE_BATCH", 10)
    monkeypatch.setattr(common, "SCAN_CHUNK", 40)
    device = driver.log_in(driver.hank, "laptop", 1.0).id
    driver.append(
        *[driver.message(f"old {number}", "#dev" if number % 2 else DIRECT, device=device) for number in range(95)]
    )
    jobs = [gevent.spawn(driver.store.erase_messages, driver.hank), gevent.spawn(driver.store.prune, 5.5)]
    said = [driver.append(driver.message("new", time=6.0, account=driver.dale))[0][0] for _ in range(5)]
    assert said == list(range(49, 54)) and not all(job.ready() for job in jobs)
    gevent.joinall(jobs, timeout=20, raise_error=True)
    assert driver.find_texts("old") == []
    assert driver.store.history(DIRECT, ReadRange(1, 1), None, None, 99).first_seq == 49
    assert driver.texts(driver.page()) == ["new"] * 5


def test_a_dropped_devices_messages_are_forgotten_too(driver: StoreDriver) -> None:
    first = driver.log_in(driver.hank, "first", 1.0).id
    driver.append(driver.message("secret", device=first))
    for number in range(20):
        driver.log_in(driver.hank, f"d{number}", 2.0 + number)
    assert driver.store.erase_messages(driver.hank) == 1
    assert driver.texts(driver.page()) == [""]


def test_a_room_with_many_messages_is_deleted_and_may_come_again(driver: StoreDriver) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.append(*[driver.message(conversation="#dev")] * 1200)
    driver.store.delete_room("#dev")
    driver.store.delete_room("#dev")
    assert driver.store.export_page(0, 9) == ([], False)
    driver.create_room("#dev")
    assert driver.append(driver.message(conversation="#dev")) == [(1, False, None)]


def test_words_are_found_and_forgotten_whether_folding_changes_them_or_not(driver: StoreDriver) -> None:
    texts = ["Plain ASCII under_score", "Ёжик и ель", "plain again", "東京都 plain"]
    driver.append(*[driver.message(text) for text in texts])
    assert driver.find_texts("PLAIN") == [texts[3], texts[2], texts[0]]
    assert driver.find_texts("under_score") == driver.find_texts("score") == [texts[0]]
    assert (driver.find_texts("ежик"), driver.find_texts("京都")) == ([texts[1]], [texts[3]])
    assert driver.store.prune(99.0) == 4
    assert driver.find_texts("plain") == driver.find_texts("ежик") == []


def test_an_id_is_known_for_a_month_also_when_its_message_is_not_kept_as_long(driver: StoreDriver) -> None:
    device, day = driver.log_in(driver.hank, "laptop").id, 86_400.0
    for id, days in (("old", 1), ("new", 40)):
        driver.append(driver.message(id, device=device, id=id, time=days * day))
    assert driver.store.prune(41 * day) == 2
    outcomes = driver.append(
        *[driver.message(text, device=device, id=id) for text, id in (("new", "new"), ("other", "new"))]
    )
    assert [(seq, duplicate, type(error)) for seq, duplicate, error in outcomes] == [
        (2, True, type(None)),
        (2, True, IdReused),
    ]
    assert driver.append(driver.message("old", device=device, id="old")) == [(3, False, None)]
    driver.store.prune(80 * day)
    assert driver.append(driver.message("new", device=device, id="new")) == [(4, False, None)]


def test_who_registers_sees_what_comes_after_whatever_was_on_its_way(driver: StoreDriver) -> None:
    outcomes: list[int] = []
    driver.store.append(driver.message("before", "bill hank"), lambda seq, *_: outcomes.append(seq))
    entry = DeviceLogin("laptop", "secret")
    bill, laptop = driver.store.register("bill", "Bill", "hash", 2.0, entry)  # in the same commit, and after it
    assert (outcomes, laptop.cursors) == ([1], {"bill hank": 1})
    assert driver.append(driver.message("after", "bill hank")) == [(2, False, None)]
    assert driver.texts(driver.store.page(bill.id, "bill hank", 0).messages) == ["after"]
    assert driver.append(driver.message("the first", "bill joe")) == [(1, False, None)]
    assert driver.store.backlog(bill.id) == {"bill hank": 2, "bill joe": 1}


def test_who_registers_is_a_member_of_the_rooms_it_was_in(driver: StoreDriver) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.append(driver.message("before", "#dev"))
    bill, laptop = driver.store.register(
        "bill", "Bill", "hash", 2.0, DeviceLogin("laptop", "secret"), ["#dev", "#gone"]
    )
    assert laptop.cursors == {"#dev": 1} and driver.store.rooms()[0].members == {bill.id: 2}


def test_a_change_that_fails_is_nobody_elses_concern(driver: StoreDriver) -> None:
    outcomes: list[Any] = []
    driver.store.append(driver.message("before"), lambda *outcome: outcomes.append(outcome))
    jobs = [gevent.spawn(driver.store.create_account, key, key, "hash", 1.0) for key in ("hank", "bill")]
    gevent.joinall(jobs, timeout=10)
    assert isinstance(jobs[0].exception, NameTaken) and jobs[1].value is not None
    assert outcomes == [(1, False, None)]


def test_pages_end_where_their_texts_are_long(driver: StoreDriver) -> None:
    long = "x" * (MAX_PAGE_CHARACTERS // 4)
    driver.append(*[driver.message(long)] * 8)
    first = driver.store.page(driver.dale, DIRECT, 0)
    assert (len(first.messages), first.more) == (5, True)
    rest = driver.store.page(driver.dale, DIRECT, 5)
    assert ([item.seq for item in rest.messages], rest.more) == ([6, 7, 8], False)
    latest = driver.store.history(DIRECT, ReadRange(1, 1), None, None, 500)
    assert ([item.seq for item in latest.messages], latest.more) == ([4, 5, 6, 7, 8], True)
    assert len(driver.store.export_page(0, 500)[0]) == 5


def test_who_is_taken_out_reads_nothing_more(driver: StoreDriver) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.append(driver.message("before", "#dev"))
    driver.store.join("#dev", driver.dale, 1.0)
    driver.append(driver.message("within", "#dev"))
    assert driver.texts(driver.page(0, "#dev")) == ["within"]
    driver.store.leave("#dev", driver.dale)
    assert driver.page(0, "#dev") == []


def make_absence(driver: StoreDriver, before: int = 2, meanwhile: int = 3, after: int = 2) -> ReadRange:
    """Have dale in #dev for some messages, out for some, and in again for some; return what dale may read then."""
    driver.create_room("#dev")
    driver.store.join("#dev", driver.dale, 1.0)
    driver.append(*[driver.message(f"before {number}", "#dev") for number in range(before)])
    driver.store.leave("#dev", driver.dale)
    driver.append(*[driver.message(f"meanwhile {number}", "#dev") for number in range(meanwhile)])
    readable = driver.store.join("#dev", driver.dale, 2.0)
    driver.append(*[driver.message(f"after {number}", "#dev") for number in range(after)])
    return readable


def test_who_comes_back_reads_what_it_could_and_not_what_was_said_meanwhile(driver: StoreDriver) -> None:
    readable = make_absence(driver)
    kept = ["before 0", "before 1", "after 0", "after 1"]
    assert readable == driver.store.read_range(driver.dale, "#dev") == ReadRange(1, 6, [(3, 5)])
    assert driver.texts(driver.page(0, "#dev")) == kept
    history = driver.store.history("#dev", readable, None, None, 50)
    assert (driver.texts(history.messages), history.more, history.first_seq) == (kept, False, 1)
    assert history.absences == [(3, 5)]
    assert sorted(driver.find_texts("before", driver.dale)) == kept[:2]
    assert driver.find_texts("meanwhile", driver.dale) == driver.find_texts("meanwhile", driver.dale, "#dev") == []
    assert driver.texts([item.message for item in driver.store.export_page(0, 9, driver.dale)[0]]) == kept
    assert driver.store.backlog(driver.dale) == {"#dev": 7}
    assert driver.conversations(driver.dale) == [ConversationRow("#dev", "#dev", 7, 1, 0, 5.0)]
    traces = [driver.store.trace("#dev", seq) for seq in (2, 3, 6)]
    assert [trace.readers[0].is_absent for trace in traces if trace is not None] == [False, True, False]


def test_who_is_out_of_a_room_reads_nothing_there_but_exports_what_it_has_written(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    driver.store.join("#dev", driver.dale, 1.0)
    driver.append(driver.message("mine", "#dev", account=driver.dale), driver.message("theirs", "#dev"))
    driver.log_in(driver.dale, "laptop")
    driver.store.leave("#dev", driver.dale)
    assert driver.store.read_range(driver.dale, "#dev") is None and driver.page(0, "#dev") == []
    assert driver.find_texts("theirs", driver.dale) == driver.conversations(driver.dale) == []
    assert driver.store.backlog(driver.dale) == driver.log_in(driver.dale, "laptop").cursors == {}
    assert driver.store.mark_read(driver.dale, "#dev", 1) == 0
    trace = driver.store.trace("#dev", 1)
    assert trace is not None and trace.readers == []
    assert driver.store.rooms()[0].members == {}
    assert driver.texts([item.message for item in driver.store.export_page(0, 9, driver.dale)[0]]) == ["mine"]


def test_who_joins_is_not_sent_the_room_on_any_device(driver: StoreDriver) -> None:
    laptop = driver.log_in(driver.dale, "laptop").id
    make_absence(driver, after=0)
    driver.store.acknowledge(laptop, "#dev", 1)
    driver.store.flush()
    assert driver.log_in(driver.dale, "laptop").cursors == driver.log_in(driver.dale, "new").cursors == {"#dev": 5}
    assert driver.store.rooms()[0].members == {driver.dale: 6}
    assert driver.store.mark_read(driver.dale, "#dev", 1) == 1
    assert driver.conversations(driver.dale) == [ConversationRow("#dev", "#dev", 2, 1, 1, 5.0)]


def test_pages_go_over_absences_in_both_directions(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    for _ in range(3):
        driver.store.join("#dev", driver.dale, 1.0)
        driver.append(*[driver.message("in", "#dev")] * 3)
        driver.store.leave("#dev", driver.dale)
        driver.append(*[driver.message("out", "#dev")] * 4)
    readable = driver.store.join("#dev", driver.dale, 2.0)
    assert readable.absences == [(4, 7), (11, 14), (18, 21)]

    def history(before: int | None, after: int | None, limit: int) -> tuple[list[int], bool]:
        page = driver.store.history("#dev", readable, before, after, limit)
        return [message.seq for message in page.messages], page.more

    assert history(None, 0, 5) == ([1, 2, 3, 8, 9], True)
    assert history(None, 9, 5) == ([10, 15, 16, 17], False)
    assert history(None, 12, 3) == ([15, 16, 17], False)
    assert history(None, None, 4) == ([10, 15, 16, 17], True)
    assert history(10, None, 9) == ([1, 2, 3, 8, 9], False)
    assert history(13, None, 1) == ([10], True)
    assert driver.conversations(driver.dale) == [ConversationRow("#dev", "#dev", 17, 1, 0, 5.0)]


def test_a_page_over_an_absence_ends_where_its_texts_are_long(driver: StoreDriver) -> None:
    readable = make_absence(driver)
    driver.append(*[driver.message("x" * (MAX_PAGE_CHARACTERS // 2 + 1), "#dev")] * 3)
    page = driver.store.history("#dev", readable, None, 0, 500)
    assert ([message.seq for message in page.messages], page.more) == ([1, 2, 6, 7, 8, 9], True)
    assert [message.seq for message in driver.page(9, "#dev")] == [10]
    latest = driver.store.history("#dev", readable, None, None, 500)
    assert ([message.seq for message in latest.messages], latest.more) == ([9, 10], True)


def test_an_absence_that_nothing_was_said_in_is_none_and_two_that_adjoin_are_one(driver: StoreDriver) -> None:
    assert make_absence(driver, meanwhile=0, after=0).absences == []
    for _ in range(2):
        driver.store.leave("#dev", driver.dale)
        driver.append(driver.message("out", "#dev"))
        readable = driver.store.join("#dev", driver.dale, 2.0)
    assert readable == ReadRange(1, 5, [(3, 4)])


def test_absences_go_with_the_messages_the_room_and_the_account(driver: StoreDriver) -> None:
    make_absence(driver)
    driver.append(driver.message("new", "#dev", time=50.0))
    driver.store.prune(20.0)
    readable = driver.store.read_range(driver.dale, "#dev")
    assert readable == ReadRange(1, 6)
    driver.store.leave("#dev", driver.dale)
    driver.append(driver.message("out", "#dev", time=50.0))
    driver.store.join("#dev", driver.dale, 3.0)
    driver.store.delete_account(driver.dale)
    again = driver.store.create_account("dale", "Dale", "hash", 4.0).id
    assert driver.store.join("#dev", again, 4.0) == ReadRange(10, 10)


def test_a_deleted_room_is_out_of_sight_at_once_and_another_of_its_name_is_another(driver: StoreDriver) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.append(*[driver.message("old", "#dev")] * 1200)
    deleting = gevent.spawn(driver.store.delete_room, "#dev")
    while driver.store.rooms():
        gevent.sleep(0)
    driver.store.create_room("#dev", "#Dev", driver.dale, 2.0)
    assert driver.append(driver.message("new", "#dev")) == [(1, False, None)]
    deleting.get(timeout=TEST_TIMEOUT)
    assert driver.texts([item.message for item in driver.store.export_page(0, 99)[0]]) == ["new"]
    assert (driver.find_texts("old"), [room.head for room in driver.store.rooms()]) == ([], [1])


def test_nobody_reads_in_a_deleted_room_while_what_was_said_there_is_still_going(
    driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.store.join("#dev", driver.dale, 1.0)
    device = driver.log_in(driver.dale, "laptop").id
    driver.append(driver.message("secret", "#dev", account=driver.dale, device=device, id="m1"), driver.message())
    monkeypatch.setattr(driver.store, "finish_deletions", lambda: None)
    driver.store.delete_room("#dev")
    assert driver.store.backlog(driver.dale) == {DIRECT: 1} and driver.find_texts("secret", driver.dale) == []
    assert [placed.message.conversation for placed in driver.store.export_page(0, 9, driver.dale)[0]] == [DIRECT]
    assert [placed.message.conversation for placed in driver.store.export_page(0, 9)[0]] == [DIRECT]
    assert driver.log_in(driver.dale, "laptop").cursors == {DIRECT: 0}
    assert driver.store.find_by_message_id(driver.dale, "m1") == []


def test_settings_are_replaced_and_a_change_that_raises_changes_nothing(driver: StoreDriver) -> None:
    def refuse(stored: str) -> str:
        raise BadRequest

    assert driver.store.change_settings(driver.hank, lambda stored: f"{stored}1") == "1"
    with pytest.raises(BadRequest):
        driver.store.change_settings(driver.hank, refuse)
    assert driver.store.change_settings(driver.hank, lambda stored: f"{stored}2") == "12"
    assert {account.key: account.settings for account in driver.store.accounts()} == {"hank": "12", "dale": ""}


def test_sanctions_and_roles_are_kept_until_they_are_lifted(driver: StoreDriver) -> None:
    muted = Sanction("mute", "dale", "hank", "noise", 1.0, 2.0)
    banned = Sanction("name", "dale", "hank", "", 1.0)
    longer = Sanction("mute", "dale", "server", "", 3.0)
    for sanction in (muted, banned, longer):
        driver.store.add_sanction(sanction)
    assert sorted(driver.store.sanctions(), key=lambda item: item.kind) == [longer, banned]
    driver.store.remove_sanctions("mute", ["dale", "nobody"])
    assert driver.store.sanctions() == [banned]
    driver.store.set_role(driver.hank, "operator")
    assert {item.key: item.role for item in driver.store.accounts()} == {"hank": "operator", "dale": ""}


def test_a_deleted_room_is_not_closed_any_more(driver: StoreDriver) -> None:
    driver.store.create_room("#dev", "#Dev", None, 1.0)
    driver.store.add_sanction(Sanction("close", "#dev", "hank", "", 1.0))
    driver.store.delete_room("#dev")
    assert driver.store.sanctions() == []


def test_blocks_go_with_the_account_that_made_them(driver: StoreDriver) -> None:
    driver.store.block(driver.hank, {"dale": "Dale", "bill": "Bill"})
    driver.store.block(driver.dale, {"hank": "Hank"})
    driver.store.block(driver.hank, {"dale": "DALE"})
    driver.store.unblock(driver.hank, "bill")
    assert sorted(driver.store.blocks()) == [(driver.hank, "dale", "DALE"), (driver.dale, "hank", "Hank")]
    driver.store.delete_account(driver.hank)
    assert list(driver.store.blocks()) == [(driver.dale, "hank", "Hank")]


def test_a_messages_way_is_who_may_read_it_and_how_far_each_device_is(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    laptop = driver.log_in(driver.hank, "laptop").id
    phone = driver.log_in(driver.dale, "phone").id
    bill = driver.store.create_account("bill", "Bill", "hash", 1.0).id
    for account in (driver.hank, driver.dale):
        driver.store.join("#dev", account, 1.0)
    driver.append(driver.message("naïve 🙂", "#dev", device=laptop, id="m1"), driver.message("later", "#dev"))
    driver.store.join("#dev", bill, 1.0)
    driver.store.acknowledge(phone, "#dev", 1)
    driver.store.mark_read(driver.dale, "#dev", 1)
    trace = driver.store.trace("#dev", 1)
    assert trace is not None and (trace.first_seq, trace.head) == (1, 2)
    assert trace.sent == SentInfo("Hank", "Dale", 5.0, 7, False, laptop, "laptop", "m1")
    assert trace.readers == [
        ReaderInfo(driver.hank, 1, 0, [DeviceCursor(laptop, "laptop", 0)]),
        ReaderInfo(driver.dale, 1, 1, [DeviceCursor(phone, "phone", 1)]),
        ReaderInfo(bill, 3, 0, []),
    ]


def test_what_is_not_there_has_no_way_and_what_was_erased_has_one(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "laptop").id
    driver.append(driver.message("old", time=1.0), driver.message("secret", device=device), driver.message())
    driver.store.erase_messages(driver.hank)
    driver.store.prune(2.0)
    traces = [driver.store.trace(DIRECT, seq) for seq in (1, 2, 4)]
    assert [(trace.first_seq, trace.head, trace.sent is None) for trace in traces if trace] == [
        (2, 3, True),
        (2, 3, False),
        (2, 3, True),
    ]
    erased = traces[1] and traces[1].sent
    assert erased and (erased.erased, erased.size) == (True, 0)
    assert driver.store.trace("#none", 1) is None


def test_what_was_sent_under_an_id_is_found_by_account(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    devices = [driver.log_in(driver.hank, name).id for name in ("laptop", "phone")]
    other = driver.log_in(driver.dale, "tablet").id
    driver.append(driver.message("x"), *[driver.message("y", device=device, id="m1") for device in devices])
    driver.append(driver.message("y", account=driver.dale, device=other, id="m1"))
    driver.append(driver.message("z", "#dev", device=devices[0], id="m1"))
    assert driver.store.find_by_message_id(driver.hank, "m1") == [("#dev", 1), (DIRECT, 3), (DIRECT, 2)]
    assert (
        driver.store.find_by_message_id(driver.dale, "m1") == [(DIRECT, 4)]
        and driver.store.find_by_message_id(driver.dale, "m2") == []
    )


def test_a_store_counts_its_commits_and_what_was_in_them(driver: StoreDriver) -> None:
    before = sum(driver.store.stats.commit_seconds.counts)
    driver.append(*[driver.message()] * 3)
    driver.store.check_writable()
    tally = driver.store.stats
    assert (tally.batch_sizes.counts[2], tally.batch_sizes.sum, sum(tally.append_seconds.counts)) == (1, 3, 3)
    assert (
        sum(tally.commit_seconds.counts) == before + 2
        and 0 < tally.commit_seconds.quantile(0.5) <= tally.commit_seconds.sum
    )


def test_it_is_counted_how_much_is_kept_of_an_account_and_of_guests(opened: Callable[[], Store]) -> None:
    driver = StoreDriver(store := opened())
    driver.create_room("#dev")
    driver.create_room("#old")
    texts = ["hello", "grüße", "日本語", "😀" * 100, ""]
    size = sum(len(text.encode()) for text in texts)
    driver.append(*(driver.message(text, "#dev") for text in texts))
    driver.append(*(driver.message(text, "#dev", account=None) for text in texts * 3))
    assert (store.stored_bytes(driver.hank), store.stored_bytes(driver.dale), store.stored_bytes(None)) == (
        size,
        0,
        3 * size,
    )
    driver.append(
        driver.message("x" * 1000, "#old", account=driver.dale, time=1.0),
        driver.message("y", "#old", account=driver.dale),
    )
    assert store.stored_bytes(driver.dale) == 1001
    store.prune(2.0)
    assert (store.stored_bytes(driver.dale), store.stored_bytes(driver.hank)) == (1, size)
    store.erase_messages(driver.hank)
    assert (store.stored_bytes(driver.hank), store.stored_bytes(None)) == (0, 3 * size)
    store.delete_room("#dev")
    store.finish_deletions()
    assert store.stored_bytes(None) == 0
    device = driver.log_in(driver.hank, "laptop").id
    for _ in range(2):  # sent again, it is kept once
        driver.append(driver.message("again", "#old", device=device, id="m1"))
    assert store.stored_bytes(driver.hank) == 5
    if store.is_persistent:
        store.close()
        assert opened().stored_bytes(driver.hank) == 5


UNSTORABLE = "half \ud800 of a pair"


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_what_cannot_be_kept_is_refused_for_good_and_no_other_for_its_sake(count: int, driver: StoreDriver) -> None:
    bad = count // 2
    texts = [UNSTORABLE if number == bad else f"text {number}" for number in range(count)]
    outcomes = driver.append(*(driver.message(text, id=f"m{number}") for number, text in enumerate(texts)))
    refused = outcomes.pop(bad)
    assert isinstance(refused[2], NotStorable) and not refused[2].retryable
    assert outcomes == [(seq, False, None) for seq in range(1, count)]
    assert UNSTORABLE not in str(refused[2])
    assert [item.text for item in driver.page()] == [text for text in texts if text != UNSTORABLE]


@pytest.mark.parametrize(("repeated", "bad"), [(3, 30), (30, 3), (3, 4), (38, 39)])
def test_a_message_sent_again_beside_one_that_cannot_be_kept_costs_no_other(
    driver: StoreDriver, repeated: int, bad: int
) -> None:
    device = driver.log_in(driver.hank, "laptop").id
    again = driver.message("again", device=device, id="again")
    driver.append(again)
    messages = [driver.message(f"text {number}", device=device, id=f"m{number}") for number in range(40)]
    messages[repeated] = again
    messages[bad] = driver.message(UNSTORABLE, device=device, id="bad")
    outcomes = driver.append(*messages)
    assert outcomes[repeated] == (1, True, None)
    assert isinstance(outcomes[bad][2], NotStorable)
    others = [outcome for index, outcome in enumerate(outcomes) if index not in (repeated, bad)]
    assert others == [(seq, False, None) for seq in range(2, 40)]


def test_whatever_else_cannot_be_kept_is_refused_for_good(driver: StoreDriver) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: driver.store.create_account(UNSTORABLE, "name", "hash", 1.0),
        lambda: driver.log_in(driver.hank, UNSTORABLE),
        lambda: driver.store.create_room(UNSTORABLE, "#room", driver.hank, 1.0),
        lambda: driver.store.add_sanction(Sanction("mute", "peggy", "Hank", UNSTORABLE, 1.0)),
        lambda: driver.store.block(driver.hank, {"peggy": UNSTORABLE}),
    ]
    for ask in asked:
        with pytest.raises(NotStorable) as refused:
            ask()
        assert str(refused.value) == NotStorable.message
    assert driver.append(driver.message("still there")) == [(1, False, None)]


class OwnedRoom:
    """The room #dev of hank, with members who have joined in this order: dale, bill, joe."""

    def __init__(self, driver: StoreDriver) -> None:
        self.store, self.hank, self.dale = driver.store, driver.hank, driver.dale
        self.bill, self.joe = (self.store.create_account(name, name, "hash", 1.0).id for name in ("bill", "joe"))
        self.store.create_room("#dev", "#Dev", self.hank, 1.0)
        for number, account in enumerate((self.dale, self.bill, self.joe)):
            self.store.join("#dev", account, 2.0 + number)

    @property
    def roles(self) -> dict[int, str]:
        (room,) = self.store.rooms()
        return dict(room.roles)


@pytest.fixture
def owned(driver: StoreDriver) -> OwnedRoom:
    return OwnedRoom(driver)


def test_it_is_kept_who_has_set_a_topic_and_when_and_when_the_room_was_made(opened: Callable[[], Store]) -> None:
    store = opened()
    room = store.create_room("#dev", "#Dev", None, 1.0)
    assert (room.topic_by, room.topic_at, room.created) == ("", None, 1.0)
    store.set_topic("#dev", "work", "Hank", 2.5)
    store.set_topic("#dev", "play", "Dale", 3.5)
    (room,) = store.rooms()
    assert (room.topic, room.topic_by, room.topic_at, room.created) == ("play", "Dale", 3.5, 1.0)
    assert store.create_room("#dev", "#Dev", None, 4.0) == room


def test_profiles_are_kept_and_replaced_in_the_transaction(driver: StoreDriver) -> None:
    store = driver.store
    assert [account.profile for account in store.accounts()] == ["", ""]
    assert store.change_profile(driver.hank, lambda stored: f"{stored}one") == "one"
    assert store.change_profile(driver.hank, lambda stored: f"{stored} two") == "one two"
    assert {account.key: account.profile for account in store.accounts()} == {"hank": "one two", "dale": ""}
    assert store.create_room("#dev", "#Dev", driver.hank, 1.0).profile == ""
    assert store.change_room_profile("#dev", lambda stored: f"{stored}room") == "room"
    assert [room.profile for room in store.rooms()] == ["room"]
    with pytest.raises(NoSuchRoom):
        store.change_room_profile("#not", lambda stored: "x")


def test_what_a_change_of_a_profile_raises_leaves_it_as_it_was(driver: StoreDriver) -> None:
    def refuse(stored: str) -> str:
        raise BadRequest

    driver.store.change_profile(driver.hank, lambda stored: "kept")
    driver.store.create_room("#dev", "#Dev", driver.hank, 1.0)
    for change in (
        lambda: driver.store.change_profile(driver.hank, refuse),
        lambda: driver.store.change_room_profile("#dev", refuse),
    ):
        with pytest.raises(BadRequest):
            change()
    assert {account.key: account.profile for account in driver.store.accounts()} == {"hank": "kept", "dale": ""}
    assert [room.profile for room in driver.store.rooms()] == [""]


def test_the_profile_of_a_room_is_changed_by_moderators_and_owners(owned: OwnedRoom) -> None:
    change = owned.store.change_room_profile
    owned.store.change_role("#dev", owned.dale, "moderator")
    owned.store.change_role("#dev", owned.bill, "speaker")
    for actor in (owned.hank, owned.dale, None):
        assert change("#dev", lambda stored, actor=actor: f"by {actor}", "x", actor) == f"by {actor}"  # type: ignore[misc]
    for actor in (owned.bill, owned.joe, 99):
        with pytest.raises(NotOwner):
            change("#dev", lambda stored: "x", "x", actor)
    assert [room.profile for room in owned.store.rooms()] == ["by None"]


def test_rules_of_a_room_are_set_one_by_one_and_kept(driver: StoreDriver) -> None:
    store, private = driver.store, RoomRules(invited=True, hidden=True, most=3)
    assert store.create_room("#dev", "#Dev", driver.hank, 1.0, private).rules == private
    assert store.create_room("#dev", "#Dev", driver.dale, 1.0).rules == private
    changed = store.change_rules("#dev", {"hidden": False, "history": "all"}, "Hank", driver.hank)
    assert changed == RoomRules(invited=True, history="all", most=3)
    assert [room.rules for room in store.rooms()] == [changed]
    assert store.change_rules("#dev", {"invited": False, "history": "joined", "most": 0}) == OPEN_ROOM


def test_rules_are_set_by_owners_only_and_all_or_none(owned: OwnedRoom) -> None:
    for account in (owned.dale, 99):
        with pytest.raises(NotOwner):
            owned.store.change_rules("#dev", {"hidden": True}, "x", account)
    for changes in ({"hidden": True, "colour": 1}, {"hidden": True, "most": "many"}):
        with pytest.raises(BadRequest):
            owned.store.change_rules("#dev", changes, "Hank", owned.hank)
    with pytest.raises(NoSuchRoom):
        owned.store.change_rules("#not", {"hidden": True})
    assert [room.rules for room in owned.store.rooms()] == [OPEN_ROOM]


def test_roles_are_given_by_those_who_may_and_a_room_keeps_an_owner(owned: OwnedRoom) -> None:
    change = owned.store.change_role
    change("#dev", owned.dale, "moderator", "Hank", owned.hank)
    change("#dev", owned.bill, "speaker", "Dale", owned.dale)
    assert owned.roles == {owned.hank: "owner", owned.dale: "moderator", owned.bill: "speaker"}
    for account, role in ((owned.joe, "moderator"), (owned.hank, "member"), (owned.dale, "owner")):
        with pytest.raises(NotOwner):
            change("#dev", account, role, "Dale", owned.dale)  # type: ignore[arg-type]
    for actor in (owned.hank, None):
        with pytest.raises(LastOwner):
            change("#dev", owned.hank, "member", "Hank", actor)
    change("#dev", owned.dale, "owner", "Hank", owned.hank)
    with pytest.raises(NotOwner):
        change("#dev", owned.hank, "member", "Dale", owned.dale)
    change("#dev", owned.hank, "member", "Hank", owned.hank)
    assert owned.roles == {owned.dale: "owner", owned.bill: "speaker"}
    with pytest.raises(NotFound):
        change("#dev", 99, "speaker")
    with pytest.raises(NoSuchRoom):
        change("#not", owned.dale, "speaker")


def test_the_eldest_moderator_else_the_eldest_member_follows_the_last_owner(owned: OwnedRoom) -> None:
    owned.store.change_role("#dev", owned.bill, "moderator")
    owned.store.change_role("#dev", owned.joe, "moderator")
    assert owned.store.leave("#dev", owned.hank) == owned.bill
    assert owned.store.leave("#dev", owned.dale) is None
    assert owned.store.leave("#dev", owned.bill) == owned.joe
    owned.store.join("#dev", owned.hank, 20.0)
    owned.store.join("#dev", owned.dale, 10.0)
    assert owned.roles == {owned.joe: "owner"}
    assert owned.store.leave("#dev", owned.joe) == owned.dale
    assert owned.store.leave("#dev", owned.hank) is None
    assert owned.store.leave("#dev", owned.dale) is None and owned.roles == {}
    owned.store.join("#dev", owned.dale, 30.0)
    assert owned.roles == {}  # who comes into an empty room does not own it


def test_who_owned_a_room_and_comes_back_does_not_own_it(owned: OwnedRoom) -> None:
    owned.store.change_role("#dev", owned.dale, "owner")
    assert owned.store.leave("#dev", owned.hank) is None
    owned.store.join("#dev", owned.hank, 9.0)
    assert owned.roles == {owned.dale: "owner"}


def test_a_deleted_accounts_rooms_are_owned_by_others(owned: OwnedRoom) -> None:
    for room in ("#alone", "#shared", "#empty"):
        owned.store.create_room(room, room, owned.hank, 1.0)
    owned.store.join("#alone", owned.joe, 2.0)
    owned.store.join("#shared", owned.dale, 2.0)
    owned.store.change_role("#shared", owned.dale, "owner")
    assert owned.store.delete_account(owned.hank) == {"#dev": owned.dale, "#alone": owned.joe}
    assert owned.store.delete_account(owned.joe) == {}
    assert {room.key: room.roles for room in owned.store.rooms()} == {
        "#dev": {owned.dale: "owner"},
        "#alone": {},
        "#shared": {owned.dale: "owner"},
        "#empty": {},
    }
