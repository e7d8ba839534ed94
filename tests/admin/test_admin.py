"""gmessenger-admin, on a running server and on a store that none serves: the same words, the same outcome."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gmessenger.admin.commands import COMMANDS
from tests.support.admin_cli import PASSWORD, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.closing(Place(tmp_path)) as place:
        yield place


@pytest.fixture(params=["running", "stopped"])
def anyhow(request: pytest.FixtureRequest, place: Place) -> Iterator[Place]:
    """A store that a server serves, and one that none does."""
    if request.param == "stopped":
        yield place
        return
    start_server = request.getfixturevalue("start_server")
    start_server(store=place.url)
    yield place


def test_accounts_come_change_and_go(anyhow: Place) -> None:
    anyhow.adds("Hank")
    anyhow.adds("小林")
    assert anyhow.does("user", "list") == "Hank\t-\n小林\t-\n"
    assert "new password" in anyhow.does("user", "passwd", "hank", typed="battery staple\n")
    anyhow.does("user", "disable", "HANK")
    assert anyhow.does("user", "list") == "Hank\tdisabled\n小林\t-\n"
    anyhow.does("user", "enable", "hank")
    anyhow.does("user", "delete", "小林")
    assert anyhow.does("user", "list") == "Hank\t-\n"


def test_an_account_that_looks_like_another_is_made_where_that_is_wanted(anyhow: Place) -> None:
    anyhow.adds("alice")
    done = anyhow.admin("user", "add", "a1ice", typed=f"{PASSWORD}\n")
    assert (done.code, done.out) == (77, "")
    assert "a1ice looks too much like alice" in done.err and "--look-alike" in done.err
    anyhow.does("user", "add", "a1ice", "--look-alike", typed=f"{PASSWORD}\n")
    assert anyhow.does("user", "list") == "a1ice\t-\nalice\t-\n"


REFUSED = [
    (("user", "add", "hank"), PASSWORD, 77, "already registered"),
    (("user", "add", "two words"), PASSWORD, 77, "letters, digits"),
    (("user", "add", "dale"), "short", 77, "8 to 1024 bytes"),
    (("user", "add", "dale"), "", 2, "No password was entered"),
    (("user", "delete", "dale"), "", 77, "There is no account dale"),
    (("room", "delete", "#dev"), "", 77, "no such room"),
    (("restore", "/nowhere/at/all"), "", None, ""),
    (("backup", "/nowhere/at/all"), "", 73, "/nowhere/at/all: No such file"),
    (("prune", "--older-than", "soon"), "", 2, "90d"),
    (("prune", "--older-than", "3"), "", 2, "a time like 90d"),
    (("prune", "--older-than", "3 "), "", 2, "a time like 90d"),
    (("prune", "--older-than", ""), "", 2, "a time like 90d"),
    (("prune", "--older-than", "nand"), "", 2, "a time like 90d"),
    (("mute", "hank", "--for", "10"), "", 2, "a time like 90d"),
    (("prune",), "", 2, "--older-than"),
    (("user",), "", 2, "user add, user passwd"),
    (("fly",), "", 2, "There is no command 'fly'"),
    ((), "", 2, "Give a command"),
]


@pytest.mark.parametrize(("words", "typed", "code", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_refusal_is_one_line_and_an_exit_code(
    anyhow: Place, words: tuple[str, ...], typed: str, code: int | None, sentence: str
) -> None:
    anyhow.adds("hank")
    done = anyhow.admin(*words, typed=typed)
    assert done.out == "" and done.err.startswith("gmessenger-admin: ") and done.err.count("\n") == 1
    assert sentence in done.err
    assert done.code in ((75, 73) if code is None else (code,))


def test_a_password_comes_from_a_file_and_an_invite_registers_one(place: Place) -> None:
    (place.folder / "secret").write_text(PASSWORD + "\n")
    place.makes()
    place.does("user", "add", "hank", "--password-file", str(place.folder / "secret"))
    with place.serves("--registration", "invite") as server:
        port, invite = server.port(), place.does("invite").strip()
        answers = []
        for name in ("dale", "bobby"):
            line = place.dials(port)
            line.enters(name)
            answers.append(line.asks(action="register", id="r", password=PASSWORD, invite=invite)["response"])
        assert answers == [201, 403]
        assert place.dials(port).enters("hank", password=PASSWORD)["response"] == 200


def test_rooms_are_listed_and_deleted_and_members_told(place: Place) -> None:
    place.adds("hank")
    with place.serves() as server:
        hank = place.dials(server.port())
        hank.enters("hank", password=PASSWORD)
        assert hank.asks(action="join", id="j", room="#dev")["response"] == 200
        assert hank.asks(action="msg", id="m", to="#dev", message="hi")["seq"] == 1
        assert place.does("room", "list") == "#dev\t1 members\tseq 1\t\n"
        place.does("room", "delete", "#DEV")
        assert (told := hank.hears())["action"] == "leave" and told["by"] == "server"
        assert hank.asks(action="msg", id="n", to="#dev", message="hi")["response"] == 404
        assert hank.asks(action="join", id="k", room="#dev")["seq"] == 0
        assert hank.asks(action="msg", id="o", to="#dev", message="anew")["seq"] == 1
    assert "is intact" in place.does("verify")


@pytest.mark.parametrize(
    ("words", "typed", "code"),
    [
        (("user", "disable", "hank"), "", "account_disabled"),
        (("user", "delete", "hank"), "", "account_deleted"),
        (("user", "passwd", "hank"), "another one", "password_needed"),
        (("user", "add", "dale"), PASSWORD, "name_taken"),
    ],
    ids=str,
)
def test_who_may_be_here_no_more_is_told_and_closed(
    place: Place, words: tuple[str, ...], typed: str, code: str
) -> None:
    place.adds("hank")
    with place.serves() as server:
        line = place.dials(server.port())
        name = words[-1]
        line.enters(name, **({"password": PASSWORD} if name == "hank" else {}))
        assert line.hears()["action"] == "synced"
        place.does(*words, typed=typed)
        assert line.hears()["code"] == code
        assert line.lines.readline() == b""


def test_a_backup_is_made_while_messages_come_and_restored_later(place: Place) -> None:
    place.adds("hank")
    backup = place.folder / "backup.db"
    with place.serves() as server:
        hank = place.dials(server.port())
        hank.enters("hank", password=PASSWORD)
        hank.asks(action="msg", id="1", to="hank", message="before")
        place.does("backup", str(backup))
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        hank.asks(action="msg", id="2", to="hank", message="after")
        refused = place.admin("backup", str(backup))
        assert (refused.code, "File exists" in refused.err) == (73, True)
        assert "messages 2" in place.does("verify") and "messages 1" in place.does("verify", str(backup))
        running = place.admin("restore", str(backup))
        assert running.code == 75 and "needs the server stopped" in running.err
        server.end(signal.SIGTERM)
    said = place.does("restore", str(backup))
    assert "messages 1" in said
    (old,) = [path for path in place.folder.glob("messenger.db.2*") if path.suffix not in (".lock", ".socket")]
    assert str(old) in said and "messages 2" in place.does("verify", str(old))
    assert [line["message"] for line in exported(place) if line["kind"] == "message"] == ["before"]


def exported(place: Place, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.does_alone("export", *arguments).splitlines()]


def test_an_export_has_everything_but_passwords(anyhow: Place) -> None:
    anyhow.adds("hank")
    assert exported(anyhow) == [{"kind": "account", "name": "hank", "disabled": False, "role": ""}]
    file = anyhow.folder / "all.jsonl"
    anyhow.does("export", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "argon2" not in file.read_text()
    assert anyhow.admin("export", str(file)).code == 73


def spoil(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def talked(place: Place) -> Place:
    """A store in which hank said three things, and that no server serves any more."""
    place.adds("hank")
    with place.serves() as server:
        hank = place.dials(server.port())
        hank.enters("hank", password=PASSWORD)
        for number in range(3):
            hank.asks(action="msg", id=str(number), to="hank", message=f"text {number}")
        server.end(signal.SIGTERM)
    return place


SPOILT = [
    ("DELETE FROM messages WHERE seq = 2", "should have messages 1 to 3 and has 2"),
    ("UPDATE conversations SET head = 9", "should have messages 1 to 9"),
    ("UPDATE messages SET conversation_id = 99 WHERE seq = 3", "belong to no conversation"),
    ("INSERT INTO words (words) VALUES ('delete-all')", "can be found by their words"),
]


@pytest.mark.parametrize(("statement", "sentence"), SPOILT, ids=lambda value: str(value)[:40])
def test_verify_finds_what_is_wrong_and_restore_refuses_it(talked: Place, statement: str, sentence: str) -> None:
    assert "messages 3" in talked.does("verify")
    spoil(talked.file, statement)
    found = talked.admin("verify")
    assert found.code == 1 and sentence in found.err
    other = Place(talked.folder / "other")
    refused = other.admin("restore", str(talked.file))
    assert refused.code == 73 and "is damaged" in refused.err and not other.file.exists()


def test_a_torn_file_no_store_and_a_newer_one_are_told_apart(talked: Place) -> None:
    torn, text, newer = (talked.folder / name for name in ("torn", "text", "newer"))
    whole = talked.file.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    text.write_text("hello")
    newer.write_bytes(whole)
    spoil(newer, "PRAGMA user_version = 99")
    for file, code, restoring in ((torn, 1, 73), (text, 73, 73), (newer, 78, 78)):
        assert talked.admin("verify", str(file)).code == code
        assert talked.admin("restore", str(file)).code == restoring
    spoil(talked.file, "PRAGMA user_version = 99")
    assert talked.admin("user", "list").code == 78


def test_old_messages_are_pruned(talked: Place) -> None:
    spoil(talked.file, "UPDATE messages SET time = 5 WHERE seq < 3")
    assert talked.does("prune", "--older-than", "1d") == f"2 messages deleted from {talked.file}.\n"
    assert "messages 1" in talked.does("verify")


def test_a_store_has_one_server_and_a_dead_ones_socket_is_no_server(place: Place) -> None:
    with place.serves() as server:
        server.port()
        with place.serves() as second:
            code, log = second.end()
            assert code == 69 and f"in use by process {server.process.pid}" in log
        server.end(signal.SIGKILL)
    assert place.file.with_name("messenger.db.socket").is_socket()
    place.adds("hank")
    with place.serves() as again:
        again.port()
        assert place.does("user", "list") == "hank\t-\n"


def test_what_is_kept_in_memory_has_no_office(place: Place) -> None:
    done = place.admin("--store", "memory:", "user", "list")
    assert done.code == 78 and "memory" in done.err


def test_the_servers_own_file_says_which_store_is_meant(place: Place) -> None:
    ini = place.folder / "server.ini"
    ini.write_text(f"[server]\nstore = {place.url}\nmax-text = 5\n")
    place.makes()
    done = place.admin_process("-c", str(ini), "user", "add", "hank", typed=PASSWORD, MESSENGER_STORE="")
    assert done.code == 0 and str(place.file) in done.out


def test_help_names_every_command(place: Place) -> None:
    shown = place.does("--help")
    assert all(command.usage in shown for command in COMMANDS)
    assert "AGE" in place.does("prune", "--help")
