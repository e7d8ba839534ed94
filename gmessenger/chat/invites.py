"""Invites: secrets with which one person each may register."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

INVITE_SIZE: Final = 18  # bytes
SHOWN: Final = 8  # characters


def make_invite() -> str:
    """A new secret."""
    return secrets.token_urlsafe(INVITE_SIZE)


def invite_shown(invite: str) -> str:
    """Return the name of an invite in the log, when it is made and when it is used; it does not let anyone register."""
    return hashlib.sha256(invite.encode()).hexdigest()[:SHOWN]
