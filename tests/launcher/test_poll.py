"""`poll_until` with counted checks."""

from __future__ import annotations

import pytest

from gmessenger.launcher.poll import poll_until


def test_it_checks_until_the_condition_is_true() -> None:
    checks = iter([False, False, True, False])
    assert poll_until(lambda: next(checks), 60.0, 0.0)
    assert next(checks) is False


def test_it_checks_once_without_time_and_reports_failure() -> None:
    checks = iter([False])
    assert not poll_until(lambda: next(checks), 0.0, 60.0)


def test_an_error_of_the_condition_ends_it() -> None:
    with pytest.raises(ZeroDivisionError):
        poll_until(lambda: bool(1 // 0), 60.0, 60.0)
