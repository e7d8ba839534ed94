"""What a mode has to be able to do for the commands."""

from __future__ import annotations

from typing import Protocol


class Desk(Protocol):
    """What a mode can do; the commands call this and know nothing else of it."""

    def message(self, to: str, text: str) -> None:
        """Write to somebody, who is the addressee from then on; without a text only that."""

    def ask_for_message(self) -> None:
        """Ask whom to write to, and what."""

    def users(self) -> None: ...

    def status(self, status: str) -> None:
        """Say how one is; show it where `status` is empty."""

    def register(self, invite: str) -> None:
        """Ask for a password, and make the name an account; not every server wants an `invite`."""

    def join(self, room: str) -> None:
        """Enter a room, which is the addressee from then on."""

    def leave_room(self, room: str) -> None:
        """Of this room, or of the addressee where it is empty; so below."""

    def rooms(self) -> None: ...

    def members(self, room: str) -> None: ...

    def topic(self, topic: str) -> None:
        """Say what the room is about; show it where `topic` is empty."""

    def history(self, count: int) -> None:
        """What was last said to and by the addressee."""

    def search(self, words: str) -> None:
        """Find messages; in one conversation where the first word is `#room` or `@name`."""

    def jump(self, number: int | None) -> None:
        """Turn to what was found last, by its number; to the next of it without one."""

    def remove(self, name: str) -> None:
        """Take somebody out of the room that is the addressee."""

    def block(self, name: str) -> None:
        """Hear no more from somebody."""

    def unblock(self, name: str) -> None: ...

    def blocks(self) -> None: ...

    def kick(self, name: str, reason: str) -> None:
        """For operators, as all that follows up to `open_room`."""

    def mute(self, name: str, minutes: int | None) -> None: ...

    def unmute(self, name: str) -> None: ...

    def ban(self, whom: str, reason: str, minutes: int | None) -> None:
        """Of a name, or of an address where it reads as one; so below. For good, unless it is for some minutes."""

    def unban(self, whom: str) -> None: ...

    def bans(self) -> None: ...

    def close_room(self, room: str) -> None: ...

    def open_room(self, room: str) -> None:
        """Of this room, or of the addressee where it is empty."""

    def export(self, file: str) -> None:
        """Write all of one's messages into a new file."""

    def forget(self) -> None:
        """Have everything one has said erased, and the account with it, after asking once more."""

    def again(self, text: str) -> None:
        """Send what was refused last once more, or the text in its place."""

    def go(self, where: str) -> None:
        """Turn to the conversation with this number or name; list them where `where` is empty."""

    def hide(self) -> None:
        """See no more of who is the addressee, until something comes from there."""

    def help(self) -> None: ...

    def keys(self) -> None:
        """Show what the keys do."""

    def leave(self) -> None: ...
