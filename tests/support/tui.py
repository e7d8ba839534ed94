"""The full screen in this process: keys are sent through a pipe, and the drawn screen can be read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pyte
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from gmessenger.terminal.tui.app import TuiApp
from gmessenger.terminal.tui.conversation import Conversation, Entry
from gmessenger.terminal.tui.model import Model
from tests.support.timeouts import TEST_TIMEOUT

SCREEN_TIMEOUT = TEST_TIMEOUT
"""Seconds after which something that should be on the screen is given up."""


class RecordingActions:
    """Actions that only record their calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.rejected: str | None = None
        self.names: Sequence[str] = ()
        self.rooms: Sequence[str] = ()
        self.pending = 0

    def submit(self, text: str) -> None:
        self.calls.append(("submit", text))

    def on_conversation_opened(self, conversation: Conversation) -> None:
        self.calls.append(("look_at", conversation.name))

    def mark_seen(self) -> None:
        self.calls.append(("seen", None))

    def load_earlier(self, conversation: Conversation) -> None:
        self.calls.append(("earlier", conversation.name))

    def submit_edit(self, entry: Entry, text: str) -> None:
        self.calls.append(("edit", (entry, text)))

    def erase_marked(self) -> None:
        self.calls.append(("erase", None))

    def react_to_marked(self) -> None:
        self.calls.append(("react", None))

    def take_back_rejected(self) -> str | None:
        return self.rejected

    def names_to_complete(self) -> Sequence[str]:
        return self.names

    def rooms_to_complete(self) -> Sequence[str]:
        return self.rooms

    def jump_to_next_hit(self) -> None:
        self.calls.append(("jump", None))

    def on_draft_changed(self) -> None:
        self.calls.append(("typed", None))

    def pending_count(self) -> int:
        return self.pending

    def interrupt(self) -> None:
        self.calls.append(("interrupt", None))

    def quit(self) -> None:
        self.calls.append(("leave", None))

    def calls_of(self, name: str) -> list[Any]:
        return [value for kind, value in self.calls if kind == name]


class ScreenOutput(io.StringIO):
    """Output of the full screen: an emulated terminal without a file descriptor."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.raw = ""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)

    encoding = "utf-8"

    def write(self, text: str) -> int:
        self.raw += text
        self._stream.feed(text.replace("\u200c", ""))  # which has no width, and at which pyte gives up
        return len(text)

    def fileno(self) -> int:
        raise io.UnsupportedOperation


class TuiSession:
    """A running full screen."""

    def __init__(
        self, tmp_path: Path, model: Model | None = None, columns: int = 80, rows: int = 24, **more: Any
    ) -> None:
        self.model = model or Model("hank")
        self.actions = RecordingActions()
        self.columns, self.rows = columns, rows
        self.screen_output = ScreenOutput(columns, rows)
        self._stack = ExitStack()
        self._pipe = self._stack.enter_context(create_pipe_input())
        depth = ColorDepth.DEPTH_8_BIT
        output = Vt100_Output(
            self.screen_output, self._size, term="xterm-256color", enable_cpr=False, default_color_depth=depth
        )
        self.output = output
        self.ui = TuiApp(
            self.model, self.actions, history_file=tmp_path / "history", input=self._pipe, output=output, **more
        )

    def __enter__(self) -> TuiSession:
        self._greenlet = gevent.spawn(self.ui.run)
        self.wait_for("[")
        return self

    def __exit__(self, *failure: object) -> None:
        self.ui.stop()
        self._greenlet.join(SCREEN_TIMEOUT)
        assert self._greenlet.ready(), "the screen did not stop"
        self._stack.close()
        self._greenlet.get()

    def _size(self) -> Size:
        return Size(rows=self.rows, columns=self.columns)

    def type(self, text: str) -> None:
        self._pipe.send_text(text)

    @property
    def lines(self) -> list[str]:
        return [state.rstrip() for state in self.screen_output.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str) -> None:
        self.wait_until(lambda: text in self.text, f"{text!r} is not shown")

    def wait_until_gone(self, text: str) -> None:
        self.wait_until(lambda: text not in self.text, f"{text!r} is still shown")

    def wait_until(self, condition: Callable[[], object], message: str = "it did not come about") -> None:
        end = time.monotonic() + SCREEN_TIMEOUT
        while not condition():
            assert time.monotonic() < end, f"{message}:\n{self.text}"
            gevent.sleep(0.005)

    def wait_for_redraw(self) -> None:
        """Wait until everything up to now is drawn."""
        for _ in range(2):
            self.ui.invalidate()
            before = self._renders()
            self.wait_until(lambda before=before: self._renders() > before)

    def _renders(self) -> int:
        app = self.ui._app
        return app.render_counter if app is not None else 0

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.screen_output.screen.resize(rows, columns)
        app = self.ui._app
        assert app is not None
        self.ui.call(app._on_resize)
        self.wait_for_redraw()


def add_message(
    conversation: Conversation, text: str, *, at: float = 1_763_800_000.0, sender: str = "dale", **more: Any
) -> Entry:
    """Add a message to a conversation."""
    entry = Entry(at, sender, text, **more)
    assert conversation.add(entry)
    return entry
