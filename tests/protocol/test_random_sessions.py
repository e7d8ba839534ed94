"""Whole sessions of anything: valid logins and requests, odd and hostile values, rubbish, every split, half-closes, on
several connections at once. The server makes no mistake, answers every request once or says why it hangs up, and a pair
that behaves well goes on talking. Short here, long with FAULTS=long."""

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
from tests.support.accounts import NAMES, PASSWORD, Person, Town
from tests.support.course_clients import SPELLINGS, Frame
from tests.support.native_clients import Dial, dumped
from tests.support.timeouts import PATIENCE

EXAMPLES = 3_000 if IS_LONG else 80
STEPS = 40 if IS_LONG else 15
LINES = 3

NUMBERED = itertools.count()
RUBBISH = (
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

ODD = st.sampled_from([*WRONG_EVERYWHERE, *NUMBERS, *WORDS, *LONG, None, "dale", "#dev"]) | st.text(max_size=8)
ACTIONS = {**REQUESTS, "remove": {"room": "#dev", "user": "dale"}, "probe": {}, "export": {"after": 0}, "quit": {}}
SILENT = {"ack", "read", "quit"}
NAMED = st.sampled_from([*NAMES[2:], "guest", "\u202eknah", "h\u0430nk", "a\0b", "", "x" * 33])
CARDS = st.fixed_dictionaries(
    {},
    optional={
        "password": st.sampled_from([PASSWORD, "wrong password", "", "\ud7ff" * 2000]),
        "device": st.sampled_from([each for each in DEVICES if isinstance(each, str)]),
        "session": st.sampled_from(["own", "forged", "", "\0"]),
    },
)
ASK = st.sampled_from(sorted(ACTIONS)).flatmap(
    lambda action: st.tuples(
        st.just("ask"),
        st.just(action),
        st.dictionaries(st.sampled_from(sorted(ACTIONS[action]) or ["other"]), ODD, max_size=2),
    )
)
STEP = st.one_of(
    *[ASK] * 8,
    st.tuples(st.just("enter"), NAMED, CARDS),
    st.tuples(st.just("throw"), st.sampled_from(RUBBISH) | st.binary(max_size=30)),
    st.tuples(st.just("course"), st.sampled_from(SPELLINGS), st.sampled_from([*NAMES, "#dev", "ALL", "guest", "\0"])),
    st.tuples(st.just("split"), st.sampled_from(sorted(ACTIONS))),
    st.tuples(st.just("half-close")),
    st.tuples(st.just("hang up")),
)


OPENINGS = ("guest", "bobby", "peggy", "nothing")


class Line:
    """One connection, gone over to another when it is hung up; what it asked and what came.

    It begins logged in as a guest of a new name, or as an account, or says nothing yet.
    """

    def __init__(self, town: Town, opening: str) -> None:
        self.town = town
        self.opening = opening
        self.dial = Dial()
        self.asked: set[str] = set()
        self.session = ""
        self.fresh()

    def fresh(self) -> None:
        self.person = Person(self.town)
        self.dial.open.append(self.person)
        self.native = self.leaving = self.began = False
        self.answered: list[str] = []
        self.asked = set()
        if self.opening != "nothing":
            name = self.opening if self.opening in NAMES else f"guest-{next(NUMBERED)}"
            self.session = self.town.population.sessions.get((name, "phone"), "")
            self.enter(name, {"session": "own", "device": "phone"} if self.session else {})

    def step(self, what: str, *how: Any) -> None:
        with suppress(OSError):  # it was hung up on: `settle` finds out why
            getattr(self, what.replace(" ", "_").replace("-", "_"))(*how)

    def enter(self, name: str, card: Frame) -> None:
        if "session" in card:
            card = {**card, "session": self.session if card["session"] == "own" else card["session"]}
        if self.began:  # what went before may have swallowed it
            self.person.send({"action": "presence", "jim": 2, "user": {"account_name": name, **card}})
            return
        self.began = True
        answer = self.person.present(name, **card)
        self.native = answer["response"] == 200
        self.session = answer.get("session", self.session)

    def ask(self, action: str, odd: Frame) -> None:
        self.send(action, odd)

    def split(self, action: str) -> None:
        """Every byte on its own."""
        self.send(action, {}, 1)

    def send(self, action: str, odd: Frame, size: int = 1 << 20) -> None:
        frame = {"id": f"i{next(NUMBERED)}", "action": action, **ACTIONS[action], **odd}
        data = dumped(**frame)
        if self.native and not self.leaving and action not in SILENT and "id" not in odd:
            data = b"\n" + data  # whatever was thrown ends here
            self.asked.add(str(frame["id"]))
        self.leaving |= action == "quit"
        self.began = True
        for start in range(0, len(data), size):
            self.person.send_bytes(data[start : start + size])
            gevent.sleep(0)

    def throw(self, data: bytes) -> None:
        self.began = True
        self.person.send_bytes(data)

    def course(self, spelling: Any, to: str) -> None:
        self.began = True
        self.person.send(spelling.presence("guest"))
        self.person.send(spelling.message("guest", to, "hello"))

    def half_close(self) -> None:
        self.leaving = True
        self.person.sock.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        self.person.close()
        self.fresh()

    def settle(self) -> None:
        """Everything asked has one answer, or the end of the line a reason."""
        if not self.native or self.leaving:
            return
        last: Frame = {}
        try:
            self.person.send_bytes(b"\n")
            while not self.asked <= set(self.answered):
                last = self.person.recv()
                assert last.get("code") != "internal_error", last
                self.answered += [last["id"]] if "response" in last and "id" in last else []
        except (EOFError, ConnectionError):
            assert "code" in last, f"hung up on without a word, after {last}"
        assert len(self.answered) == len(set(self.answered)), self.answered


@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.timeout(3600 if IS_LONG else 60)
def test_whatever_is_said_is_answered_or_hung_up_on_and_disturbs_nobody(settle: Callable[..., Town]) -> None:
    town = settle()
    hank, dale = town.comes("hank"), town.comes("dale")
    dale.ask("join", room="#dev")

    # The same examples every time, and no search for the smallest: that is for who looks for faults, not for who tests.
    short = {} if IS_LONG else {"derandomize": True, "phases": [Phase.generate]}

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None, **short)
    @given(
        st.tuples(*[st.sampled_from(OPENINGS)] * LINES),
        st.lists(st.tuples(st.integers(0, LINES - 1), STEP), min_size=STEPS // 3, max_size=STEPS),
    )
    def whatever(openings: tuple[str, ...], steps: list[tuple[int, tuple[Any, ...]]]) -> None:
        lines = [Line(town, opening) for opening in openings]
        try:
            with gevent.Timeout(PATIENCE):
                for number, step in steps:
                    lines[number].step(*step)
                for line in lines:
                    line.settle()
                text = json.dumps(next(NUMBERED))
                assert hank.say("dale", text)["response"] == 200
                while dale.event("msg")["message"] != text:
                    pass
        finally:
            for line in lines:
                line.dial.close()
        assert town.server.app.supervisor.failure_count == 0

    whatever()
