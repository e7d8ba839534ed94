"""Carries out what is typed, in every mode: asks the link, shows what it says."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

from gmessenger.client import Found, Link, fold
from gmessenger.errors import (
    AccountsOnly,
    MessengerError,
    NameTaken,
    PasswordExposed,
    RegistrationClosed,
    WireError,
)
from gmessenger.logs import log_calls
from gmessenger.terminal import answers
from gmessenger.terminal.moderating import Moderating
from gmessenger.terminal.render import topic_of, why
from gmessenger.terminal.words import N_, _, counted, noted
from gmessenger.terminal_text import visible

ONLINE: Final = "online"
"""The status of who has said nothing else."""
AROUND: Final = 5
"""Messages before and after one that was found."""
DOWN: Final = N_("the connection is lost; try again when it is back")
WARNING: Final = N_(
    "all your messages will be erased for all users, and your account will be deleted. This cannot be undone."
)


class Hits:
    """The messages that a search found, numbered as they are shown: from 1, the oldest."""

    def __init__(self, newest_first: Sequence[Found]) -> None:
        self.found = list(reversed(newest_first))
        self._last = len(self.found) + 1

    def take(self, number: int | None) -> Found | None:
        """Return the hit with this number, or None; without a number the one before the last taken, newest first."""
        wanted = self._last - 1 if number is None else number
        if number is None and wanted < 1:
            wanted = len(self.found)
        if not 1 <= wanted <= len(self.found):
            return None
        self._last = wanted
        return self.found[wanted - 1]


@dataclass(frozen=True, slots=True)
class Question:
    """Something to be typed in answer; unseen where it is `secret`."""

    words: str
    secret: bool = False


Dialogue: TypeAlias = Generator[Question, str | None, None]
"""Questions, each of which is sent its answer: None where nobody gives one."""


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


class Commanded(Moderating):
    """What every mode's desk does alike. Plain lines go to its `addressee`; `leave` is whatever ends the mode."""

    def __init__(self, link: Link, leave: Callable[[], None]) -> None:
        super().__init__(link)
        self.leave = leave
        self.hits = Hits([])

    @property
    @abstractmethod
    def addressee(self) -> str | None:
        """To whom, or to which room, plain lines go."""

    @addressee.setter
    @abstractmethod
    def addressee(self, name: str | None) -> None: ...

    @property
    @abstractmethod
    def asks(self) -> bool:
        """Whether somebody sees what is asked, and answers."""

    @abstractmethod
    def show(self, text: str) -> None:
        """Show lines, which are safe already."""

    @abstractmethod
    def hold(self, dialogue: Dialogue) -> None:
        """Ask, one after the other, what it wants to know."""

    @abstractmethod
    def send(self, to: str, text: str) -> None:
        """Send, or say why not."""

    @abstractmethod
    def help_text(self) -> str: ...

    @log_calls("to")
    def message(self, to: str, text: str) -> None:
        self.addressee = to
        if text:
            self.send(to, text)

    @abstractmethod
    def take_refused(self) -> tuple[str, str] | None:
        """What was refused last, and to whom it should have gone; it is settled with that."""

    def again(self, text: str) -> None:
        if (refused := self.take_refused()) is None:
            self.show(noted(_("no message was refused")))
        else:
            self.send(refused[0], text or refused[1])

    def ask_for_message(self) -> None:
        self.hold(self._message_dialogue())

    def _message_dialogue(self) -> Dialogue:
        to = ((yield Question(_("To whom? "))) or "").strip()
        text = (yield Question(_("Text for {name}: ", name=to))) if to else ""
        if text:
            self.message(to, text)
        else:
            self.show(noted(_("nothing sent")))

    def register(self, invite: str) -> None:
        closed = self._link.registration == "closed"
        refused = NameTaken() if self._link.account else RegistrationClosed() if closed else None
        if (obstacle := self._no_password(refused)) is not None:
            return self.show(noted(obstacle))
        return self.hold(self._register_dialogue(invite))

    def _register_dialogue(self, invite: str) -> Dialogue:
        password = yield Question(_("A password for {name}: ", name=self._link.name), secret=True)
        if not password or password != (yield Question(_("Repeat the password: "), secret=True)):
            return self.show(noted(_("the passwords differ; nothing was registered")))
        return self._answered(lambda: self._register(password, invite))

    def _register(self, password: str, invite: str) -> str:
        self._link.register(password, invite or None)
        name = visible(self._link.name)
        return noted(_("{name} is now your account; logging in needs its password", name=name))

    @log_calls()
    def users(self) -> None:
        self._answered(lambda: answers.users(self._link.users(), self._link.name))

    @log_calls()
    def status(self, status: str) -> None:
        self._answered(lambda: self._say_status(status) if status else self._own_status())

    def _say_status(self, status: str) -> str:
        status = ONLINE if status.casefold() == ONLINE else status
        self._link.status(status)
        self.status_is(status)
        return answers.status(status)

    def _own_status(self) -> str:
        own = [card for card in self._link.users() if fold(card.account_name) == fold(self._link.name)]
        status = (own[0].status if own else None) or ONLINE
        self.status_is(status)
        return answers.own_status(status)

    def status_is(self, status: str) -> None:
        """Note one's own status; modes that show it override this."""

    @log_calls("room")
    def join(self, room: str) -> None:
        self._answered(lambda: self._join(_with_hash(room)))

    def _join(self, room: str) -> str:
        answer = self._link.join(room)
        self.addressee = room
        return answers.entered(room, answer.members or (), answer.topic or "")

    @log_calls("room")
    def leave_room(self, room: str) -> None:
        self._in_room(self._leave, room)

    def _leave(self, room: str) -> str:
        self._link.leave(room)
        if room.casefold() == (self.addressee or "").casefold():
            self.addressee = None
        return noted(_("you have left {room}", room=visible(room)))

    @log_calls()
    def rooms(self) -> None:
        self._answered(lambda: answers.rooms(self._link.rooms()))

    @log_calls("room")
    def members(self, room: str) -> None:
        self._in_room(lambda here: answers.members(here, self._link.members(here), self._link.name), room)

    @log_calls()
    def topic(self, topic: str) -> None:
        self._in_room(lambda room: self._set_topic(room, topic) if topic else self._topic(room))

    def _set_topic(self, room: str, topic: str) -> str:
        self._link.set_topic(room, topic)
        return topic_of(room, topic)

    def _topic(self, room: str) -> str:
        topics = (each.get("topic") for each in self._link.rooms() if str(each.get("room")).lower() == room.lower())
        return topic_of(room, str(next(topics, "") or ""))

    @log_calls("count")
    def history(self, count: int) -> None:
        to = self.addressee
        if to is None:
            return self.show(noted(_("which conversation? write /msg NAME or /join #ROOM first")))
        return self._answered(lambda: self._history(to, count))

    def _history(self, to: str, count: int) -> str:
        said = self._link.history(to, count)
        return answers.history(to, [each for each in said if not to.startswith("#") or not self.hides(each)])

    @log_calls()
    def search(self, words: str) -> None:
        first, _, further = words.partition(" ")
        narrowed = first[:1] in ("#", "@") and len(first) > 1 and further.strip()
        text, with_ = (further.strip(), first.removeprefix("@")) if narrowed else (words, None)
        self._answered(lambda: self._search(text, with_))

    def _search(self, words: str, with_: str | None) -> str:
        found = self._link.search(words, with_)
        self.hits = Hits(found)
        return answers.search(found, self._link.name)

    @log_calls("number")
    def jump(self, number: int | None) -> None:
        if not self.hits.found:
            self.show(noted(_("there are no search results yet; /search WORDS searches for messages")))
        elif (hit := self.hits.take(number)) is None:
            last = len(self.hits.found)
            self.show(noted(_("there is no such search result; they are numbered 1 to {last}", last=last)))
        else:
            self.jump_to(hit)

    def jump_to(self, hit: Found) -> None:
        """Turn to the conversation of a hit, and show the messages around it."""
        self.show_around(hit)

    def show_around(self, hit: Found) -> None:
        """Show the messages around a hit, as lines."""
        self._answered(lambda: self._around(hit))

    def _around(self, hit: Found) -> str:
        seq = hit.delivery.seq or 0
        said = self._link.history(hit.with_, 2 * AROUND + 1, seq + AROUND + 1)
        self.addressee = hit.with_
        near = [each for each in said if abs((each.seq or 0) - seq) <= AROUND]
        return answers.around(hit, [each for each in near if not hit.with_.startswith("#") or not self.hides(each)])

    @log_calls("name")
    def remove(self, name: str) -> None:
        self._in_room(lambda room: self._remove(room, name))

    def _remove(self, room: str, name: str) -> str:
        self._link.remove(room, name)
        return noted(_("{name} is no longer in {room}", name=visible(name), room=visible(room)))

    @log_calls("file")
    def export(self, file: str) -> None:
        path = Path(file or f"{self._link.name}-messages.jsonl")
        with suppress(RuntimeError):  # there is no such home directory: then it is a name like any other
            path = path.expanduser()
        self._answered(lambda: self._export(path))

    def _export(self, file: Path) -> str:
        shown = visible(str(file))
        try:
            with _new_file(file) as lines:
                count = sum(lines.write(line) > 0 for line in self._link.export())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return noted(_("cannot write {file}: {reason}", file=shown, reason=why(reason)))
        return noted(
            counted(
                "{count} message is in {file}, as a line of JSON",
                "{count} messages are in {file}, each as a line of JSON",
                count,
                file=shown,
            )
        )

    def forget(self) -> None:
        if (obstacle := self._no_password(None if self._link.account else AccountsOnly())) is not None:
            return self.show(noted(obstacle))
        return self.hold(self._forget_dialogue())

    def _no_password(self, refused: WireError | None) -> str | None:
        """Return why no password is asked for now, or None where one is; `refused` is what the server would answer."""
        if not self.asks:
            return _("a password must be typed at a terminal")
        if not self._link.connected:
            return _(DOWN)
        if not self._link.can_send_password:
            refused = PasswordExposed()
        return why(refused) if refused is not None else None

    def _forget_dialogue(self) -> Dialogue:
        self.show(noted(_(WARNING)))
        password = yield Question(_("Your password (empty to cancel): "), secret=True)
        return (
            self._answered(lambda: self._forget(password))
            if password
            else self.show(noted(_("cancelled; nothing was erased")))
        )

    def _forget(self, password: str) -> str:
        self._link.forget(password)
        self.leave()
        return noted(_("all your messages are erased and your account is deleted"))

    def help(self) -> None:
        self.show(self.help_text())

    def _in_room(self, ask: Callable[[str], str], room: str = "") -> None:
        """Ask about the room that is named, or else the one that plain lines go to."""
        room = _with_hash(room) if room else self.addressee or ""
        if room.startswith("#"):
            self._answered(lambda: ask(room))
        else:
            self.show(noted(_("which room? give its name, as in /leave #ROOM, or write /join #ROOM first")))

    def _answered(self, ask: Callable[[], str | None]) -> None:
        """Ask the server something and show what comes of it, or say why nothing does."""
        if said := self._outcome(ask):
            self.show(said)

    def _outcome(self, ask: Callable[[], str | None]) -> str | None:
        if not self._link.connected:
            return noted(_(DOWN))
        try:
            return ask()
        except MessengerError as error:
            return noted(why(error))
