"""Files that get their name when they are complete: nothing is overwritten, and no part is left."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

import pytest

from gmessenger import durability
from gmessenger.durability import create_file, replace_file
from gmessenger.errors import FileError


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_it_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with create_file(tmp_path / "backup.db") as output:
        output.write(b"half")
        assert "backup.db" not in names(tmp_path)
        output.write(b" and half")
    assert names(tmp_path) == ["backup.db"]
    assert (tmp_path / "backup.db").read_bytes() == b"half and half"
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_of_what_failed(failure: type[BaseException], tmp_path: Path) -> None:
    def fails(output: IO[bytes]) -> None:
        output.write(b"half")
        raise failure

    with pytest.raises(failure), create_file(tmp_path / "backup.db") as output:
        fails(output)
    assert names(tmp_path) == []


@pytest.mark.parametrize("make_existing", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/nowhere")])
def test_what_is_there_is_not_overwritten(make_existing: object, tmp_path: Path) -> None:
    assert callable(make_existing)
    make_existing(tmp_path / "backup.db")
    with pytest.raises(FileError, match="File exists"), create_file(tmp_path / "backup.db"):
        pytest.fail("it was begun")
    assert names(tmp_path) == ["backup.db"]


@pytest.mark.parametrize("hard_links", [True, False], ids=["hard_links", "no links"])
def test_nor_what_has_come_meanwhile(hard_links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hard_links:
        monkeypatch.setattr(Path, "hardlink_to", refuses)
    with pytest.raises(FileError, match="File exists"), create_file(tmp_path / "backup.db") as output:
        Path(output.name).with_name("backup.db").write_text("theirs")
    assert names(tmp_path) == ["backup.db"] and (tmp_path / "backup.db").read_text() == "theirs"


def refuses(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_disk_that_has_no_links_does_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", refuses)
    with create_file(tmp_path / "backup.db") as output:
        output.write(b"whole")
    assert names(tmp_path) == ["backup.db"] and (tmp_path / "backup.db").read_bytes() == b"whole"


def test_a_name_that_is_as_long_as_can_be(tmp_path: Path) -> None:
    with create_file(tmp_path / ("ж" * 127)) as output:
        output.write(b"whole")
    assert names(tmp_path) == ["ж" * 127]


@pytest.mark.parametrize("code", sorted(durability.SYNC_UNSUPPORTED), ids=errno.errorcode.get)
def test_a_disk_that_cannot_be_waited_for_is_not(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", cannot)
    with create_file(tmp_path / "backup.db") as output:
        output.write(b"whole")
    durability.sync_directory(tmp_path)
    assert names(tmp_path) == ["backup.db"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_disk_that_refuses_is_heard(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(FileError, match=os.strerror(code)), create_file(tmp_path / "backup.db") as output:
        output.write(b"lost")
    assert names(tmp_path) == []


def test_a_replaced_file_keeps_its_permissions_and_a_new_one_is_private(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_bytes(b"before")
    old.chmod(0o640)
    for file in (new, old):
        replace_file(file, b"after")
    assert names(tmp_path) == ["new", "old"] and new.read_bytes() == old.read_bytes() == b"after"
    assert [stat.S_IMODE(file.stat().st_mode) for file in (new, old)] == [0o600, 0o640]


def test_a_part_that_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    part = tmp_path / "state.new"
    part.write_bytes(b"more than is written now")
    replace_file(tmp_path / "state", b"whole", part)
    assert names(tmp_path) == ["state"] and (tmp_path / "state").read_bytes() == b"whole"


@pytest.mark.parametrize("part", [None, "state.new"])
def test_a_file_that_cannot_be_replaced_is_as_it_was(
    part: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    file = tmp_path / "state"
    file.write_bytes(b"before")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        replace_file(file, b"after", tmp_path / part if part else None)
    assert names(tmp_path) == ["state"] and file.read_bytes() == b"before"
