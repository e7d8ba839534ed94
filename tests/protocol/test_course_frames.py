"""What a course client is sent: the form its presence and first message chose, split, paced and never unasked.
Section 3 of the protocol."""

import time
from collections.abc import Callable

from tests.support.course_clients import (
    AFTER_PRESENCE,
    ASKING,
    CLASSIC,
    CLOCK,
    DIALECTS,
    MSG,
    SPELLINGS,
    STATUS,
    TOLERANCE,
    UPPER,
    Address,
    CourseClient,
)
from tests.support.course_forms import ORDINARY_KEYS, TEXT_KEYS
from tests.support.native_clients import Dial, together

LONG_WORDS = {
    "emoji": "🐈🐕" * 120,
    "escapes": '"\\' * 250,
    "control": "\x1b[31m" * 90,
    "cyrillic": "щ" * 450,
    "joined": "a" * 1100,
}


def test_a_message_before_the_first_word_has_all_three_text_keys(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, CLASSIC, "dale"), dial.course(server, CLASSIC, "hank")
    hank.say("dale", "привет")
    frame = dale.receive()
    assert abs(frame.pop("time") - time.time()) < 60
    assert frame == {
        "action": "message",
        **dict.fromkeys(("from", "sender"), "hank"),
        **dict.fromkeys(("to", "destination"), "dale"),
        "user": {"account_name": "hank"},
        **dict.fromkeys(TEXT_KEYS, "привет"),
    }


def test_text_goes_out_as_utf8_and_not_as_escapes(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, STATUS, "dale"), dial.course(server, CLASSIC, "hank")
    hank.say("dale", "привет 😀")
    data = dale.sock.recv(1024)
    assert "привет 😀".encode() in data and b"\\u" not in data


def test_msg_to_one_who_has_not_spoken_comes_in_the_msg_form_and_then_in_the_message_form(
    server: Address, dial: Dial
) -> None:
    dale, hank = dial.course(server, CLASSIC, "dale"), dial.course(server, MSG, "hank")
    hank.say("dale", "hello")
    first, second = dale.receive(), dale.receive()
    assert (first["action"], first["message"]) == ("msg", "hello")
    assert (second["action"], second["mess_text"]) == ("message", "hello")
    assert first["to"] == second["to"] == "dale" and first["from"] == second["from"] == "hank"
    dale.keeps_pace()


def test_once_spoken_a_message_comes_in_one_form_only(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, CLASSIC, "dale"), dial.course(server, MSG, "hank")
    dale.say("hank", "first word")
    assert hank.hear() == ("dale", "first word")
    hank.say("dale", "one")
    hank.say("dale", "two")
    assert [dale.receive()["mess_text"] for _ in range(2)] == ["one", "two"]


def test_only_an_ordinary_presence_gets_two_forms(server: Address, dial: Dial) -> None:
    clients = dial.courses(server, {one.name: one for one in (STATUS, UPPER, ASKING, CLOCK)})
    hank = dial.course(server, MSG, "hank")
    for client in clients:
        hank.say(client.name, "one")
        hank.say(client.name, "two")
    both = [("hank", "one"), ("hank", "two")]
    assert together({one.name: lambda one=one: one.hear_all(both) for one in clients}) == {}
    for client in clients:
        assert len(client.arrivals) == 3 + client.spelling.greeted


def test_the_first_message_decides_the_action_and_the_only_text_key(server: Address, dial: Dial) -> None:
    ways = [(action, key) for action in ("message", "msg", "m") for key in (*TEXT_KEYS, "message", "msg_txt")]
    clients, hub = (
        dial.courses(server, {f"{action}-{key}": CLASSIC for action, key in ways}),
        dial.native(server, "hub"),
    )
    for client, (action, key) in zip(clients, ways, strict=True):
        client.send({"action": action, "time": 1, "to": "hub", key: "first word"})
        assert hub.hear() == (client.name, "first word")
        hub.say(client.name, "hello")
    for client, (action, key) in zip(clients, ways, strict=True):
        frame = client.receive()
        assert set(frame) == ORDINARY_KEYS | {key}
        assert (frame["action"], frame[key]) == (action, "hello")


def hear_text(client: CourseClient, length: int, chunks: list[str]) -> Callable[[], None]:
    """A job that hears until so many characters other than blanks came."""

    def hear() -> None:
        while len("".join("".join(chunks).split())) < length:
            chunks.append(client.hear()[1])

    return hear


def test_a_long_text_is_split_at_blanks_and_every_word_arrives_whole(server: Address, dial: Dial) -> None:
    words = [f'"слово"{number}' if number % 7 else f"💬{number}" for number in range(90)]
    clients = dial.courses(server, {one.name: one for one in SPELLINGS})
    hank = dial.course(server, CLASSIC, "hank")
    heard: dict[str, list[str]] = {client.name: [] for client in clients}
    for client in clients:
        hank.say(client.name, " ".join(words))
    length = len("".join(words))
    assert together({one.name: hear_text(one, length, heard[one.name]) for one in clients}) == {}
    for client in clients:
        assert len(heard[client.name]) > 1
        assert " ".join(heard[client.name]).split() == words, client.name
        client.keeps_pace()


def test_a_long_word_is_split_between_characters_and_loses_none(server: Address, dial: Dial) -> None:
    rows = {f"{one.name}.{kind}": one for one in (CLASSIC, STATUS, UPPER, ASKING) for kind in LONG_WORDS}
    clients = dial.courses(server, rows)
    hank = dial.course(server, CLASSIC, "hank")
    texts = {name: LONG_WORDS[name.partition(".")[2]] for name in rows}
    heard: dict[str, list[str]] = {name: [] for name in rows}
    for name, text in texts.items():
        hank.say(name, text)
    assert together({one.name: hear_text(one, len(texts[one.name]), heard[one.name]) for one in clients}) == {}
    assert {name: "".join(chunks) for name, chunks in heard.items()} == texts


def test_the_longest_names_still_leave_room_for_text(server: Address, dial: Dial) -> None:
    dale = dial.course(server, CLASSIC, "龍" * 32)
    hank = dial.course(server, CLASSIC, "虎" * 32)
    hank.say(dale.name, "слово за слово " * 10)
    chunks: list[str] = []
    hear_text(dale, len("словозаслово") * 10, chunks)()
    assert " ".join(chunks).split() == ("слово за слово " * 10).split()


def test_a_burst_arrives_in_order_and_at_the_pace_of_one_recv_a_frame(server: Address, dial: Dial) -> None:
    names = {one.name: one for one in (CLASSIC, STATUS, UPPER, ASKING)}
    clients, hank = dial.courses(server, names), dial.course(server, CLASSIC, "hank")
    texts = [f"burst {number}" for number in range(8)]
    for client in clients:
        for text in texts:
            hank.say(client.name, text)

    def check(client: CourseClient) -> None:
        assert [client.hear()[1] for _ in texts] == texts
        client.keeps_pace()

    assert together({client.name: lambda client=client: check(client) for client in clients}) == {}


def test_the_first_frame_keeps_its_distance_from_the_presence_answer(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, CLASSIC, "dale"), dial.native(server, "hank")
    hank.say("dale", "at once")
    dale.hear()
    assert dale.arrivals[1] - dale.arrivals[0] >= AFTER_PRESENCE - TOLERANCE


def test_a_status_presence_is_greeted_once_and_after_a_pause(server: Address, dial: Dial) -> None:
    dale, hank = dial.course(server, STATUS, "dale"), dial.native(server, "hank")
    assert dale.arrivals[1] - dale.arrivals[0] >= AFTER_PRESENCE - TOLERANCE
    hank.say("dale", "next")
    assert dale.hear() == ("hank", "next")


def test_nothing_comes_unasked(server: Address, dial: Dial) -> None:
    clients = dial.courses(server, {one.name: one for one in DIALECTS})
    witness, hank, peggy = (
        dial.native(server, "witness"),
        dial.native(server, "hank"),
        dial.course(server, MSG, "peggy"),
    )
    for client in clients:
        client.say("hank", "first word")
        client.say("nobody", "not there")
    assert len({hank.hear() for _ in clients}) == len(clients)
    witness.say("hank", "are you leaving?")
    hank.send({"action": "quit"})
    hank.rest()
    peggy.leave()
    assert witness.event("presence")["user"]["account_name"] == "hank"
    peggy = dial.course(server, MSG, "peggy")
    for client in clients:
        peggy.say(client.name, "the only one")
    jobs = {one.name: lambda one=one: one.hear_all([("peggy", "the only one")]) for one in clients}
    assert together(jobs) == {}


def test_a_message_reaches_its_addressee_only(server: Address, dial: Dial) -> None:
    hank, dale, bobby = (dial.course(server, CLASSIC, name) for name in ("hank", "dale", "bobby"))
    hank.say("dale", "for dale")
    hank.say("bobby", "for bobby")
    assert dale.hear() == ("hank", "for dale")
    assert bobby.hear() == ("hank", "for bobby")


def test_course_clients_are_not_probed_and_not_closed_for_being_idle(
    start_server: Callable[..., Address], dial: Dial
) -> None:
    server = start_server(probe_after=0.1, probe_timeout=0.2)
    dale, witness = dial.course(server, CLASSIC, "dale"), dial.native(server, "witness")
    for _ in range(3):
        witness.event("probe")
        witness.ask("probe")
    witness.say("dale", "still there?")
    assert dale.hear() == ("witness", "still there?")
    assert len(dale.arrivals) <= 3
