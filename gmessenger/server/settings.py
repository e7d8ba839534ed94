"""Convert the options of the server to the policy and the limits of the messenger."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gmessenger.chat.policy import Policy
from gmessenger.chat.ratelimit import Limits, RateLimit
from gmessenger.config.options import ServerOptions
from gmessenger.config.options.table import default_files_folder
from gmessenger.constants import IRC_ON_WEB, MEMORY_URL
from gmessenger.errors import ConfigError
from gmessenger.room_rules import parse_rules
from gmessenger.store import POSTGRES_PREFIXES

HOUR: Final = 3600.0  # seconds


def limits_from_options(options: ServerOptions) -> Limits:
    """Return the rate limits and room limits of the options."""
    return Limits(
        messages=RateLimit(options.message_rate, options.message_burst, options.patience),
        requests=RateLimit(options.request_rate, options.request_burst, options.patience),
        guest_messages=RateLimit(options.guest_message_rate, options.guest_message_burst, options.patience),
        guest_requests=RateLimit(options.guest_request_rate, options.guest_request_burst, options.patience),
        registrations=RateLimit.per_period(options.registrations_per_hour, HOUR),
        login_failures_per_address=RateLimit.per_period(options.failures_per_ip, options.failure_window),
        login_failures_per_name=RateLimit.per_period(options.failures_per_name, options.failure_window),
        max_rooms=options.max_rooms,
        max_rooms_created=options.max_rooms_made,
        max_rooms_joined=options.max_rooms_joined,
        max_members=options.max_members,
    )


def keeps_files(options: ServerOptions) -> bool:
    """Return whether there is a place for files: every store but a shared one has one of its own."""
    return bool(options.web) and (bool(options.files) or not options.store_url.startswith(POSTGRES_PREFIXES))


def files_folder(options: ServerOptions) -> Path | None:
    """Return the folder for files, of a server that keeps any; None for a temporary one, with a store in memory."""
    if options.files and options.store_url != MEMORY_URL:
        return Path(options.files)
    return default_files_folder(options.store_url)


def push_subject(options: ServerOptions) -> str:
    """Return how push services can reach the operator; empty without `--push`. Raises `ConfigError` if they cannot."""
    subject = options.push_contact or (options.web_url if options.web_url.startswith("https://") else "")
    if options.push and not subject:
        raise ConfigError(
            "--push needs a way for push services to reach you: --push-contact mailto:NAME@HOST, or an https --web-url."
        )
    return subject if options.push else ""


def check_irc(options: ServerOptions) -> None:
    """Raise `ConfigError` where options for IRC contradict others."""
    if options.irc_tls_port is not None and not options.tls_certificate:
        raise ConfigError("--irc-tls-port needs a certificate: --tls-certificate.")
    if options.irc_websocket == IRC_ON_WEB and not options.web:
        raise ConfigError(f"--irc-websocket {IRC_ON_WEB} needs --web.")
    if options.irc_sts is not None and options.irc_tls_number is None:
        raise ConfigError("--irc-sts needs a port for IRC over TLS: --irc-tls-port, with --tls-certificate.")


def policy_from_options(options: ServerOptions, web_url: str = "") -> Policy:
    """Return the policy of the options. `web_url`: the beginning of URLs at which the server is reached by HTTP."""
    return Policy(
        guests=options.guests,
        broadcast=options.broadcast,
        guest_rooms=options.irc_guest_rooms,
        guest_shut_out=options.guest_shut_out,
        registration=options.registration,
        greeting=options.greeting,
        max_text=options.max_text,
        max_frame=options.max_frame,
        max_recent_names=options.names_remembered,
        token_days=options.token_days,
        announced_retention=options.retention_days or None,
        account_quota=options.account_quota,
        guest_quota=options.guest_quota,
        max_pending_characters=options.outbox_bytes,
        max_file=options.max_file if keeps_files(options) else 0,
        files_of_one=options.files_of_one,
        files_of_all=options.files_of_all,
        web_url=web_url,
        edit_for=options.edit_for,
        store_timeout=options.store_timeout,
        search_timeout=options.search_timeout,
        limits=limits_from_options(options),
        new_room_rules=parse_rules(options.new_room_rules),
    )
