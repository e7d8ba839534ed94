"""Whether somebody is meant in a text."""

from __future__ import annotations

import re
from collections.abc import Callable


def mentions_of(name: str) -> Callable[[str], bool]:
    """Says of a text whether the name is in it as a word of its own, with or without an @."""
    found = re.compile(rf"(?<!\w)@?{re.escape(name)}(?!\w)", re.IGNORECASE).search
    return lambda text: found(text) is not None
