"""Files of a SQLite store: one process at a time, backups, verification, restoring."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest

from gmessenger.chat.records import EVERYTHING
from gmessenger.errors import ConfigError, FileError, StoreLocked
from gmessenger.store import open_store
from gmessenger.store.sqlite import schema
from gmessenger.store.sqlite.backup import restore_file
from gmessenger.store.sqlite.datafile import lock_holder
from gmessenger.store.sqlite.file_copy import spare_path
from gmessenger.store.sqlite.verify import inspect_file, verify_file
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def filled(file: Path, count: int = 10) -> StoreDriver:
    driver = StoreDriver(open_store(f"sqlite:///{file}"))
    driver.append(*[driver.message(f"text {number}", time=float(number)) for number in range(count)])
    return driver


def test_a_store_is_opened_once_at_a_time_by_whatever_name(file: Path) -> None:
    driver = filled(file)
    (other := file.with_name("other.db")).symlink_to(file)
    for path in (file, other):
        with pytest.raises(StoreLocked, match="in use by process"):
            open_store(f"sqlite:///{path}")
    driver.store.close()
    open_store(f"sqlite:///{other}").close()


def test_a_store_that_cannot_be_opened_is_not_held(file: Path) -> None:
    filled(file).store.close()
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(ConfigError, match="schema 99"):
            open_store(f"sqlite:///{file}")


def test_a_backup_is_whole_while_messages_come(file: Path) -> None:
    driver, backup = filled(file, 3000), file.with_name("backup.db")
    writing = gevent.spawn(lambda: [driver.append(driver.message("more")) for _ in range(50)])
    gevent.sleep(0.01)
    driver.store.backup(str(backup))
    writing.get(timeout=TEST_TIMEOUT)
    driver.store.close()
    report = verify_file(backup)
    assert report.faults == [] and 3000 <= report.counts["messages"] <= 3050
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("backup*")] == ["backup.db"]


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(file: Path) -> None:
    driver = filled(file)
    with pytest.raises(FileError, match="File exists"):
        driver.store.backup(str(file))
    with pytest.raises(FileError, match="No such file"):
        driver.store.backup(str(file.parent / "missing" / "backup.db"))
    driver.store.backup(str(file.with_name("backup.db")))
    driver.store.close()


def test_what_is_kept_in_memory_is_not_backed_up(tmp_path: Path) -> None:
    store = open_store("memory:")
    with pytest.raises(FileError, match="memory"):
        store.backup(str(tmp_path / "backup.db"))
    store.close()


def test_an_open_store_is_verified_and_agrees_after_every_slice(file: Path) -> None:
    driver = filled(file, 1800)
    pruning = gevent.spawn(driver.store.prune, 1700.0)
    while not pruning.ready():
        assert verify_file(file).faults == []
        gevent.sleep(0.005)
    assert verify_file(file).counts["messages"] == 100
    driver.store.erase_messages(driver.hank)
    assert verify_file(file).faults == []
    driver.store.close()
    assert verify_file(file).faults == [] and not file.with_name("store.db-wal").exists()


def test_a_restored_store_goes_on_where_the_backup_was(file: Path) -> None:
    driver, backup = filled(file, 5), file.with_name("backup.db")
    driver.store.backup(str(backup))
    driver.append(driver.message("late"))
    with pytest.raises(StoreLocked):
        restore_file(backup, file)
    driver.store.close()
    _, old = restore_file(backup, file)
    assert old is not None and verify_file(old).counts["messages"] == 6
    again = open_store(f"sqlite:///{file}")
    assert again.history(DIRECT, EVERYTHING, None, 4, 9).messages[-1].text == "text 4"
    again.close()


def test_a_log_that_was_left_behind_is_restored_with_its_file(file: Path, tmp_path: Path) -> None:
    """As where the files of a killed server are copied."""
    driver = filled(file, 5)
    copies = tmp_path / "copies"
    copies.mkdir()
    for path in file.parent.glob("store.db*"):
        (copies / path.name).write_bytes(path.read_bytes())
    driver.store.close()
    report, old = restore_file(copies / "store.db", tmp_path / "new" / "store.db")
    assert (report.counts["messages"], old) == (5, None)


def test_a_store_keeps_its_identity_and_a_restored_one_has_another(file: Path) -> None:
    driver = filled(file)
    identity = driver.store.identity
    driver.store.backup(str(file.with_name("backup.db")))
    driver.store.close()
    again = open_store(f"sqlite:///{file}")
    assert again.identity == identity and identity
    again.close()
    restore_file(file.with_name("backup.db"), file)
    restored = open_store(f"sqlite:///{file}")
    assert restored.identity not in ("", identity)
    restored.close()


def copy_to_first_schema(file: Path, old: Path) -> None:
    """Make a store of the first schema that has the rows of a store of today's."""
    with closing(sqlite3.connect(old)) as db, db:
        for statement in schema.MIGRATIONS[0]:
            db.execute(statement)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        db.execute("ATTACH ? AS today", (str(file),))
        for table in tables:
            if not table.startswith("words"):
                columns = ", ".join(f'"{row[1]}"' for row in db.execute(f"PRAGMA main.table_info({table})"))
                db.execute(f"INSERT OR REPLACE INTO main.{table} ({columns}) SELECT {columns} FROM today.{table}")
        db.execute("INSERT INTO words (rowid, folded) SELECT rowid, text FROM messages WHERE NOT erased")
        db.execute("PRAGMA user_version = 1")


def test_a_store_of_the_first_schema_is_taken_along(file: Path) -> None:
    filled(file).store.close()
    copy_to_first_schema(file, old := file.with_name("old.db"))
    restore_file(old, other := file.with_name("other.db"))
    for path in (old, other):
        store = open_store(f"sqlite:///{path}")
        assert store.identity and len(store.history(DIRECT, EVERYTHING, None, None, 50).messages) == 10
        store.close()
        assert verify_file(path).faults == []


def test_verify_compares_the_bytes_counted_for_quotas_with_those_stored(file: Path) -> None:
    filled(file).store.close()
    assert verify_file(file).faults == []
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE usage SET bytes = bytes + 1")
        ((accounts,),) = db.execute("SELECT count(*) FROM usage").fetchall()
    assert accounts
    faults = [f"the stored byte counts are wrong (accounts: {accounts}); quotas depend on them."]
    assert verify_file(file).faults == faults
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("DELETE FROM usage")
    assert verify_file(file).faults == faults


def test_words_that_were_erased_are_nowhere_in_the_file(file: Path) -> None:
    driver = filled(file)
    driver.append(
        driver.message("a diagnosis of zyxwvutsyndrome"), *[driver.message(f"{number}") for number in range(50)]
    )
    assert driver.store.erase_messages(driver.hank) == 61
    driver.store.close()
    assert b"zyxwvutsyndrome" not in file.read_bytes() and verify_file(file).faults == []


def test_a_disk_without_locks_is_told_from_a_store_in_use(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("gmessenger.store.sqlite.datafile.fcntl.flock", refuses)
    with pytest.raises(FileError, match="cannot be locked: No locks available"):
        open_store(f"sqlite:///{file}")
    assert lock_holder(file) is None


@pytest.mark.parametrize("usage", [OSError(errno.EPERM, "no"), (0, 0, 0)], ids=["refused", "no blocks"])
def test_a_disk_that_does_not_tell_its_free_room_is_not_full(
    usage: OSError | tuple[int, ...], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_usage(directory: Path) -> SimpleNamespace:
        if isinstance(usage, OSError):
            raise usage
        return SimpleNamespace(total=usage[0], used=usage[1], free=usage[2])

    monkeypatch.setattr("gmessenger.store.sqlite.verify.shutil.disk_usage", disk_usage)
    assert inspect_file(file).free is None


def test_what_a_killed_server_left_of_a_backup_goes_at_the_next_start(file: Path) -> None:
    filled(file).store.close()
    spare = spare_path(file)
    spare.write_text("what was said")
    open_store(f"sqlite:///{file}").close()
    assert not spare.exists()
