"""Paths as they are typed, and their completion from folders on the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmessenger.terminal import local_paths
from gmessenger.terminal.local_paths import (
    FoundName,
    PathDraft,
    find_names,
    parse_beginning,
    parse_path,
    quote_path,
    unquote_path,
)

NAMES = st.text(st.sampled_from("ab '\"\\~./#$\n\t\u00a0\u202e"), min_size=1, max_size=8) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8
)
STYLES = st.sampled_from(["", "'", '"', "\\"])


@given(NAMES, STYLES)
def test_a_path_that_was_completed_is_the_path(path: str, quote: str) -> None:
    assert unquote_path(quote_path(path, quote)) == path


@given(NAMES, STYLES)
def test_what_was_completed_can_be_completed_further(path: str, quote: str) -> None:
    beginning = parse_beginning(quote_path(path, quote, is_whole=False))
    assert beginning is not None and beginning.path == path
    assert "/" not in beginning.prefix and (not beginning.folder or beginning.folder.endswith("/"))


@given(st.text(st.sampled_from("a '\"\\/~"), max_size=12))
def test_anything_may_be_typed(typed: str) -> None:
    beginning = parse_beginning(typed)
    if beginning is not None:
        unquote_path(quote_path(beginning.path, beginning.quote))
    parse_path(typed)


@pytest.mark.parametrize(
    ("typed", "beginning"),
    [
        ("", PathDraft("", "", "")),
        ("gra", PathDraft("", "gra", "")),
        ("my pho", PathDraft("", "my pho", "")),
        ("  /tmp/my pho", PathDraft("/tmp/", "my pho", "")),
        ("'/tmp/my pho", PathDraft("/tmp/", "my pho", "'")),
        ('"/tmp/a \\"b', PathDraft("/tmp/", 'a "b', '"')),
        ("/tmp/my\\ pho", PathDraft("/tmp/", "my pho", "\\")),
        ("~/", PathDraft("~/", "", "")),
        ("'/tmp/done'", None),
        ('"/tmp/done"', None),
        ("'/tmp/done' and more", None),
    ],
)
def test_the_beginning_of_a_path_is_parsed(typed: str, beginning: PathDraft | None) -> None:
    assert parse_beginning(typed) == beginning


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("photos", "Photo album"):
        (tmp_path / name).mkdir()
    for name in ("photo 1.png", "PHOTO.txt", ".photo", "zebra"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "photo pipe")
    (tmp_path / "photo link").symlink_to(tmp_path / "photos")
    (tmp_path / "photo gone").symlink_to(tmp_path / "nothing")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/photo\xff")).touch()
    return tmp_path


def find(folder: Path | str, prefix: str, limit: int = 50, seconds: float = 60.0) -> list[FoundName]:
    return find_names(PathDraft(f"{folder}/", prefix, ""), limit, time.monotonic() + seconds)


def test_files_and_folders_are_found_whatever_their_case(folder: Path) -> None:
    """Links to them, too; but no pipe, nothing that is not there, and no name that cannot be typed."""
    assert find(folder, "photo") == [
        FoundName("photo 1.png", False),
        FoundName("Photo album", True),
        FoundName("photo link", True),
        FoundName("PHOTO.txt", False),
        FoundName("photos", True),
    ]


def test_hidden_names_are_found_by_a_hidden_beginning(folder: Path) -> None:
    assert FoundName(".photo", False) not in find(folder, "")
    assert find(folder, ".") == [FoundName(".photo", False)]


def test_a_folder_that_is_none_has_nothing(folder: Path) -> None:
    for none in (folder / "nothing", folder / "zebra", "/root\0", "~nobody-of-that-name"):
        assert find(none, "") == []


def test_the_home_folder_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert find("~", "z") == [FoundName("zebra", False)]
    assert parse_path("~/zebra") == folder / "zebra"
    assert parse_path("'~/photo 1.png'") == folder / "photo 1.png"
    assert parse_path("~nobody-of-that-name/x") == Path("~nobody-of-that-name/x")


def test_of_a_large_folder_some_are_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (folder / f"n{number:03}").touch()
    assert [name for name, _ in find(folder, "n", 3)] == ["n000", "n001", "n002"]
    assert find(folder, "n", seconds=-1.0) == []
    monkeypatch.setattr(local_paths, "MAX_SCANNED", 20)
    assert len(find(folder, "", 1000)) <= 20
