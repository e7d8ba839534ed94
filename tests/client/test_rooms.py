"""Rules and roles of rooms through the library, against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gmessenger.client import (
    Client,
    Invited,
    MemberLeft,
    MemberSilenced,
    MemberUnsilenced,
    Rejected,
    RoleChanged,
    RulesChanged,
)
from gmessenger.errors import BadRequest, NoSuchHook, NoSuchRoom, NotOwner, ShutOut
from tests.client.conftest import SHORT_TIMEOUTS, Reader
from tests.conftest import RunningServer

PASSWORD = "correct horse"


@pytest.fixture
def owner_and_member(server: RunningServer) -> Iterator[tuple[Reader, Reader]]:
    """hank, who has made #dev, and dale, who is in it."""
    with (
        Client(server.host, server.port, "hank", timeouts=SHORT_TIMEOUTS) as hank,
        Client(server.host, server.port, "dale", timeouts=SHORT_TIMEOUTS) as dale,
    ):
        for client in (hank, dale):
            client.register(PASSWORD)
        assert hank.join("#dev", {"history": "all"}).role == "owner"
        dale.join("#dev")
        yield Reader(hank), Reader(dale)


def test_owners_set_rules_and_members_are_told(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    assert dale.client.rules("#dev")["history"] == "all"
    assert hank.client.set_rules("#dev", {"moderated": True, "topic": "moderators"})["moderated"] is True
    changed = dale.next(RulesChanged)
    assert (changed.room, changed.name, changed.changes) == ("#dev", "hank", {"moderated": True, "topic": "moderators"})
    with pytest.raises(NotOwner):
        dale.client.set_rules("#dev", {"moderated": False})
    with pytest.raises(BadRequest):
        hank.client.set_rules("#dev", {"moderated": False, "colour": "green"})
    assert hank.client.rules("#dev")["moderated"] is True


def test_roles_are_given_and_seen(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    hank.client.set_role("#dev", "dale", "moderator")
    changed = dale.next(RoleChanged)
    assert (changed.name, changed.role, changed.by) == ("dale", "moderator", "hank")
    assert {user.account_name: user.role for user in dale.client.members("#dev")} == {
        "hank": "owner",
        "dale": "moderator",
    }
    with pytest.raises(NotOwner):
        dale.client.remove_member("#dev", "hank")
    hank.client.remove_member("#dev", "dale")
    assert dale.next(MemberLeft).by == "hank"


def test_who_is_invited_is_told_and_joins_or_declines(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    hank.client.join("#secret", {"invited": True, "hidden": True})
    hank.client.invite("#secret", "dale")
    told = dale.next(Invited)
    assert (told.room, told.by) == ("#secret", "hank")
    assert [(info.user, info.by) for info in hank.client.invitations("#secret")] == [("dale", "hank")]
    dale.client.leave("#secret")
    assert hank.client.invitations("#secret") == []
    hank.client.invite("#secret", "dale")
    hank.client.uninvite("#secret", "dale")
    with pytest.raises(NoSuchRoom):
        dale.client.join("#secret")
    hank.client.invite("#secret", "dale")
    assert dale.client.join("#secret").rules


def test_hooks_are_made_listed_and_revoked(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    made = hank.client.add_hook("#dev", "Grafana")
    assert (made.name, len(made.token), made.url) == ("Grafana", 32, "")
    (info,) = hank.client.hooks("#dev")
    assert (info.name, info.by, info.is_inactive) == ("Grafana", "hank", False) and info.used >= info.since > 0
    assert [user.account_name for user in dale.client.members("#dev") if user.bot] == ["Grafana"]
    assert dale.client.whois("grafana").is_bot and not dale.client.whois("hank").is_bot
    with pytest.raises(NotOwner):
        dale.client.hooks("#dev")
    hank.client.revoke_hook("#dev", "grafana")
    assert hank.client.hooks("#dev") == []
    with pytest.raises(NoSuchHook):
        hank.client.revoke_hook("#dev", "grafana")


def test_names_are_kept_out_and_silenced(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    hank.client.silence("#dev", "dale", 600, "caps lock")
    silenced = dale.next(MemberSilenced)
    assert (silenced.room, silenced.name, silenced.by, silenced.reason) == ("#dev", "dale", "hank", "caps lock")
    assert silenced.until and [info.user for info in hank.client.silences("#dev")] == ["dale"]
    dale.client.send("#dev", "HELLO")
    assert dale.next(Rejected).response.code == "silenced"
    hank.client.unsilence("#dev", "dale")
    assert dale.next(MemberUnsilenced).by == "hank"
    hank.client.shut_out("#dev", "dale", reason="enough")
    left = dale.next(MemberLeft)
    assert (left.name, left.by) == ("dale", "hank")
    assert [(info.user, info.reason) for info in hank.client.shut_outs("#dev")] == [("dale", "enough")]
    with pytest.raises(ShutOut):
        dale.client.join("#dev")
    hank.client.let_in("#dev", "dale")
    dale.client.join("#dev")


def test_a_room_that_is_another_s_is_not_made(owner_and_member: tuple[Reader, Reader]) -> None:
    hank, dale = owner_and_member
    with pytest.raises(NotOwner):
        dale.client.join("#dev", {})
    hank.client.join("#secret", {"invited": True, "hidden": True})
    with pytest.raises(NoSuchRoom):
        dale.client.rules("#secret")
    assert "#secret" not in [room.name for room in dale.client.rooms()]
