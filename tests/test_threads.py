"""Blocking calls in threads: their results and errors, and a loop that goes on meanwhile."""

from __future__ import annotations

import errno
import os
from functools import partial

import gevent
import pytest

from gmessenger.threads import run_in_thread
from tests.support.timeouts import TEST_TIMEOUT


def test_the_loop_goes_on_while_a_call_blocks() -> None:
    reading, writing = os.pipe()
    gevent.spawn(os.write, writing, b"x")
    with gevent.Timeout(TEST_TIMEOUT):
        assert run_in_thread(partial(os.read, reading, 1)) == b"x"
    for end in (reading, writing):
        os.close(end)


def test_an_error_of_the_system_is_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken"):
        run_in_thread(fail)
    assert capfd.readouterr().err == ""
