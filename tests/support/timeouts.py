"""How long tests wait for what has to happen. A test that passes waits for the event and not for this; one constant,
because how long a busy machine takes is no business of a single test."""

from __future__ import annotations

from typing import Final

TEST_TIMEOUT: Final = 60.0
"""Seconds."""
