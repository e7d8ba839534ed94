"""From the command line to a running server and back to an exit code; every fault is one line on stderr."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import gevent

from gmessenger import __version__, logs
from gmessenger.commandline import SERVER, parse
from gmessenger.errors import ExitError
from gmessenger.options import ServerOptions
from gmessenger.places import STDERR

if TYPE_CHECKING:
    from gmessenger.server.app import App

STOPPED_BY: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SECOND_SIGNAL: Final = 143
SWITCH_INTERVAL: Final = 0.0005
COLLECTOR_THRESHOLDS: Final = (50_000, 20, 100)
FILES_BESIDE_CONNECTIONS: Final = 256


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse, start, serve, drain. Never raises; a second signal ends the process at once with 143."""
    try:
        options = parse(SERVER, arguments)
        # Only now: help and a mistyped option should not wait for half a second of imports.
        from gmessenger.server.app import App

        place = options.log_place("server")
        logs.configure(place, options.log_level, options.log_format)
        _raise_file_limit(options)
        # A commit's thread and the loop pass the interpreter to each other; the default lets one wait 5 ms.
        sys.setswitchinterval(SWITCH_INTERVAL)
        # Thousands of messages wait for each commit; with the usual thresholds they are looked through again and again.
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        app = App(options)
        app.start()
    except ExitError as error:
        print(f"{SERVER.program}: {error}", file=sys.stderr)
        return error.exit_code
    _obey_signals(app)
    _say_where(app, place)
    return app.wait()


def _obey_signals(app: App) -> None:
    def obey(number: signal.Signals) -> None:
        if asked:
            os._exit(SECOND_SIGNAL)
        asked.append(number)
        app.stop(number.name)

    asked: list[signal.Signals] = []
    for number in STOPPED_BY:
        gevent.signal_handler(number, obey, number)


def _say_where(app: App, log_place: str) -> None:
    where = app.options.ip or "every interface"
    tls = f", and on port {app.tls_port} with TLS" if app.tls_port is not None else ""
    log = "stderr" if log_place == STDERR else log_place
    with contextlib.suppress(OSError):  # nobody has to read it
        print(
            f"gmessenger {__version__} listens on port {app.port} of {where}{tls}. Log: {log}. Ctrl-C stops it.",
            flush=True,
        )


def _raise_file_limit(options: ServerOptions) -> None:
    """Each connection is a file; the soft limit is usually far below what the system would allow."""
    if sys.platform == "win32":
        return
    import resource

    wanted = options.max_connections + FILES_BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
        if limit < wanted:
            logs.event("file_limit", limit=limit, wanted=wanted)
