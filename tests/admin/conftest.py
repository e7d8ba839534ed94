"""Passwords that cost nothing: what is tested here is who may do what, not how slow a guess is."""

from __future__ import annotations

import pytest

from gmessenger.admin import client
from tests.conftest import FAST


@pytest.fixture(autouse=True)
def _fast_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PasswordVerifier", lambda: FAST)
