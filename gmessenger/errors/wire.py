"""Errors with a status of 404 or above: not found, conflicts, limits exceeded, and failures of the server."""

from __future__ import annotations

from gmessenger.errors.base import WireError


class NotFound(WireError):
    status = 404
    code = "never_seen"
    message = "This name is not known on this server."


class NoSuchRoom(WireError):
    status = 404
    code = "no_such_room"
    message = "There is no such room."


class NoSuchHook(WireError):
    status = 404
    code = "no_such_hook"
    message = "There is no such hook."


class NoSuchDevice(WireError):
    status = 404
    code = "no_such_device"
    message = "No device of that name is logged in to this account."


class NoSuchMessage(WireError):
    status = 404
    code = "no_such_message"
    message = "There is no such message in this conversation, or it was erased."


class NoSuchFile(WireError):
    status = 404
    code = "no_such_file"
    message = "There is no such file of yours that waits to be sent."


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


class FileTooLong(WireError):
    status = 413
    code = "file_too_large"
    message = "The file is too large for this server."


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


class TooManyUploads(WireError):
    status = 429
    code = "too_many_uploads"
    retryable = True
    message = "Too many files are being uploaded; try again in a moment."


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


class FileQuotaExceeded(WireError):
    status = 507
    code = "file_quota_exceeded"
    message = "The file cannot be kept: your space for files on this server is used up."


class FilesFull(WireError):
    status = 507
    code = "files_full"
    retryable = True
    message = "The file cannot be kept: this server's space for files is used up."


class InternalError(WireError):
    status = 500
    code = "internal_error"
    retryable = True
    message = "The server had an internal error, which it has logged."
