"""Short ways for many messages: those of one read to one target together, and one from guest to guest at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from gmessenger.constants import ONLINE
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX, fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.chatting import CTCP, shown_name
from gmessenger.server.irc.handler import IrcHandler, SentMessage
from gmessenger.server.irc.messages import EVERYBODY, MAX_LINE
from gmessenger.wire.irc.lines import BadLine, Line

MESSAGE_BATCH: Final = 32
"""Lines after which other greenlets may run."""
ANSWERED: Final = Capability.ECHO_MESSAGE | Capability.LABELED_RESPONSE
"""Capabilities with which a client is told of its messages."""


def group_messages(lines: list[Line | BadLine]) -> Iterator[list[Line | BadLine]]:
    """Return lines in groups: consecutive plain messages to one target together, anything else alone."""
    if len(lines) == 1:
        yield lines
        return
    for target, group in groupby(lines, batch_target):
        if target is None:
            for line in group:
                yield [line]
        else:
            found = list(group)
            for start in range(0, len(found), MESSAGE_BATCH):
                yield found[start : start + MESSAGE_BATCH]


def batch_target(line: Line | BadLine) -> str | None:
    """Return the target that a message may be batched for; None for anything else."""
    if type(line) is not Line or line.command != "PRIVMSG" or line.tags or len(line.params) != 2:
        return None
    target, text = line.params
    is_plain = text and not text.startswith(CTCP) and "," not in target
    return target if is_plain and target not in (EVERYBODY, BROADCAST_TARGET) else None


def send_batch(handler: IrcHandler, lines: list[Line | BadLine]) -> bool:
    """Send plain messages to one target together; False, and nothing was done, where each must be sent by itself."""
    session = handler.session
    if session is None or not handler.is_registered or session.outbox.closed:
        return False
    messages = [line for line in lines if type(line) is Line]
    target = messages[0].params[0]
    if target[:1] != ROOM_PREFIX:
        if is_away(handler, target):
            return False
        target = shown_name(handler, target)
    handler.card.active_at = handler.now()
    texts = [line.params[1] for line in messages]
    head = len(f":{handler.own_source} PRIVMSG {target} :".encode())
    if any(head + len(text.encode()) > MAX_LINE for text in texts):
        return False
    ids = _ids(handler, target, texts)
    sent = handler.messenger.message_service.send_batch(session, target, texts, ids, "msg")
    if not sent:
        for id in filter(None, ids):
            handler.sent.pop(id, None)
    return sent


def _ids(handler: IrcHandler, target: str, texts: list[str]) -> list[str | None]:
    """Return ids for messages, by which their answers are found; none between guests that want no answer."""
    if _is_relayed(handler, target) and not handler.capabilities & ANSWERED:
        return [None] * len(texts)
    ids: list[str | None] = []
    for text in texts:
        id = handler.next_id()
        handler.sent[id] = SentMessage("PRIVMSG", target, text)
        ids.append(id)
    return ids


def _is_relayed(handler: IrcHandler, target: str) -> bool:
    """Return whether messages to a target are refused at once or not at all."""
    session = handler.session
    accounts = handler.messenger.authenticator.accounts
    return (
        session is not None and session.account is None and target[:1] != ROOM_PREFIX and target.lower() not in accounts
    )


def relay_now(handler: IrcHandler, data: bytes) -> bool:
    """Relay one line from guest to guest where nothing can make it wait; else False, and nothing was done.

    Never blocks: called in a callback of the loop.
    """
    session = handler.session
    if (
        session is None
        or not handler.is_registered
        or session.account is not None
        or handler.capabilities & ANSWERED
        or session.outbox.closed
        or handler.connection.writer.is_blocked
    ):
        return False
    try:
        target, _, text = data[8:].decode().rstrip("\r\n").partition(" :")
    except UnicodeDecodeError:
        return False
    if not text or not target.isalnum() or not text.isprintable() or text[0] == CTCP:
        return False
    if len(data) + len(handler.own_source) > MAX_LINE:
        return False
    if is_away(handler, target):
        return False
    handler.card.active_at = handler.now()
    return handler.messenger.message_service.relay_now(session, target, text, None)


def is_away(handler: IrcHandler, name: str) -> bool:
    """Return whether who writes to a name has to be told that it is away."""
    return handler.messenger.presence.status(fold(name)).status != ONLINE
