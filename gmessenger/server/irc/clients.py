"""Which IRC clients of this node are told of a name: those that share a room with it, or monitor it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, Protocol

from gmessenger.chat.messenger import Messenger
from gmessenger.chat.session import Session
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.replies import Reply
from gmessenger.wire.irc.numerics import RPL_MONOFFLINE, RPL_MONONLINE, Numeric

MAX_MONITORED: Final = 200
"""Names that one client may monitor."""


class RegisteredClient(Protocol):
    """What the registry needs of a connection that is registered."""

    capabilities: Capability
    session: Session | None

    @property
    def key(self) -> str:
        """The folded nick."""

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent cannot be read on the way."""

    @property
    def client_certificate(self) -> str | None:
        """The fingerprint of the TLS certificate that the client has presented, if any."""

    def numeric(self, numeric: Numeric, *params: str, text: str | None = None) -> Reply:
        """Return a numeric for this client."""

    def notice(self, text: str) -> Reply:
        """Return a notice of the server to this client."""

    def offer(self, *replies: Reply) -> None:
        """Send lines that were not asked for, unless the client reads too slowly. Never blocks."""


class ClientRegistry:
    """The IRC clients of this node by folded name, and which of them monitor which names. No method blocks."""

    def __init__(self, messenger: Messenger, source: Callable[[str], str]) -> None:
        """`source` returns `nick!user@host` of a name."""
        self._messenger = messenger
        self._source = source
        self._clients: dict[str, list[RegisteredClient]] = {}
        self._monitoring: dict[str, dict[RegisteredClient, None]] = {}
        messenger.router.watchers.append(self._announce_presence)

    def __iter__(self) -> Iterator[RegisteredClient]:
        """Iterate over all clients. Some may leave meanwhile."""
        for clients in list(self._clients.values()):
            yield from clients

    def add(self, client: RegisteredClient) -> None:
        """Add a client whose registration is complete."""
        self._clients.setdefault(client.key, []).append(client)

    def remove(self, client: RegisteredClient, key: str) -> None:
        """Forget a client, which has had this folded nick; what it monitors is kept."""
        left = [other for other in self._clients.pop(key, ()) if other is not client]
        if left:
            self._clients[key] = left

    def rename(self, client: RegisteredClient, former_key: str) -> None:
        """Move a client whose nick has changed from its former folded nick."""
        self.remove(client, former_key)
        self.add(client)

    def of(self, key: str) -> list[RegisteredClient]:
        """Return the clients of a folded name."""
        return self._clients.get(key, [])

    # -- monitored names

    def monitor(self, client: RegisteredClient, key: str) -> None:
        """Tell a client from now on when a folded name comes or goes. The caller limits how many it monitors."""
        self._monitoring.setdefault(key, {})[client] = None

    def unmonitor(self, client: RegisteredClient, key: str) -> None:
        """Do not tell it any more."""
        clients = self._monitoring.get(key, {})
        clients.pop(client, None)
        if not clients:
            self._monitoring.pop(key, None)

    def is_online(self, key: str, viewer: str) -> bool:
        """Return whether a folded name is online, as far as another one may know."""
        return key in self._messenger.router and not self._messenger.blocks.is_hidden(key, viewer)

    def _announce_presence(self, key: str, name: str, is_online: bool) -> None:
        """Tell those who monitor a name that it has come or gone."""
        for client in list(self._monitoring.get(key, ())):
            if self._messenger.blocks.is_hidden(key, client.key):
                continue
            if is_online:
                client.offer(client.numeric(RPL_MONONLINE, text=self._source(name)))
            else:
                client.offer(client.numeric(RPL_MONOFFLINE, text=name))

    # -- what is told of a name

    def announce(
        self,
        key: str,
        line: Reply,
        capability: Capability,
        told: Collection[str] = (),
        actor: RegisteredClient | None = None,
    ) -> None:
        """Send a line about a folded name to the clients that negotiated the capability, and may know of it.

        Those are its own clients but the `actor`, those who share a room with it, and those who monitor it and have
        negotiated `extended-monitor`. `told`: folded names that know it already.
        """
        is_hidden = self._messenger.blocks.is_hidden
        for client in self._audience(key):
            if client is actor or capability not in client.capabilities or client.key in told:
                continue
            if not is_hidden(key, client.key):
                client.offer(line)

    def _audience(self, key: str) -> dict[RegisteredClient, None]:
        clients = dict.fromkeys(client for other in self._room_mates(key) for client in self.of(other))
        for client in self._monitoring.get(key, ()):
            if Capability.EXTENDED_MONITOR in client.capabilities:
                clients[client] = None
        return clients

    def _room_mates(self, key: str) -> set[str]:
        """Return the folded names that have clients here and share a room with a name, itself included."""
        account = self._messenger.authenticator.accounts.get(key)
        mates = {key}
        for room in self._messenger.rooms:
            if room.has_user(key, account):
                mates |= self._clients.keys() & {member.key for member in room.members.values()}
                mates |= self._clients.keys() & room.guests.keys()
        return mates
