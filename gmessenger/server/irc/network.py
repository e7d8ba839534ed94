"""What all IRC connections of a server share."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.chat.messenger import Messenger
from gmessenger.config.options import ServerOptions


class IrcNetwork:
    """The messenger, as IRC connections use it."""

    def __init__(self, messenger: Messenger, options: Callable[[], ServerOptions], started_at: float) -> None:
        self.messenger = messenger
        self.options = options
        self.started_at = started_at
