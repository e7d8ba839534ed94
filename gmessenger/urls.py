"""URLs of services, as everybody may see them: without passwords, however the URL was mistyped.

What is shown is what can be told not to be one, and nothing else: it is the URL that somebody has got wrong which is
printed, and the password in it is then where a host, a port or a path would be.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

MASK: Final = "***"
NO_SERVICE: Final = re.compile(r"(sqlite:|memory:$|/(?!/)|[.~])(?![^@]*:[^@]*@)", re.IGNORECASE)
"""What begins so names a file, or nothing at all; but not where a password may be in it."""
SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*(:/{0,3}|//)|//+", re.ASCII)
WITH_USERS: Final = re.compile(r"postgres(ql)?://", re.IGNORECASE)
"""Where a name without a password in front of a host is a name; elsewhere it is most likely a password."""
NAME: Final = re.compile(r"([\w.+-]|%40)*")
HOST: Final = r"(?:(?:[\w.-]|%2[Ff])+|\[[\dA-Fa-f:.]+(?:%\w+)?\])"
HOSTS: Final = re.compile(rf"({HOST}(:\d{{0,5}})?(,{HOST}(:\d{{0,5}})?)*)?", re.ASCII)
PATH: Final = re.compile(r"[\w./+-]*")
VALUE: Final = re.compile(r"[\w./,:+*-]*")
SHOWN_PARAMETERS: Final = frozenset(
    {
        *("application_name", "channel_binding", "client_encoding", "connect_timeout", "db", "dbname", "host"),
        *("hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts"),
        *("passfile", "port", "protocol", "require_auth", "service", "socket_connect_timeout", "socket_timeout"),
        *("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile", "sslcert", "sslcrl"),
        *("sslkey", "sslmode", "sslrootcert", "ssl_min_protocol_version", "target_session_attrs", "tcp_user_timeout"),
        *("user", "username"),
    }
)
"""Of any other parameter the value is masked: it may be `password`, misspelt."""
IN_A_SENTENCE: Final = re.compile(
    r"\b[A-Za-z][\w+.-]*:/|\b(?:postgres|redis|valkey)\w*:\S|\S*:\S[^@]*@|\b\w*pass?w\w*\s*=", re.IGNORECASE
)
"""Where, among somebody's words, what may hold a password begins."""


def masked(url: str) -> str:
    """Return the URL of a service, or what should have been one, without anything that may be a password."""
    text = url.strip()
    if NO_SERVICE.match(text) or NAME.fullmatch(text):
        return url
    found = SCHEME.match(text)
    scheme = found[0] if found else ""
    if not re.fullmatch(r"[^:/]+:///?", scheme):
        return _settings(text, " ") if not scheme and re.match(r"\w+=", text) else scheme + MASK
    base, mark, query = text.removeprefix(scheme).partition("?")
    before, at, place = base.rpartition("@")
    shown = _place(place, slash="/" if scheme.endswith("///") else "")
    if shown is None or (at and scheme.endswith("///")) or ("@" in query and not at):
        return _begun(scheme, base) + MASK
    return scheme + (_user(before, scheme) if at else "") + at + shown + mark + _settings(query, "&")


def masked_text(text: str) -> str:
    """Return a sentence that ends with somebody's words, from where a URL begins in it as `masked` shows that."""
    found = IN_A_SENTENCE.search(text)
    return text[: found.start()] + masked(text[found.start() :]) if found else text


def masked_fault(text: str) -> str:
    """Return what is said of a value ("expected this, not 'VALUE'"), with the value as `masked_text` shows it."""
    expected, mark, value = text.partition(", not ")
    is_ours = mark and re.match(r"(argument \S+: )?expected ", expected, re.IGNORECASE)
    return expected + mark + masked_text(value) if is_ours else masked_text(text)


def _begun(scheme: str, base: str) -> str:
    """As much of what is mistyped as is sure: a name in front of a colon."""
    name, colon, _ = base.partition(":")
    return (
        f"{scheme}{name}:" if colon and NAME.fullmatch(name) and len(scheme.rstrip("/")) + 2 == len(scheme) else scheme
    )


def _user(before: str, scheme: str) -> str:
    """What stands in front of the last @."""
    name, colon, _ = before.partition(":")
    if not NAME.fullmatch(name):
        return MASK
    return f"{name}:{MASK}" if colon else name if WITH_USERS.match(scheme) else MASK


def _place(text: str, slash: str) -> str | None:
    """Hosts, their ports, and a path; None where it is not just that. With a `slash` in front, it is a path."""
    hosts, between, path = ("", "", text) if slash else text.partition("/")
    return hosts + between + path if HOSTS.fullmatch(hosts) and PATH.fullmatch(path) else None


def _settings(text: str, between: str) -> str:
    return between.join(map(_setting, text.split(between))) if text else ""


def _setting(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        return MASK if text else ""
    is_shown = unquote(name).lower() in SHOWN_PARAMETERS and VALUE.fullmatch(value)
    return name + equals + (value if is_shown else MASK)
