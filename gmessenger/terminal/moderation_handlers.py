"""Carries out what is typed about those who disturb: everybody's blocks, and what operators may do."""

from __future__ import annotations

from gmessenger.client import Client, Connected, MessageEvent
from gmessenger.log import traced
from gmessenger.names import fold
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_results
from gmessenger.terminal.handler_base import HandlerBase
from gmessenger.terminal.i18n import _, as_notice

SECONDS_PER_MINUTE = 60.0


class ModerationHandlers(HandlerBase):
    """The part of a desk that keeps the peace. `operator` says whether the server let us in as one."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._blocked: set[str] = set()
        self._is_operator = False

    @property
    def is_operator(self) -> bool:
        """Whether the server logged this session in as an operator."""
        return self._is_operator

    def on_connected(self, event: Connected) -> None:
        """Note whether the session is an operator's, and load the block list if there is one."""
        self._is_operator = event.is_operator
        if event.block_count:
            self.load_blocks()

    def is_from_blocked(self, event: MessageEvent) -> bool:
        """Whether it is said in a room by somebody whom we block: the server cannot leave it out."""
        return fold(event.sender) in self._blocked

    def load_blocks(self) -> None:
        """Ask whom we block."""
        self._show_result(self._load_blocks)

    def _load_blocks(self) -> None:
        self._blocked = {fold(card.account_name) for card in self._client.blocks()}

    @traced("name")
    def block(self, name: str) -> None:
        self._show_result(lambda: self._block(name))

    def _block(self, name: str) -> str:
        self._client.block(name)
        self._blocked.add(fold(name))
        return as_notice(_("{name} is blocked; you no longer receive their messages", name=sanitize(name)))

    @traced("name")
    def unblock(self, name: str) -> None:
        self._show_result(lambda: self._unblock(name))

    def _unblock(self, name: str) -> str:
        self._client.unblock(name)
        self._blocked.discard(fold(name))
        return as_notice(_("{name} is no longer blocked", name=sanitize(name)))

    @traced()
    def blocks(self) -> None:
        self._show_result(lambda: format_results.blocks(self._client.blocks()))

    @traced("name")
    def kick(self, name: str, reason: str) -> None:
        self._show_result(lambda: format_results.kicked(name, self._client.kick(name, reason)))

    @traced("name", "minutes")
    def mute(self, name: str, minutes: int | None) -> None:
        self._show_result(lambda: self._mute(name, minutes))

    def _mute(self, name: str, minutes: int | None) -> str:
        here = self._client.mute(name, minutes * SECONDS_PER_MINUTE if minutes is not None else None)
        return format_results.muted(name, minutes, here)

    @traced("name")
    def unmute(self, name: str) -> None:
        self._show_result(lambda: self._unmute(name))

    def _unmute(self, name: str) -> str:
        self._client.unmute(name)
        return as_notice(_("{name} is no longer muted", name=sanitize(name)))

    @traced("whom")
    def ban(self, whom: str, reason: str, minutes: int | None) -> None:
        self._show_result(lambda: self._ban(whom, reason, minutes))

    def _ban(self, whom: str, reason: str, minutes: int | None) -> str:
        answer = self._client.ban(whom, minutes * SECONDS_PER_MINUTE if minutes is not None else None, reason)
        return format_results.banned(answer.address or whom, minutes, answer.sessions or 0)

    @traced("whom")
    def unban(self, whom: str) -> None:
        self._show_result(lambda: self._unban(whom))

    def _unban(self, whom: str) -> str:
        self._client.unban(whom)
        return as_notice(_("{name} is no longer banned", name=sanitize(whom))) + format_results.ipv4_name_hint(whom)

    @traced()
    def bans(self) -> None:
        self._show_result(lambda: format_results.sanctions(self._client.bans(), self._client.mutes()))

    @traced("room")
    def close_room(self, room: str) -> None:
        self._with_room(self._close, room)

    def _close(self, room: str) -> str:
        self._client.close_room(room)
        return as_notice(_("{room} is closed; its members can read it, and leave", room=sanitize(room)))

    @traced("room")
    def open_room(self, room: str) -> None:
        self._with_room(self._open, room)

    def _open(self, room: str) -> str:
        self._client.open_room(room)
        return as_notice(_("{room} is open", room=sanitize(room)))
