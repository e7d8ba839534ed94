"""Lines that IRC clients are answered with."""

from __future__ import annotations

from gmessenger.errors import WireError


def encode_refusal(error: WireError) -> bytes:
    """Return the line for a client that is not admitted."""
    return f"ERROR :{error}\r\n".encode()
