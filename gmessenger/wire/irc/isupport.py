"""ISUPPORT: what a server tells of itself after the welcome, as tokens of numeric 005 (modern.ircdocs.horse)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

MAX_TOKENS: Final = 13
"""Tokens of a line, which has at most 15 parameters: the first is the nick, and the last a sentence."""
MAX_TOKEN_BYTES: Final = 360
"""Bytes of the tokens of a line with the spaces between them: nick, server and sentence need the rest of 510."""
ESCAPED: Final = re.compile(r"[^!-~]|[\\=]")


def isupport_lines(tokens: Mapping[str, str | None]) -> list[list[str]]:
    """Return tokens, in their order, in the lines in which they fit; the value of one without a value is None."""
    lines: list[list[str]] = []
    size = MAX_TOKEN_BYTES
    for name, value in tokens.items():
        token = name if value is None else f"{name}={_escape(value)}"
        size += len(token.encode()) + 1
        if not lines or len(lines[-1]) == MAX_TOKENS or size > MAX_TOKEN_BYTES:
            lines.append([])
            size = len(token.encode())
        lines[-1].append(token)
    return lines


def _escape(value: str) -> str:
    r"""Return a value with `\x20` for a space, `\x3D` for an equals sign, and the same for each byte beyond ASCII."""
    return ESCAPED.sub(lambda found: "".join(f"\\x{byte:02X}" for byte in found[0].encode()), value)
