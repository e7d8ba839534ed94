"""What asks a terminal to say something on the desktop.

Leaves the terminal as it was found, whatever happens, and keeps what is written to stderr off the screen.

The full screen as the rest of the program sees it: run, stop, ask, and whatever else is safe from any greenlet.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO, cast

import gevent
from gevent import get_hub
from gevent.selectors import GeventSelector
from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style

from gmessenger import log
from gmessenger.sanitize import sanitize
from gmessenger.terminal.i18n import _
from gmessenger.terminal.tui.completion import ChatCompleter
from gmessenger.terminal.tui.conversation import Conversation, Entry
from gmessenger.terminal.tui.entries import EntryRenderer
from gmessenger.terminal.tui.graphemes import ellipsize
from gmessenger.terminal.tui.input_line import InputLine, PendingPrompt
from gmessenger.terminal.tui.keybindings import ControllerActions, KeyActions, make_key_bindings
from gmessenger.terminal.tui.layout import LayoutSpec, make_layout, terminal_columns
from gmessenger.terminal.tui.model import ConnectionPhase, Model
from gmessenger.terminal.tui.panes import OffscreenCounts, Panes, display_name
from gmessenger.terminal.tui.scrollback import Scrollback
from gmessenger.terminal.tui.style import STYLES, is_colour_disabled, symbols_for
from gmessenger.terminal.tui.terminal_input import TerminalInput
from gmessenger.terminal.tui.text_wrap import Fragments

MAX_NOTIFICATION: Final = 120
"""Characters; a notification is a glance."""


def osc9_notification(text: str, environment: Mapping[str, str]) -> str:
    """OSC 9 with these words; in tmux wrapped, which passes it on if `allow-passthrough` is on."""
    sequence = f"\x1b]9;{sanitize(text)[:MAX_NOTIFICATION]}\x07"
    if environment.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence


RESET_SEQUENCES: Final = b"\x1b[?1000;1002;1003;1006l\x1b[?2004l\x1b[?25h\x1b[0m"
"""No mouse, no marks around pasted text, a cursor one can see, no colours."""
MAX_STRAY_LINE: Final = 200


@contextmanager
def terminal_guard(descriptor: int | None) -> Iterator[None]:
    """For a block that may do anything to the terminal with this descriptor; without one, nothing is done."""
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        with suppress(OSError, termios.error):  # it may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
            os.write(descriptor, RESET_SEQUENCES)


@contextmanager
def redirect_stderr_to_log() -> Iterator[None]:
    """What anybody writes to stderr meanwhile, gevent included, goes into the log."""
    hub, stream = get_hub(), _LogStream()
    before = hub.exception_stream
    hub.exception_stream = cast(TextIO, stream)
    try:
        with redirect_stderr(stream):
            yield
    finally:
        hub.exception_stream = before


class _LogStream(io.TextIOBase):
    """A stream whose lines go into the log."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                log.log_event("stray_output", line=line[:MAX_STRAY_LINE])
        return len(text)


REDRAW_INTERVAL: Final = 0.01
"""Seconds between two drawings, at least: what comes in between is drawn together."""
SIZE_CHECK_INTERVAL: Final = 2.0
"""Seconds after which the size is looked at, for terminals that do not say that it has changed."""
TICK_INTERVAL: Final = 1.0


@dataclass(frozen=True, slots=True)
class TuiOptions:
    """What the user can choose of the screen."""

    bell: bool = True
    notifications: bool = False
    """Whether the terminal is asked, by OSC 9, to say on the desktop what the bell rings for."""


class TuiApp:
    """The screen. Only `run` belongs to a greenlet of its own; everything else here may be called from any."""

    def __init__(
        self,
        model: Model,
        actions: ControllerActions,
        *,
        history_file: Path,
        options: TuiOptions = TuiOptions(),
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._model, self._actions, self._options = model, actions, options
        self._input, self._output = input, output
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls_before_start: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._finished = False
        self._greenlet: object = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._recovery_timer: asyncio.TimerHandle | None = None
        encoding = output.encoding() if output is not None else getattr(sys.stdout, "encoding", None)
        self._symbols = symbols_for(encoding)
        self._entry_renderer = EntryRenderer(self._symbols)
        self._scrollback = Scrollback(model, self._entry_renderer, self._symbols)
        self._input_line = InputLine(model, ChatCompleter(model, actions), history_file, actions.on_draft_changed)
        self._key_actions = KeyActions(model, actions, self._scrollback, self._entry_renderer, self._input_line)
        self._app: Application[None] | None = None

    def run(self) -> None:
        """Show the screen until it is stopped; the terminal is then as it was. Raises EOFError when that is gone."""
        own = self._output is None
        self._greenlet = gevent.getcurrent()
        loop = asyncio.SelectorEventLoop(GeventSelector())
        loop.set_exception_handler(self._on_loop_error)
        try:
            with terminal_guard(0 if own else None), redirect_stderr_to_log():
                loop.run_until_complete(self._run_app(loop))
        finally:
            self._finished = True
            self._loop = self._app = self._greenlet = None
            self._input_line.cancel_prompts()
            loop.close()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have this done in the greenlet of the screen, as soon as it runs; after its end, not at all."""
        if self._greenlet is gevent.getcurrent():
            function(*arguments)  # before the next key
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(function, *arguments)
        elif not self._finished:
            self._calls_before_start.append((function, arguments))

    def stop(self) -> None:
        self.call(self._exit)

    def resume(self) -> None:
        """Take the terminal over again: somebody stopped this process, and the shell has made it its own meanwhile."""
        self.call(self._resume)

    def invalidate(self) -> None:
        """Have it drawn anew, soon."""
        if self._app is not None:
            self._app.invalidate()

    def ring(self, text: str = "") -> None:
        """The bell, as far as it is wanted, and `words` on the desktop, if those are."""
        self.call(self._ring, text)

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None:
        """Ask in place of the input line. `answered` is called in the greenlet of the screen, and must not wait."""
        self.call(self._ask, PendingPrompt(question, is_secret, on_answer))

    def switch_to(self, conversation: Conversation) -> None:
        """Have this conversation in sight."""
        self.call(self._switch_to, conversation)

    def show_entry(self, conversation: Conversation, entry: Entry) -> None:
        """Scroll to an entry, unless another conversation is in sight by now. May be called from any greenlet."""
        self.call(self._show_entry, conversation, entry)

    @property
    def at_bottom(self) -> bool:
        """Whether the newest of the current conversation is in sight."""
        return self._scrollback.at_bottom

    @property
    def draft(self) -> str:
        """What is in the input line."""
        return self._input_line.buffer.text

    @draft.setter
    def draft(self, text: str) -> None:
        self.call(self._set_draft, text)

    async def _run_app(self, loop: asyncio.AbstractEventLoop) -> None:
        # The session has to be opened here: greenlets do not inherit the context in which they are spawned.
        own = TerminalInput(sys.stdin) if self._input is None else None
        with create_app_session(self._input or own, self._output), ExitStack() as raw:
            if own is not None:
                raw.enter_context(own.raw_mode())
                store_typeahead(own, own.take_typed_ahead())
            self._app = app = self._make_application()

            def begun() -> None:
                self._loop = loop
                while self._calls_before_start:
                    function, arguments = self._calls_before_start.pop(0)
                    loop.call_soon(function, *arguments)

            await app.run_async(pre_run=begun, set_exception_handler=False, handle_sigint=False)

    def _make_application(self) -> Application[None]:
        app: Application[None] = Application(
            layout=make_layout(self._make_layout_spec(), self._input_line),
            key_bindings=make_key_bindings(self._key_actions, lambda: self._input_line.prompt is not None),
            style=Style.from_dict(STYLES),
            color_depth=ColorDepth.DEPTH_1_BIT if is_colour_disabled(os.environ) else None,
            max_render_postpone_time=0,
            full_screen=True,
            mouse_support=False,
            min_redraw_interval=REDRAW_INTERVAL,
            terminal_size_polling_interval=SIZE_CHECK_INTERVAL,
            before_render=lambda __: self._sync_input_line(),
            after_render=lambda __: self._schedule_tick(),
        )
        app.key_processor.before_key_press += lambda __: self._sync_input_line()
        return app

    def _make_layout_spec(self) -> LayoutSpec:
        panes = Panes(self._model, self._symbols)
        return LayoutSpec(
            title=lambda width, __: panes.title(width),
            conversations=panes.conversations,
            text=self._scrollback.render,
            members=panes.members,
            status=lambda width, __: panes.status(
                width, time.time(), self._actions.pending_count(), self._offscreen_counts()
            ),
            vertical_line=self._symbols.vertical_line,
            is_text_only=lambda: self._entry_renderer.text_only,
            is_in_room=lambda: self._model.current.is_room,
            prompt=self._prompt,
        )

    def _offscreen_counts(self) -> OffscreenCounts:
        back = self._scrollback
        return OffscreenCounts(None if back.at_bottom else back.below, back.new_above)

    def _prompt(self) -> Fragments:
        columns = max(terminal_columns() // 4, 4)
        return [("", f"[{ellipsize(display_name(self._model.current), columns)}] ")]

    def _sync_input_line(self) -> None:
        """Before anything is typed or drawn: the input line is that of the current conversation, or of a question."""
        self._input_line.sync_with_conversation()
        if self._app is not None:
            self._input_line.focus(self._app.layout)

    def _schedule_tick(self) -> None:
        """While the line is down, the seconds to the next try are counted."""
        if self._model.connection.phase is ConnectionPhase.LOST and self._tick_timer is None and self._loop is not None:
            self._tick_timer = self._loop.call_later(TICK_INTERVAL, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        self.invalidate()

    def _resume(self) -> None:
        if self._app is not None and self._app.is_running:
            self._app.input.raw_mode().__enter__()  # the one entered first knows the way back
            self._app.renderer.clear()
            self._app.invalidate()

    def _exit(self) -> None:
        app = self._app
        if app is not None and app.is_running and app.future is not None and not app.future.done():
            app.exit()

    def _switch_to(self, conversation: Conversation) -> None:
        self._key_actions.switch_to(conversation)
        self.invalidate()

    def _show_entry(self, conversation: Conversation, entry: Entry) -> None:
        if self._model.current is conversation:
            self._scrollback.to_entry(entry)
            self.invalidate()

    def _set_draft(self, text: str) -> None:
        self._input_line.sync_with_conversation()
        self._input_line.set_text(text)
        self.invalidate()

    def _ask(self, prompt: PendingPrompt) -> None:
        self._input_line.ask(prompt)
        self.invalidate()

    def _ring(self, text: str) -> None:
        if self._app is None:
            return
        output = self._app.output
        if self._options.bell:
            output.bell()
        if self._options.notifications and text:
            output.write_raw(osc9_notification(text, os.environ))
        output.flush()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A key, or drawing, has failed: that is said, and the rest goes on."""
        failure = context.get("exception")
        log.log_event("greenlet_failed", exception=failure, what="screen")
        said = _("Internal error ({kind}); details are in the log.", kind=type(failure).__name__)
        if self._recovery_timer is None and not loop.is_closed():
            self._model.add_notice(said, time.time(), self._model.current)
            self._recovery_timer = loop.call_later(TICK_INTERVAL, self._redraw_after_error)

    def _redraw_after_error(self) -> None:
        """What fails each time is not tried without a pause."""
        self._recovery_timer = None
        self.invalidate()
