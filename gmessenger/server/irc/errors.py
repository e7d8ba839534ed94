"""The errors of the messenger as IRC says them. One table: code → numeric, or standard reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from gmessenger.errors import ErrorFields, WireError
from gmessenger.names import ROOM_PREFIX
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.multiline_batches import MultilineRefusal
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.lines import quote_param
from gmessenger.wire.irc.numerics import (
    ERR_ALREADYREGISTERED,
    ERR_BADCHANNELKEY,
    ERR_BANNEDFROMCHAN,
    ERR_CANNOTSENDTOCHAN,
    ERR_CANTSENDTOUSER,
    ERR_CHANNELISFULL,
    ERR_CHANOPRIVSNEEDED,
    ERR_ERRONEUSNICKNAME,
    ERR_INPUTTOOLONG,
    ERR_INVITEONLYCHAN,
    ERR_NEEDREGGEDNICK,
    ERR_NICKNAMEINUSE,
    ERR_NOPRIVILEGES,
    ERR_NOSUCHCHANNEL,
    ERR_NOSUCHNICK,
    ERR_NOTONCHANNEL,
    ERR_NOTREGISTERED,
    ERR_PASSWDMISMATCH,
    ERR_TOOMANYCHANNELS,
    ERR_UNKNOWNERROR,
    ERR_USERNOTINCHANNEL,
    ERR_USERONCHANNEL,
    RPL_TRYAGAIN,
    Numeric,
)


class Refusal(Struct, frozen=True):
    """How an error is said: by a numeric, with the target where `has_target`, or by a standard reply of this code."""

    numeric: Numeric | None = None
    code: str = ""
    has_target: bool = True


def _numeric(numeric: Numeric, *, has_target: bool = True) -> Refusal:
    return Refusal(numeric, has_target=has_target)


REFUSALS: Final[dict[str, Refusal]] = {
    "account_deleted": _numeric(ERR_NOPRIVILEGES, has_target=False),
    "accounts_only": Refusal(ERR_NOPRIVILEGES, "ACCOUNT_REQUIRED", has_target=False),
    "already_logged_in": _numeric(ERR_ALREADYREGISTERED, has_target=False),
    "already_member": _numeric(ERR_USERONCHANNEL),
    "bad_name": _numeric(ERR_ERRONEUSNICKNAME),
    "bad_text": Refusal(None, "INVALID_UTF8", has_target=False),
    "blocked": _numeric(ERR_CANTSENDTOUSER),
    "broadcast_refused": _numeric(ERR_NOPRIVILEGES, has_target=False),
    "forbidden": _numeric(ERR_NOPRIVILEGES, has_target=False),
    "internal_error": _numeric(ERR_UNKNOWNERROR, has_target=False),
    "invited_only": _numeric(ERR_INVITEONLYCHAN),
    "last_owner": _numeric(ERR_CHANOPRIVSNEEDED),
    "muted": _numeric(ERR_CANNOTSENDTOCHAN),
    "name_confusable": _numeric(ERR_ERRONEUSNICKNAME),
    "name_in_use": _numeric(ERR_NICKNAMEINUSE),
    "name_taken": _numeric(ERR_NICKNAMEINUSE),
    "never_seen": _numeric(ERR_NOSUCHNICK),
    "no_such_message": Refusal(None, "UNKNOWN_MSGID"),
    "no_such_room": _numeric(ERR_NOSUCHCHANNEL),
    "not_here": _numeric(ERR_NOSUCHNICK),
    "not_logged_in": _numeric(ERR_NOTREGISTERED, has_target=False),
    "not_member": _numeric(ERR_NOTONCHANNEL),
    "not_owner": _numeric(ERR_CHANOPRIVSNEEDED),
    "not_yours": Refusal(None, "REDACT_FORBIDDEN"),
    "only_speakers": _numeric(ERR_CANNOTSENDTOCHAN),
    "operators_only": _numeric(ERR_NOPRIVILEGES, has_target=False),
    "password_needed": _numeric(ERR_PASSWDMISMATCH, has_target=False),
    "quota_exceeded": _numeric(ERR_CANNOTSENDTOCHAN),
    "recipient_busy": Refusal(None, "RECIPIENT_BUSY"),
    "room_closed": _numeric(ERR_BANNEDFROMCHAN),
    "room_full": _numeric(ERR_CHANNELISFULL),
    "shut_out": _numeric(ERR_BANNEDFROMCHAN),
    "silenced": _numeric(ERR_CANNOTSENDTOCHAN),
    "store_unavailable": Refusal(None, "TEMPORARILY_UNAVAILABLE"),
    "too_fast": Refusal(RPL_TRYAGAIN, "RATE_LIMITED"),
    "too_late": Refusal(None, "REDACT_FORBIDDEN"),
    "too_long": _numeric(ERR_INPUTTOOLONG, has_target=False),
    "too_many_rooms": _numeric(ERR_TOOMANYCHANNELS),
    "wrong_key": _numeric(ERR_BADCHANNELKEY),
    "wrong_password": _numeric(ERR_PASSWDMISMATCH, has_target=False),
}
"""How errors are said; any other is a standard reply of its code in capitals."""
OF_MESSAGES: Final[dict[str, Refusal]] = {
    "not_member": _numeric(ERR_CANNOTSENDTOCHAN),
    "room_closed": _numeric(ERR_CANNOTSENDTOCHAN),
    "shut_out": _numeric(ERR_CANNOTSENDTOCHAN),
}
"""How they are said of a message."""
OF_ROOMS: Final[dict[str, Refusal]] = {
    "accounts_only": _numeric(ERR_CHANOPRIVSNEEDED),
    "bad_name": _numeric(ERR_NOSUCHCHANNEL),
    "bad_request": _numeric(ERR_UNKNOWNERROR),
    "name_confusable": _numeric(ERR_NOSUCHCHANNEL),
    "never_seen": _numeric(ERR_USERNOTINCHANNEL),
}
"""How they are said where the target is a room, of another command than a message."""
OF_JOINS: Final[dict[str, Refusal]] = OF_ROOMS | {"accounts_only": _numeric(ERR_NEEDREGGEDNICK)}
"""How they are said of the command to join a room."""


INVALID_TARGET: Final = "INVALID_TARGET"
OF_HISTORY: Final = dict.fromkeys(
    ("not_member", "no_such_room", "never_seen", "not_here", "accounts_only", "bad_name"), INVALID_TARGET
)
"""Codes of standard replies about conversations that cannot be read."""
OF_SEARCHES: Final = OF_HISTORY | {"accounts_only": "ACCOUNT_REQUIRED"}
"""The same of searches, of which there are none for guests."""
OF_REDACTIONS: Final = {
    **dict.fromkeys(("not_member", "no_such_room", "never_seen", "not_here", "room_closed"), INVALID_TARGET),
    **dict.fromkeys(("not_yours", "too_late", "forbidden", "muted", "accounts_only"), "REDACT_FORBIDDEN"),
    "no_such_message": "UNKNOWN_MSGID",
    "store_unavailable": "TEMPORARILY_UNAVAILABLE",
    "too_fast": "RATE_LIMITED",
}
"""Codes of standard replies to the removal of a message; any other is the error's in capitals."""


def command_refusal(handler: IrcHandler, command: str, target: str, error: WireError) -> Reply:
    """Return the reply to a command that was refused, about a target or none."""
    special = OF_JOINS if command == "JOIN" else OF_ROOMS if target[:1] == ROOM_PREFIX else {}
    return _refusal(handler, command, target, error.to_fields(), special)


def message_refusal(handler: IrcHandler, command: str, target: str, error: ErrorFields) -> Reply:
    """Return the reply to a message that was refused."""
    return _refusal(handler, command, target, error, OF_MESSAGES)


def refuse_multiline(handler: IrcHandler, refusal: MultilineRefusal | None) -> None:
    """Answer that a message of several lines is refused, if it is."""
    if refusal is not None:
        handler.buffer.return_label(refusal.label)
        handler.fail("BATCH", refusal.code, *refusal.context, text="This is not a valid message of several lines")


def redaction_refusal(handler: IrcHandler, target: str, id: str, error: ErrorFields) -> Reply:
    """Return the reply to the removal of a message that was refused."""
    code, sentence = str(error["code"]), str(error["error"])
    shown = OF_REDACTIONS.get(code, code.upper())
    context = (target,) if shown == INVALID_TARGET else (target, id)
    return handler.failure("REDACT", shown, *context, text=sentence)


def _refusal(
    handler: IrcHandler, command: str, target: str, error: ErrorFields, special: Mapping[str, Refusal]
) -> Reply:
    code, sentence = str(error["code"]), str(error["error"])
    refusal = special.get(code) or REFUSALS.get(code) or Refusal(None, code.upper())
    context = (quote_param(target),) if refusal.has_target and target else ()
    has_standard = Capability.STANDARD_REPLIES in handler.capabilities
    if refusal.numeric is not None and not (refusal.code and has_standard):
        if refusal.code:
            context = (command,)
        return handler.numeric(refusal.numeric, *context, text=sentence)
    if has_standard:
        if "retry_after" in error and code == "too_fast":
            context = (str(error["retry_after"]),)
        return handler.failure(command, refusal.code, *context, text=sentence)
    return handler.notice(f"{command}{''.join(f' {each}' for each in context)}: {sentence}")
