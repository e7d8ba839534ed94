"""A new configuration for a running server: followed as far as it can be, or refused whole and the old one kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gmessenger import logs
from gmessenger.chat.policy import Policy
from gmessenger.commandline import SERVER, parse
from gmessenger.errors import ExitError
from gmessenger.options import ServerOptions
from gmessenger.server.bounds import bounds_of
from gmessenger.server.files import raise_limit

if TYPE_CHECKING:
    from gmessenger.server.app import App


def policy_of(options: ServerOptions) -> Policy:
    """What the messenger needs to know of the options."""
    return Policy(
        guests=options.guests,
        broadcast=options.broadcast,
        registration=options.registration,
        greeting=options.greeting,
        max_text=options.max_text,
        max_frame=options.max_frame,
        names_remembered=options.names_remembered,
        retention=options.retention_days or None,
        account_quota=options.account_quota,
        guest_quota=options.guest_quota,
        unsettled=options.outbox_bytes,
        store_timeout=options.store_timeout,
        search_timeout=options.search_timeout,
        bounds=bounds_of(options),
    )


def reload(app: App, arguments: Sequence[str] | None) -> str | None:
    """Read everything anew, as at the start, and have the server follow it; returns why not, if it cannot.

    The command line is the one it was started with, and so is the environment; what is new comes from the file. The
    log is opened again, too.
    """
    try:
        wanted = parse(SERVER, arguments)
        options = possible(app.options, wanted)
        changed, place = differing(app.options, options), options.log_place("server")
        logs.prepare(place)
        app.follow(options)
    except ExitError as error:
        logs.event("reload_refused", reason=str(error))
        return str(error)
    logs.configure(place, options.log_level, options.log_format)
    logs.event("reloaded", changed=" ".join(changed))
    for name in differing(options, wanted):
        logs.event("needs_restart", option=name)
    raise_limit(options.max_connections)
    return None


def possible(old: ServerOptions, wanted: ServerOptions) -> ServerOptions:
    """The wanted options, but the old ones where the table says that a change takes a restart."""
    return replace(wanted, **{row.key: getattr(old, row.key) for row in SERVER.rows if row.restart})


def differing(one: ServerOptions, other: ServerOptions) -> list[str]:
    """The options that are not the same in both."""
    return [row.long for row in SERVER.rows if getattr(one, row.key) != getattr(other, row.key)]
