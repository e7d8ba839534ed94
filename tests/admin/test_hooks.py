"""Hooks: made, listed and revoked with gmessenger-admin."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gmessenger.admin.hooks import NO_ADDRESS
from gmessenger.store import open_store
from tests.support.admin_cli import StoreDirectory


@pytest.fixture
def store_dir(tmp_path: Path) -> Iterator[StoreDirectory]:
    with contextlib.closing(StoreDirectory(tmp_path)) as store_dir:
        with contextlib.closing(open_store(store_dir.url)) as store:
            hank = store.create_account("hank", "hank", "hash", 1.0).id
            store.create_room("#ops", "#Ops", hank, 1.0)
        yield store_dir


@pytest.fixture(params=["running", "stopped"])
def any_store(request: pytest.FixtureRequest, store_dir: StoreDirectory) -> StoreDirectory:
    """A store that a server has open, and one that none has."""
    if request.param == "running":
        request.getfixturevalue("start_server")(store=store_dir.url)
    return store_dir


def test_a_hook_is_made_listed_and_revoked(any_store: StoreDirectory) -> None:
    assert any_store.run("hook", "list") == ""
    path, *remarks = any_store.run("hook", "add", "Grafana", "#ops").splitlines()
    assert re.fullmatch(r"/hook/[\w-]{32}", path) and remarks == list(NO_ADDRESS)
    (line,) = any_store.run("hook", "list").splitlines()
    assert re.fullmatch(r"Grafana\t#Ops\tmade 20.* by server\tused 20.*", line)
    assert path.rpartition("/")[2] not in line
    assert any_store.run("hook", "list", "#OPS").splitlines() == [line]
    assert re.search(r"^Grafana\thook", any_store.run("user", "list"), re.MULTILINE)
    assert "is revoked" in any_store.run("hook", "revoke", "grafana")
    assert any_store.run("hook", "list") == ""
    assert "Grafana" not in any_store.run("user", "list")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("hook", "add", "grafana", "#nowhere"), "There is no such room."),
        (("hook", "add", "hank", "#ops"), "This name is already registered."),
        (("hook", "add", "h@nk", "#ops"), "A name is made of letters"),
        (("hook", "revoke", "hank"), "There is no such hook."),
        (("hook", "list", "#nowhere"), "There is no such room."),
    ],
)
def test_what_cannot_be_done_is_said(any_store: StoreDirectory, words: tuple[str, ...], sentence: str) -> None:
    refused = any_store.try_run(*words)
    assert (refused.exit_code, refused.stdout) == (77, "") and sentence in refused.stderr


def test_no_account_of_a_person_can_be_made_of_a_hook(any_store: StoreDirectory) -> None:
    any_store.run("hook", "add", "grafana", "#ops")
    for words in (("user", "passwd", "grafana"), ("user", "grant", "grafana")):
        refused = any_store.try_run(*words, typed="correct horse\n")
        assert (refused.exit_code, refused.stdout) == (77, "") and "This is a hook" in refused.stderr
    any_store.run("user", "delete", "grafana")
    assert any_store.run("hook", "list") == ""


def test_the_url_is_that_of_the_web_endpoint(start_server: Callable[..., Any], store_dir: StoreDirectory) -> None:
    server = start_server(store=store_dir.url, web="127.0.0.1:0")
    url = store_dir.run("hook", "add", "grafana", "#ops").strip()
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.app.web_port}/hook/[\w-]{{32}}", url)
    server.stop()
    start_server(store=store_dir.url, web="127.0.0.1:0", web_url="https://chat.example.org/")
    assert store_dir.run("hook", "add", "ci", "#ops").startswith("https://chat.example.org/hook/")
