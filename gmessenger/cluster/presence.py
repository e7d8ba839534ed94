"""Showing: who is here is shown to the other nodes, and who is there becomes known here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gevent.event import Event
from msgspec import MsgspecError, msgpack

from gmessenger.chat.outbox import RoomEvent
from gmessenger.chat.peers import PeerPresence, Peers
from gmessenger.chat.presence import PresenceTracker, SeenNames
from gmessenger.chat.rooms import Room, RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.cluster.interfaces import Bus

PRESENCE_TIMEOUT: Final = 1.0
"""Seconds."""
_encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(PeerPresence)


class PresenceSync:
    """Fills `elsewhere.shown`. Nothing here blocks."""

    def __init__(
        self,
        bus: Bus,
        peers: Peers,
        router: Router,
        rooms: RoomRegistry,
        presence: PresenceTracker,
        seen_names: SeenNames,
        on_duplicate_device: Callable[[], None],
    ) -> None:
        """`twice` is called when a device that is here is shown elsewhere: there should be a change to be read."""
        self._bus = bus
        self._peers = peers
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._seen_names = seen_names
        self._on_duplicate_device = on_duplicate_device
        self._awaited: dict[str, Event] = {}
        self._devices_by_name: dict[str, tuple[int, ...]] = {}
        self._names_by_device: dict[int, str] = {}

    def publish(self, key: str) -> None:
        """Tell the others how a name is present here now."""
        sessions = self._router.sessions(key)
        self._index_devices(key, tuple(session.device.id for session in sessions if session.device is not None))
        if not sessions:
            self._bus.set_presence(key, None)
            return
        latest = sessions[-1]
        rooms = [room.key for room in self._rooms.guest_rooms(latest)] if latest.account is None else ()
        card = PeerPresence(
            latest.name,
            latest.status,
            latest.status_since,
            latest.account is None,
            len(sessions),
            self._devices_by_name.get(key, ()),
            tuple(rooms),
        )
        self._bus.set_presence(key, _encode(card))

    def name_on_device(self, device: int) -> str:
        """Whose session is here on a device; nothing where none is."""
        return self._names_by_device.get(device, "")

    def _index_devices(self, key: str, devices: tuple[int, ...]) -> None:
        for device in self._devices_by_name.pop(key, ()):
            self._names_by_device.pop(device, None)
        if devices:
            self._devices_by_name[key] = devices
            self._names_by_device.update(dict.fromkeys(devices, key))

    def on_presence(self, node: str, key: str, entry: bytes | None) -> None:
        """Another node shows a name so, or no more."""
        new = _decode_entry(entry)
        there = self._peers.presences.get(key, {})
        old = there.get(node)
        if new == old:
            return
        name = (new or old or PeerPresence(key, "", 0.0, True, 0)).name
        self._presence.before_change(key, name)
        if new is not None:
            self._peers.presences.setdefault(key, there)[node] = new
            if key in self._awaited:
                self._awaited[key].set()
            self._seen_names.add(key, name)
            if not self._names_by_device.keys().isdisjoint(new.devices):
                self._on_duplicate_device()
        else:
            there.pop(node, None)
            if not there:
                self._peers.presences.pop(key, None)
        self._update_rooms(key, name, _rooms_in(old) - self._peers.rooms_of(key), _rooms_in(new) - _rooms_in(old))

    def wait_for(self, key: str) -> None:
        """Wait until another node shows a name that it has, but not for long: its word may be lost."""
        shown = self._awaited.setdefault(key, Event())
        shown.wait(PRESENCE_TIMEOUT)
        self._awaited.pop(key, None)

    def on_node_gone(self, node: str) -> None:
        """A node shows nothing any more."""
        for key in [key for key, there in self._peers.presences.items() if node in there]:
            self.on_presence(node, key, None)

    def add_remote_guests(self, room: Room) -> None:
        """A room has become known here: guests elsewhere may be in it."""
        for key, there in self._peers.presences.items():
            for shown in there.values():
                if room.key in shown.rooms:
                    room.remote_guests[key] = shown.name

    def _update_rooms(self, key: str, name: str, left: set[str], joined: set[str]) -> None:
        """Who moves is shown by two nodes for a while, of which one may be this: whoever was told stays told."""
        for room in filter(None, map(self._rooms.get, left)):
            if room.remote_guests.pop(key, None) is not None:  # else they were told who has taken it out
                self._rooms.notify(room, RoomEvent("leave", room.name, name), None)
        for room in filter(None, map(self._rooms.get, joined)):
            if key not in room.remote_guests and key not in room.guests:
                room.remote_guests[key] = name
                self._rooms.notify(room, RoomEvent("join", room.name, name), None)


def _decode_entry(entry: bytes | None) -> PeerPresence | None:
    """What a card says; nothing where it says what nobody understands here."""
    try:
        return _decoder.decode(entry) if entry is not None else None
    except MsgspecError:
        return None


def _rooms_in(presence: PeerPresence | None) -> set[str]:
    return set(presence.rooms) if presence is not None else set()
