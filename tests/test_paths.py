"""Where files are kept, with a home directory and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from gmessenger import paths
from gmessenger.errors import ConfigError
from gmessenger.store import file_from_url


def homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_a_checkout_is_known_by_its_logs_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "gmessenger" / "paths.py"))
    (tmp_path / "launcher.py").touch()
    (tmp_path / "logs").touch()
    assert paths.checkout_root() is None
    (tmp_path / "launcher.py").unlink()
    (tmp_path / "logs").unlink()
    (tmp_path / "logs").mkdir()
    assert paths.checkout_root() == tmp_path
    for command in ("server", "client"):
        assert paths.default_log_file(command, {}) == str(tmp_path / "logs" / f"{command}.log")
    assert paths.state_directory({}) == tmp_path / "data"


def test_state_lives_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "checkout_root", lambda: None)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/hank"))
    assert paths.state_directory({"STATE_DIRECTORY": "/a:/b"}) == Path("/a")
    assert paths.state_directory({"XDG_STATE_HOME": "/c"}) == Path("/c/gmessenger")
    assert paths.state_directory({}) == Path("/home/hank/.local/state/gmessenger")


def test_who_has_no_home_is_told_what_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "checkout_root", lambda: None)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigError, match="XDG_STATE_HOME"):
        paths.default_log_file("client", {})
    assert paths.default_log_file("server", {}) == paths.STDERR
    with pytest.raises(ConfigError, match="home directory"):
        file_from_url("sqlite:///~nobody-of-that-name/messenger.db")


def test_a_person_has_a_config_file_of_their_own() -> None:
    assert paths.config_file("client", {"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/gmessenger/client.ini")
    own = Path("/h/.config/gmessenger/client.ini")
    assert paths.config_file("client", {"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == own
    assert paths.config_file("client", {}) is None
