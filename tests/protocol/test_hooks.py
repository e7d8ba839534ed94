"""Hooks of rooms: who makes, lists and revokes them, and how the others see them. docs/protocol.md, "Hooks"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gmessenger.chat.hook_posts import HookPost
from tests.protocol.test_rooms import log_in_and_join
from tests.support.accounts import PASSWORD, ChatServer, UserClient, texts
from tests.support.course_clients import Frame
from tests.support.moderation import admin_service, expect_error, expect_ok, log_in_operator


def make_hook(client: UserClient, name: str = "Grafana", room: str = "#dev") -> str:
    """Make a hook, and return its token."""
    return str(expect_ok(client.request("hook", room=room, name=name))["token"])


def hooks(client: UserClient, room: str = "#dev") -> list[Frame]:
    return list(expect_ok(client.request("hooks", room=room))["hooks"])


def post(chat_server: ChatServer, token: str, text: str) -> None:
    poster = chat_server.server.app.messenger.hook_poster
    poster.post(poster.open(token, "127.0.0.1:1"), HookPost(text))


def test_an_owner_makes_a_hook_and_all_see_it_join(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    made = expect_ok(hank.request("hook", room="#DEV", name="Grafana"))
    assert (made["name"], made["room"], len(made["token"])) == ("Grafana", "#dev", 32)
    assert ("url" in made) == (chat_server.wire == "web") and made.get("url", made["token"]).endswith(made["token"])
    assert dale.next_event("join") == {"action": "join", "room": "#dev", "user": {"account_name": "Grafana"}}
    (told,) = [event for event in [dale.next_event("role")] if event["user"]["account_name"] == "Grafana"]
    assert (told["role"], told["by"]) == ("speaker", "hank")
    members = {user["account_name"]: user for user in expect_ok(dale.request("members", room="#dev"))["users"]}
    assert members["Grafana"] == {
        "account_name": "Grafana",
        "status": "offline",
        "role": "speaker",
        "bot": True,
    }
    assert "bot" not in members["hank"]
    whois = expect_ok(dale.request("whois", user="grafana"))
    assert (whois["user"]["bot"], whois["account"], whois["rooms"]) == (True, True, [{"room": "#dev"}])
    assert "Grafana" not in str(expect_ok(dale.request("users")))


def test_hooks_are_listed_and_revoked_by_owners(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    token = make_hook(hank)
    (row,) = hooks(hank)
    assert (row["name"], row["room"], row["by"]) == ("Grafana", "#dev", "hank") and row["used"] >= row["since"] > 0
    assert token not in str(row) and "inactive" not in row
    for action, fields in (("hook", {"name": "ci"}), ("unhook", {"name": "grafana"}), ("hooks", {})):
        expect_error(dale.request(action, room="#dev", **fields), "not_owner")
        expect_error(hank.request(action, room="#nowhere", **fields), "no_such_room", 404)
    expect_error(hank.request("unhook", room="#dev", name="dale"), "no_such_hook", 404)
    expect_ok(hank.request("join", room="#other"))
    expect_error(hank.request("unhook", room="#other", name="grafana"), "no_such_hook", 404)
    expect_ok(hank.request("unhook", room="#dev", name="grafana"))
    left = dale.next_event("leave")
    assert (left["user"]["account_name"], left["by"]) == ("Grafana", "hank")
    assert hooks(hank) == []
    expect_error(dale.request("whois", user="grafana"), "never_seen", 404)
    make_hook(hank)


def test_operators_make_hooks_that_do_not_depend_on_them(chat_server: ChatServer) -> None:
    dale, bobby = log_in_and_join(chat_server, "dale", "bobby")
    hank = log_in_operator(chat_server)
    token = make_hook(hank)
    admin_service(chat_server).revoke("hank")
    post(chat_server, token, "still here")
    assert texts(bobby.receive_messages(1)) == ["still here"]
    assert [row["by"] for row in hooks(dale)] == ["hank"]


def test_what_a_hook_posts_is_a_notice_for_all(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    token = make_hook(hank)
    post(chat_server, token, "backup\ndone")
    for client in (hank, dale):
        (message,) = client.receive_messages(1)
        assert (message["from"], message["to"], message["message"]) == ("Grafana", "#dev", "backup\ndone")
        assert message["kind"] == "notice" and message["seq"] == 1
    (stored,) = dale.history("#dev")
    assert (stored["from"], stored["kind"]) == ("Grafana", "notice")


def test_names_of_hooks_are_those_of_accounts(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    chat_server.log_in_guest("joe")
    expect_error(hank.request("hook", room="#dev", name="dale"), "name_taken", 409)
    expect_error(hank.request("hook", room="#dev", name="JOE"), "name_in_use", 409)
    expect_error(hank.request("hook", room="#dev", name="d\u0430le"), "bad_name", 400)
    expect_error(hank.request("hook", room="#dev", name="da1e"), "name_confusable", 400)
    expect_error(hank.request("hook", room="#dev", name="server"), "bad_name", 400)
    make_hook(hank)
    guest = chat_server.connect()
    refused = guest.request("presence", jim=2, user={"account_name": "grafana", "password": PASSWORD})
    assert (refused["response"], refused["code"]) == (402, "wrong_password")
    refused = guest.request("presence", jim=2, user={"account_name": "grafana"})
    assert (refused["response"], refused["code"]) == (401, "password_needed")
    refused = guest.request("register", jim=2, user={"account_name": "Grafana"}, password=PASSWORD)
    assert (refused["response"], refused["code"]) == (409, "name_taken")
    assert dale.request("probe")["response"] == 200


def test_a_room_has_ten_hooks_and_registrations_are_counted(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(registrations_per_hour=0)
    hank, _ = log_in_and_join(chat_server, "hank", "dale")
    for number in range(10):
        make_hook(hank, f"hook{number}")
    refused = expect_error(hank.request("hook", room="#dev", name="one-more"), "too_many_hooks")
    assert refused["limit"] == 10


def test_a_hook_that_was_removed_is_inactive(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    make_hook(hank)
    expect_ok(hank.request("remove", room="#dev", user="grafana"))
    assert dale.next_event("leave")["user"]["account_name"] == "Grafana"
    assert [row["inactive"] for row in hooks(hank)] == [True]
    expect_ok(hank.request("unhook", room="#dev", name="grafana"))


def test_a_message_to_a_hook_is_refused(chat_server: ChatServer) -> None:
    hank, _ = log_in_and_join(chat_server, "hank", "dale")
    make_hook(hank)
    answer: dict[str, Any] = hank.request("msg", to="grafana", message="hello")
    assert "is a hook" in expect_error(answer, "forbidden")["error"]
