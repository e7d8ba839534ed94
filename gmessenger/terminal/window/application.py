"""The full screen as the rest of the program sees it: run, stop, ask, and whatever else is safe from any greenlet."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gevent
from gevent.selectors import GeventSelector
from prompt_toolkit.application import Application, create_app_session, get_app
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.output import ColorDepth, Output
from prompt_toolkit.styles import Style

from gmessenger import logs
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.colours import STYLES, without_colours
from gmessenger.terminal.window.completing import Completing
from gmessenger.terminal.window.conversation import Conversation, Entry
from gmessenger.terminal.window.days import Calendar
from gmessenger.terminal.window.entries import Entries
from gmessenger.terminal.window.graphemes import shortened
from gmessenger.terminal.window.guard import quiet_errors, terminal_guard
from gmessenger.terminal.window.hands import Actions, Hands
from gmessenger.terminal.window.input_line import InputLine, Question
from gmessenger.terminal.window.keys import bindings
from gmessenger.terminal.window.layout import Parts, layout
from gmessenger.terminal.window.panes import Beyond, Panes, shown_name
from gmessenger.terminal.window.ringing import notification
from gmessenger.terminal.window.scrollback import Scrollback
from gmessenger.terminal.window.signs import signs_for
from gmessenger.terminal.window.terminal_input import TerminalInput
from gmessenger.terminal.window.wrapping import Fragments
from gmessenger.terminal.words import _

REDRAW_AFTER: Final = 0.01
"""Seconds between two drawings, at least: what comes in between is drawn together."""
LOOK_AT_SIZE: Final = 2.0
"""Seconds after which the size is looked at, for terminals that do not say that it has changed."""
SECOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the user can choose of the screen."""

    bell: bool = True
    notifications: bool = False
    """Whether the terminal is asked, by OSC 9, to say on the desktop what the bell rings for."""


class UI:
    """The screen. Only `run` belongs to a greenlet of its own; everything else here may be called from any."""

    def __init__(
        self,
        book: Book,
        actions: Actions,
        *,
        history_file: Path,
        look: Look = Look(),
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._book, self._actions, self._look = book, actions, look
        self._input, self._output = input, output
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._over = False
        self._greenlet: object = None
        self._ticking: asyncio.TimerHandle | None = None
        self._ailing: asyncio.TimerHandle | None = None
        encoding = output.encoding() if output is not None else getattr(sys.stdout, "encoding", None)
        self._signs = signs_for(encoding)
        calendar = Calendar()
        self._entries = Entries(self._signs, calendar)
        self._scrollback = Scrollback(book, self._entries, self._signs, calendar)
        self._line = InputLine(book, Completing(book, actions), history_file, actions.typed)
        self._hands = Hands(book, actions, self._scrollback, self._entries, self._line)
        self._app: Application[None] | None = None

    def run(self) -> None:
        """Show the screen until it is stopped; the terminal is then as it was. Raises EOFError when that is gone."""
        own = self._output is None
        self._greenlet = gevent.getcurrent()
        loop = asyncio.SelectorEventLoop(GeventSelector())
        loop.set_exception_handler(self._failed)
        try:
            with terminal_guard(0 if own else None), quiet_errors():
                loop.run_until_complete(self._show(loop))
        finally:
            self._over = True
            self._loop = self._app = self._greenlet = None
            self._line.answer_nothing()
            loop.close()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have this done in the greenlet of the screen, as soon as it runs; after its end, not at all."""
        if self._greenlet is gevent.getcurrent():
            function(*arguments)  # before the next key
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(function, *arguments)
        elif not self._over:
            self._before.append((function, arguments))

    def stop(self) -> None:
        self.call(self._exit)

    def resume(self) -> None:
        """Take the terminal over again: somebody stopped this process, and the shell has made it its own meanwhile."""
        self.call(self._resume)

    def invalidate(self) -> None:
        """Have it drawn anew, soon."""
        if self._app is not None:
            self._app.invalidate()

    def ring(self, words: str = "") -> None:
        """The bell, as far as it is wanted, and `words` on the desktop, if those are."""
        self.call(self._ring, words)

    def ask(self, question: str, *, secret: bool, answered: Callable[[str | None], None]) -> None:
        """Ask in place of the input line. `answered` is called in the greenlet of the screen, and must not wait."""
        self.call(self._ask, Question(question, secret, answered))

    def turn_to(self, conversation: Conversation) -> None:
        """Have this conversation in sight."""
        self.call(self._turn_to, conversation)

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
        return self._line.buffer.text

    @draft.setter
    def draft(self, text: str) -> None:
        self.call(self._put, text)

    async def _show(self, loop: asyncio.AbstractEventLoop) -> None:
        # The session has to be opened here: greenlets do not inherit the context in which they are spawned.
        own = TerminalInput(sys.stdin) if self._input is None else None
        with create_app_session(self._input or own, self._output), ExitStack() as raw:
            if own is not None:
                raw.enter_context(own.raw_mode())
                store_typeahead(own, own.take_typed_ahead())
            self._app = app = self._application()

            def begun() -> None:
                self._loop = loop
                while self._before:
                    function, arguments = self._before.pop(0)
                    loop.call_soon(function, *arguments)

            await app.run_async(pre_run=begun, set_exception_handler=False, handle_sigint=False)

    def _application(self) -> Application[None]:
        app: Application[None] = Application(
            layout=layout(self._parts(), self._line),
            key_bindings=bindings(self._hands, lambda: self._line.question is not None),
            style=Style.from_dict(STYLES),
            color_depth=ColorDepth.DEPTH_1_BIT if without_colours(os.environ) else None,
            max_render_postpone_time=0,
            full_screen=True,
            mouse_support=False,
            min_redraw_interval=REDRAW_AFTER,
            terminal_size_polling_interval=LOOK_AT_SIZE,
            before_render=lambda __: self._attend(),
            after_render=lambda __: self._tick_while_lost(),
        )
        app.key_processor.before_key_press += lambda __: self._attend()
        return app

    def _parts(self) -> Parts:
        panes = Panes(self._book, self._signs)
        return Parts(
            title=lambda width, __: panes.title(width),
            conversations=panes.conversations,
            text=self._scrollback.draw,
            members=panes.members,
            status=lambda width, __: panes.status(width, time.time(), self._actions.unanswered(), self._beyond()),
            upright=self._signs.upright,
            bare=lambda: self._entries.bare,
            in_a_room=lambda: self._book.current.is_room,
            prompt=self._prompt,
        )

    def _beyond(self) -> Beyond:
        back = self._scrollback
        return Beyond(None if back.at_bottom else back.below, back.new_above)

    def _prompt(self) -> Fragments:
        columns = get_app().output.get_size().columns
        return [("", f"[{shortened(shown_name(self._book.current), max(columns // 4, 4))}] ")]

    def _attend(self) -> None:
        """Before anything is typed or drawn: the input line is that of the current conversation, or of a question."""
        self._line.follow()
        if self._app is not None:
            self._line.focus(self._app.layout)

    def _tick_while_lost(self) -> None:
        """While the line is down, the seconds to the next try are counted."""
        if self._book.line.state == "lost" and self._ticking is None and self._loop is not None:
            self._ticking = self._loop.call_later(SECOND, self._tick)

    def _tick(self) -> None:
        self._ticking = None
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

    def _turn_to(self, conversation: Conversation) -> None:
        self._hands.turn_to(conversation)
        self.invalidate()

    def _show_entry(self, conversation: Conversation, entry: Entry) -> None:
        if self._book.current is conversation:
            self._scrollback.to_entry(entry)
            self.invalidate()

    def _put(self, text: str) -> None:
        self._line.follow()
        self._line.put(text)
        self.invalidate()

    def _ask(self, question: Question) -> None:
        self._line.ask(question)
        self.invalidate()

    def _ring(self, words: str) -> None:
        if self._app is None:
            return
        output = self._app.output
        if self._look.bell:
            output.bell()
        if self._look.notifications and words:
            output.write_raw(notification(words, os.environ))
        output.flush()

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A key, or drawing, has failed: that is said, and the rest goes on."""
        failure = context.get("exception")
        logs.event("greenlet_failed", failure=failure, what="screen")
        said = _("Internal error ({kind}); details are in the log.", kind=type(failure).__name__)
        if self._ailing is None:
            self._book.notice(said, time.time(), self._book.current)
            self._ailing = loop.call_later(SECOND, self._recover)

    def _recover(self) -> None:
        """What fails each time is not tried without a pause."""
        self._ailing = None
        self.invalidate()
