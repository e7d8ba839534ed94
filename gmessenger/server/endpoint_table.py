"""The endpoints of a server: for each of its ports, the protocol that is spoken there, and who is admitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from gmessenger.chat.messenger import Messenger
from gmessenger.constants import IRC_PATH, WebTls
from gmessenger.server.acceptor import Acceptor
from gmessenger.server.endpoints import ClientEndpoint, HttpEndpoint, StreamEndpoint
from gmessenger.server.jim.frontend import create_jim_frontend
from gmessenger.server.net.connection import ServerContext
from gmessenger.server.net.frontend import Frontend
from gmessenger.server.net.tls import CertificateManager
from gmessenger.server.ports import BoundPort, ServerPorts

if TYPE_CHECKING:
    from gmessenger.server.irc.users import UserRegistry
    from gmessenger.server.web.endpoint import WebEndpoint
    from gmessenger.server.web.routes import Route


IRC_PATHS: Final = (IRC_PATH, f"{IRC_PATH}/")


class EndpointTable:
    """The ports of a server, each with its endpoint."""

    def __init__(
        self,
        ports: ServerPorts,
        context: ServerContext,
        acceptor: Acceptor,
        messenger: Messenger,
        certificate: CertificateManager | None,
        started_at: float,
        is_stopping: Callable[[], bool],
        file_routes: Sequence[Route],
        irc_users: Callable[[], UserRegistry],
    ) -> None:
        """Make the endpoints.

        started_at: Unix seconds.
        file_routes: those of files on the web port, if there are any.
        irc_users: makes what IRC shows of users, where IRC is spoken.
        """
        self._context = context
        self._acceptor = acceptor
        self._messenger = messenger
        self._certificate = certificate
        self._is_stopping = is_stopping
        self.web: WebEndpoint | None = None
        """What `--web` is like; None without it."""
        self.irc_websocket: WebEndpoint | None = None
        """What `--irc-websocket` is like; None without a port of its own."""
        self.web_request_count: Counter[int] = Counter()
        """HTTP requests, by the status of the answer."""
        self._web_endpoints: list[WebEndpoint] = []
        self._rows: list[tuple[BoundPort, ClientEndpoint]] = []
        jim = create_jim_frontend(messenger)
        irc = self._create_irc_frontend(irc_users(), started_at) if context.options.offers_irc else None
        self._add_streams(ports.jim, ports.jim_tls, jim)
        if irc is not None:
            self._add_streams(ports.irc, ports.irc_tls, irc, asks_for_certificates=True)
        if ports.web is not None:
            self.web = self._add_web(ports.web, jim, irc, file_routes)
        if ports.irc_websocket is not None and irc is not None:
            self.irc_websocket = self._add_irc_websocket(ports.irc_websocket, irc)

    def __iter__(self) -> Iterator[tuple[BoundPort, ClientEndpoint]]:
        return iter(self._rows)

    def stop_web(self) -> None:
        """End the connections of HTTP, each after the request that is being answered. Never blocks."""
        for web in self._web_endpoints:
            web.stop()

    def _create_irc_frontend(self, users: UserRegistry, started_at: float) -> Frontend:
        # Imported late: most servers speak no IRC.
        from gmessenger.server.irc.frontend import create_irc_frontend

        return create_irc_frontend(self._messenger, users, lambda: self._context.options, started_at)

    def _add_streams(
        self, plain: BoundPort | None, tls: BoundPort | None, frontend: Frontend, *, asks_for_certificates: bool = False
    ) -> None:
        if plain is not None:
            self._rows.append((plain, StreamEndpoint(self._acceptor, frontend)))
        if tls is not None:
            endpoint = StreamEndpoint(
                self._acceptor, frontend, self._certificate, asks_for_certificates=asks_for_certificates
            )
            self._rows.append((tls, endpoint))

    def _add_web(
        self, port: BoundPort, jim: Frontend, irc: Frontend | None, file_routes: Sequence[Route]
    ) -> WebEndpoint:
        # Imported late: most servers have none.
        from gmessenger.server.web.assets import page_routes
        from gmessenger.server.web.hooks import HookRoute
        from gmessenger.server.web.websocket_routes import irc_routes, jim_routes

        context, messenger = self._context, self._messenger
        hooks = HookRoute(messenger.hook_poster, lambda: context.options.max_text, messenger.stats.hook_posts)
        irc_websockets = irc_routes(irc, *IRC_PATHS) if irc is not None else []
        websockets = jim_routes(jim, lambda: context.options.max_frame) + irc_websockets
        routes = [*websockets, *page_routes(), hooks.route, *file_routes]
        return self._create_web_endpoint(port, context.options.web, context.options.web_tls, routes)

    def _add_irc_websocket(self, port: BoundPort, irc: Frontend) -> WebEndpoint:
        from gmessenger.server.web.websocket_routes import irc_routes

        options = self._context.options
        return self._create_web_endpoint(
            port, options.irc_websocket, options.irc_websocket_tls, irc_routes(irc, "/", *IRC_PATHS)
        )

    def _create_web_endpoint(self, port: BoundPort, place: str, mode: WebTls, routes: Sequence[Route]) -> WebEndpoint:
        from gmessenger.server.web.endpoint import WebEndpoint, is_tls_wanted

        acceptor, throttle = self._acceptor, self._messenger.throttle
        web = WebEndpoint(
            self._context,
            place,
            self._certificate if is_tls_wanted(place, mode) else None,
            acceptor.check_address,
            acceptor.admit_address,
            lambda address: throttle.charge_request(throttle.anonymous_buckets(address), 1),
            self._is_stopping,
            routes,
            self.web_request_count,
        )
        self._web_endpoints.append(web)
        self._rows.append((port, HttpEndpoint(acceptor, web)))
        return web
