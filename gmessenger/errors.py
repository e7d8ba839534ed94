"""Every error of the programs, as one tree: class, status or exit code, code, and whether trying again can help.

    MessengerError
    ├── WireError                           request_error
    │   ├── BadRequest                 400  bad_request
    │   │   ├── BadFrame               400  bad_frame
    │   │   ├── UnknownAction          400  unknown_action
    │   │   ├── BadId                  400  bad_id
    │   │   ├── BadText                400  bad_text
    │   │   ├── BadName                400  bad_name
    │   │   │   └── NameConfusable     400  name_confusable
    │   │   ├── BadPassword            400  bad_password
    │   │   ├── AlreadyLoggedIn        400  already_logged_in
    │   │   ├── TlsRequired            400  tls_needed
    │   │   └── NotStorable            400  not_storable
    │   ├── NotLoggedIn                401  not_logged_in
    │   ├── PasswordRequired           401  password_needed
    │   ├── WrongPassword              402  wrong_password
    │   ├── Forbidden                  403  forbidden
    │   │   ├── GuestsDisabled         403  guests_refused
    │   │   ├── BroadcastDisabled      403  broadcast_refused
    │   │   ├── AccountsOnly           403  accounts_only
    │   │   ├── AccountDisabled        403  account_disabled
    │   │   ├── AccountDeleted         403  account_deleted
    │   │   ├── InsecureTransport      403  password_exposed
    │   │   ├── PasswordChangeRequired 403  password_change_needed
    │   │   ├── RegistrationClosed     403  registration_closed
    │   │   ├── InvalidInvite          403  invite_refused
    │   │   ├── NotMember              403  not_member
    │   │   ├── NotOwner               403  not_owner
    │   │   ├── NotYours               403  not_yours
    │   │   ├── TooLate                403  too_late
    │   │   ├── TooManyReactions       403  too_many_reactions
    │   │   ├── OnlySpeakers           403  only_speakers
    │   │   ├── InvitedOnly            403  invited_only
    │   │   ├── ShutOut                403  shut_out
    │   │   ├── Silenced               403  silenced
    │   │   ├── OperatorsOnly          403  operators_only
    │   │   ├── Kicked                 403  kicked
    │   │   ├── Banned                 403  banned
    │   │   ├── Muted                  403  muted
    │   │   ├── Blocked                403  blocked
    │   │   ├── RoomClosed             403  room_closed
    │   │   ├── QuotaExceeded          403  quota_exceeded
    │   │   ├── TooManyRooms           403  too_many_rooms
    │   │   ├── TooManySettings        403  too_many_settings
    │   │   └── RoomFull               403  room_full
    │   ├── NotFound                   404  never_seen
    │   ├── NoSuchRoom                 404  no_such_room
    │   ├── NoSuchDevice               404  no_such_device
    │   ├── NoSuchMessage              404  no_such_message
    │   ├── NameInUse                  409  name_in_use
    │   ├── NameTaken                  409  name_taken
    │   ├── IdReused                   409  id_reused
    │   ├── LoggedInElsewhere          409  replaced
    │   ├── LastOwner                  409  last_owner
    │   ├── AlreadyMember              409  already_member
    │   ├── RecipientGone              410  not_here
    │   ├── TextTooLong                413  too_long
    │   │   └── FrameTooLong           413  frame_too_long
    │   ├── RecipientBusy              429  recipient_busy          retryable
    │   ├── RateLimited                429  too_fast                retryable
    │   ├── LoginThrottled             429  too_many_failures       retryable
    │   ├── RegistrationThrottled      429  too_many_registrations  retryable
    │   ├── TooManyConnections         503  too_many_connections    retryable
    │   ├── ServerFull                 503  server_full             retryable
    │   ├── StoreUnavailable           503  store_unavailable       retryable
    │   ├── Upgrading                  503  upgrading               retryable
    │   └── InternalError              500  internal_error          retryable
    ├── BadProxyHeader                      bad_proxy_header
    └── ExitError                           exit_error
        ├── UsageError                   2  usage_error
        ├── ListenError                 69  cannot_listen
        ├── Unreachable                 69  unreachable             retryable
        ├── StoreLocked                 69  store_in_use            retryable
        ├── FileError                   73  file_problem
        ├── MessagesNotSent             75  not_all_sent            retryable
        ├── ServerRunning               75  server_running          retryable
        ├── Refused                     77  refused
        │   └── CertificateNotTrusted   77  untrusted
        └── ConfigError                 78  config_problem

The `code` is what crosses sockets instead of the class's name: unique in the tree, and never changed once released.

Errors below `WireError` are answered to a client as `{"response": status, "code": code, "error": message}`; programs
compare the code. Errors below `ExitError` end a program: the message is one line on stderr, and the exit code
(sysexits.h) is returned to the shell. A `BadProxyHeader` is logged, and the connection closed.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias, TypeVar

ErrorFields: TypeAlias = dict[str, str | int | float]
"""What a response says of an error: its sentence, its code, and a limit or a delay."""


class MessengerError(Exception):
    """The root of the tree.

    `str(error)` is a sentence for people: the class's `message`, unless another one is given. `retryable` says whether
    the same thing can succeed later.
    """

    code: ClassVar[str] = "messenger_error"
    retryable: ClassVar[bool] = False
    message: ClassVar[str] = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class WireError(MessengerError):
    """A refused request, answered with `status`.

    Where they are set, the response has the `limit` that was exceeded, and `retry_after`: the seconds after which the
    request can succeed.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "request_error"

    def __init__(
        self, message: str | None = None, *, limit: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after

    def to_fields(self) -> ErrorFields:
        """Return the fields of the response that describe the error, without its status."""
        optional = {"limit": self.limit, "retry_after": self.retry_after}
        present = {key: value for key, value in optional.items() if value is not None}
        return {"error": str(self), "code": self.code, **present}


class BadRequest(WireError):
    code = "bad_request"
    message = "The request is not valid."


class BadFrame(BadRequest):
    code = "bad_frame"
    message = "This is not a JSON object in UTF-8."


class UnknownAction(BadRequest):
    code = "unknown_action"
    message = "There is no such action."


class BadId(BadRequest):
    code = "bad_id"
    message = "An id is a string of 1 to 64 bytes."


class BadText(BadRequest):
    code = "bad_text"
    message = "The text holds a character that cannot be sent."


class BadName(BadRequest):
    code = "bad_name"
    message = "A name is 1 to 32 letters, digits, '_', '-' or '.'."


class NameConfusable(BadName):
    code = "name_confusable"
    message = "This name looks too much like another that is taken; choose another."


class BadPassword(BadRequest):
    code = "bad_password"
    message = "A password is 8 to 1024 bytes."


class AlreadyLoggedIn(BadRequest):
    code = "already_logged_in"
    message = "This connection is logged in under another name."


class TlsRequired(BadRequest):
    code = "tls_needed"
    message = "This port speaks TLS: connect with TLS, or to the server's plain port."


class NotStorable(BadRequest):
    code = "not_storable"
    message = "The server cannot store this; sending it again does not help."


class NotLoggedIn(WireError):
    status = 401
    code = "not_logged_in"
    message = "Log in first: send a presence with a name."


class PasswordRequired(WireError):
    status = 401
    code = "password_needed"
    message = "This name is an account: give its password."


class WrongPassword(WireError):
    status = 402
    code = "wrong_password"
    message = "The name or the password is wrong."


class Forbidden(WireError):
    status = 403
    code = "forbidden"
    message = "This is not allowed."


class GuestsDisabled(Forbidden):
    code = "guests_refused"
    message = "This server admits accounts only, not guests."

    def __init__(self, message: str | None = None, *, registration: str = "", **more: Any) -> None:
        """`registration`: whether one may register here, `open`, `invite` or `closed`."""
        super().__init__(message, **more)
        self.registration = registration

    def to_fields(self) -> ErrorFields:
        fields = super().to_fields()
        return fields | {"registration": self.registration} if self.registration else fields


class BroadcastDisabled(Forbidden):
    code = "broadcast_refused"
    message = "This server does not allow messages to all users."


class AccountsOnly(Forbidden):
    code = "accounts_only"
    message = "Only accounts may do this; register first."


class AccountDisabled(Forbidden):
    code = "account_disabled"
    message = "This account has been disabled by an operator."


class AccountDeleted(Forbidden):
    code = "account_deleted"
    message = "This account has been deleted."


class InsecureTransport(Forbidden):
    code = "password_exposed"
    message = "This connection is not encrypted: a password sent over it could be read by others."


class PasswordChangeRequired(Forbidden):
    code = "password_change_needed"
    message = "You have logged in with a one-time password: choose a new password first."


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    message = "Registration is closed on this server."


class InvalidInvite(Forbidden):
    code = "invite_refused"
    message = "Registration on this server needs an invite; this one is not valid, has expired, or is used up."


class NotMember(Forbidden):
    code = "not_member"
    message = "Only members may do this; join the room first."


class NotOwner(Forbidden):
    code = "not_owner"
    message = "Your role in this room does not allow this."


class NotYours(Forbidden):
    code = "not_yours"
    message = "Only who wrote a message may change it."


class TooLate(Forbidden):
    code = "too_late"
    message = "This message is too old to be edited."


class TooManyReactions(Forbidden):
    code = "too_many_reactions"
    message = "This message has as many different reactions as a message may have."


class OnlySpeakers(Forbidden):
    code = "only_speakers"
    message = "Only speakers, moderators and owners may write in this room."


class InvitedOnly(Forbidden):
    code = "invited_only"
    message = "Only who is invited may join this room."


class ShutOut(Forbidden):
    code = "shut_out"
    message = "You may not join this room: you were removed or banned from it."


class Silenced(Forbidden):
    code = "silenced"
    message = "You may not write in this room."


class OperatorsOnly(Forbidden):
    code = "operators_only"
    message = "Only operators of this server may do this."


class Kicked(Forbidden):
    code = "kicked"
    message = "An operator has disconnected you."


class Banned(Forbidden):
    code = "banned"
    message = "An operator has banned you from this server."


class Muted(Forbidden):
    code = "muted"
    message = "An operator has muted you."


class Blocked(Forbidden):
    code = "blocked"
    message = "The recipient does not accept messages from you."


class RoomClosed(Forbidden):
    code = "room_closed"
    message = "An operator has closed this room."


class QuotaExceeded(Forbidden):
    code = "quota_exceeded"
    message = "Your message cannot be stored: your storage quota on this server is used up."


class TooManyRooms(Forbidden):
    code = "too_many_rooms"
    message = "The limit on the number of rooms is reached."


class TooManySettings(Forbidden):
    code = "too_many_settings"
    message = "The limit on your settings is reached."


class RoomFull(Forbidden):
    code = "room_full"
    message = "The room is full."


class NotFound(WireError):
    status = 404
    code = "never_seen"
    message = "This name is not known on this server."


class NoSuchRoom(WireError):
    status = 404
    code = "no_such_room"
    message = "There is no such room."


class NoSuchDevice(WireError):
    status = 404
    code = "no_such_device"
    message = "No device of that name is logged in to this account."


class NoSuchMessage(WireError):
    status = 404
    code = "no_such_message"
    message = "There is no such message in this conversation, or it was erased."


class NameInUse(WireError):
    status = 409
    code = "name_in_use"
    message = "This name is already in use; choose another."


class NameTaken(WireError):
    status = 409
    code = "name_taken"
    message = "This name is already registered."


class IdReused(WireError):
    status = 409
    code = "id_reused"
    message = "A different message with this id is already stored."


class LoggedInElsewhere(WireError):
    status = 409
    code = "replaced"
    message = "This name has connected from somewhere else; this connection is closed."


class LastOwner(WireError):
    status = 409
    code = "last_owner"
    message = "This is the last owner of the room; make somebody else an owner first."


class AlreadyMember(WireError):
    status = 409
    code = "already_member"
    message = "This user is in the room already."


class RecipientGone(WireError):
    status = 410
    code = "not_here"
    message = "This guest has left, and messages to guests are not stored."


class TextTooLong(WireError):
    status = 413
    code = "too_long"
    message = "The text is too long."


class FrameTooLong(TextTooLong):
    code = "frame_too_long"
    message = "The frame is too long."


class RecipientBusy(WireError):
    status = 429
    code = "recipient_busy"
    retryable = True
    message = "The recipient is receiving messages too slowly; try again later."


class RateLimited(WireError):
    status = 429
    code = "too_fast"
    retryable = True
    message = "Too many requests; wait a moment."


class LoginThrottled(WireError):
    status = 429
    code = "too_many_failures"
    retryable = True
    message = "Too many wrong passwords; try again later."


class RegistrationThrottled(WireError):
    status = 429
    code = "too_many_registrations"
    retryable = True
    message = "Too many names were registered from your network; try again later."


class TooManyConnections(WireError):
    status = 503
    code = "too_many_connections"
    retryable = True
    message = "There are too many connections from your network; try again later."


class ServerFull(WireError):
    status = 503
    code = "server_full"
    retryable = True
    message = "The server has reached its limit of connections; try again later."


class StoreUnavailable(WireError):
    """The store cannot be read or written just now.

    `detail` is the message of the database or the operating system: for the log and the owner, never for clients.
    """

    status = 503
    code = "store_unavailable"
    retryable = True
    message = "The server cannot store anything now; send it again later."

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: str = "",
        limit: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, limit=limit, retry_after=retry_after)
        self.detail = detail

    @property
    def operator_message(self) -> str:
        """The message with its detail, for the log and the owner."""
        return f"{str(self).rstrip('.')}: {self.detail}." if self.detail else str(self)


class Upgrading(WireError):
    status = 503
    code = "upgrading"
    retryable = True
    message = "The servers are being upgraded; this is possible once all of them are."


class InternalError(WireError):
    status = 500
    code = "internal_error"
    retryable = True
    message = "The server had an internal error, which it has logged."


class BadProxyHeader(MessengerError):
    """A connection from a trusted proxy does not begin with a valid PROXY protocol header."""

    code = "bad_proxy_header"
    message = "This is not a PROXY protocol header."


class ExitError(MessengerError):
    """Ends a program: one line on stderr, and `exit_code` for the shell."""

    code = "exit_error"
    exit_code: ClassVar[int] = 1


class UsageError(ExitError):
    code = "usage_error"
    exit_code = 2


class ListenError(ExitError):
    code = "cannot_listen"
    exit_code = 69


class Unreachable(ExitError):
    code = "unreachable"
    exit_code = 69
    retryable = True


class StoreLocked(ExitError):
    """Another process has the store open."""

    code = "store_in_use"
    exit_code = 69
    retryable = True


class FileError(ExitError):
    code = "file_problem"
    exit_code = 73


class MessagesNotSent(ExitError):
    code = "not_all_sent"
    exit_code = 75
    retryable = True


class ServerRunning(ExitError):
    code = "server_running"
    exit_code = 75
    retryable = True


class Refused(ExitError):
    code = "refused"
    exit_code = 77


class CertificateNotTrusted(Refused):
    """The server did not prove its identity; nothing was sent to it after the TLS handshake."""

    code = "untrusted"


class ConfigError(ExitError):
    code = "config_problem"
    exit_code = 78


ErrorT = TypeVar("ErrorT", bound=MessengerError)


def _subclasses(root: type[ErrorT]) -> list[type[ErrorT]]:
    return [error for child in root.__subclasses__() for error in (child, *_subclasses(child))]


def _by_code(root: type[ErrorT]) -> dict[str, type[ErrorT]]:
    """Return the classes below `root` by their codes. Raises ValueError where two have the same one."""
    by_code: dict[str, type[ErrorT]] = {}
    for error in _subclasses(root):
        if by_code.setdefault(error.code, error) is not error:
            raise ValueError(f"{error.__name__} and {by_code[error.code].__name__} have the same code: {error.code}")
    return by_code


ERRORS: dict[str, type[MessengerError]] = _by_code(MessengerError)
"""All errors by code, to restore one that crossed the control socket or the bus."""
WIRE_ERRORS: dict[str, type[WireError]] = _by_code(WireError)
"""All errors that clients are answered with, by code; `docs/protocol.md` lists them."""
