# ruff: noqa: F811  (fixtures that are imported)
"""Replies, edits, erases and reactions: part of the `Store` contract, tested against every backend."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gmessenger.chat.records import EVERYTHING, About, ConversationRow, NewMessage, Reaction, StoredMessage
from gmessenger.chat.storage import Store
from gmessenger.errors import IdReused, NoSuchMessage, NoSuchRoom, NotYours, TooLate, TooManyReactions, WireError
from gmessenger.room_rules import RoomRules
from gmessenger.store import common, open_store, verify_store
from gmessenger.store.amendments import MAX_REACTION_TEXTS
from tests.store.test_contract import DIRECT, StoreDriver, driver, opened  # noqa: F401  (fixtures)

HOUR = 3600.0


def amend(driver: StoreDriver, seq: int, what: str, text: str = "", **more: Any) -> NewMessage:
    """Return an amendment by Hank, within the time in which he may edit."""
    rights = {name: more.pop(name) for name in ("is_own", "may_moderate", "by") if name in more}
    about = About(seq, what, edit_for=more.pop("edit_for", HOUR), **rights)
    return driver.message(text, about=about, **more)


def errors(outcomes: list[tuple[int, bool, WireError | None]]) -> list[type[WireError] | None]:
    return [type(error) if error is not None else None for _, _, error in outcomes]


def history(driver: StoreDriver, conversation: str = DIRECT, **more: Any) -> list[StoredMessage]:
    before, after, limit = more.pop("before", None), more.pop("after", None), more.pop("limit", 100)
    return driver.store.history(conversation, EVERYTHING, before, after, limit, **more).messages


def test_a_message_has_its_kind_and_a_reply_what_it_is_about(driver: StoreDriver) -> None:
    replies = [driver.message("waves", kind="action"), driver.message("yes", about=About(1)), driver.message("plain")]
    assert driver.append(*replies[:1]) == [(1, False, None)]
    assert driver.append(*replies[1:]) == [(2, False, None), (3, False, None)]
    assert [(each.kind, each.about, each.what) for each in driver.page()] == [
        ("action", None, ""),
        ("", 1, ""),
        ("", None, ""),
    ]
    assert history(driver) == driver.page()


@pytest.mark.parametrize("about", [0, -1, 2, 2**53])
@pytest.mark.parametrize("what", ["", "edit", "erase", "react", "unreact"])
def test_nothing_is_about_a_message_that_is_not_there(about: int, what: str, driver: StoreDriver) -> None:
    driver.append(driver.message("one"))
    message = driver.message("\N{THUMBS UP SIGN}", about=About(about, what))
    assert driver.append(message, driver.message("two"))[0][2].__class__ is NoSuchMessage
    assert driver.texts(driver.page()) == ["one", "two"]


def test_a_reply_may_come_in_one_commit_with_what_it_is_about(driver: StoreDriver) -> None:
    first, more = driver.message("one"), [driver.message("two", about=About(1)), driver.message("three")]
    assert driver.append(first, *more) == [(1, False, None), (2, False, None), (3, False, None)]
    again = [driver.message("five", about=About(4)), driver.message("six", about=About(6)), driver.message("seven")]
    outcomes = driver.append(driver.message("four"), *again, driver.message("eight", about=About(6)))
    assert errors(outcomes) == [None, None, NoSuchMessage, None, None]
    assert [(each.text, each.about) for each in history(driver)][3:] == [
        ("four", None),
        ("five", 4),
        ("seven", None),
        ("eight", 6),
    ]


def test_of_a_conversation_that_does_not_exist_nothing_can_be_about_anything(driver: StoreDriver) -> None:
    for what in ("", "erase"):
        message = driver.message("x", "#gone", about=About(1, what))
        assert errors(driver.append(message)) == [NoSuchRoom]
        other = NewMessage("hank peggy", "Hank", "Peggy", "x", 5.0, driver.hank, about=About(1, what))
        assert errors(driver.append(other)) == [NoSuchMessage]
    assert driver.conversations(driver.hank) == []


def test_an_edit_changes_the_text_the_index_and_what_was_read_before(driver: StoreDriver) -> None:
    driver.append(driver.message("the wrogn text"), driver.message("another"))
    assert driver.append(amend(driver, 1, "edit", "the right text", time=7.0)) == [(3, False, None)]
    edited, other, edit = driver.page()
    assert (edited.text, edited.edited, edited.erased) == ("the right text", 7.0, False)
    assert (other.text, other.edited) == ("another", None)
    assert (edit.text, edit.about, edit.what, edit.seq) == ("the right text", 1, "edit", 3)
    assert driver.find_texts("right") == ["the right text"]
    assert driver.find_texts("wrogn") == []
    assert [each.seq for each in history(driver)] == [1, 2]
    assert [each.seq for each in history(driver, amendments=True)] == [1, 2, 3]


def test_an_edit_tells_nothing_of_what_was_edited_in_a_later_absence(driver: StoreDriver) -> None:
    store = driver.store
    store.create_room("#dev", "#dev", driver.hank, 1.0, RoomRules(history="joined"))

    def be_absent_while(*said: NewMessage) -> None:
        store.leave("#dev", driver.dale)
        driver.append(*said)
        store.join("#dev", driver.dale, 3.0)

    def edit(seq: int, text: str, time: float) -> NewMessage:
        return amend(driver, seq, "edit", text, conversation="#dev", time=time)

    store.join("#dev", driver.dale, 2.0)
    driver.append(driver.message("first", "#dev"))
    be_absent_while(driver.message("secret", "#dev"))
    driver.append(edit(2, "said to all", 5.0), edit(1, "first again", 6.0))
    assert driver.texts(driver.page(conversation="#dev")) == ["first again", "said to all", "first again"]
    be_absent_while(edit(2, "another secret", 7.0))
    readable = store.read_range(driver.dale, "#dev")
    assert readable is not None and readable.absences == [(2, 2), (5, 5)]
    assert driver.texts(driver.page(conversation="#dev")) == ["first again", "", "first again"]
    backwards = store.history("#dev", readable, None, None, 10, amendments=True).messages
    assert driver.texts(backwards) == ["first again", "", "first again"]
    exported, _ = store.export_page(0, 10, driver.dale)
    assert [entry.message.text for entry in exported] == ["first again", "", "first again"]
    driver.append(edit(2, "to all again", 8.0))
    assert driver.texts(driver.page(conversation="#dev"))[1:] == ["", "first again", "to all again"]
    assert driver.texts(store.page(driver.hank, "#dev", 4).messages) == ["to all again"] * 2


def test_an_edit_of_a_message_in_the_same_commit(driver: StoreDriver) -> None:
    messages = [driver.message(f"wrogn {number}") for number in range(1, 4)]
    edits = [amend(driver, number, "edit", f"right {number}") for number in (1, 2)]
    driver.append(*messages, *edits, driver.message("after"), amend(driver, 2, "erase"))
    assert driver.texts(history(driver)) == ["right 1", "", "wrogn 3", "after"]
    assert driver.find_texts("right") == ["right 1"]
    assert driver.find_texts("wrogn") == ["wrogn 3"]
    assert driver.store.stored_bytes(driver.hank) == len("right 1wrogn 3after")
    assert driver.texts(driver.page()[3:]) == ["right 1", "", "after", ""]


def test_an_erased_text_is_nowhere(driver: StoreDriver) -> None:
    driver.append(driver.message("a password"), driver.message("b"), amend(driver, 1, "edit", "still a password"))
    driver.append(amend(driver, 1, "react", "\N{THUMBS UP SIGN}", account=driver.dale))
    assert driver.append(amend(driver, 1, "erase", time=9.0)) == [(5, False, None)]
    page = driver.page()
    assert driver.texts(page) == ["", "b", "", "", ""]
    assert (page[0].erased, page[0].erased_by, page[0].erased_at) == (True, "Hank", 9.0)
    assert [each.erased for each in page] == [True, False, True, True, False]
    assert (page[4].about, page[4].what) == (1, "erase")
    assert driver.find_texts("password") == []
    exported, _ = driver.store.export_page(0, 10)
    assert [entry.message.text for entry in exported] == ["", "b", "", "", ""]
    assert history(driver)[0].reactions == []
    assert driver.store.stored_bytes(driver.hank) == len("b")
    assert driver.store.stored_bytes(driver.dale) == 0


def test_what_is_erased_or_itself_an_amendment_is_not_amended(driver: StoreDriver) -> None:
    driver.append(driver.message("a"), amend(driver, 1, "erase"), amend(driver, 1, "erase"))
    for seq in (1, 2):
        for what in ("edit", "erase", "react", "unreact"):
            assert errors(driver.append(amend(driver, seq, what, "x"))) == [NoSuchMessage]
    assert driver.append(driver.message("a reply to it", about=About(1))) == [(3, False, None)]


def test_only_the_author_edits_and_within_a_time(driver: StoreDriver) -> None:
    driver.append(driver.message("mine", time=100.0), driver.message("a guest's", account=None, time=100.0))
    by_dale = amend(driver, 1, "edit", "x", account=driver.dale, time=101.0)
    assert errors(driver.append(by_dale)) == [NotYours]
    ((_, _, error),) = driver.append(amend(driver, 1, "edit", "x", time=100.0 + HOUR))
    assert (type(error), error and error.limit) == (TooLate, 3600)
    assert errors(driver.append(amend(driver, 1, "edit", "x", time=100.0, edit_for=0.0))) == [TooLate]
    assert errors(driver.append(amend(driver, 1, "edit", "y", time=99.0 + HOUR))) == [None]
    guest = {"account": None, "time": 101.0}
    assert errors(driver.append(amend(driver, 2, "edit", "x", **guest))) == [NotYours]
    assert errors(driver.append(amend(driver, 1, "edit", "x", is_own=True, **guest))) == [NotYours]
    assert errors(driver.append(amend(driver, 2, "edit", "z", is_own=True, **guest))) == [None]
    assert driver.texts(history(driver)) == ["y", "z"]


def test_who_may_moderate_erases_what_others_said_and_edits_nothing(driver: StoreDriver) -> None:
    driver.append(driver.message("one"), driver.message("two"))
    dale: dict[str, Any] = {"account": driver.dale, "may_moderate": True}
    assert errors(driver.append(amend(driver, 1, "edit", "x", **dale))) == [NotYours]
    assert errors(driver.append(amend(driver, 1, "erase", **dale, by="server"))) == [None]
    assert errors(driver.append(amend(driver, 2, "erase", account=driver.dale))) == [NotYours]
    assert [(each.text, each.erased_by) for each in history(driver)] == [("", "server"), ("two", None)]
    assert errors(driver.append(amend(driver, 2, "erase"))) == [None]
    assert [each.erased_by for each in driver.page()] == ["server", "Hank", "server", None]


def test_reactions_are_counted_by_text_and_each_account_has_one_of_each(driver: StoreDriver) -> None:
    driver.append(driver.message("green?"))
    for account, text in ((driver.hank, "a"), (driver.dale, "a"), (driver.dale, "b"), (driver.dale, "b")):
        assert errors(driver.append(amend(driver, 1, "react", text, account=account))) == [None]
    (message,) = history(driver)
    assert message.reactions == [Reaction("a", ["Hank", "Dale"], 2), Reaction("b", ["Dale"], 1)]
    (found,) = driver.search("green").messages
    assert found.reactions == message.reactions
    assert errors(driver.append(amend(driver, 1, "unreact", "a"), amend(driver, 1, "unreact", "c"))) == [None, None]
    assert history(driver)[0].reactions == [Reaction("a", ["Dale"], 1), Reaction("b", ["Dale"], 1)]
    assert driver.find_texts("a") == []
    assert [each.what for each in driver.page()[1:]] == ["react"] * 4 + ["unreact"] * 2


def test_a_message_has_so_many_different_reactions(driver: StoreDriver) -> None:
    driver.append(driver.message("x"))
    letters = [chr(ord("A") + number) for number in range(MAX_REACTION_TEXTS + 1)]
    outcomes = driver.append(*[amend(driver, 1, "react", letter) for letter in letters])
    assert errors(outcomes) == [None] * MAX_REACTION_TEXTS + [TooManyReactions]
    assert errors(driver.append(amend(driver, 1, "react", "A", account=driver.dale))) == [None]
    assert driver.append(driver.message("next"))[0][0] == MAX_REACTION_TEXTS + 3


def test_a_resend_is_known_by_its_id_alone_once_its_text_was_changed(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "laptop").id

    def send(text: str, id: str, about: About | None = None) -> tuple[int, bool, type[WireError] | None]:
        ((seq, duplicate, error),) = driver.append(driver.message(text, device=device, id=id, about=about))
        return seq, duplicate, type(error) if error is not None else None

    edit, erase = About(1, "edit", edit_for=HOUR), About(2, "erase")
    assert [send("one", "m1")[0], send("two", "m2")[0], send("three", "m3")[0]] == [1, 2, 3]
    assert send("uno", "m4", edit) == (4, False, None)
    assert send("", "m5", erase) == (5, False, None)
    assert send("one", "m1") == send("anything", "m1") == (1, True, None)
    assert send("two", "m2") == (2, True, None)
    assert send("other", "m3") == (3, True, IdReused)
    assert send("uno", "m4", edit) == send("due", "m4", edit) == (4, True, None)
    assert send("", "m5", erase) == (5, True, None)
    assert send("one", "m1", About(2)) == (1, True, IdReused)
    assert send("uno", "m4", About(2, "edit")) == send("uno", "m4") == (4, True, IdReused)
    assert driver.append(driver.message("next"))[0][0] == 6


def test_ids_of_pruned_messages_are_known_by_a_keyed_digest(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "laptop").id
    now = 100 * 86_400.0

    def send(text: str, id: str, about: About | None = None) -> tuple[int, bool, type[WireError] | None]:
        ((seq, duplicate, error),) = driver.append(driver.message(text, device=device, id=id, about=about, time=now))
        return seq, duplicate, type(error) if error is not None else None

    edit = About(1, "edit", edit_for=HOUR)
    sent = [("one", "m1", None), ("two", "m2", None), ("uno", "m3", edit), ("re", "m4", About(1))]
    for text, id, about in sent:
        send(text, id, about)
    assert driver.store.prune(now + 1) == 4
    for number, (text, id, about) in enumerate(sent, 1):
        assert send(text, id, about) == (number, True, None)
    assert send("other", "m2") == (2, True, IdReused)
    assert send("anything", "m1") == (1, True, None)
    assert send("re", "m4", About(2)) == send("re", "m4") == (4, True, IdReused)


def test_pruning_and_erasing_an_account_take_reactions_with_them(driver: StoreDriver) -> None:
    driver.append(
        driver.message("old", time=1.0), driver.message("hank's"), driver.message("dale's", account=driver.dale)
    )
    for seq in (1, 2, 3):
        driver.append(amend(driver, seq, "react", "a"), amend(driver, seq, "react", "a", account=driver.dale))
    driver.store.prune(2.0)
    assert [message.reactions[0].count for message in history(driver)] == [2, 2]
    driver.store.erase_messages(driver.hank)
    erased, kept = history(driver)
    assert (erased.erased, erased.reactions) == (True, [])
    assert kept.reactions == [Reaction("a", ["Dale"], 1)]
    driver.store.delete_account(driver.dale)
    assert [message.reactions for message in history(driver)] == [[], []]


def test_conversations_tell_how_many_of_the_unread_are_quiet(
    driver: StoreDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.append(driver.message("one"))
    driver.append(driver.message("two", about=About(1)))
    driver.append(amend(driver, 1, "edit", "x"), amend(driver, 2, "react", "a"), amend(driver, 2, "erase"))
    driver.store.mark_read(driver.dale, DIRECT, 3)
    assert [row.quiet for row in driver.conversations(driver.hank)] == [3]
    assert driver.conversations(driver.dale) == [ConversationRow("hank", "Hank", 5, 1, 3, 5.0, 2)]


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_history_goes_on_behind_any_number_of_reactions(limit: int, driver: StoreDriver) -> None:
    shown = []
    for text in ("a", "b", "c", "d"):
        shown.append(driver.append(driver.message(text))[0][0])
        driver.append(*[amend(driver, shown[-1], "react", "x") for _ in range(60)])
    for after in (0, *shown):
        page = driver.store.history(DIRECT, EVERYTHING, None, after, limit)
        expected = [seq for seq in shown if seq > after]
        assert [message.seq for message in page.messages] == expected[:limit]
        assert page.more == (len(expected) > limit)
    for before in (*shown, None):
        page = driver.store.history(DIRECT, EVERYTHING, before, None, limit)
        expected = [seq for seq in shown if before is None or seq < before]
        assert [message.seq for message in page.messages] == expected[-limit:]
        assert page.more == (len(expected) > limit)


def test_a_trace_tells_who_erased_a_message_and_when(driver: StoreDriver) -> None:
    driver.append(driver.message("a", kind="notice"), amend(driver, 1, "erase", time=8.0))
    trace = driver.store.trace(DIRECT, 1)
    assert trace is not None
    assert trace.sent is not None
    assert (trace.sent.kind, trace.sent.erased_by, trace.sent.erased_at) == ("notice", "Hank", 8.0)
    trace = driver.store.trace(DIRECT, 2)
    assert trace is not None
    assert trace.sent is not None
    assert (trace.sent.about, trace.sent.what, trace.sent.size) == (1, "erase", 0)


def test_amendments_survive_a_restart_and_the_index_is_whole(
    opened: Callable[[], Store],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(common, "PRUNE_DELAY", 0.0)
    store = opened()
    driver = StoreDriver(store)
    driver.append(*[driver.message(f"word{number}x here") for number in range(30)])
    for number in range(0, 30, 3):
        driver.append(amend(driver, number + 1, "edit", f"changed{number}"), amend(driver, number + 2, "erase"))
    assert driver.find_texts("word0x") == driver.find_texts("word1x") == []
    assert driver.find_texts("word2x") == ["word2x here"]
    assert driver.find_texts("changed0") == ["changed0"]
    store.prune(1.0)
    store.erase_messages(driver.hank)
    assert driver.find_texts("here") == []


@pytest.mark.parametrize("is_together", [True, False])
@pytest.mark.parametrize("way", ["erase", "forget", "prune"])
def test_reactions_to_what_is_erased_are_stored_no_longer(way: str, is_together: bool, driver: StoreDriver) -> None:
    dale = {"account": driver.dale}
    reactions = [amend(driver, 1, what, "x", **dale) for what in ("react", "unreact", "react")]
    said = [driver.message("one", time=1.0), driver.message("two", **dale), *reactions]
    said += [amend(driver, 2, "react", "y", **dale), amend(driver, 1, "erase", account=None, may_moderate=True)]
    for some in [said] if is_together else [[message] for message in said]:
        if way != "erase":
            some = [message for message in some if message.account is not None]
        assert errors(driver.append(*some)) == [None] * len(some)
    if way == "forget":
        driver.store.erase_messages(driver.hank)
    elif way == "prune":
        driver.store.prune(2.0)
        assert driver.store.stored_bytes(driver.dale) == len("twoxxxy")
        return
    assert driver.store.stored_bytes(driver.hank) == 0
    assert driver.store.stored_bytes(driver.dale) == len("twoy")
    assert driver.texts(driver.page())[:6] == ["", "two", "", "", "", "y"]


LOOSE_REACTION = "INSERT INTO reactions SELECT id, 1, 'x', 1 FROM conversations"


def insert_loose_reaction(url: str) -> None:
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
            db.execute(LOOSE_REACTION)
    else:
        with psycopg.connect(url) as connection:
            connection.execute(LOOSE_REACTION)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_reactions_without_their_message_are_a_fault(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/s.db" if kind == "sqlite" else request.getfixturevalue("postgres").database()
    driver = StoreDriver(open_store(url))
    driver.append(driver.message("a"), driver.message("b"))
    driver.append(amend(driver, 1, "react", "x"), amend(driver, 2, "react", "x"), amend(driver, 1, "erase"))
    driver.store.close()
    assert verify_store(url).faults == []
    insert_loose_reaction(url)
    assert verify_store(url).faults == ["1 reactions belong to no message."]


def test_pages_go_over_absences_and_leave_amendments_out(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    driver.store.join("#dev", driver.hank, 1.0)
    shown: list[int] = []
    for text in ("a", "b", "c"):
        driver.store.join("#dev", driver.dale, 1.0)
        shown.append(driver.append(driver.message(text, "#dev"))[0][0])
        driver.append(*[amend(driver, shown[-1], "react", "x", conversation="#dev") for _ in range(40)])
        driver.store.leave("#dev", driver.dale)
        driver.append(driver.message("not for dale", "#dev"), amend(driver, 1, "react", "y", conversation="#dev"))
    readable = driver.store.join("#dev", driver.dale, 1.0)
    assert len(readable.absences) == 3
    for limit in (1, 2, 50):
        page = driver.store.history("#dev", readable, None, 0, limit)
        assert ([item.seq for item in page.messages], page.more) == (shown[:limit], limit < 3)
        page = driver.store.history("#dev", readable, None, None, limit)
        assert ([item.seq for item in page.messages], page.more) == (shown[-limit:], limit < 3)
    assert [row.quiet for row in driver.conversations(driver.dale)] == [120]


def test_what_is_amended_before_it_is_indexed_again_is_indexed_as_it_is_then(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    driver = StoreDriver(open_store(url))
    driver.append(*[driver.message(f"word{number}x here") for number in range(6)], amend(driver, 1, "react", "x"))
    hank = driver.hank
    driver.store.close()
    with closing(sqlite3.connect(tmp_path / "s.db")) as db, db:
        db.execute("UPDATE facts SET value = 'of another release' WHERE name = 'folding'")
    store = open_store(url)
    for message in (
        amend(driver, 1, "edit", "changed"),
        amend(driver, 2, "erase"),
        driver.message("new"),
        amend(driver, 8, "edit", "x"),
    ):
        store.append(message, lambda *_: None)
    store.flush()
    assert verify_store(url).faults == []
    assert store.reindex() > 0
    store.append(amend(driver, 3, "edit", "changed"), lambda *_: None)
    store.append(amend(driver, 4, "erase"), lambda *_: None)
    store.flush()
    found = store.search(hank, "changed", None, 10, 30.0).messages
    assert [message.seq for message in found] == [3, 1]
    assert [message.seq for message in store.search(hank, "here", None, 10, 30.0).messages] == [6, 5]
    store.close()
    assert verify_store(url).faults == []
