"""gevent's patches: `os.close` is left unpatched, in the programs and in the tests."""

from __future__ import annotations

import errno
import os

import pytest


def test_a_file_that_is_closed_is_closed_at_once() -> None:
    for end in os.pipe():
        os.close(end)
        with pytest.raises(OSError) as raised:
            os.fstat(end)
        assert raised.value.errno == errno.EBADF
