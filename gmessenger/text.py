"""English messages that keep their template and values, so that they can be translated when they are displayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class Text(str):
    """An English message: a string that remembers its `template`, a key of the catalogs, and the `values` in it.

    A value may be a `Text` itself. `str(error)` of an exception made with a `Text` is that `Text`; whatever else is
    derived from one (an f-string, a slice) is a plain string and cannot be translated.
    """

    template: str
    values: Mapping[str, object]

    __slots__ = ("template", "values")

    def __new__(cls, template: str, /, **values: object) -> Self:
        text = super().__new__(cls, template.format(**values) if values else template)
        text.template, text.values = template, values
        return text

    def __str__(self) -> str:
        return self


class Fragment(Text):
    """A text without its full stop, to stand inside another one; translated, it has none either."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        fragment = str.__new__(cls, text.rstrip("."))
        fragment.template, fragment.values = "{sentence}", {"sentence": text}
        return fragment


class ServerText(Text):
    """The message of an error as the server sent it, in English.

    It is translated by the `code` of the error, with its `limit` and `retry_after` (seconds) if it has them.
    """

    code: str
    limit: int | None
    retry_after: float | None

    __slots__ = ("code", "limit", "retry_after")

    def __new__(cls, text: str, code: str, limit: int | None = None, retry_after: float | None = None) -> Self:
        message = super().__new__(cls, text)
        message.code, message.limit, message.retry_after = code, limit, retry_after
        return message
