"""The sources of option values; secrets are not shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gmessenger.config.parser import CLIENT, SERVER, Program
from gmessenger.config.sources import OptionSource, format_sources, resolve_sources
from gmessenger.urls import REDACTED, redact_url


def sources(command: Program[Any], words: list[str], environ: dict[str, str]) -> dict[str, tuple[Any, str]]:
    return {each.option.key: (each.value, each.source) for each in resolve_sources(command, words, environ)[1]}


def test_each_source_is_named_and_the_first_wins(tmp_path: Path) -> None:
    ini = tmp_path / "some.ini"
    ini.write_text("[server]\nport = 3\nmax-text = 3\nguests = no\ngreeting =\n")
    found = sources(
        SERVER, ["-c", str(ini), "-p1", "--max-frame", "65536"], {"MESSENGER_PORT": "2", "MESSENGER_MAX_TEXT": "2"}
    )
    assert found["port"] == (1, "command line")
    assert found["max_frame"] == (65_536, "command line")  # equals the default, but was given
    assert found["max_text"] == (2, "MESSENGER_MAX_TEXT")
    assert found["guests"] == (False, str(ini))
    assert found["greeting"] == ("", str(ini)) and found["ip"] == ("", "default")


def test_the_file_may_come_from_the_environment(tmp_path: Path) -> None:
    ini = tmp_path / "some.ini"
    ini.write_text("[server]\nport = 3\n")
    assert sources(SERVER, [], {"MESSENGER_CONFIG": str(ini)})["port"] == (3, str(ini))


def test_what_the_client_is_told_without_dashes_is_told_on_the_command_line() -> None:
    found = sources(CLIENT, ["chat.example", "--listen"], {"MESSENGER_HOST": "other", "MESSENGER_PORT": "1"})
    assert found["host"] == ("chat.example", "command line")
    assert (found["port"], found["listen"]) == ((1, "MESSENGER_PORT"), (True, "command line"))


def test_secrets_are_masked() -> None:
    row = next(row for row in SERVER.rows if row.key == "store")
    assert (
        OptionSource(row, "postgresql://me:hunter2@db/chat", "").display_value == f"postgresql://me:{REDACTED}@db/chat"
    )
    assert OptionSource(replace(row, secret=True), "hunter2", "").display_value == REDACTED
    assert OptionSource(replace(row, secret=True), "", "").display_value == ""


@pytest.mark.parametrize("command", [SERVER, CLIENT], ids=lambda command: command.section)
def test_every_option_has_a_line(command: Program[Any]) -> None:
    lines = format_sources(resolve_sources(command, ["--check"], {})[1])
    assert [line.split()[0] for line in lines] == [row.long_name for row in command.rows]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@db:6379/0", "redis://:***@db:6379/0"),
        ("redis://me:hun@t/e:r2@db", "redis://me:***@db"),
        ("postgresql://me@db/chat?sslmode=require", "postgresql://me@db/chat?sslmode=require"),
        ("postgresql:///chat?user=me&password=hunter2&host=/run", "postgresql:///chat?user=me&password=***&host=/run"),
        ("rediss://db?ssl_password=hunter2", "rediss://db?ssl_password=***"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str) -> None:
    assert redact_url(url) == shown
