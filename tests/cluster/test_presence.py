"""Guests of other nodes in local rooms: members are notified once of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import msgpack

from gmessenger.chat.outbound import PresenceUpdate
from gmessenger.chat.peers import PeerPresence
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.session import Session
from gmessenger.cluster.presence import PresenceSync
from tests.support.messenger import InMemoryChat, drain_events


class SilentBus:
    """A bus without other nodes."""

    def show(self, key: str, entry: bytes | None) -> None:
        pass


class LocalRoom:
    """A messenger whose hank has created #dev."""

    def __init__(self) -> None:
        self.chat = InMemoryChat()
        messenger, bus = self.chat.messenger, SilentBus()
        self.peers = messenger.router.peers
        self.presence_sync = PresenceSync(
            bus,  # type: ignore[arg-type]  # it has all that is asked of it here
            self.peers,
            messenger.router,
            messenger.rooms,
            messenger.presence,
            messenger.recent_names,
            lambda: None,
            messenger.announce_registration,
        )
        self.hank = self.chat.login("hank")
        messenger.register(self.hank, "secret enough")
        self.join(self.hank)

    def join(self, session: Session) -> None:
        self.chat.messenger.membership.join(session, "#dev")

    def show_guest(
        self,
        node: str,
        *rooms: str,
        since: float = 1.0,
        status: str = "",
        departures: tuple[tuple[str, str, str], ...] = (),
        is_guest: bool = True,
    ) -> None:
        presence = PeerPresence("gus", status, since, is_guest, 1, (), rooms, departures=departures)
        self.presence_sync.on_presence(node, "gus", msgpack.encode(presence))

    def take_room_events(self) -> list[str]:
        """Return the actions of the room events for hank since the last call."""
        return [each.action for each in drain_events(self.hank) if isinstance(each, RoomEvent)]

    @property
    def names(self) -> list[str]:
        room = self.chat.messenger.rooms.get("#dev")
        assert room is not None and len(room.names) == room.size
        return room.names


@pytest.fixture
def local_room() -> Iterator[LocalRoom]:
    local_room = LocalRoom()
    drain_events(local_room.hank)
    yield local_room
    local_room.chat.store.close()


def test_a_guest_elsewhere_is_in_the_room(local_room: LocalRoom) -> None:
    local_room.show_guest("A", "#dev")
    assert (local_room.take_room_events(), local_room.names) == (["join"], ["hank", "gus"])
    local_room.presence_sync.on_node_gone("A")
    assert (local_room.take_room_events(), local_room.names) == (["leave"], ["hank"])


def test_a_guest_elsewhere_that_is_on_no_node_any_more_has_quit_and_one_that_has_left_a_room_has_not(
    local_room: LocalRoom,
) -> None:
    for show in (lambda: local_room.show_guest("A"), lambda: local_room.presence_sync.on_presence("A", "gus", None)):
        local_room.show_guest("A", "#dev")
        show()
    events = [each for each in drain_events(local_room.hank) if isinstance(each, RoomEvent)]
    assert [(each.action, each.quit) for each in events] == [
        ("join", False),
        ("leave", False),
        ("join", False),
        ("leave", True),
    ]


def test_why_a_guest_elsewhere_has_left_a_room_is_told(local_room: LocalRoom) -> None:
    for departures in ((), (("#dev", "", "bye"),), (("#dev", "hank", "noise"), ("#ops", "dale", ""))):
        local_room.show_guest("A", "#dev")
        local_room.show_guest("A", departures=departures)
    events = [each for each in drain_events(local_room.hank) if isinstance(each, RoomEvent)]
    assert [(each.by, each.reason) for each in events if each.action == "leave"] == [
        (None, None),
        (None, "bye"),
        ("hank", "noise"),
    ]


def test_a_guest_elsewhere_that_registers_is_told_of_and_stays_where_it_is(local_room: LocalRoom) -> None:
    told: list[tuple[str, str]] = []
    local_room.chat.messenger.registration_watchers.append(lambda key, name: told.append((key, name)))
    local_room.show_guest("A", "#dev")
    local_room.show_guest("A", is_guest=False)
    assert (local_room.take_room_events(), local_room.names, told) == (["join"], ["hank", "gus"], [("gus", "gus")])


def test_a_status_that_is_set_on_another_node_is_sent_at_once_to_who_wants_that(local_room: LocalRoom) -> None:
    local_room.hank.wants_status_at_once = True
    local_room.chat.messenger.presence.link("gus", "hank")
    local_room.show_guest("A")
    assert drain_events(local_room.hank) == []
    local_room.show_guest("A", since=2.0, status="away")
    assert drain_events(local_room.hank) == [PresenceUpdate("gus", "away")]
    local_room.chat.run_timers()
    assert drain_events(local_room.hank) == []


def test_watchers_are_told_of_who_comes_and_goes_on_other_nodes_once(local_room: LocalRoom) -> None:
    seen: list[tuple[str, bool]] = []
    local_room.chat.messenger.router.watchers.append(lambda key, name, is_online: seen.append((key, is_online)))
    local_room.show_guest("A")
    local_room.show_guest("A", "#dev", since=2.0)
    local_room.show_guest("B", "#dev", since=3.0)
    local_room.presence_sync.on_node_gone("A")
    assert seen == [("gus", True)]
    local_room.presence_sync.on_node_gone("B")
    assert seen == [("gus", True), ("gus", False)]


def test_who_has_moved_between_two_other_nodes_stays_when_the_first_is_gone(local_room: LocalRoom) -> None:
    local_room.show_guest("A", "#dev")
    local_room.show_guest("B", since=2.0)
    local_room.show_guest("B", "#dev", since=2.0)
    assert local_room.take_room_events() == ["join"]
    local_room.presence_sync.on_node_gone("A")
    assert (local_room.take_room_events(), local_room.names) == ([], ["hank", "gus"])
    local_room.show_guest("B", since=2.0)
    assert (local_room.take_room_events(), local_room.names) == (["leave"], ["hank"])


def test_who_has_moved_here_stays_when_the_other_node_is_gone(local_room: LocalRoom) -> None:
    local_room.show_guest("A", "#dev")
    gus = local_room.chat.login("gus")
    gus.former_rooms = frozenset()  # as it has come from another node
    local_room.join(gus)
    assert (local_room.take_room_events(), local_room.names) == (["join"], ["hank", "gus"])
    local_room.presence_sync.on_node_gone("A")
    assert (local_room.take_room_events(), local_room.names) == ([], ["hank", "gus"])
    local_room.chat.messenger.logout(gus)
    assert (local_room.take_room_events(), local_room.names) == (["leave"], ["hank"])


def test_who_has_moved_from_here_stays_when_the_session_here_ends(local_room: LocalRoom) -> None:
    gus = local_room.chat.login("gus")
    local_room.join(gus)
    local_room.show_guest("B", "#dev")
    assert (local_room.take_room_events(), local_room.names) == (["join"], ["hank", "gus"])
    local_room.chat.messenger.logout(gus)
    assert (local_room.take_room_events(), local_room.names) == ([], ["hank", "gus"])
    local_room.show_guest("B")
    assert (local_room.take_room_events(), local_room.names) == (["leave"], ["hank"])
