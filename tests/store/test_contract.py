"""The contract, against every store."""

from __future__ import annotations

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
    Sanction,
    SearchResult,
    SentInfo,
    StoredMessage,
)
from gmessenger.chat.storage import Store
from gmessenger.errors import IdReused, InvalidInvite, NameTaken, NoSuchRoom, NotStorable, PasswordRequired, WireError
from gmessenger.store import common, group_commit, open_store
from tests.support.timeouts import TEST_TIMEOUT

DIRECT = "dale hank"


class Kept:
    """A store, and short ways to fill it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hank = store.create_account("hank", "Hank", "hash", 1.0).id
        self.dale = store.create_account("dale", "Dale", "hash", 1.0).id

    def posts(self, *posts: NewMessage) -> list[tuple[int, bool, WireError | None]]:
        """Append at once, and wait for what becomes of each."""
        results: list[AsyncResult[Any]] = [AsyncResult() for _ in posts]
        for post, result in zip(posts, results, strict=True):
            self.store.append(post, lambda *outcome, result=result: result.set(outcome))
        return [result.get(timeout=TEST_TIMEOUT) for result in results]

    def says(self, text: str = "hi", conversation: str = DIRECT, **more: Any) -> NewMessage:
        return NewMessage(
            conversation, "Hank", "Dale", text, more.pop("time", 5.0), more.pop("account", self.hank), **more
        )

    def room(self, key: str) -> None:
        """A room without members."""
        self.store.create_room(key, key, self.hank, 1.0)

    def device(self, account: int, name: str, time: float = 1.0, live: Sequence[int] = ()) -> Device:
        """A session of that account begins on a device."""
        return self.store.begin_session(
            account, DeviceLogin(name, f"token of {name}", live), time, Credential(password_hash="hash")
        )

    def page(self, after: int = 0, conversation: str = DIRECT) -> list[StoredMessage]:
        return self.store.page(self.dale, conversation, after).messages

    def stands(self, account: int, after: str = "", limit: int = 10) -> list[ConversationRow]:
        return self.store.conversations(account, after, limit)[0]

    def finds(self, words: str, account: int | None = None, conversation: str | None = None) -> list[str]:
        return self.texts(self.searches(words, account, conversation).messages)

    def searches(
        self, words: str, account: int | None = None, conversation: str | None = None, limit: int = 10
    ) -> SearchResult:
        return self.store.search(account or self.hank, words, conversation, limit, 30.0)

    def texts(self, found: list[StoredMessage]) -> list[str]:
        return [each.text for each in found]


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
def kept(opened: Callable[[], Store]) -> Kept:
    return Kept(opened())


def test_seqs_are_gapless_by_conversation_and_in_order(kept: Kept) -> None:
    kept.room("#dev")
    posts = [kept.says(str(number), "#dev" if number % 3 else DIRECT) for number in range(1200)]
    outcomes = kept.posts(*posts)
    for conversation in ("#dev", DIRECT):
        mine = [outcome[0] for post, outcome in zip(posts, outcomes, strict=True) if post.conversation == conversation]
        assert mine == list(range(1, len(mine) + 1))
    assert kept.posts(kept.says()) == [(401, False, None)]


def test_the_same_id_is_kept_once_in_a_batch_and_later(kept: Kept) -> None:
    kept.room("#dev")
    device = kept.device(kept.hank, "laptop", 1.0).id
    same = [kept.says("x", device=device, id="m1"), kept.says("y", device=device, id="m2")] * 2
    first = kept.posts(*same)
    assert first == [(1, False, None), (2, False, None), (1, True, None), (2, True, None)]
    assert kept.posts(same[1]) == [(2, True, None)]
    ((seq, duplicate, error),) = kept.posts(kept.says("other", device=device, id="m1"))
    assert (seq, duplicate, type(error)) == (1, True, IdReused)
    assert kept.posts(kept.says("x", "#dev", device=device, id="m1")) == [(1, False, None)]


def test_a_commit_takes_so_many_characters_and_the_next_the_rest(
    opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_BATCH_TEXT", 10)
    kept = Kept(opened())
    outcomes = kept.posts(*[kept.says("x" * length) for length in (4, 4, 4, 30, 1, 1)])
    assert outcomes == [(seq, False, None) for seq in range(1, 7)]


def test_names_are_given_once(kept: Kept) -> None:
    with pytest.raises(NameTaken):
        kept.store.create_account("hank", "HANK", "hash", 2.0)
    assert [account.name for account in kept.store.accounts()] == ["Hank", "Dale"]


def test_an_invite_is_good_once(kept: Kept) -> None:
    kept.store.add_invite("secret", 1.0)
    with pytest.raises(InvalidInvite):
        kept.store.create_account("bill", "Bill", "hash", 2.0, "guessed")
    kept.store.create_account("bill", "Bill", "hash", 2.0, "secret")
    with pytest.raises(InvalidInvite):
        kept.store.create_account("joe", "Joe", "hash", 2.0, "secret")


def test_tokens_stand_for_account_and_device_until_the_password_changes(kept: Kept) -> None:
    for token in ("old", "token"):
        kept.store.begin_session(kept.hank, DeviceLogin("laptop", token), 1.0, Credential(password_hash="hash"))
    assert kept.store.find_token("token") == (kept.hank, "laptop")
    assert kept.store.find_token("old") is kept.store.find_token("guessed") is None
    resumed = kept.store.begin_session(kept.hank, DeviceLogin("phone", "another"), 2.0, Credential(token="token"))
    assert (resumed.name, kept.store.find_token("token")) == ("phone", (kept.hank, "laptop"))
    kept.store.set_password(kept.hank, "other")
    for proof in (
        Credential(token="token"),
        Credential(token="another"),
        Credential(password_hash="hash"),
        Credential(),
    ):
        with pytest.raises(PasswordRequired):
            kept.store.begin_session(kept.hank, DeviceLogin("laptop", "token"), 3.0, proof)
    assert (kept.store.find_token("token"), kept.store.password_hash(kept.hank)) == (None, "other")


def test_a_cursor_only_moves_on_and_not_beyond_the_head(kept: Kept) -> None:
    device = kept.device(kept.dale, "laptop", 1.0).id
    kept.posts(*[kept.says()] * 5)
    for seq, expected in ((3, 3), (2, 3), (99, 5)):
        kept.store.acknowledge(device, DIRECT, seq)
        assert kept.device(kept.dale, "laptop", 2.0).cursors == {DIRECT: expected}


def test_a_new_device_starts_at_the_furthest_cursor(kept: Kept) -> None:
    kept.posts(*[kept.says()] * 5)
    laptop = kept.device(kept.dale, "laptop", 1.0)
    assert laptop.cursors == {DIRECT: 0}
    kept.store.acknowledge(laptop.id, DIRECT, 3)
    assert kept.device(kept.dale, "phone", 2.0).cursors == {DIRECT: 3}


def test_of_more_than_twenty_devices_the_longest_unused_goes(kept: Kept) -> None:
    first = [kept.device(kept.hank, f"d{number}", number).id for number in range(20)]
    assert kept.device(kept.hank, "d0", 50.0).id == first[0]
    kept.device(kept.hank, "d20", 51.0)
    assert kept.device(kept.hank, "d0", 52.0).id == first[0]
    assert kept.device(kept.hank, "d1", 53.0).id not in first


def test_a_device_that_is_there_is_not_dropped_for_being_long_there(kept: Kept) -> None:
    first = [kept.device(kept.hank, f"d{number}", number).id for number in range(20)]
    added = kept.device(kept.hank, "d20", 51.0, live=first[:2])
    assert added.evicted == [first[2]]
    assert kept.device(kept.hank, "d0", 52.0).id == first[0]
    everybody = [*first[:2], *first[3:], added.id]
    assert kept.device(kept.hank, "d21", 53.0, live=everybody).evicted == [
        first[1]
    ]  # some must go, though all are there


def test_pages_go_on_where_the_last_ended(kept: Kept) -> None:
    kept.posts(*[kept.says(str(number)) for number in range(1, 8)])
    assert kept.store.backlog(kept.dale) == {DIRECT: 7}
    page = kept.page(4)
    assert [(each.seq, each.text) for each in page] == [(5, "5"), (6, "6"), (7, "7")]
    assert kept.page(2)[0] == StoredMessage(DIRECT, 3, "Hank", "Dale", "3", 5.0)


@pytest.mark.parametrize(
    ("before", "after", "seqs", "more"),
    [(None, None, [5, 6, 7], True), (4, None, [1, 2, 3], False), (6, None, [3, 4, 5], True), (None, 5, [6, 7], False)],
)
def test_history_is_paged_both_ways(
    kept: Kept, before: int | None, after: int | None, seqs: list[int], more: bool
) -> None:
    kept.posts(*[kept.says()] * 7)
    page = kept.store.history(DIRECT, 1, before, after, 3)
    assert ([each.seq for each in page.messages], page.more, page.first_seq) == (seqs, more, 1)


def test_who_registers_later_sees_nothing_from_before(kept: Kept) -> None:
    kept.posts(*[kept.says(conversation="bill hank")] * 3)
    bill = kept.store.create_account("bill", "Bill", "hash", 2.0).id
    assert kept.store.visible_from(bill, "bill hank") == 4
    assert kept.device(bill, "default", 3.0).cursors == {"bill hank": 3}
    assert kept.store.visible_from(kept.hank, "bill hank") == 1
    assert kept.store.visible_from(bill, DIRECT) is None


def test_rooms_are_kept_with_their_members(kept: Kept, opened: Callable[[], Store]) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    assert kept.store.join("#dev", kept.hank) == 0
    kept.posts(kept.says(conversation="#dev"))
    assert [kept.store.join("#dev", member) for member in (kept.dale, kept.hank)] == [1, 0]
    assert kept.store.create_room("#dev", "#DEV", kept.dale, 2.0).creator == kept.hank
    kept.store.set_topic("#dev", "work")
    (room,) = kept.store.rooms()
    assert (room.name, room.topic, room.creator, room.head) == ("#Dev", "work", kept.hank, 1)
    assert room.members == {kept.hank: 1, kept.dale: 2}
    kept.store.leave("#dev", kept.dale)
    assert kept.store.visible_from(kept.dale, "#dev") is None
    kept.store.delete_room("#dev")
    assert kept.store.rooms() == [] and kept.page(0, "#dev") == []


def test_what_is_said_in_a_room_that_is_not_there_is_not_kept(kept: Kept) -> None:
    kept.room("#dev")
    kept.store.delete_room("#dev")
    outcomes = kept.posts(kept.says("gone", "#dev"), kept.says("here"), kept.says("gone", "#dev"))
    assert [(seq, type(error)) for seq, _, error in outcomes] == [(0, NoSuchRoom), (1, type(None)), (0, NoSuchRoom)]
    with pytest.raises(NoSuchRoom):
        kept.store.join("#dev", kept.hank)
    kept.store.leave("#dev", kept.hank)
    assert kept.store.rooms() == []


def test_conversations_are_listed_by_name_with_what_is_read_and_what_is_not(kept: Kept) -> None:
    bill = kept.store.create_account("bill", "Bill", "hash", 1.0).id
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.posts(kept.says("early", "#dev"))
    kept.store.join("#dev", kept.hank)
    kept.posts(kept.says(time=6.0), kept.says(time=7.0), kept.says("so", "bill hank", time=8.0))
    kept.posts(
        NewMessage("hank joe", "Joe", "Hank", "hi", 9.0), NewMessage("hank hank", "Hank", "Hank", "me", 9.5, kept.hank)
    )
    assert [kept.store.mark_read(kept.hank, DIRECT, seq) for seq in (1, 0)] == [1, 1]
    assert kept.store.mark_read(kept.hank, "bill dale", 1) == 0
    assert kept.stands(kept.hank) == [
        ConversationRow("#dev", "#Dev", 0, 2, 0, None),
        ConversationRow("bill", "Bill", 1, 1, 0, 8.0),
        ConversationRow("dale", "Dale", 2, 1, 1, 7.0),
        ConversationRow("hank", "Hank", 1, 1, 0, 9.5),
        ConversationRow("joe", "Joe", 1, 1, 0, 9.0),
    ]
    assert kept.stands(bill) == [ConversationRow("hank", "Hank", 1, 1, 0, 8.0)]
    kept.posts(kept.says("later", "#dev", time=9.0))
    assert kept.stands(kept.hank)[0] == ConversationRow("#dev", "#Dev", 2, 2, 0, 9.0)
    kept.store.leave("#dev", kept.hank)
    assert [each.key for each in kept.stands(kept.hank)] == ["bill", "dale", "hank", "joe"]


def test_conversations_are_paged_by_name(kept: Kept) -> None:
    names = [f"guest{number}" for number in range(7)] + ["aa", "zz", "x_y", "xzy", "ёж"]
    kept.posts(*[kept.says(conversation=" ".join(sorted((name, "hank")))) for name in names])
    pages, after, more = [], "", True
    while more:
        page, more = kept.store.conversations(kept.hank, after, 4)
        pages.append([each.key for each in page])
        after = page[-1].key
    assert [len(page) for page in pages] == [4, 4, 4]
    assert [key for page in pages for key in page] == sorted(names)


def test_a_name_is_told_from_one_it_resembles(kept: Kept) -> None:
    han_ = kept.store.create_account("han_", "Han_", "hash", 1.0).id
    kept.posts(kept.says(conversation="han_ hank", time=6.0))
    assert [each.target for each in kept.stands(han_)] == ["Hank"]
    assert [each.target for each in kept.stands(kept.hank)] == ["Han_"]


def test_conversations_with_nothing_to_read_are_not_listed(kept: Kept) -> None:
    kept.posts(kept.says(conversation="bill hank"), kept.says())
    bill = kept.store.create_account("bill", "Bill", "hash", 6.0).id
    assert kept.stands(bill) == []  # what was said to a guest of the name
    kept.posts(kept.says(conversation="bill hank", time=7.0))
    assert kept.stands(bill) == [ConversationRow("hank", "Hank", 2, 2, 0, 7.0)]
    kept.store.prune(6.5)
    assert kept.stands(kept.hank) == [ConversationRow("bill", "Bill", 2, 2, 0, 7.0)]
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.store.join("#dev", bill)
    kept.store.delete_room("#dev")
    assert [each.key for each in kept.stands(bill)] == ["hank"]


def test_of_an_erased_message_no_time_is_listed_and_of_who_is_gone_the_name(kept: Kept) -> None:
    kept.posts(kept.says())
    kept.store.erase_messages(kept.hank)
    kept.store.delete_account(kept.hank)
    assert kept.stands(kept.dale) == [ConversationRow("hank", "Hank", 1, 1, 0, None)]


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
def test_search_folds_as_people_expect(kept: Kept, text: str, query: str, found: bool) -> None:
    kept.posts(kept.says("something else"), kept.says(text))
    assert kept.finds(query) == ([text] if found else [])


def test_search_finds_newest_first_and_only_what_one_may_read(kept: Kept) -> None:
    kept.room("#dev")
    kept.posts(kept.says("word one"), kept.says("word two", "bill joe", time=6.0), kept.says("word three"))
    bill = kept.store.create_account("bill", "Bill", "hash", 2.0).id
    kept.store.join("#dev", bill)
    assert kept.finds("word", kept.dale, DIRECT) == ["word three", "word one"]
    assert kept.finds("word", bill) == []
    found = kept.searches("word", limit=1)
    assert (len(found.messages), found.more, found.incomplete) == (1, True, False)


def test_forgetting_leaves_tombstones(kept: Kept) -> None:
    device = kept.device(kept.hank, "laptop", 1.0).id
    kept.posts(kept.says("secret", device=device), kept.says("other", account=kept.dale))
    assert kept.store.erase_messages(kept.hank) == 1
    gone, other = kept.page()
    assert (gone.seq, gone.text, gone.erased, other.text) == (1, "", True, "other")
    assert kept.finds("secret") == []


def test_pruning_moves_first_and_never_the_seq(kept: Kept) -> None:
    kept.posts(*[kept.says(f"old {number}", time=float(number)) for number in range(1, 6)])
    assert kept.store.prune(3.5) == 3
    page = kept.store.history(DIRECT, 1, None, None, 9)
    assert ([each.seq for each in page.messages], page.first_seq) == ([4, 5], 4)
    assert kept.finds("old") == ["old 5", "old 4"]
    assert kept.store.prune(99.0) == 2
    assert kept.posts(kept.says("new")) == [(6, False, None)]
    assert kept.finds("old") == []
    assert kept.finds("new") == ["new"]


def test_everything_is_paged_oldest_first_and_an_account_gets_what_it_may_read(kept: Kept) -> None:
    kept.room("#dev")
    kept.room("#other")
    kept.posts(kept.says("a"), kept.says("b", "#other"), kept.says("c", "#dev"), kept.says("d"))
    kept.store.join("#dev", kept.dale)
    kept.posts(kept.says("e", "#dev"))
    pages, place = [], 0
    more = True
    while more:
        page, more = kept.store.export_page(place, 2)
        pages.append(kept.texts([each.message for each in page]))
        place = page[-1].position
    assert pages == [["a", "b"], ["c", "d"], ["e"]]
    mine, _ = kept.store.export_page(0, 9, kept.dale)
    assert kept.texts([each.message for each in mine]) == ["a", "d", "e"]
    assert [each.message.seq for each in kept.store.export_page(mine[1].position, 9, kept.dale)[0]] == [2]


def test_erasing_goes_in_slices_and_others_speak_meanwhile(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.room("#dev")
    monkeypatch.setattr(common, "PRUNE_BATCH", 10)
    monkeypatch.setattr(common, "SCAN_CHUNK", 40)
    device = kept.device(kept.hank, "laptop", 1.0).id
    kept.posts(*[kept.says(f"old {number}", "#dev" if number % 2 else DIRECT, device=device) for number in range(95)])
    jobs = [gevent.spawn(kept.store.erase_messages, kept.hank), gevent.spawn(kept.store.prune, 5.5)]
    said = [kept.posts(kept.says("new", time=6.0, account=kept.dale))[0][0] for _ in range(5)]
    assert said == list(range(49, 54)) and not all(job.ready() for job in jobs)
    gevent.joinall(jobs, timeout=20, raise_error=True)
    assert kept.finds("old") == []
    assert kept.store.history(DIRECT, 1, None, None, 99).first_seq == 49
    assert kept.texts(kept.page()) == ["new"] * 5


def test_a_dropped_devices_messages_are_forgotten_too(kept: Kept) -> None:
    first = kept.device(kept.hank, "first", 1.0).id
    kept.posts(kept.says("secret", device=first))
    for number in range(20):
        kept.device(kept.hank, f"d{number}", 2.0 + number)
    assert kept.store.erase_messages(kept.hank) == 1
    assert kept.texts(kept.page()) == [""]


def test_a_room_with_many_messages_is_deleted_and_may_come_again(kept: Kept) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.posts(*[kept.says(conversation="#dev")] * 1200)
    kept.store.delete_room("#dev")
    kept.store.delete_room("#dev")
    assert kept.store.export_page(0, 9) == ([], False)
    kept.room("#dev")
    assert kept.posts(kept.says(conversation="#dev")) == [(1, False, None)]


def test_words_are_found_and_forgotten_whether_folding_changes_them_or_not(kept: Kept) -> None:
    texts = ["Plain ASCII under_score", "Ёжик и ель", "plain again", "東京都 plain"]
    kept.posts(*[kept.says(text) for text in texts])
    assert kept.finds("PLAIN") == [texts[3], texts[2], texts[0]]
    assert kept.finds("under_score") == kept.finds("score") == [texts[0]]
    assert (kept.finds("ежик"), kept.finds("京都")) == ([texts[1]], [texts[3]])
    assert kept.store.prune(99.0) == 4
    assert kept.finds("plain") == kept.finds("ежик") == []


def test_an_id_is_known_for_a_month_also_when_its_message_is_not_kept_as_long(kept: Kept) -> None:
    device, day = kept.device(kept.hank, "laptop").id, 86_400.0
    for id, days in (("old", 1), ("new", 40)):
        kept.posts(kept.says(id, device=device, id=id, time=days * day))
    assert kept.store.prune(41 * day) == 2
    outcomes = kept.posts(*[kept.says(text, device=device, id=id) for text, id in (("new", "new"), ("other", "new"))])
    assert [(seq, duplicate, type(error)) for seq, duplicate, error in outcomes] == [
        (2, True, type(None)),
        (2, True, IdReused),
    ]
    assert kept.posts(kept.says("old", device=device, id="old")) == [(3, False, None)]
    kept.store.prune(80 * day)
    assert kept.posts(kept.says("new", device=device, id="new")) == [(4, False, None)]


def test_who_registers_sees_what_comes_after_whatever_was_on_its_way(kept: Kept) -> None:
    outcomes: list[int] = []
    kept.store.append(kept.says("before", "bill hank"), lambda seq, *_: outcomes.append(seq))
    entry = DeviceLogin("laptop", "secret")
    bill, laptop = kept.store.register("bill", "Bill", "hash", 2.0, entry)  # in the same commit, and after it
    assert (outcomes, laptop.cursors) == ([1], {"bill hank": 1})
    assert kept.posts(kept.says("after", "bill hank")) == [(2, False, None)]
    assert kept.texts(kept.store.page(bill.id, "bill hank", 0).messages) == ["after"]
    assert kept.posts(kept.says("the first", "bill joe")) == [(1, False, None)]
    assert kept.store.backlog(bill.id) == {"bill hank": 2, "bill joe": 1}


def test_who_registers_is_a_member_of_the_rooms_it_was_in(kept: Kept) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.posts(kept.says("before", "#dev"))
    bill, laptop = kept.store.register("bill", "Bill", "hash", 2.0, DeviceLogin("laptop", "secret"), ["#dev", "#gone"])
    assert laptop.cursors == {"#dev": 1} and kept.store.rooms()[0].members == {bill.id: 2}


def test_a_change_that_fails_is_nobody_elses_concern(kept: Kept) -> None:
    outcomes: list[Any] = []
    kept.store.append(kept.says("before"), lambda *outcome: outcomes.append(outcome))
    jobs = [gevent.spawn(kept.store.create_account, key, key, "hash", 1.0) for key in ("hank", "bill")]
    gevent.joinall(jobs, timeout=10)
    assert isinstance(jobs[0].exception, NameTaken) and jobs[1].value is not None
    assert outcomes == [(1, False, None)]


def test_pages_end_where_their_texts_are_long(kept: Kept) -> None:
    long = "x" * (MAX_PAGE_CHARACTERS // 4)
    kept.posts(*[kept.says(long)] * 8)
    first = kept.store.page(kept.dale, DIRECT, 0)
    assert (len(first.messages), first.more) == (5, True)
    rest = kept.store.page(kept.dale, DIRECT, 5)
    assert ([each.seq for each in rest.messages], rest.more) == ([6, 7, 8], False)
    latest = kept.store.history(DIRECT, 1, None, None, 500)
    assert ([each.seq for each in latest.messages], latest.more) == ([4, 5, 6, 7, 8], True)
    assert len(kept.store.export_page(0, 500)[0]) == 5


def test_who_is_taken_out_reads_nothing_more(kept: Kept) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.posts(kept.says("before", "#dev"))
    kept.store.join("#dev", kept.dale)
    kept.posts(kept.says("within", "#dev"))
    assert kept.texts(kept.page(0, "#dev")) == ["within"]
    kept.store.leave("#dev", kept.dale)
    assert kept.page(0, "#dev") == []


def test_a_deleted_room_is_out_of_sight_at_once_and_another_of_its_name_is_another(kept: Kept) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.posts(*[kept.says("old", "#dev")] * 1200)
    deleting = gevent.spawn(kept.store.delete_room, "#dev")
    while kept.store.rooms():
        gevent.sleep(0)
    kept.store.create_room("#dev", "#Dev", kept.dale, 2.0)
    assert kept.posts(kept.says("new", "#dev")) == [(1, False, None)]
    deleting.get(timeout=TEST_TIMEOUT)
    assert kept.texts([each.message for each in kept.store.export_page(0, 99)[0]]) == ["new"]
    assert (kept.finds("old"), [room.head for room in kept.store.rooms()]) == ([], [1])


def test_nobody_reads_in_a_deleted_room_while_what_was_said_there_is_still_going(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.store.join("#dev", kept.dale)
    device = kept.device(kept.dale, "laptop").id
    kept.posts(kept.says("secret", "#dev", account=kept.dale, device=device, id="m1"), kept.says())
    monkeypatch.setattr(kept.store, "finish_deletions", lambda: None)
    kept.store.delete_room("#dev")
    assert kept.store.backlog(kept.dale) == {DIRECT: 1} and kept.finds("secret", kept.dale) == []
    assert [placed.message.conversation for placed in kept.store.export_page(0, 9, kept.dale)[0]] == [DIRECT]
    assert [placed.message.conversation for placed in kept.store.export_page(0, 9)[0]] == [DIRECT]
    assert kept.device(kept.dale, "laptop").cursors == {DIRECT: 0}
    assert kept.store.find_by_message_id(kept.dale, "m1") == []


def test_sanctions_and_roles_are_kept_until_they_are_lifted(kept: Kept) -> None:
    muted = Sanction("mute", "dale", "hank", "noise", 1.0, 2.0)
    banned = Sanction("name", "dale", "hank", "", 1.0)
    longer = Sanction("mute", "dale", "server", "", 3.0)
    for sanction in (muted, banned, longer):
        kept.store.add_sanction(sanction)
    assert sorted(kept.store.sanctions(), key=lambda each: each.kind) == [longer, banned]
    kept.store.remove_sanctions("mute", ["dale", "nobody"])
    assert kept.store.sanctions() == [banned]
    kept.store.set_role(kept.hank, "operator")
    assert {each.key: each.role for each in kept.store.accounts()} == {"hank": "operator", "dale": ""}


def test_a_deleted_room_is_not_closed_any_more(kept: Kept) -> None:
    kept.store.create_room("#dev", "#Dev", kept.hank, 1.0)
    kept.store.add_sanction(Sanction("close", "#dev", "hank", "", 1.0))
    kept.store.delete_room("#dev")
    assert kept.store.sanctions() == []


def test_blocks_go_with_the_account_that_made_them(kept: Kept) -> None:
    kept.store.block(kept.hank, {"dale": "Dale", "bill": "Bill"})
    kept.store.block(kept.dale, {"hank": "Hank"})
    kept.store.block(kept.hank, {"dale": "DALE"})
    kept.store.unblock(kept.hank, "bill")
    assert sorted(kept.store.blocks()) == [(kept.hank, "dale", "DALE"), (kept.dale, "hank", "Hank")]
    kept.store.delete_account(kept.hank)
    assert list(kept.store.blocks()) == [(kept.dale, "hank", "Hank")]


def test_a_messages_way_is_who_may_read_it_and_how_far_each_device_is(kept: Kept) -> None:
    kept.room("#dev")
    laptop = kept.device(kept.hank, "laptop").id
    phone = kept.device(kept.dale, "phone").id
    bill = kept.store.create_account("bill", "Bill", "hash", 1.0).id
    for account in (kept.hank, kept.dale):
        kept.store.join("#dev", account)
    kept.posts(kept.says("naïve 🙂", "#dev", device=laptop, id="m1"), kept.says("later", "#dev"))
    kept.store.join("#dev", bill)
    kept.store.acknowledge(phone, "#dev", 1)
    kept.store.mark_read(kept.dale, "#dev", 1)
    way = kept.store.trace("#dev", 1)
    assert way is not None and (way.first_seq, way.head) == (1, 2)
    assert way.sent == SentInfo("Hank", "Dale", 5.0, 7, False, laptop, "laptop", "m1")
    assert way.readers == [
        ReaderInfo(kept.hank, 1, 0, [DeviceCursor(laptop, "laptop", 0)]),
        ReaderInfo(kept.dale, 1, 1, [DeviceCursor(phone, "phone", 1)]),
        ReaderInfo(bill, 3, 0, []),
    ]


def test_what_is_not_there_has_no_way_and_what_was_erased_has_one(kept: Kept) -> None:
    device = kept.device(kept.hank, "laptop").id
    kept.posts(kept.says("old", time=1.0), kept.says("secret", device=device), kept.says())
    kept.store.erase_messages(kept.hank)
    kept.store.prune(2.0)
    ways = [kept.store.trace(DIRECT, seq) for seq in (1, 2, 4)]
    assert [(way.first_seq, way.head, way.sent is None) for way in ways if way] == [
        (2, 3, True),
        (2, 3, False),
        (2, 3, True),
    ]
    erased = ways[1] and ways[1].sent
    assert erased and (erased.erased, erased.size) == (True, 0)
    assert kept.store.trace("#none", 1) is None


def test_what_was_sent_under_an_id_is_found_by_account(kept: Kept) -> None:
    kept.room("#dev")
    devices = [kept.device(kept.hank, name).id for name in ("laptop", "phone")]
    other = kept.device(kept.dale, "tablet").id
    kept.posts(kept.says("x"), *[kept.says("y", device=device, id="m1") for device in devices])
    kept.posts(kept.says("y", account=kept.dale, device=other, id="m1"))
    kept.posts(kept.says("z", "#dev", device=devices[0], id="m1"))
    assert kept.store.find_by_message_id(kept.hank, "m1") == [("#dev", 1), (DIRECT, 3), (DIRECT, 2)]
    assert (
        kept.store.find_by_message_id(kept.dale, "m1") == [(DIRECT, 4)]
        and kept.store.find_by_message_id(kept.dale, "m2") == []
    )


def test_a_store_counts_its_commits_and_what_was_in_them(kept: Kept) -> None:
    before = sum(kept.store.stats.commit_seconds.counts)
    kept.posts(*[kept.says()] * 3)
    kept.store.check_writable()
    tally = kept.store.stats
    assert (tally.batch_sizes.counts[2], tally.batch_sizes.sum, sum(tally.append_seconds.counts)) == (1, 3, 3)
    assert (
        sum(tally.commit_seconds.counts) == before + 2
        and 0 < tally.commit_seconds.quantile(0.5) <= tally.commit_seconds.sum
    )


def test_it_is_counted_how_much_is_kept_of_an_account_and_of_guests(opened: Callable[[], Store]) -> None:
    kept = Kept(store := opened())
    kept.room("#dev")
    kept.room("#old")
    texts = ["hello", "grüße", "日本語", "😀" * 100, ""]
    size = sum(len(text.encode()) for text in texts)
    kept.posts(*(kept.says(text, "#dev") for text in texts))
    kept.posts(*(kept.says(text, "#dev", account=None) for text in texts * 3))
    assert (store.stored_bytes(kept.hank), store.stored_bytes(kept.dale), store.stored_bytes(None)) == (
        size,
        0,
        3 * size,
    )
    kept.posts(kept.says("x" * 1000, "#old", account=kept.dale, time=1.0), kept.says("y", "#old", account=kept.dale))
    assert store.stored_bytes(kept.dale) == 1001
    store.prune(2.0)
    assert (store.stored_bytes(kept.dale), store.stored_bytes(kept.hank)) == (1, size)
    store.erase_messages(kept.hank)
    assert (store.stored_bytes(kept.hank), store.stored_bytes(None)) == (0, 3 * size)
    store.delete_room("#dev")
    store.finish_deletions()
    assert store.stored_bytes(None) == 0
    device = kept.device(kept.hank, "laptop").id
    for _ in range(2):  # sent again, it is kept once
        kept.posts(kept.says("again", "#old", device=device, id="m1"))
    assert store.stored_bytes(kept.hank) == 5
    if store.is_persistent:
        store.close()
        assert opened().stored_bytes(kept.hank) == 5


UNSTORABLE = "half \ud800 of a pair"


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_what_cannot_be_kept_is_refused_for_good_and_no_other_for_its_sake(count: int, kept: Kept) -> None:
    bad = count // 2
    texts = [UNSTORABLE if number == bad else f"text {number}" for number in range(count)]
    outcomes = kept.posts(*(kept.says(text, id=f"m{number}") for number, text in enumerate(texts)))
    refused = outcomes.pop(bad)
    assert isinstance(refused[2], NotStorable) and not refused[2].retryable
    assert outcomes == [(seq, False, None) for seq in range(1, count)]
    assert UNSTORABLE not in str(refused[2])
    assert [each.text for each in kept.page()] == [text for text in texts if text != UNSTORABLE]


@pytest.mark.parametrize(("repeated", "bad"), [(3, 30), (30, 3), (3, 4), (38, 39)])
def test_a_message_sent_again_beside_one_that_cannot_be_kept_costs_no_other(
    kept: Kept, repeated: int, bad: int
) -> None:
    device = kept.device(kept.hank, "laptop").id
    again = kept.says("again", device=device, id="again")
    kept.posts(again)
    posts = [kept.says(f"text {number}", device=device, id=f"m{number}") for number in range(40)]
    posts[repeated] = again
    posts[bad] = kept.says(UNSTORABLE, device=device, id="bad")
    outcomes = kept.posts(*posts)
    assert outcomes[repeated] == (1, True, None)
    assert isinstance(outcomes[bad][2], NotStorable)
    others = [outcome for place, outcome in enumerate(outcomes) if place not in (repeated, bad)]
    assert others == [(seq, False, None) for seq in range(2, 40)]


def test_whatever_else_cannot_be_kept_is_refused_for_good(kept: Kept) -> None:
    asked: list[Callable[[], Any]] = [
        lambda: kept.store.create_account(UNSTORABLE, "name", "hash", 1.0),
        lambda: kept.device(kept.hank, UNSTORABLE),
        lambda: kept.store.create_room(UNSTORABLE, "#room", kept.hank, 1.0),
        lambda: kept.store.add_sanction(Sanction("mute", "peggy", "Hank", UNSTORABLE, 1.0)),
        lambda: kept.store.block(kept.hank, {"peggy": UNSTORABLE}),
    ]
    for ask in asked:
        with pytest.raises(NotStorable) as refused:
            ask()
        assert str(refused.value) == NotStorable.message
    assert kept.posts(kept.says("still there")) == [(1, False, None)]
