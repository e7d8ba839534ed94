"""Random sessions on several connections at once: the server makes no mistake, and others notice nothing.

Valid logins and requests, odd and hostile values, rubbish, every split, half-closes. Every request is answered once, or
the connection is closed with a reason; a well-behaved pair goes on talking. Short here, long with FAULTS=long.
"""

import itertools
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.chaos.scale import IS_LONG
from tests.protocol.test_malformed_requests import DEVICES, LONG, NUMBERS, REQUESTS, WORDS, WRONG_EVERYWHERE
from tests.support.accounts import NAMES, PASSWORD, ChatServer, UserClient
from tests.support.course_clients import VARIANTS, Frame
from tests.support.native_clients import Connector, encode_frame
from tests.support.timeouts import TEST_TIMEOUT

MAX_EXAMPLES = 3_000 if IS_LONG else 80
MAX_STEPS = 40 if IS_LONG else 15
SESSION_COUNT = 3
MAX_FRAME = 65_536
"""Bytes: the server's default."""

COUNTER = itertools.count()
GARBAGE = (
    b"\x00\xff",
    b"{",
    b"[" * 300,
    b'{"action":',
    b'"\\ud800"',
    b"{}" * 50,
    b"\r\n",
    b"x" * 70_000,
    b'{"id":"\\u0000"}\n',
)

ODD_VALUE = st.sampled_from([*WRONG_EVERYWHERE, *NUMBERS, *WORDS, *LONG, None, "dale", "#dev"]) | st.text(max_size=8)
ACTIONS = {
    **REQUESTS,
    "remove": {"room": "#dev", "user": "dale"},
    "shut_out": {"room": "#dev", "user": "dale", "for": 1, "reason": "x"},
    "silence": {"room": "#dev", "user": "dale", "for": 1, "reason": "x"},
    "probe": {},
    "export": {"after": 0},
    "quit": {},
}
UNANSWERED = {"ack", "read", "quit"}
NAME = st.sampled_from([*NAMES[2:], "guest", "\u202eknah", "h\u0430nk", "a\0b", "", "x" * 33])
USER_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "password": st.sampled_from([PASSWORD, "wrong password", "", "\ud7ff" * 2000]),
        "device": st.sampled_from([each for each in DEVICES if isinstance(each, str)]),
        "session": st.sampled_from(["own", "forged", "", "\0"]),
    },
)
REQUEST_STEP = st.sampled_from(sorted(ACTIONS)).flatmap(
    lambda action: st.tuples(
        st.just("ask"),
        st.just(action),
        st.dictionaries(st.sampled_from(sorted(ACTIONS[action]) or ["other"]), ODD_VALUE, max_size=2),
    )
)
STEP = st.one_of(
    *[REQUEST_STEP] * 8,
    st.tuples(st.just("enter"), NAME, USER_FIELDS),
    st.tuples(st.just("throw"), st.sampled_from(GARBAGE) | st.binary(max_size=30)),
    st.tuples(st.just("course"), st.sampled_from(VARIANTS), st.sampled_from([*NAMES, "#dev", "ALL", "guest", "\0"])),
    st.tuples(st.just("split"), st.sampled_from(sorted(ACTIONS))),
    st.tuples(st.just("half-close")),
    st.tuples(st.just("hang up")),
)


STARTS = ("guest", "bobby", "peggy", "nothing")


class RandomSession:
    """A connection that is replaced when it is closed, with its requests and responses.

    It begins logged in as a guest with a new name, or as an account, or not logged in.
    """

    def __init__(self, chat_server: ChatServer, start: str) -> None:
        self.chat_server = chat_server
        self.start = start
        self.connector = Connector()
        self.requested: set[str] = set()
        self.session = ""
        self.connect()

    def connect(self) -> None:
        self.client = UserClient(self.chat_server)
        self.connector.connections.append(self.client)
        self.is_native = self.is_leaving = self.has_begun = False
        self.responses: list[str] = []
        self.requested = set()
        if self.start != "nothing":
            name = self.start if self.start in NAMES else f"guest-{next(COUNTER)}"
            self.session = self.chat_server.populated_store.sessions.get((name, "phone"), "")
            self.enter(name, {"session": "own", "device": "phone"} if self.session else {})

    def step(self, step: str, *arguments: Any) -> None:
        self.receive_available()
        with suppress(OSError):  # it was hung up on: `settle` finds out why
            getattr(self, step.replace(" ", "_").replace("-", "_"))(*arguments)

    def receive_available(self) -> None:
        """Keep what has arrived: a reset would discard it, and the server does not wait for ever for it to be read."""
        self.client.sock.settimeout(0.0)
        with suppress(OSError):
            while data := self.client.sock.recv(65536):
                self.client.unread += data
        with suppress(OSError):
            self.client.sock.settimeout(TEST_TIMEOUT)

    def enter(self, name: str, entry: Frame) -> None:
        if "session" in entry:
            entry = {**entry, "session": self.session if entry["session"] == "own" else entry["session"]}
        if self.has_begun:  # what went before may have swallowed it
            self.client.send({"action": "presence", "jim": 2, "user": {"account_name": name, **entry}})
            return
        self.has_begun = True
        answer = self.client.try_log_in(name, **entry)
        self.is_native = answer["response"] == 200
        self.session = answer.get("session", self.session)

    def ask(self, action: str, changes: Frame) -> None:
        self.send(action, changes)

    def split(self, action: str) -> None:
        """Send a request byte by byte."""
        self.send(action, {}, 1)

    def send(self, action: str, changes: Frame, size: int = 1 << 20) -> None:
        frame = {"id": f"i{next(COUNTER)}", "action": action, **ACTIONS[action], **changes}
        data = encode_frame(**frame)
        if self.is_native and not self.is_leaving and action not in UNANSWERED and "id" not in changes:
            if len(data) <= MAX_FRAME:  # one that is longer is answered without its id, which was not read
                self.requested.add(str(frame["id"]))
            data = b"\n" + data  # end any garbage sent before
        self.is_leaving |= action == "quit"
        self.has_begun = True
        for start in range(0, len(data), size):
            self.client.send_bytes(data[start : start + size])
            gevent.sleep(0)

    def throw(self, data: bytes) -> None:
        self.has_begun = True
        self.client.send_bytes(data)

    def course(self, variant: Any, to: str) -> None:
        self.has_begun = True
        self.client.send(variant.presence("guest"))
        self.client.send(variant.message("guest", to, "hello"))

    def half_close(self) -> None:
        self.is_leaving = self.has_begun = True  # no login is answered any more
        self.client.sock.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        self.client.close()
        self.connect()

    def settle(self) -> None:
        """Check that every request has one response, or that the end of the connection has a reason."""
        if not self.is_native or self.is_leaving:
            return
        last: Frame = {}
        self.receive_available()
        with suppress(ConnectionError):
            self.client.send_bytes(b"\n")
        try:
            while not self.requested <= set(self.responses):
                last = self.client.receive()
                assert last.get("code") != "internal_error", last
                self.responses += [last["id"]] if "response" in last and "id" in last else []
        except (EOFError, ConnectionError):
            assert "code" in last, f"hung up on without a word, after {last}"
        assert len(self.responses) == len(set(self.responses)), self.responses


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.timeout(3600 if IS_LONG else 240)
def test_whatever_is_said_is_answered_or_hung_up_on_and_disturbs_nobody(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(probe_after=86_400.0)  # dale, who only listens, would answer none
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    dale.request("join", room="#dev")

    # The same examples every time, and no search for the smallest: that is for who looks for faults, not for who tests.
    short = {} if IS_LONG else {"derandomize": True, "phases": [Phase.generate]}

    @settings(max_examples=MAX_EXAMPLES, suppress_health_check=list(HealthCheck), database=None, **short)
    @given(
        st.tuples(*[st.sampled_from(STARTS)] * SESSION_COUNT),
        st.lists(st.tuples(st.integers(0, SESSION_COUNT - 1), STEP), min_size=MAX_STEPS // 3, max_size=MAX_STEPS),
    )
    def run_session(starts: tuple[str, ...], steps: list[tuple[int, tuple[Any, ...]]]) -> None:
        lines = [RandomSession(chat_server, start) for start in starts]
        try:
            with gevent.Timeout(TEST_TIMEOUT):
                for number, step in steps:
                    lines[number].step(*step)
                for line in lines:
                    line.settle()
                text = json.dumps(next(COUNTER))
                assert hank.send_message("dale", text)["response"] == 200
                while dale.next_event("msg")["message"] != text:
                    pass
        finally:
            for line in lines:
                line.connector.close()
        assert chat_server.server.app.supervisor.failure_count == 0

    run_session()
