"""Codes of bold, colours and the like, which users of IRC have in their messages: they are not shown."""

from __future__ import annotations

import re
from typing import Final

CODES: Final = re.compile(r"[\x02\x0f\x11\x16\x1d-\x1f]|\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[\dA-Fa-f]{6})?", re.ASCII)
"""See modern.ircdocs.horse/formatting."""


def strip_codes(text: str) -> str:
    """Return a message as it is shown, without codes of formatting; not sanitized."""
    return text if text.isprintable() else CODES.sub("", text)
