"""URLs of services, as everybody may see them: without passwords, however the URL was mistyped.

What is shown is what can be told not to be one, and nothing else: it is the URL that somebody has got wrong which is
printed, and the password in it is then where a host, a port or a path would be.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "***"
NOT_A_SERVICE_URL: Final = re.compile(r"(sqlite:|memory:$|/(?!/)|[.~])(?![^@]*:[^@]*@)", re.IGNORECASE)
"""What begins so names a file, or nothing at all; but not where a password may be in it."""
SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*(:/{0,3}|//)|//+", re.ASCII)
POSTGRES_SCHEME: Final = re.compile(r"postgres(ql)?://", re.IGNORECASE)
"""Where a name without a password in front of a host is a name; elsewhere it is most likely a password."""
USER_NAME: Final = re.compile(r"([\w.+-]|%40)*")
HOST: Final = r"(?:(?:[\w.-]|%2[Ff])+|\[[\dA-Fa-f:.]+(?:%\w+)?\])"
HOST_LIST: Final = re.compile(rf"({HOST}(:\d{{0,5}})?(,{HOST}(:\d{{0,5}})?)*)?", re.ASCII)
PATH: Final = re.compile(r"[\w./+-]*")
PARAMETER_VALUE: Final = re.compile(r"[\w./,:+*-]*")
PUBLIC_PARAMETERS: Final = frozenset(
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
EMBEDDED_URL: Final = re.compile(
    r"\b[A-Za-z][\w+.-]*:/|\b(?:postgres|redis|valkey)\w*:\S|\S*:\S[^@]*@|\b\w*pass?w\w*\s*=", re.IGNORECASE
)
"""Where, among somebody's words, what may hold a password begins."""


def redact_url(url: str) -> str:
    """Return the URL of a service, or what should have been one, without anything that may be a password."""
    text = url.strip()
    if NOT_A_SERVICE_URL.match(text) or USER_NAME.fullmatch(text):
        return url
    found = SCHEME.match(text)
    scheme = found[0] if found else ""
    if not re.fullmatch(r"[^:/]+:///?", scheme):
        return _redact_parameters(text, " ") if not scheme and re.match(r"\w+=", text) else scheme + REDACTED
    base, mark, query = text.removeprefix(scheme).partition("?")
    before, at, place = base.rpartition("@")
    shown = _hosts_and_path(place, slash="/" if scheme.endswith("///") else "")
    if shown is None or (at and scheme.endswith("///")) or ("@" in query and not at):
        return _safe_prefix(scheme, base) + REDACTED
    return scheme + (_redact_user(before, scheme) if at else "") + at + shown + mark + _redact_parameters(query, "&")


def redact_text(text: str) -> str:
    """Return a sentence that ends with somebody's words, from where a URL begins in it as `masked` shows that."""
    found = EMBEDDED_URL.search(text)
    return text[: found.start()] + redact_url(text[found.start() :]) if found else text


def redact_error(text: str) -> str:
    """Return what is said of a value ("expected this, not 'VALUE'"), with the value as `redact_text` shows it."""
    expected, mark, value = text.partition(", not ")
    is_ours = mark and re.match(r"(argument \S+: )?expected ", expected, re.IGNORECASE)
    return expected + mark + redact_text(value) if is_ours else redact_text(text)


def _safe_prefix(scheme: str, base: str) -> str:
    """As much of what is mistyped as is sure: a name in front of a colon."""
    name, colon, _ = base.partition(":")
    return (
        f"{scheme}{name}:"
        if colon and USER_NAME.fullmatch(name) and len(scheme.rstrip("/")) + 2 == len(scheme)
        else scheme
    )


def _redact_user(user_info: str, scheme: str) -> str:
    """What stands in front of the last @."""
    name, colon, _ = user_info.partition(":")
    if not USER_NAME.fullmatch(name):
        return REDACTED
    return f"{name}:{REDACTED}" if colon else name if POSTGRES_SCHEME.match(scheme) else REDACTED


def _hosts_and_path(text: str, slash: str) -> str | None:
    """Hosts, their ports, and a path; None where it is not just that. With a `slash` in front, it is a path."""
    hosts, between, path = ("", "", text) if slash else text.partition("/")
    return hosts + between + path if HOST_LIST.fullmatch(hosts) and PATH.fullmatch(path) else None


def _redact_parameters(text: str, separator: str) -> str:
    return separator.join(map(_redact_parameter, text.split(separator))) if text else ""


def _redact_parameter(text: str) -> str:
    name, equals, value = text.partition("=")
    if not equals or not USER_NAME.fullmatch(name):
        return REDACTED if text else ""
    is_shown = unquote(name).lower() in PUBLIC_PARAMETERS and PARAMETER_VALUE.fullmatch(value)
    return name + equals + (value if is_shown else REDACTED)
