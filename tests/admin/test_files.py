"""Files in backups: copied after the store, compared with it, and copied back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.chat.records import FileInfo, NewMessage, StoredFile
from gmessenger.contents.folder import MARKER, ContentFolder
from gmessenger.store import open_store
from tests.store.test_transfer import append_one
from tests.support.admin_cli import StoreDirectory


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    store_dir = StoreDirectory(tmp_path)
    yield store_dir
    store_dir.close()


def add_files(store_dir: StoreDirectory, *contents: bytes) -> list[str]:
    """Add a message with a file for each content; return the digests."""
    store = open_store(store_dir.url)
    folder = ContentFolder(store_dir.folder / "messenger.files")
    folder.open(store.files_id, is_new=store.file_usage().count == 0)
    known = {account.key: account.id for account in store.accounts()}
    hank = known.get("hank") or store.create_account("hank", "Hank", "hash", 1.0).id
    digests = []
    for content in contents:
        with folder.begin_upload() as upload:
            upload.write(content)
            upload.finish()
            info = FileInfo(upload.digest[:22], "x", "text/plain", upload.size)
            store.add_file(StoredFile(info, upload.digest, hank, 2.0), 10**9, 10**9)
            folder.keep(upload)
        append_one(store, NewMessage("hank hank", "Hank", "Hank", "x", 3.0, hank, file=info))
        digests.append(upload.digest)
    folder.close()
    store.close()
    return digests


def contents_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("??/*")}


def test_a_backup_has_the_files_and_grows(store_dir: StoreDirectory) -> None:
    first = add_files(store_dir, b"one", b"two")
    copies = store_dir.folder / "copies"
    assert "2 files, 6 bytes" in store_dir.run("backup", str(store_dir.folder / "1.db"), str(copies))
    assert contents_in(copies) == set(first)
    second = add_files(store_dir, b"three")
    output = store_dir.run("backup", str(store_dir.folder / "2.db"), str(copies))
    assert "1 files, 5 bytes" in output and "2 were there already" in output
    assert contents_in(copies) == {*first, *second}
    for backup in ("1.db", "2.db"):
        assert "is intact" in store_dir.run("verify", str(store_dir.folder / backup), str(copies))


def test_a_restore_brings_the_files_back(store_dir: StoreDirectory) -> None:
    digests = add_files(store_dir, b"one", b"two")
    copies = store_dir.folder / "copies"
    store_dir.run("backup", str(store_dir.folder / "1.db"), str(copies))
    (store_dir.folder / "messenger.files" / digests[0][:2] / digests[0]).unlink()
    result = store_dir.try_run("verify")
    assert result.exit_code == 1 and digests[0][:12] in result.stderr
    store_dir.run("restore", str(store_dir.folder / "1.db"), str(copies))
    assert "is intact" in store_dir.run("verify")
    assert contents_in(store_dir.folder / "messenger.files") == set(digests)


@pytest.mark.parametrize(("damage", "said"), [(b"onE", "is damaged"), (b"on", "has 2 bytes instead of 3")])
def test_verification_reads_every_file(store_dir: StoreDirectory, damage: bytes, said: str) -> None:
    (digest,) = add_files(store_dir, b"one")
    assert "is intact" in store_dir.run("verify")
    (store_dir.folder / "messenger.files" / digest[:2] / digest).write_bytes(damage)
    result = store_dir.try_run("verify")
    assert result.exit_code == 1 and said in result.stderr


def test_files_are_not_mixed_with_those_of_another_store(store_dir: StoreDirectory) -> None:
    add_files(store_dir, b"one")
    copies = store_dir.folder / "copies"
    copies.mkdir()
    (copies / "mine.txt").write_text("not a content")
    result = store_dir.try_run("backup", str(store_dir.folder / "1.db"), str(copies))
    assert result.exit_code == 73 and "not empty" in result.stderr
    (copies / MARKER).write_text("another\n")
    result = store_dir.try_run("backup", str(store_dir.folder / "2.db"), str(copies))
    assert result.exit_code == 73 and "another store" in result.stderr
