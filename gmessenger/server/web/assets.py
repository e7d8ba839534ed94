"""The page's files, as they are served: read, compressed and given their URLs once, at the start.

A request is looked up by its whole path in a table; no path is ever made from a request.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from rjsmin import jsmin

from gmessenger.server.web.modules import join_modules
from gmessenger.server.web.routes import Route, WebRequest
from gmessenger.server.web.styles import compact_style
from gmessenger.wire.http import HttpError, HttpResponse

PAGE_FOLDER: Final = Path(__file__).parent.parent.parent / "web"
CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""The types of the page's files by suffix; other files in the folder are not served."""
COMPRESSIBLE: Final = frozenset(CONTENT_TYPES) - {".png"}
ROOT_FILES: Final = {"index.html": "/", "sw.js": "/sw.js", "manifest.webmanifest": "/manifest.webmanifest"}
"""Files whose URL never changes: they name the others, and browsers ask each time whether they are new."""
ASSETS_ROOT: Final = "/a/"
NO_MODULES: Final = frozenset({"sw.js"})
"""Scripts that import nothing, and that nothing imports."""
IMMUTABLE: Final = "public, max-age=31536000, immutable"
REVALIDATED: Final = "no-cache"
CONTENT_SECURITY_POLICY: Final = (
    "Content-Security-Policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types gmessenger",
)


class Asset(Struct, frozen=True):
    """One file as it is served. `compressed` is its gzip form, if that is shorter."""

    content_type: str
    body: bytes
    compressed: bytes | None
    etag: str
    cache_control: str


def load_assets(folder: Path = PAGE_FOLDER) -> dict[str, Asset]:
    """Return the page's files by path. Blocks while it reads them.

    All but a few have a URL with a digest over all of them: browsers keep them, and no two releases are mixed.
    """
    files = dict(_read_files(folder))
    base = f"{ASSETS_ROOT}{_digest(files)}"
    files = _serve_styles(_serve_modules(files))
    names = sorted(files.keys() - ROOT_FILES.keys())
    values = {b"{assets}": base, b"{files}": " ".join(names)}
    assets = {f"{base}/{name}": _make_asset(name, files[name], IMMUTABLE) for name in names}
    for name, path in ROOT_FILES.items():
        assets[path] = _make_asset(name, _fill(files[name], values), REVALIDATED)
    return assets


def page_routes() -> Sequence[Route]:
    """Return the routes of the page. Blocks while it reads the files."""
    assets = load_assets()

    def respond(request: WebRequest) -> HttpResponse:
        return _respond(request, assets)

    return [Route(path, {"GET": respond}) for path in (*ROOT_FILES.values(), ASSETS_ROOT)]


def _respond(request: WebRequest, assets: Mapping[str, Asset]) -> HttpResponse:
    asset = assets.get(request.http.path)
    if asset is None:
        raise HttpError(404, "There is nothing here.")
    headers = [("ETag", asset.etag), ("Cache-Control", asset.cache_control), ("Vary", "Accept-Encoding")]
    if request.http.has_token("if-none-match", asset.etag.lower()):
        return HttpResponse(304, headers=tuple(headers))
    headers.append(CONTENT_SECURITY_POLICY)
    if asset.compressed is not None and request.http.has_token("accept-encoding", "gzip"):
        headers.append(("Content-Encoding", "gzip"))
        return HttpResponse(200, asset.compressed, asset.content_type, tuple(headers))
    return HttpResponse(200, asset.body, asset.content_type, tuple(headers))


def _read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in CONTENT_TYPES:
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, body in sorted(files.items()):
        digest.update(f"{name} {len(body)}\n".encode() + body)
    return digest.hexdigest()[:16]


def _serve_modules(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files with the modules as they are served: fewer, and without comments."""
    sources = {name: body.decode() for name, body in files.items() if name.endswith(".js")}
    scripts = {name: sources.pop(name) for name in NO_MODULES}
    served = join_modules(sources) | {name: jsmin(source) for name, source in scripts.items()}
    others = {name: body for name, body in files.items() if not name.endswith(".js")}
    return others | {name: source.encode() for name, source in served.items()}


def _serve_styles(files: Mapping[str, bytes]) -> dict[str, bytes]:
    styles = {name: compact_style(body.decode()) for name, body in files.items() if name.endswith(".css")}
    return {**files, **{name: style.encode() for name, style in styles.items()}}


def _fill(body: bytes, values: Mapping[bytes, str]) -> bytes:
    for placeholder, value in values.items():
        body = body.replace(placeholder, value.encode())
    return body


def _make_asset(name: str, body: bytes, cache_control: str) -> Asset:
    suffix = Path(name).suffix
    compressed = gzip.compress(body, 9, mtime=0) if suffix in COMPRESSIBLE else None
    if compressed is not None and len(compressed) >= len(body):
        compressed = None
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:16]}"'  # weak: the same for both forms
    return Asset(CONTENT_TYPES[suffix], body, compressed, etag, cache_control)
