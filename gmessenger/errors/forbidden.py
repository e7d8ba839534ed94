"""Errors of status 403: the request is understood, and not allowed."""

from __future__ import annotations

from typing import Any

from gmessenger.errors.base import ErrorFields, WireError


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


class WrongKey(Forbidden):
    code = "wrong_key"
    message = "The room has a key, and this is not it."


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


class FilesRefused(Forbidden):
    code = "files_refused"
    message = "This server keeps no files."


class PushRefused(Forbidden):
    code = "push_refused"
    message = "This server sends no push messages."


class TooManyRooms(Forbidden):
    code = "too_many_rooms"
    message = "The limit on the number of rooms is reached."


class TooManySettings(Forbidden):
    code = "too_many_settings"
    message = "The limit on your settings is reached."


class TooManyHooks(Forbidden):
    code = "too_many_hooks"
    message = "There are too many hooks in this room; revoke one first."


class ProfileFull(Forbidden):
    code = "profile_full"
    message = "The limit on the keys of a profile is reached; remove one first."


class RoomFull(Forbidden):
    code = "room_full"
    message = "The room is full."
