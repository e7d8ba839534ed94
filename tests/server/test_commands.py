"""The table of requests: one row for each struct of the wire, and the protocol's document says the same."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from gmessenger.server.jim.commands import BATCHABLE_REQUEST, COMMANDS, COURSE_COMMANDS, MESSAGE_REQUESTS
from gmessenger.wire import events
from tests import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
DOCUMENTED_ACTION = re.compile(r'"action":"([a-z_]+)"')
EVENTS_HEADING = "\n## Server events"
COSTS = re.compile(r"(?:`[a-z]+`(?:, | and )?)+ (?:costs )?(?:\d+|a tenth)")
NUMBERS = {"a tenth": 0.1}


def action(request: type) -> str:
    tag: Any = request.__struct_config__.tag  # type: ignore[attr-defined]
    assert isinstance(tag, str)
    return tag


ACTIONS = {action(request): command for request, command in COMMANDS.items() if request is not events.Pong}


def test_each_request_has_exactly_one_row() -> None:
    native, course = set(get_args(events.NativeEvent)), set(get_args(events.CourseRequest))
    assert set(COMMANDS) == native
    assert set(COURSE_COMMANDS) == course
    assert {request for request in vars(events).values() if is_request(request)} == native - {events.Pong}
    assert len(ACTIONS) == len(COMMANDS) - 1, "two requests have one action"


def is_request(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, events.Request) and candidate is not events.Request


def test_the_document_has_each_request_and_no_other() -> None:
    requests, _, _ = DOCUMENT.partition(EVENTS_HEADING)
    tables = "\n".join(line for line in requests.splitlines() if line.startswith("| `{"))
    assert {*DOCUMENTED_ACTION.findall(tables), "presence"} == set(ACTIONS)


def documented_costs() -> dict[str, float]:
    """Return the costs of single requests in the section on rate limits."""
    _, _, section = DOCUMENT.partition("Of other requests ")
    sentence = section.replace("\n", " ").partition(", and the rest 1.")[0]
    costs: dict[str, float] = {}
    for group in COSTS.findall(sentence):
        word = re.search(r"\d+|a tenth", group)
        assert word is not None
        number = NUMBERS.get(word[0]) or float(word[0])
        costs |= dict.fromkeys(re.findall(r"`([a-z]+)`", group), number)
    return costs


def test_the_document_says_what_each_request_costs() -> None:
    expensive = {name: row.cost for name, row in ACTIONS.items() if row.cost != 1 and not row.delay_only and row.cost}
    assert documented_costs() == expensive


def test_only_what_has_no_response_is_delayed_without_being_refused() -> None:
    delayed = {request for request, command in COMMANDS.items() if command.delay_only}
    assert delayed == {events.AckRequest, events.ReadRequest, events.Pong}
    assert all(0 < COMMANDS[request].cost <= 0.05 for request in delayed)


def test_messages_are_charged_by_their_size_and_not_by_the_row() -> None:
    assert {events.MessageRequest, events.CourseMessage} == MESSAGE_REQUESTS
    assert BATCHABLE_REQUEST is events.MessageRequest
    assert [request for request, command in COMMANDS.items() if command.batchable] == [BATCHABLE_REQUEST]
    assert COMMANDS[events.MessageRequest].cost == COURSE_COMMANDS[events.CourseMessage].cost == 0


@pytest.mark.parametrize("name", ACTIONS)
def test_only_a_login_and_a_goodbye_need_no_login(name: str) -> None:
    assert ACTIONS[name].needs_login is (name not in {"presence", "quit"})
    assert ACTIONS[name].needs_secure_transport is (name in {"register", "password", "forget"})
