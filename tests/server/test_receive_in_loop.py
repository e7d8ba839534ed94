"""What is handled in the callback of the loop that reads it: it never waits, and differs in nothing from the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.hub import get_hub

from gmessenger.server.jim.protocol import JimProtocol
from tests.conftest import RunningServer
from tests.support.accounts import PASSWORD
from tests.support.native_clients import Connector, NativeClient


class Handled:
    """How many reads the callbacks handled to the end, how many they left, and what went wrong in one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done = self.left = 0
        self.failures: list[BaseException] = []
        receive = JimProtocol.receive_in_loop

        def watch(protocol: JimProtocol, data: bytes) -> Any:
            assert gevent.getcurrent() is get_hub(), "not in a callback, so a wait would not fail"
            try:
                left = receive(protocol, data)
            except BaseException as failure:
                self.failures.append(failure)
                raise
            self.done += left is None
            self.left += left is not None
            return left

        monkeypatch.setattr(JimProtocol, "receive_in_loop", watch)

    def reset(self) -> None:
        self.done = self.left = 0


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Handled:
    return Handled(monkeypatch)


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connector:
        yield connector


def nothing(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    """Prepare nothing."""


def register_dale(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    assert dale.request("register", password=PASSWORD)["response"] == 201


def block_hank(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    assert dale.request("block", user="hank")["response"] == 200


def mute_hank(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    server.app.messenger.moderation.mute("the owner", "hank")


def leave_dale(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    dale.send({"action": "quit"})
    dale.expect_closed()


def fill_dale(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    (session,) = server.app.messenger.router.sessions("dale")
    while session.outbox.reserve(1):
        pass


def set_dale_away(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    assert dale.request("status", status="away")["response"] == 200


def take_tokens(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    (session,) = server.app.messenger.router.sessions("hank")
    session.buckets.messages.tokens = 0.0


def owe_acknowledgement(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    (session,) = server.app.messenger.router.sessions("hank")
    session.sync.ack_pending = True


def join_room(server: RunningServer, hank: NativeClient, dale: NativeClient) -> None:
    register_dale(server, hank, dale)
    for client in (dale, hank):
        assert client.request("join", room="#dev")["response"] == 200


CASES: dict[str, tuple[Callable[..., None], dict[str, Any], bool, int]] = {
    "a guest": (nothing, {}, True, 202),
    "another spelling of the name": (nothing, {"to": "DALE"}, True, 202),
    "oneself": (nothing, {"to": "hank"}, False, 202),
    "an account": (register_dale, {}, False, 200),
    "a guest that has blocked one": (block_hank, {}, False, 403),
    "by one that is muted": (mute_hank, {}, False, 403),
    "a guest that has left": (leave_dale, {}, False, 410),
    "a name that was never seen": (nothing, {"to": "nobody"}, False, 404),
    "a guest whose outbox is full": (fill_dale, {}, False, 429),
    "a guest that is away": (set_dale_away, {}, False, 202),
    "by one without tokens": (take_tokens, {}, False, 202),
    "by one whose acknowledgement is not on disk": (owe_acknowledgement, {}, False, 202),
    "a room": (join_room, {"to": "#dev"}, False, 200),
    "a long text": (nothing, {"message": "x" * 5_000}, False, 202),
    "a text that is too long": (nothing, {"message": "x" * 60_000}, False, 413),
    "a reply": (nothing, {"about": 1}, False, 404),
    "a notice": (nothing, {"kind": "notice"}, False, 202),
    "an invalid id": (nothing, {"id": "x" * 65}, False, 400),
    "a text with a NUL": (nothing, {"message": "\0"}, False, 400),
}


@pytest.mark.parametrize("case", CASES)
def test_only_what_nothing_can_delay_or_refuse_is_handled_in_the_loop(
    case: str, server: RunningServer, connector: Connector, handled: Handled
) -> None:
    prepare, fields, in_loop, response = CASES[case]
    hank, dale = (connector.open_native(server, name) for name in ("hank", "dale"))
    assert hank.request("msg", to="nobody", message="the first, for which tokens are drawn")["response"] == 404
    prepare(server, hank, dale)
    handled.reset()
    hank.send({"action": "msg", "id": "m1", "to": "dale", "message": "hello"} | fields)
    while "response" not in (answer := hank.receive()):
        pass
    assert answer["response"] == response
    assert (handled.done, handled.left, handled.failures, server.failures) == (int(in_loop), int(not in_loop), [], 0)


def test_a_failure_in_the_loop_is_answered_and_reported(
    server: RunningServer, connector: Connector, handled: Handled, monkeypatch: pytest.MonkeyPatch
) -> None:
    hank, _ = (connector.open_native(server, name) for name in ("hank", "dale"))
    relay = server.app.messenger.guest_relay

    def fail(*arguments: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(relay, "relay", fail)
    assert hank.request("msg", to="dale", message="hello")["code"] == "internal_error"
    assert server.failures == 1 and handled.failures == []
    server.app.supervisor.failure_count = 0
    monkeypatch.undo()
    assert hank.request("msg", to="dale", message="hello")["response"] == 202
