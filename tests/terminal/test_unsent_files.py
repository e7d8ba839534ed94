"""Where unsent messages are kept: one file for one server, however its host is spelled."""

from dataclasses import replace
from pathlib import Path

import pytest

from gmessenger.config.options import ClientOptions
from gmessenger.terminal.state_files import find_other_unsent, normalize_host, unsent_file
from tests.support.scripted_server import FakeServer
from tests.terminal.conftest import OpenTerminal
from tests.terminal.test_line_mode import READY

USUAL = ClientOptions(host="localhost")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "::1"),
        ("chat.example", "Chat.Example."),
        ("2001:db8::1", "2001:0DB8:0::1"),
    ],
)
def test_one_host_has_one_file(one: str, other: str) -> None:
    assert normalize_host(one) == normalize_host(other)
    assert unsent_file(replace(USUAL, host=one), "hank") == unsent_file(replace(USUAL, host=other), "hank")


def test_one_name_has_one_file() -> None:
    assert unsent_file(USUAL, "ﬁnn") == unsent_file(USUAL, "FINN")
    assert unsent_file(USUAL, "hank") != unsent_file(USUAL, "dale")
    assert unsent_file(USUAL, "hank") != unsent_file(replace(USUAL, port=1), "hank")


def test_what_waits_elsewhere_is_counted(tmp_path: Path) -> None:
    mine, other, empty = (tmp_path / f"{name}.jsonl" for name in ("mine", "other", "empty"))
    assert find_other_unsent(tmp_path / "none" / "mine.jsonl") is None
    mine.write_text("x"), empty.touch()
    assert find_other_unsent(mine) is None
    other.write_text("x")
    assert "1 file in" in (find_other_unsent(mine) or "")


def test_somebody_is_told_of_what_waits_elsewhere(fake: FakeServer, open_terminal: OpenTerminal, log: Path) -> None:
    (log.parent / "unsent").mkdir()
    (log.parent / "unsent" / "other.jsonl").write_text("x")
    hank = open_terminal(fake, "--name", "hank")
    fake.accept_and_log_in()
    hank.wait_for("-- unsent messages to other servers or under other names: 1 file in ")
    hank.wait_for(READY)
