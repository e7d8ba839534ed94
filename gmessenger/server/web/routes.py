"""Routes of the web endpoint: which paths there are, their methods, and the pages that may ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from gmessenger.server.net.remote import RemoteAddress
from gmessenger.server.web.http_connection import Answer, RequestBody
from gmessenger.server.web.origins import OriginPolicy, WebAddress
from gmessenger.wire.http import HttpError, HttpRequest, HttpResponse

Origins: TypeAlias = Literal["own", "none"]
"""Pages that may ask: those that may connect (and programs, which send no origin), or none but programs."""
MAX_PREFLIGHT_AGE: Final = 7200  # seconds, the most that Chromium takes


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
class SharedHead:
    """The headers that pages of other origins which may connect send to a route, and read of its answers (CORS)."""

    sent: tuple[str, ...]
    read: tuple[str, ...]

    def permit(self, origin: str, methods: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return what an answer says to the browser, which asks beforehand with OPTIONS.

        No cookies are used here; but a client may have told its browser to send such as there are, and then needs this
        permission to read any answer.
        """
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", ", ".join(self.sent)),
            ("Access-Control-Expose-Headers", ", ".join(self.read)),
            ("Access-Control-Max-Age", str(MAX_PREFLIGHT_AGE)),
            ("Vary", "Origin"),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """A path, or all that begin with one that ends with a slash; a handler for each method.

    `shared`: what pages of other origins may use here; without it they can connect, but read no answer.
    """

    path: str
    handlers: Mapping[str, Handler]
    origins: Origins = "own"
    shared: SharedHead | None = None


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
        asked = WebRequest(request, path.removeprefix(route.path), remote, read_body, place)
        if route.origins == "none" and request.header("origin"):
            raise HttpError(403, "Pages may not ask for this.")
        if route.origins == "own" and self._policy.check_origin(request, place) and route.shared is not None:
            return _share(handle, asked, route.shared.permit(request.header("origin"), sorted(route.handlers)))
        return handle(asked)


def _share(handle: Handler, request: WebRequest, headers: tuple[tuple[str, str], ...]) -> Answer:
    """Answer a request with more headers, which a refusal has as well. Raises `HttpError`."""
    try:
        answer = handle(request)
    except HttpError as error:
        raise HttpError(error.status, error.sentence, (*error.headers, *headers)) from None
    return replace(answer, headers=(*answer.headers, *headers)) if isinstance(answer, HttpResponse) else answer
