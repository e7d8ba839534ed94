"""BATCH: how a client sends a message of several lines (IRCv3, "Client batches" and "Multiline messages")."""

from __future__ import annotations

from typing import Final

from gmessenger.errors import TextTooLong, WireError
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.client_tags import about_of, kept_tags
from gmessenger.server.irc.errors import refuse_multiline
from gmessenger.server.irc.handler import IrcHandler, IrcMessage
from gmessenger.server.irc.message_commands import refuse_message, send
from gmessenger.server.irc.messages import CUTS
from gmessenger.server.irc.multiline_batches import MultilineBatch
from gmessenger.wire.irc.capabilities import MAX_MULTILINE_BYTES
from gmessenger.wire.irc.lines import Line

BATCH_TYPE: Final = "draft/multiline"
MAX_REFERENCE: Final = 64


def batch(handler: IrcHandler, line: Line) -> None:
    """Handle BATCH."""
    sign, reference = line.params[0][:1], line.params[0][1:]
    if sign == "-" and len(line.params) == 1:
        _close(handler, reference)
    elif (
        sign == "+"
        and 0 < len(reference) <= MAX_REFERENCE
        and line.params[1:2] == [BATCH_TYPE]
        and len(line.params) == 3
        and Capability.MULTILINE in handler.capabilities
    ):
        batch = MultilineBatch(reference, line.params[2], handler.buffer.take_label(), line.tags, [])
        refuse_multiline(handler, handler.multiline.open(batch))
    else:
        refuse_multiline(handler, handler.multiline.refuse())


def _close(handler: IrcHandler, reference: str) -> None:
    batch = handler.multiline.close(reference)
    if batch is None:
        refuse_multiline(handler, handler.multiline.refuse())
        return
    if batch.is_refused:
        return
    handler.begin_command(batch.label)
    if batch.is_blank:
        refuse_multiline(handler, handler.multiline.refuse())
        return
    try:
        _send(handler, batch)
    except TextTooLong:
        most = min(handler.messenger.policy.max_text, MAX_MULTILINE_BYTES)
        refuse_multiline(handler, handler.multiline.refuse("MULTILINE_MAX_BYTES", str(most)))
    except WireError as error:
        refuse_message(handler, batch.command, batch.target, error)


def _send(handler: IrcHandler, batch: MultilineBatch) -> None:
    text, cuts = batch.join()
    about = about_of(handler, batch.target, batch.tags)
    tags = kept_tags(handler, batch.tags, about)
    if cuts:
        tags[CUTS] = ",".join(map(str, cuts))
    kind = "notice" if batch.command == "NOTICE" else ""
    send(handler, IrcMessage(batch.command, batch.target, text, kind, tags=tags), about)
