"""Nothing tells of a private room: all requests of the command table, before there is one, while there is, and after.

Who is neither in it nor invited gets the same bytes each time, pays the same, and is sent the same events. Short here,
with all variants of who asks and of the room's rules with FAULTS=long.
"""

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import gevent
import pytest

from gmessenger.server.jim.commands import COMMANDS
from gmessenger.wire import events
from tests.chaos.scale import IS_LONG, WALK_SEED
from tests.protocol.test_rooms import join
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import CLASSIC, GUI, CourseClient, CourseVariant, Frame
from tests.support.moderation import admin_service, expect_ok
from tests.support.native_clients import encode_frame
from tests.support.request_fields import fields_of

ROOM: Final = "#secret"
PRIVATE: Final[Frame] = {"invited": True, "hidden": True}
ROOMS: Final[tuple[Frame, ...]] = (
    PRIVATE,
    {**PRIVATE, "moderated": True, "topic": "moderators", "guests": False, "history": "joined", "most": 1},
    {**PRIVATE, "history": "all"},
)
ENDING: Final = {
    events.PresenceRequest: "logs in",
    events.RegisterRequest: "makes a guest an account",
    events.PasswordRequest: "ends other sessions",
    events.DropRequest: "ends other sessions",
    events.ForgetRequest: "deletes the account",
    events.QuitRequest: "closes the connection",
}
"""Requests that change who asks, and cannot name a room."""
MAX_FRAMES: Final = 10_000 if IS_LONG else 60
"""Of one kind of request."""
ID_COUNTER: Final = itertools.count()
RATES: Final[dict[str, Any]] = {
    **{f"{prefix}{kind}_rate": 1 for prefix in ("", "guest_") for kind in ("message", "request")},
    **{f"{prefix}{kind}_burst": 1_000_000 for prefix in ("", "guest_") for kind in ("message", "request")},
}
"""Everything is charged, and nothing is refused."""


def requests(draw: random.Random, *, by_account: bool) -> Iterator[Frame]:
    """Yield requests about the room, and those about nothing, whose answers list everything.

    An account that joins a free name makes the room, which is known to tell; only what is not valid is asked for.
    """
    for kind in COMMANDS:
        if kind in ENDING or not issubclass(kind, events.Request):
            continue
        frames = [frame for frame in fields_of(kind, (ROOM, "hank")) if is_about_room(frame)]
        if by_account and kind is events.JoinRequest:
            frames = [frame for frame in frames if "colour" in frame.get("rules", ())]
        yield from draw.sample(frames, min(len(frames), MAX_FRAMES))


def is_about_room(frame: Frame) -> bool:
    named = [value for key, value in frame.items() if key in ("room", "to", "with")]
    return ROOM in named or (not named and frame["action"] not in ("block", "unblock"))


def nodes(chat_server: ChatServer) -> list[Any]:
    return getattr(chat_server.server, "nodes", [chat_server.server])


def stop_clock(chat_server: ChatServer) -> None:
    """Have no tokens come back with time."""
    for node in nodes(chat_server):
        throttle = node.app.messenger.throttle
        now = throttle._clock()
        throttle._clock = lambda now=now: now


def spent(chat_server: ChatServer, name: str) -> list[float]:
    """Return the tokens that a name has spent so far: of messages and of requests."""
    sessions = [one for node in nodes(chat_server) for one in node.app.messenger.router.sessions(name)]
    buckets = {id(session.buckets): session.buckets for session in sessions}.values()
    return [
        round(sum(bucket._full_at - bucket.tokens for bucket in kind), 3)
        for kind in ([each.messages for each in buckets], [each.requests for each in buckets])
    ]


def costs(chat_server: ChatServer, name: str, before: list[float]) -> list[float]:
    """Return what a name has spent since `before`, each at least 1: all requests cost something."""
    found = [round(after - start, 2) for after, start in zip(spent(chat_server, name), before, strict=True)]
    assert min(found) >= 1, found
    return found


def without_time(value: Any) -> Any:
    """Return a frame with every time in it replaced."""
    if isinstance(value, dict):
        return {key: without_time(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_time(each) for each in value]
    return 0.0 if isinstance(value, float) else value


class Asker:
    """Who asks, on two devices, and what they have been sent."""

    def __init__(self, chat_server: ChatServer, name: str, *, is_guest: bool) -> None:
        self.chat_server, self.name, self.is_guest = chat_server, name, is_guest
        self.client = chat_server.log_in_guest(name) if is_guest else chat_server.log_in(name)
        self.other = None if is_guest else chat_server.log_in(name, "phone")
        self.requests = list(requests(random.Random(WALK_SEED), by_account=not is_guest))
        random.Random(WALK_SEED).shuffle(self.requests)

    def forget_events(self) -> None:
        for client in (self.client, self.other):
            if client is not None:
                client.take_events()

    def ask_all(self) -> list[tuple[Frame, list[Frame]]]:
        """Send all requests; return each with all frames up to the next one's answer, and last those of the phone."""
        ids = [f"i{next(ID_COUNTER)}" for _ in self.requests]
        end = f"i{next(ID_COUNTER)}"
        frames = [{"id": one, **request} for one, request in zip(ids, self.requests, strict=True)]
        frames.append({"id": end, "action": "probe"})
        before = spent(self.chat_server, self.name)
        writer = gevent.spawn(self.client.send_bytes, b"".join(encode_frame(**frame) for frame in frames))
        answers: dict[str, list[Frame]] = {"": []}
        unasked: list[Frame] = []
        while end not in answers:
            frame = self.client.receive()
            if "response" in frame:
                one = frame.pop("id")
                answers[one] = [without_time(frame)]
            else:
                unasked.append(without_time(frame))
        writer.get(timeout=10)
        result = [(request, answers.get(one, [])) for one, request in zip(ids, self.requests, strict=True)]
        result.append(({"action": "events here"}, unasked))
        if self.other is not None:
            result.append(({"action": "events on the phone"}, [without_time(one) for one in self.all_events()]))
        result.append(({"action": "costs"}, [{"spent": costs(self.chat_server, self.name, before)}]))
        return result

    def all_events(self) -> list[Frame]:
        assert self.other is not None
        assert self.other.request("probe")["response"] == 200
        found = list(self.other.events)
        self.other.events.clear()
        return found


def differences(one: list[tuple[Frame, list[Frame]]], other: list[tuple[Frame, list[Frame]]]) -> str:
    """Return the requests whose answers are not the same bytes, with both: a line each."""
    return "\n".join(
        f"{json.dumps(request)}: {json.dumps(first)} became {json.dumps(second)}"
        for (request, first), (_, second) in zip(one, other, strict=True)
        if json.dumps(first) != json.dumps(second)
    )


def nothing(hank: UserClient, asker: Asker) -> None:
    """Leave it as it is: who asks never had to do with the room."""


def uninvited(hank: UserClient, asker: Asker) -> None:
    expect_ok(hank.request("invite", room=ROOM, user=asker.name))
    expect_ok(hank.request("uninvite", room=ROOM, user=asker.name))


def shut_out(hank: UserClient, asker: Asker) -> None:
    expect_ok(hank.request("shut_out", room=ROOM, user=asker.name, reason="noise"))


def silenced(hank: UserClient, asker: Asker) -> None:
    expect_ok(hank.request("silence", room=ROOM, user=asker.name))


def closed(hank: UserClient, asker: Asker) -> None:
    messenger = nodes(asker.chat_server)[0].app.messenger
    messenger.moderation.close("server", ROOM, "enough")


def come_in(hank: UserClient, asker: Asker) -> None:
    expect_ok(hank.request("rule", room=ROOM, set={"guests": True, "most": 0}))
    expect_ok(hank.request("invite", room=ROOM, user=asker.name))
    join(asker.client, ROOM)


def declined(hank: UserClient, asker: Asker) -> None:
    expect_ok(hank.request("invite", room=ROOM, user=asker.name))
    expect_ok(asker.client.request("leave", room=ROOM))


def removed(hank: UserClient, asker: Asker) -> None:
    come_in(hank, asker)
    expect_ok(hank.request("remove", room=ROOM, user=asker.name))


def left(hank: UserClient, asker: Asker) -> None:
    come_in(hank, asker)
    expect_ok(asker.client.request("leave", room=ROOM))


BEFORE: Final = (nothing, uninvited, shut_out, silenced, closed, left, removed, declined)
CASES: Final = [
    (is_guest, before, rules)
    for is_guest in (False, True)
    for before in BEFORE
    for number, rules in enumerate(ROOMS)
    if IS_LONG or number == (BEFORE.index(before) + is_guest) % len(ROOMS)
]


@pytest.mark.parametrize(
    ("is_guest", "before", "rules"),
    CASES,
    ids=[f"{'guest' if case[0] else 'account'}-{case[1].__name__}-{ROOMS.index(case[2])}" for case in CASES],
)
def test_every_answer_price_and_event_is_as_if_there_were_no_such_room(
    is_guest: bool,
    before: Callable[[UserClient, Asker], None],
    rules: Frame,
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(**RATES, limit_loopback=True, max_bad_frames=1_000_000)
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    asker = Asker(chat_server, "joe" if is_guest else "bobby", is_guest=is_guest)
    stop_clock(chat_server)
    asker.ask_all()  # whatever these requests change is changed now
    free = asker.ask_all()
    expect_ok(hank.request("join", room=ROOM, rules=PRIVATE))
    expect_ok(hank.request("invite", room=ROOM, user="dale"))
    join(dale, ROOM)
    hank.send_messages(ROOM, "hello", "hello again")
    expect_ok(hank.request("topic", room=ROOM, topic="hello"))
    before(hank, asker)
    expect_ok(hank.request("rule", room=ROOM, set=rules))
    chat_server.settle(always=True)
    asker.forget_events()  # of its invitation, and of what it did in the room
    assert differences(free, asker.ask_all()) == ""
    admin_service(chat_server).delete_room(ROOM)
    chat_server.settle(always=True)
    assert differences(free, asker.ask_all()) == ""


COURSE_REQUESTS: Final[tuple[Frame, ...]] = (
    {"action": "join", "room": ROOM},
    {"action": "join", "room": ROOM.removeprefix("#")},
    {"action": "leave", "room": ROOM},
    {"action": "add_contact", "user_id": ROOM, "user_login": "carl"},
    {"action": "pubkey_need", "account_name": ROOM, "user": {"account_name": ROOM}},
)


def ask_all_by_course(chat_server: ChatServer, client: CourseClient) -> tuple[list[Frame], list[float]]:
    """Send all requests of a course client that is answered; return the answers, and what they cost."""
    answers, before = [], spent(chat_server, client.name)
    for frame in (*COURSE_REQUESTS[: None if IS_LONG else 2], client.variant.message(client.name, ROOM, "hello")):
        client.send({"time": time.time(), **frame})
        answers.append(without_time(client.receive_answer()))
    return answers, costs(chat_server, client.name, before)


@pytest.mark.parametrize("variant", [CLASSIC, GUI] if IS_LONG else [GUI], ids=lambda variant: variant.name)
def test_a_course_client_is_answered_as_if_there_were_no_such_room(
    variant: CourseVariant, start_chat_server: Callable[..., ChatServer]
) -> None:
    chat_server = start_chat_server(**RATES, limit_loopback=True)
    hank, course = chat_server.log_in("hank"), chat_server.log_in_course(variant, "carl")
    course.send({"action": "get_contacts", "user_login": "carl"})
    assert course.receive_answer()["response"] == 202  # it is one that is answered
    course.send_message("carl", "hello")
    assert course.receive_answer()["response"] == 200
    stop_clock(chat_server)
    free = ask_all_by_course(chat_server, course)
    expect_ok(hank.request("join", room=ROOM, rules=PRIVATE))
    chat_server.settle(always=True)
    assert ask_all_by_course(chat_server, course) == free
    assert [one["account_name"] for one in hank.request("members", room=ROOM)["users"]] == ["hank"]
