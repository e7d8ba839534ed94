"""The plugin named in addopts: patches sockets before any test module is collected."""

from __future__ import annotations

import os

import gevent
from gevent import monkey

monkey.patch_all()

# Whoever runs the tests may have a config file of their own, and it is none of theirs.
os.environ["XDG_CONFIG_HOME"] = os.devnull

if "PYTEST_XDIST_WORKER" in os.environ:
    # A worker waits for orders that another thread receives; a loop with nothing to wait for would end instead.
    keep_alive = gevent.get_hub().loop.timer(1.0, 1.0)
    keep_alive.start(lambda: None)
