"""The HTTPS client of push services: one request on a connection of its own, to an address that was checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Final, TypeAlias

from gevent import Timeout, socket, ssl
from msgspec import Struct

from gmessenger.server.push.endpoints import HTTPS_PORT, Endpoint, is_public
from gmessenger.wire.http import HeaderList
from gmessenger.wire.http_client import HttpClientCodec, ResponseHead

MAX_ADDRESSES: Final = 4  # of a host that are tried
RECEIVE_SIZE: Final = 16_384  # bytes

SocketAddress: TypeAlias = tuple[int, Any]
"""Family of an address, and the address as `connect` takes it."""
Resolve: TypeAlias = Callable[[str], Sequence[SocketAddress]]
"""Returns the addresses of a host that may be connected to. Blocks. Raises OSError."""


class PushNetwork(Struct, frozen=True):
    """How push services are reached: how their hosts are resolved, and whose certificates are accepted."""

    resolve: Resolve
    context: ssl.SSLContext


def public_network() -> PushNetwork:
    """Return the Internet: public addresses, and certificates that the system trusts."""
    return PushNetwork(resolve_public, ssl.create_default_context())


def resolve_public(host: str) -> list[SocketAddress]:
    """Return the public addresses of a host. Raises OSError where it has none. Blocks."""
    rows = socket.getaddrinfo(host, HTTPS_PORT, 0, socket.SOCK_STREAM)
    public: list[SocketAddress] = [(family, address) for family, _, _, _, address in rows if is_public(str(address[0]))]
    if not public:
        raise OSError("the host has no public address")
    return public


class PushClient:
    """Sends requests to push services. Redirects are not followed, and bodies of answers not read."""

    def __init__(self, network: PushNetwork, timeout: Callable[[], float]) -> None:
        """`timeout`: seconds that a request may take in all."""
        self._network = network
        self._timeout = timeout

    def post(self, endpoint: Endpoint, headers: HeaderList, body: bytes) -> ResponseHead:
        """Post a body; return the head of the answer. Blocks. Raises OSError, also after the timeout."""
        seconds = self._timeout()
        timeout = Timeout(seconds, TimeoutError(f"no answer within {seconds:g} s"))
        with timeout, closing(self._connect(endpoint.host)) as sock:
            return self._exchange(sock, endpoint, headers, body)

    def _connect(self, host: str) -> ssl.SSLSocket:
        """Connect to the first address of a host that accepts a connection. Resolves the host only once."""
        failure: OSError | None = None
        for family, address in self._network.resolve(host)[:MAX_ADDRESSES]:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.connect(address)
                return self._network.context.wrap_socket(sock, server_hostname=host)
            except BaseException as error:  # also a timeout
                sock.close()
                if not isinstance(error, OSError) or isinstance(error, TimeoutError):
                    raise
                failure = error
        raise failure or OSError("the host has no address")

    def _exchange(self, sock: ssl.SSLSocket, endpoint: Endpoint, headers: HeaderList, body: bytes) -> ResponseHead:
        codec = HttpClientCodec()
        sock.sendall(codec.post(endpoint.target, [("Host", endpoint.host), *headers], body))
        try:
            while True:
                data = sock.recv(RECEIVE_SIZE)
                if (head := codec.receive(data)) is not None:
                    return head
                if not data:
                    raise OSError("the push service closed the connection without an answer")
        except ValueError as error:
            raise OSError("the answer is not HTTP") from error
