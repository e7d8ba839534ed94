"""A log that cannot be written stops the client only if it was asked for."""

from pathlib import Path

import pytest

from gmessenger import log, paths
from gmessenger.config.options import ClientOptions
from gmessenger.errors import FileError
from gmessenger.terminal.main import configure_log


@pytest.fixture
def unwritable(tmp_path: Path) -> str:
    (tmp_path / "file").touch()
    return str(tmp_path / "file" / "client.log")


def test_one_that_was_asked_for(unwritable: str) -> None:
    with pytest.raises(FileError, match="Cannot write the log file"):
        configure_log(ClientOptions(log_file=unwritable))


def test_one_that_nobody_asked_for(
    unwritable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "default_log_file", lambda command: unwritable)
    configure_log(ClientOptions())
    log.log_event("client_stopped", exit_code=0)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("-- Cannot write the log file") and err.endswith("Nothing is logged.\n")
    assert err.count("\n") == 1
