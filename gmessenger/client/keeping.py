"""Keeps an account's messages on disk until they are answered; a disk that fails is told of, and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gmessenger.client.events import Notice
from gmessenger.client.inbox import Inbox
from gmessenger.client.outbox import Message, Outbox
from gmessenger.client.unsent import Unsent
from gmessenger.sentences import Sentence


class Keeping:
    """Without a path, and while it is not `on`, it does nothing: the server does not know a guest's message again."""

    def __init__(self, path: Path | None, inbox: Inbox, outbox: Outbox) -> None:
        self._unsent = Unsent(path) if path is not None else None
        self._inbox = inbox
        self._outbox = outbox
        self._told = False
        self.on = False

    @property
    def has_everything(self) -> bool:
        """Whether all that is unanswered when this process ends is sent by the next one."""
        return self.on and self._unsent is not None and all(map(self._unsent.holds, self._outbox))

    def take_up(self) -> None:
        """Put into the outbox what another process left, if it has let go."""
        if self.on and self._unsent is not None:
            with self._disk():
                for message in self._unsent.open():
                    self._outbox.add(message)

    def keep(self, message: Message) -> None:
        """When this returns the message is on disk, if it can be."""
        if self.on and self._unsent is not None:
            self.take_up()
            with self._disk():
                # With those that could not be kept until now.
                self._unsent.add([*(each for each in self._outbox if not self._unsent.holds(each)), message])

    def answered(self, message: Message) -> None:
        if self._unsent is not None:
            with self._disk():
                self._unsent.remove(message)

    def close(self) -> None:
        if self._unsent is not None:
            self._unsent.close()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._told:
                self._told = True
                reason = Sentence(error.strerror or str(error))
                sentence = Sentence("Unsent messages cannot be saved on disk: {reason}.", reason=reason)
                self._inbox.put(Notice(sentence, here=True))
