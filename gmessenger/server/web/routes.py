"""Routes of the web endpoint: which paths there are, their methods, and the pages that may ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.web.http_connection import Answer, RequestBody
from gmessenger.server.web.origins import OriginPolicy, WebAddress
from gmessenger.wire.http import HttpError, HttpRequest

Origins: TypeAlias = Literal["own", "none"]
"""Pages that may ask: those of this server (and programs, which send no origin), or none but programs."""


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request, and what is known of its client. `rest`: what follows the path of its route."""

    http: HttpRequest
    rest: str
    remote: RemoteAddress
    read_body: RequestBody
    place: WebAddress


Handler: TypeAlias = Callable[[WebRequest], Answer]
"""Answers a request, or raises `HttpError`. May block."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path, or all that begin with one that ends with a slash; a handler for each method."""

    path: str
    handlers: Mapping[str, Handler]
    origins: Origins = "own"


class RouteTable:
    """Finds the handler of a request, after Host and Origin were checked."""

    def __init__(self, routes: Sequence[Route], policy: OriginPolicy) -> None:
        self._routes: Final = {route.path: route for route in routes}
        self._policy = policy

    def respond(self, request: HttpRequest, place: WebAddress, remote: RemoteAddress, read_body: RequestBody) -> Answer:
        """Answer a request. May block. Raises `HttpError`.

        Where pages may not ask, the Host tells nothing: a program may know the server by another name.
        """
        path = request.path
        route = self._routes.get(path) or self._routes.get(path[: path.find("/", 1) + 1])
        if route is None or route.origins == "own":
            self._policy.check_host(request, place)
        if route is None:
            raise HttpError(404, "There is nothing here.")
        handle = route.handlers.get("GET" if request.method == "HEAD" else request.method)
        if handle is None:
            allowed = sorted({*route.handlers, *(["HEAD"] if "GET" in route.handlers else [])})
            raise HttpError(405, f"Only {' and '.join(allowed)} are allowed here.", [("Allow", ", ".join(allowed))])
        if route.origins == "own":
            self._policy.check_origin(request, place)
        elif request.header("origin"):
            raise HttpError(403, "Pages may not ask for this.")
        return handle(WebRequest(request, path.removeprefix(route.path), remote, read_body, place))
