"""What one client may see of a user: WHO, WHOIS and their like show it in their own ways."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from gmessenger.chat.presence import ABSENT, UserStatus
from gmessenger.chat.records import Account
from gmessenger.chat.room import Room
from gmessenger.constants import ONLINE, OPERATOR_ROLE
from gmessenger.names import fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.modes import role_prefix
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.room_views import role_in
from gmessenger.wire.irc.numerics import RPL_AWAY

INVISIBLE: str = "i"
"""The user mode of those who are not found by masks."""
HEARS_OPERATORS: str = "w"
"""The user mode of those who are sent what operators say to all."""


class UserView(Struct, frozen=True):
    """A user as one client sees it. `account`: None for a guest. Who has blocked the client is shown as offline."""

    key: str
    name: str
    account: Account | None
    status: UserStatus

    @property
    def is_away(self) -> bool:
        """Whether it is marked as away; who is offline is."""
        return self.status.status != ONLINE

    @property
    def away_text(self) -> str:
        """What is said of why it is away."""
        return self.status.note or self.status.status


def find_user(handler: IrcHandler, name: str) -> UserView | None:
    """Return an account, or a guest who is here, as the client sees it; None if it may not know of any.

    A guest who has blocked the client is seen only in the rooms that both are in.
    """
    messenger, key = handler.messenger, fold(name)
    account = messenger.authenticator.accounts.get(key)
    shown = account.name if account is not None else messenger.router.name(key)
    if shown is None:
        return None
    is_hidden = messenger.blocks.is_hidden(key, handler.key)
    if is_hidden and account is None and not any(is_in(room, key, None) for room in own_rooms(handler)):
        return None
    return UserView(key, shown, account, ABSENT if is_hidden else messenger.presence.status(key))


def own_rooms(handler: IrcHandler) -> list[Room]:
    """Return the rooms that the client is in."""
    session = handler.require_session()
    return [room for room in handler.messenger.rooms if room.has_member(session)]


def is_in(room: Room, key: str, account: Account | None) -> bool:
    """Return whether a user is in a room."""
    return room.has_user(key, account)


def visible_rooms(handler: IrcHandler, user: UserView) -> Iterator[Room]:
    """Iterate over the rooms of a user of which the client may know: its own, and those that are not hidden.

    Of an invisible user, only those that both are in.
    """
    session = handler.require_session()
    sees_all = user.key == handler.key or not is_invisible(handler, user.key)
    for room in handler.messenger.rooms:
        is_visible = room.has_member(session) or (sees_all and not room.rules.hidden)
        if is_visible and not room.is_being_deleted and is_in(room, user.key, user.account):
            yield room


def is_invisible(handler: IrcHandler, key: str) -> bool:
    """Return whether a user does not want to be found by strangers."""
    card = handler.network.users.card(key)
    return card is not None and INVISIBLE in card.modes


def is_operator(handler: IrcHandler, user: UserView) -> bool:
    """Return whether a user is an operator, or acts as one."""
    if user.account is not None and user.account.role == OPERATOR_ROLE:
        return True
    return any(session.role == OPERATOR_ROLE for session in handler.messenger.router.sessions(user.key))


def acts_as_operator(handler: IrcHandler) -> bool:
    """Return whether the client itself has the rights of an operator."""
    return handler.require_session().role == OPERATOR_ROLE


def shown_prefix(handler: IrcHandler, room: Room, key: str) -> str:
    """Return the prefixes of a user's role in a room, all of them if the client wants that."""
    has_all = Capability.MULTI_PREFIX in handler.capabilities
    return role_prefix(role_in(handler, room, key), all_prefixes=has_all)


def away_reply(handler: IrcHandler, user: UserView) -> Reply:
    """Return the numeric that says that a user is away, and why."""
    return handler.numeric(RPL_AWAY, user.name, text=user.away_text)
