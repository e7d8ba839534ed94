"""One accepted connection of the web port: TLS, then HTTP requests, until one of them becomes a WebSocket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gmessenger import log
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.errors import WireError
from gmessenger.server.net.connection import ServerContext, do_handshake
from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.net.transport import Transport
from gmessenger.server.web.forwarded import HttpClient, identify_client
from gmessenger.server.web.http_connection import Answer, HttpConnection, RequestBody, Upgrade
from gmessenger.server.web.origins import WebAddress
from gmessenger.server.web.responses import as_http_error, finish_response
from gmessenger.server.web.routes import RouteTable
from gmessenger.wire.http import HttpError, HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class WebContext:
    """What all sessions share.

    `check_address` raises the `WireError` of a client that is banned; `admit_address` does as well, and counts the
    client's connection for the networks that it returns. `charge_request` delays or refuses a client that asks too
    fast. `count` counts a request by the status of its answer.
    """

    server: ServerContext
    routes: RouteTable
    check_address: Callable[[str], None]
    admit_address: Callable[[str], WeightedNetworks]
    charge_request: Callable[[str], None]
    count: Callable[[int], None]


class WebSession:
    """The HTTP of one connection. `networks`: those that the connection counts for until it ends."""

    def __init__(
        self, transport: Transport, remote: RemoteAddress, local_address: str, context: WebContext, *, is_proxy: bool
    ) -> None:
        """`is_proxy`: whether the peer is a trusted proxy, whose headers name the client."""
        self.transport = transport
        self.remote = remote
        self.is_encrypted = transport.is_encrypted
        self.networks: WeightedNetworks = ()
        self._local_address = local_address
        self._context = context
        self._is_proxy = is_proxy
        self._http = HttpConnection(transport, lambda: context.server.options, self._respond, self._finish)

    @property
    def is_behind_proxy(self) -> bool:
        """Whether the peer is a trusted proxy: its own address is not what counts."""
        return self._is_proxy

    def negotiate(self) -> Upgrade | None:
        """Do the handshake of TLS and answer requests, until one is for a WebSocket, or there are no more (None).

        Afterwards `remote` and `is_encrypted` are those of its client. Blocks. Raises OSError.
        """
        do_handshake(self.transport, self._context.server, self.remote.address)
        return self._http.serve()

    def refuse(self, error: WireError) -> None:
        """Answer whatever is requested with an error. Blocks for about two seconds at most. Raises OSError."""
        self.transport.handshake(self._context.server.options.close_timeout)
        self._count(refused := as_http_error(error))
        self._http.refuse(refused)

    def close_when_idle(self) -> None:
        """End the connection once no request is being answered. Called when the server stops."""
        self._http.close_when_idle()

    def _respond(self, request: HttpRequest, read_body: RequestBody) -> Answer:
        # (An error in a local variable would be a cycle with its traceback: thousands of them are collected in one go.)
        try:
            answer = self._route(request, read_body)
        except WireError as error:
            raise self._counted(as_http_error(error)) from None
        except HttpError as error:
            self._count(error)
            raise
        self._context.count(101 if isinstance(answer, Upgrade) else answer.status)
        return answer

    def _counted(self, error: HttpError) -> HttpError:
        self._count(error)
        return error

    def _route(self, request: HttpRequest, read_body: RequestBody) -> Answer:
        remote, is_encrypted = (
            identify_client(request, self.remote) if self._is_proxy else HttpClient(self.remote, self.is_encrypted)
        )
        if self._is_proxy:
            self._context.check_address(remote.address)
        place = WebAddress("https" if is_encrypted else "http", self._local_address)
        with self._charged(request, remote.address):
            answer = self._context.routes.respond(request, place, remote, read_body)
        if isinstance(answer, Upgrade):
            if self._is_proxy:
                self.networks = self._context.admit_address(remote.address)
            self.remote, self.is_encrypted = remote, is_encrypted
        return answer

    @contextmanager
    def _charged(self, request: HttpRequest, address: str) -> Iterator[None]:
        """Charge a request; one for an upgrade only if it fails, since connections have limits of their own."""
        is_upgrade = bool(request.header("upgrade"))
        if not is_upgrade:
            self._context.charge_request(address)
        try:
            yield
        except HttpError:
            if is_upgrade:
                self._context.charge_request(address)
            raise

    def _finish(self, response: HttpResponse) -> HttpResponse:
        return finish_response(response, is_encrypted=self.is_encrypted)

    def _count(self, error: HttpError) -> None:
        self._context.count(error.status)
        if error.status not in (404, 405):  # what scanners ask for would fill the log
            reason = f"{error.status} {error.sentence}"
            log.log_event("web_request_refused", address=self.remote.address, reason=reason)


def local_address_of(sock: socket.socket) -> str:
    """Return the address that a client has connected to; empty for a Unix socket."""
    if sock.family == socket.AF_UNIX:
        return ""
    return str(sock.getsockname()[0]).removeprefix("::ffff:")
