"""Frames to course clients: in the form of their presence and first message, split and paced."""

import time
from collections.abc import Callable

from tests.support.course_clients import (
    AFTER_PRESENCE,
    CLASSIC,
    CLOCK,
    DIALECTS,
    MSG,
    REQUEST_FORM,
    STATUS,
    TOLERANCE,
    UPPER,
    VARIANTS,
    Address,
    CourseClient,
)
from tests.support.course_forms import ORDINARY_KEYS, TEXT_KEYS
from tests.support.native_clients import Connector, run_together

LONG_WORDS = {
    "emoji": "🐈🐕" * 120,
    "escapes": '"\\' * 250,
    "control": "\x1b[31m" * 90,
    "cyrillic": "щ" * 450,
    "joined": "a" * 1100,
}


def test_a_message_before_the_first_word_has_all_three_text_keys(server: Address, connector: Connector) -> None:
    dale, hank = connector.log_in_course(server, CLASSIC, "dale"), connector.log_in_course(server, CLASSIC, "hank")
    hank.send_message("dale", "привет")
    frame = dale.receive()
    assert abs(frame.pop("time") - time.time()) < 60
    assert frame == {
        "action": "message",
        **dict.fromkeys(("from", "sender"), "hank"),
        **dict.fromkeys(("to", "destination"), "dale"),
        "user": {"account_name": "hank"},
        **dict.fromkeys(TEXT_KEYS, "привет"),
    }


def test_text_goes_out_as_utf8_and_not_as_escapes(server: Address, connector: Connector) -> None:
    dale, hank = connector.log_in_course(server, STATUS, "dale"), connector.log_in_course(server, CLASSIC, "hank")
    hank.send_message("dale", "привет 😀")
    data = dale.receive_bytes()
    assert "привет 😀".encode() in data and b"\\u" not in data


def test_msg_to_one_who_has_not_spoken_comes_in_the_msg_form_and_then_in_the_message_form(
    server: Address, connector: Connector
) -> None:
    dale, hank = connector.log_in_course(server, CLASSIC, "dale"), connector.log_in_course(server, MSG, "hank")
    hank.send_message("dale", "hello")
    first, second = dale.receive(), dale.receive()
    assert (first["action"], first["message"]) == ("msg", "hello")
    assert (second["action"], second["mess_text"]) == ("message", "hello")
    assert first["to"] == second["to"] == "dale" and first["from"] == second["from"] == "hank"
    dale.check_pacing()


def test_once_spoken_a_message_comes_in_one_form_only(server: Address, connector: Connector) -> None:
    dale, hank = connector.log_in_course(server, CLASSIC, "dale"), connector.log_in_course(server, MSG, "hank")
    dale.send_message("hank", "first word")
    assert hank.receive_message() == ("dale", "first word")
    hank.send_message("dale", "one")
    hank.send_message("dale", "two")
    assert [dale.receive()["mess_text"] for _ in range(2)] == ["one", "two"]


def test_only_an_ordinary_presence_gets_two_forms(server: Address, connector: Connector) -> None:
    clients = connector.log_in_courses(server, {one.name: one for one in (STATUS, UPPER, REQUEST_FORM, CLOCK)})
    hank = connector.log_in_course(server, MSG, "hank")
    for client in clients:
        hank.send_message(client.name, "one")
        hank.send_message(client.name, "two")
    both = [("hank", "one"), ("hank", "two")]
    assert run_together({one.name: lambda one=one: one.receive_messages(both) for one in clients}) == {}
    for client in clients:
        assert len(client.arrivals) == 3 + client.variant.is_greeted


def test_the_first_message_decides_the_action_and_the_only_text_key(server: Address, connector: Connector) -> None:
    variants = [(action, key) for action in ("message", "msg", "m") for key in (*TEXT_KEYS, "message", "msg_txt")]
    clients, hub = (
        connector.log_in_courses(server, {f"{action}-{key}": CLASSIC for action, key in variants}),
        connector.open_native(server, "hub"),
    )
    for client, (action, key) in zip(clients, variants, strict=True):
        client.send({"action": action, "time": 1, "to": "hub", key: "first word"})
        assert hub.receive_message() == (client.name, "first word")
        hub.send_message(client.name, "hello")
    for client, (action, key) in zip(clients, variants, strict=True):
        frame = client.receive()
        assert set(frame) == ORDINARY_KEYS | {key}
        assert (frame["action"], frame[key]) == (action, "hello")


def receive_text(client: CourseClient, length: int, chunks: list[str]) -> Callable[[], None]:
    """Return a job that receives until `length` characters other than blanks have arrived."""

    def receive() -> None:
        while len("".join("".join(chunks).split())) < length:
            chunks.append(client.receive_message()[1])

    return receive


def test_a_long_text_is_split_at_blanks_and_every_word_arrives_whole(server: Address, connector: Connector) -> None:
    messages = [f'"слово"{number}' if number % 7 else f"💬{number}" for number in range(90)]
    clients = connector.log_in_courses(server, {one.name: one for one in VARIANTS})
    hank = connector.log_in_course(server, CLASSIC, "hank")
    received: dict[str, list[str]] = {client.name: [] for client in clients}
    for client in clients:
        hank.send_message(client.name, " ".join(messages))
    length = len("".join(messages))
    assert run_together({one.name: receive_text(one, length, received[one.name]) for one in clients}) == {}
    for client in clients:
        assert len(received[client.name]) > 1
        assert " ".join(received[client.name]).split() == messages, client.name
        client.check_pacing()


def test_a_long_word_is_split_between_characters_and_loses_none(server: Address, connector: Connector) -> None:
    rows = {f"{one.name}.{kind}": one for one in (CLASSIC, STATUS, UPPER, REQUEST_FORM) for kind in LONG_WORDS}
    clients = connector.log_in_courses(server, rows)
    hank = connector.log_in_course(server, CLASSIC, "hank")
    texts = {name: LONG_WORDS[name.partition(".")[2]] for name in rows}
    received: dict[str, list[str]] = {name: [] for name in rows}
    for name, text in texts.items():
        hank.send_message(name, text)
    assert (
        run_together({one.name: receive_text(one, len(texts[one.name]), received[one.name]) for one in clients}) == {}
    )
    assert {name: "".join(chunks) for name, chunks in received.items()} == texts


def test_the_longest_names_still_leave_room_for_text(server: Address, connector: Connector) -> None:
    dale = connector.log_in_course(server, CLASSIC, "龍" * 32)
    hank = connector.log_in_course(server, CLASSIC, "虎" * 32)
    hank.send_message(dale.name, "слово за слово " * 10)
    chunks: list[str] = []
    receive_text(dale, len("словозаслово") * 10, chunks)()
    assert " ".join(chunks).split() == ("слово за слово " * 10).split()


def test_a_burst_arrives_in_order_and_at_the_pace_of_one_recv_a_frame(server: Address, connector: Connector) -> None:
    names = {one.name: one for one in (CLASSIC, STATUS, UPPER, REQUEST_FORM)}
    clients, hank = connector.log_in_courses(server, names), connector.log_in_course(server, CLASSIC, "hank")
    texts = [f"burst {number}" for number in range(8)]
    for client in clients:
        for text in texts:
            hank.send_message(client.name, text)

    def check(client: CourseClient) -> None:
        assert [client.receive_message()[1] for _ in texts] == texts
        client.check_pacing()

    assert run_together({client.name: lambda client=client: check(client) for client in clients}) == {}


def test_the_first_frame_keeps_its_distance_from_the_presence_answer(server: Address, connector: Connector) -> None:
    dale, hank = connector.log_in_course(server, CLASSIC, "dale"), connector.open_native(server, "hank")
    hank.send_message("dale", "at once")
    dale.receive_message()
    assert dale.arrivals[1] - dale.arrivals[0] >= AFTER_PRESENCE - TOLERANCE


def test_a_status_presence_is_greeted_once_and_after_a_pause(server: Address, connector: Connector) -> None:
    dale, hank = connector.log_in_course(server, STATUS, "dale"), connector.open_native(server, "hank")
    assert dale.arrivals[1] - dale.arrivals[0] >= AFTER_PRESENCE - TOLERANCE
    hank.send_message("dale", "next")
    assert dale.receive_message() == ("hank", "next")


def test_nothing_comes_unasked(server: Address, connector: Connector) -> None:
    clients = connector.log_in_courses(server, {one.name: one for one in DIALECTS})
    witness, hank, peggy = (
        connector.open_native(server, "witness"),
        connector.open_native(server, "hank"),
        connector.log_in_course(server, MSG, "peggy"),
    )
    for client in clients:
        client.send_message("hank", "first word")
        client.send_message("nobody", "not there")
    assert len({hank.receive_message() for _ in clients}) == len(clients)
    witness.send_message("hank", "are you leaving?")
    hank.send({"action": "quit"})
    hank.receive_until_closed()
    peggy.quit()
    assert witness.next_event("presence")["user"]["account_name"] == "hank"
    peggy = connector.log_in_course(server, MSG, "peggy")
    for client in clients:
        peggy.send_message(client.name, "the only one")
    jobs = {one.name: lambda one=one: one.receive_messages([("peggy", "the only one")]) for one in clients}
    assert run_together(jobs) == {}


def test_a_message_reaches_its_addressee_only(server: Address, connector: Connector) -> None:
    hank, dale, bobby = (connector.log_in_course(server, CLASSIC, name) for name in ("hank", "dale", "bobby"))
    hank.send_message("dale", "for dale")
    hank.send_message("bobby", "for bobby")
    assert dale.receive_message() == ("hank", "for dale")
    assert bobby.receive_message() == ("hank", "for bobby")


def test_course_clients_are_not_probed_and_not_closed_for_being_idle(
    start_server: Callable[..., Address], connector: Connector
) -> None:
    server = start_server(probe_after=0.1, probe_timeout=0.2)
    dale, witness = connector.log_in_course(server, CLASSIC, "dale"), connector.open_native(server, "witness")
    for _ in range(3):
        witness.next_event("probe")
        witness.request("probe")
    witness.send_message("dale", "still there?")
    assert dale.receive_message() == ("witness", "still there?")
    assert len(dale.arrivals) <= 3
