"""Short ways for many messages: those of one read to one target together, and one from guest to guest at once."""

from __future__ import annotations

from typing import Final

from gmessenger.constants import ONLINE
from gmessenger.names import ROOM_PREFIX, fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.file_urls import has_file_url
from gmessenger.server.irc.handler import IrcHandler, IrcMessage
from gmessenger.server.irc.message_commands import CERTAIN_TO_FIT, shown_name, surely_fits
from gmessenger.server.irc.messages import MAX_UTF8
from gmessenger.server.irc.network import is_service
from gmessenger.wire.irc.lines import MAX_BODY
from gmessenger.wire.irc.text import is_plain

LF: Final = ord("\n")
MAX_LINE: Final = MAX_BODY + len("\r\n")
ANSWERED: Final = int(Capability.ECHO_MESSAGE | Capability.LABELED_RESPONSE)
"""Capabilities with which a client is told of its messages."""


def has_one_spelling(texts_by_target: dict[str, list[str]]) -> bool:
    """Return whether no target is spelled in two ways: else its messages would change their order."""
    targets = " ".join(texts_by_target)
    if targets.isascii() and targets == targets.lower():  # each is its own key, as `fold` says
        return True
    return len({fold(target) for target in texts_by_target}) == len(texts_by_target)


def send_batch(handler: IrcHandler, target: str, texts: list[str]) -> bool:
    """Send plain texts to one target together; False, and nothing was done, where each must be sent by itself."""
    session = handler.session
    if session is None or not handler.is_registered or session.outbox.closed or session.must_change_password:
        return False
    if target[:1] != ROOM_PREFIX:
        if is_away(handler, target) or is_service(target):
            return False
        target = shown_name(handler, target)
    if not _fit(handler, target, texts) or has_file_url(handler, *texts):
        return False
    ids = _ids(handler, target, texts)
    sent = handler.messenger.message_service.send_batch(session, target, texts, ids, "msg")
    if not sent:
        for id in filter(None, ids):
            handler.sent.pop(id, None)
    return sent


def _fit(handler: IrcHandler, target: str, texts: list[str]) -> bool:
    """Return whether each text can be sent to others as one line."""
    room = MAX_BODY - len(f":{handler.own_source} PRIVMSG {target} :".encode())
    longest = max(map(len, texts))
    return MAX_UTF8 * longest <= room or max([len(text.encode()) for text in texts]) <= room


def _ids(handler: IrcHandler, target: str, texts: list[str]) -> list[str | None]:
    """Return ids for messages, by which their answers are found; none between guests that want no answer."""
    if _is_relayed(handler, target) and not handler.bits & ANSWERED:
        return [None] * len(texts)
    ids: list[str | None] = []
    for text in texts:
        id = handler.next_id()
        handler.sent[id] = IrcMessage("PRIVMSG", target, text)
        ids.append(id)
    return ids


def _is_relayed(handler: IrcHandler, target: str) -> bool:
    """Return whether messages to a target are refused at once or not at all."""
    session, accounts = handler.session, handler.messenger.authenticator.accounts
    return (
        session is not None and session.account is None and target[:1] != ROOM_PREFIX and fold(target) not in accounts
    )


def relay_line(handler: IrcHandler, data: bytes) -> bool:
    """Relay the message in `data`, what one read returned, if that is exactly one PRIVMSG line; else return False.

    Never blocks: called in a callback of the loop.
    """
    if len(data) > MAX_LINE or data[-1] != LF:
        return False
    try:
        head, _, text = data.decode().rstrip("\r\n").partition(" :")
    except UnicodeDecodeError:
        return False
    command, _, target = head.partition(" ")
    # (Two lines are not relayed: `is_plain` refuses the text, or no name matches the target.)
    return command == "PRIVMSG" and is_plain(text) and relay_text(handler, target, text)


def relay_text(handler: IrcHandler, target: str, text: str) -> bool:
    """Relay a text from guest to guest where nothing can make it wait; else False, and nothing was done.

    text: what a line can have, and no CTCP. Never blocks: called in a callback of the loop, too.
    """
    session = handler.session
    if (
        session is None
        or not handler.is_registered
        or handler.bits & ANSWERED
        or handler.connection.writer.is_blocked
        or not text
        or ((len(text) > CERTAIN_TO_FIT or not text.isascii()) and not surely_fits(text))  # (mostly without a call)
    ):
        return False
    relay = handler.network.relay
    return relay(session, target, text, None, True)  # (by position: names take longer)


def is_away(handler: IrcHandler, name: str) -> bool:
    """Return whether who writes to a name has to be told that it is away."""
    return handler.messenger.presence.status(fold(name)).status != ONLINE
