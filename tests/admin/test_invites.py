"""Invites: made, used, listed and revoked with gmessenger-admin."""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gmessenger.admin.invites import describe_invite
from gmessenger.chat import admin
from gmessenger.chat.admin import AdminService
from gmessenger.chat.admin_results import InviteRow
from gmessenger.chat.registration import make_invite
from gmessenger.server.snapshot import status_report
from gmessenger.server_urls import parse_server_url
from tests.conftest import FAST
from tests.support.admin_cli import PASSWORD, StoreDirectory
from tests.support.tls import CertificateAuthority

ROW = InviteRow("1a2b3c4d", "server", 1e9, None, 1)


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        store_dir.create_store()
        yield store_dir


@pytest.fixture(params=["running", "stopped"])
def any_store(request: pytest.FixtureRequest, store_dir: StoreDirectory) -> StoreDirectory:
    """A store that a server has open, and one that none has."""
    if request.param == "running":
        request.getfixturevalue("start_server")(store=store_dir.url)
    return store_dir


def test_an_invite_is_made_listed_and_revoked(any_store: StoreDirectory) -> None:
    assert any_store.run("invite", "list") == ""
    code = any_store.run("invite", "--uses", "3", "--expires", "36h").strip()
    assert len(code) >= 20 and any_store.run("invite").strip() != code
    lines = any_store.run("invite", "list").splitlines()
    assert [line.split("\t")[1] for line in lines] == ["3 registrations", "1 registration"]
    assert all(re.fullmatch(r"[0-9a-f]{8}\t.*\tuntil 20.*\tmade 20.* by server", line) for line in lines)
    assert code not in str(lines)
    id = lines[0].split("\t")[0]
    assert "is revoked" in any_store.run("invite", "revoke", id.upper())
    assert any_store.run("invite", "list").splitlines() == lines[1:]
    refused = any_store.try_run("invite", "revoke", id)
    assert (refused.exit_code, refused.stdout) == (77, "") and f"There is no invite {id}." in refused.stderr


def test_no_two_invites_have_one_id(
    start_server: Callable[..., Any], store_dir: StoreDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = start_server(store=store_dir.url).app
    service = AdminService(app.messenger, app.store, FAST, time.time)
    codes = iter(["one", "one", "other"])
    monkeypatch.setattr(admin, "make_invite", lambda: next(codes))
    assert [service.add_invite(), service.add_invite()] == ["one", "other"]


@pytest.mark.parametrize(
    "words", [("--uses", "0"), ("--uses", "x"), ("--uses", "10001"), ("--expires", "soon"), ("--expires", "0d"), ("x",)]
)
def test_a_mistake_makes_no_invite(store_dir: StoreDirectory, words: tuple[str, ...]) -> None:
    assert store_dir.try_run("invite", *words).exit_code == 2
    assert store_dir.run("invite", "list") == ""


def test_an_invite_lets_so_many_register_and_no_more_once_it_is_revoked(store_dir: StoreDirectory) -> None:
    with store_dir.start_server("--registration", "invite", "--guests", "no") as server:
        port = server.wait_for_port()
        two, revoked = store_dir.run("invite", "--uses", "2").strip(), store_dir.run("invite").strip()
        store_dir.run("invite", "revoke", store_dir.run("invite", "list").splitlines()[1].split("\t")[0])

        def register(name: str, invite: str) -> Any:
            frame = {"action": "register", "jim": 2, "user": {"account_name": name}, "invite": invite}
            return store_dir.connect(port).request(**frame, password=PASSWORD)["response"]

        assert [register(name, two) for name in ("one", "two", "three")] == [201, 201, 403]
        assert register("four", revoked) == 403
        assert store_dir.run("invite", "list") == ""


def test_the_maker_of_an_invite_is_told_what_to_send(
    start_server: Callable[..., Any], store_dir: StoreDirectory, tmp_path: Path
) -> None:
    server = start_server(store=store_dir.url, registration="invite")
    lines = list(describe_invite("secret", [ROW], status_report(server.app), ["chat.lan"], 1))
    assert lines[-2:] == [
        f"    gmessenger-client chat.lan --port {server.port} --invite secret",
        "    The client asks for a password.",
    ]
    assert "It is good for 1 registration, for good. Its id is 1a2b3c4d." in lines


def test_who_invites_to_a_server_without_tls_is_told_that_nobody_can_register_from_elsewhere(
    start_server: Callable[..., Any], store_dir: StoreDirectory
) -> None:
    server = start_server(store=store_dir.url, registration="invite", guests=False)
    lines = list(describe_invite("secret", [ROW], status_report(server.app), ["chat.lan"], 1))
    assert lines[0].startswith("This server has no TLS")
    assert lines[-2].endswith(" --invite secret")


def test_where_passwords_may_be_sent_unencrypted_the_line_to_type_allows_it(
    start_server: Callable[..., Any], store_dir: StoreDirectory
) -> None:
    server = start_server(store=store_dir.url, registration="invite", plain_passwords=True)
    lines = list(describe_invite("secret", [ROW], status_report(server.app), ["chat.lan"], 1))
    assert f"    gmessenger-client chat.lan --port {server.port} --plain-passwords --invite secret" in lines


def test_with_tls_the_line_to_type_has_the_pin(start_server: Callable[..., Any], tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(registration="open", tls_certificate=str(authority.issue()), tls_port=0)
    lines = list(describe_invite("secret", [ROW], status_report(server.app), None, 1))
    assert "everybody can register without" in lines[0]
    (command,) = [line for line in lines if "gmessenger-client" in line]
    certificate = server.app.certificate
    assert command == (
        f"    gmessenger-client {certificate.host} --port {server.app.tls_port} --tls --pin {certificate.pin}"
        " --invite secret"
    )


def test_where_there_is_a_page_the_link_to_it_has_the_invite(start_server: Callable[..., Any], tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path)
    server = start_server(
        tls_certificate=str(authority.issue()), tls_port=0, web="127.0.0.1:0", web_url="https://chat.lan"
    )
    lines = list(describe_invite("secret", [ROW], status_report(server.app), ["chat.lan"], 1))
    assert "    https://chat.lan/#invite=secret" in lines
    assert parse_server_url("https://chat.lan/#invite=secret").invite == "secret"
    assert lines[-2].startswith(f"    gmessenger-client chat.lan --port {server.app.tls_port} --tls")


def test_behind_a_proxy_that_encrypts_the_link_is_for_the_terminal_too(start_server: Callable[..., Any]) -> None:
    server = start_server(registration="invite", web="127.0.0.1:0", web_url="https://chat.lan")
    lines = list(describe_invite("secret", [ROW], status_report(server.app), None, 1))
    assert not lines[0].startswith("This server has no TLS")
    assert lines[-2] == "    gmessenger-client 'https://chat.lan/#invite=secret'"


def test_without_a_server_the_line_has_the_port_of_the_options() -> None:
    lines = list(describe_invite("secret", [ROW], None, ["chat.lan"], 7780))
    assert "    gmessenger-client chat.lan --port 7780 --invite secret" in lines


def test_an_invite_is_no_option_of_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: "-x-y")
    assert not make_invite().startswith("-")
