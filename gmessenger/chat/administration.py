"""What an operator may do, on a running server or on a store that none serves: the same verbs, the same care.

Every argument and every answer is made of JSON's own types, because between an operator and a running server lies a
socket. Refusals are raised as `WireError`. What a verb and its fields are called on that socket stands in `VERBS`, and
nowhere else: the methods and parameters of `Administration` may be renamed without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from msgspec import NODEFAULT, Struct, ValidationError, convert, defstruct
from msgspec.structs import astuple

from gmessenger import logs
from gmessenger.chat.contract import Store
from gmessenger.chat.delivery import entry
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.invites import invite_shown, make_invite
from gmessenger.chat.moderation import OPERATOR, SERVER
from gmessenger.chat.names import check_name, fold
from gmessenger.chat.passwords import Passwords
from gmessenger.chat.records import Account
from gmessenger.chat.service import Messenger
from gmessenger.chat.tracing import Tracing
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    BadRequest,
    NameTaken,
    NeverSeen,
    PasswordNeeded,
)
from gmessenger.field_types import Address as AddressText
from gmessenger.field_types import Days, Id, Name, Number, Password, Path, Reason, Seconds, too_long

LARGEST_PAGE: Final = 1000
LAST_PLACE: Final = 2**62


class Administration:
    """Acts on the messenger and its store. Whoever is told something is told after it is on disk.

    `status` tells how the server is that all this happens in; where none runs, there is nothing to tell.
    """

    def __init__(
        self,
        messenger: Messenger,
        store: Store,
        passwords: Passwords,
        clock: Callable[[], float],
        status: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._messenger = messenger
        self._entrance = messenger.entrance
        self._rooms = messenger.rooms
        self._moderation = messenger.moderation
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._status = status
        self._tracing = Tracing(store, messenger)
        self._dismissal = Dismissal(messenger.router, messenger.logout, clock)

    def accounts(self) -> list[dict[str, Any]]:
        """Every account, by name; `here` says whether it is logged in."""
        here = self._messenger.router
        return [
            {"name": each.name, "disabled": each.disabled, "role": each.role, "here": each.key in here}
            for each in sorted(self._entrance.accounts.values(), key=lambda account: account.key)
        ]

    def add_account(self, name: Name, password: Password, look_alike: bool = False) -> None:
        """A new account; guests who use its name now are closed. Raises `BadName`, `BadPassword` or `NameTaken`.

        It may look like another one only where that is wanted (`look_alike`); else `NameConfusable` is raised.
        """
        shown = check_name(name)
        if fold(shown) in self._entrance.accounts:
            raise NameTaken
        hashed = self._passwords.hash(password)
        if not look_alike:
            self._entrance.check_unlike_accounts(shown)
        self._entrance.add(self._store.create_account(fold(shown), shown, hashed, self._clock()))
        self._dismissal.everybody(fold(shown), NameTaken("Another user has registered this name."))

    def set_password(self, name: Name, password: Password) -> None:
        """Another password; sessions that logged in with the old one are ended."""
        account = self._account(name)
        self._store.set_password(account.id, self._passwords.hash(password))
        account.generation += 1
        self._dismissal.everybody(account.key, PasswordNeeded("The password has been changed: log in again."))

    def disable(self, name: Name) -> None:
        """Shut an account out until it is enabled again."""
        account = self._account(name)
        self._store.disable(account.id, True)
        account.disabled = True
        self._dismissal.everybody(account.key, AccountDisabled())

    def enable(self, name: Name) -> None:
        """Let an account in again."""
        account = self._account(name)
        self._store.disable(account.id, False)
        account.disabled = False

    def delete_account(self, name: Name) -> None:
        """Forget an account; what it said stays with those it was said to, and the name is free."""
        account = self._account(name)
        was_disabled, account.disabled = account.disabled, True  # nobody comes in, also not as a guest
        self._dismissal.everybody(account.key, AccountDeleted())
        try:
            self._store.delete_account(account.id)
        except BaseException:  # whatever it was: nothing is left that keeps its owner out
            account.disabled = was_disabled
            raise
        self._entrance.remove(account)
        self._rooms.forget_account(account)
        self._messenger.blocks.forget(account.key)
        self._store.purge()

    def add_invite(self) -> str:
        """A secret with which one person may register."""
        invite = make_invite()
        self._store.add_invite(invite, self._clock())
        logs.event("invite_made", invite=invite_shown(invite))
        return invite

    def rooms(self) -> list[dict[str, Any]]:
        """Every room, by name."""
        return [
            {
                "name": room.name,
                "topic": room.topic,
                "creator": self._name_of(room.creator),
                "members": len(room.members),
                "guests": len(room.guests),
                "seq": room.head,
                "closed": room.closed is not None,
            }
            for room in sorted(self._rooms, key=lambda room: room.key)
        ]

    def delete_room(self, name: Name) -> None:
        """Forget a room and what was said in it; its members are told that they have left. Raises `NoSuchRoom`."""
        room = self._rooms.find(name)
        with self._rooms.ending(room):
            self._store.delete_room(room.key)
        if self._rooms.known(room.key) is None:  # else it is a new one of that name
            self._messenger.sanctions.drop("close", room.key)
        self._store.purge()

    def backup(self, handle: int, file: Path, part: Path = "") -> int:
        """Write everything into an open and empty file; says how many bytes. Who has opened it calls it `part` as long
        as it is not whole, and then `file`. Raises `FileProblem`.
        """
        return self._store.backup(part or file, handle)

    def prune(self, days: Days) -> int:
        """Drop messages older than that many days; says how many."""
        dropped = self._store.prune(self._clock() - days * 86_400)
        self._store.purge()
        return dropped

    def messages(self, after: Number, limit: Number = LARGEST_PAGE) -> dict[str, Any]:
        """A page of everything that was ever said and is kept, and where the next page begins: None at the end."""
        found, _ = self._store.everything(max(0, min(after, LAST_PLACE)), max(1, min(limit, LARGEST_PAGE)))
        listed = [entry(each.message, conversation=each.message.conversation) for each in found]
        return {"messages": listed, "after": found[-1].place if found else None}

    def grant(self, name: Name) -> None:
        """Make an account an operator of this server."""
        self._set_role(name, OPERATOR)

    def revoke(self, name: Name) -> None:
        """Make it one no more."""
        self._set_role(name, "")

    def kick(self, name: Name, reason: Reason = "") -> int:
        """Close the sessions of a name; says how many. Raises `NotHere`."""
        return int(self._moderation.kick(SERVER, name, reason)["sessions"])

    def mute(self, name: Name, seconds: Seconds | None = None, reason: Reason = "") -> None:
        """Have a name's messages refused."""
        self._moderation.mute(SERVER, name, seconds, reason)

    def unmute(self, name: Name) -> None:
        """Let a name speak again."""
        self._moderation.unmute(SERVER, name)

    def ban(
        self,
        name: Name | None = None,
        address: AddressText | None = None,
        seconds: Seconds | None = None,
        reason: Reason = "",
    ) -> int:
        """Let nobody in under a name, or from an address; says how many sessions that closed."""
        return int(self._moderation.ban(SERVER, name, address, seconds, reason)["sessions"])

    def unban(self, name: Name | None = None, address: AddressText | None = None) -> None:
        """Let them in again."""
        self._moderation.unban(SERVER, name, address)

    def sanctions(self, kind: Literal["bans", "mutes"], after: Name | None = None) -> dict[str, Any]:
        """A page of who may not come in, or not speak, behind a name or an address."""
        listed = self._moderation.bans if kind == "bans" else self._moderation.mutes
        return listed(SERVER, after)

    def close_room(self, name: Name, reason: Reason = "") -> None:
        """Have nothing more said in a room, and nobody come in."""
        self._moderation.close(SERVER, name, reason)

    def open_room(self, name: Name) -> None:
        """Let it be used again."""
        self._moderation.open(SERVER, name)

    def _set_role(self, name: Name, role: str) -> None:
        account = self._account(name)
        self._store.set_role(account.id, role)
        self._moderation.granted(account, role)

    def trace(self, name: Name, seq: Number, other: Name | None = None) -> dict[str, Any]:
        """Where a message in a room, or between two names, went; never what it said.

        Raises `NoSuchRoom`, `BadRequest` for one name that is no room's, or `NeverSeen` with what there is instead.
        """
        return self._tracing.by_seq(name, seq, other)

    def trace_id(self, name: Name, id: Id) -> list[dict[str, Any]]:
        """The same, of what an account sent under an id: each of its devices may have used it. Raises `NeverSeen`."""
        return self._tracing.by_id(self._account(name), id)

    def status(self) -> dict[str, Any]:
        """How the running server is."""
        return self._status()

    def _account(self, name: str) -> Account:
        account = self._entrance.accounts.get(fold(name))
        if account is None:
            raise NeverSeen(f"There is no account {name}.")
        return account

    def _name_of(self, account: int | None) -> str | None:
        found = self._entrance.by_id.get(account) if account is not None else None
        return found.name if found is not None else None


class Field(NamedTuple):
    """One field of a request's `arguments`: its name there, its type with its bounds, and what is taken without it."""

    name: str
    kind: Any
    default: Any = NODEFAULT


class Verb:
    """One row: the method that does it, and its parameters in their order, as the fields that they come in.

    One that `takes_file` is given the handle of an open file before these; it comes beside the request and not in it.
    """

    def __init__(self, does: Callable[..., Any], *fields: Field, takes_file: bool = False) -> None:
        self.does = does
        self.fields = fields
        self.takes_file = takes_file
        self.arguments: type[Struct] = defstruct(
            "Arguments", [(each.name, each.kind, each.default) for each in fields], forbid_unknown_fields=True
        )

    def ask(self, administration: Administration, arguments: dict[str, Any], handle: int | None = None) -> Any:
        """Have it done with arguments that were `checked`, and return its answer. Raises what the method raises."""
        before = (handle,) if self.takes_file else ()
        return self.does(administration, *before, *(arguments[each.name] for each in self.fields))


NAME: Final = Field("name", Name)
ANY_NAME: Final = Field("name", Name | None, None)
ANY_ADDRESS: Final = Field("address", AddressText | None, None)
DURATION: Final = Field("seconds", Seconds | None, None)
REASON: Final = Field("reason", Reason, "")
PASSWORD: Final = Field("password", Password)

VERBS: Final[dict[str, Verb]] = {
    "accounts": Verb(Administration.accounts),
    "add_account": Verb(Administration.add_account, NAME, PASSWORD, Field("look_alike", bool, False)),
    "set_password": Verb(Administration.set_password, NAME, PASSWORD),
    "disable": Verb(Administration.disable, NAME),
    "enable": Verb(Administration.enable, NAME),
    "delete_account": Verb(Administration.delete_account, NAME),
    "add_invite": Verb(Administration.add_invite),
    "rooms": Verb(Administration.rooms),
    "delete_room": Verb(Administration.delete_room, NAME),
    "backup": Verb(Administration.backup, Field("file", Path), Field("part", Path, ""), takes_file=True),
    "prune": Verb(Administration.prune, Field("days", Days)),
    "messages": Verb(Administration.messages, Field("after", Number), Field("limit", Number, LARGEST_PAGE)),
    "grant": Verb(Administration.grant, NAME),
    "revoke": Verb(Administration.revoke, NAME),
    "kick": Verb(Administration.kick, NAME, REASON),
    "mute": Verb(Administration.mute, NAME, DURATION, REASON),
    "unmute": Verb(Administration.unmute, NAME),
    "ban": Verb(Administration.ban, ANY_NAME, ANY_ADDRESS, DURATION, REASON),
    "unban": Verb(Administration.unban, ANY_NAME, ANY_ADDRESS),
    "sanctions": Verb(
        Administration.sanctions, Field("kind", Literal["bans", "mutes"]), Field("after", Name | None, None)
    ),
    "close_room": Verb(Administration.close_room, NAME, REASON),
    "open_room": Verb(Administration.open_room, NAME),
    "trace": Verb(Administration.trace, NAME, Field("seq", Number), Field("other", Name | None, None)),
    "trace_id": Verb(Administration.trace_id, NAME, Field("id", Id)),
    "status": Verb(Administration.status),
}
"""What may be asked on the control socket: the words are the socket's own."""


def checked(verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a verb, each of its type and within its bounds. Raises `BadRequest`."""
    known = VERBS.get(verb)
    if known is None:
        raise BadRequest("There is no such action.")
    try:
        values = astuple(convert(arguments, known.arguments))
    except ValidationError as error:
        raise too_long(str(error)) or BadRequest(f"The request is not valid: {error}.") from error
    return {field.name: value for field, value in zip(known.fields, values, strict=True)}
