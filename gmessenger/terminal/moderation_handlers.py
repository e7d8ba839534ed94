"""Command handlers of moderation: blocks, and the operators' kicks, mutes, bans and closed rooms."""

from __future__ import annotations

from gmessenger.client import Client, Connected, MessageEvent
from gmessenger.log import traced
from gmessenger.names import fold, is_room
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_results
from gmessenger.terminal.handler_base import HandlerBase
from gmessenger.terminal.i18n import _, as_notice, is_pruned

SECONDS_PER_MINUTE = 60.0


class ModerationHandlers(HandlerBase):
    """The handlers of moderation commands; they keep the list of blocked users."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._blocked: set[str] = set()
        self._is_operator = False
        self._is_pruned = False

    @property
    def is_operator(self) -> bool:
        """Whether the server logged this session in as an operator."""
        return self._is_operator

    def on_connected(self, event: Connected) -> None:
        """Note what the server says of the session and of itself, and load the block list if there is one."""
        self._is_operator = event.is_operator
        self._is_pruned = is_pruned(event.greeting)
        if event.block_count:
            self.load_blocks()

    def is_from_blocked(self, event: MessageEvent) -> bool:
        """Return whether a blocked user sent the message.

        For rooms only: the server drops direct messages itself.
        """
        return fold(event.sender) in self._blocked

    def load_blocks(self) -> None:
        """Load the block list."""
        self._show_result(self._load_blocks)

    def _load_blocks(self) -> None:
        self._blocked = {fold(user.account_name) for user in self._client.blocks()}

    @traced("name")
    def block(self, name: str) -> None:
        """Block a user."""
        self._show_result(lambda: self._block(name))

    def _block(self, name: str) -> str:
        self._client.block(name)
        self._blocked.add(fold(name))
        return as_notice(_("{name} is blocked; you no longer receive their messages", name=sanitize(name)))

    @traced("name")
    def unblock(self, name: str) -> None:
        """Unblock a user."""
        self._show_result(lambda: self._unblock(name))

    def _unblock(self, name: str) -> str:
        self._client.unblock(name)
        self._blocked.discard(fold(name))
        return as_notice(_("{name} is no longer blocked", name=sanitize(name)))

    @traced()
    def blocks(self) -> None:
        """List the users that the user blocks."""
        self._show_result(lambda: format_results.blocks(self._client.blocks()))

    def _owner_is_meant(self) -> bool:
        """Say what to use instead, if a user who is no operator types this in a room; return whether it was said."""
        if self.is_operator or not is_room(self.recipient or ""):
            return False
        self.show(
            as_notice(
                _("only operators of the server do that; in a room of yours use /remove, /shutout or /silence NAME")
            )
        )
        return True

    @traced("name")
    def kick(self, name: str, reason: str) -> None:
        """Disconnect a user."""
        if self._owner_is_meant():
            return
        self._show_result(lambda: format_results.kicked(name, self._client.kick(name, reason)))

    @traced("name", "minutes")
    def mute(self, name: str, minutes: int | None) -> None:
        """Mute a user; for good if `minutes` is None."""
        if self._owner_is_meant():
            return
        self._show_result(lambda: self._mute(name, minutes))

    def _mute(self, name: str, minutes: int | None) -> str:
        sessions = self._client.mute(name, minutes * SECONDS_PER_MINUTE if minutes is not None else None)
        return format_results.muted(name, minutes, sessions)

    @traced("name")
    def unmute(self, name: str) -> None:
        """Unmute a user."""
        self._show_result(lambda: self._unmute(name))

    def _unmute(self, name: str) -> str:
        self._client.unmute(name)
        return as_notice(_("{name} is no longer muted", name=sanitize(name)))

    @traced("target")
    def ban(self, target: str, reason: str, minutes: int | None) -> None:
        """Ban a name, or an address if `target` is one; for good if `minutes` is None."""
        if self._owner_is_meant():
            return
        self._show_result(lambda: self._ban(target, reason, minutes))

    def _ban(self, target: str, reason: str, minutes: int | None) -> str:
        response = self._client.ban(target, minutes * SECONDS_PER_MINUTE if minutes is not None else None, reason)
        return format_results.banned(response.address or target, minutes, response.sessions or 0)

    @traced("target")
    def unban(self, target: str) -> None:
        """Lift the ban of a name or an address."""
        self._show_result(lambda: self._unban(target))

    def _unban(self, target: str) -> str:
        self._client.unban(target)
        return as_notice(_("{name} is no longer banned", name=sanitize(target))) + format_results.ipv4_name_hint(target)

    @traced()
    def bans(self) -> None:
        """List the bans and the mutes."""
        self._show_result(lambda: format_results.sanctions(self._client.bans(), self._client.mutes()))

    @traced("room")
    def close_room(self, room: str) -> None:
        """Close a room, by default the recipient."""
        self._with_room(self._close, room)

    def _close(self, room: str) -> str:
        self._client.close_room(room)
        return as_notice(_("{room} is closed; its members can read it, and leave", room=sanitize(room)))

    @traced("room")
    def open_room(self, room: str) -> None:
        """Open a closed room, by default the recipient."""
        self._with_room(self._open, room)

    def _open(self, room: str) -> str:
        self._client.open_room(room)
        return as_notice(_("{room} is open", room=sanitize(room)))
