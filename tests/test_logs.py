"""The log: its vocabulary, its forms and its places; and the decorator that logs calls."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gmessenger import logs
from gmessenger.errors import FileProblem
from tests import ROOT
from tests.patience import PATIENCE


@logs.log_calls("name")
def greet(name: str, secret: str = "") -> str:
    if name == "nobody":
        raise LookupError(name)
    return f"hello {name} {secret}"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "sub" / "some.log"
    for handler in logs.LOGGER.handlers[:]:
        handler.close()
        logs.LOGGER.removeHandler(handler)
    logs.LOGGER.setLevel(logging.NOTSET)
    logs.LOGGER.propagate = True
    logs.show_calls(False)


def test_an_event_is_one_plain_line(log: Path) -> None:
    logs.configure(str(log))
    logs.event("login", name="hank", address="1.2.3.4:5", protocol="native", kind=None)
    line = log.read_text()
    assert line.endswith(" INFO login name=hank address=1.2.3.4:5 protocol=native\n")


@pytest.mark.parametrize("name", ["two\nlines", "es\x1b[31mcape", "bi\u202edi", 'quo"te', "equal=s", "", "two words"])
def test_what_strangers_choose_cannot_break_the_line(name: str, log: Path) -> None:
    logs.configure(str(log))
    logs.event("login_refused", name=name)
    line = log.read_text()
    assert line.count("\n") == 1 and line[:-1].isprintable()
    assert json.loads(line.split("name=")[1]) == name


def test_json_holds_the_same_fields(log: Path) -> None:
    logs.configure(str(log), style="json")
    logs.event("login", name="小林", resumed=False)
    line = json.loads(log.read_text())
    assert (line["event"], line["level"], line["name"], line["resumed"]) == ("login", "INFO", "小林", False)


@pytest.mark.parametrize("style", logs.FORMATS)
def test_a_failure_brings_its_traceback(style: str, log: Path) -> None:
    logs.configure(str(log), style=style)
    try:
        greet("nobody")
    except LookupError as failure:
        logs.event("greenlet_failed", failure=failure, what="test")
    assert "in greet" in log.read_text()


def test_a_field_outside_the_vocabulary_is_refused(log: Path) -> None:
    logs.configure(str(log))
    with pytest.raises(ValueError, match="message"):
        logs.event("login", message="secret")
    with pytest.raises(KeyError):
        logs.event("no_such_event")


def test_no_field_could_hold_a_body_or_a_password() -> None:
    fields = {field for kind in logs.EVENTS.values() for field in kind.fields}
    assert not fields & {"text", "message", "body", "password", "token", "session", "alert"}


def test_the_level_holds_back(log: Path) -> None:
    logs.configure(str(log), "warning")
    logs.event("login", name="hank")
    logs.event("connection_refused", reason="server_full")
    assert [line.split()[2] for line in log.read_text().splitlines()] == ["WARNING"]


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(FileProblem, match=r"/proc/nowhere/x\.log"):
        logs.configure("/proc/nowhere/x.log")


def test_a_decorated_function_is_the_function_itself_until_debug() -> None:
    assert not hasattr(greet, "__wrapped__")


def test_calls_are_logged_at_debug_with_the_chosen_arguments_only(log: Path) -> None:
    logs.configure(str(log), "debug", "json")
    assert greet("hank", secret="12345678") == "hello hank 12345678"
    line = json.loads(log.read_text())
    assert (line["function"], line["arguments"], line["result"]) == ("greet", "name='hank'", "str")
    assert line["called_from"].startswith("test_logs.py:") and line["called_from"].endswith(
        "test_calls_are_logged_at_debug_with_the_chosen_arguments_only"
    )
    assert line["milliseconds"] >= 0
    assert "12345678" not in log.read_text()


def test_calls_that_raise_are_logged_with_their_error(log: Path) -> None:
    logs.configure(str(log), "debug", "json")
    with pytest.raises(LookupError):
        greet("nobody")
    assert json.loads(log.read_text())["error"] == "LookupError"


def test_leaving_debug_takes_the_wrappers_off(log: Path) -> None:
    original = greet
    logs.configure(str(log), "debug")
    assert greet is not original
    logs.configure(str(log), "info")
    assert greet is original


def test_naming_an_argument_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="nmae"):
        logs.log_calls("nmae")(greet)


def test_a_log_that_cannot_be_written_any_more_says_nothing() -> None:
    program = """
from gmessenger import logs
logs.configure("/dev/full")
logs.event("client_sent", id="1", code=200)
logs.event("client_stopped", exit_code=0)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
