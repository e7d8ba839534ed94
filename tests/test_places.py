"""Where files live, for those who have a home and those who have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmessenger import places
from gmessenger.errors import ConfigProblem
from gmessenger.store import file_of


def homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_checkout_is_known_by_its_logs_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "__file__", str(tmp_path / "gmessenger" / "places.py"))
    (tmp_path / "launcher.py").touch()
    (tmp_path / "logs").touch()
    assert places.checkout() is None
    (tmp_path / "launcher.py").unlink()
    (tmp_path / "logs").unlink()
    (tmp_path / "logs").mkdir()
    assert places.checkout() == tmp_path
    for command in ("server", "client"):
        assert places.log_file(command, {}) == str(tmp_path / "logs" / f"{command}.log")
    assert places.state_directory({}) == tmp_path / "data"


def test_state_lives_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "checkout", lambda: None)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/hank"))
    assert places.state_directory({"STATE_DIRECTORY": "/a:/b"}) == Path("/a")
    assert places.state_directory({"XDG_STATE_HOME": "/c"}) == Path("/c/gmessenger")
    assert places.state_directory({}) == Path("/home/hank/.local/state/gmessenger")


def test_who_has_no_home_is_told_what_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "checkout", lambda: None)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigProblem, match="XDG_STATE_HOME"):
        places.log_file("client", {})
    assert places.log_file("server", {}) == places.STDERR
    with pytest.raises(ConfigProblem, match="home directory"):
        file_of("sqlite:///~nobody-of-that-name/messenger.db")


def test_a_person_has_a_config_file_of_their_own() -> None:
    assert places.config_file("client", {"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/gmessenger/client.ini")
    own = Path("/h/.config/gmessenger/client.ini")
    assert places.config_file("client", {"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == own
    assert places.config_file("client", {}) is None
