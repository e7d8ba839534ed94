"""Clients of IRC on different nodes see messages, their tags and signals as on one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import gevent
import pytest

from gmessenger.chat.admin import AdminService
from tests.cluster.conftest import Cluster, wait_until
from tests.conftest import FAST, RunningServer
from tests.protocol.test_concurrency import Gate
from tests.support.accounts import PASSWORD
from tests.support.irc_client import IrcClient, commands, find
from tests.support.timeouts import TEST_TIMEOUT

CAPS = (
    *("message-tags", "echo-message", "batch", "labeled-response", "draft/multiline", "draft/read-marker"),
    *("account-notify", "setname"),
)


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    return start_cluster(irc_port=0, irc_name="irc.example")


def open_irc(node: RunningServer) -> IrcClient:
    port = node.app.ports.irc
    assert port is not None and port.number is not None
    return IrcClient(port.number)


@pytest.fixture
def pair(cluster: Cluster) -> Iterator[tuple[IrcClient, IrcClient]]:
    """Two guests who see each other, one on each node."""
    with closing(open_irc(cluster.first)) as hank, closing(open_irc(cluster.second)) as dale:
        hank.log_in("hank", *CAPS)
        dale.log_in("dale", *CAPS)
        wait_until(lambda: "dale" in cluster.first.app.messenger.router)
        wait_until(lambda: "hank" in cluster.second.app.messenger.router)
        yield hank, dale


def device_of(node: RunningServer, name: str) -> str:
    """Return the device of the only session of a name on a node."""
    (session,) = node.app.messenger.router.sessions(name)
    assert session.device is not None
    return session.device.name


@pytest.fixture
def hank(cluster: Cluster) -> Iterator[tuple[IrcClient, IrcClient]]:
    """Two clients, one on each node, for the account hank, who is not online."""
    cluster.register(cluster.first, "hank").close()
    wait_until(lambda: all("hank" not in node.app.messenger.router for node in cluster.nodes))
    wait_until(lambda: "hank" in cluster.second.app.messenger.authenticator.accounts)
    with closing(open_irc(cluster.first)) as one, closing(open_irc(cluster.second)) as two:
        yield one, two


def test_logins_at_once_on_two_nodes_get_devices_of_their_own(
    cluster: Cluster, hank: tuple[IrcClient, IrcClient]
) -> None:
    gates = [Gate(node.app.store, "begin_session") for node in cluster.nodes]
    logins = [gevent.spawn(client.log_in, "hank", password=PASSWORD) for client in hank]
    for gate in gates:
        gate.wait_until_reached()
    for gate in gates:
        gate.open()
    gevent.joinall(logins, timeout=TEST_TIMEOUT, raise_error=True)
    assert {device_of(node, "hank") for node in cluster.nodes} == {"irc", "irc-2"}
    for client in hank:
        client.sync()


def test_a_login_before_that_on_another_node_is_seen_gets_a_device_of_its_own(
    cluster: Cluster, hank: tuple[IrcClient, IrcClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in cluster.nodes:  # what they show each other is on its way
        monkeypatch.setattr(node.app.node._presence_sync, "on_presence", lambda *_: None)
    hank[0].log_in("hank", password=PASSWORD)
    hank[1].log_in("hank", password=PASSWORD)
    assert [device_of(node, "hank") for node in cluster.nodes] == ["irc", "irc-2"]
    hank[0].sync()


def meet(cluster: Cluster, pair: tuple[IrcClient, IrcClient]) -> None:
    """Have two guests join a room, of which bill is the owner, until both nodes know."""
    owner = cluster.register(cluster.first, "bill")
    owner.request("join", room="#dev")
    for client in pair:
        assert find(client.ask("JOIN #dev"), "JOIN").params == ["#dev"]
    wait_until(lambda: all(size_of_dev(node) == 3 for node in cluster.nodes))


def size_of_dev(node: RunningServer) -> int:
    """Return how many are in the room on a node."""
    room = node.app.messenger.rooms.get("#dev")
    return room.size if room is not None else 0


def test_what_one_says_of_oneself_is_told_on_all_nodes(cluster: Cluster, pair: tuple[IrcClient, IrcClient]) -> None:
    hank, dale = pair
    meet(cluster, pair)
    dale.sync()
    hank.ask("SETNAME :Hank Rutherford Hill")
    seen = dale.expect("SETNAME")
    assert (seen.source.partition("!")[0], seen.params) == ("hank", ["Hank Rutherford Hill"])
    assert find(dale.ask("WHOIS hank"), "311").params[-1] == "Hank Rutherford Hill"
    hank.ask(f"NICKSERV REGISTER {PASSWORD}")
    account = dale.expect("ACCOUNT")
    assert (account.source.partition("!")[0], account.params) == ("hank", ["hank"])
    room = cluster.second.app.messenger.rooms.get("#dev")
    assert room is not None
    wait_until(lambda: "hank" in {member.key for member in room.members.values()})
    assert "hank" not in room.remote_guests and size_of_dev(cluster.second) == 3
    assert not {"JOIN", "PART", "QUIT"} & set(commands(dale.sync()))


@pytest.mark.parametrize("is_account", [False, True])
def test_why_one_leaves_a_room_is_told_on_all_nodes(
    cluster: Cluster, pair: tuple[IrcClient, IrcClient], is_account: bool
) -> None:
    hank, dale = pair
    meet(cluster, pair)
    if is_account:
        hank.ask(f"NICKSERV REGISTER {PASSWORD}")
        dale.expect("ACCOUNT")
        wait_until(lambda: len(cluster.second.app.messenger.rooms.get("#dev").members) == 2)  # type: ignore[union-attr]
    with closing(open_irc(cluster.first)) as bill:
        bill.log_in("bill", password=PASSWORD)
        hank.ask("PART #dev :going home")
        assert dale.expect("PART").params == ["#dev", "going home"]
        hank.ask("JOIN #dev")
        dale.expect("JOIN")
        bill.ask("KICK #dev hank :that is enough")
        kick = dale.expect("KICK")
    assert (kick.source.partition("!")[0], kick.params) == ("bill", ["#dev", "hank", "that is enough"])


def test_messages_between_guests_have_one_id_and_their_tags(pair: tuple[IrcClient, IrcClient]) -> None:
    hank, dale = pair
    (echo,) = hank.ask("@+foo=bar PRIVMSG dale :hi")
    seen = dale.expect("PRIVMSG")
    assert (seen.params, seen.tags, seen.tags["+foo"]) == (echo.params, echo.tags, "bar")


def test_signals_cross_nodes(pair: tuple[IrcClient, IrcClient]) -> None:
    hank, dale = pair
    (echo,) = hank.ask("@+typing=active TAGMSG dale")
    assert dale.expect("TAGMSG").tags == echo.tags
    hank.ask("PRIVMSG dale :\x01VERSION\x01")
    assert dale.expect("PRIVMSG").params[1] == "\x01VERSION\x01"


def test_operators_speak_to_all_nodes(cluster: Cluster, pair: tuple[IrcClient, IrcClient]) -> None:
    hank, dale = pair
    cluster.register(cluster.first, "boss")
    app = cluster.first.app
    AdminService(app.messenger, app.store, FAST, time.time).grant("boss")
    dale.ask("MODE dale +w")
    hank.ask(f"OPER boss :{PASSWORD}", "WALLOPS :The server moves at noon")
    assert dale.expect("WALLOPS").params == ["The server moves at noon"]


def test_a_message_to_a_room_looks_the_same_on_both(cluster: Cluster, pair: tuple[IrcClient, IrcClient]) -> None:
    hank, dale = pair
    meet(cluster, pair)
    lines = [
        "@batch=1 PRIVMSG #dev :one",
        "@batch=1 PRIVMSG #dev :two ",
        "@batch=1;draft/multiline-concat PRIVMSG #dev :x",
    ]
    hank.sync()
    echo = find(hank.ask("@+foo=bar BATCH +1 draft/multiline #dev", *lines, "BATCH -1")[:1], "BATCH")
    begin = dale.expect("BATCH")
    assert begin.tags == echo.tags
    assert [dale.expect("PRIVMSG").params[1] for _ in range(3)] == ["one", "two ", "x"]
    hank.ask("@+typing=active TAGMSG #dev")
    assert dale.expect("TAGMSG").tags["+typing"] == "active"
    hank.ask("PRIVMSG +#dev :not for dale", "PRIVMSG dale :for dale")
    assert dale.expect("PRIVMSG").params == ["dale", "for dale"]
