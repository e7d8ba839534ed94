"""Lines of IRC: bytes to lines and back (modern.ircdocs.horse, "Message Format"; IRCv3, "Message Tags").

What is read has no CR, LF or NUL in any of its parts, but for the values of tags, in which CR and LF are escaped on the
wire; and no line that is written can have one, whatever the caller passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct

MAX_BODY: Final = 510
"""Bytes of a line behind its tags and before its CRLF, in both directions."""
MAX_CLIENT_TAGS: Final = 4096
"""Bytes of the tags that a client sends, with their `@` and the space behind them."""
MAX_TAGS: Final = 8191
"""The same of the tags that a server sends, those of the client that it relays included."""
MAX_PENDING: Final = MAX_CLIENT_TAGS + MAX_BODY + 2
MAX_COMMAND: Final = 32
"""Letters and digits that the command of a rejected line may have: what is longer is none."""
MAX_MIDDLE: Final = 200
"""Bytes of a parameter of a client that is quoted in a response."""
AT: Final = ord("@")
CR: Final = ord("\r")
COMMAND: Final = re.compile(rb" *+(?::[^ ]*+ ++)?([A-Za-z0-9]{1,%d})(?: |\Z)" % MAX_COMMAND)
FORBIDDEN: Final = re.compile(rb"[\r\n\0]")
TAG_KEY: Final = re.compile(r"[^\r\n\0;= ]+")
TO_ESCAPE: Final = re.compile(r"[;\\ \r\n]")
ESCAPED: Final = re.compile(r"\\(.?)", re.DOTALL)
UNESCAPED: Final = {":": ";", "s": " ", "r": "\r", "n": "\n"}
ESCAPES: Final = str.maketrans({char: f"\\{letter}" for letter, char in UNESCAPED.items()} | {"\\": "\\\\"})

FaultReason: TypeAlias = Literal["too_long", "not_utf8", "nul"]


class Line(Struct):
    """A line that was received: `tags` are unescaped, and those with `+` are meant for other clients.

    `command` is never empty, has no space and does not begin with a colon.
    """

    command: str
    params: list[str]
    tags: dict[str, str] = {}
    source: str = ""


class BadLine(Struct):
    """A line that cannot be read: `nul` is also a CR that does not end it.

    `command` is what it seems to be, letters and digits, or empty; `label` the value of that tag, if it could be read.
    """

    reason: FaultReason
    command: str
    label: str | None


PLAIN_MESSAGE: Final = re.compile("^PRIVMSG ([^ ,:$\r\n\\0][^ ,\r\n\\0]*) :([^\r\n\\0\\1]+)\r?\n", re.MULTILINE)
"""A text to one name or room, without tags, that has no mark of CTCP."""
PLAIN_HEAD: Final = re.compile(rb"PRIVMSG [^ ,:$\r\n\0][^ ,\r\n\0]* :")
"""What is before the text of one."""


def split_messages(data: bytes) -> tuple[dict[str, list[str]], bytes]:
    """Return the texts of the whole lines in `data` by target, and the rest, if all of them are plain messages.

    Else there are none, and the rest is `data`. For reads of hundreds of messages: `LineDecoder` takes ten times as
    long.
    """
    end = data.rfind(b"\n") + 1
    lines = data[:end]
    try:
        messages = _split_same_target(lines) or _split_by_target(lines)
    except UnicodeDecodeError:
        return {}, data
    return (messages, data[end:]) if messages else ({}, data)


def _split_same_target(lines: bytes) -> dict[str, list[str]]:
    """Return the texts of messages that begin alike, found without looking at each; empty where they do not."""
    head = lines[: lines.find(b" :") + 2]
    if not lines.startswith(head, lines.find(b"\n") + 1):  # the second line does not begin so
        return {}
    if not PLAIN_HEAD.fullmatch(head) or not lines.endswith(b"\r\n"):
        return {}
    separator, body = b"\r\n" + head, lines[len(head) : -2]
    texts = body.split(separator)
    count = len(texts)
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines or b"\1" in lines:
        return {}
    if not all(texts) or len(head) + max(map(len, texts)) > MAX_BODY:
        return {}
    return {head[8:-2].decode(): body.decode().split(separator.decode())}


def _split_by_target(lines: bytes) -> dict[str, list[str]]:
    if max(map(len, lines.split(b"\n"))) > MAX_BODY + 1:
        return {}
    messages = PLAIN_MESSAGE.findall(lines.decode())
    by_target: dict[str, list[str]] = {}
    for target, text in messages if len(messages) == lines.count(b"\n") else ():
        by_target.setdefault(target, []).append(text)
    return by_target


class LineDecoder:
    """Extracts lines from a stream, however it is cut.

    A line ends with LF or CRLF; a line without a command is ignored. Keeps no more than `MAX_PENDING` bytes.
    """

    __slots__ = ("_body", "_skipping", "_tail", "is_pending")

    def __init__(self) -> None:
        self.is_pending = False
        """Whether a line has begun and not ended."""
        self._tail = bytearray()
        """The beginning of a line that has not ended."""
        self._body = -1
        """Where the part behind the tags begins in it; -1 while that is not known."""
        self._skipping = False

    def feed(self, data: bytes) -> list[Line | BadLine]:
        """Return the lines that `data` completes; one that is too long as soon as it is, and once."""
        *ended, rest = data.split(b"\n")
        decoded: list[Line | BadLine | None] = []
        for piece in ended:
            if self._tail or self._skipping:
                decoded.append(self._complete(piece))
            elif piece and piece != b"\r":
                decoded.append(decode_line(piece))
        if rest:
            decoded.append(self._keep(rest))
        self.is_pending = bool(self._tail) or self._skipping
        return [line for line in decoded if line is not None]

    def _complete(self, piece: bytes) -> Line | BadLine | None:
        bad = self._keep(piece)
        line = None if bad is not None or self._skipping else decode_line(bytes(self._tail))
        self._restart(skipping=False)
        return bad or line

    def _keep(self, piece: bytes) -> BadLine | None:
        """Append a piece of a line; return the line once it is too long, and skip what follows."""
        if self._skipping:
            return None
        tail, size = self._tail, len(self._tail)
        tail += piece[: MAX_PENDING - size]
        if self._body < 0:
            self._body = 0 if tail[0] != AT else tail.find(b" ", size) + 1 or -1
        if len(tail) - tail.endswith(b"\r") <= max_size(self._body):
            return None
        bad = reject(bytes(tail), "too_long", self._body)
        self._restart(skipping=True)
        return bad

    def _restart(self, *, skipping: bool) -> None:
        self._tail.clear()
        self._body, self._skipping = -1, skipping


def max_size(body: int) -> int:
    """Return how many bytes a line may have without its end, if the part behind the tags begins there; -1: not yet."""
    return body + MAX_BODY if 0 <= body <= MAX_CLIENT_TAGS else MAX_CLIENT_TAGS - 1


def decode_line(data: bytes) -> Line | BadLine | None:
    """Return a line, received without its LF; None if it has no command."""
    if data[-1] == CR:
        data = data[:-1]
    body = 0 if data[:1] != b"@" else data.find(b" ") + 1 or -1
    if len(data) > max_size(body):
        return reject(data, "too_long", body)
    if b"\0" in data or b"\r" in data:
        return reject(data, "nul", body)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return reject(data, "not_utf8", body)
    line = parse_line(text)
    return line if line.command else None


def reject(data: bytes, reason: FaultReason, body: int) -> BadLine:
    """Return a line that cannot be read, with what can be known of it. Its part behind the tags begins at `body`.

    Of one that is too long only the bytes within the limit are read, so that it makes no difference how it was cut.
    """
    if 0 <= body <= MAX_CLIENT_TAGS:
        return BadLine(reason, find_command(data[body : body + MAX_BODY]), find_label(data[:body]))
    tags, _, _ = data[: MAX_CLIENT_TAGS - 1].rpartition(b";")  # the last one may be incomplete
    return BadLine(reason, "", find_label(tags))


def find_command(body: bytes) -> str:
    """Return what seems to be the command in the part of a line behind its tags, in upper case; empty if none does."""
    found = COMMAND.match(body)
    return found[1].decode().upper() if found is not None else ""


def find_label(tags: bytes) -> str | None:
    """Return the value of the last tag `label`, from the bytes of tags; None if there is none, or it cannot be read."""
    label = None
    for tag in tags.strip(b"@ ").split(b";"):
        key, _, value = tag.partition(b"=")
        label = value if key == b"label" else label
    if not label or b"\0" in label or b"\r" in label:
        return None
    try:
        return unescape_tag(label.decode())
    except UnicodeDecodeError:
        return None


def parse_line(text: str) -> Line:
    """Return the parts of a line that is text, without its end; `command` is empty if it has none."""
    tags: dict[str, str] = {}
    source = ""
    if text.startswith("@"):
        raw, _, text = text[1:].partition(" ")
        tags = parse_tags(raw)
    text = text.lstrip(" ")
    if text.startswith(":"):
        source, _, text = text[1:].partition(" ")
        text = text.lstrip(" ")
    head, colon, trailing = text.partition(" :")
    words = [word for word in head.split(" ") if word]
    if not words or words[0].startswith(":"):
        return Line("", [], tags, source)
    params = words[1:]
    if colon:
        params.append(trailing)
    return Line(words[0].upper() if words[0].isascii() else words[0], params, tags, source)


def parse_tags(text: str) -> dict[str, str]:
    """Return tags by key, unescaped; the last of two with one key counts, and one without a key is left out."""
    tags: dict[str, str] = {}
    for tag in text.split(";"):
        key, _, value = tag.partition("=")
        if key:
            tags[key] = unescape_tag(value) if "\\" in value else value
    return tags


def unescape_tag(value: str) -> str:
    """Return the value that an escaped one stands for; a backslash before any other character stands for nothing."""
    return ESCAPED.sub(lambda found: UNESCAPED.get(found[1], found[1]), value)


def escape_tag(value: str) -> str:
    """Return a value as it stands in a tag."""
    return value.translate(ESCAPES) if TO_ESCAPE.search(value) else value  # (nearly none has any)


def format_tags(tags: Mapping[str, str | None]) -> str:
    """Return tags as they stand between `@` and the space, in their order: what the server says comes first.

    A value that is empty, or None, is left out with its `=`. Raises ValueError for a key that cannot be one.
    """
    for key in tags:
        if not TAG_KEY.fullmatch(key):
            raise ValueError(f"no key of a tag: {key!r}")
    return ";".join(f"{key}={escape_tag(value)}" if value else key for key, value in tags.items())


def format_line(
    source: str,
    command: str,
    params: Sequence[str] = (),
    tags: Mapping[str, str | None] | None = None,
    *,
    trailing: bool = False,
) -> bytes:
    """Return a line with its CRLF.

    source: who sends it; empty for none.
    params: the last one gets a colon where it needs one, or if it is `trailing`. It is cut, at the end of a character,
    where the line would be longer than `MAX_BODY`. Nothing else is cut.
    tags: see `format_tags`; for None and for an empty mapping there is no `@`.

    Raises ValueError for what no line can have: CR, LF or NUL; a source, command or parameter (but the last) that is
    empty, has a space, or begins with a colon; more bytes than fit.
    """
    words = [command, *params[:-1]]
    if not all(words) or any(" " in word or word[0] == ":" for word in words) or source[:1] == ":" or " " in source:
        raise ValueError(f"not the parts of a line: {source!r} {command!r} {params!r}")
    head = " ".join([f":{source}", *words] if source else words)
    body = _append_last(head, params[-1], trailing=trailing) if params else head.encode()
    prefix = f"@{format_tags(tags)} ".encode() if tags else b""
    if FORBIDDEN.search(body) or b"\0" in prefix:
        raise ValueError(f"CR, LF or NUL in a line: {body!r}")
    if len(body) > MAX_BODY or len(prefix) > MAX_TAGS:
        raise ValueError(f"too long for a line: {len(prefix)} and {len(body)} bytes")
    return prefix + body + b"\r\n"


def _append_last(head: str, last: str, *, trailing: bool) -> bytes:
    """Return the beginning of a line with its last parameter, cut to what fits."""
    has_colon = trailing or not last or last[0] == ":" or " " in last
    begin = f"{head} {':' if has_colon else ''}".encode()
    cut = clip_text(last, MAX_BODY - len(begin))
    if last and not cut:
        raise ValueError("no room for the last parameter of a line")
    return begin + cut.encode()


def clip_text(text: str, room: int) -> str:
    """Return as much of the beginning of a text as fits into `room` bytes."""
    if len(text) * 4 <= room:
        return text
    encoded = text.encode()
    return text if len(encoded) <= room else encoded[: max(room, 0)].decode(errors="ignore")


def quote_param(param: str) -> str:
    """Return a parameter of a client so that it can stand anywhere in a response to it.

    It has at most `MAX_MIDDLE` bytes, no space, no colon at its beginning, and is `*` if nothing remains.
    """
    return clip_text(param.lstrip(": ").partition(" ")[0], MAX_MIDDLE) or "*"
