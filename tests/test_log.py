"""The log: its table of events, its formats and destinations, and the decorator that logs calls."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger import log
from gmessenger.errors import FileError
from tests import ROOT
from tests.support.timeouts import TEST_TIMEOUT


@log.traced("name")
def greet(name: str, secret: str = "") -> str:
    if name == "nobody":
        raise LookupError(name)
    return f"hello {name} {secret}"


@pytest.fixture
def log_path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "sub" / "some.log"
    for handler in log.LOGGER.handlers[:]:
        handler.close()
        log.LOGGER.removeHandler(handler)
    log.LOGGER.setLevel(logging.NOTSET)
    log.LOGGER.propagate = True
    log.trace_calls(False)


def test_an_event_is_one_plain_line(log_path: Path) -> None:
    log.configure(str(log_path))
    log.log_event("login", name="hank", address="1.2.3.4:5", protocol="native", kind=None)
    line = log_path.read_text()
    assert line.endswith(" INFO login name=hank address=1.2.3.4:5 protocol=native\n")


@pytest.mark.parametrize("name", ["two\nlines", "es\x1b[31mcape", "bi\u202edi", 'quo"te', "equal=s", "", "two words"])
def test_what_strangers_choose_cannot_break_the_line(name: str, log_path: Path) -> None:
    log.configure(str(log_path))
    log.log_event("login_refused", name=name)
    line = log_path.read_text()
    assert line.count("\n") == 1 and line[:-1].isprintable()
    assert json.loads(line.split("name=")[1]) == name


def test_json_holds_the_same_fields(log_path: Path) -> None:
    log.configure(str(log_path), log_format="json")
    log.log_event("login", name="小林", resumed=False)
    line = json.loads(log_path.read_text())
    assert (line["event"], line["level"], line["name"], line["resumed"]) == ("login", "INFO", "小林", False)


@pytest.mark.parametrize("style", log.FORMATS)
def test_a_failure_brings_its_traceback(style: str, log_path: Path) -> None:
    log.configure(str(log_path), log_format=style)
    try:
        greet("nobody")
    except LookupError as failure:
        log.log_event("greenlet_failed", exception=failure, what="test")
    assert "in greet" in log_path.read_text()


def test_a_field_outside_the_vocabulary_is_refused(log_path: Path) -> None:
    log.configure(str(log_path))
    with pytest.raises(ValueError, match="message"):
        log.log_event("login", message="secret")
    with pytest.raises(KeyError):
        log.log_event("no_such_event")


def test_no_field_could_hold_a_body_or_a_password() -> None:
    fields = {field for kind in log.EVENTS.values() for field in kind.fields}
    assert not fields & {"text", "message", "body", "password", "token", "session", "alert"}


def test_the_level_holds_back(log_path: Path) -> None:
    log.configure(str(log_path), "warning")
    log.log_event("login", name="hank")
    log.log_event("connection_refused", reason="server_full")
    assert [line.split()[2] for line in log_path.read_text().splitlines()] == ["WARNING"]


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(FileError, match=r"/proc/nowhere/x\.log"):
        log.configure("/proc/nowhere/x.log")


def test_a_decorated_function_is_the_function_itself_until_debug() -> None:
    assert not hasattr(greet, "__wrapped__")


def test_calls_are_logged_at_debug_with_the_chosen_arguments_only(log_path: Path) -> None:
    log.configure(str(log_path), "debug", "json")
    assert greet("hank", secret="12345678") == "hello hank 12345678"
    line = json.loads(log_path.read_text())
    assert (line["function"], line["arguments"], line["result"]) == ("greet", "name='hank'", "str")
    assert line["called_from"].startswith("test_log.py:") and line["called_from"].endswith(
        "test_calls_are_logged_at_debug_with_the_chosen_arguments_only"
    )
    assert line["milliseconds"] >= 0
    assert "12345678" not in log_path.read_text()


def test_calls_that_raise_are_logged_with_their_error(log_path: Path) -> None:
    log.configure(str(log_path), "debug", "json")
    with pytest.raises(LookupError):
        greet("nobody")
    assert json.loads(log_path.read_text())["error"] == "LookupError"


def test_leaving_debug_takes_the_wrappers_off(log_path: Path) -> None:
    original = greet
    log.configure(str(log_path), "debug")
    assert greet is not original
    log.configure(str(log_path), "info")
    assert greet is original


def test_naming_an_argument_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="nmae"):
        log.traced("nmae")(greet)


def test_a_log_that_cannot_be_written_any_more_says_nothing() -> None:
    program = """
from gmessenger import log
log.configure("/dev/full")
log.log_event("client_sent", id="1", code=200)
log.log_event("client_stopped", exit_code=0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=TEST_TIMEOUT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
