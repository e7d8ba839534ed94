"""How messages look on IRC: their lines, by what the receiver has negotiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gmessenger.chat.outbound import Message, MessageBatch, RelayedText, Signal, TextBatch
from gmessenger.chat.room_events import NOT_ENCODED
from gmessenger.names import BROADCAST_TARGET, ROOM_PREFIX
from gmessenger.server.irc.capabilities import MESSAGE_FORM, Capability
from gmessenger.server.irc.modes import ROLE_PREFIXES
from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.irc.replies import Reply, Tags
from gmessenger.urls import file_path
from gmessenger.wire.irc.lines import MAX_BODY
from gmessenger.wire.irc.text import CTCP, is_plain, split_pieces, split_text
from gmessenger.wire.irc.timestamps import format_time

ACTION_START: Final = f"{CTCP}ACTION "
ACTION_END: Final = CTCP
EVERYBODY: Final = "$*"
MAX_UTF8: Final = 4
"""Bytes of a character."""
TEXT_INTERVAL: Final = 1e-6
"""Seconds between texts that came in one read."""
EDIT_MARK: Final = "[edit] "
REPLY_TAGS: Final = ("+draft/reply", "+reply")
REACT_TAG: Final = "+draft/react"
UNREACT_TAG: Final = "+draft/unreact"
CUTS: Final = "cuts"
"""Among the tags of a message: where its sender cut lines, as numbers of characters. No client can send it."""
REASON: Final = "reason"
"""The same of an erase: why."""


FORM: Final = int(MESSAGE_FORM | Capability.REDACTION)
SIGNAL_FORM: Final = Capability.SERVER_TIME | Capability.MESSAGE_TAGS | Capability.ACCOUNT_TAG
"""The capabilities that decide how a signal looks."""
_KEYS: Final[dict[int, tuple[str, int]]] = {}
"""The keys of cached forms: one for each combination of capabilities that is in use."""


class MessageFormatter:
    """Writes messages for the receivers of a network. Never blocks.

    What all members of a room with the same capabilities are sent is written once, and kept with the message.
    """

    def __init__(self, network: IrcNetwork) -> None:
        self._network = network
        self._source = network.users.source

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

    def encode_plain(self, message: Message | RelayedText, is_line: bool = False) -> bytes | None:
        """Return the line of a short text for a client without capabilities.

        Returns None for one that may not fit a line, or must be changed first. `message` has nothing but its text.
        `is_line`: as of `RelayedText`.
        """
        text = message.text
        if not is_line and (len(text) > MAX_BODY or not is_plain(text)):
            return None
        source = self._source
        line = f":{source(message.sender)} PRIVMSG {message.to} :{text}\r\n".encode()
        return line if len(line) <= MAX_BODY + 2 else None

    def _encode(self, message: Message, form: int) -> bytes:
        if not form and _is_text_only(message) and (line := self.encode_plain(message)) is not None:
            return line
        return b"".join([reply.encode() for reply in self.replies(message, Capability(form))])

    def encode_batch(self, batch: MessageBatch, bits: int) -> bytes:
        """Return the lines of messages that were committed together."""
        form = bits & FORM
        key = _KEYS.get(form) or _KEYS.setdefault(form, ("irc", form))
        if batch.encoded is None:
            batch.encoded = {}
        data: bytes | None = batch.encoded.get(key)
        if data is None:
            # (Each member who writes gets a batch of its own; most of its messages were encoded for another batch.)
            batch.encoded[key] = data = b"".join(
                [(message.encoded or NOT_ENCODED).get(key) or self.encode(message, bits) for message in batch.messages]
            )
        return data

    def replies(self, message: Message, capabilities: Capability) -> list[Reply]:
        """Return the lines of a message."""
        if message.erased:
            return []
        if message.what == "erase":
            return self._redaction(message, capabilities)
        if message.what in ("react", "unreact"):
            return self._reaction(message, capabilities)
        tags, relayed = self._common_tags(message, capabilities), relayed_tags(message.tags, capabilities)
        first_tags = tags | self._first_tags(message, capabilities) | relayed
        pieces = self._pieces(message)
        if len(pieces) > 1 and Capability.MULTILINE in capabilities and message.kind != "action":
            return self._multiline(message, pieces, first_tags)
        lines = [self._line(message, piece, tags | relayed) for piece, _ in pieces if piece]
        if lines:
            lines[0].tags = first_tags
        return lines

    def signal_replies(self, signal: Signal, capabilities: Capability) -> list[Reply]:
        """Return the line of a signal; none for a client that has no word for it."""
        has_tags = Capability.MESSAGE_TAGS in capabilities
        if not signal.text and not has_tags:
            return []
        tags: Tags = {"time": format_time(signal.time)} if Capability.SERVER_TIME in capabilities else {}
        if has_tags:
            content = f"{signal.text} {sorted(signal.tags.items())}"
            tags["msgid"] = self._network.ids.make_passing(signal.sender, signal.to, signal.time, content)
        tags |= self._account_tag(signal.sender, capabilities)
        tags |= relayed_tags(signal.tags, capabilities)
        source, to = self._source(signal.sender), ROLE_PREFIXES.get(signal.least, "") + signal.to
        if not signal.text:
            return [Reply(source, "TAGMSG", (to,), tags=tags)]
        if signal.to == BROADCAST_TARGET:
            return [Reply(source, "WALLOPS", (signal.text,), is_text=True, tags=tags)]
        command = "NOTICE" if signal.kind == "notice" else "PRIVMSG"
        return [Reply(source, command, (to, signal.text), is_text=True, tags=tags)]

    def encode_signal(self, signal: Signal, capabilities: Capability) -> bytes:
        """Return the line of a signal, encoded once for all who negotiated the same."""
        key = ("irc", capabilities & SIGNAL_FORM)
        if signal.encoded is None:
            signal.encoded = {}
        if key not in signal.encoded:
            signal.encoded[key] = b"".join([reply.encode() for reply in self.signal_replies(signal, capabilities)])
        data: bytes = signal.encoded[key]
        return data

    def encode_texts(self, batch: TextBatch, bits: int) -> bytes:
        """Return the lines of texts from one guest to another, which are not stored."""
        head = f":{self._source(batch.sender)} PRIVMSG {batch.to} :"
        texts, room = batch.texts, MAX_BODY - len(head.encode())
        if not bits & FORM and is_plain("".join(texts)) and MAX_UTF8 * max(map(len, texts)) <= room:
            return (head + f"\r\n{head}".join(texts) + "\r\n").encode()
        messages = [  # a time of its own for each, as their ids are made of it
            Message(batch.sender, batch.to, text, batch.time + number * TEXT_INTERVAL)
            for number, text in enumerate(texts)
        ]
        return b"".join([self.encode(message, bits) for message in messages])

    def _redaction(self, message: Message, capabilities: Capability) -> list[Reply]:
        if Capability.REDACTION not in capabilities or message.about is None:
            return []
        id = self._network.message_id(message.sender, message.to, message.about)
        source, tags = self._source(message.sender), self._common_tags(message, capabilities)
        reason = [(message.tags or {})[REASON]] if REASON in (message.tags or {}) else []
        return [Reply(source, "REDACT", (message.to, id, *reason), is_text=bool(reason), tags=tags)]

    def _reaction(self, message: Message, capabilities: Capability) -> list[Reply]:
        if Capability.MESSAGE_TAGS not in capabilities or message.about is None:
            return []
        tags = self._common_tags(message, capabilities) | self._first_tags(message, capabilities)
        tags[REACT_TAG if message.what == "react" else UNREACT_TAG] = message.text
        tags |= relayed_tags(message.tags, capabilities)
        return [Reply(self._source(message.sender), "TAGMSG", (message.to,), tags=tags)]

    def _common_tags(self, message: Message, capabilities: Capability) -> Tags:
        """Return the tags of every line of a message."""
        tags: Tags = {}
        if Capability.SERVER_TIME in capabilities:
            tags["time"] = format_time(message.time)
        tags |= self._account_tag(message.sender, capabilities)
        if Capability.MESSAGE_TAGS in capabilities and self._network.users.is_bot(message.sender):
            tags["bot"] = None
        return tags

    def _account_tag(self, sender: str, capabilities: Capability) -> Tags:
        account = self._network.users.account_name(sender) if Capability.ACCOUNT_TAG in capabilities else None
        return {"account": account} if account is not None else {}

    def _first_tags(self, message: Message, capabilities: Capability) -> Tags:
        """Return the tags of the first line of a message only."""
        tags: Tags = {}
        if Capability.MESSAGE_TAGS in capabilities:
            tags["msgid"] = self._network.id_of(message)
            if message.about is not None:
                id = self._network.message_id(message.sender, message.to, message.about)
                tags |= dict.fromkeys(REPLY_TAGS, id)
        return tags

    def _shown_text(self, message: Message) -> str:
        text = message.text
        if message.what == "edit":
            text = EDIT_MARK + text
        if message.file is not None:
            url = self._network.messenger.policy.web_url + file_path(message.file.id, message.file.name)
            text = f"{text} {url}"
        return text

    def _pieces(self, message: Message) -> list[tuple[str, bool]]:
        """Return the text of a message in pieces that fit a line, each with whether it continues the one before.

        They are the sender's own, where it has sent several lines that were cut.
        """
        text, (source, command, target) = self._shown_text(message), self._head(message)
        room = MAX_BODY - len(f":{source} {command} {target} :".encode())
        if message.kind == "action":
            room -= len(ACTION_START) + len(ACTION_END)
            pieces = split_text(text.replace(CTCP, ""), room)
            return [(f"{ACTION_START}{piece}{ACTION_END}", False) for piece in pieces]
        return split_parts(_cut(text, (message.tags or {}).get(CUTS, "")), room)

    def _multiline(self, message: Message, pieces: list[tuple[str, bool]], tags: Tags) -> list[Reply]:
        source, _, target = self._head(message)
        batch = self._network.next_batch()
        lines = [Reply(source, "BATCH", (f"+{batch}", "draft/multiline", target), tags=tags)]
        for piece, continues in pieces:
            concat: Tags = {"draft/multiline-concat": None} if continues else {}
            lines.append(self._line(message, piece, {"batch": batch, **concat}))
        return [*lines, Reply(source, "BATCH", (f"-{batch}",))]

    def _line(self, message: Message, piece: str, tags: Tags) -> Reply:
        source, command, target = self._head(message)
        return Reply(source, command, (target, piece), is_text=True, tags=tags)

    def _head(self, message: Message) -> tuple[str, str, str]:
        """Return source, command and target."""
        source = self._source(message.sender)
        if message.to == BROADCAST_TARGET:
            return source, "NOTICE", EVERYBODY
        return source, "NOTICE" if message.kind == "notice" else "PRIVMSG", message.to


def _is_text_only(message: Message) -> bool:
    """Return whether a message to a name or a room has nothing beside its text."""
    has_more = message.kind or message.what or message.erased or message.file or message.tags
    return not has_more and message.to != BROADCAST_TARGET


def relayed_tags(tags: Mapping[str, str] | None, capabilities: Capability) -> Tags:
    """Return those tags of a client that are meant for other clients."""
    if tags is None or Capability.MESSAGE_TAGS not in capabilities:
        return {}
    return {key: value for key, value in tags.items() if key[0] == "+"}


def split_parts(parts: Sequence[str], room: int) -> list[tuple[str, bool]]:
    """Return the pieces of the parts of a text, each part continuing the one before.

    Without the mark of CTCP: a line that begins with it would ask the client something.
    """
    pieces: list[tuple[str, bool]] = []
    for number, part in enumerate(parts):
        (first, _), *others = split_pieces(part.replace(CTCP, ""), room)
        pieces += [(first, number > 0), *others]
    return pieces


def _cut(text: str, cuts: str) -> list[str]:
    """Return a text in the parts between cuts, which are ascending."""
    parts, start = [], 0
    for cut in filter(None, cuts.split(",")):
        end = int(cut)
        parts.append(text[start:end])
        start = end
    return [*parts, text[start:]]
