"""A connection becomes that of an account while something else happens to either: nothing is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import pytest

from gmessenger.constants import SERVER_OWNER
from gmessenger.errors import RecipientGone
from tests.irc.conftest import IrcServer
from tests.support.irc_client import IrcClient, commands, plain
from tests.support.timeouts import TEST_TIMEOUT

PASSWORD = "correct-horse"
Start = Callable[[IrcClient], None]


def by_sasl(client: IrcClient) -> None:
    client.ask("CAP REQ sasl")
    client.send("AUTHENTICATE PLAIN", f"AUTHENTICATE {plain('hank@phone', PASSWORD)}")


def by_service(client: IrcClient) -> None:
    client.send(f"NS IDENTIFY hank@phone {PASSWORD}")


WAYS = [by_sasl, by_service]


@pytest.fixture
def home(irc: IrcServer) -> IrcServer:
    irc.register("hank", PASSWORD)
    return irc


def wait_until_empty(irc: IrcServer, *left: IrcClient) -> None:
    """Wait until nothing is kept but of these clients."""
    app = irc.running.app
    network = next((_network(each) for each in app.acceptor.connections), None)
    for client in irc.clients:
        if client not in left:
            client.close()
    deadline = time.monotonic() + TEST_TIMEOUT
    while app.connection_count or list(app.messenger.router):
        assert time.monotonic() < deadline, (app.connection_count, list(app.messenger.router))
        gevent.sleep(0.01)
    if network is not None:
        kept = (
            network.clients._clients,
            network.clients._monitoring,
            network.users._cards,
            network.users._latest_cards,
            network.unregistered_count,
        )
        assert kept == ({}, {}, {}, {}, 0)
    assert app.supervisor.failure_count == 0


def _network(connection: Any) -> Any:
    return connection.protocol._network


@pytest.mark.parametrize("ways", [(one, other) for one in WAYS for other in WAYS])
def test_of_two_guests_that_become_one_device_one_stays(home: IrcServer, ways: tuple[Start, Start]) -> None:
    clients = [home.log_in(f"gus{number}") for number in range(2)]
    for client, way in zip(clients, ways, strict=True):
        home.join("#alley", client)
        way(client)
    for client in clients:  # until both are answered
        with suppress(EOFError, OSError):
            client.sync()
    ended = []
    for client in clients:
        try:
            assert client.ask("NS INFO")[0].params[0] == "hank"
        except (EOFError, OSError):
            ended.append(client)
    assert len(ended) == 1
    assert [session.name for session in home.running.app.messenger.router] == ["hank"]
    wait_until_empty(home)


@pytest.mark.parametrize("way", WAYS)
def test_who_leaves_while_its_password_is_checked_leaves_nothing(home: IrcServer, way: Start) -> None:
    for number in range(6):
        client = home.log_in(f"gus{number}")
        home.join("#alley", client)
        client.send("MONITOR + dale")
        way(client)
        if number % 2:
            client.send("PRIVMSG #alley :bye")
        client.close()
    wait_until_empty(home)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kicked", ["gus", "hank"])
def test_who_is_kicked_while_it_logs_in_is_gone(home: IrcServer, way: Start, kicked: str) -> None:
    moderation = home.running.app.messenger.moderation
    for delay in (0.0, 0.001, 0.005, 0.02):
        client = home.log_in("gus")
        home.join("#alley", client)
        way(client)
        gevent.sleep(delay)
        with suppress(RecipientGone):  # not yet, or no longer
            moderation.kick(SERVER_OWNER, kicked, "")
        with suppress(EOFError, OSError):
            client.ask("PRIVMSG #alley :hello")
        client.close()
        wait_until_empty(home)


def test_an_account_that_is_replaced_before_its_registration_is_complete_is_told_so(home: IrcServer) -> None:
    first = home.connect()
    by_sasl(first)
    assert "903" in commands(first.ask())
    second = home.connect()
    by_sasl(second)
    second.send("NICK hank", "USER u 0 * :u", "CAP END")
    second.expect("001")
    second.sync()
    first.send("NICK hank", "USER u 0 * :u", "CAP END")
    assert first.read_to_end()[-1].command == "ERROR"
    assert commands(second.ask("PING x")) == ["PONG"]
    wait_until_empty(home)


def test_who_writes_while_it_becomes_an_account_is_answered_in_order(home: IrcServer) -> None:
    dale = home.log_in("dale")
    gus = home.log_in("gus", "echo-message", "labeled-response", "batch")
    home.join("#alley", dale, gus)
    gus.send("@label=1 PRIVMSG #alley :as guest", f"@label=2 NS IDENTIFY hank {PASSWORD}")
    gus.send("@label=3 JOIN #alley", "@label=4 PRIVMSG #alley :as account")
    answered = gus.ask()
    labels = [line.tags["label"] for line in answered if "label" in line.tags]
    assert labels == ["1", "2", "3", "4"]
    said = [(line.source.partition("!")[0], line.params[-1]) for line in dale.sync() if line.command == "PRIVMSG"]
    assert said == [("gus", "as guest"), ("hank", "as account")]
    wait_until_empty(home)
