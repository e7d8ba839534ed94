"""PRIVMSG and NOTICE: what a client says."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.records import About
from gmessenger.errors import BroadcastDisabled, TextTooLong, WireError
from gmessenger.names import BROADCAST_TARGET, MAX_NAME, ROOM_PREFIX, fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.client_tags import about_of, ask_client, kept_tags, relayable_tags, send_signal
from gmessenger.server.irc.errors import message_refusal, refuse_multiline
from gmessenger.server.irc.file_urls import take_file
from gmessenger.server.irc.handler import REFUSED_COST, IrcHandler, IrcMessage, ResponseGroup
from gmessenger.server.irc.messages import ACTION_END, ACTION_START, EVERYBODY, MAX_UTF8
from gmessenger.server.irc.modes import split_target
from gmessenger.server.irc.multiline_batches import LINE_COST
from gmessenger.server.irc.network import MAX_TARGETS, SERVICE, is_service
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.response_groups import answer_in_group, end_in_group, open_group
from gmessenger.server.irc.services import handle_service_message
from gmessenger.server.irc.user_views import away_reply, find_user
from gmessenger.server.irc.users import MAX_SOURCE
from gmessenger.wire.irc.lines import MAX_BODY, Line
from gmessenger.wire.irc.numerics import ERR_NORECIPIENT, ERR_NOTEXTTOSEND, ERR_TOOMANYTARGETS
from gmessenger.wire.irc.text import CTCP

BATCH_TAG: Final = "batch"
SERVICE_COST: Final = 1.0
CERTAIN_TO_FIT: Final = MAX_BODY - len(":  PRIVMSG  :") - MAX_SOURCE - len(ROOM_PREFIX) - 4 * MAX_NAME
"""Bytes of a text that fits a line whatever the names before it are."""


def say(handler: IrcHandler, line: Line) -> None:
    """Handle PRIVMSG and NOTICE."""
    if not line.params or not line.params[0]:
        handler.charge(REFUSED_COST)
        handler.reply(ERR_NORECIPIENT, text=f"No recipient given ({line.command})")
        return
    text = line.params[1] if len(line.params) > 1 else ""
    if BATCH_TAG in line.tags:
        handler.charge(LINE_COST)
        refuse_multiline(handler, handler.multiline.add(line, text))
        return
    if not text:
        handler.charge(REFUSED_COST)
        handler.reply(ERR_NOTEXTTOSEND)
        return
    targets = line.params[0].split(",")
    if len(targets) > MAX_TARGETS:
        handler.charge(REFUSED_COST)
        handler.reply(ERR_TOOMANYTARGETS, line.params[0][:100])
        return
    targets = list(dict.fromkeys(targets))
    group = open_group(handler, len(targets))
    for target in targets:
        try:
            is_answered_later = say_to(handler, line.command, target, text, line.tags, group)
            if group is not None and not is_answered_later:
                end_in_group(handler, group)
        except WireError as error:
            refuse_message(handler, line.command, target, error, group)


def refuse_message(
    handler: IrcHandler, command: str, target: str, error: WireError, group: ResponseGroup | None = None
) -> None:
    """Answer a message that was refused at once; a notice is not answered, unless it has a label."""
    handler.messenger.stats.refused[error.code] += 1
    refusal = message_refusal(handler, command, target, error.to_fields())
    if group is not None:
        for line in answer_in_group(handler, group, [refusal]):
            handler.add(line)
    elif command != "NOTICE" or handler.buffer.label is not None:
        handler.add(refusal)


def say_to(
    handler: IrcHandler,
    command: str,
    target: str,
    text: str,
    tags: dict[str, str],
    group: ResponseGroup | None = None,
) -> bool:
    """Send a text to a name or a room; return whether it is answered later, under the label or in the group.

    Raises as `MessageService.send`, and `NotFound`.
    """
    if target in (EVERYBODY, BROADCAST_TARGET):
        _broadcast(handler, command, text, group)
        return True
    if is_service(target):
        _ask_service(handler, command, text)
        return False
    kind = "notice" if command == "NOTICE" else ""
    if text.startswith(CTCP) and not text.startswith(ACTION_START):
        ask_client(handler, command, target, text, tags)
        return False
    if split_target(target)[1] != "member":
        check_fits(handler, command, target, text)
        send_signal(handler, target, relayable_tags(handler, tags), text, kind)
        return False
    if text.startswith(ACTION_START):
        kind, text = "action", text[len(ACTION_START) :].removesuffix(ACTION_END)
    check_fits(handler, command, target, text)
    about = about_of(handler, target, tags)
    message = IrcMessage(command, target, text, kind, tags=kept_tags(handler, tags, about), group=group)
    send(handler, message, about)
    if command == "PRIVMSG" and target[:1] != ROOM_PREFIX:
        _say_if_away(handler, target)
    return True


def _ask_service(handler: IrcHandler, command: str, text: str) -> None:
    """Pass a PRIVMSG or NOTICE to the service, after its echo if `echo-message` is on. A NOTICE gets no reply."""
    handler.charge(SERVICE_COST)
    if Capability.ECHO_MESSAGE in handler.capabilities:
        handler.add(Reply(handler.own_source, command, (SERVICE, text), is_text=True))
    if command == "PRIVMSG":
        handle_service_message(handler, text)


def _say_if_away(handler: IrcHandler, name: str) -> None:
    """Say that who was written to is away."""
    user = find_user(handler, name)
    if user is not None and user.is_away and user.key != handler.key:
        handler.add(away_reply(handler, user))


def send(handler: IrcHandler, message: IrcMessage, about: About | None = None) -> None:
    """Send a message, with a file whose URL is in it; its answer comes later. Raises as `MessageService.send`."""
    session, id = handler.require_session(), handler.next_id()
    file = take_file(handler, message, about)
    if message.target[:1] != ROOM_PREFIX:
        message.target = shown_name(handler, message.target)
    message.label = handler.buffer.take_label()
    handler.sent[id] = message
    try:
        handler.messenger.message_service.send(
            session, message.target, message.text, id, "msg", message.kind, about, file, message.tags or None
        )
    except BaseException:
        handler.buffer.return_label(handler.sent.pop(id).label)
        raise


def check_fits(handler: IrcHandler, command: str, target: str, text: str) -> None:
    """Raise `TextTooLong` for a line that the others could not be sent as one: clients split their texts themselves.

    They reckon with their own user, and that of another client of the account, which others are shown, may be longer.
    """
    if surely_fits(text):
        return
    length = len(f":{handler.own_source} {command} {target} :{text}".encode())
    if length - len(handler.network.users.user(handler.nick)) + len(handler.card.user) > MAX_BODY:
        handler.charge(REFUSED_COST)
        raise TextTooLong("The line is longer than what others can be sent as one.")


def surely_fits(text: str) -> bool:
    """Return whether a text can be sent to others as one line; False, for few, where that has to be counted."""
    return (len(text) if text.isascii() else MAX_UTF8 * len(text)) <= CERTAIN_TO_FIT


def shown_name(handler: IrcHandler, name: str) -> str:
    """Return a name as its owner spells it; as it is where there is none."""
    key = fold(name)
    account = handler.messenger.authenticator.accounts.get(key)
    return account.name if account is not None else handler.messenger.router.shown_names.get(key, name)


def _broadcast(handler: IrcHandler, command: str, text: str, group: ResponseGroup | None) -> None:
    if not handler.messenger.policy.broadcast:
        handler.charge(REFUSED_COST)
        raise BroadcastDisabled
    send(handler, IrcMessage(command, BROADCAST_TARGET, text, group=group))
