"""Guests who take another name by another protocol, as native clients see it: each room, they leave and join."""

from __future__ import annotations

from tests.protocol.test_rooms import join, log_in_and_join, member_names
from tests.support.accounts import ChatServer


def test_native_clients_see_a_leave_and_a_join_in_each_room(chat_server: ChatServer) -> None:
    (hank,), guest = log_in_and_join(chat_server, "hank"), chat_server.log_in_guest("guest")
    join(hank, "#ops")
    for room in ("#dev", "#ops"):
        join(guest, room)
        assert hank.next_event("join")["room"] == room
    messenger = chat_server.server.app.messenger
    (session,) = messenger.router.sessions("guest")
    messenger.rename(session, "visitor")
    told = [hank.next_event() for _ in range(4)]
    assert [(frame["action"], frame["room"], frame["user"]["account_name"]) for frame in told] == [
        ("leave", "#dev", "guest"),
        ("join", "#dev", "visitor"),
        ("leave", "#ops", "guest"),
        ("join", "#ops", "visitor"),
    ]
    assert member_names(hank.request("members", room="#dev")) == {"hank", "visitor"}
    assert guest.send_messages("#dev", "it is me") == [1]
    assert hank.next_event("msg")["from"] == "visitor"
