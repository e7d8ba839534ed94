"""Invitations to rooms: who may give them, what they open, and how long they last.

docs/protocol.md, "Rooms".
"""

from unittest.mock import Mock

import pytest

from gmessenger.chat import invitations
from gmessenger.errors import StoreUnavailable
from tests.protocol.test_rooms import join, log_in_and_join
from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.moderation import expect_error, expect_ok

PRIVATE = {"invited": True, "hidden": True}
INVITED = {"action": "invited", "room": "#dev", "from": "hank"}


def make_private(client: UserClient, room: str = "#dev") -> None:
    expect_ok(client.request("join", room=room, rules=PRIVATE))


def invite(client: UserClient, user: str, room: str = "#dev") -> None:
    expect_ok(client.request("invite", room=room, user=user))


def test_who_is_invited_to_a_private_room_hears_of_it_and_joins(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    phone = chat_server.log_in("dale", "phone")
    make_private(hank)
    expect_error(dale.request("join", room="#dev"), "no_such_room", 404)
    invite(hank, "Dale")
    assert dale.next_event("invited") == phone.next_event("invited") == INVITED
    invite(hank, "dale")  # once more changes nothing, and is told nobody
    assert dale.take_events("invited") == []
    assert join(dale)["members"] == ["hank", "dale"]
    assert hank.next_event("join")["user"]["account_name"] == "dale"
    assert chat_server.log_in("dale", "phone").take_events("invited") == []
    expect_error(hank.request("invite", room="#dev", user="dale"), "already_member", 409)
    expect_ok(dale.request("leave", room="#dev"))
    expect_error(dale.request("join", room="#dev"), "no_such_room", 404)


def test_an_invitation_is_told_at_each_login_until_it_is_declined(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    make_private(hank)
    invite(hank, "dale")
    assert chat_server.log_in("dale").next_event("invited") == INVITED
    chat_server.restart()
    dale = chat_server.log_in("dale")
    assert dale.next_event("invited") == INVITED
    expect_error(dale.request("members", room="#dev"), "not_member")
    expect_ok(dale.request("leave", room="#dev"))
    expect_error(dale.request("leave", room="#dev"), "no_such_room", 404)
    expect_error(dale.request("join", room="#dev"), "no_such_room", 404)
    assert chat_server.log_in("dale").take_events("invited") == []


def test_an_invitation_is_taken_back(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_ok(hank.request("join", room="#dev", rules={"invited": True}))
    expect_error(dale.request("join", room="#dev"), "invited_only")
    invite(hank, "dale")
    listed = expect_ok(hank.request("invitations", room="#dev"))
    assert [(one["user"], one["by"]) for one in listed["invitations"]] == [("dale", "hank")]
    expect_ok(hank.request("uninvite", room="#dev", user="dale"))
    expect_error(hank.request("uninvite", room="#dev", user="dale"), "never_seen", 404)
    expect_error(dale.request("join", room="#dev"), "invited_only")


def test_members_invite_to_open_rooms_and_moderators_to_others(chat_server: ChatServer) -> None:
    hank, dale = log_in_and_join(chat_server, "hank", "dale")
    bobby, guest = chat_server.log_in("bobby"), chat_server.log_in_guest("guest")
    expect_error(bobby.request("invite", room="#dev", user="peggy"), "not_member")
    invite(dale, "bobby")
    assert bobby.next_event("invited") == INVITED | {"from": "dale"}
    join(guest)
    expect_error(guest.request("invite", room="#dev", user="peggy"), "accounts_only")
    expect_ok(hank.request("rule", room="#dev", set={"invited": True}))
    expect_error(dale.request("invite", room="#dev", user="peggy"), "not_owner")
    expect_ok(dale.request("uninvite", room="#dev", user="bobby"))  # it was dale's
    invite(hank, "bobby")
    expect_error(dale.request("uninvite", room="#dev", user="bobby"), "not_owner")
    expect_ok(hank.request("role", room="#dev", user="dale", role="moderator"))
    invite(dale, "peggy")
    join(chat_server.log_in("peggy"))


def test_nobody_is_invited_who_was_never_here_or_does_not_want_it(chat_server: ChatServer) -> None:
    (hank,), dale = log_in_and_join(chat_server, "hank"), chat_server.log_in("dale")
    expect_error(hank.request("invite", room="#dev", user="nobody"), "never_seen", 404)
    expect_error(hank.request("invite", room="#dev", user="hank"), "already_member", 409)
    expect_error(hank.request("invite", room="#not", user="dale"), "no_such_room", 404)
    expect_ok(dale.request("block", user="hank"))
    expect_error(hank.request("invite", room="#dev", user="dale"), "blocked")
    assert dale.take_events("invited") == []


def test_an_invitation_lifts_a_removal_and_passes_the_highest_number(chat_server: ChatServer) -> None:
    hank, dale, bobby = log_in_and_join(chat_server, "hank", "dale", "bobby")
    expect_ok(hank.request("rule", room="#dev", set={"most": 2}))
    expect_ok(hank.request("remove", room="#dev", user="dale"))
    expect_error(dale.request("join", room="#dev"), "shut_out")
    expect_error(bobby.request("invite", room="#dev", user="dale"), "not_owner")
    expect_error(chat_server.log_in("peggy").request("join", room="#dev"), "room_full")
    invite(hank, "dale")
    join(dale)
    expect_ok(dale.request("leave", room="#dev"))
    expect_error(dale.request("join", room="#dev"), "room_full")


def test_a_guests_invitation_is_for_this_guest_alone(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    make_private(hank)
    expect_error(hank.request("invite", room="#dev", user="guest"), "never_seen", 404)
    guest = chat_server.log_in_guest("guest")
    invite(hank, "guest")
    assert guest.next_event("invited") == INVITED
    again = chat_server.connect().start_session("guest", session=guest.session)  # the same guest
    assert again.next_event("invited") == INVITED
    again.send({"action": "quit"})
    again.receive_until_closed()
    other = chat_server.connect()
    while other.try_log_in("guest")["response"] != 200:  # until the name is free
        pass
    expect_error(other.request("join", room="#dev"), "no_such_room", 404)
    invite(hank, "guest")
    join(other)
    assert hank.next_event("join")["user"]["account_name"] == "guest"


def test_a_guests_invitation_is_used_by_joining(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    make_private(hank)
    invite(hank, "guest")
    assert guest.next_event("invited") == INVITED
    join(guest)
    again = chat_server.connect().start_session("guest", session=guest.session)
    assert again.take_events("invited") == []
    join(again)
    expect_ok(again.request("leave", room="#dev"))
    expect_error(again.request("join", room="#dev"), "no_such_room", 404)


def test_a_guest_that_registers_keeps_its_invitation(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    make_private(hank)
    invite(hank, "guest")
    guest.register()
    chat_server.restart()
    account = chat_server.connect().start_session("guest", session=guest.session)
    assert account.next_event("invited") == INVITED
    join(account)


def test_a_room_that_takes_no_guests_invites_none(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    expect_ok(hank.request("join", room="#dev", rules={"guests": False}))
    expect_error(hank.request("invite", room="#dev", user="guest"), "accounts_only")
    expect_error(guest.request("join", room="#dev"), "accounts_only")


def test_a_guest_uses_its_invitation_up(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    make_private(hank)
    invite(hank, "guest")
    join(guest)
    expect_error(hank.request("invite", room="#dev", user="guest"), "already_member", 409)
    again = chat_server.connect().start_session("guest", session=guest.session)
    join(again)
    expect_ok(again.request("leave", room="#dev"))
    expect_error(again.request("join", room="#dev"), "no_such_room", 404)
    assert chat_server.connect().start_session("guest", session=guest.session).take_events("invited") == []


def test_a_registration_succeeds_though_an_invitation_cannot_be_kept(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    make_private(hank)
    invite(hank, "guest")
    monkeypatch.setattr(chat_server.server.app.store, "invite", Mock(side_effect=StoreUnavailable))
    guest.register()
    expect_error(guest.request("join", room="#dev"), "no_such_room", 404)
    assert chat_server.connect().start_session("guest", password=PASSWORD).request("probe")["response"] == 200


def test_invitations_of_guests_count_with_those_of_accounts(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank = chat_server.log_in("hank")
    monkeypatch.setattr(invitations, "MAX_INVITATIONS", 2)
    make_private(hank)
    for name in ("joe", "kim"):
        chat_server.log_in_guest(name)
        invite(hank, name)
    assert expect_error(hank.request("invite", room="#dev", user="dale"), "forbidden")["limit"] == 2
    expect_ok(hank.request("uninvite", room="#dev", user="joe"))
    invite(hank, "dale")
    invite(hank, "dale")  # once more is no further one
    invite(hank, "kim")
