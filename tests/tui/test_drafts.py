"""Saved drafts: written atomically, and read back even from a damaged file."""

from __future__ import annotations

from pathlib import Path

import gevent
import pytest

from gmessenger.terminal.tui.drafts import MAX_DRAFT, MAX_SAVED_CONVERSATIONS, Drafts, SavedState

HARD = "two\nlines\twith \\n and a \\ \r\n\udc80 \u2028 \x00"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "drafts" / "0123"


def save_and_load(file: Path, state: SavedState) -> SavedState:
    """Save a state, and return what is loaded."""
    failures: list[Exception] = []
    Drafts(file, lambda: state, failures.append).save()
    assert failures == []
    return Drafts(file, lambda: state, failures.append).load()


def test_everything_comes_back_in_order(file: Path) -> None:
    state = SavedState({"#dev": HARD, "дейл": "", "": "at home", "a\tb": "x"}, {"bob": 17})
    loaded = save_and_load(file, state)
    assert loaded == state and list(loaded.shown) == list(state.shown)
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_it_does_not_grow_for_ever_and_drafts_are_dropped_last(file: Path) -> None:
    many = {f"name {number}": "" for number in range(2 * MAX_SAVED_CONVERSATIONS)}
    loaded = save_and_load(file, SavedState(many | {"last": "x" * 2 * MAX_DRAFT}))
    assert len(loaded.shown) == MAX_SAVED_CONVERSATIONS and len(loaded.shown["last"]) == MAX_DRAFT


@pytest.mark.parametrize("text", ["", "nonsense", "shown\tdale", "hidden\tdale\tmany", "\x00\xff", "shown\ta\tb\tc\n"])
def test_what_somebody_else_wrote_there_does_no_harm(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(text.encode("latin-1") + b"\nshown\tbob\thi\n")
    assert Drafts(file, SavedState, pytest.fail).load().shown["bob"] == "hi"


def test_changes_soon_after_each_other_are_written_at_once_and_a_bad_disk_is_told_of(file: Path) -> None:
    failures: list[Exception] = []
    calls: list[int] = []

    def get_state() -> SavedState:
        calls.append(1)
        return SavedState({"dale": "hi"})

    drafts = Drafts(file, get_state, failures.append)
    for _ in range(5):
        drafts.schedule_save()
    with gevent.Timeout(5):
        while not file.exists():
            gevent.sleep(0.01)
    assert len(calls) == 1
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("no directory")
    Drafts(file, get_state, failures.append).save()
    assert isinstance(failures[0], OSError)
