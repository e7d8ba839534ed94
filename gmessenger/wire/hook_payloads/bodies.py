"""Bodies of hook posts: bytes in some charset, as text, JSON or a form; decoded to a text or to an object."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from typing import Any, Final

from msgspec import DecodeError, json

from gmessenger.wire.framing import STRING_LITERAL, is_nested_too_deep
from gmessenger.wire.hook_payloads.translation import NoTextError

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
MAX_VALUES: Final = 100_000
"""Values of a JSON body. Each takes up to 100 bytes of memory, and a body of 1 MiB may have half a million."""
MAX_FIELDS: Final = 100  # of a form
JSON_FIELDS: Final = ("payload", "data")
"""Fields of a form that hold JSON: those of GitHub, Gitea and Slack, and of Uptime Kuma."""
TEXT_FIELDS: Final = frozenset({"text", "message", "title", "body", "content", "msg"})
"""Fields by which a form is told from a text that has an equals sign."""
TITLE_HEADERS: Final = ("title", "x-title")
"""The title of a text, as ntfy has it."""
DEFAULT_CHARSET: Final = "utf-8-sig"
CHARSETS: Final = {
    **dict.fromkeys(("", "utf-8", "utf8"), DEFAULT_CHARSET),
    **dict.fromkeys(("us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252", "cp1252"), "cp1252"),
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{name: name for name in ("koi8-r", "koi8-u", "utf-16", "utf-16le", "utf-16be", "utf-32", "shift_jis", "euc-jp")},
    **{name: name for name in ("euc-kr", "big5", "gbk", "gb18030", "iso-2022-jp")},
    "gb2312": "gb18030",
}
"""Codec by label. A table: Python would import a module for every name, and remember each that it does not know."""
UNKNOWN_CHARSET: Final = DEFAULT_CHARSET
MAX_CONTENT_TYPE: Final = 512  # characters
ENCODED_WORD: Final = re.compile(r"=\?([\w.:-]{1,32})\?([bBqQ])\?([^?\s]*+)\?=")
NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
BETWEEN_WORDS: Final = re.compile(r"\?=[ \t]+=\?")


def decode_body(headers: Mapping[str, str], body: bytes) -> str | dict[str, Any]:
    """Return the object that a body is, or its text, after the title of the headers. Raises `NoTextError`."""
    content_type = Message()
    content_type["Content-Type"] = headers.get("content-type", "")[:MAX_CONTENT_TYPE]
    kind, codec = content_type.get_content_type(), _find_codec(content_type)
    if kind == MULTIPART:
        return _decode_multipart(content_type, body, codec)
    if kind == FORM and (fields := _parse_form(body, codec)) is not None:
        return fields
    text = _decode(body, codec)
    # (A content type that was not given is `text/plain` here.)
    is_text = kind.startswith("text/") and "content-type" in headers
    content = None if is_text else _parse_object(text, is_declared=kind.endswith("json"))
    return content if content is not None else _with_title(headers, text)


def _find_codec(content_type: Message) -> str:
    label = content_type.get_param("charset", "")
    return CHARSETS.get(label.strip().lower(), UNKNOWN_CHARSET) if isinstance(label, str) else UNKNOWN_CHARSET


def _decode(data: bytes, codec: str) -> str:
    """Return the text. Raises `NoTextError` where it is not in that charset."""
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        raise NoTextError from None


def _parse_object(text: str, *, is_declared: bool = False) -> dict[str, Any] | None:
    """Return the JSON object that a text is; None if it is a text of another kind.

    Raises `NoTextError` where JSON `is_declared` and no object, or for an object that would cost too much.
    """
    if text.lstrip()[:1] != "{":
        if is_declared and _is_json(text):
            raise NoTextError
        return None
    if is_nested_too_deep(data := text.encode(errors="replace")) or _has_too_many_values(data):
        raise NoTextError
    try:
        content = json.decode(data)
    except (DecodeError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _is_json(text: str) -> bool:
    """Return whether a text that is no object is another kind of JSON: of a number or a list nothing can be said."""
    data = text.encode(errors="replace")
    if is_nested_too_deep(data) or _has_too_many_values(data):
        return True
    try:
        json.decode(data)
    except (DecodeError, RecursionError):
        return False
    return True


def _has_too_many_values(data: bytes) -> bool:
    """Return whether a JSON document has more than `MAX_VALUES` values, also if it is not valid."""
    if _count_values(data) <= MAX_VALUES:
        return False
    return _count_values(STRING_LITERAL.sub(b"", data)) > MAX_VALUES


def _count_values(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _parse_form(body: bytes, codec: str) -> dict[str, Any] | None:
    """Return the object in a form, or its fields; None if it is a text, as `curl -d` sends one."""
    pairs = body.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS or b"=" not in body:
        return None
    fields: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        fields[_unquote(name).decode("latin-1")] = _decode(_unquote(value), codec)
    return _from_fields(fields)


def _unquote(data: bytes) -> bytes:
    """Return the value of a field of a form: `+` is a space, and `%41` an A.

    (As quoted-printable, which is decoded in C: `urllib` takes 60 MB and 0.1 s for a megabyte of escapes.)
    """
    data = NO_ESCAPE.sub(b"%25", data.replace(b"+", b" "))
    return binascii.a2b_qp(data.replace(b"=", b"%3D").replace(b"%", b"="))


def _decode_multipart(content_type: Message, body: bytes, codec: str) -> dict[str, Any]:
    """Return the object in a form with a boundary, or its fields. Raises `NoTextError`."""
    boundary = content_type.get_param("boundary", "")
    if not isinstance(boundary, str) or not boundary:
        raise NoTextError
    fields: dict[str, str] = {}
    for part in body.split(b"--" + boundary.encode(errors="replace"), MAX_FIELDS)[1:]:
        head, _, value = part.partition(b"\r\n\r\n")
        if (name := _field_name(head)) is not None:
            fields[name] = _decode(value.removesuffix(b"\r\n"), codec)
    if (found := _from_fields(fields)) is None:
        raise NoTextError
    return found


MAX_PART_HEAD: Final = 1024  # bytes


def _field_name(head: bytes) -> str | None:
    """Return the name of a field by the headers of its part; None for a file, or what is no field."""
    if len(head) > MAX_PART_HEAD:
        return None
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            disposition = Message()
            disposition["Content-Disposition"] = value.strip()
            field = disposition.get_param("name", None, "content-disposition")
            is_file = disposition.get_filename() is not None
            return field if isinstance(field, str) and not is_file else None
    return None


def _from_fields(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the object in the field that has JSON, else the fields if they are those of a message."""
    for name in JSON_FIELDS:
        if (value := fields.get(name)) is not None and (content := _parse_object(value)) is not None:
            return content
    return dict(fields) if TEXT_FIELDS & fields.keys() else None


def _with_title(headers: Mapping[str, str], text: str) -> str:
    title = next((title for name in TITLE_HEADERS if (title := headers.get(name, "").strip())), "")
    return f"{_decode_header(title)}\n{text}" if title else text


def _decode_header(value: str) -> str:
    """Return the text of a header: UTF-8 that was read as Latin-1, in which words may be encoded as in RFC 2047."""
    with suppress(UnicodeError):  # it is Latin-1, or a text already
        value = value.encode("latin-1").decode()
    return ENCODED_WORD.sub(_decode_word, BETWEEN_WORDS.sub("?==?", value))


def _decode_word(found: re.Match[str]) -> str:
    charset, encoding, encoded = found.groups()
    decode = binascii.a2b_base64 if encoding in "bB" else lambda text: binascii.a2b_qp(text, header=True)
    try:
        return decode(encoded.encode()).decode(CHARSETS.get(charset.lower(), UNKNOWN_CHARSET))
    except (binascii.Error, UnicodeError):
        return found[0]
