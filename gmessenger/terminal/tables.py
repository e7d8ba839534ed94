"""Tables that people read: what something is called, and what it does."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

NARROWEST: Final = 20
"""Columns in which something can still be explained."""
APART: Final = 2


def two_columns(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    """The rows in fewer columns than `width`: side by side, or one below the other where that is too narrow."""
    column = max(len(name) for name, _what in rows) + 2 * APART
    beside = width - 1 - column >= NARROWEST
    indent = column if beside else 3 * APART
    for name, what in rows:
        first, *further = textwrap.wrap(what, max(width - 1 - indent, NARROWEST))
        head = f"{' ' * APART}{name}"
        yield from [f"{head:<{column}}{first}"] if beside else [head, " " * indent + first]
        yield from (" " * indent + line for line in further)
