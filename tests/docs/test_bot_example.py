"""The bot in docs/scripting.md runs as it is printed there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gmessenger.client import Client, MemberJoined, MessageReceived
from tests import ROOT
from tests.conftest import RunningServer


def wait_for_message(client: Client, text: str) -> re.Match[str]:
    """Block until a message matches."""
    return next(
        match
        for event in client
        if isinstance(event, MessageReceived) and (match := re.fullmatch(text, event.delivery.message)) is not None
    )


def test_the_bot_of_twenty_lines(server: RunningServer, tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scripting.md").read_text("utf-8"), re.DOTALL)
    (bot := tmp_path / "bot.py").write_text(code[0])
    assert len([line for line in code[0].splitlines() if line]) <= 20
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PORT": str(server.port)}
    with Client(server.host, server.port, "hank") as client:
        client.register("only accounts make rooms")
        client.join("#dice")
        process = subprocess.Popen([sys.executable, str(bot)], env=env)
        try:
            assert next(event.name for event in client if isinstance(event, MemberJoined)) == "dicebot"
            client.send("#dice", "roll 3d1")
            wait_for_message(client, r"1 \+ 1 \+ 1 = 3")
            client.send("dicebot", "roll 1d6")
            wait_for_message(client, r"[1-6] = [1-6]")
        finally:
            process.kill()
            process.wait()
