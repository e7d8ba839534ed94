"""`--notify-command`: the command, its environment, and what happens if it fails or is too slow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gmessenger.chat.notifier import Notification
from gmessenger.server import notify_command
from gmessenger.server.notify_command import NotifyCommand

NOTIFICATION = Notification("Dale", "#dev", "hank", "dale: look!", 1000.5, 7)


def run_once(command: str, timeout: float = 10.0) -> str | None:
    return NotifyCommand(command, timeout)._run_once(NOTIFICATION)


def test_the_command_has_the_message_in_its_environment_and_no_secret_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSENGER_STORE", "postgresql://user:secret@db/x")
    assert run_once(f"sh -c 'env > {tmp_path}/env; cat > {tmp_path}/stdin'") is None
    variables = dict(line.split("=", 1) for line in (tmp_path / "env").read_text("utf-8").splitlines() if "=" in line)
    assert "MESSENGER_STORE" not in variables
    own = {name: variables[f"GMESSENGER_{name}"] for name in ("USER", "FROM", "CONVERSATION", "TEXT", "TIME", "SEQ")}
    assert list(own.values()) == ["Dale", "hank", "#dev", "dale: look!", "1000.500000", "7"]
    assert json.loads((tmp_path / "stdin").read_text("utf-8"))["text"] == "dale: look!"


def test_a_command_that_fails_or_hangs_is_reported() -> None:
    assert run_once("sh -c 'exit 3'") == "exit code 3"
    assert run_once("/no/such/program") == "No such file or directory"
    assert run_once("sleep 60", 0.2) == "it ran longer than 0.2 s"


def test_notifications_beyond_the_queue_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_command, "MAX_QUEUED", 2)
    command = NotifyCommand("true", 1.0)
    for _ in range(5):
        command.put(NOTIFICATION)
    assert command.dropped == 3
