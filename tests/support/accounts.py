"""People with accounts: `Person` is a native session that keeps what it was sent, `Population` a store in which some
are registered already, so that no test waits for password hashing, and `Town` a server on a copy of that store."""

import itertools
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import gevent

from tests.support.course_clients import TIMEOUT, Address, CourseClient, Frame, Spelling, calm
from tests.support.native_clients import Dial, Native, dumped

PASSWORD = "correct horse battery staple"
NAMES = ("hank", "dale", "bobby", "peggy")
DEVICES = ("laptop", "phone")
FRESH = itertools.count()


def seqs(frames: Iterable[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames]


def texts(frames: Iterable[Frame]) -> list[str]:
    return [frame["message"] for frame in frames]


def numbered(count: int, start: int = 1) -> list[str]:
    return [f"text {number}" for number in range(start, start + count)]


def is_refusal(answer: Frame) -> bool:
    """With a sentence and a word, where the protocol does not say which of the 4xx it is."""
    return 400 <= answer["response"] < 500 and bool(answer["error"] and answer["code"])


class Person(Native):
    """A native session whose ids are never used again, not even by the next session of the same device."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        super().__init__(server, receive_buffer)
        self.ids = (f"m{number}" for number in FRESH)
        self.session = ""
        self.backlog: list[Frame] = []

    def enter(self, name: str, **user: Any) -> Self:
        answer = self.present(name, **user)
        assert answer["response"] == 200, answer
        self.name, self.session = name, answer["session"]
        self.backlog = self.until_synced()
        return self

    def register(self, password: Any = PASSWORD, **fields: Any) -> Frame:
        answer = self.ask("register", password=password, **fields)
        assert answer["response"] == 201, answer
        return answer

    def until_synced(self) -> list[Frame]:
        """The messages that come before the next `synced`."""
        came = []
        while (frame := self.event())["action"] != "synced":
            came.append(frame)
        return [frame for frame in came if frame["action"] == "msg"]

    def sends(self, to: str, *words: str) -> list[int]:
        """Says them one after the other; their seqs."""
        answers = [self.say(to, text) for text in words]
        assert [answer["response"] for answer in answers] == [200] * len(words), answers
        return seqs(answers)

    def pours(self, to: str, words: Sequence[str], ids: Sequence[str] = ()) -> list[Frame]:
        """Sends all without waiting; the answers in the order of the words, in which they need not come."""
        ids = ids or [next(self.ids) for _ in words]
        lines = [dumped(action="msg", id=one, to=to, message=text) for one, text in zip(ids, words, strict=True)]
        writing, answers = gevent.spawn(self.send_bytes, b"".join(lines)), {}
        while len(answers) < len(ids):
            if "response" in (frame := self.recv()):
                answers[frame["id"]] = frame
            else:
                self.events.append(frame)
        writing.get(timeout=TIMEOUT)
        return [answers[one] for one in ids]

    def hears(self, count: int) -> list[Frame]:
        return [self.event("msg") for _ in range(count)]

    def unheard(self, action: str = "msg") -> list[Frame]:
        """What came of that action without having been waited for; all else that came is forgotten."""
        calm(self.server, always=True)
        assert self.ask("probe")["response"] == 200
        came = [frame for frame in self.events if frame["action"] == action]
        self.events.clear()
        return came

    def acknowledges(self, conversation: str, seq: int) -> None:
        """Sure to survive, as a later request was answered."""
        self.send({"action": "ack", "with": conversation, "seq": seq})
        assert self.ask("probe")["response"] == 200

    def history(self, conversation: str, **fields: Any) -> list[Frame]:
        answer = self.ask("history", **{"with": conversation}, **fields)
        assert answer["response"] == 200, answer
        return answer["messages"]

    def finds(self, text: str, **fields: Any) -> list[str]:
        answer = self.ask("search", text=text, **fields)
        assert answer["response"] == 200, answer
        return texts(answer["messages"])


@dataclass
class Population:
    """The store of a server that was stopped, and the sessions it gave to NAMES on DEVICES."""

    store: str
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)

    def copied(self, folder: Path) -> str:
        """The URL of a store of one's own with everybody in it."""
        path = Path(self.store.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            if file.is_file():
                shutil.copy(file, folder)
        return f"sqlite:///{folder / path.name}"

    def comes(self, server: Address, dial: Dial, name: str, device: str = "laptop") -> Person:
        """Somebody logs in with the session of that device; with the password, should the server not know it."""
        dial.open.append(person := Person(server))
        if person.present(name, device=device, session=self.sessions[name, device])["response"] == 200:
            person.name, person.backlog = name, person.until_synced()
            return person
        return person.enter(name, device=device, password=PASSWORD)


@dataclass(frozen=True)
class Place:
    """Where a server process listens."""

    port: int
    host: str = "127.0.0.1"


class Town:
    """A server on a store with everybody in it, which can be restarted."""

    host = "127.0.0.1"

    def __init__(self, start: Callable[..., Any], dial: Dial, population: Population, store: str) -> None:
        self.start, self.dial, self.population, self.store = start, dial, population, store
        self.server: Any = None

    @property
    def port(self) -> int:
        return self.server.port

    def calm(self, *, always: bool) -> None:
        calm(self.server, always=always)

    def opens(self, **options: Any) -> Self:
        self.server = self.start(store=self.store, **options)
        return self

    def restarts(self, **options: Any) -> None:
        """Everybody hangs up, the server stops as SIGTERM does and starts again on what was remembered."""
        self.dial.close()
        self.server.stop()
        self.opens(**options)

    def comes(self, name: str, device: str = "laptop") -> Person:
        return self.population.comes(self, self.dial, name, device)

    def dials(self, receive_buffer: int = 0) -> Person:
        """A connection that has not logged in."""
        self.dial.open.append(person := Person(self, receive_buffer))
        return person

    def guest(self, name: str, receive_buffer: int = 0) -> Person:
        return self.dials(receive_buffer).enter(name)

    def course(self, spelling: Spelling, name: str) -> CourseClient:
        return self.dial.course(self, spelling, name)
