"""Kinds of messages, replies, edits, erases and reactions.

docs/protocol.md, section "Messages about messages".
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.accounts import ChatServer, UserClient, seqs, texts
from tests.support.course_clients import CLASSIC, Frame
from tests.support.moderation import admin_service, log_in_operator

THUMB = "\N{THUMBS UP SIGN}"


def send(client: UserClient, to: str, message: str | None = "", **fields: Any) -> Frame:
    """Send a message with an id and these fields; return its response."""
    text = {} if message is None else {"message": message}
    return client.request("msg", to=to, **text, **fields)


def code(answer: Frame) -> tuple[int, str | None]:
    return answer["response"], answer.get("code")


@pytest.mark.parametrize("kind", ["action", "notice"])
def test_a_kind_is_delivered_and_kept(kind: str, chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert send(hank, "dale", "waves", kind=kind)["response"] == 200
    assert dale.next_event("msg")["kind"] == kind
    assert dale.history("hank")[0]["kind"] == kind
    assert chat_server.log_in("dale", "phone").backlog[-1]["kind"] == kind
    assert send(hank, "dale", "plain")["response"] == 200
    assert not {"kind", "about", "what", "edited"} & set(dale.next_event("msg"))


def test_a_kind_reaches_guests_and_everybody(chat_server: ChatServer) -> None:
    gus, ann = chat_server.log_in_guest("gus"), chat_server.log_in_guest("ann")
    assert send(gus, "ann", "waves", kind="action")["response"] == 202
    assert ann.next_event("msg")["kind"] == "action"
    assert send(gus, "#all", "hears", kind="notice")["response"] == 202
    assert ann.next_event("msg")["kind"] == "notice"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "shout"},
        {"kind": 5},
        {"about": "1"},
        {"about": 1, "what": "delete"},
        {"about": 1, "what": 7},
        {"what": "edit"},
        {"what": "erase"},
        {"about": 1, "what": "edit", "kind": "action"},
        {"about": 1, "what": "react", "message": "two letters"},
        {"about": 1, "what": "react", "message": ""},
        {"about": 1, "what": "react", "message": " "},
        {"about": 1, "what": "react", "message": "\u202e"},
        {"about": 1, "what": "react", "message": "\u200d"},
        {"about": 1, "what": "react", "message": "\U000e0041"},
        {"about": 1, "what": "react", "message": "\u3164"},
        {"about": 1, "what": "react", "message": "\u2800"},
        {"about": 1, "what": "react", "message": "a" + "\u0301" * 16},
        {"about": 1.5},
    ],
    ids=str,
)
def test_what_is_not_valid_is_refused_and_not_stored(fields: dict[str, Any], chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    hank.send_messages("dale", "one")
    assert send(hank, "dale", **{"message": "x", **fields})["response"] == 400
    assert texts(hank.history("dale")) == ["one"]
    assert hank.send_messages("dale", "two") == [2]


def test_only_an_erase_needs_no_text(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    hank.send_messages("dale", "one")
    for fields in ({}, {"about": 1}, {"about": 1, "what": "edit"}, {"about": 1, "what": "react"}):
        assert send(hank, "dale", None, **fields)["response"] == 400
    assert send(hank, "dale", None, about=1, what="erase")["response"] == 200


def test_a_reply_is_delivered_kept_and_replayed_with_what_it_is_about(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_messages("dale", "green?")
    dale.receive_messages(1)
    assert send(dale, "hank", "yes", about=1)["seq"] == 2
    (reply,) = hank.receive_messages(1)
    assert (reply["message"], reply["about"], reply["seq"], "what" in reply) == ("yes", 1, 2, False)
    assert hank.history("dale")[1]["about"] == 1
    assert code(send(dale, "hank", "x", about=3)) == (404, "no_such_message")


def test_an_edit_reaches_who_is_there_and_who_was_away(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_messages("dale", "the wrogn text", "next")
    dale.receive_messages(2)
    assert send(hank, "dale", "the right text", about=1, what="edit")["seq"] == 3
    (edit,) = dale.receive_messages(1)
    assert (edit["message"], edit["about"], edit["what"]) == ("the right text", 1, "edit")
    assert texts(dale.history("hank")) == ["the right text", "next"]
    assert dale.history("hank")[0]["edited"] >= dale.history("hank")[0]["time"]
    assert dale.search("right") == ["the right text"]
    assert dale.search("wrogn") == []
    backlog = chat_server.log_in("dale", "phone").backlog
    assert texts(backlog) == ["the right text", "next", "the right text"]
    assert [frame.get("what") for frame in backlog] == [None, None, "edit"]
    assert "edited" in backlog[0]


def test_an_erased_message_is_nowhere_any_more(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_messages("dale", "a password", "next")
    dale.receive_messages(2)
    assert send(dale, "hank", THUMB, about=1, what="react")["response"] == 200
    assert send(hank, "dale", about=1, what="erase")["seq"] == 4
    (erase,) = dale.receive_messages(1)
    assert (erase["from"], erase["message"], erase["about"], erase["what"]) == ("hank", "", 1, "erase")
    erased, _ = dale.history("hank")
    assert (erased["erased"], erased["by"], erased["seq"], erased["message"]) == (True, "hank", 1, "")
    assert erased["at"] == erase["time"]
    assert "reactions" not in erased
    assert dale.search("password") == []
    backlog = chat_server.log_in("dale", "phone").backlog
    assert texts(backlog) == ["", "next", "", ""]
    assert backlog[0]["erased"] is True
    exported = dale.request("export")["messages"]
    assert texts(exported) == ["", "next", "", ""]
    assert code(send(hank, "dale", "x", about=1, what="edit")) == (404, "no_such_message")


def test_only_the_author_changes_a_message(start_chat_server: Callable[..., ChatServer]) -> None:
    server = start_chat_server(edit_for=0)
    hank, dale = server.log_in("hank"), server.log_in("dale")
    hank.send_messages("dale", "mine")
    for what in ("edit", "erase"):
        assert code(send(dale, "hank", "x", about=1, what=what)) == (403, "not_yours")
    answer = send(hank, "dale", "x", about=1, what="edit")
    assert (*code(answer), answer["limit"]) == (403, "too_late", 0)
    assert send(server.log_in("hank", "phone"), "dale", about=1, what="erase")["response"] == 200


def test_in_a_room_its_owner_and_operators_erase_what_others_said(chat_server: ChatServer) -> None:
    hank, dale, peggy = (chat_server.log_in(name) for name in ("hank", "dale", "peggy"))
    for client in (hank, dale, peggy):
        assert client.request("join", room="#dev")["response"] == 200
    dale.send_messages("#dev", "one", "two")
    assert code(send(peggy, "#dev", about=1, what="erase")) == (403, "not_yours")
    assert send(hank, "#dev", about=1, what="erase")["response"] == 200
    assert peggy.history("#dev")[0]["by"] == "hank"
    assert code(send(hank, "#dev", "x", about=2, what="edit")) == (403, "not_yours")


def test_guests_change_what_they_said_in_their_session(chat_server: ChatServer) -> None:
    hank, gus = chat_server.log_in("hank"), chat_server.log_in_guest("gus")
    hank.request("join", room="#dev")
    gus.request("join", room="#dev")
    gus.send_messages("#dev", "one", "two")
    assert send(gus, "#dev", "uno", about=1, what="edit")["response"] == 200
    assert send(gus, "#dev", about=2, what="erase")["response"] == 200
    assert texts(hank.history("#dev")) == ["uno", ""]
    assert code(send(gus, "#dev", THUMB, about=1, what="react")) == (403, "accounts_only")
    gus.close()
    hank.next_event("leave")
    again = chat_server.log_in_guest("gus")
    again.request("join", room="#dev")
    assert code(send(again, "#dev", about=1, what="erase")) == (403, "not_yours")
    assert code(send(again, "hank", "x", about=1)) == (404, "no_such_message")


def test_nothing_between_guests_is_about_anything(chat_server: ChatServer) -> None:
    gus = chat_server.log_in_guest("gus")
    chat_server.log_in_guest("ann")
    assert send(gus, "ann", "hi")["response"] == 202
    for fields in ({}, {"what": "edit"}, {"what": "erase"}):
        assert code(send(gus, "ann", "x", about=1, **fields)) == (404, "no_such_message")
    assert code(send(gus, "#all", "x", about=1)) == (404, "no_such_message")


def test_a_guest_who_has_left_does_not_keep_one_from_taking_back(chat_server: ChatServer) -> None:
    hank, gus = chat_server.log_in("hank"), chat_server.log_in_guest("gus")
    hank.send_messages("gus", "one")
    gus.close()
    hank.next_event("presence")
    assert send(hank, "gus", about=1, what="erase")["response"] == 200
    assert texts(hank.history("gus")) == [""]


def test_reactions_are_told_with_their_message(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_messages("dale", "green?")
    dale.receive_messages(1)
    for client, other in ((hank, "dale"), (dale, "hank")):
        assert send(client, other, THUMB, about=1, what="react")["response"] == 200
    (reaction,) = hank.receive_messages(1)
    assert (reaction["message"], reaction["about"], reaction["what"]) == (THUMB, 1, "react")
    (message,) = dale.history("hank")
    assert message["reactions"] == [{"text": THUMB, "from": message["reactions"][0]["from"], "n": 2}]
    assert sorted(message["reactions"][0]["from"]) == ["dale", "hank"]
    assert dale.request("search", text="green")["messages"][0]["reactions"] == message["reactions"]
    assert send(hank, "dale", THUMB, about=1, what="unreact")["response"] == 200
    assert dale.history("hank")[0]["reactions"] == [{"text": THUMB, "from": ["dale"], "n": 1}]
    (listed,) = dale.request("conversations")["conversations"]
    assert (listed["seq"], listed["quiet"]) == (4, 3)


@pytest.mark.parametrize(
    "text",
    ["x", "\u2764\ufe0f", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd"],
)
def test_a_reaction_is_one_character_as_it_is_seen(text: str, chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    hank.send_messages("dale", "one")
    assert send(hank, "dale", text, about=1, what="react")["response"] == 200


def test_what_was_changed_is_known_by_its_id_alone(chat_server: ChatServer) -> None:
    hank = chat_server.log_in("hank")
    assert send(hank, "dale", "one", id="a")["seq"] == 1
    assert send(hank, "dale", "uno", about=1, what="edit", id="b")["seq"] == 2
    assert send(hank, "dale", "one", id="a")["seq"] == 1
    assert send(hank, "dale", "uno", about=1, what="edit", id="b")["seq"] == 2
    assert code(send(hank, "dale", "one", about=1, id="a")) == (409, "id_reused")
    assert code(send(hank, "dale", about=1, what="erase", id="b")) == (409, "id_reused")
    assert send(hank, "dale", about=1, what="erase", id="c")["seq"] == 3
    assert [send(hank, "dale", "one", id="a")["seq"], send(hank, "dale", about=1, what="erase", id="c")["seq"]] == [
        1,
        3,
    ]
    assert hank.send_messages("dale", "next") == [4]


def test_many_at_once_are_told_in_order(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.send_messages("dale", *[f"text {number}" for number in range(20)])
    dale.receive_messages(20)
    for number in range(1, 21):
        hank.send({"action": "msg", "to": "dale", "message": f"plain {number}"})
        what = "erase" if number % 2 else "edit"
        hank.send({"action": "msg", "to": "dale", "message": "new", "about": number, "what": what})
    assert seqs(dale.receive_messages(40)) == list(range(21, 61))
    assert texts(dale.history("hank", before=21)) == ["" if number % 2 else "new" for number in range(1, 21)]


def test_muted_and_strangers_change_nothing(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    hank.request("join", room="#dev")
    hank.send_messages("#dev", "one")
    assert code(send(dale, "#dev", THUMB, about=1, what="react")) == (403, "not_member")
    assert code(send(dale, "#nowhere", about=1, what="erase")) == (404, "no_such_room")
    dale.send_messages("hank", "two")
    assert hank.request("block", user="dale")["response"] == 200
    assert code(send(dale, "hank", about=1, what="erase")) == (403, "blocked")


def test_course_clients_are_told_as_text(chat_server: ChatServer) -> None:
    hank, course = chat_server.log_in("hank"), chat_server.log_in_course(CLASSIC, "carl")
    assert send(hank, "carl", "wrogn", id="a")["seq"] == 1
    assert send(hank, "carl", "right", about=1, what="edit")["seq"] == 2
    assert send(hank, "carl", "a reply", about=1)["seq"] == 3
    assert send(hank, "carl", THUMB, about=1, what="react")["seq"] == 4
    assert send(hank, "carl", THUMB, about=1, what="unreact")["seq"] == 5
    assert send(hank, "carl", about=1, what="erase")["seq"] == 6
    assert send(hank, "carl", "waves", kind="action")["seq"] == 7
    expected = ("wrogn", "* right", "a reply", THUMB, "* hank waves")
    course.receive_messages(("hank", text) for text in expected)


def test_an_operator_erases_in_rooms_that_are_closed_or_not_its_own(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), log_in_operator(chat_server, "dale")
    hank.request("join", room="#dev")
    hank.send_messages("#dev", "one", "two")
    assert dale.request("close", room="#dev")["response"] == 200
    assert code(send(dale, "#dev", "x", about=1)) == (403, "not_member")
    assert send(dale, "#dev", about=1, what="erase")["response"] == 200
    erase = hank.next_event("msg")
    assert (erase["from"], erase["about"], erase["what"]) == ("dale", 1, "erase")
    assert code(send(hank, "#dev", about=2, what="erase")) == (403, "room_closed")
    assert texts(hank.history("#dev")) == ["", "two"]


def test_moderators_of_a_room_erase_what_others_said(chat_server: ChatServer) -> None:
    hank, dale, peggy = (chat_server.log_in(name) for name in ("hank", "dale", "peggy"))
    for client in (hank, dale, peggy):
        client.request("join", room="#dev")
    peggy.send_messages("#dev", "one", "two")
    assert code(send(dale, "#dev", about=1, what="erase")) == (403, "not_yours")
    assert hank.request("role", room="#dev", user="dale", role="moderator")["response"] == 200
    assert send(dale, "#dev", about=1, what="erase")["response"] == 200
    assert [message.get("by") for message in peggy.history("#dev")] == ["dale", None]


def test_a_guest_is_told_that_the_owner_of_the_server_has_erased_its_message(chat_server: ChatServer) -> None:
    hank, guest = chat_server.log_in("hank"), chat_server.log_in_guest("guest")
    guest.send_messages("hank", "one")
    assert admin_service(chat_server).erase_message("hank", 1, "guest") == 2
    for client in (hank, guest):
        frame = client.next_event("msg")
        while frame.get("what") != "erase":
            frame = client.next_event("msg")
        assert (frame["from"], frame["about"], frame["by"]) == ("guest", 1, "server")
    later = chat_server.log_in("hank", device="phone")
    assert [(frame["from"], frame.get("by")) for frame in later.backlog] == [("guest", None), ("guest", "server")]
    assert [each.get("by") for each in hank.history("guest", amendments=True)] == ["server", "server"]
    assert send(guest, "hank", "two", about=1, what="edit")["code"] == "no_such_message"


def test_nobody_replies_or_reacts_to_what_they_may_not_read(chat_server: ChatServer) -> None:
    hank, dale = chat_server.log_in("hank"), chat_server.log_in("dale")
    assert hank.request("join", room="#dev")["response"] == 200
    first = send(hank, "#dev", "before dale joined")["seq"]
    assert dale.request("join", room="#dev")["response"] == 200
    second = send(hank, "#dev", "while dale is there")["seq"]
    assert dale.request("leave", room="#dev")["response"] == 200
    third = send(hank, "#dev", "while dale is away")["seq"]
    assert dale.request("join", room="#dev")["response"] == 200
    for seq in (first, third):
        assert code(send(dale, "#dev", "yes", about=seq)) == (404, "no_such_message")
        assert code(send(dale, "#dev", THUMB, about=seq, what="react")) == (404, "no_such_message")
        assert code(send(hank, "#dev", THUMB, about=seq, what="react")) == (200, None)
    assert send(dale, "#dev", "yes", about=second)["response"] == 200
    assert send(dale, "#dev", THUMB, about=second, what="react")["response"] == 200
