"""What goes wrong around gmessenger-admin: the wrong place, a full disk, a server that hangs. One line, and no harm."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger.admin import client, maintenance
from gmessenger.admin.start import split_arguments
from tests import ROOT
from tests.admin.test_admin import spoil
from tests.support.admin_cli import PASSWORD, Done, Place
from tests.support.timeouts import PATIENCE


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Place(tmp_path)) as place:
        yield place


def one_line(done: Done) -> bool:
    return done.out == "" and done.err.startswith("gmessenger-admin: ") and done.err.count("\n") == 1


NEEDS_A_STORE = [
    ("user", "add", "hank"),
    ("user", "list"),
    ("invite",),
    ("room", "list"),
    ("backup", "/nowhere/backup.db"),
    ("export",),
    ("prune", "--older-than", "1d"),
    ("verify",),
]


@pytest.mark.parametrize("words", NEEDS_A_STORE, ids=" ".join)
def test_where_there_is_no_store_none_is_made(place: Place, words: tuple[str, ...]) -> None:
    done = place.admin(*words, typed=PASSWORD)
    assert done.code == 73 and one_line(done) and str(place.file) in done.err
    assert list(place.folder.iterdir()) == []


def test_what_was_done_says_to_which_store(place: Place) -> None:
    place.makes()
    assert str(place.file) in place.does("user", "add", "hank", typed=PASSWORD)
    backup, everything = place.folder / "backup.db", place.folder / "all"
    said = place.does("backup", str(backup))
    assert said == f"{backup}: {backup.stat().st_size} bytes, from {place.file}.\n"
    assert place.does("export", str(everything)) == f"{everything}: 1 lines, from {place.file}.\n"


def test_a_server_that_hangs_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RESPONSE_TIMEOUT", 0.2)
    place.adds("hank")
    with place.serves() as server:
        server.port()
        server.process.send_signal(signal.SIGSTOP)
        done = place.admin("user", "list")
        server.process.send_signal(signal.SIGCONT)
        assert done.code == 69 and one_line(done) and "did not answer within 0.2 s" in done.err
        assert place.does("user", "list") == "hank\t-\n"


def test_the_password_of_a_client_is_nobody_elses(place: Place) -> None:
    place.adds("dale")
    (place.folder / "hank.pw").write_text("hank's own\n")
    there = {"MESSENGER_PASSWORD_FILE": str(place.folder / "hank.pw")}
    done = place.admin_process("user", "passwd", "dale", typed="", **there)
    assert done.code == 2 and "No password was entered" in done.err


@pytest.mark.parametrize("words", [("export",), ("user", "list")], ids=" ".join)
def test_an_output_that_cannot_be_written(place: Place, words: tuple[str, ...]) -> None:
    place.adds("hank")
    command = [sys.executable, "-m", "gmessenger", "admin", "--store", place.url, *words]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr.count("\n")) == (73, 1) and "No space left" in done.stderr


@pytest.mark.parametrize("words", [("user", "add", os.fsdecode(b"\xff")), ("user", "add", "hank")], ids=ascii)
@pytest.mark.parametrize("served", [False, True], ids=["stopped", "running"])
def test_what_is_no_text(place: Place, words: tuple[str, ...], served: bool) -> None:
    place.makes()
    with place.serves() if served else contextlib.nullcontext() as server:
        if server is not None:
            server.port()
        done = place.admin(*words, typed=os.fsdecode(b"correct \xff horse\n"))
    assert done.code in (2, 77) and one_line(done)


def test_a_name_of_a_file_that_cannot_be(place: Place) -> None:
    place.makes()
    for words in (("verify", "x" * 300), ("restore", "x" * 300), ("export", "x" * 300)):
        done = place.admin(*words)
        assert done.code == 73 and one_line(done) and "File name too long" in done.err


def test_a_directory_that_is_gone(place: Place) -> None:
    place.makes()
    with tempfile.TemporaryDirectory() as gone:
        program = "import os, sys; os.rmdir(os.getcwd()); from gmessenger.admin.main import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "--store", place.url, "backup", "here.db"]
        done = subprocess.run(
            command, cwd=gone, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
        )
        Path(gone).mkdir()
    assert (done.returncode, done.stderr.count("\n")) == (73, 1) and "No such file" in done.stderr


def test_nothing_is_left_of_an_export_that_failed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.adds("hank")

    def torn(line: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maintenance.json, "encode", torn)
    done = place.admin("export", str(place.folder / "all"))
    assert done.code == 73 and one_line(done) and not (place.folder / "all").exists()


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        ("user list -p 17801", ["-p", "17801"], ["user", "list"]),
        ("-p17801 user list", ["-p17801"], ["user", "list"]),
        ("user --store=memory: list", ["--store=memory:"], ["user", "list"]),
        ("prune --older-than 90d -c f.ini", ["-c", "f.ini"], ["prune", "--older-than", "90d"]),
        ("--prot 1 user list", ["--prot"], ["1", "user", "list"]),
        ("prune --help", [], ["prune", "--help"]),
        ("--help", ["--help"], []),
    ],
)
def test_options_may_stand_anywhere(given: str, options: list[str], words: list[str]) -> None:
    assert split_arguments(given.split()) == (options, words)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM words_data WHERE id > 10", "search index is damaged"),
        ("DELETE FROM words_data", "search index"),
        ("UPDATE words_docsize SET sz = x'05' WHERE id = 1", "search index has"),
    ],
)
def test_a_search_index_that_is_damaged(place: Place, statement: str, said: str) -> None:
    place.adds("hank")
    with place.serves() as server:
        hank = place.dials(server.port())
        hank.enters("hank", password=PASSWORD)
        for number in range(3):
            hank.asks(action="msg", id=str(number), to="hank", message="some words " * 100)
        server.end(signal.SIGTERM)
    assert "is intact" in place.does("verify")
    spoil(place.file, statement)
    found = place.admin("verify")
    assert found.code == 1 and said in found.err
