"""The page as it is served: its files, how browsers keep them, and the headers that keep the page from harm."""

from __future__ import annotations

import gzip
import re
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest

from gmessenger.server.web.assets import PAGE_FOLDER, ROOT_FILES, load_assets
from tests.conftest import RunningServer
from tests.support.timeouts import TEST_TIMEOUT
from tests.support.web import read_response

ASSETS = load_assets()
StartServer = Callable[..., RunningServer]


@pytest.fixture
def server(start_server: StartServer) -> RunningServer:
    return start_server(wire="web")


def fetch(server: RunningServer, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body of a response."""
    with closing(socket.create_connection((server.host, server.port), TEST_TIMEOUT)) as sock:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {server.host}:{server.port}", *headers, "", ""]
        sock.sendall("\r\n".join(lines).encode())
        head, body = read_response(sock) if method == "GET" else (sock.recv(65536), b"")
    status, *fields = head.decode().strip().split("\r\n")
    return int(status.split()[1]), {key.lower(): value for key, value in (each.split(": ", 1) for each in fields)}, body


def test_every_file_is_served_whole_in_both_forms(server: RunningServer) -> None:
    for path, asset in ASSETS.items():
        status, headers, body = fetch(server, path)
        assert (status, body, headers["content-type"]) == (200, asset.body, asset.content_type)
        _, headers, body = fetch(server, path, "Accept-Encoding: br, gzip")
        assert (gzip.decompress(body) if "content-encoding" in headers else body) == asset.body


def test_the_page_may_only_use_what_is_its_own(server: RunningServer) -> None:
    _, headers, _ = fetch(server, "/")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy and "require-trusted-types-for 'script'; trusted-types gmessenger" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "set-cookie" not in headers and not any(name.startswith("access-control") for name in headers)


def test_browsers_keep_what_never_changes_and_ask_for_the_rest(server: RunningServer) -> None:
    for path, asset in ASSETS.items():
        assert ("immutable" in asset.cache_control) == path.startswith("/a/")
    status, headers, body = fetch(server, "/", f"If-None-Match: {ASSETS['/'].etag}")
    assert (status, body) == (304, b"") and headers["cache-control"] == "no-cache"
    assert fetch(server, "/", 'If-None-Match: "other"')[0] == 200


def test_a_head_has_no_body(server: RunningServer) -> None:
    status, headers, _ = fetch(server, "/", method="HEAD")
    assert (status, headers["content-length"]) == (200, str(len(ASSETS["/"].body)))


def test_nothing_else_is_found(server: RunningServer) -> None:
    paths = [
        "/a/",
        "/a/x/app.js",
        "/a/../setup.py",
        "/a/%2e%2e/setup.py",
        "/index.html",
        "/words/ru.json",
        "//a/app.js",
    ]
    assert {fetch(server, path)[0] for path in [*paths, "/a"]} == {404}


def test_all_that_the_files_name_is_there() -> None:
    base = next(path for path in ASSETS if path.endswith("/app.js")).removesuffix("/app.js")
    for name in ("/", "/manifest.webmanifest"):
        assert all(path in ASSETS for path in re.findall(r"/a/[^\"]+", ASSETS[name].body.decode()))
    for path, asset in ASSETS.items():
        if path.endswith(".js"):
            imported = re.findall(r'(?:from|import) "\./([^"]+)"', asset.body.decode())
            assert all(f"{base}/{name}" in ASSETS for name in imported), path
    worker = ASSETS["/sw.js"].body.decode()
    names = re.search('FILES="([^"]*)"', worker)
    assert names and {f"{base}/{name}" for name in names[1].split()} == {path for path in ASSETS if path[:3] == "/a/"}
    assert f'ASSETS="{base}"' in worker


def test_a_change_of_any_file_changes_all_urls(tmp_path: Path) -> None:
    copytree(PAGE_FOLDER, tmp_path / "web")
    assert load_assets(tmp_path / "web") == ASSETS
    with (tmp_path / "web" / "style.css").open("a") as style:
        style.write("\n")
    assert load_assets(tmp_path / "web").keys() & ASSETS.keys() == set(ROOT_FILES.values())


def test_the_files_that_have_fixed_urls_are_there() -> None:
    assert set(ROOT_FILES.values()) < set(ASSETS)
