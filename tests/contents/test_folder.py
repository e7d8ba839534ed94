"""The folder of contents: what gets in, what gets out, and what a crash between two steps leaves."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import gevent
import pytest

from gmessenger.contents.folder import GRACE, INCOMING, MARKER, REMOVED, ContentFolder
from gmessenger.contents.upload import HEAD_BYTES
from gmessenger.errors import ConfigError, FileError

OWNER = "0123456789abcdef"


class Rows:
    """The contents that the rows of a store name."""

    def __init__(self) -> None:
        self.digests: set[str] = set()

    def are_used(self, digests: Sequence[str]) -> set[str]:
        return self.digests & set(digests)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[ContentFolder]:
    folder = ContentFolder(tmp_path / "files")
    folder.open(OWNER, is_new=True)
    yield folder
    folder.close()


@pytest.fixture
def rows() -> Rows:
    return Rows()


def put(folder: ContentFolder, content: bytes) -> str:
    with folder.begin_upload() as upload:
        upload.write(content)
        upload.finish()
        folder.keep(upload)
    return upload.digest


def contents(folder: ContentFolder) -> dict[str, int]:
    return dict(folder.iter_contents())


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def place(folder: ContentFolder, digest: str) -> Path:
    return folder.path / digest[:2] / digest


def test_a_content_is_read_as_it_was_written(folder: ContentFolder) -> None:
    content = os.urandom(200_000)
    with folder.begin_upload() as upload:
        for start in range(0, len(content), 65_536):
            upload.write(content[start : start + 65_536])
        upload.finish()
        assert contents(folder) == {}
        folder.keep(upload)
    assert (upload.digest, upload.size) == (hashlib.sha256(content).hexdigest(), 200_000)
    assert contents(folder) == {upload.digest: 200_000} and folder.has(upload.digest)
    reader = folder.open_content(upload.digest)
    assert reader.size == 200_000
    assert reader.read(0, 65_536) == content[:65_536] and reader.read(199_999, 10) == content[-1:]
    reader.close()
    assert oct(place(folder, upload.digest).stat().st_mode)[-3:] == "600"
    assert not list((folder.path / INCOMING).iterdir())


def test_the_beginning_is_kept_in_memory_and_no_more(folder: ContentFolder) -> None:
    with folder.begin_upload() as upload:
        for _ in range(8):
            upload.write(b"x" * 65_536)
        assert len(upload.head) == HEAD_BYTES


def test_an_upload_that_fails_leaves_nothing(folder: ContentFolder) -> None:
    def fail() -> None:
        with folder.begin_upload() as upload:
            upload.write(b"abc")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(folder) == {} and not list((folder.path / INCOMING).iterdir())


@pytest.mark.parametrize("digest", ["", "..", "../" * 20, "a" * 63, "A" * 64, "g" * 64, f"{MARKER}", "/etc/passwd"])
def test_only_digests_are_looked_for(folder: ContentFolder, digest: str) -> None:
    with pytest.raises(FileNotFoundError):
        folder.open_content(digest)


def test_what_no_row_names_is_removed(folder: ContentFolder, rows: Rows) -> None:
    kept, dropped = put(folder, b"kept"), put(folder, b"dropped")
    rows.digests = {kept}
    assert folder.remove_unused([kept, dropped, "f" * 64], rows.are_used) == 1
    assert contents(folder) == {kept: 4}
    assert not list((folder.path / REMOVED).iterdir())


def test_a_content_that_gets_a_row_while_it_is_removed_is_put_back(folder: ContentFolder) -> None:
    digest = put(folder, b"again")
    answers = iter([set[str](), {digest}])
    assert folder.remove_unused([digest], lambda digests: next(answers)) == 0
    assert contents(folder) == {digest: 5}


def test_a_content_that_is_being_removed_can_be_read(folder: ContentFolder) -> None:
    digest = put(folder, b"again")

    def are_used(digests: Sequence[str]) -> set[str]:
        if not place(folder, digest).exists():
            assert folder.has(digest)
            reader = folder.open_content(digest)
            assert reader.read(0, 10) == b"again"
            reader.close()
            return {digest}
        return set()

    folder.remove_unused([digest], are_used)
    assert contents(folder) == {digest: 5}


def test_what_a_killed_process_was_removing_is_judged_by_the_rows(folder: ContentFolder, rows: Rows) -> None:
    kept, dropped = put(folder, b"kept"), put(folder, b"dropped")
    for digest in (kept, dropped):
        place(folder, digest).rename(folder.path / REMOVED / digest)
    rows.digests = {kept}
    assert folder.finish_removals(rows.are_used) == 1
    assert contents(folder) == {kept: 4} and not list((folder.path / REMOVED).iterdir())


def test_uploads_and_removals_of_one_content_lose_nothing(folder: ContentFolder, rows: Rows) -> None:
    """A row is stored before its content comes: whatever order the steps have, what has a row is there."""

    def upload(number: int) -> None:
        with folder.begin_upload() as upload:
            upload.write(b"the same")
            upload.finish()
            rows.digests.add(upload.digest)
            folder.keep(upload)
        reader = folder.open_content(upload.digest)
        reader.close()
        assert reader.size == 8
        if number % 2:
            rows.digests.discard(upload.digest)

    digest = hashlib.sha256(b"the same").hexdigest()
    for number in range(40):
        workers = [
            gevent.spawn(upload, number),
            gevent.spawn(folder.remove_unused, [digest], rows.are_used),
            gevent.spawn(folder.finish_removals, rows.are_used),
        ]
        gevent.joinall(workers, timeout=30, raise_error=True)
        folder.finish_removals(rows.are_used)
        assert folder.has(digest) or not rows.digests


def test_the_sweep_finds_what_was_left_a_day_ago(folder: ContentFolder, rows: Rows) -> None:
    kept, old, new = put(folder, b"kept"), put(folder, b"old"), put(folder, b"new")
    rows.digests = {kept}
    for digest in (kept, old):
        age(place(folder, digest), GRACE + 10)
    for name, seconds in (("old", GRACE + 10), ("new", 10.0)):
        part = folder.path / INCOMING / name
        part.write_bytes(b"x")
        age(part, seconds)
    (folder.path / "notes.txt").write_text("not ours")
    assert folder.sweep(rows.are_used, time.time()) == 1
    assert set(contents(folder)) == {kept, new}
    assert [part.name for part in (folder.path / INCOMING).iterdir()] == ["new"]
    assert (folder.path / "notes.txt").exists()


def test_a_folder_belongs_to_one_store(folder: ContentFolder) -> None:
    again = ContentFolder(folder.path)
    again.open(OWNER, is_new=False)
    with pytest.raises(ConfigError, match="another store"):
        again.open("another", is_new=True)
    again.close()


def test_a_folder_that_is_not_mounted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    folder = ContentFolder(tmp_path / "files")
    with pytest.raises(ConfigError, match="mounted"):
        folder.open(OWNER, is_new=False)
    folder.close()
    assert not list((tmp_path / "files").iterdir())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = ContentFolder(tmp_path / "file" / "files")
    with pytest.raises(FileError, match="cannot be used"):
        folder.open(OWNER, is_new=True)
    folder.close()
