"""The options of the server for IRC."""

from __future__ import annotations

from dataclasses import dataclass

from gmessenger.config.options.push import PushOptions
from gmessenger.config.options.table import option
from gmessenger.config.types import boolean


@dataclass(frozen=True, slots=True)
class IrcOptions(PushOptions):
    """How the server is reached by IRC, and what guests may do there."""

    irc_guest_rooms: bool = option(
        False,
        boolean(),
        "whether guests may make rooms, as on IRC: who has made one is its owner while there, and the room is deleted "
        "with its messages as soon as nobody is in it",
        "to let people who have no account meet in a room of their own",
    )
