"""PRIVMSG, NOTICE and TAGMSG: what a client says."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.records import About
from gmessenger.errors import BroadcastDisabled, NotFound, TextTooLong, WireError
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler, SentMessage
from gmessenger.server.irc.messages import ACTION_END, ACTION_START, EVERYBODY, MAX_LINE, REPLY_TAG
from gmessenger.server.irc.network import MAX_TARGETS, conversation_of
from gmessenger.server.irc.user_views import away_reply, find_user
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.numerics import (
    ERR_CANNOTSENDTOCHAN,
    ERR_NORECIPIENT,
    ERR_NOTEXTTOSEND,
    ERR_TOOMANYTARGETS,
)

CTCP: Final = "\x01"
CERTAIN_TO_FIT: Final = 40
"""Characters that fit a line whatever the names before them are."""
REPLY_TAGS: Final = (REPLY_TAG, "+reply")


def say(handler: IrcHandler, line: Line) -> None:
    """Handle PRIVMSG and NOTICE."""
    if not line.params or not line.params[0]:
        handler.reply(ERR_NORECIPIENT, text=f"No recipient given ({line.command})")
        return
    text = line.params[1] if len(line.params) > 1 else ""
    if not text:
        handler.reply(ERR_NOTEXTTOSEND)
        return
    handler.card.active_at = handler.now()
    targets = line.params[0].split(",")
    if len(targets) > MAX_TARGETS:
        handler.reply(ERR_TOOMANYTARGETS, line.params[0][:100])
        return
    for target in dict.fromkeys(targets):
        try:
            say_to(handler, line.command, target, text, line.tags)
        except WireError as error:
            refuse_message(handler, line.command, target, error)


def refuse_message(handler: IrcHandler, command: str, target: str, error: WireError) -> None:
    """Answer a message that was refused at once; a notice is not answered, unless it has a label."""
    handler.messenger.stats.refused[error.code] += 1
    if command != "NOTICE" or handler.buffer.label is not None:
        handler.add(command_refusal(handler, command, target, error))


def say_to(handler: IrcHandler, command: str, target: str, text: str, tags: dict[str, str]) -> None:
    """Send a text to a name or a room. Raises as `MessageService.send`, and `NotFound`."""
    if target in (EVERYBODY, BROADCAST_TARGET):
        _broadcast(handler, command, text)
        return
    kind = "notice" if command == "NOTICE" else ""
    if text.startswith(CTCP):
        if not text.startswith(ACTION_START):
            _refuse_ctcp(handler, target)
            return
        kind, text = "action", text[len(ACTION_START) :].removesuffix(ACTION_END)
    send(handler, command, target, text, kind, about_of(handler, target, tags))
    if command == "PRIVMSG" and target[:1] != ROOM_PREFIX:
        _say_if_away(handler, target)


def _say_if_away(handler: IrcHandler, name: str) -> None:
    """Say that who was written to is away."""
    user = find_user(handler, name)
    if user is not None and user.is_away and user.key != handler.key:
        handler.add(away_reply(handler, user))


def send(handler: IrcHandler, command: str, target: str, text: str, kind: str = "", about: About | None = None) -> None:
    """Send a text, whose answer comes later. Raises as `MessageService.send`."""
    session, id = handler.require_session(), handler.next_id()
    if target[:1] != ROOM_PREFIX:
        target = shown_name(handler, target)
    check_fits(handler, command, target, text)
    handler.sent[id] = SentMessage(command, target, text, kind, handler.buffer.take_label(), is_echoed=True)
    try:
        handler.messenger.message_service.send(session, target, text, id, "msg", kind, about)
    except BaseException:
        handler.buffer.return_label(handler.sent.pop(id).label)
        raise


def check_fits(handler: IrcHandler, command: str, target: str, text: str) -> None:
    """Raise `TextTooLong` for a line that the others could not be sent as one: clients split their texts themselves."""
    if len(text) > CERTAIN_TO_FIT and len(f":{handler.own_source} {command} {target} :{text}".encode()) > MAX_LINE:
        raise TextTooLong("The line is longer than what others can be sent as one.")


def shown_name(handler: IrcHandler, name: str) -> str:
    """Return a name as its owner spells it; as it is where there is none."""
    key = fold(name)
    account = handler.messenger.authenticator.accounts.get(key)
    return account.name if account is not None else handler.messenger.router.shown_names.get(key, name)


def about_of(handler: IrcHandler, target: str, tags: dict[str, str]) -> About | None:
    """Return which message a message replies to, by its tags; None where that is none of the conversation."""
    id = next((tags[tag] for tag in REPLY_TAGS if tag in tags), None)
    if id is None:
        return None
    seq = handler.network.ids.find(conversation_of(handler.nick, target), id)
    return About(seq) if seq is not None else None


def _broadcast(handler: IrcHandler, command: str, text: str) -> None:
    session, id = handler.require_session(), handler.next_id()
    if not handler.messenger.policy.broadcast:
        raise BroadcastDisabled
    handler.sent[id] = SentMessage(command, BROADCAST_TARGET, text, "", handler.buffer.take_label())
    handler.messenger.message_service.send(session, BROADCAST_TARGET, text, id, "msg")


def _refuse_ctcp(handler: IrcHandler, target: str) -> None:
    """Refuse CTCP: it would be kept, and answered when it is read again."""
    handler.reply(ERR_CANNOTSENDTOCHAN, target, text="No CTCP is passed on, but ACTION")


def say_tags(handler: IrcHandler, line: Line) -> None:
    """Handle TAGMSG: its tags are for those who are here, and kept nowhere."""
    if not line.params or not line.params[0]:
        handler.reply(ERR_NORECIPIENT, text="No recipient given (TAGMSG)")


def check_target(handler: IrcHandler, target: str) -> None:
    """Raise `NotFound` where there is no such name."""
    key = fold(target)
    if key not in handler.messenger.authenticator.accounts and key not in handler.messenger.router:
        raise NotFound
