"""Every error of the program, as one tree.

    MessengerError
    ├── WireError                     request_error; answered to a peer: status, code, message
    │   ├── BadRequest 400            bad_request
    │   │   ├── BadFrame              bad_frame
    │   │   ├── UnknownAction         unknown_action
    │   │   ├── BadId                 bad_id
    │   │   ├── BadText               bad_text
    │   │   ├── BadName               bad_name
    │   │   │   └── NameConfusable    name_confusable
    │   │   ├── BadPassword           bad_password
    │   │   ├── AlreadyLoggedIn       already_logged_in
    │   │   ├── TlsRequired           tls_needed
    │   │   └── NotStorable           not_storable
    │   ├── NotLoggedIn 401           not_logged_in
    │   ├── PasswordRequired 401      password_needed
    │   ├── WrongPassword 402         wrong_password
    │   ├── Forbidden 403             forbidden
    │   │   ├── GuestsDisabled        guests_refused
    │   │   ├── BroadcastDisabled     broadcast_refused
    │   │   ├── AccountsOnly          accounts_only
    │   │   ├── AccountDisabled       account_disabled
    │   │   ├── AccountDeleted        account_deleted
    │   │   ├── InsecureTransport     password_exposed
    │   │   ├── RegistrationClosed    registration_closed
    │   │   ├── InvalidInvite         invite_refused
    │   │   ├── NotMember             not_member
    │   │   ├── NotCreator            not_creator
    │   │   ├── OperatorsOnly         operators_only
    │   │   ├── Kicked                kicked
    │   │   ├── Banned                banned
    │   │   ├── Muted                 muted
    │   │   ├── Blocked               blocked
    │   │   ├── RoomClosed            room_closed
    │   │   ├── QuotaExceeded         quota_exceeded
    │   │   ├── TooManyRooms          too_many_rooms
    │   │   └── RoomFull              room_full
    │   ├── NotFound 404              never_seen
    │   ├── NoSuchRoom 404            no_such_room
    │   ├── NameInUse 409             name_in_use
    │   ├── NameTaken 409             name_taken
    │   ├── IdReused 409              id_reused
    │   ├── LoggedInElsewhere 409     replaced
    │   ├── RecipientGone 410         not_here
    │   ├── TextTooLong 413           too_long
    │   │   └── FrameTooLong          frame_too_long
    │   ├── RecipientBusy 429         recipient_busy      (retrying helps)
    │   ├── RateLimited 429           too_fast            (retrying helps)
    │   ├── LoginThrottled 429        too_many_failures   (retrying helps)
    │   ├── RegistrationThrottled 429 too_many_registrations  (retrying helps)
    │   ├── TooManyConnections 503    too_many_connections  (retrying helps)
    │   ├── ServerFull 503            server_full         (retrying helps)
    │   ├── StoreUnavailable 503      store_unavailable   (retrying helps)
    │   └── InternalError 500         internal_error      (retrying helps)
    ├── BadProxyHeader                bad_proxy_header; logged, and the connection is closed
    └── ExitError                     exit_error; ends a program: exit code, message
        ├── UsageError 2              usage_error
        ├── ListenError 69            cannot_listen
        ├── Unreachable 69            unreachable         (retrying helps)
        ├── StoreLocked 69            store_in_use        (retrying helps)
        ├── FileError 73              file_problem
        ├── MessagesNotSent 75        not_all_sent        (retrying helps)
        ├── ServerRunning 75          server_running      (retrying helps)
        ├── Refused 77                refused
        │   └── CertificateNotTrusted untrusted: the server did not prove who it is
        └── ConfigError 78            config_problem

Every class has a stable `code` of its own, which crosses sockets instead of the class's name. A `WireError` crosses
the wire as `{"response": status, "code": code, "error": message}`; the code is what programs compare. An `ExitError` is
printed as one line on stderr and becomes the exit status (sysexits.h).
"""

from __future__ import annotations

from typing import ClassVar, TypeVar


class MessengerError(Exception):
    """Root of the tree. `str(error)` is a sentence for a person; `retryable` says whether trying again can help.

    `code` names the class on every socket: unique in the tree, and never changed once it is released.
    """

    code: ClassVar[str] = "messenger_error"
    retryable: ClassVar[bool] = False
    message: ClassVar[str] = "Something went wrong."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class WireError(MessengerError):
    """A refusal with a wire code. `limit` and `retry_after` (seconds) are told to the peer where they are set."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "request_error"

    def __init__(
        self, message: str | None = None, *, limit: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after = retry_after

    def to_fields(self) -> dict[str, str | int | float]:
        """What an answer says of the error besides its code."""
        extras = {"limit": self.limit, "retry_after": self.retry_after}
        known = {key: value for key, value in extras.items() if value is not None}
        return {"error": str(self), "code": self.code, **known}


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


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    message = "Registration is closed on this server."


class InvalidInvite(Forbidden):
    code = "invite_refused"
    message = "Registration on this server needs an invitation; this one is invalid or already used."


class NotMember(Forbidden):
    code = "not_member"
    message = "Only members may do this; join the room first."


class NotCreator(Forbidden):
    code = "not_creator"
    message = "Only the creator of the room may do this."


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
    """`why` is what the database or the system said: for the log and for operators, never for a peer."""

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
        """The sentence, and why."""
        return f"{str(self).rstrip('.')}: {self.detail}." if self.detail else str(self)


class InternalError(WireError):
    status = 500
    code = "internal_error"
    retryable = True
    message = "The server had an internal error, which it has logged."


class BadProxyHeader(MessengerError):
    """What a balancer said of its client is not of the PROXY protocol."""

    code = "bad_proxy_header"
    message = "This is not a PROXY protocol header."


class ExitError(MessengerError):
    """Ends a program with one line on stderr and `exit_code`."""

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
    """As a port that is taken: what was to be served belongs to another process for now."""

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
    """Whoever answers may be somebody else than the server that is meant: nothing was said to it."""

    code = "untrusted"


class ConfigError(ExitError):
    code = "config_problem"
    exit_code = 78


ErrorT = TypeVar("ErrorT", bound=MessengerError)


def _subclasses(root: type[ErrorT]) -> list[type[ErrorT]]:
    return [error for child in root.__subclasses__() for error in (child, *_subclasses(child))]


def _by_code(root: type[ErrorT]) -> dict[str, type[ErrorT]]:
    """Return the classes below `root` by their words. Raises ValueError where two share one."""
    found: dict[str, type[ErrorT]] = {}
    for error in _subclasses(root):
        if found.setdefault(error.code, error) is not error:
            raise ValueError(f"{error.__name__} and {found[error.code].__name__} have the same word: {error.code}")
    return found


ERRORS: dict[str, type[MessengerError]] = _by_code(MessengerError)
"""Every error by its word: how one crosses the control socket and the bus."""
WIRE_ERRORS: dict[str, type[WireError]] = _by_code(WireError)
"""Every error that is answered to a peer, by its word: the table the protocol document prints."""
