"""A missing optional dependency is reported with a command that installs it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from gmessenger import bus, extras, store
from gmessenger.errors import ConfigError
from tests import ROOT


def test_a_library_for_postgres() -> None:
    with pytest.raises(ConfigError) as raised, store.require_postgres_driver():
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
    assert extras.install_command("cluster") in str(raised.value)


def test_a_library_for_redis() -> None:
    with pytest.raises(ConfigError) as raised, bus._importing_backend("redis://here"):
        raise ModuleNotFoundError("No module named 'redis'", name="redis")
    assert extras.install_command("cluster") in str(raised.value)


def test_the_command_is_one_that_pip_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "an environment", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "an environment" / "bin" / "python"))
    command = shlex.split(extras.install_command("cluster").partition(", ")[2])
    assert command[1:] == ["-m", "pip", "install", ".[cluster]"]
    assert subprocess.run([command[0], "-c", ""], cwd=ROOT).returncode == 0
    assert 'cluster": CLUSTER' in (ROOT / "setup.py").read_text("utf-8")
