"""Promises 1 to 3 of section 2, when the server is stopped, and killed during a burst."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from tests.support.accounts import (
    PASSWORD,
    ChatServer,
    PopulatedStore,
    ProcessAddress,
    UserClient,
    numbered_texts,
    seqs,
    texts,
)
from tests.support.course_clients import TIMEOUT, Address, Frame
from tests.support.native_clients import Connector, encode_frame
from tests.support.server import ServerProcess

BURST = 3000


class SentMessages:
    """Texts of a sender by message id, and the seqs of those answered 200."""

    def __init__(self, sender: str) -> None:
        self.texts = {f"{sender} {number}": f"text {number} of {sender}" for number in range(BURST)}
        self.seqs: dict[str, int] = {}

    def unanswered(self) -> dict[str, str]:
        return {one: text for one, text in self.texts.items() if one not in self.seqs}

    def stored(self) -> dict[str, int]:
        return {self.texts[one]: seq for one, seq in self.seqs.items()}


@contextlib.contextmanager
def running_server(store: str) -> Iterator[tuple[Callable[[], None], Address]]:
    """Start a server process; return its kill function, which is also called at the end, and its address."""
    with ServerProcess("--ip", "127.0.0.1", "--store", store) as process:
        yield process.process.kill, ProcessAddress(process.wait_for_port())


def send_burst(client: UserClient, to: str, sent: SentMessages, responses: Callable[[], object]) -> None:
    """Send everything unanswered without waiting, and read responses to the end of the connection."""
    lines = b"".join(encode_frame(action="msg", id=one, to=to, message=text) for one, text in sent.unanswered().items())

    def write() -> None:
        with contextlib.suppress(OSError):
            client.send_bytes(lines)

    writer_greenlet = gevent.spawn(write)
    with contextlib.suppress(ConnectionError, EOFError):
        while len(sent.seqs) < len(sent.texts):
            frame = client.receive()
            if "response" in frame:
                assert frame["response"] == 200, frame
                sent.seqs[frame["id"]] = frame["seq"]
                responses()
    writer_greenlet.get(timeout=TIMEOUT)


def receive_until_closed(client: UserClient, received: list[Frame], acknowledging: str = "") -> None:
    """Record new messages to the end of the connection, acknowledging some if a name is given."""
    with contextlib.suppress(ConnectionError, EOFError):
        while True:
            frame = client.next_event("msg")
            if frame["seq"] > (received[-1]["seq"] if received else 0):
                received.append(frame)
            if acknowledging and len(received) % 40 == 0:
                client.send({"action": "ack", "with": acknowledging, "seq": received[-1]["seq"]})


def resend(client: UserClient, to: str, sent: SentMessages) -> None:
    """Send everything unanswered again, with the same ids."""
    missing = sent.unanswered()
    answers = client.send_pipelined(to, list(missing.values()), list(missing))
    assert {answer["response"] for answer in answers} <= {200}, answers
    sent.seqs |= {answer["id"]: answer["seq"] for answer in answers}


def test_what_was_answered_200_is_delivered_after_a_restart_and_what_was_acknowledged_is_not(
    chat_server: ChatServer,
) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_pipelined("dale", numbered_texts(500))
    dale.receive_messages(500)
    dale.acknowledge("hank", 200)
    chat_server.restart()
    dale = chat_server.log_in("dale")
    assert seqs(dale.backlog) == list(range(201, 501))
    assert texts(dale.backlog) == numbered_texts(300, 201)
    assert chat_server.log_in("hank").backlog == []
    assert texts(dale.history("hank", limit=3)) == numbered_texts(3, 498)


def test_seqs_go_on_and_ids_are_remembered_after_restarts(chat_server: ChatServer) -> None:
    for round_ in range(3):
        hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
        for client in (hank, dale):
            assert client.request("join", room="#dev")["response"] == 200
        assert dale.send_messages("hank", "x") == [3 * round_ + 1]
        for to, seq in (("dale", 3 * round_ + 2), ("#dev", 2 * round_ + 1)):
            assert hank.request("msg", id=f"m{round_}", to=to, message="text")["seq"] == seq
        for old in range(round_ + 1):
            assert hank.request("msg", id=f"m{old}", to="dale", message="text")["seq"] == 3 * old + 2
            assert hank.request("msg", id=f"m{old}", to="#dev", message="text")["seq"] == 2 * old + 1
            answer = hank.request("msg", id=f"m{old}", to="dale", message="another text")
            assert (answer["response"], answer["code"]) == (409, "id_reused")
        assert hank.send_messages("dale", "y") == [3 * round_ + 3] and hank.send_messages("#dev", "y") == [
            2 * round_ + 2
        ]
        chat_server.restart()
    dale = chat_server.log_in("dale")
    direct = [frame["seq"] for frame in dale.history("hank")]
    assert (direct, seqs(dale.history("#dev"))) == (list(range(1, 10)), list(range(1, 7)))


def test_everything_accepted_while_stopping_is_stored(chat_server: ChatServer) -> None:
    hank, sent, started = chat_server.log_in("hank"), SentMessages("hank"), Event()
    sending = gevent.spawn(send_burst, hank, "dale", sent, started.set)
    assert started.wait(TIMEOUT)
    chat_server.server.stop()
    chat_server.start()
    sending.get(timeout=TIMEOUT)
    backlog = chat_server.log_in("dale").backlog
    assert seqs(backlog) == list(range(1, len(backlog) + 1))
    assert sent.stored().items() <= {frame["message"]: frame["seq"] for frame in backlog}.items()
    resend(chat_server.log_in("hank"), "dale", sent)
    backlog = chat_server.log_in("dale").backlog
    assert len(backlog) == BURST
    assert {frame["message"]: frame["seq"] for frame in backlog} == sent.stored()


def test_the_greeting_says_whether_anything_is_kept(
    start_server: Callable[..., Any], connector: Connector, tmp_path: Any
) -> None:
    stores = ("memory:", f"sqlite:///{tmp_path / 'chat.db'}")
    greetings = [connector.open_native(start_server(store=store)).log_in("hank")["alert"] for store in stores]
    assert greetings[0] != greetings[1] and all(greetings)


def test_a_store_is_made_with_its_folder_and_for_nobody_else_to_read(
    start_server: Callable[..., Any], connector: Connector, tmp_path: Any
) -> None:
    path = tmp_path / "not" / "there" / "chat.db"
    server = start_server(store=f"sqlite:///{path}")
    connector.connections.append(hank := UserClient(server))
    hank.start_session("hank").register()
    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir() if file.is_file()} == {"0o600"}


@pytest.mark.parametrize("kill_after", [1, 1000])
def test_killed_in_a_burst_nothing_answered_is_lost_or_doubled(
    kill_after: int, populated_store: PopulatedStore, connector: Connector, tmp_path: Path
) -> None:
    store, received = populated_store.copy(tmp_path), []
    crowd = {"hank": SentMessages("hank"), "bobby": SentMessages("bobby")}
    with running_server(store) as (kill, address):
        dale, *clients = [populated_store.log_in(address, connector, name) for name in ("dale", *crowd)]
        for client in (dale, *clients):
            assert client.request("join", room="#dev")["response"] == 200

        def kill_process() -> None:
            if sum(len(sent.seqs) for sent in crowd.values()) == kill_after:
                kill()

        jobs = [gevent.spawn(send_burst, client, "#dev", crowd[client.name], kill_process) for client in clients]
        gevent.joinall([*jobs, gevent.spawn(receive_until_closed, dale, received)], timeout=20, raise_error=True)
    responses = crowd["hank"].stored() | crowd["bobby"].stored()
    assert len(responses) >= kill_after
    assert seqs(received) == list(range(1, len(received) + 1)), "what came before the kill"
    with running_server(store) as (_, address):
        dale = populated_store.log_in(address, connector, "dale")
        stored = {frame["message"]: frame["seq"] for frame in dale.backlog}
        assert seqs(dale.backlog) == list(range(1, len(stored) + 1)), "holes, doubles or disorder"
        assert responses.items() <= stored.items(), "answered 200 and lost or moved"
        assert {frame["message"]: frame["seq"] for frame in received}.items() <= stored.items(), "heard and not stored"
        for name, sent in crowd.items():
            resend(populated_store.log_in(address, connector, name), "#dev", sent)
        stored |= {frame["message"]: frame["seq"] for frame in dale.receive_messages(2 * BURST - len(stored))}
        assert dale.take_events() == [], "stored twice"
        assert stored == crowd["hank"].stored() | crowd["bobby"].stored()
        assert sorted(stored.values()) == list(range(1, 2 * BURST + 1))
        connector.close()


def test_killed_again_and_again_a_client_that_drops_what_it_has_hears_each_once(
    populated_store: PopulatedStore, connector: Connector, tmp_path: Path
) -> None:
    store, sent, received = populated_store.copy(tmp_path), SentMessages("hank"), []
    for goal in (1, 700, BURST):
        with running_server(store) as (kill, address):
            dale, hank = (populated_store.log_in(address, connector, name) for name in ("dale", "hank"))
            received += [frame for frame in dale.backlog if frame["seq"] > (received[-1]["seq"] if received else 0)]
            listening = gevent.spawn(receive_until_closed, dale, received, "hank")
            send_burst(hank, "dale", sent, lambda kill=kill, goal=goal: kill() if len(sent.seqs) >= goal else None)
            kill()
            listening.get(timeout=TIMEOUT)
    with running_server(store) as (_, address):
        last = received[-1]["seq"]
        received += [
            frame for frame in populated_store.log_in(address, connector, "dale").backlog if frame["seq"] > last
        ]
        connector.close()
    assert seqs(received) == list(range(1, BURST + 1))
    assert {frame["message"]: frame["seq"] for frame in received} == sent.stored()


def test_an_acknowledgement_survives_a_kill_once_any_later_answer_was_received(
    populated_store: PopulatedStore, connector: Connector, tmp_path: Path
) -> None:
    store = populated_store.copy(tmp_path)
    with running_server(store) as (kill, address):
        hank, dale, bobby = (populated_store.log_in(address, connector, name) for name in ("hank", "dale", "bobby"))
        hank.send_messages("dale", *numbered_texts(3))
        dale.receive_messages(3)
        busy = gevent.spawn(hank.send_bytes, encode_frame(action="msg", to="bobby", message="x" * 15000) * 400)
        bobby.receive_messages(1)  # the disk is busy by now
        dale.acknowledge("hank", 3)
        kill()
        busy.kill()
    with running_server(store) as (_, address):
        assert populated_store.log_in(address, connector, "dale").backlog == []
        connector.close()


def test_accounts_rooms_topics_and_cursors_survive_a_kill(
    populated_store: PopulatedStore, connector: Connector, tmp_path: Path
) -> None:
    store = populated_store.copy(tmp_path)
    with running_server(store) as (kill, address):
        connector.connections.append(olga := UserClient(address))
        olga.start_session("olga").register()
        hank = populated_store.log_in(address, connector, "hank")
        for client in (hank, olga):
            assert client.request("join", room="#dev")["response"] == 200
        hank.send_messages("olga", *numbered_texts(3))
        olga.receive_messages(3)
        olga.acknowledge("hank", 2)
        hank.send_messages("#dev", *numbered_texts(3))
        assert hank.request("topic", room="#dev", topic="what stays")["response"] == 200
        kill()
    with running_server(store) as (_, address):
        connector.connections.append(again := UserClient(address))
        again.start_session("olga", password=PASSWORD)
        waiting = [(frame["to"], frame["seq"]) for frame in again.backlog]
        assert sorted(waiting) == [("#dev", 1), ("#dev", 2), ("#dev", 3), ("olga", 3)]
        assert again.request("join", room="#dev")["topic"] == "what stays"
        assert populated_store.log_in(address, connector, "hank").send_messages("#dev", "four") == [4]
        assert again.next_event("msg")["seq"] == 4
        connector.close()
