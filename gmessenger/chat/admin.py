"""Administration methods: what `gmessenger-admin` can call, in a running server or on the store of a stopped one.

Arguments consist of JSON types, and results of these and of structs, because the control socket carries them. Errors
are raised as `WireError`.
`ADMIN_METHODS` is the only place with the names of methods and fields on that socket: Python names may change freely.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from msgspec import NODEFAULT, Struct, ValidationError, convert, defstruct
from msgspec.structs import astuple

from gmessenger import log
from gmessenger.chat.admin_results import AccountRow, InviteRow, RoomDetails, RoomRow, StatusReport, TraceResult
from gmessenger.chat.hooks import HookService, require_no_hook
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.moderation import Moderation
from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.chat.records import Account, InviteInfo
from gmessenger.chat.registration import invite_fingerprint, make_invite
from gmessenger.chat.results import BanPage, DumpPage, MutePage, message_entry
from gmessenger.chat.room import Room
from gmessenger.chat.room_masks import mask_entries
from gmessenger.chat.room_rights import SERVER_ACTOR
from gmessenger.chat.storage import Store
from gmessenger.chat.tracer import MessageTracer
from gmessenger.constants import INVITE_DAYS, ONCE_HOURS, OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    BadRequest,
    Forbidden,
    NameTaken,
    NotFound,
)
from gmessenger.field_types import Address as AddressText
from gmessenger.field_types import (
    Days,
    FilePath,
    Id,
    InviteUses,
    Name,
    Number,
    Password,
    Reason,
    RuleWord,
    Seconds,
    length_error,
)
from gmessenger.names import check_name, fold
from gmessenger.room_roles import ROOM_ROLES, RoomRole
from gmessenger.room_rules import parse_rule_value, shown_changes, shown_rules

MAX_PAGE: Final = 1000
MAX_INVITES: Final = 10_000
MAX_POSITION: Final = 2**62
SECONDS_PER_DAY: Final = 86_400
SECONDS_PER_HOUR: Final = 3600


class AdminService:
    """Change accounts, rooms and messages for the owner of the server; users are notified after the commit.

    What only forwards is no method here: rows of `ADMIN_METHODS` call `moderation`, `tracer` and `hooks` directly.
    Called in a greenlet of the control socket, or in the main greenlet of `gmessenger-admin`; methods may block on the
    store and on password hashing.
    """

    def __init__(
        self,
        messenger: Messenger,
        store: Store,
        passwords: PasswordVerifier,
        clock: Callable[[], float],
        get_status: Callable[[], StatusReport | None] = lambda: None,
    ) -> None:
        """Args: clock: Unix time in seconds. get_status: reports the state of the server; None if none runs."""
        self._messenger = messenger
        self._authenticator = messenger.authenticator
        self._rooms = messenger.rooms
        self.moderation = messenger.moderation
        self.hooks = messenger.hooks
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._get_status = get_status
        self.tracer = MessageTracer(store, messenger)
        self._session_closer = messenger.session_closer

    def accounts(self) -> list[AccountRow]:
        """Return all accounts, sorted by name."""
        last_uses = self._store.last_uses()
        accounts = sorted(self._authenticator.accounts.values(), key=lambda account: account.key)
        router = self._messenger.router
        return [
            AccountRow(each.name, each.disabled, each.role, each.key in router, last_uses.get(each.id), each.is_bot)
            for each in accounts
        ]

    def add_account(self, name: Name, password: Password, look_alike: bool = False) -> None:
        """Create an account and close the sessions of guests who use its name.

        Raises `BadName`, `BadPassword`, `NameTaken`, or `NameConfusable` unless `look_alike` allows such a name.
        """
        display_name = check_name(name)
        key = fold(display_name)
        if key in self._authenticator.accounts:
            raise NameTaken
        password_hash = self._passwords.hash(password)
        if not look_alike:
            self._authenticator.check_not_confusable_with_accounts(display_name)
        account = self._store.create_account(key, display_name, password_hash, self._clock())
        self._authenticator.add_account(account)
        self._session_closer.close_all(key, NameTaken("Another user has registered this name."))

    def set_password(self, name: Name, password: Password, once: bool = False) -> None:
        """Change a password; sessions that logged in with the old one are closed. Raises `NotFound`, `BadPassword`.

        `once`: its owner has to choose another within `ONCE_HOURS`, and can do nothing else before. Raises `Upgrading`,
        too, then.
        """
        account = self._find_person(name)
        password_hash = self._passwords.hash(password)
        until = self._clock() + ONCE_HOURS * SECONDS_PER_HOUR if once else None
        generation = self._store.set_password(account.id, password_hash, until)
        self._authenticator.note_password_change(account, generation)

    def disable(self, name: Name) -> None:
        """Disable an account until `enable`, and close its sessions. Raises `NotFound`."""
        account = self._find_account(name)
        self._store.set_disabled(account.id, True)
        account.disabled = True
        self._session_closer.close_all(account.key, AccountDisabled())

    def enable(self, name: Name) -> None:
        """Enable a disabled account. Raises `NotFound`."""
        account = self._find_account(name)
        self._store.set_disabled(account.id, False)
        account.disabled = False

    def delete_account(self, name: Name) -> None:
        """Delete an account and free its name; messages it sent stay with their recipients. Raises `NotFound`.

        The hooks that it has made are deleted, too.
        """
        account = self._find_account(name)
        self.hooks.revoke_made_by(account)
        was_disabled, account.disabled = account.disabled, True  # no login meanwhile, not even as a guest
        self._session_closer.close_all(account.key, AccountDeleted())
        try:
            new_owners = self._store.delete_account(account.id)
        except BaseException:  # any error: the account must not stay disabled
            account.disabled = was_disabled
            raise
        self._authenticator.remove_account(account)
        self._rooms.remove_account(account, new_owners)
        self._messenger.blocks.discard(account.key)
        self._store.purge()

    def add_invite(self, uses: InviteUses = 1, seconds: Seconds | None = None) -> str:
        """Create and return an invite for so many registrations, within `INVITE_DAYS` unless `seconds` says otherwise.

        Raises `Forbidden` above `MAX_INVITES`.
        """
        now = self._clock()
        ids = {row.id for row in self._valid_invites()}
        if len(ids) >= MAX_INVITES:
            raise Forbidden(f"There are already {MAX_INVITES} invites; revoke some first.")
        invite = make_invite()
        while invite_fingerprint(invite) in ids:  # an id is short, and has to name one
            invite = make_invite()
        expires = now + (seconds or INVITE_DAYS * SECONDS_PER_DAY)
        self._store.add_invite(invite, now, SERVER_OWNER, expires, uses)
        log.log_event("invite_made", invite=invite_fingerprint(invite))
        return invite

    def invites(self) -> list[InviteRow]:
        """Return the invites that are still good, those made first first."""
        return [InviteRow(*astuple(invite)) for invite in self._valid_invites()]

    def revoke_invite(self, id: Id) -> None:
        """Make an invite useless, by the id that `invites` shows. Raises `NotFound`."""
        if not self._store.remove_invite(id.lower()):
            raise NotFound(f"There is no invite {id}.")
        log.log_event("invite_revoked", invite=id.lower())

    def _valid_invites(self) -> list[InviteInfo]:
        now = self._clock()
        return [invite for invite in self._store.invites() if invite.expires is None or invite.expires > now]

    def rooms(self) -> list[RoomRow]:
        """Return all rooms, sorted by name."""
        return [
            RoomRow(
                name=room.name,
                topic=room.topic,
                creator=self._account_name(room.creator) or next(iter(_names_with_role(room, "owner")), None),
                members=len(room.members),
                guests=len(room.guests),
                seq=room.head,
                closed=room.closure is not None,
                owners=_names_with_role(room, "owner"),
                rules=shown_changes(room.rules),
                topic_by=room.topic_by,
                topic_at=room.topic_at,
            )
            for room in sorted(self._rooms, key=lambda room: room.key)
        ]

    def room(self, name: Name) -> RoomDetails:
        """Return a room: its rules, members' roles, the highest first, who is kept out, silent or invited, and masks.

        Raises `NoSuchRoom`.
        """
        room = self._rooms.find(name)
        roles = {name: str(role) for role in reversed(ROOM_ROLES) for name in _names_with_role(room, role)}
        sanctions = self._messenger.room_sanctions
        return RoomDetails(
            name=room.name,
            topic=room.topic,
            members=len(room.members),
            guests=len(room.guests) + len(room.remote_guests),
            rules=shown_rules(room.rules, is_member=False),
            roles=roles,
            shut_outs=sanctions.all(room, "shut_out"),
            silences=sanctions.all(room, "silence"),
            invitations=list(self._messenger.invitations.all(room)),
            masks=mask_entries(room),
        )

    def set_rule(self, name: Name, rule: RuleWord, value: RuleWord) -> None:
        """Set a rule of a room. Raises `NoSuchRoom`, `BadRequest` or `Upgrading`."""
        room = self._rooms.find(name)
        self._messenger.room_rights.change_rules_as(SERVER_ACTOR, room, {rule: parse_rule_value(rule, value)})

    def set_room_role(self, name: Name, user: Name, role: RoomRole) -> None:
        """Give a member of a room a role. Raises `NoSuchRoom`, `NotFound`, `AccountsOnly`, `LastOwner`, `Upgrading`."""
        self._messenger.room_rights.change_role_as(SERVER_ACTOR, self._rooms.find(name), user, role)

    def shut_out(self, name: Name, user: Name, seconds: Seconds | None = None, reason: Reason = "") -> None:
        """Remove a user from a room, and keep the name out. Raises `NoSuchRoom`, `NotFound` or `BadRequest`."""
        self._messenger.room_sanctions.shut_out_as(SERVER_ACTOR, self._rooms.find(name), user, seconds, reason)

    def let_in(self, name: Name, user: Name) -> None:
        """Let a name into a room again. Raises `NoSuchRoom`, or `NotFound` if it is not kept out."""
        self._messenger.room_sanctions.let_in_as(SERVER_ACTOR, self._rooms.find(name), user)

    def silence(self, name: Name, user: Name, seconds: Seconds | None = None, reason: Reason = "") -> None:
        """Refuse what a user writes in a room. Raises `NoSuchRoom`, `NotFound` or `BadRequest`."""
        self._messenger.room_sanctions.silence_as(SERVER_ACTOR, self._rooms.find(name), user, seconds, reason)

    def unsilence(self, name: Name, user: Name) -> None:
        """Let a user write in a room again. Raises `NoSuchRoom`, or `NotFound` if the name is not silenced."""
        self._messenger.room_sanctions.unsilence_as(SERVER_ACTOR, self._rooms.find(name), user)

    def invite(self, name: Name, user: Name) -> None:
        """Invite a user to a room. Raises `NoSuchRoom`, `NotFound`, `AlreadyMember`, `RoomClosed` or `Forbidden`."""
        self._messenger.invitations.invite_as(SERVER_ACTOR, self._rooms.find(name), user)

    def uninvite(self, name: Name, user: Name) -> None:
        """Take an invitation to a room back. Raises `NoSuchRoom`, or `NotFound` if the name is not invited."""
        self._messenger.invitations.uninvite_as(SERVER_ACTOR, self._rooms.find(name), user)

    def delete_room(self, name: Name) -> None:
        """Delete a room with its messages; members get a `leave` event. Raises `NoSuchRoom`."""
        room = self._rooms.find(name)
        hooks = self.hooks.of_room(room)
        with self._rooms.deleting(room):
            self._store.delete_room(room.key)
        self.hooks.forget(hooks)
        if self._rooms.get(room.key) is None:  # otherwise it is a new room of that name
            self._messenger.sanctions.discard("close", room.key)
        self._store.purge()

    def backup(self, fd: int, file: FilePath, part: FilePath = "") -> int:
        """Write a backup into an open, empty file and return its size in bytes. Blocks. Raises `FileError`.

        Args:
            fd: the open file.
            file: its final path, for error messages.
            part: its path until the backup is complete; error messages name it instead, if given.
        """
        return self._store.backup(part or file, fd)

    def prune(self, days: Days) -> int:
        """Delete messages older than `days`; return their number."""
        deleted = self._store.prune(self._clock() - days * SECONDS_PER_DAY)
        self._store.purge()
        return deleted

    def messages(self, after: Number, limit: Number = MAX_PAGE) -> DumpPage:
        """Return a page of all stored messages, and the `after` of the next page: None at the end."""
        page, _ = self._store.export_page(max(0, min(after, MAX_POSITION)), max(1, min(limit, MAX_PAGE)))
        messages = [message_entry(row.message, conversation=row.message.conversation) for row in page]
        return DumpPage(messages, page[-1].position if page else None)

    def grant(self, name: Name) -> None:
        """Make an account an operator. Raises `NotFound`."""
        self._set_role(name, OPERATOR_ROLE)

    def revoke(self, name: Name) -> None:
        """Withdraw operator rights. Raises `NotFound`."""
        self._set_role(name, "")

    def sanctions(self, kind: Literal["bans", "mutes"], after: Name | None = None) -> BanPage | MutePage:
        """Return a page of bans or mutes, starting after a name or an address."""
        if kind == "bans":
            return self.moderation.bans(SERVER_OWNER, after)
        return self.moderation.mutes(SERVER_OWNER, after)

    def _set_role(self, name: Name, role: str) -> None:
        account = self._find_person(name)
        self._store.set_role(account.id, role)
        self.moderation.set_role(account, role)

    def erase_message(self, name: Name, seq: Number, other: Name | None = None) -> int:
        """Erase a message of a room, or of two users; return the seq of the erase. Raises `NoSuchMessage`."""
        conversation, _ = self.tracer.find_conversation(name, other)
        return self._messenger.eraser.erase(conversation, seq)

    def trace_id(self, name: Name, id: Id) -> list[TraceResult]:
        """Trace the messages that an account sent with an id: each of its devices may have used it.

        Raises `NotFound`.
        """
        return self.tracer.trace_by_id(self._find_account(name), id)

    def status(self) -> StatusReport | None:
        """Return the state of the running server, as `server.snapshot.status_report` has it."""
        return self._get_status()

    def _find_account(self, name: str) -> Account:
        account = self._authenticator.accounts.get(fold(name))
        if account is None:
            raise NotFound(f"There is no account {name}.")
        return account

    def _find_person(self, name: str) -> Account:
        """Return the account of that name. Raises `NotFound`, for a hook as well."""
        account = self._find_account(name)
        require_no_hook(account)
        return account

    def _account_name(self, account: int | None) -> str | None:
        found = self._authenticator.accounts_by_id.get(account) if account is not None else None
        return found.name if found is not None else None


def _names_with_role(room: Room, role: RoomRole) -> list[str]:
    """Return the names of those in a room who have a role that is higher than `member`, sorted."""
    return sorted(name for name, each in room.named_roles.items() if each == role)


class ArgumentField(NamedTuple):
    """A field of a request's `arguments`: its name on the socket, its type with bounds, and its default."""

    name: str
    type: Any
    default: Any = NODEFAULT


class AdminMethod:
    """A row of `ADMIN_METHODS`: a method, and its parameters in order, as the fields that carry them.

    `takes_fd`: the method gets the descriptor of an open file before these; it arrives beside the request.
    `part`: the attribute of the service whose method it is; empty for the service's own.
    """

    def __init__(
        self, function: Callable[..., Any], *fields: ArgumentField, takes_fd: bool = False, part: str = ""
    ) -> None:
        self.function = function
        self.fields = fields
        self.takes_fd = takes_fd
        self.part = part
        self.arguments_struct: type[Struct] = defstruct(
            "Arguments", [(field.name, field.type, field.default) for field in fields], forbid_unknown_fields=True
        )

    def call(self, service: AdminService, arguments: dict[str, Any], fd: int | None = None) -> Any:
        """Call the method with the result of `check_arguments`; return its result. Raises what the method raises."""
        fds = (fd,) if self.takes_fd else ()
        receiver = getattr(service, self.part) if self.part else service
        return self.function(receiver, *fds, *(arguments[field.name] for field in self.fields))


class ModerationMethod(AdminMethod):
    """A row whose method is one of `Moderation`, called on behalf of the owner of the server.

    `counts_sessions`: the result is the number of sessions that were closed; otherwise there is none.
    """

    def __init__(self, function: Callable[..., Any], *fields: ArgumentField, counts_sessions: bool = False) -> None:
        super().__init__(function, *fields)
        self._counts_sessions = counts_sessions

    def call(self, service: AdminService, arguments: dict[str, Any], fd: int | None = None) -> int | None:
        values = (arguments[field.name] for field in self.fields)
        result = self.function(service.moderation, SERVER_OWNER, *values)
        return result.sessions if self._counts_sessions else None


NAME_FIELD: Final = ArgumentField("name", Name)
USER_FIELD: Final = ArgumentField("user", Name)
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
    "set_password": AdminMethod(
        AdminService.set_password, NAME_FIELD, PASSWORD_FIELD, ArgumentField("once", bool, False)
    ),
    "disable": AdminMethod(AdminService.disable, NAME_FIELD),
    "enable": AdminMethod(AdminService.enable, NAME_FIELD),
    "delete_account": AdminMethod(AdminService.delete_account, NAME_FIELD),
    "add_invite": AdminMethod(
        AdminService.add_invite, ArgumentField("uses", InviteUses, 1), ArgumentField("seconds", Seconds | None, None)
    ),
    "invites": AdminMethod(AdminService.invites),
    "revoke_invite": AdminMethod(AdminService.revoke_invite, ArgumentField("id", Id)),
    "rooms": AdminMethod(AdminService.rooms),
    "delete_room": AdminMethod(AdminService.delete_room, NAME_FIELD),
    "room": AdminMethod(AdminService.room, NAME_FIELD),
    "set_rule": AdminMethod(
        AdminService.set_rule, NAME_FIELD, ArgumentField("rule", RuleWord), ArgumentField("value", RuleWord)
    ),
    "set_room_role": AdminMethod(AdminService.set_room_role, NAME_FIELD, USER_FIELD, ArgumentField("role", RoomRole)),
    "shut_out": AdminMethod(AdminService.shut_out, NAME_FIELD, USER_FIELD, DURATION_FIELD, REASON_FIELD),
    "let_in": AdminMethod(AdminService.let_in, NAME_FIELD, USER_FIELD),
    "silence": AdminMethod(AdminService.silence, NAME_FIELD, USER_FIELD, DURATION_FIELD, REASON_FIELD),
    "unsilence": AdminMethod(AdminService.unsilence, NAME_FIELD, USER_FIELD),
    "invite": AdminMethod(AdminService.invite, NAME_FIELD, USER_FIELD),
    "uninvite": AdminMethod(AdminService.uninvite, NAME_FIELD, USER_FIELD),
    "backup": AdminMethod(
        AdminService.backup, ArgumentField("file", FilePath), ArgumentField("part", FilePath, ""), takes_fd=True
    ),
    "add_hook": AdminMethod(HookService.add_for_owner, NAME_FIELD, ArgumentField("room", Name), part="hooks"),
    "hooks": AdminMethod(HookService.list_for_owner, ArgumentField("room", Name | None, None), part="hooks"),
    "revoke_hook": AdminMethod(HookService.revoke_for_owner, NAME_FIELD, part="hooks"),
    "prune": AdminMethod(AdminService.prune, ArgumentField("days", Days)),
    "messages": AdminMethod(
        AdminService.messages, ArgumentField("after", Number), ArgumentField("limit", Number, MAX_PAGE)
    ),
    "grant": AdminMethod(AdminService.grant, NAME_FIELD),
    "revoke": AdminMethod(AdminService.revoke, NAME_FIELD),
    "kick": ModerationMethod(Moderation.kick, NAME_FIELD, REASON_FIELD, counts_sessions=True),
    "mute": ModerationMethod(Moderation.mute, NAME_FIELD, DURATION_FIELD, REASON_FIELD),
    "unmute": ModerationMethod(Moderation.unmute, NAME_FIELD),
    "ban": ModerationMethod(
        Moderation.ban,
        OPTIONAL_NAME_FIELD,
        OPTIONAL_ADDRESS_FIELD,
        DURATION_FIELD,
        REASON_FIELD,
        counts_sessions=True,
    ),
    "unban": ModerationMethod(Moderation.unban, OPTIONAL_NAME_FIELD, OPTIONAL_ADDRESS_FIELD),
    "sanctions": AdminMethod(
        AdminService.sanctions,
        ArgumentField("kind", Literal["bans", "mutes"]),
        ArgumentField("after", Name | None, None),
    ),
    "close_room": ModerationMethod(Moderation.close, NAME_FIELD, REASON_FIELD),
    "open_room": ModerationMethod(Moderation.open, NAME_FIELD),
    "erase_message": AdminMethod(
        AdminService.erase_message, NAME_FIELD, ArgumentField("seq", Number), ArgumentField("other", Name | None, None)
    ),
    "trace": AdminMethod(
        MessageTracer.trace,
        NAME_FIELD,
        ArgumentField("seq", Number),
        ArgumentField("other", Name | None, None),
        part="tracer",
    ),
    "trace_id": AdminMethod(AdminService.trace_id, NAME_FIELD, ArgumentField("id", Id)),
    "status": AdminMethod(AdminService.status),
}
"""The methods of the control socket, by their names there."""


def check_arguments(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a method with defaults filled in. Raises `BadRequest` for a bad type, length or name."""
    row = ADMIN_METHODS.get(method)
    if row is None:
        raise BadRequest("There is no such action.")
    try:
        values = astuple(convert(arguments, row.arguments_struct))
    except ValidationError as error:
        raise length_error(str(error)) or BadRequest(f"The request is not valid: {error}.") from error
    return {field.name: value for field, value in zip(row.fields, values, strict=True)}
