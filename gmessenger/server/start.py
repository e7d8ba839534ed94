"""From the command line to a running server and back to an exit code; every fault is one line on stderr."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO, cast

import gevent

from gmessenger import __version__, log
from gmessenger.config.parser import SERVER, parse_options
from gmessenger.console import SanitizedStderr, print_error, print_line
from gmessenger.errors import ExitError
from gmessenger.paths import STDERR
from gmessenger.server.net.descriptors import raise_soft_limit

if TYPE_CHECKING:
    from gmessenger.server.server import Server

THREAD_SWITCH_INTERVAL: Final = 0.0005
GC_THRESHOLDS: Final = (50_000, 20, 100)


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, start, serve, drain. Never raises; a second signal ends the process at once with 143."""
    try:
        options = parse_options(SERVER, arguments)
        if options.check:
            from gmessenger.server.check import check

            return check(arguments)
        # Only now: help and a mistyped option should not wait for half a second of imports.
        from gmessenger.server.server import Server
        from gmessenger.server.signals import install_signal_handlers
        from gmessenger.server.systemd import SystemdNotifier

        place = options.log_destination("server")
        log.configure(place, options.log_level, options.log_format)
        raise_soft_limit(options.max_connections)
        # A commit's thread and the loop pass the interpreter to each other; the default lets one wait 5 ms.
        sys.setswitchinterval(THREAD_SWITCH_INTERVAL)
        # Thousands of messages wait for each commit; with the usual thresholds they are looked through again and again.
        gc.set_threshold(*GC_THRESHOLDS)
        gevent.get_hub().exception_stream = cast(TextIO, SanitizedStderr())
        # Where each greenlet was spawned is nothing we show, and would be kept for every connection.
        gevent.config.track_greenlet_tree = False
        app = Server(options)
        app.start()
    except ExitError as error:
        print_error(f"{SERVER.name}: {error}")
        return error.exit_code
    systemd = SystemdNotifier()
    install_signal_handlers(app, arguments, systemd)
    _print_address(app, place)
    systemd.ready(app.connection_count)
    app.supervisor.spawn("systemd", systemd.run_watchdog, lambda: app.connection_count, app.wait_stopped)
    return app.wait()


def _print_address(server: Server, log_place: str) -> None:
    where = server.options.ip or "every interface"
    tls = f", and on port {server.tls_port} with TLS" if server.tls_port is not None else ""
    log_name = "stderr" if log_place == STDERR else log_place
    with contextlib.suppress(OSError):  # nobody has to read it
        print_line(
            f"gmessenger {__version__} listens on port {server.port} of {where}{tls}. "
            f"Log: {log_name}. Ctrl-C stops it.",
            flush=True,
        )
