"""Connections at rest keep the memory of their deepest calls: a page more is 4 kB for each of them."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

from gmessenger import log
from tests.conftest import RunningServer
from tests.support.native_clients import Connector

MAX_FRAMES_AT_LOGIN = 12
"""Frames above `log.log_event`, which goes deepest of all. With one more, 5,000 connections took 23 MB more."""


def test_a_login_is_logged_at_no_greater_depth(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with Connector() as connector:
        connector.open_native(server, "hank")
    assert depths["login"] <= MAX_FRAMES_AT_LOGIN, depths
