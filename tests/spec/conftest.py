"""Connections to the server under test, closed when the test ends and before the server stops.
A test names `dial` after `server` or `start_server`."""

from collections.abc import Iterator

import pytest

from tests.spec.wires import Dial


@pytest.fixture
def dial() -> Iterator[Dial]:
    with Dial() as connections:
        yield connections
