"""The client as a command in a pipe: `--to` sends what it reads, `--listen` prints what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gmessenger.client import Link, Lost, Notice, Received, Rejected, SentElsewhere
from gmessenger.errors import BadText, ExitError, NotAllSent, Refused, UnknownAction, WireError
from gmessenger.options import ClientOptions
from gmessenger.sentences import Sentence
from gmessenger.terminal import render
from gmessenger.terminal.ending import HURRY, INTERRUPTED, Ending
from gmessenger.terminal.input import LONGEST_LINE, ROOM_WITHIN, Cut, Lines
from gmessenger.terminal.journal import write_down
from gmessenger.terminal.output import Output
from gmessenger.terminal.spoken import spoken
from gmessenger.terminal.startup import Startup
from gmessenger.terminal.words import N_, _, noted

NOT_SENT: Final = N_("Not sent: {lost} of {count} lines. The first: {reason}")
NOT_SENT_AT_ALL: Final = N_("Not sent: {reason}")
RETRY_IN_A_PIPE: Final = 60.0
"""Seconds."""
LOOK_AGAIN: Final = 1.0
EVERYBODY: Final = "#all"
"""Looks like a room, but everybody is in it."""


def retry_for(options: ClientOptions) -> float:
    """Seconds that a server which is not there, or not any more, is tried again for; with `--to` a minute at most."""
    return min(options.retry_for, RETRY_IN_A_PIPE) if options.to is not None else options.retry_for


class Sending:
    """Every line of the input becomes a message, or all of it one; the exit code says whether all of them arrived."""

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
        Startup(retry_for(self._options), self._status.say).start(self._link)
        following = self._ending.spawn(self._follow)
        if self._to.startswith("#") and self._to != EVERYBODY:
            self._join()
        for text in self._whole() if self._options.whole else self._lines:
            if isinstance(text, Cut) or text.strip():  # a blank line says nothing to anybody
                self._read += 1
                self._send(text)
        # Each message has its own time to be answered in; all together they have none.
        while self._link.flush(LOOK_AGAIN) and not self._link.ended:
            pass
        self._link.close()
        following.join(HURRY)
        self._finish(None)

    def interrupt(self) -> None:
        """Ctrl-C: leave at once, with a code that says whether anything is left behind."""
        if self._lost:
            self._status.say(noted(_("interrupted; lines without an answer: {count}", count=self._lost)))
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

    def _whole(self) -> Iterator[str | Cut]:
        """The whole input as one text, without the end of its last line; of one that is too long only that it is."""
        lines: list[str] = []
        length = 0
        for line in self._lines:
            length += len(line) + 1 if isinstance(line, str) else line.limit
            if isinstance(line, Cut) or length > LONGEST_LINE:
                return (yield Cut(LONGEST_LINE, "characters"))
            lines.append(line)
        yield "\n".join(lines)

    def _send(self, text: str | Cut) -> None:
        if isinstance(text, Cut):
            limit = render.too_long(text)
            return self._refuse(
                _("The input is longer than {limit}.", limit=limit)
                if self._options.whole
                else _("Line {number} is longer than {limit}.", number=self._read, limit=limit)
            )
        try:
            self._link.send(self._to, text, wait=ROOM_WITHIN)
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
        reason = self._first_reason or (str(error) if error else N_("the server did not answer."))
        if self._lost:
            sentence = NOT_SENT_AT_ALL if self._options.whole else NOT_SENT
            counts = {"lost": self._lost, "count": self._read}
            self._ending.fail(NotAllSent(_(sentence, **counts, reason=spoken(reason))))
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
        Startup(retry_for(self._options), self._status.say).start(self._link)
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
