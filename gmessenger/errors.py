"""Every error of the program, as one tree.

    MessengerError
    ├── WireError                     request_error; answered to a peer: code, word, sentence
    │   ├── BadRequest 400            bad_request
    │   │   ├── BadFrame              bad_frame
    │   │   ├── UnknownAction         unknown_action
    │   │   ├── BadId                 bad_id
    │   │   ├── BadText               bad_text
    │   │   ├── BadName               bad_name
    │   │   │   └── NameConfusable    name_confusable
    │   │   ├── BadPassword           bad_password
    │   │   ├── AlreadyLoggedIn       already_logged_in
    │   │   ├── TlsNeeded             tls_needed
    │   │   └── NotStorable           not_storable
    │   ├── NotLoggedIn 401           not_logged_in
    │   ├── PasswordNeeded 401        password_needed
    │   ├── WrongPassword 402         wrong_password
    │   ├── Forbidden 403             forbidden
    │   │   ├── GuestsRefused         guests_refused
    │   │   ├── BroadcastRefused      broadcast_refused
    │   │   ├── AccountsOnly          accounts_only
    │   │   ├── AccountDisabled       account_disabled
    │   │   ├── AccountDeleted        account_deleted
    │   │   ├── PasswordExposed       password_exposed
    │   │   ├── RegistrationClosed    registration_closed
    │   │   ├── InviteRefused         invite_refused
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
    │   ├── NeverSeen 404             never_seen
    │   ├── NoSuchRoom 404            no_such_room
    │   ├── NameInUse 409             name_in_use
    │   ├── NameTaken 409             name_taken
    │   ├── IdReused 409              id_reused
    │   ├── Replaced 409              replaced
    │   ├── NotHere 410               not_here
    │   ├── TooLong 413               too_long
    │   │   └── FrameTooLong          frame_too_long
    │   ├── RecipientBusy 429         recipient_busy      (retrying helps)
    │   ├── TooFast 429               too_fast            (retrying helps)
    │   ├── TooManyFailures 429       too_many_failures   (retrying helps)
    │   ├── TooManyRegistrations 429  too_many_registrations  (retrying helps)
    │   ├── TooManyConnections 503    too_many_connections  (retrying helps)
    │   ├── ServerFull 503            server_full         (retrying helps)
    │   ├── StoreUnavailable 503      store_unavailable   (retrying helps)
    │   └── InternalError 500         internal_error      (retrying helps)
    ├── BadProxyHeader                bad_proxy_header; logged, and the connection is closed
    └── ExitError                     exit_error; ends a program: exit code, sentence
        ├── UsageError 2              usage_error
        ├── CannotListen 69           cannot_listen
        ├── Unreachable 69            unreachable         (retrying helps)
        ├── StoreInUse 69             store_in_use        (retrying helps)
        ├── FileProblem 73            file_problem
        ├── NotAllSent 75             not_all_sent        (retrying helps)
        ├── ServerRunning 75          server_running      (retrying helps)
        ├── Refused 77                refused
        │   └── Untrusted             untrusted: the server did not prove who it is
        └── ConfigProblem 78          config_problem

Every class has a stable `word` of its own, which crosses sockets instead of the class's name. A `WireError` crosses
the wire as `{"response": code, "code": word, "error": sentence}`; the word is what programs compare. An `ExitError` is
printed as one line on stderr and becomes the exit status (sysexits.h).
"""

from __future__ import annotations

from typing import ClassVar, TypeVar


class MessengerError(Exception):
    """Root of the tree. `str(error)` is a sentence for a person; `retry` says whether trying again can help.

    `word` names the class on every socket: unique in the tree, and never changed once it is released.
    """

    word: ClassVar[str] = "messenger_error"
    retry: ClassVar[bool] = False
    sentence: ClassVar[str] = "Something went wrong."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class WireError(MessengerError):
    """A refusal with a wire code. `limit` and `retry_after` (seconds) are told to the peer where they are set."""

    code: ClassVar[int] = 400
    word: ClassVar[str] = "request_error"

    def __init__(
        self, sentence: str | None = None, *, limit: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(sentence)
        self.limit = limit
        self.retry_after = retry_after

    def described(self) -> dict[str, str | int | float]:
        """What an answer says of the error besides its code."""
        extras = {"limit": self.limit, "retry_after": self.retry_after}
        known = {key: value for key, value in extras.items() if value is not None}
        return {"error": str(self), "code": self.word, **known}


class BadRequest(WireError):
    word = "bad_request"
    sentence = "The request is not valid."


class BadFrame(BadRequest):
    word = "bad_frame"
    sentence = "This is not a JSON object in UTF-8."


class UnknownAction(BadRequest):
    word = "unknown_action"
    sentence = "There is no such action."


class BadId(BadRequest):
    word = "bad_id"
    sentence = "An id is a string of 1 to 64 bytes."


class BadText(BadRequest):
    word = "bad_text"
    sentence = "The text holds a character that cannot be sent."


class BadName(BadRequest):
    word = "bad_name"
    sentence = "A name is 1 to 32 letters, digits, '_', '-' or '.'."


class NameConfusable(BadName):
    word = "name_confusable"
    sentence = "This name looks too much like another that is taken; choose another."


class BadPassword(BadRequest):
    word = "bad_password"
    sentence = "A password is 8 to 1024 bytes."


class AlreadyLoggedIn(BadRequest):
    word = "already_logged_in"
    sentence = "This connection is logged in under another name."


class TlsNeeded(BadRequest):
    word = "tls_needed"
    sentence = "This port speaks TLS: connect with TLS, or to the server's plain port."


class NotStorable(BadRequest):
    word = "not_storable"
    sentence = "The server cannot store this; sending it again does not help."


class NotLoggedIn(WireError):
    code = 401
    word = "not_logged_in"
    sentence = "Log in first: send a presence with a name."


class PasswordNeeded(WireError):
    code = 401
    word = "password_needed"
    sentence = "This name is an account: give its password."


class WrongPassword(WireError):
    code = 402
    word = "wrong_password"
    sentence = "The name or the password is wrong."


class Forbidden(WireError):
    code = 403
    word = "forbidden"
    sentence = "This is not allowed."


class GuestsRefused(Forbidden):
    word = "guests_refused"
    sentence = "This server admits accounts only, not guests."


class BroadcastRefused(Forbidden):
    word = "broadcast_refused"
    sentence = "This server does not allow messages to all users."


class AccountsOnly(Forbidden):
    word = "accounts_only"
    sentence = "Only accounts may do this; register first."


class AccountDisabled(Forbidden):
    word = "account_disabled"
    sentence = "This account has been disabled by an operator."


class AccountDeleted(Forbidden):
    word = "account_deleted"
    sentence = "This account has been deleted."


class PasswordExposed(Forbidden):
    word = "password_exposed"
    sentence = "This connection is not encrypted: a password sent over it could be read by others."


class RegistrationClosed(Forbidden):
    word = "registration_closed"
    sentence = "Registration is closed on this server."


class InviteRefused(Forbidden):
    word = "invite_refused"
    sentence = "Registration on this server needs an invitation; this one is invalid or already used."


class NotMember(Forbidden):
    word = "not_member"
    sentence = "Only members may do this; join the room first."


class NotCreator(Forbidden):
    word = "not_creator"
    sentence = "Only the creator of the room may do this."


class OperatorsOnly(Forbidden):
    word = "operators_only"
    sentence = "Only operators of this server may do this."


class Kicked(Forbidden):
    word = "kicked"
    sentence = "An operator has disconnected you."


class Banned(Forbidden):
    word = "banned"
    sentence = "An operator has banned you from this server."


class Muted(Forbidden):
    word = "muted"
    sentence = "An operator has muted you."


class Blocked(Forbidden):
    word = "blocked"
    sentence = "The recipient does not accept messages from you."


class RoomClosed(Forbidden):
    word = "room_closed"
    sentence = "An operator has closed this room."


class QuotaExceeded(Forbidden):
    word = "quota_exceeded"
    sentence = "Your message cannot be stored: your storage quota on this server is used up."


class TooManyRooms(Forbidden):
    word = "too_many_rooms"
    sentence = "The limit on the number of rooms is reached."


class RoomFull(Forbidden):
    word = "room_full"
    sentence = "The room is full."


class NeverSeen(WireError):
    code = 404
    word = "never_seen"
    sentence = "This name is not known on this server."


class NoSuchRoom(WireError):
    code = 404
    word = "no_such_room"
    sentence = "There is no such room."


class NameInUse(WireError):
    code = 409
    word = "name_in_use"
    sentence = "This name is already in use; choose another."


class NameTaken(WireError):
    code = 409
    word = "name_taken"
    sentence = "This name is already registered."


class IdReused(WireError):
    code = 409
    word = "id_reused"
    sentence = "A different message with this id is already stored."


class Replaced(WireError):
    code = 409
    word = "replaced"
    sentence = "This name has connected from somewhere else; this connection is closed."


class NotHere(WireError):
    code = 410
    word = "not_here"
    sentence = "This guest has left, and messages to guests are not stored."


class TooLong(WireError):
    code = 413
    word = "too_long"
    sentence = "The text is too long."


class FrameTooLong(TooLong):
    word = "frame_too_long"
    sentence = "The frame is too long."


class RecipientBusy(WireError):
    code = 429
    word = "recipient_busy"
    retry = True
    sentence = "The recipient is receiving messages too slowly; try again later."


class TooFast(WireError):
    code = 429
    word = "too_fast"
    retry = True
    sentence = "Too many requests; wait a moment."


class TooManyFailures(WireError):
    code = 429
    word = "too_many_failures"
    retry = True
    sentence = "Too many wrong passwords; try again later."


class TooManyRegistrations(WireError):
    code = 429
    word = "too_many_registrations"
    retry = True
    sentence = "Too many names were registered from your network; try again later."


class TooManyConnections(WireError):
    code = 503
    word = "too_many_connections"
    retry = True
    sentence = "There are too many connections from your network; try again later."


class ServerFull(WireError):
    code = 503
    word = "server_full"
    retry = True
    sentence = "The server has reached its limit of connections; try again later."


class StoreUnavailable(WireError):
    """`why` is what the database or the system said: for the log and for operators, never for a peer."""

    code = 503
    word = "store_unavailable"
    retry = True
    sentence = "The server cannot store anything now; send it again later."

    def __init__(
        self,
        sentence: str | None = None,
        *,
        why: str = "",
        limit: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence, limit=limit, retry_after=retry_after)
        self.why = why

    @property
    def for_operators(self) -> str:
        """The sentence, and why."""
        return f"{str(self).rstrip('.')}: {self.why}." if self.why else str(self)


class InternalError(WireError):
    code = 500
    word = "internal_error"
    retry = True
    sentence = "The server had an internal error, which it has logged."


class BadProxyHeader(MessengerError):
    """What a balancer said of its client is not of the PROXY protocol."""

    word = "bad_proxy_header"
    sentence = "This is not a PROXY protocol header."


class ExitError(MessengerError):
    """Ends a program with one line on stderr and `exit_code`."""

    word = "exit_error"
    exit_code: ClassVar[int] = 1


class UsageError(ExitError):
    word = "usage_error"
    exit_code = 2


class CannotListen(ExitError):
    word = "cannot_listen"
    exit_code = 69


class Unreachable(ExitError):
    word = "unreachable"
    exit_code = 69
    retry = True


class StoreInUse(ExitError):
    """As a port that is taken: what was to be served belongs to another process for now."""

    word = "store_in_use"
    exit_code = 69
    retry = True


class FileProblem(ExitError):
    word = "file_problem"
    exit_code = 73


class NotAllSent(ExitError):
    word = "not_all_sent"
    exit_code = 75
    retry = True


class ServerRunning(ExitError):
    word = "server_running"
    exit_code = 75
    retry = True


class Refused(ExitError):
    word = "refused"
    exit_code = 77


class Untrusted(Refused):
    """Whoever answers may be somebody else than the server that is meant: nothing was said to it."""

    word = "untrusted"


class ConfigProblem(ExitError):
    word = "config_problem"
    exit_code = 78


Error = TypeVar("Error", bound=MessengerError)


def _below(root: type[Error]) -> list[type[Error]]:
    return [error for child in root.__subclasses__() for error in (child, *_below(child))]


def _by_word(root: type[Error]) -> dict[str, type[Error]]:
    """Return the classes below `root` by their words. Raises ValueError where two share one."""
    found: dict[str, type[Error]] = {}
    for error in _below(root):
        if found.setdefault(error.word, error) is not error:
            raise ValueError(f"{error.__name__} and {found[error.word].__name__} have the same word: {error.word}")
    return found


ERRORS: dict[str, type[MessengerError]] = _by_word(MessengerError)
"""Every error by its word: how one crosses the control socket and the bus."""
WIRE_ERRORS: dict[str, type[WireError]] = _by_word(WireError)
"""Every error that is answered to a peer, by its word: the table the protocol document prints."""
