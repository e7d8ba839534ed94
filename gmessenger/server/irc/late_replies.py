"""Lines that a client is sent of its own accord, but later: making them blocks, or would hold up the loop."""

from __future__ import annotations

from gmessenger.errors import WireError
from gmessenger.server.irc.handler import IrcHandler


class LateReplies:
    """Has a client told of names or rooms, one after another, in a greenlet that ends with them.

    An internal error is logged, and counted.
    """

    __slots__ = ("_handler", "_is_telling", "_pending")
    task = "late replies"
    """What the greenlet is called in the log."""

    def __init__(self, handler: IrcHandler) -> None:
        self._handler = handler
        self._is_telling = False
        self._pending: dict[str, None] = {}

    def put(self, target: str) -> None:
        """Have the client told of a name or a room soon, once if that is put again meanwhile. Never blocks."""
        self._pending[target] = None
        if not self._is_telling:
            self._is_telling = True
            self._handler.connection.context.supervisor.spawn(self.task, self._tell_all)

    def tell(self, target: str) -> None:
        """Send the lines about a name or a room. May block, and raise `WireError`, which is ignored."""
        raise NotImplementedError

    def _tell_all(self) -> None:
        try:
            while self._pending:
                target = next(iter(self._pending))
                del self._pending[target]  # first: what `tell` finds may be older than what is put meanwhile
                self._try_to_tell(target)
        finally:
            self._is_telling = False

    def _try_to_tell(self, target: str) -> None:
        try:
            self.tell(target)
        except WireError:
            pass
        except Exception as failure:
            self._handler.report(self.task, failure)
