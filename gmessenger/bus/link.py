"""A link: the two lines to Redis for as long as both are well. When one is lost, both are made anew."""

from __future__ import annotations

from collections.abc import Callable

from gmessenger.bus.dialling import Exchange


class Link:
    """One line to speak on and one to listen on, each used by one greenlet, which ends when the link is lost.

    Nobody is interrupted while he waits for Redis: every such wait is a short one.
    """

    def __init__(self, exchange: Exchange, lost: Callable[[], None]) -> None:
        """Raises `ConnectionError`."""
        self.lost = ""
        self.listeners = 0
        """How many listened to all when this node said first that it is there; strangers may be among them."""
        self._told = lost
        self.listening = exchange.dial()
        try:
            self.speaking = exchange.dial()
        except ConnectionError:
            self.listening.close()
            raise

    def lose(self, reason: str) -> None:
        """The link is not well any more, which is told once."""
        if not self.lost:
            self.lost = reason
            self._told()

    def close(self) -> None:
        """When nobody uses it any more."""
        self.speaking.close()
        self.listening.close()
