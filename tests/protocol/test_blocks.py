"""Blocks: a blocked user can neither reach nor see the blocker.

docs/protocol.md, "Moderation and blocks".
"""

from tests.support.accounts import PASSWORD, ChatServer, UserClient
from tests.support.course_clients import CLASSIC, Frame
from tests.support.moderation import expect_error, expect_ok


def blocked_names(client: UserClient) -> list[str]:
    entries = expect_ok(client.request("blocks"))
    assert entries["more"] is False
    return [entry["account_name"] for entry in entries["users"]]


def online_names(client: UserClient) -> set[str]:
    return {entry["account_name"] for entry in expect_ok(client.request("users"))["users"]}


def test_an_accounts_blocks_hold_on_all_devices_and_after_a_restart(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert "blocks" not in chat_server.connect().try_log_in("hank", device="phone", password=PASSWORD)
    expect_ok(hank.request("block", user="Dale"))
    expect_ok(hank.request("block", user="dale"))
    expect_error(dale.send_message("hank", "hi"), "blocked")
    assert hank.send_message("dale", "not you")["response"] == 200
    assert chat_server.log_in("hank", "phone").take_events() == []
    chat_server.restart()
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert blocked_names(hank) == ["dale"] and blocked_names(dale) == []
    assert chat_server.connect().try_log_in("hank", device="phone", password=PASSWORD)["blocks"] == 1
    expect_error(dale.send_message("HANK", "hi"), "blocked")
    expect_ok(hank.request("unblock", user="DALE"))
    expect_error(hank.request("unblock", user="dale"), "never_seen", 404)
    dale.send_messages("hank", "hi")
    assert [frame["message"] for frame in hank.receive_messages(1)] == ["hi"]


def test_a_guests_blocks_last_as_long_as_the_guest(chat_server: ChatServer) -> None:
    bill, joe = chat_server.log_in_guest("bill"), chat_server.log_in_guest("joe")
    expect_ok(bill.request("block", user="joe"))
    expect_error(joe.send_message("bill", "hi"), "blocked")
    again = chat_server.connect().start_session("bill", session=bill.session)
    expect_error(joe.send_message("bill", "hi"), "blocked")
    again.send({"action": "quit"})
    again.receive_until_closed()
    bill = chat_server.log_in_guest("bill")
    assert joe.send_message("bill", "hi")["response"] == 202 and blocked_names(bill) == []


def test_a_guest_who_registers_keeps_them(chat_server: ChatServer) -> None:
    bill = chat_server.log_in_guest("bill")
    expect_ok(bill.request("block", user="dale"))
    bill.register()
    bill.next_event("synced")
    chat_server.restart()
    bill, dale = chat_server.connect().start_session("bill", password=PASSWORD), chat_server.log_in("dale")
    assert blocked_names(bill) == ["dale"]
    expect_error(dale.send_message("bill", "hi"), "blocked")


def test_who_erases_the_account_leaves_no_blocks(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    expect_ok(hank.request("block", user="dale"))
    expect_ok(hank.request("forget", password=PASSWORD))
    hank.receive_until_closed()
    assert chat_server.log_in_guest("hank") and dale.send_message("hank", "hi")["response"] == 200


def test_broadcasts_pass_by_who_blocks_their_sender(chat_server: ChatServer) -> None:
    hank, dale, bobby = (chat_server.log_in(name) for name in ("hank", "dale", "bobby"))
    expect_ok(hank.request("block", user="dale"))
    assert dale.send_message("#all", "hear me")["response"] == 202
    assert bobby.next_event("msg")["message"] == "hear me"
    assert hank.take_events() == []


def test_rooms_have_no_holes(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    for client in (hank, dale):
        expect_ok(client.request("join", room="#dev"))
    expect_ok(hank.request("block", user="dale"))
    dale.send_messages("#dev", "one", "two")
    assert [frame["seq"] for frame in hank.receive_messages(2)] == [1, 2]


def test_who_blocks_is_not_seen_by_whom_they_block(chat_server: ChatServer) -> None:
    hank, dale, bobby = (chat_server.log_in(name) for name in ("hank", "dale", "bobby"))
    for client in (hank, dale, bobby):
        expect_ok(client.request("join", room="#dev"))
    expect_ok(hank.request("block", user="dale"))
    assert online_names(dale) == {"dale", "bobby"} and online_names(bobby) == {"hank", "dale", "bobby"}
    members: list[Frame] = expect_ok(dale.request("members", room="#dev"))["users"]
    assert {entry["account_name"]: entry["status"] for entry in members} == {
        "hank": "offline",
        "dale": "online",
        "bobby": "online",
    }
    expect_ok(hank.request("status", status="away"))
    assert bobby.next_event("presence")["user"] == {"account_name": "hank", "status": "away"}
    assert dale.take_events("presence") == []


def test_a_blocked_course_client_meets_silence(chat_server: ChatServer) -> None:
    hank, bill = chat_server.log_in("hank"), chat_server.log_in_course(CLASSIC, "bill")
    expect_ok(hank.request("block", user="bill"))
    bill.send_message("hank", "hi")
    hank.send_messages("bill", "go away")
    assert bill.receive_message() == ("hank", "go away")
    assert hank.take_events() == []


def test_what_makes_no_sense_is_refused(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    expect_error(hank.request("block", user="HANK"), "bad_request", 400)
    expect_error(hank.request("block", user="two words"), "bad_name", 400)
    expect_error(hank.request("block"), "bad_request", 400)
    assert blocked_names(hank) == []


def test_they_are_paged_and_there_is_an_end_of_them(chat_server: ChatServer) -> None:
    bill = chat_server.log_in_guest("bill")
    for number in range(1000):
        bill.send({"action": "block", "id": f"b{number}", "user": f"n{number:03}"})
    assert all(bill.receive()["response"] == 200 for _ in range(1000))
    expect_error(bill.request("block", user="one-more"), "forbidden")
    expect_ok(bill.request("block", user="N000"))
    names, more, after = [], True, None
    while more:
        page = expect_ok(bill.request("blocks", after=after))
        names += [entry["account_name"] for entry in page["users"]]
        more, after = page["more"], names[-1]
    assert len(names) == len(set(names)) == 1000 and names[0] == "N000"
