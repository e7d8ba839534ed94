"""The full-screen mode: make the model, controller and screen, run them, and end them in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent import with_timeout
from gevent.event import Event

from gmessenger import log
from gmessenger.client import Client, MessageEvent
from gmessenger.config.options import ClientOptions
from gmessenger.config.parser import CLIENT
from gmessenger.sanitize import sanitize
from gmessenger.terminal.format_events import format_reason, format_unexpected_error
from gmessenger.terminal.i18n import _
from gmessenger.terminal.lifecycle import flush_before_exit
from gmessenger.terminal.shutdown import EXIT_HANGUP, EXIT_INTERRUPTED, HURRY_TIMEOUT, ExitController
from gmessenger.terminal.state_files import DRAFTS_DIRECTORY, HISTORY_DIRECTORY, state_file
from gmessenger.terminal.stdio import READER_GONE_ERRNOS
from gmessenger.terminal.tui.app import TuiApp, TuiOptions
from gmessenger.terminal.tui.controller import Controller, JobQueues, View
from gmessenger.terminal.tui.drafts import Drafts
from gmessenger.terminal.tui.event_pump import EventPump
from gmessenger.terminal.tui.jobs import JobQueue
from gmessenger.terminal.tui.model import Model

EXIT_TIMEOUT: Final = 1.0
"""Seconds for the disk, and again for the screen, at the end."""


class FullScreenMode:
    """The full-screen mode. Greenlets: the screen's, the event pump's, and one for each job queue."""

    def __init__(
        self,
        options: ClientOptions,
        client: Client,
        log_in: Callable[[], None],
        exit_controller: ExitController,
        notice: str = "",
        make_view: Callable[[Model, Controller, ClientOptions], View] | None = None,
    ) -> None:
        """Make the parts of the mode; nothing runs yet.

        log_in: logs in, with prompts if needed, before the screen is shown.
        notice: shown first.
        make_view: makes the screen; replaced in tests.
        """
        self._options = options
        self._client = client
        self._log_in = log_in
        self._exit_controller = exit_controller
        self._job_queues = JobQueues(*(JobQueue(self._on_error) for _lane in range(3)))
        self._model = Model(client.name, self._is_from_blocked)
        self._controller = Controller(client, self._model, self._job_queues, self._on_error, self)
        self._drafts = Drafts(
            state_file(options, client.name, DRAFTS_DIRECTORY), self._controller.saved_state, self._on_draft_error
        )
        self._view = (make_view or _make_view)(self._model, self._controller, options)
        self._controller.bind(self._view, self._drafts)
        if notice:
            self._model.add_notice(notice, time.time())
        self._view_closed = Event()
        self.is_leaving = False
        self._draft_error_shown = False

    def run(self) -> None:
        """Log in, then show the screen until the user quits. Blocks. Raises `Unreachable` or `Refused`."""
        self._log_in()
        if self._exit_controller.is_set:
            return  # `on_exit` hooks have run already, so nothing would stop the screen
        self._controller.restore(self._drafts.load())
        self._exit_controller.on_exit(self._restore_terminal)
        self._exit_controller.spawn(
            EventPump(self._options, self._client, self._model, self._controller, self._on_error).run
        )
        for queue in (self._job_queues.sends, self._job_queues.commands, self._job_queues.fetches):
            self._exit_controller.spawn(queue.run)
        sigcont_handler = gevent.signal_handler(signal.SIGCONT, self._view.resume)
        try:
            self._view.run()
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in READER_GONE_ERRNOS:
                raise
            self._exit_controller.exit(EXIT_HANGUP)  # the terminal is gone
        finally:
            sigcont_handler.cancel()
            self._view_closed.set()

    def interrupt(self) -> None:
        """Handle Ctrl-C: quit after a short flush; the second time, quit at once."""
        if self.is_leaving:
            self._exit_controller.exit(EXIT_INTERRUPTED)
        else:
            self._quit_within(HURRY_TIMEOUT)

    def quit(self) -> None:
        """Quit when all messages have a response, or after the response timeout."""
        if not self.is_leaving:
            self._quit_within(self._options.answer_timeout)

    def _is_from_blocked(self, event: MessageEvent) -> bool:
        return self._controller.handlers.is_from_blocked(event)

    def _quit_within(self, timeout: float) -> None:
        self.is_leaving = True
        self._exit_controller.spawn(self._flush_and_exit, timeout)

    def _flush_and_exit(self, timeout: float) -> None:
        self._job_queues.sends.drain(HURRY_TIMEOUT)
        self._controller.read_markers.flush()
        unsent_error = flush_before_exit(self._client, timeout, self._controller.show)
        self._client.abort()
        if unsent_error is not None:
            self._exit_controller.fail(unsent_error)
        else:
            self._exit_controller.exit()

    def _restore_terminal(self) -> None:
        """Hand over what was typed, save the drafts, and restore the terminal; the exit hook of this mode."""
        self._job_queues.sends.drain(EXIT_TIMEOUT)
        with_timeout(EXIT_TIMEOUT, self._drafts.save, timeout_value=None)
        self._view.stop()
        self._view_closed.wait(EXIT_TIMEOUT)

    def _on_error(self, error: Exception) -> None:
        log.log_event("greenlet_failed", exception=error, what="full screen")
        self._controller.show(sanitize(format_unexpected_error(error, self._options.log_destination(CLIENT.section))))

    def _on_draft_error(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            self._on_error(error)
        elif not self._draft_error_shown:
            self._draft_error_shown = True
            self._controller.show(
                _("Your draft cannot be saved on disk: {reason}.", reason=format_reason(error.strerror or str(error)))
            )


def _make_view(model: Model, controller: Controller, options: ClientOptions) -> View:
    history_file = state_file(options, model.own_name, HISTORY_DIRECTORY)
    tui_options = TuiOptions(bell=options.bell, notifications=options.notify)
    return TuiApp(model, controller, history_file=history_file, options=tui_options)
