"""Stores whose files are moved, replaced or removed while open, and stores with several names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult

from gmessenger.chat.records import NewMessage
from gmessenger.errors import StoreLocked, StoreUnavailable, WireError
from gmessenger.store import verify_store
from gmessenger.store.sqlite.datafile import DataFile, lock_holder
from gmessenger.store.sqlite.store import SqliteStore
from gmessenger.store.sqlite.verify import verify_file
from tests.support.admin_cli import StoreDirectory as Admin
from tests.support.server import ServerProcess
from tests.support.timeouts import TEST_TIMEOUT


class OpenedStore:
    """An open store with twenty messages, in a folder of its own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.folder = top / "folder"
        self.file = self.folder / "m.db"
        self.store = SqliteStore(self.file, timeout=10.0)
        for number in range(20):
            assert self.append_text(f"before {number}") is None

    def append_text(self, text: str) -> WireError | None:
        result: AsyncResult[WireError | None] = AsyncResult()
        self.store.append(NewMessage("dale hank", "Hank", "Dale", text, 1.0), lambda seq, _, error: result.set(error))
        return result.get(timeout=TEST_TIMEOUT)

    def rename(self, part: str = "", to: str = "gone") -> Path:
        target = self.top / to
        return Path(f"{self.file}{part}").rename(target)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenedStore]:
    opened = OpenedStore(tmp_path)
    yield opened
    opened.store.close()


def messages(file: Path) -> int:
    report = verify_file(file)
    assert report.faults == []
    return report.counts["messages"]


def move(opened: OpenedStore) -> None:
    opened.rename()


def replace_by_nothing(opened: OpenedStore) -> None:
    opened.rename()
    opened.file.touch()


def replace_by_another(opened: OpenedStore) -> None:
    opened.rename()
    opened.file.write_bytes(b"another store's, and no business of ours" * 1000)


def move_the_folder(opened: OpenedStore) -> None:
    opened.folder.rename(opened.top / "elsewhere")


def another_folder(opened: OpenedStore) -> None:
    move_the_folder(opened)
    opened.folder.mkdir()
    opened.file.write_bytes(b"another")


def move_the_log(opened: OpenedStore) -> None:
    opened.rename("-wal")


def remove_the_index_of_the_log(opened: OpenedStore) -> None:
    Path(f"{opened.file}-shm").unlink()


def remove(opened: OpenedStore) -> None:
    opened.file.unlink()


def remove_all(opened: OpenedStore) -> None:
    shutil.rmtree(opened.folder)


DAMAGES = (
    *(move, replace_by_nothing, replace_by_another, move_the_folder, another_folder, move_the_log),
    *(remove_the_index_of_the_log, remove, remove_all),
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_nothing_is_said_to_be_stored_and_nothing_that_is_not_ours_is_touched(
    opened: OpenedStore, damage: Callable[[OpenedStore], None]
) -> None:
    assert opened.store.find_fault() == ""
    damage(opened)
    before = {path: path.read_bytes() for path in (opened.file,) if path.exists() and path.stat().st_size < 100_000}
    assert isinstance(opened.append_text("after"), StoreUnavailable)
    assert opened.store.find_fault().startswith(str(opened.file)) and opened.store.suggest_remedy()
    for asked in (
        opened.store.check_writable,
        opened.store.flush,
        lambda: opened.store.create_account("a", "A", "", 1.0),
    ):
        with pytest.raises(StoreUnavailable, match="moved or replaced"):
            asked()
    opened.store.close()
    if damage not in (move_the_log, remove_the_index_of_the_log):
        assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("damage", [move, replace_by_nothing, replace_by_another], ids=lambda damage: damage.__name__)
def test_the_moved_file_has_all_that_was_stored(opened: OpenedStore, damage: Callable[[OpenedStore], None]) -> None:
    damage(opened)
    assert opened.append_text("after") is not None
    opened.store.close()
    assert messages(opened.top / "gone") == 20


def test_a_folder_that_was_moved_has_all_that_was_stored(opened: OpenedStore) -> None:
    move_the_folder(opened)
    opened.store.close()
    assert messages(opened.top / "elsewhere" / "m.db") == 20


@pytest.mark.parametrize("damage", [move_the_log, remove_the_index_of_the_log], ids=lambda damage: damage.__name__)
def test_without_its_log_the_store_has_all_that_was_stored(
    opened: OpenedStore, damage: Callable[[OpenedStore], None]
) -> None:
    damage(opened)
    assert opened.append_text("after") is not None
    opened.store.close()
    assert messages(opened.file) == 20
    store = SqliteStore(opened.file)
    assert store.find_fault() == ""
    store.close()


@pytest.mark.parametrize("part", ["", "-wal"])
def test_a_file_that_was_put_back_is_used_again(opened: OpenedStore, part: str) -> None:
    target = opened.rename(part)
    assert opened.append_text("while it was away") is not None
    target.rename(f"{opened.file}{part}")
    assert opened.append_text("after") is None and opened.store.find_fault() == ""
    opened.store.close()
    assert messages(opened.file) == 21


def test_what_was_removed_can_be_saved_by_its_descriptor(opened: OpenedStore) -> None:
    remove_all(opened)
    assert opened.append_text("after") is not None
    opened.store.writer.run_exclusive(lambda: None, 10.0)  # behind what moves the log into the file
    command = opened.store.suggest_remedy().partition(": ")[2].replace("FILE", str(opened.top / "saved"))
    assert command.startswith("cp /proc/")
    copy = "import shutil, sys; shutil.copyfile(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", copy, *command.split()[1:]], check=True)
    assert messages(opened.top / "saved") == 20


def test_what_was_stored_can_be_read_and_backed_up_while_it_is_away(opened: OpenedStore) -> None:
    opened.store.export_page(0, 10)  # a connection that reads is there
    move(opened)
    assert opened.append_text("after") is not None
    assert len(opened.store.export_page(0, 100)[0]) == 20
    opened.store.backup(str(opened.top / "backup"))
    assert messages(opened.top / "backup") == 20


def test_nothing_is_purged_where_the_files_are_not_ours(opened: OpenedStore) -> None:
    move(opened)
    opened.store.schedule_purge()
    with pytest.raises(StoreUnavailable):
        opened.store.purge()


def test_a_link_that_leads_elsewhere_by_now_is_noticed(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "one.db")
    store = SqliteStore(link)
    assert store.find_fault() == "" and (tmp_path / "one.db-wal").exists()
    (tmp_path / "two.db").touch()
    link.unlink()
    link.symlink_to(tmp_path / "two.db")
    assert "not the file that was opened" in store.find_fault()
    store.close()
    assert (tmp_path / "two.db").stat().st_size == 0 and verify_file(tmp_path / "one.db").faults == []


def test_another_process_that_has_the_moved_file_open_keeps_the_log_from_being_moved_into_it(
    opened: OpenedStore,
) -> None:
    target = opened.rename()
    hold = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('PRAGMA user_version').fetchone(); "
    hold += "db.execute('BEGIN'); db.execute('SELECT * FROM sqlite_master').fetchall(); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        before = subprocess.run(["sha256sum", str(target)], capture_output=True, check=True).stdout
        assert opened.append_text("after") is not None
        gevent.sleep(0)
        opened.store.close()
        assert subprocess.run(["sha256sum", str(target)], capture_output=True, check=True).stdout == before
        other.communicate(b"\n")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """Return the file of a store that a server has open."""
    file = tmp_path / "served" / "m.db"
    with ServerProcess("--store", f"sqlite:///{file}") as server:
        server.wait_for_port()
        yield file


def hard_link(file: Path) -> Path:
    other = file.with_name("other.db")
    os.link(file, other)
    return other


def symbolic_link(file: Path) -> Path:
    other = file.parent.parent / "link.db"
    other.symlink_to(file)
    return other


def link_to_its_folder(file: Path) -> Path:
    other = file.parent.parent / "folder"
    other.symlink_to(file.parent)
    return other / file.name


NAMES = (hard_link, symbolic_link, link_to_its_folder)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.__name__)
def test_one_file_has_one_server_by_whatever_name(served: Path, name: Callable[[Path], Path]) -> None:
    other = name(served)
    with pytest.raises(StoreLocked):
        SqliteStore(other)
    assert lock_holder(other.resolve())


def test_a_file_has_no_second_server_after_it_was_moved(served: Path) -> None:
    moved = served.with_name("moved.db")
    served.rename(moved)
    with pytest.raises(StoreLocked, match="under another name"):
        SqliteStore(moved)


def test_by_another_name_a_store_in_use_is_neither_verified_nor_restored(served: Path) -> None:
    other = hard_link(served)
    with pytest.raises(StoreLocked, match="under another name"):
        verify_store(f"sqlite:///{other}")
    admin = Admin(other.parent)
    admin.url = f"sqlite:///{other}"
    backup = served.parent / "backup.db"
    SqliteStore(backup).close()
    for command in (["restore", str(backup)], ["prune", "--older-than", "1d"], ["user", "list"]):
        done = admin.try_run_process(*command)
        assert (done.exit_code, "under another name" in done.stderr) == (69, True), done
    copied = admin.try_run_process("copy", admin.url, f"sqlite:///{served.parent}/copy.db")
    assert (copied.exit_code, "under another name" in copied.stderr) == (69, True), copied


@pytest.mark.parametrize("name", [symbolic_link, link_to_its_folder], ids=lambda name: name.__name__)
def test_commands_reach_the_server_by_a_link(served: Path, name: Callable[[Path], Path]) -> None:
    admin = Admin(served.parent)
    admin.url = f"sqlite:///{name(served)}"
    assert "connections" in admin.try_run_process("status").stdout
    verified = admin.try_run_process("verify")
    assert verified.exit_code == 0, verified


def test_a_lock_on_the_file_hinders_no_connection(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    store = SqliteStore(path)
    store.flush()
    code = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM accounts').fetchone())"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True).stdout == b"(0,)\n"
    store.close()
    file = DataFile(path)
    assert not file.is_open_elsewhere()
    file.close()
