"""URLs of services, as everybody may see them."""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"
IN_FRONT_OF_A_HOST: Final = re.compile(r"(://[^:/@\s]*:).*@")
"""Up to the last @: a password may hold any character, whether it should or not. Rather too much is hidden."""
AMONG_PARAMETERS: Final = re.compile(r"([?&][\w-]*password=)[^&\s]*", re.IGNORECASE)


def masked(url: str) -> str:
    """The URL without the passwords in it."""
    return AMONG_PARAMETERS.sub(rf"\1{MASK}", IN_FRONT_OF_A_HOST.sub(rf"\1{MASK}@", url))
