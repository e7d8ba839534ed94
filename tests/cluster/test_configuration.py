"""Who may have a bus."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.errors import ConfigError
from tests.conftest import RunningServer


def test_a_bus_that_leads_to_nobody_is_refused(start_server: Callable[..., RunningServer]) -> None:
    with pytest.raises(ConfigError, match="share a store"):
        start_server(bus="redis://localhost")
    assert start_server().app.node is None  # and the store is free again
