"""Completion of paths behind `/file`, in the full screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gevent.monkey import get_original

from gmessenger.terminal.tui import path_completion
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.tui import TuiSession

CLEAR = "\x15"
"""The key that clears the line."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "files"
    (folder / "my photos").mkdir(parents=True)
    (folder / "my photos" / "beach.png").touch()
    (folder / "graph.png").touch()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(path_completion, "READ_TIMEOUT", TEST_TIMEOUT)  # whatever else the machine does
    return folder


@pytest.fixture
def screen(tmp_path: Path, folder: Path) -> Iterator[TuiSession]:
    with TuiSession(tmp_path) as screen:
        yield screen


def draft(screen: TuiSession) -> str:
    return screen.ui.draft


def type_text(screen: TuiSession, text: str) -> None:
    """Type a text, and wait until what completes it while it is typed has ended."""
    screen.type(text)
    screen.wait_until(lambda: draft(screen).endswith(text.lstrip(CLEAR)))
    screen.wait_for_redraw()


def press_tab(screen: TuiSession, expected: str) -> None:
    screen.type("\t")
    screen.wait_until(lambda: draft(screen) == expected, f"the line is not {expected!r}")


def test_tab_completes_folder_by_folder(screen: TuiSession) -> None:
    type_text(screen, "/file m")
    press_tab(screen, "/file my photos/")
    press_tab(screen, "/file my photos/beach.png")
    screen.type("\r")
    screen.wait_until(lambda: screen.actions.calls_of("submit"))
    assert screen.actions.calls_of("submit") == ["/file my photos/beach.png"]


@pytest.mark.parametrize(
    ("typed", "first", "second"),
    [
        ("/file 'm", "/file 'my photos/", "/file 'my photos/beach.png'"),
        ('/file "m', '/file "my photos/', '/file "my photos/beach.png"'),
        ("/file my\\ p", "/file my\\ photos/", "/file my\\ photos/beach.png"),
        ("/upload my p", "/upload my photos/", "/upload my photos/beach.png"),
        ("/file ~/my", "/file ~/my photos/", "/file ~/my photos/beach.png"),
        ("/file ./MY", "/file ./my photos/", "/file ./my photos/beach.png"),
    ],
)
def test_a_path_stays_as_it_was_begun(typed: str, first: str, second: str, screen: TuiSession) -> None:
    type_text(screen, typed)
    press_tab(screen, first)
    press_tab(screen, second)


def test_home_is_a_folder(screen: TuiSession) -> None:
    type_text(screen, "/file ~")
    press_tab(screen, "/file ~/")
    type_text(screen, "g")
    press_tab(screen, "/file ~/graph.png")


def test_names_that_would_control_the_terminal_are_shown(screen: TuiSession, folder: Path) -> None:
    (folder / "evil\x1b[2J\u202egnp.exe").touch()
    (folder / "event").touch()
    type_text(screen, "/file ev")
    press_tab(screen, "/file event")
    screen.wait_for("evil^[[2J<202e>gnp.exe")
    press_tab(screen, "/file evil\x1b[2J\u202egnp.exe")
    screen.wait_for("[gmessenger] /file evil^[[2J<202e>gnp.exe")
    assert "\x1b[2J\u202e" not in screen.screen_output.raw


def test_a_file_that_is_named_as_a_home_folder_is_a_file(screen: TuiSession, folder: Path) -> None:
    (folder / "~root.txt").touch()
    type_text(screen, "/file ~ro")
    press_tab(screen, "/file ./~root.txt")


def test_hidden_files_are_offered_behind_a_dot(screen: TuiSession, folder: Path) -> None:
    (folder / ".secret").touch()
    type_text(screen, "/file ")
    press_tab(screen, "/file graph.png")
    screen.wait_for("my photos/")
    assert ".secret" not in screen.text
    type_text(screen, f"{CLEAR}/file .")
    press_tab(screen, "/file .secret")


def test_a_mount_that_does_not_answer_holds_up_nothing(screen: TuiSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither keys nor what is completed elsewhere; at most some threads wait."""
    answers = get_original("threading", "Event")()
    scandir, hanging = os.scandir, []

    def hang(folder: str) -> Any:
        if folder != "/dead/":
            return scandir(folder)
        hanging.append(folder)
        answers.wait()
        raise OSError

    monkeypatch.setattr("gmessenger.terminal.local_paths.os.scandir", hang)
    monkeypatch.setattr(path_completion, "READ_TIMEOUT", 0.05)
    try:
        for _ in range(4):
            type_text(screen, f"{CLEAR}/file /dead/")
            screen.type("\t")
            type_text(screen, "x")
        type_text(screen, f"{CLEAR}/joi")
        press_tab(screen, "/join ")
    finally:
        answers.set()
    assert 1 <= len(hanging) <= path_completion.MAX_READING
    monkeypatch.setattr(path_completion, "READ_TIMEOUT", TEST_TIMEOUT)
    completer = screen.ui._input_line.buffer.completer._path_completer  # type: ignore[attr-defined]
    screen.wait_until(lambda: completer._reading_count == 0)
    type_text(screen, f"{CLEAR}/file g")
    press_tab(screen, "/file graph.png")
