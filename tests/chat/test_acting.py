"""Sessions that act with the rights of an operator's account, whose password they know."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gevent
import pytest

from gmessenger.chat.auth import LoginThrottle
from gmessenger.chat.moderation import operator_name
from gmessenger.chat.ratelimit import Limits, RateLimit
from gmessenger.chat.records import About, Account
from gmessenger.chat.room import Room
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.room_rights import RoomActor
from gmessenger.chat.session import Session
from gmessenger.constants import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import (
    AccountDeleted,
    AccountDisabled,
    Banned,
    Forbidden,
    Kicked,
    LoginThrottled,
    NotOwner,
    OperatorsOnly,
    PasswordChangeRequired,
    WrongPassword,
)
from tests.conftest import FAST
from tests.support.messenger import NOW, InMemoryChat, drain_events

PASSWORD = "a password"


class ModeratedChat(InMemoryChat):
    """A chat with the operator Boss, who is not online, and the guest gus."""

    def __init__(self) -> None:
        super().__init__()
        self.boss = self.add_account("Boss", OPERATOR_ROLE)
        self.gus = self.login("gus")

    def add_account(self, name: str, role: str = "") -> Account:
        account = self.store.create_account(name.lower(), name, FAST.hash(PASSWORD), NOW)
        self.store.set_role(account.id, role)
        account.role = role
        self.messenger.authenticator.add_account(account)
        return account

    def act(self, session: Session | None = None, name: str = "BOSS", password: str = PASSWORD) -> None:
        self.messenger.act_as(session or self.gus, name, password)


ROOM = Room("#dev", "#dev", "", None)


@pytest.fixture
def chat() -> ModeratedChat:
    return ModeratedChat()


def test_a_guest_acts_in_the_name_of_the_account(chat: ModeratedChat, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OperatorsOnly):
        operator_name(chat.gus)
    with pytest.raises(NotOwner):
        RoomActor.of(chat.gus, ROOM)
    with caplog.at_level(logging.INFO, "gmessenger"):
        chat.act()
    assert (chat.gus.role, operator_name(chat.gus)) == (OPERATOR_ROLE, "Boss")
    assert RoomActor.of(chat.gus, ROOM) == RoomActor("Boss", None, chat.gus)
    assert [record.fields["by"] for record in caplog.records] == ["Boss"]  # type: ignore[attr-defined]
    assert (chat.gus.account, chat.gus.name) == (None, "gus")


def test_an_account_that_acts_changes_any_room_in_the_name_of_the_operator(chat: ModeratedChat) -> None:
    chat.add_account("hank"), chat.add_account("dale")
    hank, dale = (chat.login(name, password=PASSWORD) for name in ("hank", "dale"))
    chat.messenger.room_service.join(hank, "#dev")
    drain_events(hank)
    with pytest.raises(NotOwner):
        chat.messenger.room_service.rules(dale, "#dev", {"moderated": True})
    chat.act(dale)
    chat.messenger.room_service.rules(dale, "#dev", {"moderated": True})
    assert [(event.action, event.name) for event in drain_events(hank) if isinstance(event, RoomEvent)] == [
        ("rule", "Boss")
    ]


def test_an_erasure_is_recorded_in_the_name_of_the_operator(chat: ModeratedChat) -> None:
    chat.add_account("hank")
    hank = chat.login("hank", password=PASSWORD)
    chat.messenger.room_service.join(hank, "#dev")
    chat.messenger.room_service.join(chat.gus, "#dev")
    chat.messenger.message_service.send(hank, "#dev", "spam")
    chat.act()
    chat.messenger.message_service.send(chat.gus, "#dev", "", "e1", about=About(1, "erase"))
    chat.store.flush()
    gevent.sleep(0)
    trace = chat.store.trace("#dev", 1)
    assert trace is not None and trace.sent is not None and trace.sent.erased_by == "Boss"


@pytest.mark.parametrize(
    ("name", "password", "error"),
    [
        ("boss", "another password", WrongPassword),
        ("nobody", PASSWORD, WrongPassword),
        ("hank", PASSWORD, OperatorsOnly),
        ("hank", "another password", WrongPassword),
        ("disabled", PASSWORD, AccountDisabled),
        ("banned", PASSWORD, Banned),
        ("new", PASSWORD, PasswordChangeRequired),
    ],
)
def test_only_the_password_of_an_operator_that_may_log_in_is_accepted(
    chat: ModeratedChat, name: str, password: str, error: type[Exception]
) -> None:
    chat.add_account("hank")
    disabled, new = chat.add_account("disabled", OPERATOR_ROLE), chat.add_account("new", OPERATOR_ROLE)
    disabled.disabled = True
    chat.add_account("banned", OPERATOR_ROLE)
    chat.messenger.moderation.ban(SERVER_OWNER, "banned", None)
    new.generation = chat.store.set_password(new.id, FAST.hash(PASSWORD), NOW + 1)
    with pytest.raises(error):
        chat.act(name=name, password=password)
    assert chat.gus.acting is None and chat.gus.role == ""


def test_wrong_passwords_count_as_those_of_logins(chat: ModeratedChat) -> None:
    limits = Limits(login_failures_per_name=RateLimit(0.001, 1))
    chat.messenger.authenticator._login_throttle = LoginThrottle(FAST, lambda: limits, lambda: NOW, lambda _: ())
    with pytest.raises(WrongPassword):
        chat.act(password="another password")
    with pytest.raises(LoginThrottled):
        chat.act()


def change_password(chat: ModeratedChat) -> None:
    generation = chat.store.set_password(chat.boss.id, FAST.hash("another password"))
    chat.messenger.authenticator.note_password_change(chat.boss, generation)


@pytest.mark.parametrize(
    "end",
    [
        lambda chat: chat.messenger.moderation.set_role(chat.boss, ""),
        lambda chat: chat.messenger.session_closer.close_all("boss", AccountDisabled()),
        lambda chat: chat.messenger.session_closer.close_all("boss", AccountDeleted()),
        lambda chat: chat.messenger.moderation.ban(SERVER_OWNER, "Boss", None),
        change_password,
    ],
    ids=["role", "disabled", "deleted", "banned", "password"],
)
def test_nobody_acts_as_an_account_that_has_lost_its_rights(
    chat: ModeratedChat, end: Callable[[ModeratedChat], object]
) -> None:
    other = chat.add_account("other", OPERATOR_ROLE)
    hank, told = chat.login("hank"), []
    chat.messenger.router.rights_watchers.append(told.append)
    chat.act(), chat.act(hank, "other")
    end(chat)
    assert told == [chat.gus]
    chat.boss.role = OPERATOR_ROLE  # whatever becomes of the account later
    assert chat.gus.acting is None and chat.gus.role == "" and not chat.gus.outbox.closed
    assert hank.acting is other and hank.role == OPERATOR_ROLE


def test_sessions_of_an_account_are_told_of_its_role_and_those_that_act_keep_theirs(chat: ModeratedChat) -> None:
    account = chat.add_account("hank")
    hank, other, told = chat.login("hank", password=PASSWORD), chat.login("hank", password=PASSWORD, device="x"), []
    chat.act(other)
    chat.messenger.router.rights_watchers.append(told.append)
    set_role = chat.messenger.moderation.set_role
    set_role(account, OPERATOR_ROLE), set_role(account, OPERATOR_ROLE)
    assert told == [hank]
    set_role(account, "")
    assert told == [hank, hank] and other.role == OPERATOR_ROLE
    chat.messenger.stop_acting(other)
    assert told == [hank, hank], "that is its own doing"


def test_an_account_that_loses_its_rights_while_its_password_is_checked_is_not_acted_as(chat: ModeratedChat) -> None:
    verify = chat.messenger.authenticator._login_throttle.verify

    def change_while_verified(*arguments: str) -> bool:
        found = verify(*arguments)
        change_password(chat)
        return found

    chat.messenger.authenticator._login_throttle.verify = change_while_verified  # type: ignore[assignment]
    with pytest.raises(WrongPassword):
        chat.act()
    assert chat.gus.acting is None


def test_who_acts_as_an_operator_is_kicked_by_the_owner_of_the_server_only(chat: ModeratedChat) -> None:
    chat.act()
    with pytest.raises(Forbidden):
        chat.messenger.moderation.kick("Boss", "gus")
    assert chat.messenger.moderation.kick(SERVER_OWNER, "gus").sessions == 1
    assert not chat.messenger.router._acting


def test_a_session_that_has_ended_meanwhile_does_not_act(chat: ModeratedChat) -> None:
    chat.messenger.session_closer.close(chat.gus, Kicked())
    chat.act()
    assert chat.gus.acting is None
