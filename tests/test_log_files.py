"""Log files that are rotated, moved or deleted while a program writes: no line is lost."""

from __future__ import annotations

import getpass
import grp
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gmessenger import log, paths
from gmessenger.log_files import MAX_ROTATED_FILES, DailyLog, SharedLog, WatchedLog
from tests import ROOT
from tests.support.server import TEST_TIMEOUT, ServerProcess, open_connection

ROTATION = ROOT / "config" / "gmessenger.logrotate"
YESTERDAY = 90_000  # seconds ago
Handlers = list[logging.Handler]


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def handlers() -> Iterator[Handlers]:
    """Yield a list of handlers, and close them after the test."""
    made_handlers: Handlers = []
    yield made_handlers
    for item in made_handlers:
        item.close()


@pytest.fixture
def log_path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "server.log"
    for handler in log.LOGGER.handlers[:]:
        handler.close()
        log.LOGGER.removeHandler(handler)
    log.LOGGER.setLevel(logging.NOTSET)
    log.LOGGER.propagate = True


def record(text: str, days: int = 0) -> logging.LogRecord:
    record = logging.LogRecord("gmessenger", logging.INFO, "", 0, text, None, None)
    record.created += days * 86_400
    return record


def day(days: int = 0) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(time.time() + days * 86_400))


def of_yesterday(file: Path) -> Path:
    file.write_text("yesterday\n")
    then = time.time() - YESTERDAY
    os.utime(file, (then, then))
    return file


@pytest.mark.usefixtures("umask")
def test_it_is_no_business_of_others(log_path: Path) -> None:
    log.configure(str(log_path))
    assert log_path.stat().st_mode & 0o777 == 0o640


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("take_away", [lambda file: file.rename(f"{file}.1"), Path.unlink], ids=["moved", "deleted"])
def test_a_file_that_was_taken_away_is_made_anew(take_away: Callable[[Path], object], log_path: Path) -> None:
    log.configure(str(log_path))
    log.log_event("login", name="hank")
    take_away(log_path)
    log.log_event("login", name="dale")
    assert ("name=dale" in log_path.read_text(), "name=hank" in log_path.read_text()) == (True, False)
    assert log_path.stat().st_mode & 0o777 == 0o640


def test_another_file_in_its_place_is_written_to(log_path: Path) -> None:
    log.configure(str(log_path))
    (log_path.parent / "fresh").touch()
    (log_path.parent / "fresh").rename(log_path)
    log.log_event("login", name="dale")
    assert "name=dale" in log_path.read_text()


def test_where_no_new_file_can_be_made_the_old_one_goes_on_and_says_so_once(log_path: Path) -> None:
    folder, aside = log_path.parent / "logs", log_path.parent / "aside"
    log.configure(str(folder / log_path.name))
    folder.rename(aside)
    folder.touch()  # no folder: nothing can be made in it, by root neither
    for name in ("hank", "dale"):
        log.log_event("login", name=name)
    words = [item.split()[3] for item in (aside / log_path.name).read_text().splitlines()]
    assert words == ["log_file_error", "login", "login"]
    folder.unlink()
    folder.mkdir()
    log.log_event("login", name="bill")
    assert "name=bill" in (folder / log_path.name).read_text()


def test_elsewhere_than_in_a_checkout_nothing_is_rotated(log_path: Path) -> None:
    log.configure(str(of_yesterday(log_path)))
    log.log_event("login", name="hank")
    assert [item.name for item in log_path.parent.iterdir()] == [log_path.name]
    assert log_path.read_text().startswith("yesterday\n")


@pytest.fixture
def in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for logs of one."""
    monkeypatch.setattr(log, "checkout_root", lambda: tmp_path)
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.mark.usefixtures("log_path")
def test_in_a_checkout_it_is_rotated_at_midnight(in_a_checkout: Path) -> None:
    file = of_yesterday(in_a_checkout / "server.log")
    log.configure(str(file))
    log.log_event("login", name="hank")
    aside = file.with_name(f"server.log.{time.strftime('%Y-%m-%d', time.localtime(time.time() - YESTERDAY))}")
    assert (aside.read_text(), file.read_text().count("\n")) == ("yesterday\n", 1)


@pytest.mark.usefixtures("log_path")
def test_the_default_of_this_checkout_is_rotated() -> None:
    top = paths.checkout_root()
    assert top is not None
    assert log.file_handler_for(paths.default_log_file("server", {})) is DailyLog
    assert log.file_handler_for(str(top / "logs" / ".." / "server.log")) is WatchedLog


@pytest.mark.usefixtures("log_path")
def test_a_rotation_that_fails_goes_on_writing_and_says_so(in_a_checkout: Path) -> None:
    file = of_yesterday(in_a_checkout / f"{'x' * 248}.log")  # with the day behind it, it is no name of a file any more
    log.configure(str(file))
    for name in ("hank", "dale"):
        log.log_event("login", name=name)
    words = [item.split()[3] for item in file.read_text().splitlines()[1:]]
    assert words == ["log_file_error", "login", "login"]


def test_several_days_are_several_files_and_the_latest_are_kept(log_path: Path, handlers: Handlers) -> None:
    handlers.append(DailyLog(str(log_path), lambda file, reason: pytest.fail(reason)))
    others = [
        log_path.with_name("server.log.1"),
        log_path.with_name("server.log.backup"),
        log_path.with_name("other.log.2020-01-01"),
    ]
    for item in others:
        item.touch()
    for number in range(MAX_ROTATED_FILES + 3):
        handlers[0].handle(record(f"day {number}", number))
    remaining = sorted(item.name for item in log_path.parent.iterdir() if item not in others)
    assert remaining == [log_path.name, *(f"server.log.{day(number)}" for number in range(2, MAX_ROTATED_FILES + 2))]
    assert all(item.exists() for item in others)
    assert log_path.read_text() == f"day {MAX_ROTATED_FILES + 2}\n"


def test_of_two_who_write_to_one_file_neither_destroys_what_the_other_wrote(log_path: Path, handlers: Handlers) -> None:
    """As two servers of one checkout do. (A lock of an open file knows no difference between processes and handles.)"""
    handlers += [DailyLog(str(log_path), lambda file, reason: pytest.fail(reason)) for _ in range(2)]
    for number in range(4):
        for writer, item in enumerate(handlers):
            item.handle(record(f"{writer} on day {number}", number))
            item.handle(record(f"{writer} again on day {number}", number))
    contents = {file.name: sorted(file.read_text().splitlines()) for file in log_path.parent.iterdir()}
    for number in range(4):
        name = f"server.log.{day(number)}" if number < 3 else "server.log"
        wanted = [f"{writer} {suffix}on day {number}" for writer in range(2) for suffix in ("", "again ")]
        assert contents[name] == sorted(wanted)


def test_one_that_another_is_putting_aside_is_left_to_it(log_path: Path, handlers: Handlers) -> None:
    import fcntl

    handlers.append(DailyLog(str(log_path), lambda file, reason: pytest.fail(reason)))
    handlers[0].handle(record("today"))
    with log_path.open() as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        handlers[0].handle(record("tomorrow", 1))
    assert log_path.read_text() == "today\ntomorrow\n"


def test_what_was_put_aside_is_never_overwritten(log_path: Path, handlers: Handlers) -> None:
    handlers.append(DailyLog(str(log_path), lambda file, reason: pytest.fail(reason)))
    handlers[0].handle(record("today"))
    aside = log_path.with_name(f"server.log.{day()}")
    aside.write_text("kept\n")
    handlers[0].handle(record("tomorrow", 1))
    assert (aside.read_text(), log_path.read_text()) == ("kept\n", "today\ntomorrow\n")


def test_a_running_server_turns_to_the_new_file(tmp_path: Path) -> None:
    log_path = tmp_path / "server.log"
    store = f"sqlite:///{tmp_path}/messenger.db"
    with ServerProcess("--store", store, "--log-file", str(log_path)) as server:
        port = server.wait_for_port()
        log_path.rename(tmp_path / "server.log.1")
        with open_connection(port) as hank:
            hank.sendall(b'{"action":"presence","jim":2,"user":{"account_name":"hank"}}\n')
            hank.recv(1024)
        assert server.stop(signal.SIGTERM)[0] == 0
    assert "server_started" in (tmp_path / "server.log.1").read_text()
    assert " login name=hank" in log_path.read_text() and "server_stopped" in log_path.read_text()


def logrotate(file: Path, *switches: str) -> None:
    """Rotate a file of the test's user by the shipped rules."""
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("logrotate is not installed")
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    text = ROTATION.read_text("utf-8").replace("/var/log/gmessenger/*.log", str(file))
    rules = file.parent / "rules"
    rules.write_text(text.replace("gmessenger gmessenger", f"{user} {group}"))
    rules.chmod(0o600)
    command = [program, "--state", str(file.parent / "state"), *switches, str(rules)]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=TEST_TIMEOUT)
    assert (completed.returncode, completed.stderr) == (0, "")


def test_logrotate_and_the_server_agree(log_path: Path) -> None:
    log.configure(str(log_path))
    for name in ("hank", "dale", "bill"):
        log.log_event("login", name=name)
        logrotate(log_path, "--force")
    log.log_event("login", name="boomhauer")
    assert log_path.read_text().endswith("name=boomhauer\n") and log_path.stat().st_mode & 0o777 == 0o640
    assert "name=bill" in log_path.with_name("server.log.1").read_text()
    assert log_path.with_name("server.log.2.gz").stat().st_size


@pytest.mark.usefixtures("umask")
def test_what_one_person_does_is_no_business_of_others(log_path: Path, handlers: Handlers) -> None:
    handlers.append(SharedLog(str(log_path), lambda file, reason: pytest.fail(reason)))
    assert log_path.stat().st_mode & 0o777 == 0o600
    log_path.chmod(0o644)  # as an earlier version made it
    handlers.append(SharedLog(str(log_path), lambda file, reason: pytest.fail(reason)))
    assert log_path.stat().st_mode & 0o777 == 0o600


def test_a_shared_file_that_is_full_begins_anew_and_one_before_it_is_kept(log_path: Path, handlers: Handlers) -> None:
    text, limit = "x" * 100, 1000
    handlers += [SharedLog(str(log_path), lambda file, reason: pytest.fail(reason), limit) for _ in range(2)]
    lines = [f"{text} {number} {writer}" for number in range(50) for writer in range(2)]
    for number, item in enumerate(lines):
        handlers[number % 2].handle(record(item))
    assert sorted(item.name for item in log_path.parent.iterdir()) == [log_path.name, f"{log_path.name}.1"]
    remaining = [*Path(f"{log_path}.1").read_text().splitlines(), *log_path.read_text().splitlines()]
    assert remaining == lines[-len(remaining) :] and len(remaining) >= limit // 110
    assert all(item.stat().st_size < limit + 200 for item in log_path.parent.iterdir())


def test_a_process_that_stands_still_with_the_lock_holds_up_nothing(log_path: Path, handlers: Handlers) -> None:
    import fcntl

    handlers.append(SharedLog(str(log_path), lambda file, reason: pytest.fail(reason), 10))
    handlers[0].handle(record("more than ten bytes"))
    with log_path.open() as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        handlers[0].handle(record("the second"))
    assert log_path.read_text() == "more than ten bytes\nthe second\n"
    handlers[0].handle(record("the third"))
    assert log_path.read_text() == "the third\n"


def test_the_client_writes_such_a_file(tmp_path: Path) -> None:
    log_path = tmp_path / "client.log"
    command = [
        sys.executable,
        "-m",
        "gmessenger",
        "client",
        "--log-file",
        str(log_path),
        "--name",
        "hank",
        "--to",
        "dale",
    ]
    command += ["--port", "1", "--retry-for", "0.01"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MESSENGER_")}
    subprocess.run(command, cwd=ROOT, env=clean, input=b"x\n", capture_output=True, timeout=60, check=False)
    assert log_path.stat().st_mode & 0o777 == 0o600
    assert "client_stopped" in log_path.read_text()
