"""Pages of other sites that `--web-origins` lets in: they connect, and upload files; all others get nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import pytest

from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.files import HttpAnswer, ask, basic, bearer, png
from tests.support.irc import LOOPBACK, open_irc_websocket

Start = Callable[..., RunningServer]
GAMJA = "https://gamja.example.org"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-disposition,content-type",
}


class Site:
    """A server with a web port that lets the pages of one other site in, and an account."""

    def __init__(self, server: RunningServer) -> None:
        assert server.app.web_port is not None
        self.server = server
        self.port = server.app.web_port
        self.hank = UserClient(server).start_session("hank")
        self.hank.register(PASSWORD)

    def ask(self, method: str, headers: Mapping[str, str], body: bytes | None = None) -> HttpAnswer:
        return ask(self.port, method, "/file", headers, body)

    def upload(self, origin: str, credentials: Mapping[str, str] | None = None) -> HttpAnswer:
        """Upload a file as a web client of IRC does."""
        named = {
            "Origin": origin,
            "Content-Type": "image/png",
            "Content-Disposition": 'attachment; filename="graph.png"',
        }
        return self.ask("POST", {**named, **(credentials or basic("hank", PASSWORD))}, png())


@pytest.fixture
def site(start_server: Start) -> Iterator[Site]:
    server = start_server(web=f"{LOOPBACK}:0", irc_websocket="web", web_origins=(GAMJA, "http://localhost:8080"))
    site = Site(server)
    with closing(site.hank.sock):
        yield site


def shared(answer: HttpAnswer) -> dict[str, str]:
    """Return the headers of an answer that tell a browser what a page of another site may do."""
    return {name: value for name, value in answer.headers.items() if name.startswith("Access-Control-")}


def words(header: str) -> set[str]:
    return set(header.lower().split(", "))


def test_a_browser_that_asks_beforehand_is_told_what_may_be_sent(site: Site) -> None:
    answer = site.ask("OPTIONS", {"Origin": GAMJA, **PREFLIGHT})
    permitted = shared(answer)
    assert (answer.status, answer.body) == (204, b"")
    assert permitted["Access-Control-Allow-Origin"] == GAMJA and answer.headers["Vary"] == "Origin"
    assert "POST" in permitted["Access-Control-Allow-Methods"]
    assert words(permitted["Access-Control-Allow-Headers"]) >= {"authorization", "content-disposition", "content-type"}
    assert int(permitted["Access-Control-Max-Age"]) <= 7200
    assert answer.headers["Upload-Limit"].startswith("maxsize=")


@pytest.mark.parametrize("origin", [GAMJA, "https://GAMJA.example.org:443", "http://localhost:8080"])
def test_a_client_of_an_allowed_site_uploads_a_file_and_reads_where_it_is(site: Site, origin: str) -> None:
    answer = site.upload(origin)
    assert answer.status == 201 and answer.headers["Location"] == f"/file/{answer.id}/graph.png"
    assert shared(answer)["Access-Control-Allow-Origin"] == origin
    assert shared(answer)["Access-Control-Allow-Credentials"] == "true"  # gamja has its browser send what there is
    assert words(shared(answer)["Access-Control-Expose-Headers"]) >= {"location", "upload-limit", "gmessenger-code"}
    assert site.upload(origin, bearer(site.hank.session)).status == 201
    assert not any(name.lower() == "set-cookie" for name in answer.headers)


def test_it_reads_a_refusal_as_well(site: Site) -> None:
    wrong = site.upload(GAMJA, basic("hank", "wrong"))
    assert (wrong.status, wrong.headers["Gmessenger-Code"]) == (401, "wrong_password")
    assert wrong.headers["WWW-Authenticate"] == "Bearer"  # with Basic its browser would ask for a password
    assert shared(wrong)["Access-Control-Allow-Origin"] == GAMJA
    chunked = ask(site.port, "POST", "/file", {"Origin": GAMJA, **bearer(site.hank.session)}, iter([b"x"]))
    assert chunked.status == 411 and shared(chunked)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://gamja.example.org",
        "https://gamja.example.org.evil.example",
        "https://gamja.example.org:8443",
        "https://[",
    ],
)
def test_a_page_of_any_other_site_gets_nothing(site: Site, origin: str) -> None:
    for answer in (site.ask("OPTIONS", {"Origin": origin, **PREFLIGHT}), site.upload(origin)):
        assert answer.status == 403 and not shared(answer)
    files = site.server.app.files
    assert files is not None and not list(files.folder.path.glob("??/*"))


def test_nothing_is_shared_with_programs_and_the_own_page(site: Site) -> None:
    for origin in ({}, {"Origin": f"http://{LOOPBACK}:{site.port}"}):
        answer = site.ask("POST", {**bearer(site.hank.session), **origin}, png())
        assert answer.status == 201 and not shared(answer)


def test_files_and_the_page_are_shared_with_no_other_site(site: Site) -> None:
    location = site.upload(GAMJA).headers["Location"]
    for path in (location, "/"):
        answer = ask(site.port, "GET", path, {"Origin": GAMJA})
        assert answer.status == 200 and not shared(answer)
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_its_page_connects(site: Site) -> None:
    hank = open_irc_websocket(site.port, f"Origin: {GAMJA}")
    hank.send(b"CAP LS 302")
    assert b" CAP * LS " in hank.receive_until(b"CAP").data
    hank.sock.close()
    answer = ask(site.port, "GET", "/jim", {"Origin": "https://evil.example"})
    assert answer.status == 403


def test_other_sites_are_let_in_without_a_restart(site: Site) -> None:
    other = "https://other.example"
    assert site.upload(other).status == 403
    site.server.app.apply_options(replace(site.server.app.options, web_origins=(other,)))
    assert (site.upload(other).status, site.upload(GAMJA).status) == (201, 403)
