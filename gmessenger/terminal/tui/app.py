"""The full screen: a prompt_toolkit application that runs in one greenlet.

Other greenlets reach it only through `TuiApp.call`. The terminal is restored in every case, and what is written to
stderr while the screen is up goes into the log.
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
from gmessenger.terminal.tui.terminal_output import make_output
from gmessenger.terminal.tui.text_wrap import Fragments

MAX_NOTIFICATION: Final = 120
"""Characters of a desktop notification."""


def osc9_notification(text: str, environment: Mapping[str, str]) -> str:
    """Return the OSC 9 sequence for a desktop notification; in tmux wrapped, for `allow-passthrough`."""
    sequence = f"\x1b]9;{sanitize(text)[:MAX_NOTIFICATION]}\x07"
    if environment.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence


RESET_SEQUENCES: Final = b"\x1b[?1000;1002;1003;1006l\x1b[?2004l\x1b[?25h\x1b[0m"
"""Mouse off, bracketed paste off, cursor visible, colours reset."""
MAX_STRAY_LINE: Final = 200
"""Characters of a line that are logged."""


@contextmanager
def terminal_guard(descriptor: int | None) -> Iterator[None]:
    """Restore a terminal's settings at the end of the block; does nothing if there is no terminal."""
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    saved = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        with suppress(OSError, termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)
            os.write(descriptor, RESET_SEQUENCES)


@contextmanager
def redirect_stderr_to_log() -> Iterator[None]:
    """Log what is written to stderr during the block, tracebacks of gevent's hub included."""
    hub, stream = get_hub(), _LogStream()
    saved = hub.exception_stream
    hub.exception_stream = cast(TextIO, stream)
    try:
        with redirect_stderr(stream):
            yield
    finally:
        hub.exception_stream = saved


class _LogStream(io.TextIOBase):
    """A stream that logs each line written to it."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                log.log_event("stray_output", line=line[:MAX_STRAY_LINE])
        return len(text)


REDRAW_INTERVAL: Final = 0.01
"""Seconds between two redraws, at least; changes in between are drawn together."""
SIZE_CHECK_INTERVAL: Final = 2.0
"""Seconds between two checks of the size, for terminals that send no SIGWINCH."""
TICK_INTERVAL: Final = 1.0
"""Seconds between two redraws of the countdown to the next connection attempt."""


@dataclass(frozen=True, slots=True)
class TuiOptions:
    """The user's options for the screen."""

    bell: bool = True
    notifications: bool = False
    """Send a desktop notification by OSC 9 whenever the bell rings."""


class TuiApp:
    """The screen. `run` has a greenlet of its own; all other methods may be called from any greenlet."""

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
        """input, output: replace the terminal in tests."""
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
        """Show the screen until `stop`, and restore the terminal. Blocks.

        Raises EOFError when the terminal is gone.
        """
        is_terminal = self._output is None
        self._greenlet = gevent.getcurrent()
        loop = asyncio.SelectorEventLoop(GeventSelector())
        loop.set_exception_handler(self._on_loop_error)
        try:
            with terminal_guard(0 if is_terminal else None), redirect_stderr_to_log():
                loop.run_until_complete(self._run_app(loop))
        finally:
            self._finished = True
            self._loop = self._app = self._greenlet = None
            self._input_line.cancel_prompts()
            loop.close()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the screen's greenlet.

        Calls it at once in that greenlet; otherwise as soon as the screen runs, and never after its end. Does not
        block.
        """
        if self._greenlet is gevent.getcurrent():
            function(*arguments)  # before the next key
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(function, *arguments)
        elif not self._finished:
            self._calls_before_start.append((function, arguments))

    def stop(self) -> None:
        """End `run`."""
        self.call(self._exit)

    def resume(self) -> None:
        """Set up the terminal again, after the process was stopped and the shell has used the terminal."""
        self.call(self._resume)

    def invalidate(self) -> None:
        """Redraw soon."""
        if self._app is not None:
            self._app.invalidate()

    def ring(self, text: str = "") -> None:
        """Ring the bell, and show `text` as a desktop notification, as far as the options ask for it."""
        self.call(self._ring, text)

    def ask(self, question: str, *, is_secret: bool, on_answer: Callable[[str | None], None]) -> None:
        """Show a prompt in place of the input line.

        on_answer: called with the answer, or None, in the screen's greenlet; it must not block.
        """
        self.call(self._ask, PendingPrompt(question, is_secret, on_answer))

    def switch_to(self, conversation: Conversation) -> None:
        """Show a conversation."""
        self.call(self._switch_to, conversation)

    def show_entry(self, conversation: Conversation, entry: Entry) -> None:
        """Scroll to an entry, unless another conversation has been switched to."""
        self.call(self._show_entry, conversation, entry)

    def give_back(self, text: str) -> None:
        """Put a text back into the input line, unless something was typed since."""
        self.call(self._give_back, text)

    def compose_edit(self) -> None:
        """Put the marked message, or the user's last one, into the input line for editing."""
        self.call(self._key_actions.edit)

    @property
    def at_bottom(self) -> bool:
        """Whether the newest entry of the current conversation is visible."""
        return self._scrollback.at_bottom

    @property
    def draft(self) -> str:
        """The text of the input line."""
        return self._input_line.buffer.text

    @draft.setter
    def draft(self, text: str) -> None:
        self.call(self._set_draft, text)

    async def _run_app(self, loop: asyncio.AbstractEventLoop) -> None:
        # The session is opened here, because greenlets do not inherit the context in which they are spawned.
        terminal = TerminalInput(sys.stdin) if self._input is None else None
        with create_app_session(self._input or terminal, self._output or make_output()), ExitStack() as stack:
            if terminal is not None:
                stack.enter_context(terminal.raw_mode())
                store_typeahead(terminal, terminal.take_typed_ahead())
            self._app = app = self._make_application()

            def on_started() -> None:
                self._loop = loop
                while self._calls_before_start:
                    function, arguments = self._calls_before_start.pop(0)
                    loop.call_soon(function, *arguments)

            await app.run_async(pre_run=on_started, set_exception_handler=False, handle_sigint=False)

    def _make_application(self) -> Application[None]:
        app: Application[None] = Application(
            layout=make_layout(self._make_layout_spec(), self._input_line),
            key_bindings=make_key_bindings(self._key_actions),
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
        scrollback = self._scrollback
        return OffscreenCounts(None if scrollback.at_bottom else scrollback.below, scrollback.new_above)

    def _prompt(self) -> Fragments:
        columns = max(terminal_columns() // 4, 4)
        name = ellipsize(display_name(self._model.current), columns)
        composed = self._model.current.composed
        if composed is None:
            return [("", f"[{name}] ")]
        if composed.is_edit:
            return [("class:question", f"[{_('{name}: edit', name=name)}] ")]
        return [("class:question", f"[{_('{name}: reply to {sender}', name=name, sender=composed.entry.sender)}] ")]

    def _sync_input_line(self) -> None:
        """Show the current conversation's draft, or the pending prompt.

        Called before each key and each redraw, so that no text that was typed for one conversation is sent to another.
        """
        self._input_line.sync_with_conversation()
        if self._app is not None:
            self._input_line.focus(self._app.layout)

    def _schedule_tick(self) -> None:
        """Redraw once a second while the connection is lost, for the countdown."""
        if self._model.connection.phase is ConnectionPhase.LOST and self._tick_timer is None and self._loop is not None:
            self._tick_timer = self._loop.call_later(TICK_INTERVAL, self._tick)

    def _tick(self) -> None:
        self._tick_timer = None
        self.invalidate()

    def _resume(self) -> None:
        if self._app is not None and self._app.is_running:
            self._app.input.raw_mode().__enter__()  # never left: the first raw mode restores the terminal
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

    def _give_back(self, text: str) -> None:
        if not self._input_line.buffer.text:
            self._set_draft(text)

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
        """Log an error of a key or a redraw, and show a notice; the screen goes on."""
        error = context.get("exception")
        log.log_event("greenlet_failed", exception=error, what="screen")
        notice = _("Internal error ({kind}); details are in the log.", kind=type(error).__name__)
        if self._recovery_timer is None and not loop.is_closed():
            self._model.add_notice(notice, time.time(), self._model.current)
            self._recovery_timer = loop.call_later(TICK_INTERVAL, self._redraw_after_error)

    def _redraw_after_error(self) -> None:
        """Redraw after a pause, in case drawing fails each time."""
        self._recovery_timer = None
        self.invalidate()
