"""METADATA: what users and rooms say of themselves (IRCv3 `draft/metadata-3`); the messenger calls it a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from gmessenger.chat.results import ProfileResult
from gmessenger.errors import NotFound, WireError
from gmessenger.names import ROOM_PREFIX, fold
from gmessenger.profiles import MAX_PROFILE_KEYS, change_profile, is_profile_key, is_profile_value
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import INVALID_TARGET, command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.profile_views import (
    ALL_TARGETS,
    BATCH_TYPE,
    offer_sync,
    reply_batch,
    subscribed_values,
    sync_all,
    sync_room,
    sync_user,
    value_reply,
)
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.rooms import find_visible_room
from gmessenger.server.irc.user_views import acts_as_operator, find_user
from gmessenger.wire.irc.capabilities import MAX_SUBSCRIPTIONS
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.numerics import (
    ERR_NEEDMOREPARAMS,
    ERR_NOTREGISTERED,
    RPL_METADATASUBOK,
    RPL_METADATASUBS,
    RPL_METADATASYNCLATER,
    RPL_METADATAUNSUBOK,
    Numeric,
)
from gmessenger.wire.irc.text import pack_words

COMMAND: Final = "METADATA"
OWN: Final = "*"
"""In place of a target: the client's own user; in place of a key: all keys."""
CHANGE_COST: Final = 2.0
"""Of a change, besides the command."""
SYNC_COST: Final = 4.0
RETRY_AFTER: Final = "5"
"""Seconds after which a client may ask that has not registered yet."""
KEYS_ROOM: Final = 300
"""Bytes of the keys in one line, few enough for the parameters that a line may have."""
MAX_KEYS_SHOWN: Final = 12
"""Keys in one line, each of which is a parameter."""
OF_PROFILES: Final = {
    **dict.fromkeys(("no_such_room", "never_seen", "bad_name"), INVALID_TARGET),
    **dict.fromkeys(
        ("not_member", "not_owner", "operators_only", "accounts_only", "muted", "room_closed", "forbidden"),
        "KEY_NO_PERMISSION",
    ),
    "profile_full": "LIMIT_REACHED",
}
"""Codes of standard replies to what is refused; other errors are said as those of other commands."""

Respond = Callable[[ProfileResult], None]


class MetadataCommand(Struct, frozen=True):
    """How a subcommand is handled, and how many parameters it needs; `cost`: besides that of the command."""

    handle: Callable[[IrcHandler, str, list[str]], None]
    least: int = 0
    cost: float = 0.0


def metadata(handler: IrcHandler, line: Line) -> None:
    """Handle METADATA, also before the registration is complete: then of the own user that is to be."""
    target, name, params = line.params[0], line.params[1].upper(), line.params[2:]
    subcommand = SUBCOMMANDS.get(name)
    if subcommand is None:
        text = f"The subcommands of METADATA are {', '.join(SUBCOMMANDS)}"
        handler.fail(COMMAND, "INVALID_PARAMS", quote_param(line.params[1]), text=text)
    elif len(params) < subcommand.least:
        handler.reply(ERR_NEEDMOREPARAMS, COMMAND)
    else:
        if subcommand.cost:
            handler.charge(subcommand.cost)
        subcommand.handle(handler, target, params)


def handle_early(handler: IrcHandler, line: Line) -> None:
    """Handle METADATA before the registration, of clients that have negotiated it."""
    if Capability.METADATA in handler.capabilities:
        metadata(handler, line)
    else:
        handler.reply(ERR_NOTREGISTERED)


# -- reading and changing profiles


def _read(handler: IrcHandler, target: str) -> ProfileResult:
    """Return the profile of a target. Raises as `ProfileService.profile`."""
    if not handler.is_registered:
        return ProfileResult(_early_target(target), handler.registration.profile)
    session, profiles = handler.require_session(), handler.messenger.profiles
    if target[:1] == ROOM_PREFIX:
        return profiles.of_room(session, _find_room(handler, target))
    return profiles.of_user(session, _find_user(handler, target))


def _change(handler: IrcHandler, target: str, changes: Mapping[str, str | None], respond: Respond) -> None:
    """Change the profile of a target, and respond. Blocks on the store. Raises as `ProfileService.profile`."""
    if not handler.is_registered:
        name = _early_target(target)
        handler.registration.profile = change_profile(handler.registration.profile, changes)
        respond(ProfileResult(name, handler.registration.profile))
        return
    session, profiles = handler.require_session(), handler.messenger.profiles
    if target[:1] == ROOM_PREFIX:
        change = partial(profiles.of_room, session, _find_room(handler, target), changes)
    else:
        change = partial(profiles.of_user, session, _find_user(handler, target), changes)
    handler.messenger.change_runner.run(change, respond)


def _early_target(target: str) -> str:
    """Return the only target that a client has before its registration. Raises `NotFound`."""
    if target != OWN:
        raise NotFound
    return OWN


def _find_user(handler: IrcHandler, target: str) -> str:
    """Return the name of a user as shown. Raises `NotFound`."""
    user = find_user(handler, handler.nick if target == OWN else target)
    if user is None:
        raise NotFound
    return user.name


def _find_room(handler: IrcHandler, target: str) -> str:
    """Return the name of a room of which the client may know. Raises `NoSuchRoom`."""
    return target if acts_as_operator(handler) else find_visible_room(handler, target).name


def _refuse(handler: IrcHandler, target: str, key: str, error: WireError) -> None:
    code = OF_PROFILES.get(error.code, "")
    if not code:
        handler.add(command_refusal(handler, COMMAND, target, error))
        return
    contexts: dict[str, tuple[str, ...]] = {INVALID_TARGET: (), "LIMIT_REACHED": (str(MAX_PROFILE_KEYS),)}
    handler.fail(COMMAND, code, target, *contexts.get(code, (key,)), text=str(error))


def _get(handler: IrcHandler, target: str, keys: list[str]) -> None:
    """Answer GET: each key, in the order in which they are asked for."""
    _tell(handler, target, keys)


def _list(handler: IrcHandler, target: str, params: list[str]) -> None:
    """Answer LIST: all keys."""
    _tell(handler, target, None)


def _tell(handler: IrcHandler, target: str, keys: list[str] | None) -> None:
    """Answer with the values of keys, of all that there are for None."""
    try:
        found = _read(handler, target)
    except WireError as error:
        _refuse(handler, target, OWN, error)
        return
    with reply_batch(handler, BATCH_TYPE, found.name) as add:
        for key in found.profile if keys is None else keys:
            if is_profile_key(key):
                add(value_reply(handler, found.name, key, found.profile.get(key)))
            else:
                add(_invalid_key(handler, key))


def _set(handler: IrcHandler, target: str, params: list[str]) -> None:
    """Answer SET: of one key, which is removed where there is no value."""
    key, value = params[0], params[1] if len(params) > 1 else ""
    if not is_profile_key(key):
        handler.add(_invalid_key(handler, key))
    elif value and not is_profile_value(value):
        handler.fail(COMMAND, "INVALID_VALUE", key, text="This value is too long, or has characters that none may have")
    else:
        try:
            _change(handler, target, {key: value or None}, lambda result: _say_value(handler, result, key))
        except WireError as error:
            _refuse(handler, target, key, error)


def _say_value(handler: IrcHandler, changed: ProfileResult, key: str) -> None:
    handler.add(value_reply(handler, changed.name, key, changed.profile.get(key)))


def _clear(handler: IrcHandler, target: str, params: list[str]) -> None:
    """Answer CLEAR: all keys are removed."""
    try:
        keys = dict.fromkeys(_read(handler, target).profile)
        _change(handler, target, keys, lambda result: _say_cleared(handler, result, keys))
    except WireError as error:
        _refuse(handler, target, OWN, error)


def _say_cleared(handler: IrcHandler, changed: ProfileResult, keys: Iterable[str]) -> None:
    with reply_batch(handler, BATCH_TYPE, changed.name) as add:
        for key in keys:
            add(value_reply(handler, changed.name, key, changed.profile.get(key)))


def _invalid_key(handler: IrcHandler, key: str) -> Reply:
    text = "A key has small letters, digits and _./- only"
    return handler.failure(COMMAND, "INVALID_KEY", quote_param(key), text=text)


# -- subscriptions


def _subscribe(handler: IrcHandler, target: str, keys: list[str]) -> None:
    """Answer SUB: the client is told of changes of these keys from now on."""
    added: list[str] = []
    for key in keys:
        if not is_profile_key(key):
            handler.add(_invalid_key(handler, key))
            continue
        if key not in handler.subscribed_keys and len(handler.subscribed_keys) >= MAX_SUBSCRIPTIONS:
            handler.fail(COMMAND, "LIMIT_REACHED", key, str(MAX_SUBSCRIPTIONS), text="These are too many keys")
            break
        handler.subscribed_keys[key] = None
        added.append(key)
    handler.follow_profiles()
    _say_keys(handler, RPL_METADATASUBOK, added)
    if added and handler.is_registered:
        for reply in offer_sync(handler, ALL_TARGETS):
            handler.add(reply)


def _unsubscribe(handler: IrcHandler, target: str, keys: list[str]) -> None:
    """Answer UNSUB."""
    removed = []
    for key in keys:
        if is_profile_key(key):
            handler.subscribed_keys.pop(key, None)
            removed.append(key)
        else:
            handler.add(_invalid_key(handler, key))
    handler.follow_profiles()
    _say_keys(handler, RPL_METADATAUNSUBOK, removed)


def _say_subscriptions(handler: IrcHandler, target: str, params: list[str]) -> None:
    """Answer SUBS."""
    with reply_batch(handler, "metadata-subs") as add:
        for keys in _split_keys(handler.subscribed_keys):
            add(handler.numeric(RPL_METADATASUBS, *keys))


def _say_keys(handler: IrcHandler, numeric: Numeric, keys: Iterable[str]) -> None:
    for part in _split_keys(keys):
        handler.reply(numeric, *part)


def _split_keys(keys: Iterable[str]) -> Iterable[list[str]]:
    """Yield keys, each once, as many at a time as a line may have."""
    for text in pack_words(dict.fromkeys(keys), KEYS_ROOM):
        words = text.split(" ")
        for start in range(0, len(words), MAX_KEYS_SHOWN):
            yield words[start : start + MAX_KEYS_SHOWN]


def _sync(handler: IrcHandler, target: str, params: list[str]) -> None:
    """Answer SYNC: the keys that the client has subscribed to, of a room and of who is in it, of a user, or of all."""
    if not handler.is_registered:
        handler.reply(RPL_METADATASYNCLATER, quote_param(target), RETRY_AFTER)
    elif target.upper() == ALL_TARGETS:
        sync_all(handler)
    else:
        try:
            _sync_target(handler, _read(handler, target))
        except WireError as error:
            _refuse(handler, target, OWN, error)


def _sync_target(handler: IrcHandler, found: ProfileResult) -> None:
    room = handler.messenger.rooms.get(fold(found.name)) if found.name[:1] == ROOM_PREFIX else None
    if room is not None and room.has_member(handler.require_session()):
        sync_room(handler, room)
    elif found.name[:1] == ROOM_PREFIX:  # of who is in it, an outsider is shown nothing
        with reply_batch(handler, BATCH_TYPE, found.name) as add:
            for reply in subscribed_values(handler, found.name, found.profile):
                add(reply)
    else:
        sync_user(handler, fold(found.name), found.name)


SUBCOMMANDS: Final = {
    "GET": MetadataCommand(_get, 1),
    "LIST": MetadataCommand(_list),
    "SET": MetadataCommand(_set, 1, CHANGE_COST),
    "CLEAR": MetadataCommand(_clear, 0, CHANGE_COST),
    "SUB": MetadataCommand(_subscribe, 1),
    "UNSUB": MetadataCommand(_unsubscribe, 1),
    "SUBS": MetadataCommand(_say_subscriptions),
    "SYNC": MetadataCommand(_sync, 0, SYNC_COST),
}
