"""Names and rooms that could be mistaken for others that are there. Section "Names" of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gmessenger.names import fold
from gmessenger.store import open_store
from tests.conftest import FAST, RunningServer
from tests.support.accounts import PASSWORD, Person
from tests.support.course_clients import CLASSIC, Address
from tests.support.native_clients import Dial

PAIRS = [("ace", "асе"), ("BOB", "ВОВ"), ("coco", "сосо"), ("sos", "ѕоѕ"), ("alice", "a1ice"), ("alice", "aIice")]
KEPT = ("ʜᴀɴᴋ", "ᎪᏞᏆᏟᎬ", "alı\u0307ce", "ӏаӏ", "a11")


@pytest.mark.parametrize(("taken", "name"), PAIRS)
def test_who_looks_like_an_account_is_not_let_in(taken: str, name: str, server: Address, dial: Dial) -> None:
    with closing(Person(server)) as owner:
        owner.enter(taken).register()
    for letter in "xy":  # whoever it is dealt to, in a cluster
        stranger = dial.native(server)
        answer = stranger.present(name)
        assert (answer["response"], answer["code"]) == (400, "name_confusable"), answer
        assert taken in answer["error"]
        stranger.login(f"other-{letter}")  # the connection is good for another try
    with closing(Person(server)) as owner:
        owner.enter(taken, password=PASSWORD)


def test_a_guest_who_has_left_is_in_nobodys_way(start_server: Callable[..., RunningServer], dial: Dial) -> None:
    server = start_server()
    alice = dial.native(server, "alice")
    assert dial.native(server).present("a1ice")["code"] == "name_confusable"
    assert dial.native(server).present("alice", session="x")["code"] == "name_in_use"
    alice.send({"action": "quit"})
    alice.expect_closed()
    dial.native(server, "a1ice")
    assert dial.native(server).present("alice")["code"] == "name_confusable"


def test_a_guest_who_comes_back_is_still_in_the_way(start_server: Callable[..., RunningServer], dial: Dial) -> None:
    server = start_server()
    first = dial.native(server)
    token = first.present("alice")["session"]
    second = dial.native(server)
    assert second.present("alice", session=token)["response"] == 200
    first.rest()
    assert dial.native(server).present("a1ice")["code"] == "name_confusable"


def test_a_course_client_is_told(start_server: Callable[..., RunningServer], dial: Dial) -> None:
    server = start_server()
    with closing(Person(server)) as owner:
        owner.enter("ace").register()
    course = dial.wire(server)
    course.send({"action": "presence", "user": {"account_name": "асе"}})
    (answer,) = course.rest()
    assert answer["response"] == 400 and "ace" in answer["error"]
    assert dial.course(server, CLASSIC, "bystander")


def test_a_guest_whose_look_alike_has_become_an_account_cannot(
    start_server: Callable[..., RunningServer], dial: Dial
) -> None:
    server = start_server()
    guest = Person(server).enter("a1ice")
    account = server.app.store.create_account("alice", "alice", FAST.hash(PASSWORD), 0.0)
    server.app.messenger.authenticator.add_account(account)
    answer = guest.ask("register", password=PASSWORD)
    assert (answer["response"], answer["code"]) == (400, "name_confusable")
    assert guest.ask("probe")["response"] == 200
    guest.close()


@pytest.mark.parametrize("name", KEPT)
def test_names_that_were_kept_when_more_was_allowed_are_good(
    name: str, start_server: Callable[..., RunningServer], dial: Dial, tmp_path: Path
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
    owner, other = Person(server).enter(name, password=PASSWORD), Person(server).enter("operator", password=PASSWORD)
    assert owner.name == name
    assert owner.ask("join", room=f"#{name}")["response"] == 200
    assert other.say(name, "hello")["response"] == 200
    for what in ("block", "unblock", "mute", "unmute", "ban", "unban"):
        assert other.ask(what, user=name)["response"] == 200
    for each in (owner, other):
        each.close()


def test_rooms_that_look_like_one_there_is_are_not_made(start_server: Callable[..., RunningServer]) -> None:
    server = start_server()
    with closing(Person(server)) as owner:
        owner.enter("hank").register()
        assert owner.ask("join", room="#coco")["response"] == 200
        for name in ("#сосо", "#CОCО", "#аӏӏ"):
            answer = owner.ask("join", room=name)
            assert (answer["response"], answer["code"]) in ((400, "name_confusable"), (400, "bad_name")), answer
        assert owner.ask("join", room="#COCO")["response"] == 200
        server.app.messenger.rooms.discard(server.app.messenger.rooms.find("#coco"))
        assert owner.ask("join", room="#сосо")["response"] == 200
