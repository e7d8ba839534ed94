"""The options of the server for Web Push."""

from __future__ import annotations

from dataclasses import dataclass

from gmessenger.config.options.log import LogOptions
from gmessenger.config.options.table import option
from gmessenger.config.types import boolean, contact_url, host_names, seconds, seconds_or_zero
from gmessenger.constants import DEFAULT_PUSH_HOSTS


@dataclass(frozen=True, slots=True)
class PushOptions(LogOptions):
    """Where push messages are sent, how often, and how long that may take; times in seconds."""

    push: bool = option(
        False,
        boolean(),
        "whether browsers are woken by Web Push: their push services are sent encrypted messages for devices that are "
        "not connected; needs --push-contact or an https --web-url",
        "to notify people of messages while the page is closed",
        needs_restart=True,
    )
    push_contact: str = option(
        "",
        contact_url(),
        "how push services can reach you, mailto:NAME@HOST or an https URL; each push message tells it [default: "
        "--web-url]",
        "to be written to at an address of mail",
    )
    push_hosts: tuple[str, ...] = option(
        DEFAULT_PUSH_HOSTS,
        host_names(),
        "hosts of push services, each with all hosts below it; push messages are sent nowhere else",
        "to add a push service of your own, such as one for UnifiedPush, or to leave some out",
    )
    push_timeout: float = option(
        10.0,
        seconds(),
        "how long a push service may take for one message, its host name and connection included",
        "on very slow networks",
    )
    push_delay: float = option(
        5.0,
        seconds_or_zero(),
        "how long a push message waits while another device of the account is connected: it is not sent if the message "
        "is read there by then",
        "to be notified sooner, or less",
    )
    push_ack_timeout: float = option(
        10.0,
        seconds(),
        "how long a device that is connected has to acknowledge a message; if it does not, as a phone that sleeps, it "
        "is sent a push message",
        "where phones are slow to take what they are sent",
    )
    push_interval: float = option(
        10.0,
        seconds_or_zero(),
        "how long after a push message the same device is sent no other",
        "to be notified less often",
    )
    push_retry_limit: float = option(
        3600.0,
        seconds(),
        "how long a push service that is overloaded can have a message wait before it is tried again",
        "only in rare cases",
    )
