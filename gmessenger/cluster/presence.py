"""Presence across nodes: publish the names that are online here, and track those on the other nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gevent.event import Event
from msgspec import MsgspecError, msgpack

from gmessenger.chat.peers import PeerPresence, Peers
from gmessenger.chat.presence import PresenceTracker, RecentNames
from gmessenger.chat.room import Room
from gmessenger.chat.room_access import MAX_INVITATIONS
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.cluster.interfaces import Bus

MAX_DEPARTURES: Final = 4
"""Rooms that a guest has left last, of which others are told why."""
PRESENCE_TIMEOUT: Final = 1.0
"""Seconds that `wait_for` waits for an entry."""
_encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(PeerPresence)


class PresenceSync:
    """Publishes the presence entries of this node and fills `Peers.presences`. Only `wait_for` blocks."""

    def __init__(
        self,
        bus: Bus,
        peers: Peers,
        router: Router,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        recent_names: RecentNames,
        on_duplicate_device: Callable[[], None],
        on_registered: Callable[[str, str], None],
    ) -> None:
        """Create the synchronisation.

        Args:
            on_duplicate_device: called when another node shows a device that has a session here, so that a change
                which ends one of the two must be in the store.
            on_registered: called with the folded and the shown name of a guest of another node that has registered.
        """
        self._bus = bus
        self._peers = peers
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._recent_names = recent_names
        self._on_duplicate_device = on_duplicate_device
        self._on_registered = on_registered
        self._awaited: dict[str, Event] = {}
        self._departures: dict[str, list[tuple[str, str, str]]] = {}
        self._devices_by_name: dict[str, tuple[int, ...]] = {}
        self._names_by_device: dict[int, str] = {}

    def publish(self, key: str) -> None:
        """Publish the presence of a name on this node as it is now, or remove it."""
        sessions = self._router.sessions(key)
        self._index_devices(key, tuple(session.device.id for session in sessions if session.device is not None))
        if not sessions:
            self._departures.pop(key, None)
            self._bus.set_presence(key, None)
            return
        latest = self._router.latest_session(key) or sessions[-1]
        rooms = [room.key for room in self._rooms.guest_rooms(latest)] if latest.account is None else ()
        invitations = self._rooms.guest_invitations(latest)[:MAX_INVITATIONS] if latest.account is None else ()
        entry = PeerPresence(
            latest.name,
            latest.status,
            latest.status_since,
            latest.account is None,
            len(sessions),
            self._devices_by_name.get(key, ()),
            tuple(rooms),
            latest.public_key,
            latest.note,
            tuple(invitations),
            tuple(self._departures.get(key, ())),
        )
        self._bus.set_presence(key, _encode(entry))

    def note_departure(self, key: str, room: str, by: str, reason: str) -> None:
        """Show with the presence of a guest from now on why it has left a room."""
        earlier = [each for each in self._departures.get(key, ()) if each[0] != room]
        self._departures[key] = [*earlier, (room, by, reason)][-MAX_DEPARTURES:]

    def name_on_device(self, device: int) -> str:
        """Return the folded name with a session on a device on this node; empty if there is none."""
        return self._names_by_device.get(device, "")

    def _index_devices(self, key: str, devices: tuple[int, ...]) -> None:
        for device in self._devices_by_name.pop(key, ()):
            self._names_by_device.pop(device, None)
        if devices:
            self._devices_by_name[key] = devices
            self._names_by_device.update(dict.fromkeys(devices, key))

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        """Handle a changed or removed (None) presence entry of another node."""
        new = _decode_entry(entry)
        by_node = self._peers.presences.get(key, {})
        old = by_node.get(node)
        if new == old:
            return
        name = (new or old or PeerPresence(key, "", 0.0, True, 0)).name
        was_online = key in self._router
        self._presence.before_change(key, name)
        if new is not None:
            self._peers.presences.setdefault(key, by_node)[node] = new
            if key in self._awaited:
                self._awaited[key].set()
            self._recent_names.add(key, name)
            if not self._names_by_device.keys().isdisjoint(new.devices):
                self._on_duplicate_device()
        else:
            by_node.pop(node, None)
            if not by_node:
                self._peers.presences.pop(key, None)
        self._router.notify_watchers(key, name, was_online)
        if new is not None and old is not None and (new.status, new.note) != (old.status, old.note):
            self._presence.announce_status(key)
        if new is not None and old is not None and old.is_guest and not new.is_guest:
            self._on_registered(key, name)  # a change of its membership makes it a member of its rooms
            return
        left, joined = _rooms_in(old) - self._peers.rooms_of(key), _rooms_in(new) - _rooms_in(old)
        departures = {room: (by, reason) for room, by, reason in new.departures} if new is not None else {}
        self._update_rooms(key, name, left, joined, departures)

    def wait_for(self, key: str) -> None:
        """Block until another node shows a name, at most `PRESENCE_TIMEOUT`: its packet may have been lost."""
        appeared = self._awaited.setdefault(key, Event())
        appeared.wait(PRESENCE_TIMEOUT)
        self._awaited.pop(key, None)

    def on_node_gone(self, node: str) -> None:
        """Remove all presence entries of a node."""
        for key in [key for key, by_node in self._peers.presences.items() if node in by_node]:
            self.on_presence(node, key, None)

    def add_remote_guests(self, room: Room) -> None:
        """Add the guests of other nodes to a room that has just become known here."""
        for key, by_node in self._peers.presences.items():
            for presence in by_node.values():
                if room.key in presence.rooms:
                    room.remote_guests[key] = presence.name

    def _update_rooms(
        self, key: str, name: str, left: set[str], joined: set[str], departures: Mapping[str, tuple[str, str]]
    ) -> None:
        """Update the guests of rooms and notify the members. `departures`: by whom, and why, it has left rooms.

        A guest that moves to another node is shown by both for a while; that must not be notified as a leave and join.
        """
        for room in filter(None, map(self._rooms.get, left)):
            if key in room.remote_guests:  # else `expel` has notified them already
                by, reason = departures.get(room.key, ("", ""))
                event = RoomEvent("leave", room.name, name, by=by or None, reason=reason or None)
                event.quit = key not in self._router
                self._rooms.remove_remote_guest(room, key, event, None)
        for room in filter(None, map(self._rooms.get, joined)):
            if key not in room.remote_guests and key not in room.guests:
                room.remote_guests[key] = name
                self._rooms.notify(room, RoomEvent("join", room.name, name), None)


def _decode_entry(entry: bytes | None) -> PeerPresence | None:
    """Decode a presence entry; None for one of a release that is not understood."""
    try:
        return _decoder.decode(entry) if entry is not None else None
    except MsgspecError:
        return None


def _rooms_in(presence: PeerPresence | None) -> set[str]:
    return set(presence.rooms) if presence is not None else set()
