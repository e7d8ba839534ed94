"""The client as a command in a pipe: `--to` sends what it reads, `--listen` prints what it is sent."""

from __future__ import annotations

from typing import Final

from gmessenger.client import Link, Lost, Notice, Received, Rejected, SentElsewhere
from gmessenger.errors import BadText, ExitError, NotAllSent, Refused, UnknownAction, WireError
from gmessenger.options import ClientOptions
from gmessenger.sentences import Sentence
from gmessenger.terminal import render
from gmessenger.terminal.ending import HURRY, INTERRUPTED, Ending
from gmessenger.terminal.input import ROOM_WITHIN, Cut, Lines
from gmessenger.terminal.journal import write_down
from gmessenger.terminal.output import Output
from gmessenger.terminal.spoken import spoken
from gmessenger.terminal.words import N_, _, noted

NOT_SENT: Final = N_("Not sent: {lost} of {count} lines. The first: {reason}")
LOOK_AGAIN: Final = 1.0
EVERYBODY: Final = "#all"
"""Looks like a room, but everybody is in it."""


class Sending:
    """Every line of the input becomes a message; the exit code says whether all of them arrived."""

    def __init__(self, options: ClientOptions, link: Link, lines: Lines, status: Output, ending: Ending) -> None:
        self._options = options
        self._to = options.to or ""
        self._link = link
        self._lines = lines
        self._status = status
        self._ending = ending
        self._read = 0
        self._refused = 0
        self._first_reason = ""

    def run(self) -> None:
        """Raises `Unreachable` and `Refused`, the latter for the room too."""
        self._link.start()
        following = self._ending.spawn(self._follow)
        if self._to.startswith("#") and self._to != EVERYBODY:
            self._join()
        for line in self._lines:
            self._read += 1
            self._send(line)
        # Each message has its own time to be answered in; all together they have none.
        while self._link.flush(LOOK_AGAIN) and not self._link.ended:
            pass
        self._link.close()
        following.join(HURRY)
        self._finish(None)

    def interrupt(self) -> None:
        """Ctrl-C: leave at once, with a code that says whether anything is left behind."""
        if self._lost:
            self._status.say(noted(_("interrupted; lines that were not answered: {count}", count=self._lost)))
        self._ending.leave(INTERRUPTED if self._lost or not self._link.connected else 0)

    @property
    def _lost(self) -> int:
        return self._refused + self._link.unanswered

    def _join(self) -> None:
        try:
            self._link.join(self._to)
        except UnknownAction as error:
            raise Refused(Sentence("Cannot join {room}: this server has no rooms.", room=self._to)) from error
        except WireError as error:
            raise Refused(Sentence("Cannot join {room}: {reason}", room=self._to, reason=str(error))) from error

    def _send(self, line: str | Cut) -> None:
        if isinstance(line, Cut):
            return self._refuse(
                _("Line {number} is longer than {limit}.", number=self._read, limit=render.too_long(line))
            )
        try:
            self._link.send(self._to, line, wait=ROOM_WITHIN)
        except BadText as error:
            self._refuse(str(error))
        return None

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        if not self._first_reason:
            # At once: the input may go on for days.
            self._first_reason = reason
            self._status.say(noted(_("not sent: {reason}", reason=render.why(reason))))

    def _follow(self) -> None:
        try:
            for event in self._link:
                write_down(event, self._options)
                if isinstance(event, Rejected):
                    self._refuse(event.reason)
                elif isinstance(event, Lost | Notice) and (told := render.told(event)):
                    self._status.say(told)
        except ExitError as error:
            self._finish(error)

    def _finish(self, error: ExitError | None) -> None:
        reason = self._first_reason or (str(error) if error else N_("there was no answer."))
        if self._lost:
            counts = {"lost": self._lost, "count": self._read}
            self._ending.fail(NotAllSent(_(NOT_SENT, **counts, reason=spoken(reason))))
        elif error is not None:
            self._ending.fail(error)
        else:
            self._ending.leave()


class Listening:
    """Everything received is printed, as frames or as lines; nothing is read."""

    def __init__(self, options: ClientOptions, link: Link, output: Output, status: Output, ending: Ending) -> None:
        self._options = options
        self._link = link
        self._output = output
        self._status = status
        self._ending = ending

    def run(self) -> None:
        """Raises `Unreachable` and `Refused`."""
        self._link.start()
        for event in self._link:
            write_down(event, self._options)
            if isinstance(event, Received | SentElsewhere):
                if not self._take(event):
                    return  # only what is done with may be acknowledged
                self._link.done()
            elif (told := render.told(event)) is not None:
                self._status.say(told)
            if self._ending.over:
                return

    def interrupt(self) -> None:
        """Ctrl-C is how one leaves."""
        self._ending.leave()

    def _take(self, event: Received | SentElsewhere) -> bool:
        """Print a message. Whether it is done with: not if nobody reads any more.

        A program is told what the account itself says only where it asks for that: it would answer itself.
        """
        if self._options.json and isinstance(event, SentElsewhere) and not self._options.own:
            return True
        if self._options.json:
            self._output.write_json(event.frame)
        else:
            self._output.say(render.told(event) or "")
        return self._output.finish()
