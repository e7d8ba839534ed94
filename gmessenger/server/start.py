"""From the command line to a running server and back to an exit code; every fault is one line on stderr."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO, cast

import gevent

from gmessenger import __version__, logs
from gmessenger.commandline import SERVER, parse
from gmessenger.errors import ExitError
from gmessenger.places import STDERR
from gmessenger.server.files import raise_limit
from gmessenger.terminal_text import SafeErrors, print_error, print_line

if TYPE_CHECKING:
    from gmessenger.server.app import App

SWITCH_INTERVAL: Final = 0.0005
COLLECTOR_THRESHOLDS: Final = (50_000, 20, 100)


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, start, serve, drain. Never raises; a second signal ends the process at once with 143."""
    try:
        options = parse(SERVER, arguments)
        if options.check:
            from gmessenger.server.check import check

            return check(arguments)
        # Only now: help and a mistyped option should not wait for half a second of imports.
        from gmessenger.server.app import App
        from gmessenger.server.signals import obey_signals
        from gmessenger.server.systemd import Systemd

        place = options.log_place("server")
        logs.configure(place, options.log_level, options.log_format)
        raise_limit(options.max_connections)
        # A commit's thread and the loop pass the interpreter to each other; the default lets one wait 5 ms.
        sys.setswitchinterval(SWITCH_INTERVAL)
        # Thousands of messages wait for each commit; with the usual thresholds they are looked through again and again.
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        gevent.get_hub().exception_stream = cast(TextIO, SafeErrors())
        # Where each greenlet was spawned is nothing we show, and would be kept for every connection.
        gevent.config.track_greenlet_tree = False
        app = App(options)
        app.start()
    except ExitError as error:
        print_error(f"{SERVER.program}: {error}")
        return error.exit_code
    systemd = Systemd()
    obey_signals(app, arguments, systemd)
    _say_where(app, place)
    systemd.ready(app.connections)
    app.watch.spawn("systemd", systemd.keep_alive, lambda: app.connections, app.stopped_within)
    return app.wait()


def _say_where(app: App, log_place: str) -> None:
    where = app.options.ip or "every interface"
    tls = f", and on port {app.tls_port} with TLS" if app.tls_port is not None else ""
    log = "stderr" if log_place == STDERR else log_place
    with contextlib.suppress(OSError):  # nobody has to read it
        print_line(
            f"gmessenger {__version__} listens on port {app.port} of {where}{tls}. Log: {log}. Ctrl-C stops it.",
            flush=True,
        )
