"""The first run: what is asked, offered and saved, and that the next run asks nothing."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.config.parser import CLIENT, default_config, parse_options
from gmessenger.errors import FileError
from gmessenger.terminal.main import main
from gmessenger.terminal.saved_config import save_values
from tests import ROOT
from tests.conftest import FAST, RunningServer
from tests.support.pty_client import TIMEOUT, PtyClient, environment
from tests.support.scripted_server import ClientConnection, FakeServer

GREETED = r"Connected to fake/1\."


OpenFirstRun = Callable[..., PtyClient]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def config(home: Path) -> Path:
    return home / ".config" / "gmessenger" / "client.ini"


@pytest.fixture
def open_first_run(log: Path, home: Path) -> Iterator[OpenFirstRun]:
    """Start the client with these arguments only, at a terminal without cursor movement."""
    with ExitStack() as stack:

        def open_client(*words: str) -> PtyClient:
            argv = [sys.executable, "-m", "gmessenger", "client", *words]
            return stack.enter_context(PtyClient(argv, log, HOME=str(home), TERM="dumb"))

        yield open_client


def guest(fake: FakeServer, registration: str | None = "open") -> ClientConnection:
    peer = fake.accept()
    peer.accept_login(**({"registration": registration} if registration else {}))
    return peer


def test_it_asks_once_and_remembers(fake: FakeServer, open_first_run: OpenFirstRun, config: Path) -> None:
    hank = open_first_run()
    hank.wait_for(r"Server \[127\.0\.0\.1\]: $")
    hank.type_line("[what?")
    hank.wait_for("-- a server is HOST, HOST:PORT or a URL")
    hank.type_line(f" {fake.host}:{fake.port} ")
    hank.wait_for("Your name: $")
    hank.type_line("")
    hank.wait_for("Your name: $")
    hank.type_line(" hank ")
    guest(fake)
    hank.wait_for("-- you are a guest: .*\r\n")
    hank.wait_for(r"A password for hank \(Enter: not now\): $")
    hank.type_line("")
    hank.wait_for("-- not registered; /register does it")
    values = f"host = {fake.host}, port = {fake.port}, name = hank"
    notice = f"-- saved in {config}: {values}; the next start asks no questions"
    hank.wait_for(r"\s+".join(map(re.escape, notice.split())))  # wherever a line of the terminal ends
    hank.wait_for(GREETED)
    assert config.read_text().endswith(f"[client]\nhost = {fake.host}\nport = {fake.port}\nname = hank\n")
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = open_first_run()
    guest(fake)
    again.wait_for(GREETED)
    assert "?" not in again.seen and "name:" not in again.seen
    again.type_line("/quit")
    assert again.wait_for_exit() == 0


def test_it_offers_an_account(fake: FakeServer, open_first_run: OpenFirstRun, config: Path) -> None:
    hank = open_first_run(fake.host, "-p", str(fake.port))
    hank.wait_for("Your name: $")
    hank.type_line("hank")
    peer = guest(fake)
    for first, second in (("one thing", "another"), ("short", "short")):
        hank.wait_for("A password for hank .*: $")
        hank.type_line(first)
        hank.wait_for("Repeat the password: $")
        hank.type_line(second)
        if first != second:
            hank.wait_for("-- the passwords differ")
    peer.respond(peer.expect("register"), 400, code="bad_password", error="Too short.")
    hank.wait_for("-- .+\r\n")
    hank.wait_for("A password for hank .*: $")
    hank.type_line("correct horse")
    hank.wait_for("Repeat the password: $")
    hank.type_line("correct horse")
    request = peer.expect("register")
    assert request["password"] == "correct horse" and "invite" not in request
    peer.respond(request, 201, session="other")
    hank.wait_for("-- hank is now your account")
    hank.wait_for(f"host = {fake.host}, port = {fake.port}, name = hank;")
    hank.wait_for(r"the\s+next\s+start\s+asks\s+only\s+for\s+the\s+password\r\n")
    hank.wait_for(GREETED)
    assert "horse" not in config.read_text() + hank.seen


@pytest.mark.parametrize("registration", ["closed", None])
def test_it_offers_no_account_where_there_is_none(
    fake: FakeServer, open_first_run: OpenFirstRun, registration: str | None
) -> None:
    hank = open_first_run(fake.host, str(fake.port))
    hank.wait_for("Your name: $")
    hank.type_line("hank")
    guest(fake, registration)
    hank.wait_for("-- saved")
    hank.wait_for(GREETED)
    assert "password" not in hank.seen.split("/msg")[0]


def test_it_asks_for_an_invite_where_one_is_needed(fake: FakeServer, open_first_run: OpenFirstRun) -> None:
    hank = open_first_run(fake.host, str(fake.port))
    hank.type_line("hank")
    peer = guest(fake, "invite")
    for question in ("A password for hank .*: $", "Repeat the password: $"):
        hank.wait_for(question)
        hank.type_line("correct horse")
    hank.wait_for("Your invite: $")
    hank.type_line("let-me-in")
    assert peer.expect("register")["invite"] == "let-me-in"


def test_a_name_that_is_refused_is_asked_again_and_not_remembered(
    fake: FakeServer, open_first_run: OpenFirstRun, config: Path
) -> None:
    hank = open_first_run(fake.host, str(fake.port))
    hank.type_line("hank")
    fake.accept().reject_login(409, "name_in_use", "This name is already in use; choose another.")
    hank.wait_for("-- This name is already in use; choose another.\r\n")
    hank.wait_for(r"Your name \[hank\]: $")
    hank.type_line("")
    peer = fake.accept()
    assert peer.reject_login(400, "bad_name", "A name is made of letters.")["user"]["account_name"] == "hank"
    hank.wait_for(r"Your name \[hank\]: $")
    assert not config.exists()
    hank.type_line("hanka")
    guest(fake, "closed")
    hank.wait_for("-- saved .*name = hanka;")
    hank.wait_for(GREETED)
    hank.type_line("/quit")
    assert hank.wait_for_exit() == 0


def test_a_server_that_cannot_be_reached_is_asked_again(
    fake: FakeServer, open_first_run: OpenFirstRun, config: Path
) -> None:
    hank = open_first_run()
    hank.wait_for("Server .*: $")
    hank.type_line("nosuchhost.invalid:99")
    hank.wait_for("Your name: $")
    hank.type_line("hank")
    hank.wait_for("-- Cannot reach nosuchhost.invalid:99: .*\r\n")
    hank.wait_for(r"Server \[nosuchhost.invalid:99\]: $")
    hank.type_line("")
    hank.wait_for("-- Cannot reach nosuchhost.invalid:99: .*\r\n")
    hank.wait_for(r"Server \[nosuchhost.invalid:99\]: $")
    hank.type_line(f"{fake.host}:{fake.port}")
    peer = fake.accept()
    assert peer.accept_login()["user"]["account_name"] == "hank"
    hank.wait_for(f"host = {fake.host}, port = {fake.port}, name = hank;")


def test_what_was_not_asked_is_not_asked_again(fake: FakeServer, open_first_run: OpenFirstRun) -> None:
    hank = open_first_run("--name", "hank", fake.host, str(fake.port))
    fake.accept().reject_login(409, "name_in_use", "This name is already in use; choose another.")
    assert hank.wait_for_exit() == 77
    bob = open_first_run("nosuchhost.invalid")
    bob.wait_for("Your name: $")
    bob.type_line("bob")
    assert bob.wait_for_exit() == 69


def test_ctrl_c_at_a_question_leaves_the_row_to_the_shell(fake: FakeServer, open_first_run: OpenFirstRun) -> None:
    hank = open_first_run()
    hank.wait_for("Server .*: $")
    hank.type("\x03")
    assert hank.wait_for_exit() == 0 and hank.seen == "^C\r\n"
    dale = open_first_run(fake.host, str(fake.port), "-n", "dale")
    fake.accept().reject_login(401, "password_needed", "A password is needed.")
    dale.wait_for("Password for dale: $")
    dale.type("\x03")
    assert dale.wait_for_exit() == 0 and dale.seen.endswith("\r")  # wiped


def test_nothing_is_written_where_another_file_is_named(
    fake: FakeServer, open_first_run: OpenFirstRun, config: Path, tmp_path: Path
) -> None:
    (other := tmp_path / "other.ini").write_text("[client]\n")
    hank = open_first_run(fake.host, str(fake.port), "-c", str(other))
    hank.wait_for("Your name: $")
    hank.type_line("hank")
    guest(fake)
    hank.wait_for(GREETED)
    assert (config.exists(), other.read_text()) == (False, "[client]\n")


def test_with_a_server_and_a_name_nothing_is_asked_or_remembered(
    fake: FakeServer, open_first_run: OpenFirstRun, config: Path
) -> None:
    hank = open_first_run(fake.host, str(fake.port), "-n", "hank")
    guest(fake)
    hank.wait_for(GREETED)
    hank.type_line("/quit")
    assert hank.wait_for_exit() == 0
    assert not config.exists()


def test_a_directory_that_cannot_be_written_stops_nobody(
    fake: FakeServer, open_first_run: OpenFirstRun, home: Path
) -> None:
    home.write_text("not a directory")
    hank = open_first_run(fake.host, str(fake.port))
    hank.wait_for("Your name: $")
    hank.type_line("hank")
    guest(fake, "closed")
    hank.wait_for("-- Cannot write the config file .*: Not a directory")
    hank.wait_for(GREETED)


def test_the_end_of_the_input_is_no_answer(open_first_run: OpenFirstRun) -> None:
    for answers in ([], ["localhost"]):
        hank = open_first_run()
        for answer in answers:
            hank.type_line(answer)
            hank.wait_for("Your name: $")
        hank.wait_for(": $" if not answers else "")
        hank.type("\x04")
        assert hank.wait_for_exit() == 0


def test_a_pipe_is_asked_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["localhost"]) == 2
    assert "Give a name with --name" in capsys.readouterr().err


def test_a_pipe_has_the_name_from_the_file(fake: FakeServer, log: Path, home: Path, config: Path) -> None:
    config.parent.mkdir(parents=True)
    config.write_text(f"[client]\nhost = {fake.host}\nport = {fake.port}\nname = hank\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "gmessenger", "client", "--to", "dale"],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        env=environment(log, HOME=str(home)),
    )
    assert process.stdin is not None
    process.stdin.write(b"hi\n")
    process.stdin.close()
    peer = fake.accept()
    assert peer.accept_login()["user"]["account_name"] == "hank"
    assert peer.accept_messages(1) == ["hi"]
    assert process.wait(timeout=TIMEOUT) == 0


OWN = "# mine\n\n[client]\n# port = 0\n\n# Your name.\n# name =\ntls = yes\n# the end"


def test_what_is_there_stays(tmp_path: Path) -> None:
    (real := tmp_path / "real.ini").write_text(OWN)
    real.chmod(0o644)
    (file := tmp_path / "client.ini").symlink_to(real)
    assert save_values(file, {"host": "there", "port": "1"}, {"name": "hank"}) == {
        "host": "there",
        "port": "1",
        "name": "hank",
    }
    assert real.read_text() == (
        "# mine\n\n[client]\n# port = 0\nport = 1\n\n# Your name.\n# name =\nname = hank\ntls = yes\n# the end\n"
        "host = there\n"
    )
    assert file.is_symlink() and real.stat().st_mode & 0o777 == 0o644
    assert parse_options(CLIENT, ["-c", str(file)], {}).name == "hank"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["client.ini", "real.ini"]


def test_what_belongs_together_is_set_together_or_not_at_all(tmp_path: Path) -> None:
    (file := tmp_path / "client.ini").write_text("[client]\nhost = here\n")
    assert save_values(file, {"host": "there", "tls": "yes"}, {"name": "hank"}) == {"name": "hank"}
    assert save_values(file, {"host": "there", "tls": "yes"}, {"name": "bob"}) == {}
    assert file.read_text() == "[client]\nhost = here\nname = hank\n"


def test_the_shipped_file_may_be_the_beginning(tmp_path: Path) -> None:
    (file := tmp_path / "client.ini").write_text(default_config(CLIENT))
    save_values(file, {"name": "hank"})
    assert parse_options(CLIENT, ["-c", str(file)], {}).name == "hank"


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    (file := tmp_path / "client.ini").write_bytes(b"\xff")
    with pytest.raises(FileError, match="not UTF-8"):
        save_values(file, {"name": "hank"})
    assert file.read_bytes() == b"\xff"


def test_where_guests_are_refused_it_asks_whether_one_is_new_and_registers(
    start_server: Callable[..., RunningServer], open_first_run: OpenFirstRun, config: Path
) -> None:
    server = start_server(guests=False, registration="invite")
    server.app.store.add_invite("let-me-in", 1.0)
    erin = open_first_run(server.host, str(server.port))
    erin.wait_for("Your name: $")
    erin.type_line("erin")
    erin.wait_for(r"-- New\s+here\?")
    for question in ("A password for erin .*: $", "Repeat the password: $"):
        erin.wait_for(question)
        erin.type_line("correct horse")
    for invite in ("guessed", "let-me-in"):  # only what was mistyped is asked for again
        erin.wait_for("Your invite: $")
        erin.type_line(invite)
    erin.wait_for("-- erin is now your account")
    erin.wait_for("-- saved")
    erin.wait_for(r"Connected to gmessenger/")
    assert "horse" not in config.read_text() + erin.seen
    assert server.app.messenger.authenticator.accounts["erin"].name == "erin"


def test_where_guests_are_refused_a_name_that_was_mistyped_is_asked_for_again(
    start_server: Callable[..., RunningServer], open_first_run: OpenFirstRun
) -> None:
    server = start_server(guests=False)
    erin = open_first_run(server.host, str(server.port))
    erin.wait_for("Your name: $")
    erin.type_line("erni")
    erin.wait_for("A password for erni .*: $")
    erin.type_line("")
    erin.wait_for(r"Your name \[erni\]: $")
    assert not server.app.messenger.authenticator.accounts


@pytest.mark.parametrize("taken", ["ace", "bee"])
def test_no_other_password_is_asked_for_where_the_name_or_the_invite_is_refused(
    start_server: Callable[..., RunningServer], open_first_run: OpenFirstRun, taken: str
) -> None:
    server = start_server(guests=False, registration="invite")
    AdminService(server.app.messenger, server.app.store, FAST, time.time).add_account(taken, "correct horse")
    server.app.store.add_invite("let-me-in", 1.0)
    cyrillic_ace = "\u0430\u0441\u0435"
    ace = open_first_run(server.host, str(server.port))
    ace.wait_for("Your name: $")
    ace.type_line(cyrillic_ace)
    for question in ("A password for .*: $", "Repeat the password: $"):
        ace.wait_for(question)
        ace.type_line("correct horse")
    for invite in ["let-me-in"] if taken == "ace" else ["guess"] * 3:
        ace.wait_for("Your invite: $")
        ace.type_line(invite)
    ace.wait_for(r"-- The name \S+ looks too much like ace|-- Registration on this server")
    ace.wait_for(r"-- This server admits accounts only.*\r\n")
    ace.wait_for(rf"Your name \[{cyrillic_ace}\]: $")


def test_after_a_one_time_password_it_asks_for_a_new_one(
    start_server: Callable[..., RunningServer], open_first_run: OpenFirstRun
) -> None:
    server = start_server()
    service = AdminService(server.app.messenger, server.app.store, FAST, time.time)
    service.add_account("erin", "forgotten long ago")
    service.set_password("erin", "once upon a time", once=True)
    erin = open_first_run(server.host, str(server.port), "--name", "erin")
    erin.wait_for("Password for erin: $")
    erin.type_line("once upon a time")
    erin.wait_for(r"one-time\s+password")
    for first, second in (("a new password", "another"), ("short", "short"), ("a new password", "a new password")):
        erin.wait_for("The new password: $")
        erin.type_line(first)
        erin.wait_for("Repeat the password: $")
        erin.type_line(second)
    erin.wait_for(r"Connected to gmessenger/")
    erin.type_line("/password")
    erin.wait_for("Your password now")
    assert server.app.messenger.router.sessions("erin")[0].must_change_password is False
