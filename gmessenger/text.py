"""Sentences that know what they were made of, so that who reads another language can be told the same in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class Text(str):
    """English, and a string as any other; its `template` is what catalogs know, its `values` are filled in.

    A value may be a sentence itself. `str(error)` of an error that was made with one is still that sentence; anything
    else made from it (an f-string, a slice) is a mere string, which nobody can translate.
    """

    template: str
    values: Mapping[str, object]

    __slots__ = ("template", "values")

    def __new__(cls, template: str, /, **values: object) -> Self:
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    def __str__(self) -> str:
        return self


class Fragment(Text):
    """What a sentence says, to go on within another one: without its full stop, in whatever language."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        made = str.__new__(cls, text.rstrip("."))
        made.template, made.values = "{sentence}", {"sentence": text}
        return made


class ServerText(Text):
    """A server's own sentence, as it is. The stable `word` that came with it, and the `limit` and `retry_after`
    (seconds) where it has them, say the same to who reads another language.
    """

    code: str
    limit: int | None
    retry_after: float | None

    __slots__ = ("code", "limit", "retry_after")

    def __new__(cls, text: str, code: str, limit: int | None = None, retry_after: float | None = None) -> Self:
        made = super().__new__(cls, text)
        made.code, made.limit, made.retry_after = code, limit, retry_after
        return made
