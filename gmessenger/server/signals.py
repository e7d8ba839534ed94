"""Signals: SIGINT and SIGTERM stop the server, a second one kills it, SIGHUP reloads."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import gevent

from gmessenger import log
from gmessenger.config.options import ServerOptions
from gmessenger.config.parser import SERVER, parse_options
from gmessenger.errors import ExitError
from gmessenger.server.net.descriptors import raise_soft_limit
from gmessenger.server.systemd import SystemdNotifier

if TYPE_CHECKING:
    from gmessenger.server.server import Server


def reload(server: Server, arguments: Sequence[str] | None) -> str | None:
    """Apply changed options, and reload the certificate and the log. Returns an error message, or None.

    If there is an error, the options are as before. `arguments` is the command line of the start. It and the
    environment are as they were: changes come from the file.
    """
    try:
        requested = parse_options(SERVER, arguments)
        options = reloadable_options(server.options, requested)
        changed, log_destination = changed_options(server.options, options), options.log_destination("server")
        log.ensure_writable(log_destination)
        server.apply_options(options)
    except ExitError as error:
        log.log_event("reload_refused", reason=str(error))
        return str(error)
    log.configure(log_destination, options.log_level, options.log_format)
    log.log_event("reloaded", changed=" ".join(changed))
    for name in changed_options(options, requested):
        log.log_event("needs_restart", option=name)
    raise_soft_limit(options.max_connections)
    return None


def reloadable_options(current: ServerOptions, requested: ServerOptions) -> ServerOptions:
    """Return the requested options, with the current values of those that need a restart."""
    return replace(requested, **{row.key: getattr(current, row.key) for row in SERVER.rows if row.needs_restart})


def changed_options(before: ServerOptions, after: ServerOptions) -> list[str]:
    """Return the names of options that differ."""
    return [row.long_name for row in SERVER.rows if getattr(before, row.key) != getattr(after, row.key)]


STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SECOND_SIGNAL_EXIT_CODE: Final = 143
TERMINAL: Final = Path("/dev/tty")
"""The process's own terminal: it can be opened only while there is one."""


def install_signal_handlers(server: Server, arguments: Sequence[str] | None, systemd: SystemdNotifier) -> None:
    """Handle signals in the loop from now on. `arguments` is the command line for `reload`."""
    stop = _make_stop_handler(server, systemd)
    for number in STOP_SIGNALS:
        gevent.signal_handler(number, stop, number)
    if not hasattr(signal, "SIGHUP"):
        return
    started_at_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def hang_up() -> None:
        # A terminal that is closed sends the same signal as an operator, but does not exist any more.
        if started_at_terminal and not _has_terminal():
            stop(signal.SIGHUP)
        elif not server.stopping:
            systemd.reloading()
            systemd.ready(server.connection_count, reload(server, arguments))

    gevent.signal_handler(signal.SIGHUP, server.supervisor.guard("reload", hang_up))


def _make_stop_handler(server: Server, systemd: SystemdNotifier) -> Callable[[signal.Signals], None]:
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if received:
            os._exit(SECOND_SIGNAL_EXIT_CODE)
        received.append(number)
        systemd.stopping(server.connection_count)
        server.stop(number.name)

    return stop


def _has_terminal() -> bool:
    """Return whether the process has a controlling terminal."""
    try:
        TERMINAL.open("rb").close()
    except OSError:
        return False
    return True
