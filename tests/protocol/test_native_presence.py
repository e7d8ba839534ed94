"""Who is there: users, status and presence events, probes both ways, quitting, full queues.
Section 2 of the protocol."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from gevent.queue import Queue

from tests.support.course_clients import CLASSIC, Address, CourseClient
from tests.support.native_clients import Connector, NativeClient
from tests.support.timeouts import TEST_TIMEOUT


def names(answer: dict[str, Any]) -> list[str]:
    assert answer["response"] == 200
    assert all(set(user) == {"account_name", "status"} for user in answer["users"])
    return [user["account_name"] for user in answer["users"]]


def exchange_greeting(hank: NativeClient, dale: NativeClient) -> None:
    assert hank.send_message(dale.name, "hello")["response"] == 202
    assert dale.receive_message() == (hank.name, "hello")


def receive_presence(native: NativeClient) -> tuple[str, str]:
    """Return name and status of the next event, which has to be a presence event."""
    frame = native.next_event()
    name, status = frame["user"]["account_name"], frame["user"]["status"]
    assert frame == {"action": "presence", "user": {"account_name": name, "status": status}}
    assert isinstance(status, str) and status
    return name, status


@contextmanager
def reading_texts(client: CourseClient, received: Queue[str]) -> Iterator[None]:
    """Put the texts of a course client's messages into a queue as they arrive."""

    def read() -> None:
        while True:
            received.put(client.receive_message()[1])

    reader = gevent.spawn(read)
    try:
        yield
        assert not reader.dead, reader.exception
    finally:
        reader.kill()


def test_users_lists_natives_and_course_clients_who_are_present(server: Address, connector: Connector) -> None:
    hank, left = connector.open_native(server, "Hank"), connector.open_native(server, "gone")
    connector.log_in_course(server, CLASSIC, "dale")
    left.send({"action": "quit"})
    left.expect_closed()
    assert sorted(names(hank.request("users"))) == ["Hank", "dale"]


def test_users_after_a_name_go_on_behind_it(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    for name in ("bobby", "dale", "peggy", "小林さん"):
        connector.open_native(server, name)
    store = names(hank.request("users"))
    assert len(store) == 5
    for number, name in enumerate(store):
        assert names(hank.request("users", after=name)) == store[number + 1 :]


def test_paging_through_users_names_each_once(start_server: Callable[..., Address], connector: Connector) -> None:
    server = start_server(max_frame=4096)
    present = {f"somebody-{number:03}" for number in range(300)} | {"hank"}
    for name in present - {"hank"}:
        connector.open_native(server, name)
    hank = connector.open_native(server, "hank")
    seen, page = [], names(hank.request("users"))
    while page:
        seen += page
        page = names(hank.request("users", after=page[-1]))
    assert len(seen) == len(present) and set(seen) == present


def test_leaving_returning_and_a_new_status_are_told_to_those_who_share_a_conversation_and_to_nobody_else(
    server: Address, connector: Connector
) -> None:
    hank, dale, bobby, peggy = (connector.open_native(server, name) for name in ("hank", "dale", "bobby", "peggy"))
    exchange_greeting(hank, dale)
    exchange_greeting(bobby, hank)
    dale.send({"action": "quit"})
    dale.expect_closed()
    assert bobby.request("status", status="away")["response"] == 200
    notice = dict(receive_presence(hank) for _ in range(2))
    assert set(notice) == {"bobby", "dale"} and notice["bobby"] == "away"
    connector.open_native(server, "dale")
    name, returned = receive_presence(hank)
    assert name == "dale" and returned != notice["dale"]
    for native in (hank, bobby, peggy):
        native.expect_no_events()


def test_users_show_the_status(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    assert dale.request("status", status="away")["response"] == 200
    entries = {user["account_name"]: user["status"] for user in hank.request("users")["users"]}
    assert entries["dale"] == "away" != entries["hank"]


def test_coming_and_going_within_a_second_is_told_at_most_once(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    exchange_greeting(hank, dale)
    for _ in range(5):
        dale.send({"action": "quit"})
        dale.expect_closed()
        dale = connector.open_native(server, "dale")
    dale.request("status", status="back for good")
    notice = list(
        itertools.takewhile(lambda status: status != "back for good", (receive_presence(hank)[1] for _ in range(12)))
    )
    assert len(notice) <= 1
    hank.expect_no_events()


def test_a_probe_is_answered_200(server: Address, connector: Connector) -> None:
    hank = connector.open_native(server, "hank")
    assert hank.request("probe", id="p1")["response"] == 200
    hank.send({"action": "probe"})
    answer = hank.receive()
    assert answer["response"] == 200 and "id" not in answer


def test_the_server_probes_who_is_idle_and_any_frame_in_return_will_do(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(probe_after=0.1, probe_timeout=0.3)
    hank = connector.open_native(server, "hank")
    for reply in ({"action": "probe"}, {"action": "users"}, {"action": "msg", "to": "hank", "message": "x"}):
        assert hank.next_event() == {"action": "probe"}
        hank.send(reply)
        if reply["action"] != "msg":
            assert hank.receive()["response"] == 200
    assert hank.next_event() == {"action": "probe"}


def test_who_does_not_answer_a_probe_is_closed_and_its_name_is_free(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(probe_after=0.1, probe_timeout=0.2)
    hank = connector.open_native(server, "hank")
    assert hank.receive_until_closed()[0] == {"action": "probe"}
    connector.open_native(server, "hank")


def test_quit_is_not_answered_and_closes_after_everything_queued_is_written(
    server: Address, connector: Connector
) -> None:
    hank = connector.open_native(server, "hank")
    for number in range(200):
        hank.send({"action": "probe", "id": f"p{number}"})
    hank.send({"action": "quit"})
    assert [frame["id"] for frame in hank.receive_until_closed()] == [f"p{number}" for number in range(200)]
    connector.open_native(server, "hank")


def test_quit_closes_after_the_messages_of_others_were_written(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    for number in range(100):
        hank.send({"action": "msg", "to": "dale", "message": f"{number}"})
    assert hank.request("probe")["response"] == 200
    dale.send({"action": "quit"})
    assert [frame["message"] for frame in dale.receive_until_closed()] == [f"{number}" for number in range(100)]


def test_what_was_sent_before_hanging_up_is_delivered(server: Address, connector: Connector) -> None:
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    for number in range(100):
        hank.send({"action": "msg", "to": "dale", "message": f"{number}"})
    hank.close()
    assert [dale.receive_message()[1] for _ in range(100)] == [f"{number}" for number in range(100)]


def test_a_course_client_with_a_full_queue_is_busy_and_loses_nothing_accepted(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(outbox_frames=4)
    hank, dale = connector.open_native(server, "hank"), connector.log_in_course(server, CLASSIC, "dale")
    dale.send_message("hank", "first word")
    assert hank.receive_message() == ("dale", "first word")
    received: Queue[str] = Queue()
    with reading_texts(
        dale, received
    ):  # all the while: a course client that is busy elsewhere finds two frames in one recv
        answers = [hank.send_message("dale", f"{number}") for number in range(30)]
        accepted = [f"{number}" for number, answer in enumerate(answers) if answer["response"] == 202]
        rejected = [answer for answer in answers if answer["response"] != 202]
        assert accepted and rejected
        assert {(answer["response"], answer["code"]) for answer in rejected} == {(429, "recipient_busy")}
        assert [received.get(timeout=TEST_TIMEOUT) for _ in accepted] == accepted


def test_a_guest_who_does_not_read_is_busy_and_loses_nothing_accepted(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(outbox_frames=50)
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale", receive_buffer=4096)
    accepted, text = 0, "x" * 16000
    while (answer := hank.send_message("dale", text))["response"] == 202:
        accepted += 1
        assert accepted < 5000, "nothing seems to be bounded"
    assert (answer["response"], answer["code"]) == (429, "recipient_busy")
    assert [dale.receive_message()[1] for _ in range(accepted)] == [text] * accepted
    assert hank.send_message("dale", "awake")["response"] == 202
    assert dale.receive_message() == ("hank", "awake")
