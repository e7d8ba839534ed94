"""URLs of servers: `wss://HOST/jim`, and the `https://` link of a server's site in its place, as people paste it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from gmessenger.hosts import ascii_host, split_host_port

SCHEME: Final = re.compile(r"(?P<site>https?|wss?)://", re.IGNORECASE)
SITE_SCHEMES: Final = {"http": "ws", "https": "wss"}
"""The schemes of links, and those of the WebSockets that they stand for."""
DEFAULT_PORTS: Final = {"ws": 80, "wss": 443}
ENDPOINT: Final = "jim"
"""The last part of the path at which a server takes WebSockets."""
DEFAULT_TARGET: Final = f"/{ENDPOINT}"
INVITE_KEY: Final = "invite"
SAFE_IN_TARGET: Final = "/%:@!$&'()*+,;=~-._?"
NOT_IN_URL: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server that is reached by WebSocket; as text, `wss://chat.example.org/jim`.

    host: without brackets. target: path and query. invite: what the URL had beside the address, or None.
    """

    is_encrypted: bool
    host: str
    port: int
    target: str = DEFAULT_TARGET
    invite: str | None = None

    @property
    def scheme(self) -> str:
        """`wss`, or `ws` where the connection is not encrypted."""
        return "wss" if self.is_encrypted else "ws"

    @property
    def host_header(self) -> str:
        """The header `Host` of requests: without a default port, and in ASCII."""
        return self._authority(ascii_host(self.host).partition("%")[0])

    def __str__(self) -> str:
        return f"{self.scheme}://{self._authority(self.host)}{self.target}"

    def _authority(self, host: str) -> str:
        host = f"[{host}]" if ":" in host else host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_server_url(text: str) -> bool:
    """Return whether a text begins as the URL of a server, valid or not."""
    return SCHEME.match(text) is not None


def parse_server_url(text: str) -> ServerUrl:
    """Return the server that a URL names. Raises ValueError if it names none, or has a user in it.

    `https://HOST/` is the link of a site, whose WebSocket is at `/jim` beside its page. `#invite=CODE`, or the same as
    a parameter, is taken out: a server would log it.
    """
    parts = urlsplit(text)
    if not is_server_url(text) or NOT_IN_URL.search(text) or "@" in parts.netloc:
        raise ValueError("no URL of a server")
    is_site = parts.scheme in SITE_SCHEMES
    scheme = SITE_SCHEMES.get(parts.scheme, parts.scheme)
    host, port = split_host_port(parts.netloc)
    target = quote(_site_target(parts.path) if is_site else _target(parts.path, parts.query), safe=SAFE_IN_TARGET)
    given = dict(parse_qsl(parts.query)) | dict(parse_qsl(parts.fragment.lstrip("/?")))
    return ServerUrl(scheme == "wss", host.lower(), port or DEFAULT_PORTS[scheme], target, given.get(INVITE_KEY))


def _site_target(path: str) -> str:
    """Return the path of the endpoint beside a page."""
    return f"{path.rpartition('/')[0]}/{ENDPOINT}"


def _target(path: str, query: str) -> str:
    kept = "&".join(part for part in query.split("&") if part and part.partition("=")[0] != INVITE_KEY)
    return (path if path.strip("/") else DEFAULT_TARGET) + (f"?{kept}" if kept else "")
