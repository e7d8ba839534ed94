"""Clients with accounts, and servers whose store holds these accounts already.

Registering over the wire would hash a password each time; `PopulatedStore` does so once for all tests.
"""

import itertools
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import gevent

from tests.support.course_clients import TIMEOUT, Address, CourseClient, CourseVariant, Frame, settle
from tests.support.native_clients import Connector, NativeClient, encode_frame

PASSWORD = "correct horse battery staple"
NAMES = ("hank", "dale", "bobby", "peggy")
DEVICES = ("laptop", "phone")
ID_COUNTER = itertools.count()


def seqs(frames: Iterable[Frame]) -> list[int]:
    return [frame["seq"] for frame in frames]


def texts(frames: Iterable[Frame]) -> list[str]:
    return [frame["message"] for frame in frames]


def numbered_texts(count: int, start: int = 1) -> list[str]:
    return [f"text {number}" for number in range(start, start + count)]


def is_client_error(answer: Frame) -> bool:
    """Return whether a response is a complete 4xx error, where the protocol leaves open which one."""
    return 400 <= answer["response"] < 500 and bool(answer["error"] and answer["code"])


class UserClient(NativeClient):
    """A native client that keeps the events of its login. Its message ids are unique in the test run."""

    def __init__(self, server: Address, receive_buffer: int = 0) -> None:
        super().__init__(server, receive_buffer)
        self.ids = (f"m{number}" for number in ID_COUNTER)
        self.session = ""
        self.backlog: list[Frame] = []

    def start_session(self, name: str, **user: Any) -> Self:
        answer = self.try_log_in(name, **user)
        assert answer["response"] == 200, answer
        self.name, self.session = name, answer["session"]
        self.backlog = self.receive_until_synced()
        return self

    def register(self, password: Any = PASSWORD, **fields: Any) -> Frame:
        answer = self.request("register", password=password, **fields)
        assert answer["response"] == 201, answer
        return answer

    def receive_until_synced(self) -> list[Frame]:
        """Receive up to the next `synced` event; return the messages before it."""
        frames = []
        while (frame := self.next_event())["action"] != "synced":
            frames.append(frame)
        return [frame for frame in frames if frame["action"] == "msg"]

    def send_messages(self, to: str, *texts: str) -> list[int]:
        """Send messages one after the other; return their seqs."""
        answers = [self.send_message(to, text) for text in texts]
        assert [answer["response"] for answer in answers] == [200] * len(texts), answers
        return seqs(answers)

    def send_pipelined(self, to: str, texts: Sequence[str], ids: Sequence[str] = ()) -> list[Frame]:
        """Send messages without waiting; return the responses in the order of the texts."""
        ids = ids or [next(self.ids) for _ in texts]
        lines = [encode_frame(action="msg", id=one, to=to, message=text) for one, text in zip(ids, texts, strict=True)]
        writer_greenlet, answers = gevent.spawn(self.send_bytes, b"".join(lines)), {}
        while len(answers) < len(ids):
            if "response" in (frame := self.receive()):
                answers[frame["id"]] = frame
            else:
                self.events.append(frame)
        writer_greenlet.get(timeout=TIMEOUT)
        return [answers[one] for one in ids]

    def receive_messages(self, count: int) -> list[Frame]:
        return [self.next_event("msg") for _ in range(count)]

    def take_events(self, action: str = "msg") -> list[Frame]:
        """Return the events of an action that have arrived and were not read, and drop all others."""
        settle(self.server, always=True)
        assert self.request("probe")["response"] == 200
        frames = [frame for frame in self.events if frame["action"] == action]
        self.events.clear()
        return frames

    def acknowledge(self, conversation: str, seq: int) -> None:
        """Acknowledge messages, and wait until that is durable: a later request has been answered."""
        self.send({"action": "ack", "with": conversation, "seq": seq})
        assert self.request("probe")["response"] == 200

    def history(self, conversation: str, **fields: Any) -> list[Frame]:
        answer = self.request("history", **{"with": conversation}, **fields)
        assert answer["response"] == 200, answer
        return answer["messages"]

    def search(self, text: str, **fields: Any) -> list[str]:
        answer = self.request("search", text=text, **fields)
        assert answer["response"] == 200, answer
        return texts(answer["messages"])


@dataclass
class PopulatedStore:
    """A store with the accounts NAMES, and their session tokens on DEVICES."""

    store: str
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)

    def copy(self, folder: Path) -> str:
        """Copy the store into a folder; return its URL."""
        path = Path(self.store.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            if file.is_file():
                shutil.copy(file, folder)
        return f"sqlite:///{folder / path.name}"

    def log_in(self, server: Address, connector: Connector, name: str, device: str = "laptop") -> UserClient:
        """Log in with the session token of a device, or the password if the server does not know the token."""
        connector.connections.append(client := UserClient(server))
        if client.try_log_in(name, device=device, session=self.sessions[name, device])["response"] == 200:
            client.name, client.backlog = name, client.receive_until_synced()
            return client
        return client.start_session(name, device=device, password=PASSWORD)


@dataclass(frozen=True)
class ProcessAddress:
    """Address of a server process."""

    port: int
    host: str = "127.0.0.1"


class ChatServer:
    """A server on a copy of a populated store, which can be restarted."""

    host = "127.0.0.1"

    def __init__(
        self, start: Callable[..., Any], connector: Connector, populated_store: PopulatedStore, store: str
    ) -> None:
        self.start_server, self.connector, self.populated_store, self.store = start, connector, populated_store, store
        self.server: Any = None

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def wire(self) -> str:
        return self.server.wire

    def settle(self, *, always: bool) -> None:
        settle(self.server, always=always)

    def start(self, **options: Any) -> Self:
        self.server = self.start_server(store=self.store, **options)
        return self

    def restart(self, **options: Any) -> None:
        """Close all connections, stop the server as SIGTERM does, and start it again on the same store."""
        self.connector.close()
        self.server.stop()
        self.start(**options)

    def log_in(self, name: str, device: str = "laptop") -> UserClient:
        return self.populated_store.log_in(self, self.connector, name, device)

    def connect(self, receive_buffer: int = 0) -> UserClient:
        """Connect without logging in."""
        self.connector.connections.append(client := UserClient(self, receive_buffer))
        return client

    def log_in_guest(self, name: str, receive_buffer: int = 0) -> UserClient:
        return self.connect(receive_buffer).start_session(name)

    def log_in_course(self, variant: CourseVariant, name: str) -> CourseClient:
        return self.connector.log_in_course(self, variant, name)
