"""Connections at rest keep the memory of their deepest calls: a page more is 4 kB for each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import pytest

from gmessenger import log
from tests.conftest import RunningServer
from tests.irc.conftest import IrcServer
from tests.support.native_clients import Connector

MAX_FRAMES_AT_LOGIN: Final = 12
"""Frames above `log.log_event`, which goes deepest of all. With one more, 5,000 connections took 23 MB more."""
MAX_FRAMES_AT_IRC_LOGIN: Final = 13
"""The same of IRC, whose frames are smaller. With four more, 5,000 connections took 20 MB more."""


@pytest.fixture
def depths(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many frames were above each event that was logged."""
    depths: dict[str, int] = {}
    log_event = log.log_event

    def record(event: str, **fields: object) -> None:
        frame: FrameType | None = sys._getframe(1)
        count = 0
        while frame is not None:
            count, frame = count + 1, frame.f_back
        depths[event] = count
        log_event(event, **fields)

    monkeypatch.setattr(log, "log_event", record)
    return depths


def test_a_login_is_logged_at_no_greater_depth(server: RunningServer, depths: dict[str, int]) -> None:
    with Connector() as connector:
        connector.open_native(server, "hank")
    assert depths["login"] <= MAX_FRAMES_AT_LOGIN, depths


@pytest.mark.parametrize("capabilities", [(), ("server-time",)], ids=["without CAP", "with CAP"])
def test_a_login_by_irc_is_logged_at_no_greater_depth(
    start_server: Callable[..., RunningServer], depths: dict[str, int], capabilities: tuple[str, ...]
) -> None:
    irc = IrcServer(start_server(irc_port=0))
    with irc.connect() as client:
        client.log_in("hank", *capabilities)
    assert depths["login"] <= MAX_FRAMES_AT_IRC_LOGIN, depths
