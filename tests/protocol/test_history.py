"""History and search: pages, limits, folding, access.

docs/protocol.md, section 2, "Requests" and "Names and privacy".
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import ChatServer, UserClient, is_client_error, numbered_texts, seqs, texts
from tests.support.course_clients import Frame

LAST = 120
PAGES: tuple[tuple[dict[str, int], range, bool], ...] = (
    ({}, range(71, 121), True),
    ({"limit": 3}, range(118, 121), True),
    ({"before": 121}, range(71, 121), True),
    ({"before": 120}, range(70, 120), True),
    ({"before": 11, "limit": 3}, range(8, 11), True),
    ({"before": 51}, range(1, 51), False),
    ({"before": 4, "limit": 3}, range(1, 4), False),
    ({"before": 1}, range(0), False),
    ({"before": 10_000, "limit": 1}, range(120, 121), True),
    ({"after": 0}, range(1, 51), True),
    ({"after": 10, "limit": 3}, range(11, 14), True),
    ({"after": 117, "limit": 3}, range(118, 121), False),
    ({"after": 119}, range(120, 121), False),
    ({"after": 120}, range(0), False),
    ({"after": 10_000}, range(0), False),
    ({"limit": 120}, range(1, 121), False),
    ({"limit": 500}, range(1, 121), False),
)
BAD_FIELDS: tuple[dict[str, Any], ...] = (
    {"before": "5"},
    {"after": 1.5},
    {"limit": "many"},
    {"limit": []},
    {"with": 5},
    {"with": None},
)


def log_in_after_messages(chat_server: ChatServer, *messages: str) -> UserClient:
    """Log in dale after hank has sent him these texts."""
    answers = chat_server.log_in("hank").send_pipelined("dale", messages)
    assert {answer["response"] for answer in answers} == {200}
    return chat_server.log_in("dale")


def test_history_pages_are_exclusive_oldest_first_and_say_whether_there_is_more(chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, *numbered_texts(LAST))
    for fields, expected, more in PAGES:
        answer = dale.request("history", **{"with": "hank"}, **fields)
        assert (answer["response"], answer["with"], answer["first"]) == (200, "hank", 1), fields
        assert (seqs(answer["messages"]), answer["more"]) == (list(expected), more), fields
    frame = answer["messages"][0]
    assert (frame["from"], frame["to"], frame["message"]) == ("hank", "dale", "text 1")
    assert isinstance(frame["time"], float)


def test_a_page_has_at_most_five_hundred_messages(start_chat_server: Callable[..., ChatServer]) -> None:
    dale = log_in_after_messages(start_chat_server(max_frame=1 << 20), *numbered_texts(600))
    assert seqs(dale.history("hank", limit=500)) == list(range(101, 601))
    for limit in (501, 1_000_000):
        answer = dale.request("history", **{"with": "hank"}, limit=limit)
        assert is_client_error(answer) if answer["response"] != 200 else len(answer["messages"]) == 500


@pytest.mark.parametrize("limit", [0, -1, -(2**70), 2**70])
def test_a_limit_out_of_bounds_breaks_nothing(limit: int, chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, *numbered_texts(3))
    for fields in ({"limit": limit}, {"before": limit}, {"after": limit}):
        answer = dale.request("history", **{"with": "hank"}, **fields)
        assert answer["response"] == 200 or is_client_error(answer), fields
    assert seqs(dale.history("hank")) == [1, 2, 3]


def test_a_page_of_wrong_types_is_refused(chat_server: ChatServer) -> None:
    dale = log_in_after_messages(chat_server, "hello")
    for fields in BAD_FIELDS:
        assert dale.request("history", **{"with": "hank", **fields})["response"] == 400, fields
    for fields in ({}, {"text": 5}, {"text": None}, {"text": "hello", "with": 5}):
        assert dale.request("search", **fields)["response"] == 400, fields


def test_a_page_is_cut_to_the_frame_limit_and_nothing_is_lost_between_pages(chat_server: ChatServer) -> None:
    sizes = (16000, 10, 16000, 16000, 16000, 12, 9000, 16000, 16000, 16000, 16000, 3)
    messages = [f"{number}:".ljust(size, '"' if number % 2 else "ж") for number, size in enumerate(sizes)]
    dale = log_in_after_messages(chat_server, *(word[:16000] for word in messages))
    whole = dale.history("hank", after=0, limit=1)
    while len(whole) < len(messages):
        dale.send({"action": "history", "id": "h", "with": "hank", "after": whole[-1]["seq"], "limit": 500})
        line = dale.receive_line()
        assert len(line) < 65536
        page = json.loads(line)
        assert page["messages"] and page["more"] == (page["messages"][-1]["seq"] < len(messages))
        whole += page["messages"]
    backwards: list[Frame] = []
    while len(backwards) < len(messages):
        before = {"before": backwards[0]["seq"]} if backwards else {}
        page = dale.request("history", **{"with": "hank"}, limit=500, **before)
        assert page["messages"] and page["more"] == (page["messages"][0]["seq"] > 1)
        backwards = page["messages"] + backwards
    assert texts(whole) == texts(backwards) == messages
    assert seqs(whole) == seqs(backwards) == list(range(1, len(messages) + 1))


def test_a_text_that_fills_a_frame_with_escapes_is_refused_or_can_be_read_back(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for count in (10_000, 10_800, 10_880, 10_900):
        answer = hank.send_message("dale", "\x01" * count)
        assert answer["response"] in (200, 413)
        if answer["response"] == 200:
            assert dale.next_event("msg")["message"] == "\x01" * count
            assert texts(dale.history("hank", after=answer["seq"] - 1)) == ["\x01" * count]


def test_what_one_is_not_in_cannot_be_read(chat_server: ChatServer) -> None:
    dale, bobby = log_in_after_messages(chat_server, "between hank and dale"), chat_server.log_in("bobby")
    assert dale.request("join", room="#dev")["response"] == 200
    dale.send_messages("#dev", "between members")
    for name in ("#dev", "#nowhere", "nobody"):
        answer = bobby.request("history", **{"with": name})
        assert answer["response"] in (403, 404) and answer["error"] and answer["code"], name
        answer = bobby.request("search", text="between", **{"with": name})
        assert answer["messages"] == [] if answer["response"] == 200 else is_client_error(answer), name
    for name in ("hank", "dale"):
        answer = bobby.request("history", **{"with": name})
        assert answer["messages"] == [] if answer["response"] == 200 else answer["response"] in (403, 404)
    assert bobby.search("between") == []
    assert sorted(dale.search("between")) == ["between hank and dale", "between members"]


def test_guests_get_no_history_and_find_nothing(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    hank.request("join", room="#dev")
    guest.request("join", room="#dev")
    guest.send_messages("hank", "hello")
    hank.send_messages("guest", "hello")
    hank.send_messages("#dev", "hello")
    for action, fields in (
        ("history", {"with": "hank"}),
        ("history", {"with": "#dev"}),
        ("search", {"text": "hello"}),
        ("search", {"text": "hello", "with": "#dev"}),
    ):
        answer = guest.request(action, **fields)
        assert answer["messages"] == [] if answer["response"] == 200 else is_client_error(answer), (action, fields)
