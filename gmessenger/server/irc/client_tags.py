"""Tags of clients, TAGMSG and CTCP: what clients tell each other beside the text that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gmessenger.chat.outbound import Signal
from gmessenger.chat.records import About
from gmessenger.errors import Blocked, Muted, RateLimited, WireError
from gmessenger.names import ROOM_PREFIX
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import REFUSED_COST, IrcHandler
from gmessenger.server.irc.messages import REACT_TAG, REPLY_TAGS, UNREACT_TAG, MessageFormatter
from gmessenger.server.irc.modes import split_target
from gmessenger.server.irc.network import conversation_of
from gmessenger.wire.irc.numerics import ERR_CANNOTSENDTOCHAN

DCC: Final = "\x01DCC"
UNANSWERED: Final = (Blocked, Muted, RateLimited)
"""Errors that are not worth a line for each keystroke."""
REACTIONS: Final = {REACT_TAG: "react", UNREACT_TAG: "unreact"}


def relayable_tags(handler: IrcHandler, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a client's line that are for other clients."""
    if Capability.MESSAGE_TAGS not in handler.capabilities:
        return {}
    return {key: value for key, value in tags.items() if key[0] == "+"}


def kept_tags(handler: IrcHandler, tags: Mapping[str, str], about: About | None) -> dict[str, str]:
    """Return the same without those that say which message a message is about, where that is known."""
    relayable = relayable_tags(handler, tags)
    if about is not None:
        for tag in (*REPLY_TAGS, *(REACTIONS if about.what else ())):
            relayable.pop(tag, None)
    return relayable


def about_of(handler: IrcHandler, target: str, tags: Mapping[str, str]) -> About | None:
    """Return which message a message replies to, by its tags; None where that is none of the conversation."""
    id = next((tags[tag] for tag in REPLY_TAGS if tag in tags), None)
    if id is None:
        return None
    seq = handler.network.ids.find(conversation_of(handler.nick, target), id)
    return About(seq) if seq is not None else None


def reaction_of(handler: IrcHandler, target: str, tags: Mapping[str, str]) -> tuple[About, str] | None:
    """Return the reaction of a TAGMSG to a stored message, and its text; None where it is none of an account."""
    session, about = handler.require_session(), about_of(handler, target, tags)
    tag = next((tag for tag in REACTIONS if tag in tags), None)
    if session.account is None or about is None or tag is None:
        return None
    about.what = REACTIONS[tag]
    return about, tags[tag]


def ask_client(handler: IrcHandler, command: str, target: str, text: str, tags: Mapping[str, str]) -> None:
    """Pass on a CTCP question or answer to the IRC clients of a name. It is kept nowhere, so it is asked once.

    Raises as `SignalService.send`.
    """
    if split_target(target)[0][:1] == ROOM_PREFIX or text.startswith(DCC):
        handler.charge(REFUSED_COST)
        handler.reply(
            ERR_CANNOTSENDTOCHAN, target, text="No CTCP is passed on to channels but ACTION, and DCC to nobody"
        )
        return
    kind = "notice" if command == "NOTICE" else ""
    send_signal(handler, target, relayable_tags(handler, tags), text, kind)


def send_signal(handler: IrcHandler, target: str, tags: Mapping[str, str], text: str = "", kind: str = "") -> None:
    """Send a signal, and echo it where that was negotiated. Raises as `SignalService.send`."""
    session, (to, least) = handler.require_session(), split_target(target)
    signal = handler.messenger.signals.send(session, to, tags, text, kind, least)
    if Capability.ECHO_MESSAGE in handler.capabilities:
        for reply in MessageFormatter(handler.network).signal_replies(signal, handler.capabilities):
            handler.add(reply)
    if is_to_itself(handler, signal):
        session.outbox.offer_if_roomy(signal)


def is_to_itself(handler: IrcHandler, signal: Signal) -> bool:
    """Return whether a signal of this client is to its own name."""
    return signal.to == handler.nick


def refuse_signal(handler: IrcHandler, command: str, target: str, error: WireError) -> None:
    """Answer a signal that was refused, unless that happens with each keystroke."""
    handler.messenger.stats.refused[error.code] += 1
    if not isinstance(error, UNANSWERED) or handler.buffer.label is not None:
        handler.add(command_refusal(handler, command, target, error))
