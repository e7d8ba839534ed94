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
    │   │   ├── BadSubscription        400  bad_subscription
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
    │   │   ├── WrongKey               403  wrong_key
    │   │   ├── ShutOut                403  shut_out
    │   │   ├── Silenced               403  silenced
    │   │   ├── OperatorsOnly          403  operators_only
    │   │   ├── Kicked                 403  kicked
    │   │   ├── Banned                 403  banned
    │   │   ├── Muted                  403  muted
    │   │   ├── Blocked                403  blocked
    │   │   ├── RoomClosed             403  room_closed
    │   │   ├── QuotaExceeded          403  quota_exceeded
    │   │   ├── FilesRefused           403  files_refused
    │   │   ├── PushRefused            403  push_refused
    │   │   ├── TooManyRooms           403  too_many_rooms
    │   │   ├── TooManySettings        403  too_many_settings
    │   │   ├── TooManyHooks           403  too_many_hooks
    │   │   ├── ProfileFull            403  profile_full
    │   │   └── RoomFull               403  room_full
    │   ├── NotFound                   404  never_seen
    │   ├── NoSuchRoom                 404  no_such_room
    │   ├── NoSuchHook                 404  no_such_hook
    │   ├── NoSuchDevice               404  no_such_device
    │   ├── NoSuchMessage              404  no_such_message
    │   ├── NoSuchFile                 404  no_such_file
    │   ├── NameInUse                  409  name_in_use
    │   ├── NameTaken                  409  name_taken
    │   ├── IdReused                   409  id_reused
    │   ├── LoggedInElsewhere          409  replaced
    │   ├── LastOwner                  409  last_owner
    │   ├── AlreadyMember              409  already_member
    │   ├── RecipientGone              410  not_here
    │   ├── TextTooLong                413  too_long
    │   │   └── FrameTooLong           413  frame_too_long
    │   ├── FileTooLong                413  file_too_large
    │   ├── RecipientBusy              429  recipient_busy          retryable
    │   ├── RateLimited                429  too_fast                retryable
    │   ├── LoginThrottled             429  too_many_failures       retryable
    │   ├── RegistrationThrottled      429  too_many_registrations  retryable
    │   ├── TooManyUploads             429  too_many_uploads        retryable
    │   ├── TooManyConnections         503  too_many_connections    retryable
    │   ├── ServerFull                 503  server_full             retryable
    │   ├── StoreUnavailable           503  store_unavailable       retryable
    │   ├── Upgrading                  503  upgrading               retryable
    │   ├── FileQuotaExceeded          507  file_quota_exceeded
    │   ├── FilesFull                  507  files_full              retryable
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

The classes are in the modules of this package, by status; all are imported from here.
"""

from __future__ import annotations

from typing import TypeVar

from gmessenger.errors.bad_requests import *
from gmessenger.errors.base import *
from gmessenger.errors.base import MessengerError, WireError
from gmessenger.errors.exits import *
from gmessenger.errors.forbidden import *
from gmessenger.errors.wire import *

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
