"""The full screen in this process: keys go in through a pipe, and what is drawn can be looked at."""

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

SOON = 10.0
"""Seconds after which something that should be on the screen is given up."""


class Asked:
    """Actions that only note what is asked of them."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self.refused: str | None = None
        self.names: Sequence[str] = ()
        self.rooms: Sequence[str] = ()
        self.waiting = 0

    def submit(self, text: str) -> None:
        self.log.append(("submit", text))

    def on_conversation_opened(self, conversation: Conversation) -> None:
        self.log.append(("look_at", conversation.name))

    def mark_seen(self) -> None:
        self.log.append(("seen", None))

    def load_earlier(self, conversation: Conversation) -> None:
        self.log.append(("earlier", conversation.name))

    def take_back_rejected(self) -> str | None:
        return self.refused

    def names_to_complete(self) -> Sequence[str]:
        return self.names

    def rooms_to_complete(self) -> Sequence[str]:
        return self.rooms

    def jump_to_next_hit(self) -> None:
        self.log.append(("jump", None))

    def on_draft_changed(self) -> None:
        self.log.append(("typed", None))

    def pending_count(self) -> int:
        return self.waiting

    def interrupt(self) -> None:
        self.log.append(("interrupt", None))

    def quit(self) -> None:
        self.log.append(("leave", None))

    def of(self, what: str) -> list[Any]:
        return [value for kind, value in self.log if kind == what]


class Paper(io.StringIO):
    """What the screen is written to: a terminal of pyte's, which has no descriptor."""

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


class Sitting:
    """Somebody at a full screen."""

    def __init__(
        self, tmp_path: Path, book: Model | None = None, columns: int = 80, rows: int = 24, **more: Any
    ) -> None:
        self.book = book or Model("hank")
        self.asked = Asked()
        self.columns, self.rows = columns, rows
        self.paper = Paper(columns, rows)
        self._stack = ExitStack()
        self._pipe = self._stack.enter_context(create_pipe_input())
        depth = ColorDepth.DEPTH_8_BIT
        output = Vt100_Output(
            self.paper, self._size, term="xterm-256color", enable_cpr=False, default_color_depth=depth
        )
        self.output = output
        self.ui = TuiApp(
            self.book, self.asked, history_file=tmp_path / "history", input=self._pipe, output=output, **more
        )

    def __enter__(self) -> Sitting:
        self._greenlet = gevent.spawn(self.ui.run)
        self.sees("[")
        return self

    def __exit__(self, *failure: object) -> None:
        self.ui.stop()
        self._greenlet.join(SOON)
        assert self._greenlet.ready(), "the screen did not stop"
        self._stack.close()
        self._greenlet.get()

    def _size(self) -> Size:
        return Size(rows=self.rows, columns=self.columns)

    def types(self, text: str) -> None:
        self._pipe.send_text(text)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.paper.screen.display]

    @property
    def shown(self) -> str:
        return "\n".join(self.lines)

    def sees(self, text: str) -> None:
        self.until(lambda: text in self.shown, f"{text!r} is not shown")

    def sees_no(self, text: str) -> None:
        self.until(lambda: text not in self.shown, f"{text!r} is still shown")

    def until(self, true: Callable[[], object], otherwise: str = "it did not come about") -> None:
        end = time.monotonic() + SOON
        while not true():
            assert time.monotonic() < end, f"{otherwise}:\n{self.shown}"
            gevent.sleep(0.005)

    def redrawn(self) -> None:
        """Wait until what has happened so far is drawn, and what drawing has begun is done."""
        for _ in range(2):
            self.ui.invalidate()
            before = self._renders()
            self.until(lambda before=before: self._renders() > before)

    def _renders(self) -> int:
        app = self.ui._app
        return app.render_counter if app is not None else 0

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.paper.screen.resize(rows, columns)
        app = self.ui._app
        assert app is not None
        self.ui.call(app._on_resize)
        self.redrawn()


def say(
    conversation: Conversation, text: str, *, at: float = 1_763_800_000.0, sender: str = "dale", **more: Any
) -> Entry:
    """Somebody has said something."""
    entry = Entry(at, sender, text, **more)
    assert conversation.add(entry)
    return entry
