"""A server with a port for IRC, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD, UserClient
from tests.support.irc_client import IrcClient
from tests.support.native_clients import Connector, NativeClient

SERVER = "irc.example"


class IrcServer:
    """A running server, and the port where it speaks IRC."""

    def __init__(self, running: RunningServer) -> None:
        self.running = running
        self.app = running.app
        irc_port = running.app.ports.irc
        assert irc_port is not None
        port = irc_port.number
        assert port is not None
        self.port = port
        self.clients: list[IrcClient | NativeClient] = []

    def connect(self) -> IrcClient:
        """Return a client that has said nothing yet; it is closed after the test."""
        self.clients.append(client := IrcClient(self.port))
        return client

    def log_in_natively(self, name: str, password: str, **user: Any) -> NativeClient:
        """Return a client of JIM that is logged in as an account, and has read all that is owed to it."""
        self.clients.append(client := NativeClient(self.running))  # type: ignore[arg-type]  # it has a port to read
        client.log_in(name, password=password, **user)
        return client

    def log_in(self, nick: str, *caps: str, password: str | None = None, user: str = "user") -> IrcClient:
        """Return a client that is registered."""
        return self.connect().log_in(nick, *caps, password=password, user=user)

    def join(self, room: str, *clients: IrcClient) -> None:
        """Have clients join a room, one after another, and read what they are told."""
        for client in clients:
            client.ask(f"JOIN {room}")
        for client in clients:
            client.sync()

    def register(self, nick: str, password: str) -> None:
        """Make an account, by JIM."""
        client = UserClient(self.running)
        client.start_session(nick).register(password)
        client.close()


def register(irc: IrcServer, connector: Connector, name: str) -> None:
    """Make an account by the native protocol."""
    client = connector.open_native(irc.running, name)
    client.request("register", password=PASSWORD)
    client.close()


@pytest.fixture
def connector() -> Iterator[Connector]:
    """Opens clients of other protocols."""
    with Connector() as connections:
        yield connections


@pytest.fixture
def start_irc(start_server: Callable[..., RunningServer]) -> Iterator[Callable[..., IrcServer]]:
    """Starts servers with options by name."""
    servers: list[IrcServer] = []

    def start(**options: Any) -> IrcServer:
        given = {"irc_port": 0, "irc_name": SERVER, "irc_network": "test", "irc_guest_rooms": True} | options
        servers.append(IrcServer(start_server(**given)))
        return servers[-1]

    yield start
    for server in servers:
        for client in server.clients:
            client.close()


@pytest.fixture
def irc(start_irc: Callable[..., IrcServer]) -> IrcServer:
    return start_irc()
