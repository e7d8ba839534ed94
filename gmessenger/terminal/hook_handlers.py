"""The command `/hook`: makes, lists and revokes the hooks of one's room, by which other programs post to it."""

from __future__ import annotations

from typing import Final

from gmessenger.log import traced
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_hooks
from gmessenger.terminal.handler_base import HandlerBase
from gmessenger.terminal.i18n import N_, _, as_notice

HINT: Final = N_("write it as in /hook add NAME, /hook list, or /hook revoke NAME")


class HookHandlers(HandlerBase):
    """The handler of the command for the owners of a room; the room is the recipient."""

    @traced("arguments")
    def hook(self, arguments: str) -> None:
        """Make, list or revoke hooks of the room that is the recipient."""
        action, _sep, rest = arguments.partition(" ")
        action, name = action.casefold(), rest.strip()
        if action == "list" and not name:
            self._with_room(lambda room: format_hooks.hooks(room, self._client.hooks(room)))
        elif action == "add" and name:
            self._with_room(lambda room: format_hooks.made(room, self._client.add_hook(room, name)))
        elif action == "revoke" and name:
            self._with_room(lambda room: self._revoke_hook(room, name))
        else:
            self.refuse(_(HINT))

    def _revoke_hook(self, room: str, name: str) -> str:
        self._client.revoke_hook(room, name)
        return as_notice(_("the hook {name} of {room} is revoked", name=sanitize(name), room=sanitize(room)))
