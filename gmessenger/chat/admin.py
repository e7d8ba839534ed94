"""What an operator may do, on a running server or on a store that none serves: the same verbs, the same care.

Every argument and every answer is made of JSON's own types, because between an operator and a running server lies a
socket. Refusals are raised as `WireError`. What a verb and its fields are called on that socket stands in `VERBS`, and
nowhere else: the methods and parameters of `AdminService` may be renamed without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from msgspec import NODEFAULT, Struct, ValidationError, convert, defstruct
from msgspec.structs import astuple

from gmessenger import log
from gmessenger.chat.auth import invite_fingerprint, make_invite
from gmessenger.chat.delivery import history_entry
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.moderation import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.records import Account
from gmessenger.chat.router import SessionCloser
from gmessenger.chat.storage import Store
from gmessenger.chat.tracer import MessageTracer
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    BadRequest,
    NameTaken,
    NotFound,
    PasswordRequired,
)
from gmessenger.field_types import Address as AddressText
from gmessenger.field_types import Days, FilePath, Id, Name, Number, Password, Reason, Seconds, length_error
from gmessenger.names import check_name, fold

MAX_PAGE: Final = 1000
MAX_POSITION: Final = 2**62


class AdminService:
    """Acts on the messenger and its store. Whoever is told something is told after it is on disk.

    `status` tells how the server is that all this happens in; where none runs, there is nothing to tell.
    """

    def __init__(
        self,
        messenger: Messenger,
        store: Store,
        passwords: PasswordVerifier,
        clock: Callable[[], float],
        get_status: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._messenger = messenger
        self._authenticator = messenger.authenticator
        self._rooms = messenger.rooms
        self._moderation = messenger.moderation
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._get_status = get_status
        self._tracer = MessageTracer(store, messenger)
        self._session_closer = SessionCloser(messenger.router, messenger.logout, clock)

    def accounts(self) -> list[dict[str, Any]]:
        """Every account, by name; `here` says whether it is logged in."""
        here = self._messenger.router
        return [
            {"name": each.name, "disabled": each.disabled, "role": each.role, "here": each.key in here}
            for each in sorted(self._authenticator.accounts.values(), key=lambda account: account.key)
        ]

    def add_account(self, name: Name, password: Password, look_alike: bool = False) -> None:
        """A new account; guests who use its name now are closed. Raises `BadName`, `BadPassword` or `NameTaken`.

        It may look like another one only where that is wanted (`look_alike`); else `NameConfusable` is raised.
        """
        shown = check_name(name)
        if fold(shown) in self._authenticator.accounts:
            raise NameTaken
        hashed = self._passwords.hash(password)
        if not look_alike:
            self._authenticator.check_not_confusable_with_accounts(shown)
        self._authenticator.add_account(self._store.create_account(fold(shown), shown, hashed, self._clock()))
        self._session_closer.close_all(fold(shown), NameTaken("Another user has registered this name."))

    def set_password(self, name: Name, password: Password) -> None:
        """Another password; sessions that logged in with the old one are ended."""
        account = self._find_account(name)
        self._store.set_password(account.id, self._passwords.hash(password))
        account.generation += 1
        self._session_closer.close_all(account.key, PasswordRequired("The password has been changed: log in again."))

    def disable(self, name: Name) -> None:
        """Shut an account out until it is enabled again."""
        account = self._find_account(name)
        self._store.set_disabled(account.id, True)
        account.disabled = True
        self._session_closer.close_all(account.key, AccountDisabled())

    def enable(self, name: Name) -> None:
        """Let an account in again."""
        account = self._find_account(name)
        self._store.set_disabled(account.id, False)
        account.disabled = False

    def delete_account(self, name: Name) -> None:
        """Forget an account; what it said stays with those it was said to, and the name is free."""
        account = self._find_account(name)
        was_disabled, account.disabled = account.disabled, True  # nobody comes in, also not as a guest
        self._session_closer.close_all(account.key, AccountDeleted())
        try:
            self._store.delete_account(account.id)
        except BaseException:  # whatever it was: nothing is left that keeps its owner out
            account.disabled = was_disabled
            raise
        self._authenticator.remove_account(account)
        self._rooms.remove_account(account)
        self._messenger.blocks.discard(account.key)
        self._store.purge()

    def add_invite(self) -> str:
        """A secret with which one person may register."""
        invite = make_invite()
        self._store.add_invite(invite, self._clock())
        log.log_event("invite_made", invite=invite_fingerprint(invite))
        return invite

    def rooms(self) -> list[dict[str, Any]]:
        """Every room, by name."""
        return [
            {
                "name": room.name,
                "topic": room.topic,
                "creator": self._account_name(room.creator),
                "members": len(room.members),
                "guests": len(room.guests),
                "seq": room.head,
                "closed": room.closure is not None,
            }
            for room in sorted(self._rooms, key=lambda room: room.key)
        ]

    def delete_room(self, name: Name) -> None:
        """Forget a room and what was said in it; its members are told that they have left. Raises `NoSuchRoom`."""
        room = self._rooms.find(name)
        with self._rooms.deleting(room):
            self._store.delete_room(room.key)
        if self._rooms.get(room.key) is None:  # else it is a new one of that name
            self._messenger.sanctions.discard("close", room.key)
        self._store.purge()

    def backup(self, fd: int, file: FilePath, part: FilePath = "") -> int:
        """Write everything into an open and empty file; says how many bytes. Who has opened it calls it `part` as long
        as it is not whole, and then `file`. Raises `FileError`.
        """
        return self._store.backup(part or file, fd)

    def prune(self, days: Days) -> int:
        """Drop messages older than that many days; says how many."""
        dropped = self._store.prune(self._clock() - days * 86_400)
        self._store.purge()
        return dropped

    def messages(self, after: Number, limit: Number = MAX_PAGE) -> dict[str, Any]:
        """A page of everything that was ever said and is kept, and where the next page begins: None at the end."""
        found, _ = self._store.export_page(max(0, min(after, MAX_POSITION)), max(1, min(limit, MAX_PAGE)))
        listed = [history_entry(each.message, conversation=each.message.conversation) for each in found]
        return {"messages": listed, "after": found[-1].position if found else None}

    def grant(self, name: Name) -> None:
        """Make an account an operator of this server."""
        self._set_role(name, OPERATOR_ROLE)

    def revoke(self, name: Name) -> None:
        """Make it one no more."""
        self._set_role(name, "")

    def kick(self, name: Name, reason: Reason = "") -> int:
        """Close the sessions of a name; says how many. Raises `RecipientGone`."""
        return int(self._moderation.kick(SERVER_OWNER, name, reason)["sessions"])

    def mute(self, name: Name, seconds: Seconds | None = None, reason: Reason = "") -> None:
        """Have a name's messages refused."""
        self._moderation.mute(SERVER_OWNER, name, seconds, reason)

    def unmute(self, name: Name) -> None:
        """Let a name speak again."""
        self._moderation.unmute(SERVER_OWNER, name)

    def ban(
        self,
        name: Name | None = None,
        address: AddressText | None = None,
        seconds: Seconds | None = None,
        reason: Reason = "",
    ) -> int:
        """Let nobody in under a name, or from an address; says how many sessions that closed."""
        return int(self._moderation.ban(SERVER_OWNER, name, address, seconds, reason)["sessions"])

    def unban(self, name: Name | None = None, address: AddressText | None = None) -> None:
        """Let them in again."""
        self._moderation.unban(SERVER_OWNER, name, address)

    def sanctions(self, kind: Literal["bans", "mutes"], after: Name | None = None) -> dict[str, Any]:
        """A page of who may not come in, or not speak, behind a name or an address."""
        listed = self._moderation.bans if kind == "bans" else self._moderation.mutes
        return listed(SERVER_OWNER, after)

    def close_room(self, name: Name, reason: Reason = "") -> None:
        """Have nothing more said in a room, and nobody come in."""
        self._moderation.close(SERVER_OWNER, name, reason)

    def open_room(self, name: Name) -> None:
        """Let it be used again."""
        self._moderation.open(SERVER_OWNER, name)

    def _set_role(self, name: Name, role: str) -> None:
        account = self._find_account(name)
        self._store.set_role(account.id, role)
        self._moderation.set_role(account, role)

    def trace(self, name: Name, seq: Number, other: Name | None = None) -> dict[str, Any]:
        """Where a message in a room, or between two names, went; never what it said.

        Raises `NoSuchRoom`, `BadRequest` for one name that is no room's, or `NotFound` with what there is instead.
        """
        return self._tracer.trace(name, seq, other)

    def trace_id(self, name: Name, id: Id) -> list[dict[str, Any]]:
        """The same, of what an account sent under an id: each of its devices may have used it. Raises `NotFound`."""
        return self._tracer.trace_by_id(self._find_account(name), id)

    def status(self) -> dict[str, Any]:
        """How the running server is."""
        return self._get_status()

    def _find_account(self, name: str) -> Account:
        account = self._authenticator.accounts.get(fold(name))
        if account is None:
            raise NotFound(f"There is no account {name}.")
        return account

    def _account_name(self, account: int | None) -> str | None:
        found = self._authenticator.accounts_by_id.get(account) if account is not None else None
        return found.name if found is not None else None


class ArgumentField(NamedTuple):
    """One field of a request's `arguments`: its name there, its type with its bounds, and what is taken without it."""

    name: str
    type: Any
    default: Any = NODEFAULT


class AdminMethod:
    """One row: the method that does it, and its parameters in their order, as the fields that they come in.

    One that `takes_file` is given the handle of an open file before these; it comes beside the request and not in it.
    """

    def __init__(self, function: Callable[..., Any], *fields: ArgumentField, takes_fd: bool = False) -> None:
        self.function = function
        self.fields = fields
        self.takes_fd = takes_fd
        self.arguments_struct: type[Struct] = defstruct(
            "Arguments", [(each.name, each.type, each.default) for each in fields], forbid_unknown_fields=True
        )

    def call(self, service: AdminService, arguments: dict[str, Any], fd: int | None = None) -> Any:
        """Have it done with arguments that were `checked`, and return its answer. Raises what the method raises."""
        before = (fd,) if self.takes_fd else ()
        return self.function(service, *before, *(arguments[each.name] for each in self.fields))


NAME_FIELD: Final = ArgumentField("name", Name)
OPTIONAL_NAME_FIELD: Final = ArgumentField("name", Name | None, None)
OPTIONAL_ADDRESS_FIELD: Final = ArgumentField("address", AddressText | None, None)
DURATION_FIELD: Final = ArgumentField("seconds", Seconds | None, None)
REASON_FIELD: Final = ArgumentField("reason", Reason, "")
PASSWORD_FIELD: Final = ArgumentField("password", Password)

ADMIN_METHODS: Final[dict[str, AdminMethod]] = {
    "accounts": AdminMethod(AdminService.accounts),
    "add_account": AdminMethod(
        AdminService.add_account, NAME_FIELD, PASSWORD_FIELD, ArgumentField("look_alike", bool, False)
    ),
    "set_password": AdminMethod(AdminService.set_password, NAME_FIELD, PASSWORD_FIELD),
    "disable": AdminMethod(AdminService.disable, NAME_FIELD),
    "enable": AdminMethod(AdminService.enable, NAME_FIELD),
    "delete_account": AdminMethod(AdminService.delete_account, NAME_FIELD),
    "add_invite": AdminMethod(AdminService.add_invite),
    "rooms": AdminMethod(AdminService.rooms),
    "delete_room": AdminMethod(AdminService.delete_room, NAME_FIELD),
    "backup": AdminMethod(
        AdminService.backup, ArgumentField("file", FilePath), ArgumentField("part", FilePath, ""), takes_fd=True
    ),
    "prune": AdminMethod(AdminService.prune, ArgumentField("days", Days)),
    "messages": AdminMethod(
        AdminService.messages, ArgumentField("after", Number), ArgumentField("limit", Number, MAX_PAGE)
    ),
    "grant": AdminMethod(AdminService.grant, NAME_FIELD),
    "revoke": AdminMethod(AdminService.revoke, NAME_FIELD),
    "kick": AdminMethod(AdminService.kick, NAME_FIELD, REASON_FIELD),
    "mute": AdminMethod(AdminService.mute, NAME_FIELD, DURATION_FIELD, REASON_FIELD),
    "unmute": AdminMethod(AdminService.unmute, NAME_FIELD),
    "ban": AdminMethod(AdminService.ban, OPTIONAL_NAME_FIELD, OPTIONAL_ADDRESS_FIELD, DURATION_FIELD, REASON_FIELD),
    "unban": AdminMethod(AdminService.unban, OPTIONAL_NAME_FIELD, OPTIONAL_ADDRESS_FIELD),
    "sanctions": AdminMethod(
        AdminService.sanctions,
        ArgumentField("kind", Literal["bans", "mutes"]),
        ArgumentField("after", Name | None, None),
    ),
    "close_room": AdminMethod(AdminService.close_room, NAME_FIELD, REASON_FIELD),
    "open_room": AdminMethod(AdminService.open_room, NAME_FIELD),
    "trace": AdminMethod(
        AdminService.trace, NAME_FIELD, ArgumentField("seq", Number), ArgumentField("other", Name | None, None)
    ),
    "trace_id": AdminMethod(AdminService.trace_id, NAME_FIELD, ArgumentField("id", Id)),
    "status": AdminMethod(AdminService.status),
}
"""What may be asked on the control socket: the words are the socket's own."""


def check_arguments(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a verb, each of its type and within its bounds. Raises `BadRequest`."""
    known = ADMIN_METHODS.get(method)
    if known is None:
        raise BadRequest("There is no such action.")
    try:
        values = astuple(convert(arguments, known.arguments_struct))
    except ValidationError as error:
        raise length_error(str(error)) or BadRequest(f"The request is not valid: {error}.") from error
    return {field.name: value for field, value in zip(known.fields, values, strict=True)}
