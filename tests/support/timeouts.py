"""The timeout of waits in tests.

Tests that pass wait for events, not for the timeout. It is one constant, since the speed of the machine is not a matter
of single tests.
"""

from __future__ import annotations

from typing import Final

TEST_TIMEOUT: Final = 60.0
"""Seconds."""
