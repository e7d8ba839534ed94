"""URLs: of files; and those of services without their passwords, for messages and logs, also mistyped ones.

Only parts that are certainly no password are kept: printed URLs are often wrong ones, and in a wrong one the password
may be where a host, a port or a path belongs.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

FILE_PATH: Final = "/file"
"""Where files are uploaded, and found below."""
REDACTED: Final = "***"
NOT_A_SERVICE_URL: Final = re.compile(r"(sqlite:|memory:$|/(?!/)|[.~])(?![^@]*:[^@]*@)", re.IGNORECASE)
"""The beginning of a file name or of `memory:`; not if a password may be in what follows."""
SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*(:/{0,3}|//)|//+", re.ASCII)
POSTGRES_SCHEME: Final = re.compile(r"postgres(ql)?://", re.IGNORECASE)
"""With these schemes a user without a password is a user name; with others it is most likely a password."""
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
"""Parameters whose values are kept; any other may be a misspelt `password`."""
EMBEDDED_URL: Final = re.compile(
    r"\b[A-Za-z][\w+.-]*:/|\b(?:postgres|redis|valkey)\w*:\S|\S*:\S[^@]*@|\b\w*pass?w\w*\s*=", re.IGNORECASE
)
"""The beginning of what may hold a password, in free text."""


def redact_url(url: str) -> str:
    """Return the URL of a service, or what was meant as one, with `***` for what may be a password."""
    text = url.strip()
    if NOT_A_SERVICE_URL.match(text) or USER_NAME.fullmatch(text):
        return url
    match = SCHEME.match(text)
    scheme = match[0] if match else ""
    if not re.fullmatch(r"[^:/]+:///?", scheme):
        return _redact_parameters(text, " ") if not scheme and re.match(r"\w+=", text) else scheme + REDACTED
    base, mark, query = text.removeprefix(scheme).partition("?")
    user_info, at, location = base.rpartition("@")
    public = _hosts_and_path(location, slash="/" if scheme.endswith("///") else "")
    if public is None or (at and scheme.endswith("///")) or ("@" in query and not at):
        return _safe_prefix(scheme, base) + REDACTED
    return (
        scheme + (_redact_user(user_info, scheme) if at else "") + at + public + mark + _redact_parameters(query, "&")
    )


def redact_text(text: str) -> str:
    """Return a text with `redact_url` applied from where a URL begins in it."""
    match = EMBEDDED_URL.search(text)
    return text[: match.start()] + redact_url(text[match.start() :]) if match else text


def redact_error(text: str) -> str:
    """Return an error about an option's value ("expected …, not 'VALUE'") with the value redacted."""
    expected, mark, value = text.partition(", not ")
    is_ours = mark and re.match(r"(argument \S+: )?expected ", expected, re.IGNORECASE)
    return expected + mark + redact_text(value) if is_ours else redact_text(text)


def _safe_prefix(scheme: str, base: str) -> str:
    """Return the certain part of a mistyped URL: the scheme, and a user name before a colon."""
    name, colon, _ = base.partition(":")
    return (
        f"{scheme}{name}:"
        if colon and USER_NAME.fullmatch(name) and len(scheme.rstrip("/")) + 2 == len(scheme)
        else scheme
    )


def _redact_user(user_info: str, scheme: str) -> str:
    """Redact what is before the last `@`."""
    name, colon, _ = user_info.partition(":")
    if not USER_NAME.fullmatch(name):
        return REDACTED
    return f"{name}:{REDACTED}" if colon else name if POSTGRES_SCHEME.match(scheme) else REDACTED


def _hosts_and_path(text: str, slash: str) -> str | None:
    """Return hosts with ports and a path as they are; None if `text` is anything else. After a `slash` it is a path."""
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


def file_path(id: str, name: str) -> str:
    """Return the path of the URL of a file."""
    return f"{FILE_PATH}/{id}/{quote(name, safe='')}"
