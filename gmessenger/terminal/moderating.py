"""Carries out what is typed about those who disturb: everybody's blocks, and what operators may do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from gmessenger.client import Delivery, Link
from gmessenger.client.positions import fold
from gmessenger.logs import log_calls
from gmessenger.terminal import answers
from gmessenger.terminal.words import _, noted
from gmessenger.terminal_text import visible

MINUTE = 60.0


class Moderating(ABC):
    """The part of a desk that keeps the peace. `operator` says whether the server let us in as one."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._blocked: set[str] = set()
        self.operator = False

    @abstractmethod
    def _answered(self, ask: Callable[[], str | None]) -> None:
        """Ask the server something and show what comes of it."""

    @abstractmethod
    def _in_room(self, ask: Callable[[str], str], room: str = "") -> None:
        """Ask about a room, or the addressee."""

    def hides(self, delivery: Delivery) -> bool:
        """Whether it is said in a room by somebody whom we block: the server cannot leave it out."""
        return fold(delivery.sender) in self._blocked

    def learn_blocks(self) -> None:
        """Ask whom we block."""
        self._answered(self._learn)

    def _learn(self) -> None:
        self._blocked = {fold(card.account_name) for card in self._link.blocks()}

    @log_calls("name")
    def block(self, name: str) -> None:
        self._answered(lambda: self._block(name))

    def _block(self, name: str) -> str:
        self._link.block(name)
        self._blocked.add(fold(name))
        return noted(_("{name} is blocked; you no longer receive their messages", name=visible(name)))

    @log_calls("name")
    def unblock(self, name: str) -> None:
        self._answered(lambda: self._unblock(name))

    def _unblock(self, name: str) -> str:
        self._link.unblock(name)
        self._blocked.discard(fold(name))
        return noted(_("{name} is no longer blocked", name=visible(name)))

    @log_calls()
    def blocks(self) -> None:
        self._answered(lambda: answers.blocks(self._link.blocks()))

    @log_calls("name")
    def kick(self, name: str, reason: str) -> None:
        self._answered(lambda: answers.kicked(name, self._link.kick(name, reason)))

    @log_calls("name", "minutes")
    def mute(self, name: str, minutes: int | None) -> None:
        self._answered(lambda: self._mute(name, minutes))

    def _mute(self, name: str, minutes: int | None) -> str:
        here = self._link.mute(name, minutes * MINUTE if minutes is not None else None)
        return answers.muted(name, minutes, here)

    @log_calls("name")
    def unmute(self, name: str) -> None:
        self._answered(lambda: self._unmute(name))

    def _unmute(self, name: str) -> str:
        self._link.unmute(name)
        return noted(_("{name} is no longer muted", name=visible(name)))

    @log_calls("whom")
    def ban(self, whom: str, reason: str, minutes: int | None) -> None:
        self._answered(lambda: self._ban(whom, reason, minutes))

    def _ban(self, whom: str, reason: str, minutes: int | None) -> str:
        answer = self._link.ban(whom, minutes * MINUTE if minutes is not None else None, reason)
        return answers.banned(answer.address or whom, minutes, answer.sessions or 0)

    @log_calls("whom")
    def unban(self, whom: str) -> None:
        self._answered(lambda: self._unban(whom))

    def _unban(self, whom: str) -> str:
        self._link.unban(whom)
        return noted(_("{name} is no longer banned", name=visible(whom))) + answers.named(whom)

    @log_calls()
    def bans(self) -> None:
        self._answered(lambda: answers.sanctions(self._link.bans(), self._link.mutes()))

    @log_calls("room")
    def close_room(self, room: str) -> None:
        self._in_room(self._close, room)

    def _close(self, room: str) -> str:
        self._link.close_room(room)
        return noted(_("{room} is closed; its members can read it, and leave", room=visible(room)))

    @log_calls("room")
    def open_room(self, room: str) -> None:
        self._in_room(self._open, room)

    def _open(self, room: str) -> str:
        self._link.open_room(room)
        return noted(_("{room} is open", room=visible(room)))
