"""Hooks without protocol and sockets: what is posted, and who may not log in as one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from gmessenger.chat.admin import AdminService
from gmessenger.chat.hook_posts import HookPost
from gmessenger.chat.outbound import Message
from gmessenger.chat.ratelimit import Limits, RateLimit
from gmessenger.chat.room_rights import SERVER_ACTOR, RoomActor
from gmessenger.chat.session import Session
from gmessenger.errors import (
    AccountDisabled,
    Banned,
    Forbidden,
    Muted,
    NoSuchHook,
    NotFound,
    PasswordRequired,
    QuotaExceeded,
    RateLimited,
    RoomClosed,
    Silenced,
    StoreUnavailable,
    WrongPassword,
)
from tests.conftest import FAST
from tests.support.messenger import NOW, InMemoryChat, drain_events

PASSWORD = "correct horse"
HERE = "203.0.113.7:1"


@dataclass
class Ops:
    """A room `#ops` of hank's, with a hook, and a member who reads it."""

    chat: InMemoryChat
    hank: Session
    reader: Session
    token: str

    def post(self, text: str = "the disk is full", key: str | None = None, **alerts: list[str]) -> int:
        poster = self.chat.messenger.hook_poster
        return poster.post(poster.open(self.token, HERE), HookPost(text, key, **alerts))

    def read(self) -> list[Message]:
        self.chat.store.flush()
        return [event for event in drain_events(self.reader) if isinstance(event, Message)]

    @property
    def admin(self) -> AdminService:
        return AdminService(self.chat.messenger, self.chat.store, FAST, lambda: NOW)


def make_ops(**policy: object) -> Ops:
    chat = InMemoryChat(**policy)
    admin = AdminService(chat.messenger, chat.store, FAST, lambda: NOW)
    for name in ("hank", "dale"):
        admin.add_account(name, PASSWORD)
    hank, dale = (chat.login(name, password=PASSWORD) for name in ("hank", "dale"))
    for session in (hank, dale):
        chat.messenger.room_service.join(session, "#ops")
    token = chat.messenger.hooks.add(hank, "#ops", "Grafana").token
    ops = Ops(chat, hank, dale, token)
    ops.read()
    return ops


@pytest.fixture
def ops() -> Ops:
    return make_ops()


def test_a_post_is_a_notice_of_the_hook_in_its_room(ops: Ops) -> None:
    seq = ops.post("one line\nand another")
    assert ops.read() == [
        Message("Grafana", "#ops", "one line\nand another", NOW, seq=seq, kind="notice"),
    ]
    (stored,) = ops.chat.store.page(ops.hank.account_id or 0, "#ops", 0).messages
    assert (stored.seq, stored.sender, stored.kind, stored.text) == (seq, "Grafana", "notice", "one line\nand another")


def test_the_resolution_of_an_alert_replies_to_it(ops: Ops) -> None:
    first, other = ops.post("FIRING: a", firing=["a", "b"]), ops.post("FIRING: c", firing=["c"])
    assert ops.post("RESOLVED: a", resolved=["a"]) == 3
    ops.post("RESOLVED: nobody knows", resolved=["d"])
    ops.post("FIRING: b, RESOLVED: c", firing=["b"], resolved=["c"])
    ops.post("RESOLVED: b", resolved=["b"])
    assert [message.about for message in ops.read()] == [None, None, first, None, other, 5]


def test_a_resolution_is_said_although_the_alert_is_not_there_any_more(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops.post("FIRING: a", firing=["a"])
    monkeypatch.setattr(ops.chat.store, "find_alert", lambda *arguments: 99)
    assert [ops.post("RESOLVED: a", "k", resolved=["a"]) for _ in range(2)] == [2, 2]
    assert [message.about for message in ops.read()] == [None, None]


def test_a_post_with_a_key_is_stored_once(ops: Ops) -> None:
    assert [ops.post("x", "k"), ops.post("y"), ops.post("x", "k"), ops.post("x")] == [1, 2, 1, 3]


def test_a_key_with_another_text_is_a_fresh_message_which_is_stored_once(ops: Ops) -> None:
    assert [ops.post("x", "k"), ops.post("y", "k"), ops.post("y", "k"), ops.post("x", "k")] == [1, 2, 2, 1]


def test_the_keys_of_two_hooks_are_not_mixed_up(ops: Ops) -> None:
    ops.post("x", "k")
    ops.token = ops.chat.messenger.hooks.add(ops.hank, "#ops", "ci").token
    assert ops.post("x", "k") == 2


@pytest.mark.parametrize("token", ["", "x", "é", "x" * 20_000])
def test_an_unknown_secret_is_refused(ops: Ops, token: str) -> None:
    with pytest.raises(NoSuchHook):
        ops.chat.messenger.hook_poster.open(token, HERE)


def test_a_hook_posts_no_more_once_it_was_removed_or_revoked(ops: Ops) -> None:
    ops.chat.messenger.room_sanctions.remove(ops.hank, "#ops", "grafana")
    with pytest.raises(NoSuchHook):
        ops.post()
    ops.token = ops.chat.messenger.hooks.add(ops.hank, "#ops", "ci").token
    ops.post()
    ops.chat.messenger.hooks.revoke(ops.hank, "#ops", "CI")
    with pytest.raises(NoSuchHook):
        ops.post()


def test_a_hook_posts_only_while_who_has_made_it_owns_the_room(ops: Ops) -> None:
    messenger = ops.chat.messenger
    messenger.room_rights.change_role(ops.hank, "#ops", "dale", "owner")
    messenger.room_rights.change_role(ops.hank, "#ops", "hank", "member")
    with pytest.raises(NoSuchHook):
        ops.post()
    assert [entry.inactive for entry in messenger.hooks.all()] == [True]
    messenger.room_rights.change_role(ops.reader, "#ops", "hank", "owner")
    ops.post()
    ops.token = messenger.hooks.add_as(SERVER_ACTOR, messenger.rooms.find("#ops"), "ci").token
    messenger.room_service.leave(ops.hank, "#ops")
    ops.post()


def test_hooks_go_with_who_has_made_them_and_with_their_room(ops: Ops) -> None:
    messenger = ops.chat.messenger
    by_server = messenger.hooks.add_as(SERVER_ACTOR, messenger.rooms.find("#ops"), "ci")
    messenger.account_data.erase(ops.hank, PASSWORD)
    assert [entry.name for entry in messenger.hooks.all()] == ["ci"]
    assert "grafana" not in messenger.authenticator.accounts
    ops.token = by_server.token
    ops.post()
    ops.admin.delete_room("#ops")
    assert messenger.hooks.all() == [] and "ci" not in messenger.authenticator.accounts
    with pytest.raises(NoSuchHook):
        ops.post()


def test_sanctions_hold_for_hooks(ops: Ops) -> None:
    messenger, admin = ops.chat.messenger, ops.admin
    messenger.moderation.mute("server", "grafana", None, "")
    with pytest.raises(Muted):
        ops.post()
    messenger.moderation.unmute("server", "grafana")
    messenger.moderation.ban("server", "grafana", None, None, "")
    with pytest.raises(Banned):
        ops.post()
    messenger.moderation.unban("server", "grafana", None)
    admin.silence("#ops", "grafana")
    with pytest.raises(Silenced):
        ops.post()
    admin.unsilence("#ops", "grafana")
    messenger.moderation.close("server", "#ops", "")
    with pytest.raises(RoomClosed):
        ops.post()
    messenger.moderation.open("server", "#ops")
    admin.disable("grafana")
    with pytest.raises(AccountDisabled):
        ops.post()
    admin.enable("grafana")
    assert ops.post() == 1


def test_a_hook_may_write_where_the_room_is_moderated_unless_its_role_is_taken(ops: Ops) -> None:
    messenger = ops.chat.messenger
    messenger.room_rights.change_rules(ops.hank, "#ops", {"moderated": True})
    ops.post()
    messenger.room_rights.change_role(ops.hank, "#ops", "grafana", "member")
    with pytest.raises(Forbidden):
        ops.post()
    for role in ("moderator", "owner"):
        with pytest.raises(Forbidden, match="speaker or a member"):
            messenger.room_rights.change_role(ops.hank, "#ops", "grafana", role)


def test_quotas_and_rates_hold_for_hooks() -> None:
    ops = make_ops(account_quota=20)
    ops.post("x" * 20)
    with pytest.raises(QuotaExceeded):
        ops.post("x")
    ops = make_ops(limits=Limits(messages=RateLimit(0.001, 3.0)))
    for _ in range(3):
        ops.post()
    with pytest.raises(RateLimited) as refused:
        ops.post()
    assert refused.value.retry_after


def test_unknown_secrets_are_limited_by_network_and_known_ones_are_not() -> None:
    ops = make_ops(limits=Limits(login_failures_per_address=RateLimit.per_period(3, 3600.0)))
    poster = ops.chat.messenger.hook_poster
    poster._networks_of = lambda address: [(address.partition(":")[0], 1)]
    ops.post()
    for _ in range(3):
        with pytest.raises(NoSuchHook):
            poster.open(secrets.token_urlsafe(), HERE)
    with pytest.raises(RateLimited) as refused:
        poster.open(secrets.token_urlsafe(), HERE)
    assert refused.value.retry_after
    ops.post()
    with pytest.raises(NoSuchHook):
        poster.open(secrets.token_urlsafe(), "198.51.100.1:1")


def test_a_store_that_does_not_answer_is_said_so(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    ops.chat.messenger.policy.store_timeout = 0.0
    monkeypatch.setattr(ops.chat.store, "append", lambda message, callback: None)
    with pytest.raises(StoreUnavailable):
        ops.post()


def test_nobody_logs_in_as_a_hook(ops: Ops) -> None:
    for password, error in ((None, PasswordRequired), ("", WrongPassword), (PASSWORD, WrongPassword)):
        with pytest.raises(error):
            ops.chat.login("Grafana", password=password)
    with pytest.raises(PasswordRequired):
        ops.chat.login("grafana", token=ops.token)
    with pytest.raises(NotFound, match="is a hook"):
        ops.admin.set_password("grafana", PASSWORD)
    with pytest.raises(NotFound, match="is a hook"):
        ops.admin.grant("grafana")
    # Whatever a store of another program may hold:
    hook = ops.chat.messenger.authenticator.accounts["grafana"]
    ops.chat.store.set_password(hook.id, FAST.hash(PASSWORD))
    with pytest.raises(WrongPassword):
        ops.chat.login("grafana", password=PASSWORD)


def test_a_muted_owner_makes_no_hook_to_speak_by(ops: Ops) -> None:
    ops.chat.messenger.moderation.mute("server", "hank", None, "")
    with pytest.raises(Muted):
        ops.chat.messenger.hooks.add(ops.hank, "#ops", "ci")


def test_a_guest_that_takes_the_name_meanwhile_is_ended(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    add_hook, guests = ops.chat.store.add_hook, []

    def log_in_first(*arguments: Any) -> Any:
        guests.append(ops.chat.login("ci"))
        return add_hook(*arguments)

    monkeypatch.setattr(ops.chat.store, "add_hook", log_in_first)
    ops.chat.messenger.hooks.add(ops.hank, "#ops", "ci")
    assert [guest.outbox.closed for guest in guests] == [True]


def test_nobody_writes_to_a_hook_or_invites_it_elsewhere(ops: Ops) -> None:
    messenger = ops.chat.messenger
    with pytest.raises(Forbidden, match="is a hook"):
        messenger.message_service.send(ops.hank, "grafana", "hello")
    assert not messenger.message_service.send_batch(ops.hank, "grafana", ["hello"], [None])
    messenger.room_service.join(ops.hank, "#other")
    with pytest.raises(NotFound, match="is a hook"):
        messenger.invitations.invite(ops.hank, "#other", "grafana")


def test_a_hook_is_in_the_room_but_not_online(ops: Ops) -> None:
    messenger = ops.chat.messenger
    members = messenger.room_service.members(ops.hank, "#ops").users
    assert [(user.name, user.status, user.bot) for user in members if user.bot is True] == [
        ("Grafana", "offline", True)
    ]
    assert messenger.whois_service.whois(ops.hank, "grafana").user.bot is True
    assert [user.name for user in messenger.listings.users("hank", None).users] == ["dale", "hank"]
    (row,) = [row for row in ops.admin.accounts() if row.name == "Grafana"]
    assert row.bot and not row.here


def test_an_actor_without_an_account_makes_hooks_that_stay(ops: Ops) -> None:
    messenger = ops.chat.messenger
    ops.admin.grant("dale")
    actor = RoomActor.of(ops.reader, ops.chat.messenger.rooms.find("#ops"))
    assert actor.account is None
    ops.token = messenger.hooks.add(ops.reader, "#ops", "ci").token
    ops.admin.delete_account("dale")
    ops.post()
