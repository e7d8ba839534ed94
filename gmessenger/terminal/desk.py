"""Carries out what is typed in line mode: asks the link, shows what it says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from gevent.queue import Full

from gmessenger.client import Link
from gmessenger.errors import BadText, MessengerError
from gmessenger.logs import log_calls
from gmessenger.terminal import render
from gmessenger.terminal.commands import help_text
from gmessenger.terminal.input import ROOM_WITHIN, Lines
from gmessenger.terminal.moderating import Moderating
from gmessenger.terminal.passwords import Echo
from gmessenger.terminal.screen import Screen
from gmessenger.terminal.visible import visible

REPRINT: Final = "Ctrl-R shows what you have begun to type again, after a message came in between."


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """For its owner only; of one that could not be written whole nothing is left."""
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _with_hash(room: str) -> str:
    return room if room.startswith("#") else f"#{room}"


class LineDesk(Moderating):
    """The `Desk` of line mode. Plain lines go to its `addressee`; `leave` is whatever ends the mode."""

    def __init__(
        self, link: Link, screen: Screen, lines: Lines, echo: Echo, leave: Callable[[], None], *, typed: bool
    ) -> None:
        super().__init__(link)
        self._screen = screen
        self._lines = lines
        self._echo = echo
        self._typed = typed
        self.addressee: str | None = None
        self.leave = leave

    @log_calls("to")
    def message(self, to: str, text: str) -> None:
        self.addressee = to
        if text:
            self.send(to, text)

    def ask_for_message(self) -> None:
        to = (self._screen.ask(self._lines, "To whom? ") or "").strip()
        text = self._screen.ask(self._lines, f"Text for {to}: ") if to else ""
        if text:
            self.message(to, text)
        else:
            self._screen.show("-- nothing sent")

    def send(self, to: str, text: str) -> None:
        """Send, or say why not."""
        try:
            message = self._link.send(to, text, wait=0 if self._typed else ROOM_WITHIN)
        except Full:
            self._screen.show(render.not_sent(to, text, f"{self._link.unanswered} messages are waiting already."))
        except BadText as error:
            self._screen.show(render.not_sent(to, text, str(error)))
        else:
            if not self._link.connected:
                self._screen.show(render.waiting(message))

    def ask_secret(self, question: str) -> str | None:
        """What is typed in answer, unseen; None at the end of the input."""
        with self._echo.off():
            return self._screen.ask(self._lines, question)

    def register(self, invite: str) -> None:
        if not self._screen.prompting:
            return self._screen.show("-- a password has to be typed, at a terminal")
        password = self.ask_secret(f"A password for {self._link.name}: ")
        if not password or password != self.ask_secret("The same again: "):
            return self._screen.show("-- these were not the same; nothing is registered")
        return self._answered(lambda: self._register(password, invite))

    def _register(self, password: str, invite: str) -> str:
        self._link.register(password, invite or None)
        return f"-- {visible(self._link.name)} is your account now; from here on the password is asked for"

    @log_calls()
    def users(self) -> None:
        self._answered(lambda: render.users(self._link.users(), self._link.name))

    @log_calls()
    def status(self, status: str) -> None:
        self._answered(lambda: self._link.status(status))

    @log_calls("room")
    def join(self, room: str) -> None:
        self._answered(lambda: self._join(_with_hash(room)))

    def _join(self, room: str) -> str:
        answer = self._link.join(room)
        self.addressee = room
        return render.entered(room, answer.members or (), answer.topic or "")

    @log_calls("room")
    def leave_room(self, room: str) -> None:
        self._in_room(self._leave, room)

    def _leave(self, room: str) -> str:
        self._link.leave(room)
        if room.casefold() == (self.addressee or "").casefold():
            self.addressee = None
        return f"-- you have left {visible(room)}"

    @log_calls()
    def rooms(self) -> None:
        self._answered(lambda: render.rooms(self._link.rooms()))

    @log_calls("room")
    def members(self, room: str) -> None:
        self._in_room(lambda here: render.members(here, self._link.members(here), self._link.name), room)

    @log_calls()
    def topic(self, topic: str) -> None:
        self._in_room(lambda room: self._set_topic(room, topic) if topic else self._topic(room))

    def _set_topic(self, room: str, topic: str) -> str:
        self._link.set_topic(room, topic)
        return render.topic(room, topic)

    def _topic(self, room: str) -> str:
        topics = (each.get("topic") for each in self._link.rooms() if str(each.get("room")).lower() == room.lower())
        return render.topic(room, str(next(topics, "") or ""))

    @log_calls("count")
    def history(self, count: int) -> None:
        to = self.addressee
        if to is None:
            return self._screen.show("-- whose? write /msg NAME or /join #ROOM first")
        return self._answered(lambda: self._history(to, count))

    def _history(self, to: str, count: int) -> str:
        said = self._link.history(to, count)
        return render.history(to, [each for each in said if not to.startswith("#") or not self.hides(each)])

    @log_calls()
    def search(self, words: str) -> None:
        self._answered(lambda: render.search(self._link.search(words), self._link.name))

    @log_calls("name")
    def remove(self, name: str) -> None:
        self._in_room(lambda room: self._remove(room, name))

    def _remove(self, room: str, name: str) -> str:
        self._link.remove(room, name)
        return f"-- {visible(name)} is no longer in {visible(room)}"

    @log_calls("file")
    def export(self, file: str) -> None:
        self._answered(lambda: self._export(Path(file or f"{self._link.name}-messages.jsonl")))

    def _export(self, file: Path) -> str:
        try:
            with _new_file(file) as lines:
                count = sum(lines.write(line) > 0 for line in self._link.export())
        except OSError as error:
            return f"-- cannot write {visible(str(file))}: {error.strerror}"
        return f"-- {count} messages are in {visible(str(file))}, each as a line of JSON"

    def forget(self) -> None:
        if not self._screen.prompting:
            return self._screen.show("-- the password has to be typed, at a terminal")
        self._screen.show("-- all you have said will be erased for everybody, and your account. There is no way back.")
        password = self.ask_secret("Your password, or nothing to keep it all: ")
        return self._answered(lambda: self._forget(password)) if password else self._screen.show("-- all is kept")

    def _forget(self, password: str) -> str:
        self._link.forget(password)
        self.leave()
        return "-- all you said is erased, and your account is gone"

    def help(self) -> None:
        self._screen.show(self.help_text())

    def help_text(self) -> str:
        return help_text(self._screen.width, *([REPRINT] if self._typed else []), operator=self.operator)

    def _in_room(self, ask: Callable[[str], str], room: str = "") -> None:
        """Ask about the room that is named, or else the one that plain lines go to."""
        room = _with_hash(room) if room else self.addressee or ""
        if room.startswith("#"):
            self._answered(lambda: ask(room))
        else:
            self._screen.show("-- in which room? write /join #ROOM first")

    def _answered(self, ask: Callable[[], str | None]) -> None:
        """Ask the server something and show what comes of it, or say why nothing does."""
        if not self._link.connected:
            return self._screen.show("-- the line is down; ask again when it is back")
        try:
            shown = ask()
        except MessengerError as error:
            shown = f"-- {visible(str(error))}"
        return self._screen.show(shown) if shown else None
