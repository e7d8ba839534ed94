"""Run a server from a command line to an exit code; an error is one line on stderr."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO, cast

import gevent

from gmessenger import __version__, log
from gmessenger.config.options import ServerOptions
from gmessenger.config.parser import SERVER, parse_options
from gmessenger.console import SanitizedStderr, print_error, print_line
from gmessenger.errors import ExitError
from gmessenger.paths import STDERR
from gmessenger.server.net.descriptors import raise_soft_limit

if TYPE_CHECKING:
    from gmessenger.server.server import Server

THREAD_SWITCH_INTERVAL: Final = 0.0005  # seconds
"""The thread of a commit and the loop pass the interpreter to each other; with the default, one may wait 5 ms."""
GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Thousands of messages wait for each commit; with the default, they are traversed again and again."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Start a server, and block until it has stopped; return its exit code. Never raises."""
    try:
        options = parse_options(SERVER, arguments)
        if options.check:
            from gmessenger.server.check import check

            return check(arguments)
        # Imported late, so that help and errors in options appear at once.
        from gmessenger.server.server import Server

        _configure_process(options)
        server = Server(options)
        server.start()
    except ExitError as error:
        print_error(f"{SERVER.name}: {error}")
        return error.exit_code
    return _serve(server, arguments)


def _configure_process(options: ServerOptions) -> None:
    """Set up the log, the file limit, the interpreter and the loop. Raises `FileError`."""
    log.configure(options.log_destination("server"), options.log_level, options.log_format)
    raise_soft_limit(options.max_connections)
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL)
    gc.set_threshold(*GC_THRESHOLDS)
    gevent.get_hub().exception_stream = cast(TextIO, SanitizedStderr())
    # Where greenlets were spawned is not shown anywhere, and would take memory for every connection.
    gevent.config.track_greenlet_tree = False


def _serve(server: Server, arguments: Sequence[str] | None) -> int:
    """Handle signals, report the start, and block until the server has stopped; return its exit code."""
    from gmessenger.server.signals import install_signal_handlers
    from gmessenger.server.systemd import SystemdNotifier

    systemd = SystemdNotifier()
    install_signal_handlers(server, arguments, systemd)
    _print_address(server)
    systemd.ready(server.connection_count)
    server.supervisor.spawn("systemd", systemd.run_watchdog, lambda: server.connection_count, server.wait_stopped)
    return server.wait()


def _print_address(server: Server) -> None:
    log_destination = server.options.log_destination("server")
    interface = server.options.ip or "every interface"
    tls = f", and on port {server.tls_port} with TLS" if server.tls_port is not None else ""
    web = f", for browsers at {server.web_url}" if server.web_url is not None else ""
    ports = server.ports
    irc = f", for IRC on port {ports.irc.number}" if ports.irc is not None else ""
    irc += f", for IRC with TLS on port {ports.irc_tls.number}" if ports.irc_tls is not None else ""
    irc += f", for IRC over WebSocket at {server.irc_websocket_url}" if server.irc_websocket_url else ""
    log_name = "stderr" if log_destination == STDERR else log_destination
    with contextlib.suppress(OSError):  # stdout may be closed
        print_line(
            f"gmessenger {__version__} listens on port {server.port} of {interface}{tls}{web}{irc}. "
            f"Log: {log_name}. Ctrl-C stops it.",
            flush=True,
        )
