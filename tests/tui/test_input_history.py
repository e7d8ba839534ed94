"""The history file: bounded, private, and optional."""

from pathlib import Path

import pytest

from gmessenger.terminal.tui.input_line import MAX_HISTORY_LINE, MAX_HISTORY_LINES, InputHistory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history"


def test_what_was_typed_is_there_in_the_next_run(file: Path) -> None:
    typed = ["one", "two\nlines", "back\\slash \\n", "tab\tand\rreturn", "Привет 🎉", "\\\\\n\\"]
    for text in typed:
        InputHistory(file).append_string(text)
    assert list(InputHistory(file).load_history_strings()) == typed[::-1]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_is_bounded(file: Path) -> None:
    history = InputHistory(file)
    for number in range(2 * MAX_HISTORY_LINES + 1):
        history.store_string(str(number))
    assert len(list(InputHistory(file).load_history_strings())) == MAX_HISTORY_LINES
    assert len(file.read_text().splitlines()) == MAX_HISTORY_LINES
    assert file.stat().st_mode & 0o777 == 0o600
    assert next(iter(InputHistory(file).load_history_strings())) == str(2 * MAX_HISTORY_LINES)


def test_what_is_very_long_is_not_kept(file: Path) -> None:
    history = InputHistory(file)
    history.append_string("x" * (MAX_HISTORY_LINE + 1))
    assert history.get_strings() == ["x" * (MAX_HISTORY_LINE + 1)] and not file.exists()


def test_where_nothing_can_be_written_the_run_has_a_history_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    history = InputHistory(tmp_path / "file" / "history")
    history.append_string("one")
    assert history.get_strings() == ["one"]
    assert list(history.load_history_strings()) == []


def test_lines_of_an_earlier_version_with_tabs_are_read(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("a\ttab\\nand \\\\t\n", "utf-8")
    assert list(InputHistory(file).load_history_strings()) == ["a\ttab\nand \\t"]
