"""Random requests about one room by accounts, guests and an operator, against a model of what the protocol says.

Each answer's code, the events that each one is sent, and what every node knows of the room then. Some are sent by two
at once: the result must be that of one order or the other. Short here, long with FAULTS=long; FAULTS_SEED repeats one.
"""

import copy
import os
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import gevent
import pytest

from tests.chaos.scale import IS_LONG, WALK_SEED
from tests.protocol.test_private_rooms_unseen import nodes
from tests.support.accounts import PASSWORD, ChatServer
from tests.support.course_clients import Frame, settle
from tests.support.moderation import admin_service
from tests.support.room_model import OPEN_RULES, Event, RoomModel

WALKS: Final = int(os.environ.get("FAULTS_WALKS") or (40 if IS_LONG else 3))
STEPS: Final = 400 if IS_LONG else 120
ROOM: Final = "#dev"
ACCOUNTS: Final = ("hank", "dale", "bobby", "peggy")
GUESTS: Final = ("gus", "ann")
OPERATOR: Final = "peggy"
IS_ABOUT_USER: Final = ("invite", "uninvite", "role", "remove", "shut_out", "silence", "let_in", "unsilence")
ACTIONS: Final = (
    *("join",) * 8,
    *("leave",) * 2,
    *("invite",) * 4,
    *("uninvite", "remove", "shut_out", "let_in", "silence", "unsilence") * 2,
    *("role",) * 4,
    *("rule",) * 3,
    *("topic", "msg", "members", "shut_outs", "silences", "close", "open", "open", "forget", "grant", "resume"),
)
RULE_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("invited", "hidden", "moderated", "guests"), (True, False)),
    "topic": ("all", "moderators"),
    "history": ("all", "joined"),
    "most": (0, 0, 2, 4),
    "colour": ("red",),
}
AGAIN: Final = ("open", "uninvite", "let_in", "unsilence", "remove")
"""What two may do at once, and be both answered that they have done it. Who leaves meanwhile is kept out, too."""
TOLD: Final = ("join", "leave", "invited", "shut_out", "let_in", "silence", "unsilence", "topic", "rule", "role")


class Walk:
    """Clients of one server with a room, and the model of it."""

    def __init__(self, chat_server: ChatServer, draw: random.Random, *, can_race: bool) -> None:
        self.chat_server, self.draw, self.can_race = chat_server, draw, can_race
        self.model = RoomModel(set(ACCOUNTS), set(GUESTS), {OPERATOR})
        self.clients = {name: chat_server.log_in(name) for name in ACCOUNTS}
        self.clients |= {name: chat_server.log_in_guest(name) for name in GUESTS}
        self.said: list[Any] = []
        admin_service(chat_server).grant(OPERATOR)
        self.settle()

    def settle(self) -> None:
        settle(self.chat_server, always=True)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            action, actor, fields = self.choose()
            if action == "forget":
                self.forget()
            elif action == "grant":
                self.grant()
            elif action == "resume":
                self.resume()
            elif self.can_race and self.draw.random() < 0.25:
                self.race((action, actor, fields), self.choose_request(other_than=actor))
            else:
                self.ask(action, actor, fields)

    def choose_request(self, other_than: str) -> tuple[str, str, Frame]:
        while (chosen := self.choose())[0] in ("forget", "grant", "resume") or chosen[1] == other_than:
            pass
        return chosen

    def choose(self) -> tuple[str, str, Frame]:
        draw, names = self.draw, list(self.clients)
        action, actor = draw.choice(ACTIONS), draw.choice(names)
        if self.model.members and draw.random() < 0.4:
            actor = draw.choice(self.model.members)
        if action in ("close", "open") and draw.random() < 0.8:
            actor = draw.choice(sorted(self.model.operators) or names)
        if action == "close" and self.model.is_closed:
            action = "open"
        fields: Frame = {"user": draw.choice([*names, *names, "nobody"])} if action in IS_ABOUT_USER else {}
        if action == "role":
            fields["role"] = draw.choice(("owner", "moderator", "moderator", "speaker", "member"))
        elif action == "rule" and draw.random() < 0.9:
            fields["set"] = self.choose_rules()
        elif action == "join" and draw.random() < 0.15:
            fields["rules"] = {key: value for key, value in self.choose_rules().items() if key != "colour"}
        elif action == "topic":
            fields["topic"] = f"topic {draw.random()}"
        elif action == "msg":
            fields["message"] = f"text {draw.random()}"
        return action, actor, fields

    def choose_rules(self) -> Frame:
        keys = self.draw.sample(sorted(RULE_VALUES), self.draw.choice((1, 1, 2, 3)))
        return {key: self.draw.choice(RULE_VALUES[key]) for key in keys}

    def request(self, action: str, actor: str, fields: Frame) -> str:
        """Send a request; return the code of its error, or an empty string."""
        where = "to" if action == "msg" else "room"
        answer = self.clients[actor].request(action, **{where: ROOM}, **fields)
        self.said.append((action, actor, fields, answer.get("code", answer["response"])))
        assert ("code" in answer) == (answer["response"] != 200), answer
        return answer.get("code", "")

    def ask(self, action: str, actor: str, fields: Frame) -> None:
        """Send a request, and compare its answer and its events with the model's."""
        allowed = self.model.refusals(action, actor, fields)
        if len(nodes(self.chat_server)) > 1 and action == "uninvite" and fields["user"] in GUESTS:
            allowed |= {""} if allowed == {"never_seen"} else set()  # the guest's node alone knows of its invitation
        found = self.request(action, actor, fields)
        assert found in (allowed or {""}), self.tell(f"answered {found!r} instead of {allowed or 'ok'}")
        expected = self.model.apply(action, actor, fields) if not found else []
        self.check_events(expected)
        self.check_state([self.model])

    def race(self, one: tuple[str, str, Frame], other: tuple[str, str, Frame]) -> None:
        """Send two requests at once: answers and state are those of one order."""
        requests = (one, other)
        jobs = [gevent.spawn(self.request, *request) for request in requests]
        gevent.joinall(jobs, timeout=20, raise_error=True)
        codes = [job.get(timeout=0) for job in jobs]
        self.said.append("at once")
        outcomes = []
        for order in ((0, 1), (1, 0)):
            model = copy.deepcopy(self.model)
            for number in order:
                allowed = model.refusals(*requests[number])
                if requests[number][0] in AGAIN and allowed == {"never_seen"}:
                    allowed = {"never_seen", ""}  # both have done it
                if codes[number] not in (allowed or {""}):
                    break
                if not codes[number]:
                    model.apply(*requests[number])
            else:
                outcomes.append(model)
        assert outcomes, self.tell(f"answers of no order: {codes}")
        before, self.model = self.model, self.check_state(outcomes)
        for client in self.clients.values():
            client.take_events()
        joined = [actor for _, actor, _ in requests if actor in self.model.members and actor not in before.members]
        if len(joined) > 1:  # their order is unknown, and it decides who becomes owner when the owner leaves
            self.ask("leave", joined[1], {})

    def forget(self) -> None:
        """Have an account deleted, and register another one of its name."""
        name = self.draw.choice(ACCOUNTS)
        self.said.append(("forget", name))
        assert self.clients[name].request("forget", password=PASSWORD)["response"] == 200
        self.clients[name].close()
        expected = self.model.forget(name)
        del self.clients[name]
        self.settle()
        self.check_events(expected)
        self.check_state([self.model])
        client = self.chat_server.log_in_guest(name)
        client.register()
        self.clients[name] = client
        self.model.accounts.add(name)
        self.settle()

    def grant(self) -> None:
        """Make an account an operator of the server, or no operator any more."""
        name = self.draw.choice(ACCOUNTS)
        service = admin_service(self.chat_server)
        is_operator = name in self.model.operators
        self.said.append(("revoke" if is_operator else "grant", name))
        (service.revoke if is_operator else service.grant)(name)
        (self.model.operators.discard if is_operator else self.model.operators.add)(name)
        self.settle()

    def resume(self) -> None:
        """Have a guest lose its connection and resume its session: it joins again the room that it was in."""
        name = self.draw.choice(GUESTS)
        self.said.append(("resume", name))
        client = self.chat_server.connect()
        client.start_session(name, session=self.clients[name].session)
        self.settle()
        self.clients[name].close()
        self.clients[name] = client
        if name in self.model.guests_in:
            answer = client.request("join", room=ROOM)
            assert answer["response"] == 200, self.tell(f"does not come in again: {answer}")
        self.settle()
        for each in self.clients.values():
            each.take_events()
        self.check_state([self.model])

    def check_events(self, expected: list[tuple[str, Event]]) -> None:
        self.settle()
        for name, client in self.clients.items():
            assert client.request("probe")["response"] == 200
            found = [event for frame in client.events if (event := event_of(frame)) is not None]
            client.events.clear()
            wanted = [event for to, event in expected if to == name]
            assert Counter(found) == Counter(wanted), self.tell(f"{name} was sent {found} instead of {wanted}")

    def check_state(self, models: list[RoomModel]) -> RoomModel:
        """Return the model that all nodes agree with."""
        self.settle()
        found = [self.state_of(node.app) for node in nodes(self.chat_server)]
        for model in models:
            if all(state == (model.state() if model.exists else None) for state in found):
                return model
        raise AssertionError(self.tell(f"nodes know {found}, not any of {[model.state() for model in models]}"))

    def state_of(self, app: Any) -> Any:
        room = app.messenger.rooms.get(ROOM)
        if room is None:
            return None
        kinds: dict[str, set[str]] = {"shut_out": set(), "silence": set()}
        for kind, target in room.access.sanctions:
            kinds[kind].add(target)
        guests = {key: each.by for node in nodes(self.chat_server) for key, each in guest_invitations(node)}
        return {
            "members": sorted(account.key for account in room.members.values()),
            "guests": sorted([*room.guests, *room.remote_guests]),
            "roles": {room.members[id].key: role for id, role in room.roles.items()},
            "rules": {key: getattr(room.rules, key) for key in OPEN_RULES},
            "invitations": {key: each.by for key, each in room.access.invitations.items()} | guests,
            "shut_out": kinds["shut_out"],
            "silenced": kinds["silence"],
            "closed": room.closure is not None,
        }

    def tell(self, what: str) -> str:
        return f"seed {WALK_SEED}: {what}, after\n" + "\n".join(map(str, self.said[-25:]))


def guest_invitations(node: Any) -> list[tuple[str, Any]]:
    room = node.app.messenger.rooms.get(ROOM)
    return list(room.guest_invitations.items()) if room is not None else []


def event_of(frame: Frame) -> Event | None:
    """Return a frame as the model tells it; None if it is not about the room."""
    action = frame["action"]
    if action in ("msg", "invited"):
        return action, frame["from"], None
    if action not in (*TOLD, "close", "open"):
        return None
    return action, frame["user"]["account_name"], frame.get("by")


@pytest.mark.timeout(3600 if IS_LONG else 240)
@pytest.mark.parametrize("walk", range(WALKS))
@pytest.mark.parametrize("can_race", [False, True], ids=["one by one", "some at once"])
def test_a_room_does_what_the_protocol_says(
    can_race: bool, walk: int, as_cluster: str, start_chat_server: Callable[..., ChatServer]
) -> None:
    chat_server = start_chat_server()
    Walk(chat_server, random.Random(f"{WALK_SEED} {walk} {can_race}"), can_race=can_race).run(
        STEPS // 4 if as_cluster and not IS_LONG else STEPS
    )
