"""The full screen with a real client, in this process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import gevent
from gevent import Greenlet
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from gmessenger.client import Client, Timeouts
from gmessenger.config.options import ClientOptions
from gmessenger.terminal.shutdown import ExitController
from gmessenger.terminal.state_files import state_file
from gmessenger.terminal.tui.app import TuiApp
from gmessenger.terminal.tui.controller import Controller
from gmessenger.terminal.tui.fullscreen import FullScreenMode
from gmessenger.terminal.tui.model import Model
from tests.support.tui import SCREEN_TIMEOUT, ScreenOutput, TuiSession

PASSWORD = "correct horse"
SHORT_TIMEOUTS = Timeouts(connect=2, response=2, probe_after=2, retry_for=20, initial_backoff=0.02, max_backoff=0.1)


class TuiClient(TuiSession):
    """A full screen connected to `server`. Its files are in `$STATE_DIRECTORY`."""

    def __init__(
        self, server: Any, name: str, *, password: str | None = None, columns: int = 110, rows: int = 30, **more: Any
    ) -> None:
        self.columns, self.rows = columns, rows
        self.screen_output = ScreenOutput(columns, rows)
        self._stack = ExitStack()
        self._pipe = self._stack.enter_context(create_pipe_input())
        self.output = Vt100_Output(self.screen_output, self._size, term="xterm-256color", enable_cpr=False)
        options = ClientOptions(host=server.host, port=server.port, name=name, answer_timeout=2.0, **more)
        self.client = Client(server.host, server.port, name, password=password, device="desk", timeouts=SHORT_TIMEOUTS)
        self.exit_controller = ExitController()
        self.drafts_file = state_file(options, name, "drafts")
        self.mode = FullScreenMode(
            options, self.client, self.client.start, self.exit_controller, make_view=self._make_view
        )

    def _make_view(self, model: Model, controller: Controller, options: ClientOptions) -> TuiApp:
        self.model, self.controller = model, controller
        history = state_file(options, model.own_name, "history")
        self.ui = TuiApp(model, controller, history_file=history, input=self._pipe, output=self.output)
        return self.ui

    def __enter__(self) -> TuiClient:
        self._greenlet = self.exit_controller.spawn(self.mode.run)
        self._result: Greenlet[..., int] = gevent.spawn(self.exit_controller.wait)
        self.wait_for("● connected")
        return self

    def wait_for_exit(self) -> int:
        """Wait for the exit code; raises what the program fails with."""
        self._result.join(SCREEN_TIMEOUT)
        return int(self._result.get(timeout=0))

    def crash(self) -> None:
        """End as by `kill -9`: without saving anything."""
        self.controller.drafts._get_state = lambda: None  # type: ignore[assignment, return-value]
        self.client.abort()

    def __exit__(self, *failure: object) -> None:
        self.exit_controller.exit()
        self._result.join(SCREEN_TIMEOUT)
        self._greenlet.join(SCREEN_TIMEOUT)
        assert self._greenlet.ready(), "the screen did not stop"
        self.client.abort()
        self._stack.close()

    def type_lines(self, *lines: str) -> None:
        for line in lines:
            self.type(f"{line}\r")
