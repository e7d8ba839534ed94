"""Masks of rooms, for which JIM has no word: what native clients see of them."""

from __future__ import annotations

from tests.protocol.test_rooms import log_in_and_join
from tests.support.accounts import ChatServer
from tests.support.moderation import expect_ok


def test_native_clients_are_not_told_of_masks(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    messenger = chat_server.server.app.messenger
    (session,) = messenger.router.sessions("hank")
    dale.take_events()
    messenger.room_masks.add_mask(session, "#dev", "ban", "*!*@*")
    messenger.room_masks.remove_mask(session, "#dev", "ban", "*!*@*")
    expect_ok(hank.request("topic", room="#dev", topic="news"))
    assert dale.next_event()["action"] == "topic"


def test_who_matches_a_mask_that_silences_is_refused_messages(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    messenger = chat_server.server.app.messenger
    (session,) = messenger.router.sessions("hank")
    messenger.room_masks.add_mask(session, "#dev", "silenced", "*!*@*")
    assert dale.request("msg", to="#dev", message="hi")["code"] == "silenced"
    expect_ok(hank.request("msg", to="#dev", message="hi"))
    messenger.room_masks.remove_mask(session, "#dev", "silenced", "*!*@*")
    expect_ok(dale.request("msg", to="#dev", message="hi"))
