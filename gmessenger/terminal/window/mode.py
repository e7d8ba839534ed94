"""The full screen as a mode of the client: puts book, link and screen together, and takes them apart again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

import gevent
from gevent import with_timeout
from gevent.event import Event

from gmessenger import logs
from gmessenger.client import Delivery, Link
from gmessenger.commandline import CLIENT
from gmessenger.options import ClientOptions
from gmessenger.terminal.ending import HANGUP, HURRY, INTERRUPTED, Ending
from gmessenger.terminal.output import NOBODY_READS
from gmessenger.terminal.parting import await_answers
from gmessenger.terminal.render import why
from gmessenger.terminal.state import DRAFTS, HISTORY, state_file
from gmessenger.terminal.window.acting import Acting, Lanes, Sight
from gmessenger.terminal.window.application import UI, Look
from gmessenger.terminal.window.book import Book
from gmessenger.terminal.window.drafts import Drafts
from gmessenger.terminal.window.following import Following
from gmessenger.terminal.window.work import Work
from gmessenger.terminal.words import _
from gmessenger.terminal_text import visible

GIVEN_BACK_WITHIN: Final = 1.0
"""Seconds that the disk, and then the screen, have at the end."""


class FullScreen:
    """Conversations side by side. Its greenlets: the screen's, one to follow the link, one for each lane of work.

    `log_in` asks what it has to before the screen is there; `remark` is shown on it first; `sights` makes it.
    """

    def __init__(
        self,
        options: ClientOptions,
        link: Link,
        log_in: Callable[[], None],
        ending: Ending,
        remark: str = "",
        sights: Callable[[Book, Acting, ClientOptions], Sight] | None = None,
    ) -> None:
        self._options = options
        self._link = link
        self._log_in = log_in
        self._ending = ending
        self._lanes = Lanes(*(Work(self._failed) for _lane in range(3)))
        self._book = Book(link.name, self._hides)
        self._acting = Acting(link, self._book, self._lanes, self._failed, self)
        self._acting.drafts = self._drafts = Drafts(
            state_file(options, link.name, DRAFTS), self._acting.kept, self._not_kept
        )
        self._acting.sight = self._sight = (sights or _screen)(self._book, self._acting, options)
        if remark:
            self._book.notice(remark, time.time())
        self._off = Event()
        self.leaving = False
        self._told_of_disk = False

    def run(self) -> None:
        """Log in, then show the screen until somebody has enough. Raises `Unreachable` or `Refused`."""
        self._log_in()
        if self._ending.over:
            return  # or the screen would come up for nobody to take it down
        self._acting.restore(self._drafts.load())
        self._ending.at_last(self._give_back)
        self._ending.spawn(Following(self._options, self._link, self._book, self._acting, self._failed).run)
        for work in (self._lanes.sending, self._lanes.ordering, self._lanes.fetching):
            self._ending.spawn(work.run)
        continued = gevent.signal_handler(signal.SIGCONT, self._sight.resume)
        try:
            self._sight.run()
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in NOBODY_READS:
                raise
            self._ending.leave(HANGUP)  # the terminal is gone
        finally:
            continued.cancel()
            self._off.set()

    def interrupt(self) -> None:
        """Ctrl-C: leave, with little patience; the second time at once."""
        if self.leaving:
            self._ending.leave(INTERRUPTED)
        else:
            self._leave_within(HURRY)

    def leave(self) -> None:
        if not self.leaving:
            self._leave_within(self._options.answer_timeout)

    def _hides(self, delivery: Delivery) -> bool:
        return self._acting.desk.hides(delivery)

    def _leave_within(self, seconds: float) -> None:
        self.leaving = True
        self._ending.spawn(self._part, seconds)

    def _part(self, seconds: float) -> None:
        self._lanes.sending.finish(HURRY)
        self._acting.reading.tell()
        unsaid = await_answers(self._link, seconds, self._acting.show)
        self._link.abandon()
        if unsaid is not None:
            self._ending.fail(unsaid)
        else:
            self._ending.leave()

    def _give_back(self) -> None:
        """What was said and what is to be remembered goes to the disk, and the terminal is as it was."""
        self._lanes.sending.finish(GIVEN_BACK_WITHIN)
        with_timeout(GIVEN_BACK_WITHIN, self._drafts.save, timeout_value=None)
        self._sight.stop()
        self._off.wait(GIVEN_BACK_WITHIN)

    def _failed(self, error: Exception) -> None:
        logs.event("greenlet_failed", failure=error, what="full screen")
        place = self._options.log_place(CLIENT.section)
        self._acting.show(
            _(
                "Internal error ({fault}); details are in the log: {place}",
                fault=type(error).__name__,
                place=visible(place),
            )
        )

    def _not_kept(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            self._failed(error)
        elif not self._told_of_disk:
            self._told_of_disk = True
            self._acting.show(
                _("Your draft cannot be saved on disk: {reason}.", reason=why(error.strerror or str(error)))
            )


def _screen(book: Book, acting: Acting, options: ClientOptions) -> Sight:
    look = Look(bell=options.bell, notifications=options.notify)
    return UI(book, acting, history_file=state_file(options, book.me, HISTORY), look=look)
