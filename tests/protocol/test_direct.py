"""Direct conversations between accounts, guests and course clients: responses, seqs, ids, access."""

import itertools
from collections.abc import Callable

import gevent
import pytest

from tests.support.accounts import PASSWORD, ChatServer, UserClient, numbered_texts, seqs, texts
from tests.support.course_clients import CLASSIC, DIALECTS
from tests.support.native_clients import encode_frame, run_together


def log_in(chat_server: ChatServer, kind: str, name: str) -> UserClient:
    return chat_server.log_in(name) if kind == "account" else chat_server.log_in_guest(f"guest-{name}")


def quit_session(guest: UserClient) -> None:
    guest.send({"action": "quit"})
    guest.receive_until_closed()


@pytest.mark.parametrize(("sender", "receiver"), [("account", "account"), ("account", "guest"), ("guest", "account")])
def test_200_with_seq_if_either_side_is_an_account(sender: str, receiver: str, chat_server: ChatServer) -> None:
    hank, dale = log_in(chat_server, sender, "hank"), log_in(chat_server, receiver, "dale")
    answer = hank.request("msg", id="m1", to=dale.name, message="привет 😀")
    assert (answer["response"], answer["id"], answer["seq"]) == (200, "m1", 1)
    frame = dale.next_event("msg")
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": hank.name, "to": dale.name, "message": "привет 😀", "seq": 1}
    assert hank.take_events() == []


@pytest.mark.parametrize(("left", "right"), [("account", "account"), ("account", "guest")])
def test_both_directions_count_together_and_every_conversation_by_itself(
    left: str, right: str, chat_server: ChatServer
) -> None:
    hank, dale, bobby = (
        log_in(chat_server, left, "hank"),
        log_in(chat_server, right, "dale"),
        chat_server.log_in("bobby"),
    )
    sent = [client.send_messages(other.name, "x")[0] for client, other in ((hank, dale), (dale, hank)) * 5]
    assert sent == list(range(1, 11))
    assert bobby.send_messages(hank.name, "x") == bobby.send_messages(dale.name, "x") == [1]
    chat_server.restart()
    hank, dale = log_in(chat_server, left, "hank"), log_in(chat_server, right, "dale")
    assert dale.send_messages(hank.name, "x") + hank.send_messages(dale.name, "x") == [11, 12]


def test_many_who_send_at_once_leave_no_hole_and_keep_their_order(chat_server: ChatServer) -> None:
    clients = [chat_server.log_in("hank"), chat_server.log_in("dale"), chat_server.log_in("hank", "phone")]
    answers: dict[str, list[int]] = {}

    def flood(client: UserClient, number: int, to: str) -> None:
        answers[f"{number}"] = seqs(client.send_pipelined(to, [f"{number}.{text}" for text in numbered_texts(200)]))

    jobs = zip(clients, ("dale", "hank", "dale"), strict=True)
    failures = run_together({f"{n}": lambda n=n, job=job: flood(job[0], n, job[1]) for n, job in enumerate(jobs)})
    assert failures == {}
    assert all(one == sorted(one) for one in answers.values())
    assert sorted(itertools.chain(*answers.values())) == list(range(1, 601))
    for number, client in enumerate(clients):
        received = client.receive_messages(400)
        assert sorted(seqs(received) + answers[f"{number}"]) == list(range(1, 601))
        assert seqs(received) == sorted(seqs(received))
        for other in {0, 1, 2} - {number}:
            sent = [text for text in texts(received) if text.startswith(f"{other}.")]
            assert sent == [f"{other}.{text}" for text in numbered_texts(200)]


def test_the_same_id_again_is_answered_with_the_same_seq_and_delivered_once(chat_server: ChatServer) -> None:
    hank, phone, dale = chat_server.log_in("hank"), chat_server.log_in("hank", "phone"), chat_server.log_in("dale")
    for _ in range(3):
        assert hank.request("msg", id="same", to="dale", message="once")["seq"] == 1
    assert hank.request("msg", id="same", to="DALE", message="once")["seq"] == 1
    assert hank.send_messages("dale", "twice") == [2]
    for client in (phone, dale):
        assert texts(client.receive_messages(2)) == ["once", "twice"]
        assert client.take_events() == []
    chat_server.restart()
    assert chat_server.log_in("hank").request("msg", id="same", to="dale", message="once")["seq"] == 1
    assert seqs(chat_server.log_in("dale").backlog) == [1, 2]


def test_the_same_id_three_times_in_one_write_is_stored_once(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    sent = [(f"m{number // 3}", "another" if number % 3 == 2 else "text") for number in range(60)]
    hank.send_bytes(b"".join(encode_frame(action="msg", id=one, to="dale", message=text) for one, text in sent))
    answers = [hank.receive() for _ in sent]
    assert sorted(answer["response"] for answer in answers) == [200] * 40 + [409] * 20
    stored = {(answer["id"], answer["seq"]) for answer in answers if answer["response"] == 200}
    assert stored == {(f"m{number}", number + 1) for number in range(20)}
    assert [(frame["seq"], frame["message"]) for frame in dale.receive_messages(20)] == [
        (n, "text") for n in range(1, 21)
    ]
    assert dale.take_events() == []


def test_the_same_id_with_another_text_is_refused_and_stores_nothing(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.request("msg", id="same", to="dale", message="one")
    answer = hank.request("msg", id="same", to="dale", message="two")
    assert (answer["response"], answer["code"]) == (409, "id_reused") and answer["error"]
    assert hank.send_messages("dale", "three") == [2]
    assert texts(dale.receive_messages(2)) == ["one", "three"]


def test_an_id_belongs_to_an_account_a_device_and_a_conversation(chat_server: ChatServer) -> None:
    hank, phone, dale, bobby = (
        *(chat_server.log_in("hank", device) for device in ("laptop", "phone")),
        *(chat_server.log_in(name) for name in ("dale", "bobby")),
    )
    for seq, (client, to) in enumerate([(hank, "dale"), (phone, "dale"), (dale, "hank")], 1):
        answer = client.request("msg", id="same", to=to, message=f"text {seq}")
        assert (answer["response"], answer["seq"]) == (200, seq)
    for client, to in ((hank, "bobby"), (bobby, "dale")):
        assert client.request("msg", id="same", to=to, message="elsewhere")["seq"] == 1


def test_ids_of_guests_are_only_echoed(chat_server: ChatServer) -> None:
    guest, hank = chat_server.log_in_guest("guest"), chat_server.log_in("hank")
    for seq, text in enumerate(("one", "one", "two"), 1):
        answer = guest.request("msg", id="same", to="hank", message=text)
        assert (answer["response"], answer["id"], answer["seq"]) == (200, "same", seq)
    assert texts(hank.receive_messages(3)) == ["one", "one", "two"]


def test_what_guests_and_course_clients_say_to_an_account_waits_for_it(chat_server: ChatServer) -> None:
    guest = chat_server.log_in_guest("guest")
    assert guest.send_messages("hank", *numbered_texts(3)) == [1, 2, 3]
    quit_session(guest)
    dale, cathies = (
        chat_server.log_in("dale"),
        chat_server.connector.log_in_courses(chat_server, {one.name: one for one in DIALECTS}),
    )
    for cathy in cathies:
        cathy.send_message("hank", "привет")
        cathy.send_message("dale", "said")
        cathy.quit()
    assert set(texts(dale.receive_messages(len(cathies)))) == {"said"}
    sent = [(frame["from"], frame["message"], frame["seq"]) for frame in chat_server.log_in("hank").backlog]
    expected = [("guest", text, seq) for seq, text in enumerate(numbered_texts(3), 1)]
    assert sorted(sent) == sorted(expected + [(cathy.name, "привет", 1) for cathy in cathies])
    assert dale.take_events() == []


def test_an_account_speaks_to_guests_and_course_clients_while_they_are_here(chat_server: ChatServer) -> None:
    hank, guest, cathy = (
        chat_server.log_in("hank"),
        chat_server.log_in_guest("guest"),
        chat_server.log_in_course(CLASSIC, "cathy"),
    )
    for name in ("guest", "cathy"):
        assert hank.send_messages(name, "hello") == [1]
    assert texts(guest.receive_messages(1)) == ["hello"] and cathy.receive_message() == ("hank", "hello")
    quit_session(guest)
    cathy.quit()
    for name, response in (("guest", 410), ("cathy", 410), ("nobody", 404)):
        with gevent.Timeout(5):  # nothing tells when the name of the course client is free
            while (answer := hank.send_message(name, "anybody?"))["response"] == 200:
                pass
        assert answer["response"] == response and answer["error"] and answer["code"] and "seq" not in answer


def test_what_was_refused_leaves_no_hole(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    limit = 16384
    hank.send_messages("guest", "one")
    assert hank.send_message("guest", "x" * (limit + 1))["response"] == 413
    assert hank.send_messages("guest", "two") == [2]
    quit_session(guest)
    assert hank.send_message("guest", "anybody?")["response"] == 410
    guest = chat_server.log_in_guest("guest")
    assert hank.send_messages("guest", "three") == [3]
    assert texts(guest.receive_messages(1)) == ["three"], "guests get no replay"


def test_a_guest_whose_queue_is_full_is_busy_and_what_it_was_refused_is_not_stored(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(outbox_frames=20)
    hank, guest, text, stored = (
        chat_server.log_in("hank"),
        chat_server.log_in_guest("guest", receive_buffer=4096),
        "x" * 16000,
        0,
    )
    while (answer := hank.send_message("guest", text))["response"] == 200:
        stored += 1
        assert answer["seq"] == stored < 5000
    assert (answer["response"], answer["code"]) == (429, "recipient_busy") and answer["retry_after"] > 0
    assert seqs(guest.receive_messages(stored)) == list(range(1, stored + 1))
    assert hank.send_messages("guest", "awake") == [stored + 1]
    assert guest.next_event("msg")["message"] == "awake"


def test_an_account_sees_nothing_from_before_it_registered(chat_server: ChatServer) -> None:
    hank, olga = chat_server.log_in("hank"), chat_server.log_in_guest("olga")
    olga.send_messages("hank", "one")
    hank.send_messages("olga", "two", "three")
    olga.receive_messages(2)
    olga.register()
    assert hank.send_messages("olga", "four") == [4]
    olga.send_messages("hank", "five")
    assert (seqs(olga.history("hank")), seqs(hank.history("olga"))) == ([4, 5], [1, 2, 3, 4, 5])
    assert olga.search("three") == [] and olga.search("four") == ["four"]
    again = chat_server.connect().start_session("olga", password=PASSWORD, device="phone")
    assert set(seqs(again.backlog)) <= {4, 5}


def test_who_registers_a_name_that_another_guest_had_reads_nothing_of_it(chat_server: ChatServer) -> None:
    hank, olga = chat_server.log_in("hank"), chat_server.log_in_guest("olga")
    hank.send_messages("olga", "for the first olga")
    quit_session(olga)
    olga = chat_server.log_in_guest("olga")
    assert olga.take_events() == []
    olga.register()
    assert olga.history("hank") == [] == olga.search("first")
    assert hank.send_messages("olga", "for the second olga") == [2], "a conversation never begins again"
    assert seqs(olga.history("hank", before=3)) == seqs(olga.history("hank", after=0)) == [2]


def test_what_guests_said_to_each_other_is_not_kept(chat_server: ChatServer) -> None:
    olga, guest = chat_server.log_in_guest("olga"), chat_server.log_in_guest("guest")
    assert olga.send_message("guest", "between guests")["response"] == 202
    for client in (olga, guest):
        client.register()
    assert olga.send_messages("guest", "between accounts") == [1]
    assert texts(guest.history("olga")) == texts(olga.history("guest")) == ["between accounts"]


def test_a_message_to_oneself_goes_to_ones_other_devices(chat_server: ChatServer) -> None:
    laptop, phone, dale = (
        chat_server.log_in("hank", "laptop"),
        chat_server.log_in("hank", "phone"),
        chat_server.log_in("dale"),
    )
    assert laptop.send_messages("hank", "remember the milk") == [1]
    frame = phone.next_event("msg")
    assert (frame["from"], frame["to"], frame["seq"]) == ("hank", "hank", 1)
    assert laptop.take_events() == phone.take_events() == dale.take_events() == []
    assert phone.send_messages("hank", "I did") == [2]
    assert laptop.next_event("msg")["seq"] == 2
    assert texts(laptop.history("hank")) == ["remember the milk", "I did"]


def test_without_an_id_a_message_is_stored_and_delivered_and_answered_only_when_refused(
    chat_server: ChatServer,
) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for text in numbered_texts(3):
        hank.send({"action": "msg", "to": "dale", "message": text})
    assert [(frame["seq"], frame["message"]) for frame in dale.receive_messages(3)] == list(
        enumerate(numbered_texts(3), 1)
    )
    assert hank.send_messages("dale", "four") == [4]
    hank.send({"action": "msg", "to": "nobody", "message": "hello"})
    assert hank.receive()["response"] == 404


def test_a_burst_arrives_whole_and_in_order(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert seqs(hank.send_pipelined("dale", numbered_texts(1000))) == list(range(1, 1001))
    received = dale.receive_messages(1000)
    assert (seqs(received), texts(received)) == (list(range(1, 1001)), numbered_texts(1000))
    assert dale.take_events() == []
