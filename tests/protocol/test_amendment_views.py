"""Random messages, edits, erases, reactions and resends, with connections lost between: all see the same in the end.

Each device folds what it was sent, as clients do, and ends with what `history` shows; an erased text is nowhere after
the 200. Short here, long with FAULTS=long; FAULTS_SEED repeats one.
"""

import os
import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.chaos.scale import IS_LONG, WALK_SEED
from tests.protocol.test_rooms import join
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import Frame, settle

WALKS: Final = int(os.environ.get("FAULTS_WALKS") or (20 if IS_LONG else 2))
STEPS: Final = 300 if IS_LONG else 80
ROOM: Final = "#dev"
PEOPLE: Final = (("hank", "laptop"), ("hank", "phone"), ("dale", "laptop"), ("bobby", "laptop"))
TEXTS: Final = ("\N{THUMBS UP SIGN}", "\N{PARTY POPPER}")
ACTIONS: Final = (
    *("say",) * 5,
    *("edit", "erase") * 3,
    *("reply", "react", "unreact") * 2,
    "resend",
    "leave",
    *("lose",) * 2,
)


def fold_frame(view: dict[int, Frame], edits: dict[int, int], frame: Frame) -> None:
    """Apply a message to what a client shows, by seq, as a client does; `edits`: the last edit of each."""
    what, seq, about = frame.get("what"), frame["seq"], frame.get("about")
    if what is None and seq not in view:
        view[seq] = {"message": frame["message"], "erased": frame.get("erased", False), "about": about}
    elif about in view and what == "erase":
        view[about].update(message="", erased=True)
    elif about in view and what == "edit" and not view[about]["erased"] and seq > edits.get(about, 0):
        view[about]["message"], edits[about] = frame["message"], seq


class Device:
    """A device of an account: its connection, and what it shows of the room."""

    def __init__(self, chat_server: ChatServer, name: str, device: str) -> None:
        self.chat_server, self.name, self.device = chat_server, name, device
        self.view: dict[int, Frame] = {}
        self.edits: dict[int, int] = {}
        self.client: UserClient | None = None

    def connect(self) -> UserClient:
        if self.client is None:
            self.client = self.chat_server.log_in(self.name, self.device)
            self.fold(self.client.backlog)
        return self.client

    def fold(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame["action"] == "msg" and frame["to"] == ROOM:
                fold_frame(self.view, self.edits, frame)

    def take(self) -> None:
        """Fold what has arrived, and acknowledge it."""
        if self.client is None:
            return
        assert self.client.request("probe")["response"] == 200
        frames = list(self.client.events)
        self.client.events.clear()
        self.fold(frames)
        seqs = [frame["seq"] for frame in frames if frame["action"] == "msg" and frame["to"] == ROOM]
        if seqs:
            self.client.acknowledge(ROOM, max(seqs))

    def lose(self) -> None:
        if self.client is not None:
            self.client.close()
            self.client = None


class Walk:
    """Devices in one room, and what was sent there."""

    def __init__(self, chat_server: ChatServer, draw: random.Random) -> None:
        self.chat_server, self.draw = chat_server, draw
        self.devices = [Device(chat_server, *each) for each in PEOPLE]
        self.members = {device.name for device in self.devices}
        self.sent: list[tuple[str, Frame, int]] = []
        self.authors: dict[int, str] = {}
        self.erased: list[str] = []
        self.count = 0
        for device in self.devices:
            join(device.connect(), ROOM)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            device = self.draw.choice(self.devices)
            action = self.draw.choice(ACTIONS)
            if action == "lose":
                device.lose()
            elif action == "leave":
                self.leave_or_join(device)
            elif device.name in self.members:
                getattr(self, action)(device)
            if self.draw.random() < 0.3:
                device.take()
        self.check()

    def send(self, device: Device, **fields: Any) -> Frame:
        self.count += 1
        frame = {"id": f"{device.name}-{device.device}-{self.count}", "to": ROOM, **fields}
        answer = device.connect().request("msg", **frame)
        if answer["response"] == 200:
            self.sent.append((f"{device.name} {device.device}", frame, answer["seq"]))
            device.fold(list(device.connect().events))  # what came before the answer
            device.fold([{"action": "msg", "message": "", **frame, "seq": answer["seq"]}])
        else:
            assert answer["code"] in ("no_such_message", "not_yours"), answer
        return answer

    def text(self) -> str:
        return f"word{self.count} said"

    def say(self, device: Device, **fields: Any) -> None:
        answer = self.send(device, message=self.text(), **fields)
        if answer["response"] == 200:
            self.authors[answer["seq"]] = device.name

    def choose(self, name: str) -> int:
        own = [seq for seq, author in self.authors.items() if author == name] or [1]
        return self.draw.choice(own if self.draw.random() < 0.8 else list(range(1, max(self.authors, default=1) + 3)))

    def reply(self, device: Device) -> None:
        self.say(device, about=self.choose(device.name))

    def edit(self, device: Device) -> None:
        self.send(device, message=self.text(), about=self.choose(device.name), what="edit")

    def erase(self, device: Device) -> None:
        seq = self.choose(device.name)
        answer = self.send(device, about=seq, what="erase")
        if answer["response"] == 200:
            texts = [frame["message"] for _, frame, at in self.sent if at == seq and "message" in frame]
            texts += [
                frame["message"] for _, frame, _ in self.sent if frame.get("what") == "edit" and frame["about"] == seq
            ]
            self.erased += texts
            self.check_erased(texts)

    def react(self, device: Device) -> None:
        self.send(device, message=self.draw.choice(TEXTS), about=self.choose(device.name), what="react")

    def unreact(self, device: Device) -> None:
        self.send(device, message=self.draw.choice(TEXTS), about=self.choose(device.name), what="unreact")

    def resend(self, device: Device) -> None:
        """Send again what was sent, as a client that has lost the answer: it is answered the same."""
        own = [each for each in self.sent if each[0] == f"{device.name} {device.device}"]
        if own:
            _, frame, seq = self.draw.choice(own)
            answer = device.connect().request("msg", **frame)
            assert answer.get("seq") == seq, (frame, seq, answer)

    def leave_or_join(self, device: Device) -> None:
        if device.name == "bobby":
            is_in = device.name in self.members
            assert device.connect().request("leave" if is_in else "join", room=ROOM)["response"] == 200
            (self.members.discard if is_in else self.members.add)(device.name)

    def check_erased(self, texts: list[str]) -> None:
        """Check that an erased text is in nothing that is read from the store."""
        settle(self.chat_server, always=True)
        reader = self.draw.choice([each for each in self.devices if each.name in self.members]).connect()
        for text in texts:
            assert text not in reader.search(text.split()[0]), text
        found = str(
            [reader.request("export"), *(reader.history(ROOM, limit=500, amendments=each) for each in (True, False))]
        )
        assert [text for text in texts if f"'{text}'" in found] == []

    def check(self) -> None:
        """Check that each device shows what `history` does, of what it was sent."""
        settle(self.chat_server, always=True)
        if "bobby" not in self.members:
            self.leave_or_join(self.devices[-1])
        self.check_erased(self.erased)
        for device in self.devices:
            client = device.connect()
            device.take()
            shown = {
                frame["seq"]: {
                    "message": frame["message"],
                    "erased": frame.get("erased", False),
                    "about": frame.get("about"),
                }
                for frame in self.page(client)
            }
            if device.name == "bobby":  # who was away, and is not sent what was done meanwhile
                continue
            different = {seq: (one, shown.get(seq)) for seq, one in device.view.items() if shown.get(seq) != one}
            assert different == {}, f"seed {WALK_SEED}: {device.name} {device.device}"
            assert device.view.keys() == shown.keys(), f"seed {WALK_SEED}: {device.name} {device.device}"

    def page(self, client: UserClient) -> list[Frame]:
        """Return the whole history, in small pages."""
        found: list[Frame] = []
        while page := client.history(ROOM, limit=7, **({"before": found[0]["seq"]} if found else {})):
            found = [*page, *found]
        return found


@pytest.mark.timeout(3600 if IS_LONG else 240)
@pytest.mark.parametrize("walk", range(WALKS))
def test_all_devices_show_what_history_does_and_nothing_erased(
    walk: int, as_cluster: str, start_chat_server: Callable[..., ChatServer]
) -> None:
    chat_server = start_chat_server()
    Walk(chat_server, random.Random(f"{WALK_SEED} {walk}")).run(STEPS // 2 if as_cluster and not IS_LONG else STEPS)
