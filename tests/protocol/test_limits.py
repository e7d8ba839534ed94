"""How fast, how many and how often: section 2, promise 4, and the table of bounds, from outside.
Small limits, so that no test has to wait for long."""

import time
from collections.abc import Callable
from typing import Any

import gevent

from tests.support.accounts import PASSWORD, ChatServer, numbered_texts, texts
from tests.support.course_clients import CLASSIC, TIMEOUT, Address, Frame
from tests.support.native_clients import Connector, NativeClient, encode_frame
from tests.support.timeouts import TEST_TIMEOUT

Start = Callable[..., Address]
SLOW_RATES = {"message_rate": 20, "message_burst": 10, "patience": 0.01}
"""Who has sent ten is refused at once: how long one is held back before that depends on how busy the machine is."""


def receive_responses(session: NativeClient, count: int) -> list[Frame]:
    """Receive the next `count` responses; drop everything else."""
    responses: list[Frame] = []
    while len(responses) < count:
        if "response" in (frame := session.receive()):
            responses.append(frame)
    return responses


def send_flood(session: NativeClient, to: str, count: int, first: int = 0) -> list[int]:
    """Send messages without waiting; return the statuses of the responses, which come in order."""
    lines = [encode_frame(action="msg", id=f"f{n}", to=to, message=f"text {n}") for n in range(first, first + count)]
    writer_greenlet = gevent.spawn(session.send_bytes, b"".join(lines))
    responses = receive_responses(session, count)
    writer_greenlet.get(timeout=TIMEOUT)
    assert [answer["id"] for answer in responses] == [f"f{n}" for n in range(first, first + count)]
    assert all(
        answer["code"] == "too_fast" and answer["retry_after"] > 0 for answer in responses if answer["response"] == 429
    )
    return [answer["response"] for answer in responses]


def test_the_greeting_says_how_fast_one_may_be(start_server: Start, connector: Connector) -> None:
    limits = connector.open_native(start_server(**SLOW_RATES, request_rate=7, request_burst=70)).try_log_in("hank")[
        "limits"
    ]
    assert (limits["message_rate"], limits["message_burst"]) == (20, 10)
    assert (limits["request_rate"], limits["request_burst"]) == (7, 70)
    assert limits["rooms_made"] > 0 and limits["rooms_joined"] > 0 and limits["members"] > 0


def test_five_hundred_lines_pasted_by_one_person_arrive_whole_and_are_not_held_back(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    # One message a second: a single one that was held back would be seen.
    chat_server = start_chat_server(message_rate=1, message_burst=1000)
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.request("join", room="#dev")
    dale.request("join", room="#dev")
    with gevent.Timeout(10):
        assert {answer["response"] for answer in hank.send_pipelined("dale", numbered_texts(500))} == {200}
        assert {answer["response"] for answer in hank.send_pipelined("#dev", numbered_texts(400))} == {200}
    received = dale.receive_messages(900)
    assert texts([frame for frame in received if frame["to"] == "dale"]) == numbered_texts(500)
    assert texts([frame for frame in received if frame["to"] == "#dev"]) == numbered_texts(400)


def test_too_fast_is_slowed_down_and_nothing_is_lost(start_server: Start, connector: Connector) -> None:
    server = start_server(message_rate=100, message_burst=10, patience=30.0)
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    assert set(send_flood(hank, "dale", 60)) == {202}
    assert [dale.receive_message()[1] for _ in range(60)] == [f"text {n}" for n in range(60)]


def test_much_too_fast_is_refused_until_the_pause_is_over(start_server: Start, connector: Connector) -> None:
    server = start_server(**SLOW_RATES)
    hank, dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    codes = send_flood(hank, "dale", 40)
    assert set(codes) == {202, 429}
    assert codes.index(429) >= 10, "so many may come at once"
    rejected = hank.request("msg", to="dale", message="again")
    while rejected["response"] == 429:
        gevent.sleep(rejected["retry_after"])
        rejected = hank.request("msg", to="dale", message="again")
    assert rejected["response"] == 202
    received = [dale.receive_message()[1] for _ in range(codes.count(202) + 1)]
    assert received == [f"text {n}" for n, code in enumerate(codes) if code == 202] + ["again"]


def test_a_message_without_an_id_is_told_of_its_refusal(start_server: Start, connector: Connector) -> None:
    server = start_server(**SLOW_RATES)
    hank, _dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send_bytes(encode_frame(action="msg", to="dale", message="x") * 40)
    answer = hank.receive()
    assert (answer["response"], answer["code"], "id" in answer) == (429, "too_fast", False)


def test_all_devices_of_an_account_share_what_it_may_say_and_coming_back_does_not_renew_it(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(message_rate=1, message_burst=20, patience=0.01)
    laptop, phone, dale = chat_server.log_in("hank"), chat_server.log_in("hank", "phone"), chat_server.log_in("dale")
    assert {answer["response"] for answer in laptop.send_pipelined("dale", numbered_texts(20))} == {200}
    assert phone.send_message("dale", "from the phone")["code"] == "too_fast"
    laptop.close()
    assert chat_server.log_in("hank").send_message("dale", "again")["code"] == "too_fast"
    assert dale.send_message("hank", "others may")["response"] == 200


def test_one_who_floods_is_slowed_down_and_a_calm_neighbour_is_not(start_server: Start, connector: Connector) -> None:
    server = start_server(message_rate=5, message_burst=10, patience=0.2)
    flooder, hank, dale = (connector.open_native(server, name) for name in ("flooder", "hank", "dale"))
    flooding = gevent.spawn(flooder.send_bytes, encode_frame(action="msg", to="hank", message="x" * 10) * 100_000)
    for number in range(10):
        assert hank.send_message("dale", f"calm {number}")["response"] == 202
        assert dale.receive_message() == ("hank", f"calm {number}")
    flooding.kill()
    assert len([frame for frame in hank.events if frame["action"] == "msg"]) <= 12


def test_a_message_for_everybody_costs_more(start_server: Start, connector: Connector) -> None:
    server = start_server(message_rate=1, message_burst=10, patience=0.01)
    crowd = [connector.open_native(server, f"listener-{number}") for number in range(39)]
    hank = connector.open_native(server, "hank")
    codes = [hank.send_message("#all", f"hear {number}")["response"] for number in range(3)]
    assert codes == [202, 202, 429]
    assert crowd[0].next_event("msg")["message"] == "hear 0"


def test_course_clients_are_held_back_and_refused_in_silence(start_server: Start, connector: Connector) -> None:
    server = start_server(message_rate=1, message_burst=5, patience=0.01)
    hank, dale = connector.open_native(server, "hank"), connector.log_in_course(server, CLASSIC, "dale")
    for number in range(12):
        dale.send_message("hank", f"text {number}")
    assert [hank.receive_message()[1] for _ in range(5)] == [f"text {number}" for number in range(5)]
    hank.send_message("dale", "still there")
    assert "still there" in dale.receive_message()
    hank.expect_no_events()


def test_other_requests_are_counted_too_and_by_what_they_cost(start_server: Start, connector: Connector) -> None:
    server = start_server(request_rate=1, request_burst=20, patience=0.01)
    hank = connector.open_native(server, "hank")
    assert [hank.request("users")["response"] for _ in range(20)].count(200) >= 18
    rejected = hank.request("users")
    while rejected["response"] == 200:
        rejected = hank.request("users")
    assert (rejected["response"], rejected["code"]) == (429, "too_fast") and rejected["retry_after"] > 0
    dale = connector.open_native(server, "dale")
    for _ in range(3):
        dale.request("search", text="deploy")
    assert {dale.request("search", text="deploy")["response"] for _ in range(3)} >= {429}


def test_what_has_no_answer_is_held_back_only(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(request_rate=100, request_burst=1, patience=0.01)
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    gevent.sleep(0.02)
    last = hank.send_messages("dale", *numbered_texts(3))[-1]
    dale.receive_messages(3)
    dale.send_bytes(encode_frame(**{"action": "ack", "with": "hank", "seq": last}) * 150)
    assert hank.next_event("delivered") == {"action": "delivered", "with": "dale", "seq": last}
    answer = dale.request("probe")
    while answer["response"] == 429:
        gevent.sleep(answer["retry_after"])
        answer = dale.request("probe")
    assert answer["response"] == 200


def guess_passwords(session: NativeClient, name: str, count: int) -> list[int]:
    return [session.try_log_in(name, password=f"wrong guess {number}")["response"] for number in range(count)]


def test_strangers_who_guess_are_stopped_and_the_owner_comes_in(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(
        limit_loopback=True, failures_per_ip=100, failures_per_name=3, failure_window=3600.0
    )
    assert guess_passwords(chat_server.connect(), "hank", 5) == [402, 402, 402, 429, 429]
    answer = chat_server.connect().try_log_in("hank", password=PASSWORD)
    assert (answer["response"], answer["code"]) == (429, "too_many_failures") and answer["retry_after"] > 0
    # Its session logs in nevertheless, and has its network trusted.
    chat_server.log_in("hank").close()
    assert guess_passwords(chat_server.connect(), "hank", 5) == [402] * 5
    # The responses do not show whether a name has an account.
    assert guess_passwords(chat_server.connect(), "nobody", 5) == [402, 402, 402, 429, 429]


def test_where_somebody_logged_in_before_strangers_cannot_lock_them_out(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(failures_per_name=3, failure_window=3600.0)
    assert chat_server.connect().try_log_in("hank", password=PASSWORD, device="laptop")["response"] == 200
    assert guess_passwords(chat_server.connect(), "hank", 5) == [402] * 5
    assert guess_passwords(chat_server.connect(), "dale", 5) == [402, 402, 402, 429, 429]
    assert chat_server.connect().try_log_in("hank", password=PASSWORD, device="phone")["response"] == 200


def test_wrong_passwords_from_one_address_are_counted_whatever_the_name(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(
        limit_loopback=True, failures_per_ip=4, failures_per_name=100, failure_window=3600.0
    )
    codes = [
        chat_server.connect().try_log_in(name, password="wrong one")["response"]
        for name in ("hank", "dale", "bobby") * 2
    ]
    assert codes == [402] * 4 + [429] * 2


def test_failures_are_forgotten_in_time(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(limit_loopback=True, failures_per_ip=1, failures_per_name=100, failure_window=0.5)
    with gevent.Timeout(TEST_TIMEOUT):
        codes = iter(lambda: chat_server.connect().try_log_in("hank", password="wrong one")["response"], 429)
        assert set(codes) == {402}  # more than one where trying takes as long as forgetting
        while chat_server.connect().try_log_in("hank", password=PASSWORD)["response"] != 200:
            gevent.sleep(0.05)


def test_a_wrong_password_with_forget_counts(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(limit_loopback=True, failures_per_ip=2, failure_window=3600.0)
    hank = chat_server.log_in("hank")
    codes = [hank.request("forget", password="wrong one")["response"] for _ in range(3)]
    assert codes == [402, 402, 429]


def test_only_so_many_names_are_registered_from_one_address(start_server: Start, connector: Connector) -> None:
    server = start_server(limit_loopback=True, registrations_per_hour=2)
    answers = [connector.open_native(server, f"name-{n}").request("register", password=PASSWORD) for n in range(3)]
    assert [answer["response"] for answer in answers] == [201, 201, 429]
    assert answers[-1]["code"] == "too_many_registrations" and answers[-1]["retry_after"] > 600


def receive_rejection(connection: Any) -> tuple[int, str]:
    frame = connection.receive()
    connection.expect_closed()
    return frame["response"], frame["code"]


def test_one_address_has_only_so_many_connections(start_server: Start, connector: Connector) -> None:
    server = start_server(limit_loopback=True, max_connections_per_ip=2)
    hank, _dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    assert receive_rejection(connector.open_raw(server)) == (503, "too_many_connections")
    hank.send({"action": "quit"})
    assert hank.receive_until_closed() == []
    with gevent.Timeout(TIMEOUT):
        while "response" in (answer := connector.open_native(server).try_log_in("bobby")) and answer["response"] != 200:
            gevent.sleep(0.02)


def test_one_address_comes_only_so_often(start_server: Start, connector: Connector) -> None:
    server = start_server(limit_loopback=True, connect_rate=1, connect_burst=3)
    for number in range(3):
        connector.open_native(server, f"guest-{number}")
    assert receive_rejection(connector.open_raw(server)) == (503, "too_many_connections")


def test_rooms_are_made_and_joined_within_bounds(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(max_rooms=4, max_rooms_made=2, max_rooms_joined=3, max_members=2)
    hank, dale, bobby = (chat_server.log_in(name) for name in ("hank", "dale", "bobby"))

    def join(client: Any, room: str) -> tuple[int, str | None, int | None]:
        answer = client.request("join", room=room)
        return answer["response"], answer.get("code"), answer.get("limit")

    assert join(hank, "#one") == join(hank, "#two") == join(dale, "#three") == (200, None, None)
    assert join(hank, "#more") == (403, "too_many_rooms", 2)
    assert join(hank, "#three") == (200, None, None)
    assert join(bobby, "#three") == (403, "room_full", 2)
    assert join(dale, "#four") == (200, None, None)
    assert join(bobby, "#five") == (403, "too_many_rooms", 4)
    assert join(hank, "#four") == (403, "too_many_rooms", 3)
    assert join(hank, "#one")[0] == 200, "who is in stays in"
    hank.request("leave", room="#one")
    assert join(hank, "#four") == (200, None, None)


def test_nobody_is_taken_for_dead_while_held_back(start_server: Start, connector: Connector) -> None:
    server = start_server(message_rate=4, message_burst=1, patience=60.0, probe_after=0.1, probe_timeout=0.1)
    hank, _dale = connector.open_native(server, "hank"), connector.open_native(server, "dale")
    hank.send_bytes(encode_frame(action="msg", id="m", to="hank", message="x") * 6)
    assert [answer["response"] for answer in receive_responses(hank, 6)] == [202] * 6


def test_a_guest_who_changes_its_name_says_no_more_than_others(
    start_chat_server: Callable[..., ChatServer], connector: Connector
) -> None:
    chat_server = start_chat_server(limit_loopback=True, guest_message_rate=1, guest_message_burst=20, patience=0.01)
    dale = chat_server.log_in("dale")
    stored, began = 0, time.monotonic()
    for number in range(10):
        guest = chat_server.connect()
        guest.try_log_in(f"guest-{number}")
        stored += send_flood(guest, "dale", 20).count(200)
        guest.close()
    assert 18 <= stored <= 24 + time.monotonic() - began
    assert dale.send_message("dale", "an account's are its own")["response"] == 200


def test_requests_of_guests_and_strangers_are_counted_by_address(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(limit_loopback=True, guest_request_rate=1, guest_request_burst=30, patience=0.01)
    codes, began = [], time.monotonic()
    for number in range(10):
        guest = chat_server.connect()
        codes.append(guest.try_log_in(f"guest-{number}")["response"])
        codes += [guest.request("users")["response"] for _ in range(10)]
    assert 28 <= codes.count(200) <= 34 + time.monotonic() - began
    assert 429 in {chat_server.connect().try_log_in("hank")["response"] for _ in range(50)}, (
        "also for who has not logged in"
    )


def test_long_texts_cost_more(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(message_rate=1, message_burst=40, patience=0.01)
    hank = chat_server.log_in("hank")
    chat_server.log_in("dale")
    assert [hank.send_message("dale", "x" * 16_384)["response"] for _ in range(3)] == [200, 200, 429]
    assert hank.send_message("dale", "hi")["response"] == 200, "there is enough left for that"
    assert hank.try_log_in("hank")["limits"]["message_size"] == 1024


def test_a_guest_is_told_the_limit_of_its_address(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(limit_loopback=True, guest_message_rate=7, guest_message_burst=70)
    limits = chat_server.connect().try_log_in("gus")["limits"]
    assert (limits["message_rate"], limits["message_burst"]) == (7, 70)


def test_the_right_password_is_no_failure_however_busy_the_server_is(
    start_chat_server: Callable[..., ChatServer], monkeypatch: Any
) -> None:
    chat_server = start_chat_server(limit_loopback=True, failures_per_ip=3, failures_per_name=3, failure_window=3600.0)
    with monkeypatch.context() as busy:
        busy.setattr("gmessenger.chat.passwords.MAX_PENDING", 0)
        answers = [chat_server.connect().try_log_in("hank", password=PASSWORD) for _ in range(8)]
        assert {(answer["response"], answer["code"]) for answer in answers} == {(429, "too_fast")}
        guest = chat_server.connect()
        guest.try_log_in("gus")
        assert {guest.request("register", password=PASSWORD)["code"] for _ in range(30)} == {"too_fast"}
    assert chat_server.connect().try_log_in("hank", password=PASSWORD)["response"] == 200
    assert guest.request("register", password=PASSWORD)["response"] == 201


def test_of_many_rooms_asked_for_at_one_time_no_more_are_made_than_one_may_make(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(max_rooms_made=3)
    devices = [chat_server.connect() for _ in range(8)]
    for number, device in enumerate(devices):
        assert device.try_log_in("hank", password=PASSWORD, device=f"device-{number}")["response"] == 200
    requested = [gevent.spawn(device.request, "join", room=f"#room-{number}") for number, device in enumerate(devices)]
    codes = [each.get(timeout=TIMEOUT)["response"] for each in requested]
    assert codes.count(200) == 3


def test_an_account_keeps_no_more_than_its_quota(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server(account_quota=1000)
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.request("join", room="#dev")
    assert [hank.send_message("dale", "ж" * 200)["response"] for _ in range(2)] == [200, 200]
    rejected = hank.send_message("#dev", "x" * 201)
    assert (rejected["response"], rejected["code"], rejected["limit"]) == (403, "quota_exceeded", 1000)
    assert hank.send_message("dale", "x" * 200)["response"] == 200
    assert {answer["code"] for answer in hank.send_pipelined("dale", numbered_texts(20))} == {"quota_exceeded"}
    assert dale.send_message("hank", "x" * 900)["response"] == 200
    assert len(texts(dale.receive_messages(3))) == 3


def test_who_keeps_more_than_a_quota_that_was_lowered_can_erase(start_chat_server: Callable[..., ChatServer]) -> None:
    chat_server = start_chat_server()
    assert chat_server.log_in("hank").send_message("dale", "x" * 500)["response"] == 200
    chat_server.restart(account_quota=100)
    hank = chat_server.log_in("hank")
    assert hank.send_message("dale", "y")["code"] == "quota_exceeded"
    assert hank.request("msg", to="dale", about=1, what="erase")["response"] == 200


def test_guests_share_a_quota_of_what_is_kept_and_speak_freely_to_each_other(
    start_chat_server: Callable[..., ChatServer],
) -> None:
    chat_server = start_chat_server(guest_quota=100)
    dale = chat_server.log_in("dale")
    for number in range(3):
        guest = chat_server.connect()
        guest.try_log_in(f"gus-{number}")
        codes = [guest.send_message("dale", "x" * 40)["response"] for _ in range(3)]
        assert codes == ([200, 200, 403] if number == 0 else [403] * 3)
        assert guest.send_message(f"gus-{number}", "to oneself")["response"] == 202
    assert dale.send_message("dale", "an account's is its own")["response"] == 200
