"""How messages look on IRC: their lines, by what the receiver has negotiated."""

from __future__ import annotations

from typing import Final

from gmessenger.chat.outbox import Message, MessageBatch, TextBatch
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX
from gmessenger.server.irc.capabilities import MESSAGE_FORM, Capability
from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.irc.replies import Reply, Tags
from gmessenger.urls import file_path
from gmessenger.wire.irc.text import split_pieces, split_text
from gmessenger.wire.irc.timestamps import format_time

MAX_LINE: Final = 510
"""Bytes of a line after its tags, without CRLF."""
ACTION_START: Final = "\x01ACTION "
ACTION_END: Final = "\x01"
EVERYBODY: Final = "$*"
MAX_UTF8: Final = 4
"""Bytes of a character."""
EDIT_MARK: Final = "[edit] "
REPLY_TAG: Final = "+draft/reply"
REACT_TAG: Final = "+draft/react"
UNREACT_TAG: Final = "+draft/unreact"


FORM: Final = int(MESSAGE_FORM | Capability.REDACTION)
_KEYS: Final[dict[int, tuple[str, int]]] = {}
"""The keys of cached forms: one for each combination of capabilities that is in use."""


class MessageFormatter:
    """Writes messages for the receivers of a network. Never blocks.

    What all members of a room with the same capabilities are sent is written once, and kept with the message.
    """

    def __init__(self, network: IrcNetwork) -> None:
        self._network = network

    def encode(self, message: Message, bits: int) -> bytes:
        """Return the lines of a message for a client with these capabilities; none where it has no word for it."""
        form = bits & FORM
        if message.to[:1] != ROOM_PREFIX:
            return self._encode(message, form)
        key = _KEYS.get(form) or _KEYS.setdefault(form, ("irc", form))
        cached = message.encoded
        if cached is None:
            data = self._encode(message, form)
            message.encoded = {key: data}
            return data
        found: bytes | None = cached.get(key)
        if found is None:
            cached[key] = found = self._encode(message, form)
        return found

    def _encode(self, message: Message, form: int) -> bytes:
        data = None if form else self._encode_plain(message)
        return (
            data
            if data is not None
            else b"".join([reply.encode() for reply in self.replies(message, Capability(form))])
        )

    def encode_batch(self, batch: MessageBatch, bits: int) -> bytes:
        """Return the lines of messages that were committed together."""
        form = bits & FORM
        key = _KEYS.get(form) or _KEYS.setdefault(form, ("irc", form))
        if batch.encoded is None:
            batch.encoded = {}
        data: bytes | None = batch.encoded.get(key)
        if data is None:
            batch.encoded[key] = data = b"".join([self.encode(message, bits) for message in batch.messages])
        return data

    def replies(self, message: Message, capabilities: Capability, label: str | None = None) -> list[Reply]:
        """Return the lines of a message."""
        if message.erased:
            return []
        if message.what == "erase":
            return self._redaction(message, capabilities)
        if message.what in ("react", "unreact"):
            return self._reaction(message, capabilities)
        tags = self._common_tags(message, capabilities)
        first_tags = self._first_tags(message, capabilities)
        if label is not None:
            first_tags["label"] = label
        text = self._shown_text(message)
        if "\n" in text and Capability.MULTILINE in capabilities and Capability.BATCH in capabilities:
            return self._multiline(message, text, tags | first_tags, tags)
        lines = [self._line(message, piece, dict(tags)) for piece in self._split(message, text)]
        if lines:
            lines[0].tags |= first_tags
        return lines

    def encode_texts(self, batch: TextBatch, bits: int) -> bytes:
        """Return the lines of texts from one guest to another, which are not stored."""
        head = f":{self._network.users.source(batch.sender)} PRIVMSG {batch.to} :"
        texts, room = batch.texts, MAX_LINE - len(head.encode())
        if not bits & FORM and "".join(texts).isprintable() and MAX_UTF8 * max(map(len, texts)) <= room:
            return (head + f"\r\n{head}".join(texts) + "\r\n").encode()
        messages = [Message(batch.sender, batch.to, text, batch.time) for text in texts]
        return b"".join([self.encode(message, bits) for message in messages])

    def _encode_plain(self, message: Message) -> bytes | None:
        """Return the line of a short text for a client without capabilities: nearly always; None of any other."""
        text = message.text
        if len(text) > MAX_LINE or message.kind or message.what or message.erased or message.file is not None:
            return None
        if not text.isprintable() or message.to == BROADCAST_TARGET:
            return None
        line = f":{self._network.users.source(message.sender)} PRIVMSG {message.to} :{text}\r\n".encode()
        return line if len(line) <= MAX_LINE + 2 else None

    def _redaction(self, message: Message, capabilities: Capability) -> list[Reply]:
        if Capability.REDACTION not in capabilities or message.about is None:
            return []
        id = self._network.message_id(message.sender, message.to, message.about)
        source, tags = self._network.users.source(message.sender), self._common_tags(message, capabilities)
        return [Reply(source, "REDACT", (message.to, id), tags=tags)]

    def _reaction(self, message: Message, capabilities: Capability) -> list[Reply]:
        if Capability.MESSAGE_TAGS not in capabilities or message.about is None:
            return []
        tags = self._common_tags(message, capabilities) | self._first_tags(message, capabilities)
        tags[REACT_TAG if message.what == "react" else UNREACT_TAG] = message.text
        return [Reply(self._network.users.source(message.sender), "TAGMSG", (message.to,), tags=tags)]

    def _common_tags(self, message: Message, capabilities: Capability) -> Tags:
        """Return the tags of every line of a message."""
        tags: Tags = {}
        if Capability.SERVER_TIME in capabilities:
            tags["time"] = format_time(message.time)
        if Capability.ACCOUNT_TAG in capabilities:
            account = self._network.users.account_name(message.sender)
            if account is not None:
                tags["account"] = account
        if Capability.MESSAGE_TAGS in capabilities and self._network.users.is_bot(message.sender):
            tags["bot"] = None
        return tags

    def _first_tags(self, message: Message, capabilities: Capability) -> Tags:
        """Return the tags of the first line of a message only."""
        tags: Tags = {}
        if Capability.MESSAGE_TAGS in capabilities:
            if message.seq is not None:
                tags["msgid"] = self._network.message_id(message.sender, message.to, message.seq)
            if message.about is not None:
                tags[REPLY_TAG] = self._network.message_id(message.sender, message.to, message.about)
        return tags

    def _shown_text(self, message: Message) -> str:
        text = message.text
        if message.what == "edit":
            text = EDIT_MARK + text
        if message.file is not None:
            url = self._network.messenger.policy.web_url + file_path(message.file.id, message.file.name)
            text = f"{text} {url}"
        return text

    def _split(self, message: Message, text: str) -> list[str]:
        source, command, target = self._head(message)
        room = MAX_LINE - len(f":{source} {command} {target} :".encode())
        if message.kind != "action":
            return split_text(text, room)
        return [
            f"{ACTION_START}{piece}{ACTION_END}"
            for piece in split_text(text, room - len(ACTION_START) - len(ACTION_END))
        ]

    def _multiline(self, message: Message, text: str, batch_tags: Tags, tags: Tags) -> list[Reply]:
        source, command, target = self._head(message)
        batch = self._network.next_batch()
        room = MAX_LINE - len(f":{source} {command} {target} :".encode())
        lines = [Reply(source, "BATCH", (f"+{batch}", "draft/multiline", target), tags=batch_tags)]
        for piece, continues in split_pieces(text, room):
            concat: Tags = {"draft/multiline-concat": None} if continues else {}
            lines.append(self._line(message, piece, {"batch": batch, **concat}))
        return [*lines, Reply(source, "BATCH", (f"-{batch}",))]

    def _line(self, message: Message, piece: str, tags: Tags) -> Reply:
        source, command, target = self._head(message)
        return Reply(source, command, (target, piece), is_text=True, tags=tags)

    def _head(self, message: Message) -> tuple[str, str, str]:
        """Return source, command and target."""
        source = self._network.users.source(message.sender)
        if message.to == BROADCAST_TARGET:
            return source, "NOTICE", EVERYBODY
        return source, "NOTICE" if message.kind == "notice" else "PRIVMSG", message.to
