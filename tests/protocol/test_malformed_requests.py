"""Every field of every request with invalid values: an error or a response, never a failure.

docs/protocol.md, section 1, "has wrong types", and section 2, "Requests".
"""

from collections.abc import Callable

import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient, seqs
from tests.support.course_clients import Frame

WRONG_EVERYWHERE = (True, [], {}, ["x"], 1.5)
NUMBERS = (0, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**70)
WORDS = ("", " ", "#", "##", "#dev", "#nowhere", "ALL", "server", "hank", "nobody", "'", '"', "%", "\u200b", "\x1b[31m")
LONG = ("x" * 33, "x" * 5000, "ж" * 20000, "#" + "x" * 5000)
REQUESTS: dict[str, Frame] = {
    "register": {"password": PASSWORD, "invite": "x"},
    "password": {"old": "not the password", "new": "another password"},
    "devices": {"after": "x"},
    "drop": {"device": "nowhere", "all": False},
    "certificate": {"device": "nowhere", "fingerprint": "ab" * 32},
    "settings": {"set": {"joins": "hidden", "highlights": ["deploy"], "notify": {"#dev": {"level": "none"}}}},
    "profile": {"room": "#dev", "set": {"status": "on holiday", "homepage": None}},
    "msg": {"to": "dale", "message": "hello"},
    "ack": {"with": "dale", "seq": 1},
    "read": {"with": "dale", "seq": 1},
    "history": {"with": "dale", "before": 5, "after": 1, "limit": 5},
    "search": {"text": "hello", "with": "dale", "limit": 5, "before": 5, "after": 1},
    "conversations": {"after": "dale", "limit": 5},
    "join": {"room": "#dev", "rules": {"moderated": False}},
    "leave": {"room": "#dev"},
    "invite": {"room": "#dev", "user": "bobby"},
    "uninvite": {"room": "#dev", "user": "bobby"},
    "invitations": {"room": "#dev", "after": "dale"},
    "let_in": {"room": "#dev", "user": "bobby"},
    "unsilence": {"room": "#dev", "user": "bobby"},
    "shut_outs": {"room": "#dev", "after": "dale"},
    "silences": {"room": "#dev", "after": "dale"},
    "topic": {"room": "#dev", "topic": "hello"},
    "rule": {"room": "#dev", "set": {"moderated": False}},
    "role": {"room": "#dev", "user": "dale", "role": "speaker"},
    "hook": {"room": "#dev", "name": "grafana"},
    "unhook": {"room": "#dev", "name": "grafana"},
    "hooks": {"room": "#dev"},
    "push": {"endpoint": "https://push.example.org/x", "p256dh": "key", "auth": "secret"},
    "members": {"room": "#dev", "after": "dale", "limit": 5},
    "users": {"after": "dale", "limit": 5},
    "whois": {"user": "dale"},
    "rooms": {"after": "#dev", "limit": 5},
    "status": {"status": "away", "note": "back at three"},
}
UNANSWERED = {"ack", "read"}
DEVICES = (5, None, [], {}, True, "", " ", "x" * 5000, "\x1b[31m", "\u200b", "ноутбук", "../../etc", "'", "😀")


def collect_responses(client: UserClient, frame: Frame) -> list[Frame]:
    """Return all responses up to those of the request and of a probe after it."""
    request_id, end = next(client.ids), next(client.ids)
    client.send({"id": request_id, **frame})
    client.send({"action": "probe", "id": end})
    frames, missing = [], {end} if frame["action"] in UNANSWERED else {request_id, end}
    while missing:
        if "response" in (answer := client.receive()):
            frames.append(answer)
            missing.discard(answer.get("id"))
    return [answer for answer in frames if answer.get("id") != end]


def is_wrong(action: str, frames: list[Frame]) -> bool:
    if len(frames) != 1:
        return action not in UNANSWERED or bool(frames)
    (answer,) = frames
    rejected = 400 <= answer["response"] < 500 and answer["error"] and answer["code"]
    return not (rejected or (200 <= answer["response"] < 300 and action not in UNANSWERED))


@pytest.mark.parametrize("action", REQUESTS)
@pytest.mark.parametrize("kind", ["account", "guest"])
def test_an_odd_request_is_answered_once_and_is_not_the_servers_mistake(
    kind: str, action: str, start_chat_server: Callable[..., ChatServer]
) -> None:
    chat_server = start_chat_server(max_bad_frames=100_000)
    hank, dale = (
        chat_server.log_in("hank") if kind == "account" else chat_server.log_in_guest("odd"),
        chat_server.log_in("dale"),
    )
    dale.request("join", room="#dev")
    hank.request("join", room="#dev")
    dale.send_messages(hank.name, "hello")
    failures = []
    for key in REQUESTS[action]:
        for value in (*WRONG_EVERYWHERE, *NUMBERS, *WORDS, *LONG, None):
            frames = collect_responses(hank, {"action": action, **REQUESTS[action], key: value})
            if is_wrong(action, frames):
                failures.append((key, value if len(str(value)) < 50 else str(value)[:50], frames))
    assert failures == []
    assert dale.request("probe")["response"] == 200


@pytest.mark.parametrize("field", ["device", "password", "session"])
def test_an_odd_login_is_answered_and_may_be_tried_again(
    field: str, start_chat_server: Callable[..., ChatServer]
) -> None:
    chat_server = start_chat_server(max_bad_frames=100_000)
    for value in DEVICES:
        hank = chat_server.connect()
        answer = hank.try_log_in("hank", **{"password": PASSWORD, "device": "laptop", field: value})
        assert answer["response"] in (200, 400, 401, 402, 429), (value, answer)
        if answer["response"] == 429:
            return
        if answer["response"] != 200:
            hank.start_session("hank", password=PASSWORD, device="laptop")
        hank.close()


def test_an_acknowledgement_of_more_than_there_is_swallows_nothing_that_comes_later(chat_server: ChatServer) -> None:
    dale, hank = chat_server.log_in("dale"), chat_server.log_in("hank")
    dale.send_messages("hank", "one")
    for seq in (2, 1000, 2**53):
        hank.send({"action": "ack", "with": "dale", "seq": seq})
    hank.take_events()
    hank.close()
    dale.send_messages("hank", "two", "three")
    assert seqs(chat_server.log_in("hank").backlog)[-2:] == [2, 3]
