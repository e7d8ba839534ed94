"""Watchers are called at once when a name comes online or goes offline."""

from __future__ import annotations

import logging

import pytest

from gmessenger.chat.peers import PeerPresence
from gmessenger.errors import Kicked
from tests.support.messenger import InMemoryChat

PASSWORD = "a password"


class WatchedChat(InMemoryChat):
    """A chat with a watcher that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str, bool]] = []
        self.messenger.router.watchers.append(lambda *change: self.seen.append(change))

    def take_seen(self) -> list[tuple[str, str, bool]]:
        seen, self.seen = self.seen, []
        return seen


@pytest.fixture
def chat() -> WatchedChat:
    return WatchedChat()


def test_a_guest_comes_and_goes(chat: WatchedChat) -> None:
    gus = chat.login("Gus")
    assert chat.take_seen() == [("gus", "Gus", True)]
    chat.messenger.logout(gus)
    chat.messenger.logout(gus)
    assert chat.take_seen() == [("gus", "Gus", False)]


def test_only_the_first_and_the_last_session_of_a_name_count(chat: WatchedChat) -> None:
    hank = chat.login("Hank")
    chat.messenger.register(hank, PASSWORD)
    phone = chat.login("hank", password=PASSWORD, device="phone")
    chat.messenger.session_closer.close(hank, Kicked())
    assert chat.take_seen() == [("hank", "Hank", True)]
    chat.messenger.logout(phone)
    assert chat.take_seen() == [("hank", "Hank", False)]
    chat.login("hank", password=PASSWORD)
    assert chat.take_seen() == [("hank", "Hank", True)]


def test_a_session_that_replaces_another_is_no_change_but_its_end_is(chat: WatchedChat) -> None:
    gus = chat.login("gus")
    hank = chat.login("hank")
    chat.messenger.register(hank, PASSWORD)
    chat.take_seen()
    gus = chat.login("gus", token=gus.token)
    hank = chat.login("hank", password=PASSWORD)
    assert hank.device is not None and len(chat.messenger.router.sessions("hank")) == 1
    assert chat.take_seen() == []
    chat.messenger.logout(gus)
    chat.messenger.logout(hank)
    assert chat.take_seen() == [("gus", "gus", False), ("hank", "hank", False)]


def test_a_name_that_is_online_on_another_node_neither_comes_nor_goes_here(chat: WatchedChat) -> None:
    router = chat.messenger.router
    router.peers.presences["gus"] = {"other": PeerPresence("gus", "online", 1.0, True, 1)}
    gus = chat.login("gus")
    chat.messenger.logout(gus)
    assert chat.take_seen() == []


def test_a_watcher_that_fails_keeps_nothing_from_others_nor_from_the_login(
    chat: WatchedChat, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(key: str, name: str, is_online: bool) -> None:
        raise LookupError("a mistake")

    chat.messenger.router.watchers.insert(0, fail)
    with caplog.at_level(logging.ERROR, "gmessenger"):
        gus = chat.login("gus")
    assert chat.take_seen() == [("gus", "gus", True)] and chat.messenger.router.sessions("gus") == [gus]
    assert [record.message for record in caplog.records] == ["greenlet_failed"]
