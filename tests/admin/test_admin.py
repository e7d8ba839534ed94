"""gmessenger-admin on a running server and on the store of a stopped one: same commands, same results."""

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
from gmessenger.chat.room_access import RoomMask
from gmessenger.store import open_store
from tests.support.admin_cli import PASSWORD, StoreDirectory


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        yield store_dir


@pytest.fixture(params=["running", "stopped"])
def any_store(request: pytest.FixtureRequest, store_dir: StoreDirectory) -> Iterator[StoreDirectory]:
    """A store that a server has open, and one that none has."""
    if request.param == "stopped":
        yield store_dir
        return
    start_server = request.getfixturevalue("start_server")
    start_server(store=store_dir.url)
    yield store_dir


def test_accounts_come_change_and_go(any_store: StoreDirectory) -> None:
    any_store.add_user("Hank")
    any_store.add_user("小林")
    assert any_store.run("user", "list") == "Hank\t-\n小林\t-\n"
    assert "new password" in any_store.run("user", "passwd", "hank", typed="battery staple\n")
    any_store.run("user", "disable", "HANK")
    assert any_store.run("user", "list") == "Hank\tdisabled\n小林\t-\n"
    any_store.run("user", "enable", "hank")
    any_store.run("user", "delete", "小林")
    assert any_store.run("user", "list") == "Hank\t-\n"


def test_a_one_time_password_is_printed_and_users_are_listed_with_when_they_were_here(
    store_dir: StoreDirectory,
) -> None:
    store_dir.add_user("hank")
    store_dir.add_user("dale")
    with store_dir.start_server() as server:
        port, once = server.wait_for_port(), store_dir.run("user", "passwd", "hank", "--once").strip()
        hank = store_dir.connect(port)
        assert hank.log_in("hank", password=once)["account"] is True
        assert hank.request(action="rooms", id="r")["code"] == "password_change_needed"
        assert store_dir.run("user", "list").startswith("dale\t-\nhank\there\tlast seen 20")
        assert hank.request(action="password", id="p", old=once, new=PASSWORD)["response"] == 200
    assert store_dir.run("user", "list").startswith("dale\t-\nhank\t-\tlast seen 20")


def test_an_account_that_looks_like_another_is_made_where_that_is_wanted(any_store: StoreDirectory) -> None:
    any_store.add_user("alice")
    result = any_store.try_run("user", "add", "a1ice", typed=f"{PASSWORD}\n")
    assert (result.exit_code, result.stdout) == (77, "")
    assert "a1ice looks too much like alice" in result.stderr and "--look-alike" in result.stderr
    any_store.run("user", "add", "a1ice", "--look-alike", typed=f"{PASSWORD}\n")
    assert any_store.run("user", "list") == "a1ice\t-\nalice\t-\n"


REFUSED = [
    (("user", "add", "hank"), PASSWORD, 77, "already registered"),
    (("user", "add", "two words"), PASSWORD, 77, "letters, digits"),
    (("user", "add", "dale"), "short", 77, "8 to 1024 bytes"),
    (("user", "add", "dale"), "", 2, "No password was entered"),
    (("user", "delete", "dale"), "", 77, "There is no account dale"),
    (("room", "delete", "#dev"), "", 77, "no such room"),
    (("room", "show", "#dev"), "", 77, "no such room"),
    (("room", "role", "#dev", "hank", "king"), "", 77, "not valid"),
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
    any_store: StoreDirectory, words: tuple[str, ...], typed: str, code: int | None, sentence: str
) -> None:
    any_store.add_user("hank")
    result = any_store.try_run(*words, typed=typed)
    assert result.stdout == "" and result.stderr.startswith("gmessenger-admin: ") and result.stderr.count("\n") == 1
    assert sentence in result.stderr
    assert result.exit_code in ((75, 73) if code is None else (code,))


def test_a_password_comes_from_a_file_and_an_invite_registers_one(store_dir: StoreDirectory) -> None:
    (store_dir.folder / "secret").write_text(PASSWORD + "\n")
    store_dir.create_store()
    store_dir.run("user", "add", "hank", "--password-file", str(store_dir.folder / "secret"))
    with store_dir.start_server("--registration", "invite") as server:
        port, invite = server.wait_for_port(), store_dir.run("invite").strip()
        answers = []
        for name in ("dale", "bobby"):
            line = store_dir.connect(port)
            line.log_in(name)
            answers.append(line.request(action="register", id="r", password=PASSWORD, invite=invite)["response"])
        assert answers == [201, 403]
        assert store_dir.connect(port).log_in("hank", password=PASSWORD)["response"] == 200


def test_rooms_are_listed_and_deleted_and_members_told(store_dir: StoreDirectory) -> None:
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        hank = store_dir.connect(server.wait_for_port())
        hank.log_in("hank", password=PASSWORD)
        assert hank.request(action="join", id="j", room="#dev")["response"] == 200
        assert hank.request(action="msg", id="m", to="#dev", message="hi")["seq"] == 1
        assert store_dir.run("room", "list") == "#dev\t1 members\tseq 1\t\n"
        store_dir.run("room", "delete", "#DEV")
        assert receive_event(hank, "leave")["by"] == "server"
        assert hank.request(action="msg", id="n", to="#dev", message="hi")["response"] == 404
        assert hank.request(action="join", id="k", room="#dev")["seq"] == 0
        assert hank.request(action="msg", id="o", to="#dev", message="anew")["seq"] == 1
    assert "is intact" in store_dir.run("verify")


def receive_event(client: Any, action: str) -> dict[str, Any]:
    while (frame := client.receive()).get("action") != action:
        pass
    return dict(frame)


def test_masks_of_a_room_are_shown(store_dir: StoreDirectory) -> None:
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        hank = store_dir.connect(server.wait_for_port())
        hank.log_in("hank", password=PASSWORD)
        assert hank.request(action="join", id="j", room="#dev")["response"] == 200
    masks = RoomMask("heard", "*!*@c", "hank", 1.0), RoomMask("ban", "*!*@b", "hank", 3.0)
    with closing(open_store(store_dir.url)) as store:
        for mask in (*masks, RoomMask("ban", "account:dale", "hank", 2.0)):
            store.add_room_mask("#dev", mask)
    assert store_dir.run("room", "show", "#dev").endswith(
        "mask\tban\taccount:dale\thank\nmask\tban\t*!*@b\thank\nmask\theard\t*!*@c\thank\n"
    )


def test_the_owner_of_the_server_invites_to_rooms_and_silences_in_them(store_dir: StoreDirectory) -> None:
    for name in ("hank", "dale", "bobby"):
        store_dir.add_user(name)
    with store_dir.start_server() as server:
        port = server.wait_for_port()
        hank, dale = store_dir.connect(port), store_dir.connect(port)
        for client, name in ((hank, "hank"), (dale, "dale")):
            client.log_in(name, password=PASSWORD)
        rules = {"invited": True, "hidden": True}
        assert hank.request(action="join", id="j", room="#dev", rules=rules)["response"] == 200
        assert store_dir.run("room", "invite", "#dev", "dale") == "dale is invited to #dev.\n"
        event = receive_event(dale, "invited")
        assert (event["room"], event["from"]) == ("#dev", "server")
        assert store_dir.try_run("room", "invite", "#dev", "hank").exit_code == 77
        assert store_dir.try_run("room", "invite", "#dev", "nobody").exit_code == 77
        store_dir.run("room", "invite", "#dev", "bobby")
        assert store_dir.run("room", "show", "#dev").endswith("invited\tbobby\tserver\ninvited\tdale\tserver\n")
        assert dale.request(action="join", id="j", room="#dev")["response"] == 200
        store_dir.run("room", "silence", "#dev", "dale", "--reason", "noise", "--for", "1h")
        event = receive_event(hank, "silence")
        assert (event["user"], event["by"], event["reason"]) == ({"account_name": "dale"}, "server", "noise")
        assert dale.request(action="msg", id="m", to="#dev", message="hi")["response"] == 403
    shown = store_dir.run("room", "show", "#dev")  # without a server, too
    assert "silenced\tdale\tserver\tuntil " in shown and shown.endswith("invited\tbobby\tserver\n")
    store_dir.run("room", "unsilence", "#dev", "dale")
    store_dir.run("room", "uninvite", "#dev", "bobby")
    assert not {"silenced", "invited"} & {
        line.split("\t")[0] for line in store_dir.run("room", "show", "#dev").splitlines()
    }
    assert store_dir.try_run("room", "uninvite", "#dev", "bobby").exit_code == 77


def test_the_owner_of_the_server_sets_rules_and_roles_of_rooms(store_dir: StoreDirectory) -> None:
    for name in ("hank", "dale"):
        store_dir.add_user(name)
    with store_dir.start_server() as server:
        port = server.wait_for_port()
        hank, dale = store_dir.connect(port), store_dir.connect(port)
        for client, name in ((hank, "hank"), (dale, "dale")):
            client.log_in(name, password=PASSWORD)
            assert client.request(action="join", id="j", room="#dev")["response"] == 200
        store_dir.run("room", "rule", "#DEV", "hidden", "yes")
        event = receive_event(dale, "rule")
        assert (event["user"], event["set"]) == ({"account_name": "server"}, {"hidden": True})
        store_dir.run("room", "role", "#dev", "dale", "owner")
        event = receive_event(dale, "role")
        assert (event["role"], event["by"]) == ("owner", "server")
        assert dale.request(action="rule", id="r", room="#dev", set={"most": 5})["rules"]["hidden"]
        dale.request(action="topic", id="t", room="#dev", topic="work")
    shown = store_dir.run("room", "show", "#dev")  # without a server, too
    assert "rule\thidden\tyes\t" in shown and "rule\tmost\t5\t" in shown
    assert shown.endswith("role\tdale\towner\nrole\thank\towner\n")
    store_dir.run("room", "rule", "#dev", "hidden", "no")
    store_dir.run("room", "role", "#dev", "hank", "member")
    assert store_dir.run("room", "show", "#dev").endswith("role\tdale\towner\n")
    store_dir.run("user", "delete", "dale")
    assert store_dir.run("room", "show", "#dev").endswith("role\thank\towner\n")
    (room,) = [line for line in export_lines(store_dir) if line["kind"] == "room"]
    assert (room["creator"], room["owners"], room["rules"]) == ("hank", ["hank"], {"most": 5})
    assert (room["topic"], room["topic_by"], room["topic_at"] > 0) == ("work", "dale", True)
    store_dir.run("user", "delete", "hank")
    (room,) = [line for line in export_lines(store_dir) if line["kind"] == "room"]
    assert "creator" not in room and room["owners"] == []


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
    store_dir: StoreDirectory, words: tuple[str, ...], typed: str, code: str
) -> None:
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        line = store_dir.connect(server.wait_for_port())
        name = words[-1]
        line.log_in(name, **({"password": PASSWORD} if name == "hank" else {}))
        assert line.receive()["action"] == "synced"
        store_dir.run(*words, typed=typed)
        assert line.receive()["code"] == code
        assert line.reader.readline() == b""


def test_a_backup_is_made_while_messages_come_and_restored_later(store_dir: StoreDirectory) -> None:
    store_dir.add_user("hank")
    backup = store_dir.folder / "backup.db"
    with store_dir.start_server() as server:
        hank = store_dir.connect(server.wait_for_port())
        hank.log_in("hank", password=PASSWORD)
        hank.request(action="msg", id="1", to="hank", message="before")
        store_dir.run("backup", str(backup))
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        hank.request(action="msg", id="2", to="hank", message="after")
        result = store_dir.try_run("backup", str(backup))
        assert (result.exit_code, "File exists" in result.stderr) == (73, True)
        assert "messages 2" in store_dir.run("verify") and "messages 1" in store_dir.run("verify", str(backup))
        result = store_dir.try_run("restore", str(backup))
        assert result.exit_code == 75 and "needs the server stopped" in result.stderr
        server.stop(signal.SIGTERM)
    output = store_dir.run("restore", str(backup))
    assert "messages 1" in output
    (old,) = [path for path in store_dir.folder.glob("messenger.db.2*") if path.suffix not in (".lock", ".socket")]
    assert str(old) in output and "messages 2" in store_dir.run("verify", str(old))
    assert [line["message"] for line in export_lines(store_dir) if line["kind"] == "message"] == ["before"]


def export_lines(store_dir: StoreDirectory, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store_dir.run_process("export", *arguments).splitlines()]


def test_an_export_has_everything_but_passwords(any_store: StoreDirectory) -> None:
    any_store.add_user("hank")
    assert export_lines(any_store) == [{"kind": "account", "name": "hank", "disabled": False, "role": ""}]
    file = any_store.folder / "all.jsonl"
    any_store.run("export", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "argon2" not in file.read_text()
    assert any_store.try_run("export", str(file)).exit_code == 73


def execute_sql(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def stopped_store(store_dir: StoreDirectory) -> StoreDirectory:
    """A store with three messages of hank, whose server has stopped."""
    store_dir.add_user("hank")
    with store_dir.start_server() as server:
        hank = store_dir.connect(server.wait_for_port())
        hank.log_in("hank", password=PASSWORD)
        for number in range(3):
            hank.request(action="msg", id=str(number), to="hank", message=f"text {number}")
        server.stop(signal.SIGTERM)
    return store_dir


CORRUPTIONS = [
    ("DELETE FROM messages WHERE seq = 2", "should have messages 1 to 3 and has 2"),
    ("UPDATE conversations SET head = 9", "should have messages 1 to 9"),
    ("UPDATE messages SET conversation_id = 99 WHERE seq = 3", "belong to no conversation"),
    ("INSERT INTO words (words) VALUES ('delete-all')", "can be found by their words"),
]


@pytest.mark.parametrize(("statement", "sentence"), CORRUPTIONS, ids=lambda value: str(value)[:40])
def test_verify_finds_what_is_wrong_and_restore_refuses_it(
    stopped_store: StoreDirectory, statement: str, sentence: str
) -> None:
    assert "messages 3" in stopped_store.run("verify")
    execute_sql(stopped_store.file, statement)
    result = stopped_store.try_run("verify")
    assert result.exit_code == 1 and sentence in result.stderr
    other = StoreDirectory(stopped_store.folder / "other")
    result = other.try_run("restore", str(stopped_store.file))
    assert result.exit_code == 73 and "is damaged" in result.stderr and not other.file.exists()


def test_a_torn_file_no_store_and_a_newer_one_are_told_apart(stopped_store: StoreDirectory) -> None:
    truncated, text, newer = (stopped_store.folder / name for name in ("torn", "text", "newer"))
    content = stopped_store.file.read_bytes()
    truncated.write_bytes(content[: len(content) // 2])
    text.write_text("hello")
    newer.write_bytes(content)
    execute_sql(newer, "PRAGMA user_version = 99")
    for file, code, restore_code in ((truncated, 1, 73), (text, 73, 73), (newer, 78, 78)):
        assert stopped_store.try_run("verify", str(file)).exit_code == code
        assert stopped_store.try_run("restore", str(file)).exit_code == restore_code
    execute_sql(stopped_store.file, "PRAGMA user_version = 99")
    assert stopped_store.try_run("user", "list").exit_code == 78


def test_old_messages_are_pruned(stopped_store: StoreDirectory) -> None:
    execute_sql(stopped_store.file, "UPDATE messages SET time = 5 WHERE seq < 3")
    assert stopped_store.run("prune", "--older-than", "1d") == f"2 messages deleted from {stopped_store.file}.\n"
    assert "messages 1" in stopped_store.run("verify")


def test_a_store_has_one_server_and_a_dead_ones_socket_is_no_server(store_dir: StoreDirectory) -> None:
    with store_dir.start_server() as server:
        server.wait_for_port()
        with store_dir.start_server() as second:
            code, log = second.stop()
            assert code == 69 and f"in use by process {server.process.pid}" in log
        server.stop(signal.SIGKILL)
    assert store_dir.file.with_name("messenger.db.socket").is_socket()
    store_dir.add_user("hank")
    with store_dir.start_server() as again:
        again.wait_for_port()
        assert store_dir.run("user", "list") == "hank\t-\n"


def test_what_is_kept_in_memory_has_no_office(store_dir: StoreDirectory) -> None:
    result = store_dir.try_run("--store", "memory:", "user", "list")
    assert result.exit_code == 78 and "memory" in result.stderr


def test_the_servers_own_file_says_which_store_is_meant(store_dir: StoreDirectory) -> None:
    ini = store_dir.folder / "server.ini"
    ini.write_text(f"[server]\nstore = {store_dir.url}\nmax-text = 5\n")
    store_dir.create_store()
    result = store_dir.try_run_process("-c", str(ini), "user", "add", "hank", typed=PASSWORD, MESSENGER_STORE="")
    assert result.exit_code == 0 and str(store_dir.file) in result.stdout


def test_help_names_every_command(store_dir: StoreDirectory) -> None:
    shown = store_dir.run("--help")
    assert all(command.usage in shown for command in COMMANDS)
    assert "AGE" in store_dir.run("prune", "--help")
