"""What the process does when it is signalled: SIGINT and SIGTERM stop it, a second one ends it, SIGHUP reloads."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gevent

from gmessenger.server.reload import reload
from gmessenger.server.systemd import Systemd

if TYPE_CHECKING:
    from gmessenger.server.app import App

STOPPED_BY: Final = (signal.SIGINT, signal.SIGTERM)
SECOND_SIGNAL: Final = 143
TERMINAL: Final = Path("/dev/tty")


def obey_signals(app: App, arguments: Sequence[str] | None, systemd: Systemd) -> None:
    """From now on the process obeys signals. `arguments` is the command line that a reload reads again."""
    stop = _stopper(app, systemd)
    for number in STOPPED_BY:
        gevent.signal_handler(number, stop, number)
    if not hasattr(signal, "SIGHUP"):
        return
    at_a_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def hang_up() -> None:
        # A terminal that was closed sends the same signal as an operator, but is not there any more.
        if at_a_terminal and not _has_terminal():
            stop(signal.SIGHUP)
        elif not app.stopping:
            systemd.reloading()
            systemd.ready(app.connections, reload(app, arguments))

    gevent.signal_handler(signal.SIGHUP, app.watch.guard("reload", hang_up))


def _stopper(app: App, systemd: Systemd) -> Callable[[signal.Signals], None]:
    asked: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if asked:
            os._exit(SECOND_SIGNAL)
        asked.append(number)
        systemd.stopping(app.connections)
        app.stop(number.name)

    return stop


def _has_terminal() -> bool:
    """Whether the process can be reached from a terminal by what is typed there."""
    try:
        TERMINAL.open("rb").close()
    except OSError:
        return False
    return True
