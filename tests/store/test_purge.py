"""Erased content is in none of the store's files once a purge has returned."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.chat.records import About, Credential, DeviceLogin, NewMessage, Sanction
from gmessenger.errors import StoreUnavailable
from gmessenger.store import common
from gmessenger.store.search_text import tokenize
from gmessenger.store.sqlite import purger
from gmessenger.store.sqlite.erasure import is_pending
from gmessenger.store.sqlite.store import SqliteStore
from gmessenger.store.sqlite.verify import verify_file
from tests.support.leftovers import find_matches, find_traces
from tests.support.timeouts import TEST_TIMEOUT

SAID = "Xylographa Äußerungen 東京都"
FOLDED = tokenize(SAID)


class StoreFolder:
    """A store with the accounts hank and dale, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "store.db"
        self.store = SqliteStore(self.file, timeout=10.0)
        self.hank = self.store.create_account("hank", "Hank", "digest of hank", 1.0).id
        self.dale = self.store.create_account("dale", "Dale", "digest of dale", 1.0).id

    def append_text(self, *texts: str, conversation: str = "dale hank", time: float = 5.0) -> None:
        for text in texts:
            self.store.append(NewMessage(conversation, "Hank", "Dale", text, time, self.hank), lambda *_: None)
        self.store.flush()

    def enters(self, device: str, token: str) -> None:
        self.store.begin_session(self.hank, DeviceLogin(device, token), 1.0, Credential(password_hash="digest of hank"))

    def traces(self, *needles: str | bytes) -> list[str]:
        return find_traces(self.folder, needles)


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreFolder]:
    store_dir = StoreFolder(tmp_path)
    yield store_dir
    store_dir.store.close()
    found = verify_file(store_dir.file)
    assert found.faults == []


def append_texts(store_dir: StoreFolder) -> None:
    for batch in range(5):  # beside others, so that pages are shared
        store_dir.append_text(
            *(f"{SAID} {batch} {number}" if number % 3 == 0 else f"otherwise {number}" for number in range(60))
        )

    # A search has them indexed first.
    assert store_dir.store.search(store_dir.hank, "otherwise", None, 1, TEST_TIMEOUT).messages


def forget(store_dir: StoreFolder) -> list[str | bytes]:
    append_texts(store_dir)
    store_dir.store.erase_messages(store_dir.hank)
    return [SAID, *FOLDED]


def prune(store_dir: StoreFolder) -> list[str | bytes]:
    append_texts(store_dir)
    store_dir.append_text("kept", time=50.0)
    store_dir.store.prune(10.0)
    return [SAID, *FOLDED]


def delete_room(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.create_room("#secretroom", "#secretroom", None, 1.0)
    store_dir.store.set_topic("#secretroom", "a telling topic")
    store_dir.append_text(SAID, conversation="#secretroom")
    store_dir.store.delete_room("#secretroom")
    return [SAID, *FOLDED, "#secretroom", "telling topic"]


def delete_account(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.enters("a telling device", "token")
    store_dir.store.block(store_dir.hank, {"annoyer": "Annoyer"})
    store_dir.store.delete_account(store_dir.hank)
    return ["digest of hank", hashlib.sha256(b"token").digest(), "telling device", "annoyer"]


def set_topic(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.create_room("#dev", "#dev", None, 1.0)
    store_dir.store.set_topic("#dev", "a telling topic")
    store_dir.store.set_topic("#dev", "")
    return ["telling topic"]


def change_profiles(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.create_room("#dev", "#dev", None, 1.0)
    for said in ("something telling", ""):
        store_dir.store.change_profile(store_dir.hank, lambda stored, said=said: said)  # type: ignore[misc]
        store_dir.store.change_room_profile("#dev", lambda stored, said=said: f"{said} indeed" if said else "")  # type: ignore[misc]
    return ["something telling", "telling indeed"]


def unblock(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.block(store_dir.hank, {"annoyer": "Annoyer"})
    store_dir.store.unblock(store_dir.hank, "annoyer")
    return ["annoyer"]


def lift(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.add_sanction(Sanction("mute", "bobby", "Hank", "a telling reason", 1.0))
    store_dir.store.remove_sanctions("mute", ["bobby"])
    return ["bobby", "telling reason"]


def use_invite(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.store.add_invite("please", 1.0)
    store_dir.store.create_account("peggy", "Peggy", "digest of peggy", 1.0, invite="please")
    return [hashlib.sha256(b"please").digest()]


ERASES = (forget, prune, delete_room, delete_account, set_topic, change_profiles, unblock, lift, use_invite)


@pytest.mark.parametrize("erase", ERASES, ids=lambda erase: erase.__name__)
def test_what_is_erased_is_in_no_file_once_it_is_purged(
    store_dir: StoreFolder, erase: Callable[[StoreFolder], list[str | bytes]]
) -> None:
    needles = erase(store_dir)
    assert store_dir.traces(*needles), "it was never in a file"
    store_dir.store.purge()
    assert store_dir.traces(*needles) == []


def set_password(store_dir: StoreFolder) -> list[str | bytes]:
    store_dir.enters("laptop", "token")
    store_dir.store.set_password(store_dir.hank, "another digest")
    return ["digest of hank", hashlib.sha256(b"token").digest()]


def drop_device(store_dir: StoreFolder) -> list[str | bytes]:
    for number in range(21):
        store_dir.enters(f"device {number}!", f"token {number}")
    return ["device 0!", hashlib.sha256(b"token 0").digest()]


@pytest.mark.parametrize("erase", [set_password, drop_device], ids=lambda erase: erase.__name__)
def test_secrets_are_gone_without_being_asked_for(
    store_dir: StoreFolder, erase: Callable[[StoreFolder], list[str | bytes]]
) -> None:
    assert store_dir.traces(*erase(store_dir)) == []


@pytest.mark.parametrize("erase", ERASES, ids=lambda erase: erase.__name__)
def test_what_nothing_waits_for_is_purged_soon(
    store_dir: StoreFolder, erase: Callable[[StoreFolder], list[str | bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purger, "PURGE_INTERVAL", 0.01)
    needles = erase(store_dir)
    assert store_dir.store.purger is not None
    with gevent.Timeout(20):
        while store_dir.store.purger.is_needed:
            gevent.sleep(0.01)
    assert store_dir.traces(*needles) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_no_copy_is_left_of_what_sqlite_has_moved_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Delete rooms, prune and erase messages again and again: SQLite moves rows before they are erased."""
    monkeypatch.setattr(common, "PRUNE_DELAY", 0.0)
    chance, store = random.Random(seed), SqliteStore(tmp_path / "store.db")
    people = {f"u{number}": store.create_account(f"u{number}", f"u{number}", "", 1.0).id for number in range(12)}
    rooms = [f"#r{number}" for number in range(8)]
    for room in rooms:
        store.create_room(room, room, None, 1.0)
    kept: dict[str, tuple[str, str, float]] = {}
    for number in range(6000):
        who, room, token = chance.choice(list(people)), chance.choice(rooms), f"q{chance.getrandbits(40):010x}z"
        kept[token] = (who, room, float(number))
        text = f"{token} " + "alpha beta gamma delta " * chance.randrange(9)
        store.append(NewMessage(room, who, room, text, float(number), people[who]), lambda *_: None)
        if number % 100 == 0:
            store.flush()
    store.flush()
    gone: set[str] = set()
    for round_number in range(6):
        store.delete_room(rooms[round_number])
        store.prune(300.0 * round_number)
        store.erase_messages(people[f"u{round_number}"])
        gone |= {
            token
            for token, (who, room, time) in kept.items()
            if room == rooms[round_number] or time < 300.0 * round_number or who == f"u{round_number}"
        }
        store.purge()
        assert not gone & find_matches(tmp_path, "q[0-9a-f]{10}z")
    store.close()
    assert verify_file(tmp_path / "store.db").faults == []


def read_until(file: Path, done: threading.Event) -> threading.Thread:
    """Read in a thread that gevent does not know, as another process would."""
    started = threading.Event()

    def read() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM messages").fetchone()
            started.set()
            done.wait(30)

    thread = threading.Thread(target=read)
    thread.start()
    assert started.wait(10)
    return thread


def test_whoever_still_reads_what_was_there_is_waited_for_and_holds_nobody_else_up(store_dir: StoreFolder) -> None:
    store_dir.store._timeout = 0.3
    store_dir.append_text(SAID)
    done = threading.Event()
    reader = read_until(store_dir.file, done)
    store_dir.store.erase_messages(store_dir.hank)
    purging = gevent.spawn(store_dir.store.purge)
    store_dir.append_text("meanwhile")
    with pytest.raises(StoreUnavailable, match="may still contain traces"):
        purging.get(timeout=TEST_TIMEOUT)
    done.set()
    reader.join()
    store_dir.store.purge()
    assert store_dir.traces(SAID, *FOLDED) == []


def test_a_backup_that_is_being_written_is_finished_before_anything_is_said_to_be_gone(
    store_dir: StoreFolder,
) -> None:
    store_dir.append_text(SAID)
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> int:
        begun.set()
        go_on.wait(10)
        return 1

    def slow(db: sqlite3.Connection) -> object:
        db.create_function("wait", 0, wait)
        return db.execute("SELECT count(*), wait() FROM messages").fetchall()

    reading = gevent.spawn(store_dir.store.read, slow)
    while not begun.is_set():
        gevent.sleep(0.01)
    store_dir.store.erase_messages(store_dir.hank)
    purging = gevent.spawn(store_dir.store.purge)
    gevent.sleep(0.2)
    assert not purging.ready()
    go_on.set()
    purging.get(timeout=TEST_TIMEOUT)
    reading.get(timeout=TEST_TIMEOUT)
    assert store_dir.traces(SAID, *FOLDED) == []


def test_one_purge_serves_all_that_wait_for_it(store_dir: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_dir.store.purger is not None
    purges: list[bool] = []
    purge = store_dir.store.purger._purge

    def counted(deadline: float, thorough: bool) -> None:
        purges.append(thorough)
        purge(deadline, thorough)

    monkeypatch.setattr(store_dir.store.purger, "_purge", counted)
    store_dir.append_text(SAID)
    store_dir.store.erase_messages(store_dir.hank)
    gevent.joinall([gevent.spawn(store_dir.store.purge) for _ in range(10)], raise_error=True)
    assert purges == [True]
    store_dir.store.purge()
    assert purges == [True]


def test_pages_are_read_again_only_after_a_checkpoint(store_dir: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_dir.store.purger is not None
    scans: list[int] = []
    scan = store_dir.store.purger._scan

    def counted(suspects: set[int], size: int, free: set[int]) -> None:
        scans.append(1)
        scan(suspects, size, free)

    monkeypatch.setattr(store_dir.store.purger, "_scan", counted)
    for _ in range(3):
        append_texts(store_dir)
        store_dir.store.erase_messages(store_dir.hank)
        store_dir.store.purge()
        assert store_dir.traces(SAID, *FOLDED) == []
    assert len(scans) == 1
    append_texts(store_dir)
    store_dir.store._checkpoint_now()
    store_dir.store.erase_messages(store_dir.hank)
    store_dir.store.purge()
    assert len(scans) == 2 and store_dir.traces(SAID, *FOLDED) == []


def test_what_was_erased_before_a_clean_stop_is_gone_after_it(tmp_path: Path) -> None:
    store_dir = StoreFolder(tmp_path)
    append_texts(store_dir)
    store_dir.store.erase_messages(store_dir.hank)
    store_dir.store.close()
    assert store_dir.traces(SAID, *FOLDED) == []


def test_after_a_kill_what_was_erased_is_purged_by_the_next_server(tmp_path: Path) -> None:
    store_dir = StoreFolder(tmp_path / "killed")
    append_texts(store_dir)
    store_dir.store.erase_messages(store_dir.hank)
    copies = tmp_path / "copies"
    copies.mkdir()
    left = [str(tmp_path / "killed" / f"store.db{part}") for part in ("", "-wal")]
    subprocess.run(["cp", *left, str(copies)], check=True)  # what a kill leaves
    store_dir.store.close()
    assert find_traces(copies, [SAID])
    store = SqliteStore(copies / "store.db")
    assert store.purger is not None and store.purger.is_needed
    store.close()
    assert find_traces(copies, [SAID, *FOLDED]) == []


@pytest.mark.parametrize("erase", [forget, prune], ids=lambda erase: erase.__name__)
def test_killed_before_it_has_merged_the_index_a_prune_does_so_when_it_is_asked_again(
    erase: Callable[[StoreFolder], list[str | bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "_merge_index", lambda *arguments: None)
    store_dir = StoreFolder(tmp_path / "killed")
    needles = erase(store_dir)
    copies = tmp_path / "copies"
    copies.mkdir()
    left = [str(tmp_path / "killed" / f"store.db{part}") for part in ("", "-wal")]
    subprocess.run(["cp", *left, str(copies)], check=True)
    store_dir.store.close()
    monkeypatch.undo()
    store = SqliteStore(copies / "store.db")
    assert store.prune(10.0) == 0 or erase is forget
    store.purge()
    store.close()
    assert find_traces(copies, needles) == []
    assert verify_file(copies / "store.db").faults == []


@pytest.mark.parametrize("is_begun_anew", [False, True])
def test_pages_that_are_logged_while_the_log_is_read_are_looked_at(
    store_dir: StoreFolder, monkeypatch: pytest.MonkeyPatch, is_begun_anew: bool
) -> None:
    append_texts(store_dir)
    store_dir.store.purge()
    purger = store_dir.store.purger
    assert purger is not None
    read, run, scanned = purger._read_wal, purger._in_thread, []
    looks: list[set[int]] = []

    def read_and_commit(work: Any) -> set[int]:
        looks.append(read(work))
        if len(looks) == 1:
            store_dir.append_text("meanwhile")
            monkeypatch.setattr(purger, "_in_thread", checkpoint)
        return looks[-1]

    def checkpoint(call: Any) -> Any:
        monkeypatch.setattr(purger, "_in_thread", run)
        done = run(call)
        if is_begun_anew:  # by the first commit behind a checkpoint
            store_dir.append_text("behind that")
        return done

    monkeypatch.setattr(purger, "_read_wal", read_and_commit)
    monkeypatch.setattr(purger, "_scan", lambda *_: scanned.append(True))
    store_dir.append_text("before")
    purger._find_work(everywhere=False)
    assert len(looks) == 2 and looks[1]
    assert scanned == ([True] if is_begun_anew else [])


def wait_for_passes(store: SqliteStore) -> None:
    with gevent.Timeout(TEST_TIMEOUT):
        while store.erasures.is_pending:
            gevent.sleep(0.01)


def amend_texts(store_dir: StoreFolder, what: str, seqs: range, text: str = "") -> None:
    """Have Hank edit or erase what he said."""
    for seq in seqs:
        about = About(seq, what, edit_for=1000.0)
        message = NewMessage("dale hank", "Hank", "Dale", text, 6.0, store_dir.hank, about=about)
        store_dir.store.append(message, lambda seq, _, error: None)
    store_dir.store.flush()


def test_what_was_edited_or_erased_is_out_of_the_files_after_one_pass(
    store_dir: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    take_out, store = store_dir.store.take_out_erased, store_dir.store
    monkeypatch.setattr(store.erasures, "_run_pass", lambda: (passes.append(1), take_out()))
    store_dir.append_text(*[f"{SAID} number{index}xx" for index in range(400)])
    store_dir.append_text("kept")
    amend_texts(store_dir, "erase", range(1, 201))
    amend_texts(store_dir, "edit", range(201, 401), "another")
    assert not store.search(store_dir.hank, "Xylographa", None, 10, 30.0).messages
    store.erase_within = 0.02
    wait_for_passes(store)
    assert len(passes) == 1
    assert store_dir.traces(SAID, *FOLDED, "number7xx", "number300xx") == []
    assert store_dir.traces("kept") != []
    assert len(store.search(store_dir.hank, "another", None, 500, 30.0).messages) == 200


def test_after_a_stop_what_was_erased_is_taken_out_by_the_next_server(tmp_path: Path) -> None:
    store_dir = StoreFolder(tmp_path)
    store_dir.append_text(SAID, "kept")
    amend_texts(store_dir, "erase", range(1, 2))
    store_dir.store.close()
    store = SqliteStore(store_dir.file)
    assert store.erasures.is_pending
    store.erasures.close()
    store.take_out_erased()
    assert store_dir.traces(SAID, *FOLDED) == []
    store.close()


def test_what_is_erased_while_the_note_of_a_pass_is_dropped_has_a_note_itself(
    store_dir: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_dir.store
    store_dir.append_text(SAID, SAID)

    def run_pass() -> None:
        if len(passes) == 0:  # in the commit that drops the note, if any does
            about = About(2, "erase")
            store.append(NewMessage("dale hank", "Hank", "Dale", "", 6.0, store_dir.hank, about=about), lambda *_: None)
        passes.append(1)
        store.erase_within = 600.0

    passes: list[int] = []
    monkeypatch.setattr(store.erasures, "_run_pass", run_pass)
    store.erase_within = 0.0
    amend_texts(store_dir, "erase", range(1, 2))
    with gevent.Timeout(TEST_TIMEOUT):
        while not passes:
            gevent.sleep(0.001)
    store.flush()
    assert store.read(is_pending)
    store.erase_within = 0.0
    wait_for_passes(store)
    assert len(passes) == 2 and not store.read(is_pending)


def test_a_shorter_time_holds_for_what_is_erased_already(store_dir: StoreFolder) -> None:
    store_dir.append_text(SAID)
    amend_texts(store_dir, "erase", range(1, 2))
    assert store_dir.store.erasures.is_pending
    store_dir.store.erase_within = 0.01
    wait_for_passes(store_dir.store)
    assert store_dir.traces(SAID, *FOLDED) == []
