"""Failures of gmessenger-admin (wrong path, full disk, hanging server): one line on stderr, and nothing is changed."""

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
from tests.admin.test_admin import execute_sql
from tests.support.admin_cli import PASSWORD, CommandResult, StoreDirectory
from tests.support.timeouts import TEST_TIMEOUT


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        yield store_dir


def one_line(result: CommandResult) -> bool:
    return result.stdout == "" and result.stderr.startswith("gmessenger-admin: ") and result.stderr.count("\n") == 1


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
def test_where_there_is_no_store_none_is_made(store_dir: StoreDirectory, words: tuple[str, ...]) -> None:
    result = store_dir.try_run(*words, typed=PASSWORD)
    assert result.exit_code == 73 and one_line(result) and str(store_dir.file) in result.stderr
    assert list(store_dir.folder.iterdir()) == []


def test_what_was_done_says_to_which_store(store_dir: StoreDirectory) -> None:
    store_dir.create_store()
    assert str(store_dir.file) in store_dir.run("user", "add", "hank", typed=PASSWORD)
    backup, everything = store_dir.folder / "backup.db", store_dir.folder / "all"
    output = store_dir.run("backup", str(backup))
    assert output == f"{backup}: {backup.stat().st_size} bytes, from {store_dir.file}.\n"
    assert store_dir.run("export", str(everything)) == f"{everything}: 1 lines, from {store_dir.file}.\n"


def test_a_server_that_hangs_is_not_waited_for(store_dir: StoreDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RESPONSE_TIMEOUT", 0.2)
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        server.wait_for_port()
        server.process.send_signal(signal.SIGSTOP)
        result = store_dir.try_run("user", "list")
        server.process.send_signal(signal.SIGCONT)
        assert result.exit_code == 69 and one_line(result) and "did not answer within 0.2 s" in result.stderr
        assert store_dir.run("user", "list") == "hank\t-\n"


def test_the_password_of_a_client_is_nobody_elses(store_dir: StoreDirectory) -> None:
    store_dir.add_user("dale")
    (store_dir.folder / "hank.pw").write_text("hank's own\n")
    environ = {"MESSENGER_PASSWORD_FILE": str(store_dir.folder / "hank.pw")}
    result = store_dir.try_run_process("user", "passwd", "dale", typed="", **environ)
    assert result.exit_code == 2 and "No password was entered" in result.stderr


@pytest.mark.parametrize("words", [("export",), ("user", "list")], ids=" ".join)
def test_an_output_that_cannot_be_written(store_dir: StoreDirectory, words: tuple[str, ...]) -> None:
    store_dir.add_user("hank")
    command = [sys.executable, "-m", "gmessenger", "admin", "--store", store_dir.url, *words]
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=TEST_TIMEOUT)
    assert (result.returncode, result.stderr.count("\n")) == (73, 1) and "No space left" in result.stderr


@pytest.mark.parametrize("words", [("user", "add", os.fsdecode(b"\xff")), ("user", "add", "hank")], ids=ascii)
@pytest.mark.parametrize("served", [False, True], ids=["stopped", "running"])
def test_what_is_no_text(store_dir: StoreDirectory, words: tuple[str, ...], served: bool) -> None:
    store_dir.create_store()
    with store_dir.start_server() if served else contextlib.nullcontext() as server:
        if server is not None:
            server.wait_for_port()
        result = store_dir.try_run(*words, typed=os.fsdecode(b"correct \xff horse\n"))
    assert result.exit_code in (2, 77) and one_line(result)


def test_a_name_of_a_file_that_cannot_be(store_dir: StoreDirectory) -> None:
    store_dir.create_store()
    for words in (("verify", "x" * 300), ("restore", "x" * 300), ("export", "x" * 300)):
        result = store_dir.try_run(*words)
        assert result.exit_code == 73 and one_line(result) and "File name too long" in result.stderr


def test_a_directory_that_is_gone(store_dir: StoreDirectory) -> None:
    store_dir.create_store()
    with tempfile.TemporaryDirectory() as gone:
        program = "import os, sys; os.rmdir(os.getcwd()); from gmessenger.admin.main import main; sys.exit(main())"
        command = [sys.executable, "-c", program, "--store", store_dir.url, "backup", "here.db"]
        result = subprocess.run(
            command, cwd=gone, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=20
        )
        Path(gone).mkdir()
    assert (result.returncode, result.stderr.count("\n")) == (73, 1) and "No such file" in result.stderr


def test_nothing_is_left_of_an_export_that_failed(store_dir: StoreDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    store_dir.add_user("hank")

    def fail(line: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(maintenance.json, "encode", fail)
    result = store_dir.try_run("export", str(store_dir.folder / "all"))
    assert result.exit_code == 73 and one_line(result) and not (store_dir.folder / "all").exists()


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
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
def test_options_may_stand_anywhere(arguments: str, options: list[str], words: list[str]) -> None:
    assert split_arguments(arguments.split()) == (options, words)


@pytest.mark.parametrize(
    ("statement", "output"),
    [
        ("DELETE FROM words_data WHERE id > 10", "search index is damaged"),
        ("DELETE FROM words_data", "search index"),
        ("UPDATE words_docsize SET sz = x'05' WHERE id = 1", "search index has"),
    ],
)
def test_a_search_index_that_is_damaged(store_dir: StoreDirectory, statement: str, output: str) -> None:
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        hank = store_dir.connect(server.wait_for_port())
        hank.log_in("hank", password=PASSWORD)
        for number in range(3):
            hank.request(action="msg", id=str(number), to="hank", message="some words " * 100)
        server.stop(signal.SIGTERM)
    assert "is intact" in store_dir.run("verify")
    execute_sql(store_dir.file, statement)
    result = store_dir.try_run("verify")
    assert result.exit_code == 1 and output in result.stderr
