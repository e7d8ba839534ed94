"""Host names and addresses: parsing what people write, and what resolvers take."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

MAX_HOST_NAME: Final = 253
"""Characters of a host name (RFC 1035, 2.3.4), without a trailing dot."""
MAX_PORT: Final = 65_535
IPV6_SITE_PREFIX: Final = 64
"""The prefix of an IPv6 address that its user cannot choose: one site has all addresses with the same prefix."""
HOST_PORT_PATTERN: Final = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
HOST_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
FORBIDDEN_IN_HOST: Final = re.compile(r"[\x00-\x20\x7f-\xa0:/@\[\]]")
"""Characters that no host name has, and that would change the meaning of a URL."""


def split_host_port(text: str) -> tuple[str, int | None]:
    """Split `HOST`, `HOST:PORT`, `ADDRESS`, `[ADDRESS]` or `[ADDRESS]:PORT` into a host without brackets and a port.

    The port is None if there is none. Raises ValueError if `text` is none of these, or the host is invalid.
    """
    if _is_address(text):
        return text, None
    match = HOST_PORT_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("no host")
    host, port = match["six"] or match["host"], int(match["port"]) if match["port"] else None
    if match["six"] and not (":" in host and _is_address(host)):
        raise ValueError("only an IPv6 address stands in brackets")
    if port is not None and not 0 < port <= MAX_PORT:
        raise ValueError("no port")
    ascii_host(host)
    return host, port


def join_host_port(host: str, port: int) -> str:
    """Return `HOST:PORT`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def strip_brackets(host: str) -> str:
    """Return an IPv6 address without its brackets, and anything else as it is."""
    inner = host[1:-1]
    return inner if host[:1] == "[" and host[-1:] == "]" and ":" in inner and _is_address(inner) else host


def is_certainly_address(text: str) -> bool:
    """Return whether a text can only be an address or a network: names have no `:` or `/`, but may be `203.0.113.7`."""
    return ":" in text or "/" in text


def is_host_name(text: str) -> bool:
    """Return whether a text is the name of a host in lower case and ASCII, and cannot be an address."""
    labels = text.split(".")
    is_name = all(map(HOST_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    return is_name and len(text) <= MAX_HOST_NAME


def ascii_host(host: str) -> str:
    """Return the ASCII form (IDNA 2003, as Python's own) of a host for `getaddrinfo`; brackets are removed.

    Raises ValueError for a name that cannot exist: an empty or overlong label, a control character, white space. For
    some of these gevent's resolver would print a traceback.
    """
    host = strip_brackets(host)
    if _is_address(host):
        return host
    name = host.encode("idna").decode("ascii")  # raises UnicodeError, which is a ValueError
    if not name or FORBIDDEN_IN_HOST.search(name) or len(name.rstrip(".")) > MAX_HOST_NAME:
        raise ValueError("not a host name")
    return name


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        return bool(ip_address(text))
    return False
