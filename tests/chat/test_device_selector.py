"""Logins that name no device and are to replace no other session get the first device without one."""

from __future__ import annotations

import gevent
import pytest

from gmessenger.chat.auth import DEFAULT_DEVICE
from gmessenger.chat.outbound import SessionReplaced
from gmessenger.chat.peers import PeerPresence
from gmessenger.chat.records import MAX_DEVICES
from gmessenger.chat.session import Session
from gmessenger.errors import WrongPassword
from tests.support.messenger import InMemoryChat
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "a password"


@pytest.fixture
def chat() -> InMemoryChat:
    chat = InMemoryChat()
    chat.messenger.register(chat.login("hank"), PASSWORD)
    return chat


def log_in(chat: InMemoryChat, password: str | None = PASSWORD, **login: str) -> Session:
    return chat.login("hank", password=password, first_free_device="desk", **login)


def device(session: Session) -> str:
    assert session.device is not None
    return session.device.name


def test_each_session_has_a_device_of_its_own_and_one_that_is_free_again_is_given_again(chat: InMemoryChat) -> None:
    first, second, third = (log_in(chat) for _ in range(3))
    assert [device(each) for each in (first, second, third)] == ["desk", "desk-2", "desk-3"]
    chat.messenger.logout(second)
    assert [device(log_in(chat)) for _ in range(2)] == ["desk-2", "desk-4"]
    assert not first.outbox.closed and not third.outbox.closed


def test_logins_at_once_get_different_devices(chat: InMemoryChat) -> None:
    logins = [gevent.spawn(log_in, chat) for _ in range(4)]
    gevent.joinall(logins, timeout=TEST_TIMEOUT, raise_error=True)
    assert sorted(device(each.value) for each in logins) == ["desk", "desk-2", "desk-3", "desk-4"]
    assert not any(each.value.outbox.closed for each in logins)


def test_a_device_that_is_named_or_comes_with_a_token_is_taken_over(chat: InMemoryChat) -> None:
    first = log_in(chat)
    second = log_in(chat, device="desk")
    assert device(second) == "desk" and first.outbox.closed
    third = log_in(chat, None, token=second.token)
    assert device(third) == "desk" and second.outbox.closed
    assert device(chat.login("hank", password=PASSWORD)) == DEFAULT_DEVICE


def test_a_device_that_is_online_on_another_node_is_not_free(chat: InMemoryChat) -> None:
    first = log_in(chat)
    chat.messenger.logout(first)
    assert first.device is not None
    presence = PeerPresence("hank", "online", 1.0, False, 1, (first.device.id,))
    chat.messenger.router.peers.presences["hank"] = {"other": presence}
    assert device(log_in(chat)) == "desk-2"


def test_a_device_that_has_just_logged_in_on_another_node_is_not_free(
    chat: InMemoryChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = log_in(chat)
    chat.messenger.logout(first)
    monkeypatch.setattr(chat.messenger.router.peers, "has_just_logged_in", lambda device: device == first.device_id)
    assert device(log_in(chat)) == "desk-2"


def test_a_login_that_fails_keeps_no_device(chat: InMemoryChat) -> None:
    with pytest.raises(WrongPassword):
        log_in(chat, "another password")
    assert device(log_in(chat)) == "desk"
    assert not chat.messenger.authenticator._device_selector._selected


def test_if_none_is_free_the_one_that_was_used_the_longest_ago_is_taken_over(chat: InMemoryChat) -> None:
    for session in list(chat.messenger.router.sessions("hank")):  # of the default device
        chat.messenger.logout(session)
    sessions = [log_in(chat) for _ in range(MAX_DEVICES)]
    assert len({device(each) for each in sessions}) == MAX_DEVICES
    chat.store.note_use(
        {each.device_id: each.status_since + (1 if each is not sessions[7] else 0) for each in sessions}
    )  # type: ignore[misc]
    assert device(log_in(chat)) == device(sessions[7])
    assert [each for each in sessions if each.outbox.closed] == [sessions[7]]
    assert isinstance(sessions[7].outbox.drain()[-2], SessionReplaced)
