"""Posts to hooks by HTTP, as other programs send them: answers, what is said, and that nothing is lost."""

from __future__ import annotations

import http.client
import logging
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.errors import StoreUnavailable
from tests.conftest import FAST, RunningServer
from tests.support.timeouts import TEST_TIMEOUT
from tests.wire.test_hook_payloads import BODIES, POSTS, read_post

StartServer = Callable[..., RunningServer]
TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Answer:
    """The answer to a post."""

    status: int
    body: str
    headers: dict[str, str]


@dataclass
class HookServer:
    """A server with a room, and a hook of it."""

    server: RunningServer
    path: str
    name: str = "grafana"

    @property
    def admin(self) -> AdminService:
        return AdminService(self.server.app.messenger, self.server.app.store, FAST, lambda: 1.0)

    def post(
        self, body: bytes | str, headers: dict[str, str] | None = None, path: str | None = None, method: str = "POST"
    ) -> Answer:
        with closing(http.client.HTTPConnection(self.server.host, self.server.port, TEST_TIMEOUT)) as connection:
            data = body if isinstance(body, bytes) else body.encode()
            connection.request(method, path or self.path, data, headers if headers is not None else TEXT)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), dict(response.getheaders()))

    def said(self) -> list[tuple[str, str, int | None]]:
        """Return what was said in the room: text, kind, and what each is about."""
        page, _ = self.server.app.store.export_page(0, 1000)
        return [(row.message.text, row.message.kind, row.message.about) for row in page]

    def texts(self) -> list[str]:
        return [text for text, _, _ in self.said()]


@pytest.fixture
def start_hooks(start_server: StartServer) -> Callable[..., HookServer]:
    def start(**options: Any) -> HookServer:
        server = start_server(wire="web", **options)
        hank = server.app.store.create_account("hank", "hank", FAST.hash("correct horse"), 1.0)
        server.app.messenger.authenticator.add_account(hank)
        server.app.messenger.rooms.load(server.app.store.create_room("#ops", "#ops", hank.id, 1.0))
        made = server.app.messenger.hooks.add_for_owner("grafana", "#ops")
        assert made.url == f"http://127.0.0.1:{server.port}/hook/{made.token}"
        return HookServer(server, f"/hook/{made.token}")

    return start


@pytest.fixture
def hooks(start_hooks: Callable[..., HookServer]) -> HookServer:
    return start_hooks()


def test_a_post_is_answered_ok_once_it_is_stored(hooks: HookServer) -> None:
    answer = hooks.post("backup\ndone")
    assert (answer.status, answer.body) == (200, "ok")
    assert answer.headers["Content-Type"].startswith("text/plain") and answer.headers["Content-Length"] == "2"
    assert hooks.said() == [("backup\ndone", "notice", None)]


def is_taken_by_slack_receiver(answer: Answer) -> bool:
    """Return whether Alertmanager's and Grafana's senders to Slack take an answer for a success.

    They read the body even of a 200: JSON has to say `"ok": true`, and any other body has to be `ok`.
    """
    is_json = answer.headers["Content-Type"].startswith("application/json")
    return answer.status // 100 == 2 and not is_json and answer.body == "ok"


@pytest.mark.parametrize("name", POSTS)
def test_the_programs_take_the_answer_to_their_posts_for_a_success(hooks: HookServer, name: str) -> None:
    headers, body = read_post(name)
    assert is_taken_by_slack_receiver(hooks.post(body, headers))
    expected = (BODIES / f"{name}.text").read_text("utf-8")
    assert hooks.texts() == ([expected] if expected else [])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_posts_a_line(hooks: HookServer) -> None:
    url = f"http://127.0.0.1:{hooks.server.port}{hooks.path}"
    command = ["curl", "--silent", "--show-error", "-d", "backup done", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with gevent.Timeout(TEST_TIMEOUT):
        while process.poll() is None:
            gevent.sleep(0.01)
    assert process.communicate() == ("ok", "")
    assert hooks.texts() == ["backup done"]


def test_an_alert_and_its_resolution_are_a_thread(hooks: HookServer) -> None:
    for name in ("alertmanager-firing", "uptime-kuma-down", "alertmanager-resolved", "uptime-kuma-up"):
        headers, body = read_post(name)
        assert hooks.post(body, headers).status == 200
    assert [about for _, _, about in hooks.said()] == [None, None, 1, 2]


def test_a_post_that_is_sent_again_is_said_once(hooks: HookServer) -> None:
    headers, body = read_post("github-push")
    assert [hooks.post(body, headers).body for _ in range(3)] == ["ok"] * 3
    assert len(hooks.texts()) == 1
    assert hooks.post("another text", TEXT | {"X-GitHub-Delivery": headers["x-github-delivery"]}).body == "ok"
    assert len(hooks.texts()) == 2


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        (lambda hooks: hooks.admin.hooks.revoke_for_owner("grafana"), 404, "no_service"),
        (lambda hooks: hooks.admin.delete_room("#ops"), 404, "no_service"),
        (lambda hooks: hooks.admin.shut_out("#ops", "grafana"), 404, "no_service"),
        (lambda hooks: hooks.admin.moderation.close("server", "#ops", ""), 410, "channel_is_archived"),
        (lambda hooks: hooks.admin.moderation.mute("server", "grafana", None, ""), 403, "action_prohibited"),
        (lambda hooks: hooks.admin.moderation.ban("server", "grafana", None, None, ""), 403, "action_prohibited"),
        (lambda hooks: hooks.admin.silence("#ops", "grafana"), 403, "action_prohibited"),
        (lambda hooks: hooks.admin.disable("grafana"), 403, "action_prohibited"),
    ],
)
def test_a_hook_that_may_not_post_is_told_so(
    hooks: HookServer, change: Callable[[HookServer], object], status: int, word: str
) -> None:
    change(hooks)
    answer = hooks.post("hello")
    assert (answer.status, answer.body) == (status, f"{word}\n")
    assert hooks.texts() == []


@pytest.mark.parametrize(
    ("headers", "body", "status", "word"),
    [
        (JSON, '{"color": "red"}', 400, "no_text"),
        (TEXT, "", 400, "no_text"),
        (TEXT | {"Origin": "https://evil.example"}, "hi", 403, "Pages may not ask for this."),
        (TEXT | {"Origin": "null"}, "hi", 403, "Pages may not ask for this."),
        (TEXT, "x" * (1_048_576 + 1), 413, "The body may have 1048576 bytes at most."),
    ],
    ids=["no text", "empty", "page", "origin null", "large"],
)
def test_what_cannot_be_posted_is_told_why(
    hooks: HookServer, headers: dict[str, str], body: str, status: int, word: str
) -> None:
    answer = hooks.post(body, headers)
    assert (answer.status, answer.body) == (status, f"{word}\n")
    assert hooks.texts() == []


def test_the_largest_body_is_cut_to_the_longest_text(start_hooks: Callable[..., HookServer]) -> None:
    hooks = start_hooks(max_text=100)
    assert hooks.post("я" * (1_048_576 // 2)).body == "ok"
    assert hooks.texts() == ["я" * 99 + "…"]


def test_only_posts_are_taken_and_a_slash_at_the_end_does_not_matter(hooks: HookServer) -> None:
    assert hooks.post("", method="GET").status == 405
    assert hooks.post("hi", path=f"{hooks.path}/").body == "ok"
    assert hooks.post("hi", path=f"{hooks.path}?wait=true").body == "ok"
    for path in ("/hook/", "/hook", f"{hooks.path}x", f"{hooks.path}/slack", "/hook/%00", f"/hook/{'x' * 5000}"):
        assert hooks.post("hi", path=path).status == 404
    assert hooks.texts() == ["hi", "hi"]


def test_programs_may_know_the_server_by_any_name(hooks: HookServer) -> None:
    assert hooks.post("hi", TEXT | {"Host": "gmessenger:7780"}).body == "ok"
    assert hooks.post("hi", TEXT | {"Host": "gmessenger:7780"}, path="/nothing").status == 421
    assert hooks.post("hi", TEXT | {"Host": "gmessenger:7780", "Origin": "http://gmessenger:7780"}).status == 403


def test_unknown_secrets_are_limited_and_known_ones_are_not(start_hooks: Callable[..., HookServer]) -> None:
    hooks = start_hooks(failures_per_ip=3)
    poster = hooks.server.app.messenger.hook_poster
    poster._networks_of = lambda address: [(address.rpartition(":")[0], 1)]  # those of this machine are not counted
    assert hooks.post("hi").status == 200
    assert [hooks.post("hi", path="/hook/x").status for _ in range(4)] == [404, 404, 404, 429]
    answer = hooks.post("hi", path="/hook/x")
    assert (answer.status, answer.body) == (429, "rate_limited\n") and int(answer.headers["Retry-After"]) > 0
    assert hooks.post("hi").status == 200


def test_a_hook_that_posts_too_fast_is_told_when_to_try_again(start_hooks: Callable[..., HookServer]) -> None:
    hooks = start_hooks(message_rate=1, message_burst=2, patience=0)
    answers = [hooks.post("hi") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_a_store_that_fails_is_told_so(hooks: HookServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(token: str) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(hooks.server.app.store, "find_hook", fail)
    answer = hooks.post("hi")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0


def test_no_secret_is_logged_and_refusals_are_counted(hooks: HookServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gmessenger")
    hooks.post("hi")
    hooks.post("hi", path="/hook/guessed")
    hooks.post('{"a": 1}', JSON)
    hooks.post(*reversed(read_post("github-ping")))
    hooks.post("hi", TEXT | {"Origin": "https://evil.example"})
    logged = [(record.getMessage(), getattr(record, "fields", {})) for record in caplog.records]
    refused = [(fields["name"], fields["code"]) for name, fields in logged if name == "hook_refused"]
    assert refused == [(None, "no_such_hook"), ("grafana", "no_text")]
    token = hooks.path.rpartition("/")[2]
    assert token not in str(logged) and "guessed" not in str(logged)
    assert hooks.server.app.messenger.stats.hook_posts == {
        "stored": 1,
        "silent": 1,
        "no_such_hook": 1,
        "no_text": 1,
    }
