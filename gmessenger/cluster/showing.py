"""Showing: who is here is shown to the other nodes, and who is there becomes known here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gevent.event import Event
from msgspec import MsgspecError, msgpack

from gmessenger.chat.elsewhere import Elsewhere, Shown
from gmessenger.chat.model import RoomChange
from gmessenger.chat.presence import Presence, Seen
from gmessenger.chat.room import OpenRoom
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.cluster.contract import Bus

SHOWN_WITHIN: Final = 1.0
"""Seconds."""
_encode: Final = msgpack.Encoder().encode
_decoder: Final = msgpack.Decoder(Shown)


class Showing:
    """Fills `elsewhere.shown`. Nothing here blocks."""

    def __init__(
        self,
        bus: Bus,
        elsewhere: Elsewhere,
        router: Router,
        rooms: Rooms,
        presence: Presence,
        seen: Seen,
        twice: Callable[[], None],
    ) -> None:
        """`twice` is called when a device that is here is shown elsewhere: there should be a change to be read."""
        self._bus = bus
        self._elsewhere = elsewhere
        self._router = router
        self._rooms = rooms
        self._presence = presence
        self._seen = seen
        self._twice = twice
        self._awaited: dict[str, Event] = {}
        self._devices: dict[str, tuple[int, ...]] = {}
        self._names: dict[int, str] = {}

    def show(self, key: str) -> None:
        """Tell the others how a name is present here now."""
        sessions = self._router.sessions(key)
        self._remember(key, tuple(session.device.id for session in sessions if session.device is not None))
        if not sessions:
            self._bus.show(key, None)
            return
        latest = sessions[-1]
        rooms = [room.key for room in self._rooms.of_guest(latest)] if latest.account is None else ()
        card = Shown(
            latest.name,
            latest.status,
            latest.since,
            latest.account is None,
            len(sessions),
            self._devices.get(key, ()),
            tuple(rooms),
        )
        self._bus.show(key, _encode(card))

    def name_on(self, device: int) -> str:
        """Whose session is here on a device; nothing where none is."""
        return self._names.get(device, "")

    def _remember(self, key: str, devices: tuple[int, ...]) -> None:
        for device in self._devices.pop(key, ()):
            self._names.pop(device, None)
        if devices:
            self._devices[key] = devices
            self._names.update(dict.fromkeys(devices, key))

    def shown(self, node: str, key: str, card: bytes | None) -> None:
        """Another node shows a name so, or no more."""
        new = _card(card)
        there = self._elsewhere.shown.get(key, {})
        old = there.get(node)
        if new == old:
            return
        name = (new or old or Shown(key, "", 0.0, True, 0)).name
        self._presence.changing(key, name)
        if new is not None:
            self._elsewhere.shown.setdefault(key, there)[node] = new
            if key in self._awaited:
                self._awaited[key].set()
            self._seen.add(key, name)
            if not self._names.keys().isdisjoint(new.devices):
                self._twice()
        else:
            there.pop(node, None)
            if not there:
                self._elsewhere.shown.pop(key, None)
        self._move(key, name, _rooms(old) - self._elsewhere.rooms(key), _rooms(new) - _rooms(old))

    def until_shown(self, key: str) -> None:
        """Wait until another node shows a name that it has, but not for long: its word may be lost."""
        shown = self._awaited.setdefault(key, Event())
        shown.wait(SHOWN_WITHIN)
        self._awaited.pop(key, None)

    def gone(self, node: str) -> None:
        """A node shows nothing any more."""
        for key in [key for key, there in self._elsewhere.shown.items() if node in there]:
            self.shown(node, key, None)

    def take_in(self, room: OpenRoom) -> None:
        """A room has become known here: guests elsewhere may be in it."""
        for key, there in self._elsewhere.shown.items():
            for shown in there.values():
                if room.key in shown.rooms:
                    room.elsewhere[key] = shown.name

    def _move(self, key: str, name: str, left: set[str], joined: set[str]) -> None:
        """Who moves is shown by two nodes for a while, of which one may be this: whoever was told stays told."""
        for room in filter(None, map(self._rooms.known, left)):
            if room.elsewhere.pop(key, None) is not None:  # else they were told who has taken it out
                self._rooms.tell(room, RoomChange("leave", room.name, name), None)
        for room in filter(None, map(self._rooms.known, joined)):
            if key not in room.elsewhere and key not in room.guests:
                room.elsewhere[key] = name
                self._rooms.tell(room, RoomChange("join", room.name, name), None)


def _card(card: bytes | None) -> Shown | None:
    """What a card says; nothing where it says what nobody understands here."""
    try:
        return _decoder.decode(card) if card is not None else None
    except MsgspecError:
        return None


def _rooms(shown: Shown | None) -> set[str]:
    return set(shown.rooms) if shown is not None else set()
