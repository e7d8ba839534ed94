"""A verifier with cheap hashes for all tests of the administration."""

from __future__ import annotations

import pytest

from gmessenger.admin import client
from tests.conftest import FAST


@pytest.fixture(autouse=True)
def _fast_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PasswordVerifier", lambda: FAST)
