"""Hooks of a cluster: made on one node, posted to and revoked on any."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.chat.hook_posts import HookPost
from gmessenger.errors import NoSuchHook
from tests.cluster.conftest import Cluster, wait_until
from tests.conftest import FAST, RunningServer
from tests.support.accounts import UserClient, texts
from tests.support.moderation import expect_ok


def post(node: RunningServer, token: str, text: str, **alerts: list[str]) -> int:
    poster = node.app.messenger.hook_poster
    return poster.post(poster.open(token, "127.0.0.1:1"), HookPost(text, **alerts))


def make_room(cluster: Cluster) -> tuple[UserClient, UserClient]:
    """Return the clients of hank on the first node, who owns #ops, and of dale on the second, who is in it."""
    hank, dale = cluster.register(cluster.first, "hank"), cluster.register(cluster.second, "dale")
    expect_ok(hank.request("join", room="#ops"))
    expect_ok(dale.request("join", room="#ops"))
    hank.next_event("join")
    return hank, dale


def make_hook(client: UserClient) -> str:
    return str(expect_ok(client.request("hook", room="#ops", name="grafana"))["token"])


def test_a_hook_works_on_every_node_at_once(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    hank, dale = make_room(cluster)
    token = make_hook(hank)
    assert post(cluster.second, token, "from the second", firing=["a"]) == 1
    assert post(cluster.first, token, "from the first", resolved=["a"]) == 2
    for client in (hank, dale):
        messages = client.receive_messages(2)
        assert texts(messages) == ["from the second", "from the first"]
        assert messages[1]["about"] == 1 and {message["kind"] for message in messages} == {"notice"}
    members = expect_ok(dale.request("members", room="#ops"))["users"]
    assert [user["account_name"] for user in members if user.get("bot")] == ["grafana"]


def test_the_other_node_tells_of_a_hook_that_is_made_and_revoked(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    hank, dale = make_room(cluster)
    token = make_hook(hank)
    assert dale.next_event("join")["user"]["account_name"] == "grafana"
    role = dale.next_event("role")
    assert (role["user"]["account_name"], role["role"], role["by"]) == ("grafana", "speaker", "hank")
    expect_ok(hank.request("unhook", room="#ops", name="grafana"))
    left = dale.next_event("leave")
    assert (left["user"]["account_name"], left["by"]) == ("grafana", "hank")
    for node in (cluster.first, cluster.second):
        with pytest.raises(NoSuchHook):
            post(node, token, "too late")
    wait_until(lambda: "grafana" not in cluster.second.app.messenger.authenticator.accounts)


def test_hooks_go_with_their_room_on_every_node(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster()
    hank, _ = make_room(cluster)
    token = make_hook(hank)
    post(cluster.second, token, "hello")
    app = cluster.first.app
    AdminService(app.messenger, app.store, FAST, lambda: 1.0).delete_room("#ops")
    with pytest.raises(NoSuchHook):
        post(cluster.second, token, "too late")
    wait_until(lambda: "grafana" not in cluster.second.app.messenger.authenticator.accounts)
    assert app.store.hooks() == []
