"""Files in every kind of store: they wait, a message takes one, and they go with the message, however that goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.chat.records import EVERYTHING, FILE_BLOCK, About, FileInfo, FileUsage, StoredFile
from gmessenger.chat.storage import Store
from gmessenger.errors import AccountDeleted, FileQuotaExceeded, FilesFull, IdReused, NoSuchFile, WireError
from gmessenger.names import direct_key
from gmessenger.store import open_store, verify_store
from gmessenger.store.sqlite import schema
from tests.store.test_contract import DIRECT, StoreDriver, driver, opened

__all__ = ["driver", "opened"]
NUMBERS = count(1)
NO_LIMIT = 2**40
GONE = FileInfo("graph", "", "", 0)
"""What is known of a file that a message names, and that is not there any more."""


def info(id: str = "graph", size: int = 5) -> FileInfo:
    return FileInfo(id, "graph.png", "image/png", size, 640, 480)


def add(driver: StoreDriver, id: str = "graph", digest: str = "d1", time: float = 4.0, **more: Any) -> FileInfo:
    file = info(id, more.pop("size", 5))
    account = more.pop("account", driver.hank)
    driver.store.add_file(
        StoredFile(file, digest, account, time), more.pop("of_one", NO_LIMIT), more.pop("of_all", NO_LIMIT)
    )
    return file


def send(driver: StoreDriver, file: FileInfo, conversation: str = DIRECT, **more: Any) -> tuple[int, WireError | None]:
    ((seq, _, error),) = driver.append(driver.message("the graph", conversation, file=file, **more))
    return seq, error


def dropped(driver: StoreDriver) -> list[str]:
    return [digest for _, digest in driver.store.dropped_contents(10)]


def test_a_file_waits_until_a_message_takes_it(driver: StoreDriver) -> None:
    file = add(driver)
    waiting = StoredFile(file, "d1", driver.hank, 4.0)
    assert driver.store.find_file("graph") == waiting
    assert driver.store.find_file("other") is None
    assert send(driver, file) == (1, None)
    found = driver.store.find_file("graph")
    assert found is not None and found.is_sent
    (message,) = driver.page()
    assert message.file == file and message.text == "the graph"


def test_readers_of_all_kinds_get_the_file(driver: StoreDriver) -> None:
    driver.create_room("#dev")
    for account in (driver.hank, driver.dale):
        driver.store.join("#dev", account, 2.0)
    driver.append(driver.message("before", "#dev"))
    assert send(driver, add(driver), "#dev") == (2, None)
    driver.append(driver.message("after", "#dev"))
    history = driver.store.history("#dev", EVERYTHING, None, None, 10).messages
    assert [message.file for message in history] == [None, info(), None]
    assert [message.file for message in driver.page(0, "#dev")] == [None, info(), None]
    assert driver.search("graph").messages[0].file == info()
    exported, _ = driver.store.export_page(0, 10)
    assert [each.message.file for each in exported] == [None, info(), None]
    exported, _ = driver.store.export_page(0, 10, driver.dale)
    assert [each.message.file for each in exported] == [None, info(), None]


def test_a_file_begins_a_conversation(driver: StoreDriver) -> None:
    conversation = direct_key("hank", "bobby")
    assert send(driver, add(driver), conversation) == (1, None)


def test_a_message_gets_only_a_waiting_file_of_its_sender(driver: StoreDriver) -> None:
    theirs = add(driver, "theirs", account=driver.dale)
    mine = add(driver, "mine")
    for file in (theirs, info("nothing")):
        seq, error = send(driver, file)
        assert seq == 0 and isinstance(error, NoSuchFile)
    assert send(driver, mine) == (1, None)
    assert isinstance(send(driver, mine)[1], NoSuchFile)
    assert [message.seq for message in driver.page()] == [1]


def test_of_two_messages_at_once_one_gets_the_file(driver: StoreDriver) -> None:
    file = add(driver)
    outcomes = driver.append(*[driver.message(f"number {number}", file=file) for number in range(10)])
    assert [type(error) for _, _, error in outcomes].count(NoSuchFile) == 9
    assert [message.file for message in driver.page()] == [file]


def test_a_message_that_is_sent_again_keeps_its_file(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "phone").id
    file, other = add(driver), add(driver, "other")
    message = driver.message("the graph", file=file, device=device, id="one")
    others = [driver.message(f"{number}") for number in range(20)]
    outcomes = driver.append(message, *others, message)
    assert outcomes[0] == (1, False, None) and outcomes[-1] == (1, True, None)
    assert driver.append(message) == [(1, True, None)]
    for changed in (
        driver.message("the graph", file=other, device=device, id="one"),
        driver.message("the graph", device=device, id="one"),
    ):
        ((seq, is_duplicate, error),) = driver.append(changed)
        assert (seq, is_duplicate) == (1, True) and isinstance(error, IdReused)
    waiting = driver.store.find_file("other")
    assert waiting is not None and not waiting.is_sent
    driver.append(driver.message("", about=About(1, "erase"), device=device))
    assert driver.append(message) == [(1, True, None)]


@pytest.mark.parametrize("removal", ["erase", "retention", "forget"])
def test_a_message_that_is_sent_again_is_known_although_its_file_is_gone(driver: StoreDriver, removal: str) -> None:
    driver.create_room("#dev")
    device = driver.log_in(driver.hank, "phone").id
    driver.append(driver.message("before", "#dev"))
    message = driver.message("the graph", "#dev", file=add(driver), device=device, id="one")
    assert driver.append(message) == [(2, False, None)]
    REMOVALS[removal](driver)
    driver.store.flush()
    assert driver.store.find_file("graph") is None
    gone = driver.message("the graph", "#dev", file=GONE, device=device, id="one")
    nameless = driver.message("", "#dev", file=GONE, device=device, id="one")
    assert driver.append(message, gone, nameless) == [(2, True, None)] * 3
    assert driver.store.file_usage() == FileUsage()


def test_of_a_pruned_message_it_is_known_which_file_it_had(driver: StoreDriver) -> None:
    device = driver.log_in(driver.hank, "phone").id
    file, other = add(driver), add(driver, "other")
    driver.append(driver.message("one", file=file, device=device, id="one"))
    driver.append(driver.message("two", device=device, id="two"))
    driver.store.prune(5.5)
    for id, sent, is_same in (("one", file, True), ("one", other, False), ("one", None, False), ("two", other, False)):
        ((_, is_duplicate, error),) = driver.append(driver.message(id, file=sent, device=device, id=id))
        assert is_duplicate and (error is None if is_same else isinstance(error, IdReused))
    waiting = driver.store.find_file("other")
    assert waiting is not None and not waiting.is_sent


def test_a_message_with_a_file_may_have_any_text(driver: StoreDriver) -> None:
    """PostgreSQL keeps no NUL: a text with one is the same when it is sent again."""
    device = driver.log_in(driver.hank, "phone").id
    message = driver.message("nul \0", file=add(driver), device=device, id="one")
    assert driver.append(message) == [(1, False, None)] and driver.append(message) == [(1, True, None)]
    driver.store.prune(5.5)
    assert driver.append(message) == [(1, True, None)]


def test_a_file_that_is_gone_begins_no_conversation(driver: StoreDriver) -> None:
    conversation = direct_key("hank", "bobby")
    seq, error = send(driver, GONE, conversation)
    assert seq == 0 and isinstance(error, NoSuchFile)
    assert conversation not in driver.store.backlog(driver.hank)


def test_a_reply_may_have_a_file(driver: StoreDriver) -> None:
    file = add(driver)
    driver.append(driver.message("send the graph"))
    ((_, _, error),) = driver.append(driver.message("lost", file=file, about=About(7)))
    assert error is not None and error.code == "no_such_message"
    assert send(driver, file, about=About(1)) == (2, None)
    assert [(message.about, message.file) for message in driver.page()] == [(None, None), (1, file)]


def test_an_edit_leaves_the_file(driver: StoreDriver) -> None:
    send(driver, add(driver))
    driver.append(driver.message("the right graph", about=About(1, "edit", edit_for=1e9)))
    first = driver.page()[0]
    assert (first.text, first.file) == ("the right graph", info())


REMOVALS: dict[str, Callable[[StoreDriver], object]] = {
    "erase": lambda on: on.append(on.message("", "#dev", about=About(2, "erase"))),
    "retention": lambda on: on.store.prune(5.5),
    "forget": lambda on: on.store.erase_messages(on.hank),
    "room": lambda on: on.store.delete_room("#dev"),
}


@pytest.mark.parametrize("removal", REMOVALS)
def test_a_file_goes_with_its_message(driver: StoreDriver, removal: str) -> None:
    driver.create_room("#dev")
    for account in (driver.hank, driver.dale):
        driver.store.join("#dev", account, 2.0)
    driver.append(driver.message("before", "#dev"))
    assert send(driver, add(driver), "#dev") == (2, None)
    add(driver, "waiting", "d2")
    REMOVALS[removal](driver)
    driver.store.flush()
    assert driver.store.find_file("graph") is None and driver.store.find_file("waiting") is not None
    assert dropped(driver) == ["d1"]
    assert driver.store.file_usage() == driver.store.file_usage(driver.hank) == FileUsage(1, FILE_BLOCK)


def test_a_content_is_used_while_a_file_has_it(driver: StoreDriver) -> None:
    add(driver, "one"), add(driver, "two"), add(driver, "three", "d2")
    driver.store.drop_file("one")
    assert dropped(driver) == ["d1"] and driver.store.used_contents(["d1", "d2", "d3"]) == {"d1", "d2"}
    driver.store.drop_file("two")
    assert driver.store.used_contents(["d1", "d2"]) == {"d2"}
    numbers = [number for number, _ in driver.store.dropped_contents(10)]
    driver.store.forget_dropped(numbers[:1])
    assert [number for number, _ in driver.store.dropped_contents(10)] == numbers[1:]


def test_files_that_were_not_sent_expire(driver: StoreDriver) -> None:
    send(driver, add(driver, "sent", time=1.0))
    add(driver, "old", "d2", time=1.0)
    add(driver, "new", "d3", time=3.0)
    assert driver.store.expire_files(2.0) == 1
    assert [driver.store.find_file(id) is not None for id in ("sent", "old", "new")] == [True, False, True]
    driver.store.drop_file("sent")
    assert driver.store.find_file("sent") is not None


def test_the_limits_hold_for_one_account_and_for_all(driver: StoreDriver) -> None:
    limits = {"of_one": 2 * FILE_BLOCK, "of_all": 3 * FILE_BLOCK}
    add(driver, "one", size=FILE_BLOCK + 1, **limits)
    with pytest.raises(FileQuotaExceeded):
        add(driver, "two", size=1, **limits)
    add(driver, "three", size=1, account=driver.dale, **limits)
    with pytest.raises(FilesFull):
        add(driver, "four", size=1, account=driver.dale, **limits)
    assert driver.store.file_usage(driver.hank) == FileUsage(1, 2 * FILE_BLOCK)
    assert driver.store.file_usage(driver.dale) == FileUsage(1, FILE_BLOCK)
    assert driver.store.file_usage() == FileUsage(2, 3 * FILE_BLOCK)
    assert dropped(driver) == []


def test_no_two_files_that_are_added_at_once_exceed_a_limit(driver: StoreDriver) -> None:
    def try_add(id: str) -> bool:
        try:
            add(driver, id, of_one=3 * FILE_BLOCK)
        except FileQuotaExceeded:
            return False
        return True

    added = [gevent.spawn(try_add, f"file {number}") for number in range(8)]
    assert [each.get(timeout=30) for each in added].count(True) == 3
    assert driver.store.file_usage().count == 3


def test_a_deleted_account_keeps_what_it_has_sent(driver: StoreDriver) -> None:
    send(driver, add(driver, "sent"))
    add(driver, "waiting", "d2")
    driver.store.delete_account(driver.hank)
    assert driver.store.find_file("sent") is not None and driver.store.find_file("waiting") is None
    with pytest.raises(AccountDeleted):
        add(driver, "late")


def test_files_are_kept(driver: StoreDriver, opened: Callable[[], Store]) -> None:
    send(driver, add(driver))
    if driver.store.is_persistent:
        files_id = driver.store.files_id
        driver.store.close()
        store = opened()
        assert store.files_id == files_id and len(files_id) == 32
        found = store.find_file("graph")
        assert found is not None and found.is_sent


def make_store_of_the_release_before(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        steps = schema.MIGRATIONS[: schema.MIGRATIONS.index(schema.ADD_FILES)]
        for step in steps:
            for statement in step:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("INSERT INTO accounts (key, name, password, created) VALUES ('hank', 'Hank', 'hash', 1.0)")


def test_a_store_of_the_release_before_gets_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    make_store_of_the_release_before(file)
    url = f"sqlite:///{file}"
    assert verify_store(url).faults == []
    store = open_store(url)
    store.add_file(StoredFile(info(), "d1", 1, 4.0), NO_LIMIT, NO_LIMIT)
    assert store.file_usage(1) == FileUsage(1, FILE_BLOCK)
    store.close()
    assert verify_store(url).faults == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE files SET seq = 9, conversation_id = 9", "1 files belong to no message."),
        ("UPDATE file_usage SET size = 7", "1 accounts have files that are counted wrongly."),
    ],
)
def test_verification_finds_what_does_not_fit(tmp_path: Path, damage: str, fault: str) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    hank = store.create_account("hank", "Hank", "hash", 1.0).id
    store.add_file(StoredFile(info(), "d1", hank, 4.0), NO_LIMIT, NO_LIMIT)
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as db, db:
        db.execute(damage)
    assert fault in verify_store(url).faults
