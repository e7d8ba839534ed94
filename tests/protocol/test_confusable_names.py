"""Names and rooms that could be mistaken for others that are there. Section "Names" of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.names import fold
from gmessenger.store import open_store
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.course_clients import CLASSIC, Address
from tests.support.native_clients import Connector

PAIRS = [("ace", "асе"), ("BOB", "ВОВ"), ("coco", "сосо"), ("sos", "ѕоѕ"), ("alice", "a1ice"), ("alice", "aIice")]
ALLOWED = ("ʜᴀɴᴋ", "ᎪᏞᏆᏟᎬ", "alı\u0307ce", "ӏаӏ", "a11")


@pytest.mark.parametrize(("taken", "name"), PAIRS)
def test_who_looks_like_an_account_is_not_let_in(taken: str, name: str, server: Address, connector: Connector) -> None:
    with closing(UserClient(server)) as owner:
        owner.start_session(taken).register()
    for letter in "xy":  # on both nodes, in a cluster
        stranger = connector.open_native(server)
        answer = stranger.try_log_in(name)
        assert (answer["response"], answer["code"]) == (400, "name_confusable"), answer
        assert taken in answer["error"]
        stranger.log_in(f"other-{letter}")  # the connection is good for another try
    with closing(UserClient(server)) as owner:
        owner.start_session(taken, password=PASSWORD)


def test_a_guest_who_has_left_is_in_nobodys_way(
    start_server: Callable[..., RunningServer], connector: Connector
) -> None:
    server = start_server()
    alice = connector.open_native(server, "alice")
    assert connector.open_native(server).try_log_in("a1ice")["code"] == "name_confusable"
    assert connector.open_native(server).try_log_in("alice", session="x")["code"] == "name_in_use"
    alice.send({"action": "quit"})
    alice.expect_closed()
    connector.open_native(server, "a1ice")
    assert connector.open_native(server).try_log_in("alice")["code"] == "name_confusable"


def test_a_guest_who_comes_back_is_still_in_the_way(
    start_server: Callable[..., RunningServer], connector: Connector
) -> None:
    server = start_server()
    first = connector.open_native(server)
    token = first.try_log_in("alice")["session"]
    second = connector.open_native(server)
    assert second.try_log_in("alice", session=token)["response"] == 200
    first.receive_until_closed()
    assert connector.open_native(server).try_log_in("a1ice")["code"] == "name_confusable"


def test_a_course_client_is_told(start_server: Callable[..., RunningServer], connector: Connector) -> None:
    server = start_server()
    with closing(UserClient(server)) as owner:
        owner.start_session("ace").register()
    course = connector.open_raw(server)
    course.send({"action": "presence", "user": {"account_name": "асе"}})
    (answer,) = course.receive_until_closed()
    assert answer["response"] == 400 and "ace" in answer["error"]
    assert connector.log_in_course(server, CLASSIC, "bystander")


def test_a_guest_whose_look_alike_has_become_an_account_cannot(
    start_server: Callable[..., RunningServer], connector: Connector
) -> None:
    server = start_server()
    guest = UserClient(server).start_session("a1ice")
    account = server.app.store.create_account("alice", "alice", FAST.hash(PASSWORD), 0.0)
    server.app.messenger.authenticator.add_account(account)
    answer = guest.request("register", password=PASSWORD)
    assert (answer["response"], answer["code"]) == (400, "name_confusable")
    assert guest.request("probe")["response"] == 200
    guest.close()


@pytest.mark.parametrize("name", ALLOWED)
def test_names_that_were_kept_when_more_was_allowed_are_good(
    name: str, start_server: Callable[..., RunningServer], connector: Connector, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/kept.db"
    store = open_store(url)
    for each in (name, "alice"):
        store.create_account(fold(each), each, FAST.hash(PASSWORD), 0.0)
    operator = store.create_account("operator", "operator", FAST.hash(PASSWORD), 0.0)
    store.set_role(operator.id, "operator")
    store.create_room(f"#{fold(name)}", f"#{name}", None, 0.0)
    store.close()
    server = start_server(store=url)
    owner, other = (
        UserClient(server).start_session(name, password=PASSWORD),
        UserClient(server).start_session("operator", password=PASSWORD),
    )
    assert owner.name == name
    assert owner.request("join", room=f"#{name}")["response"] == 200
    assert other.send_message(name, "hello")["response"] == 200
    for what in ("block", "unblock", "mute", "unmute", "ban", "unban"):
        assert other.request(what, user=name)["response"] == 200
    for each in (owner, other):
        each.close()


def test_rooms_that_look_like_one_there_is_are_not_made(start_server: Callable[..., RunningServer]) -> None:
    server = start_server()
    with closing(UserClient(server)) as owner:
        owner.start_session("hank").register()
        assert owner.request("join", room="#coco")["response"] == 200
        for name in ("#сосо", "#CОCО", "#аӏӏ"):
            answer = owner.request("join", room=name)
            assert (answer["response"], answer["code"]) in ((400, "name_confusable"), (400, "bad_name")), answer
        assert owner.request("join", room="#COCO")["response"] == 200
        server.app.messenger.rooms.discard(server.app.messenger.rooms.find("#coco"))
        assert owner.request("join", room="#сосо")["response"] == 200
