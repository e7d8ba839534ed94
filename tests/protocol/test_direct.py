"""Direct conversations of accounts with accounts, guests and course clients: answers, seqs, ids, who sees what.
Section 2 of the protocol, "Requests", promises 2 and 3, "Names and privacy"."""

import itertools
from collections.abc import Callable

import gevent
import pytest

from tests.support.accounts import PASSWORD, Person, Town, numbered, seqs, texts
from tests.support.course_clients import CLASSIC, DIALECTS
from tests.support.native_clients import dumped, together


def someone(town: Town, kind: str, name: str) -> Person:
    return town.comes(name) if kind == "account" else town.guest(f"guest-{name}")


def gone(guest: Person) -> None:
    guest.send({"action": "quit"})
    guest.rest()


@pytest.mark.parametrize(("sender", "receiver"), [("account", "account"), ("account", "guest"), ("guest", "account")])
def test_200_with_seq_if_either_side_is_an_account(sender: str, receiver: str, town: Town) -> None:
    hank, dale = someone(town, sender, "hank"), someone(town, receiver, "dale")
    answer = hank.ask("msg", id="m1", to=dale.name, message="привет 😀")
    assert (answer["response"], answer["id"], answer["seq"]) == (200, "m1", 1)
    frame = dale.event("msg")
    assert isinstance(frame.pop("time"), float)
    assert frame == {"action": "msg", "from": hank.name, "to": dale.name, "message": "привет 😀", "seq": 1}
    assert hank.unheard() == []


@pytest.mark.parametrize(("left", "right"), [("account", "account"), ("account", "guest")])
def test_both_directions_count_together_and_every_conversation_by_itself(left: str, right: str, town: Town) -> None:
    hank, dale, bobby = someone(town, left, "hank"), someone(town, right, "dale"), town.comes("bobby")
    said = [person.sends(other.name, "x")[0] for person, other in ((hank, dale), (dale, hank)) * 5]
    assert said == list(range(1, 11))
    assert bobby.sends(hank.name, "x") == bobby.sends(dale.name, "x") == [1]
    town.restarts()
    hank, dale = someone(town, left, "hank"), someone(town, right, "dale")
    assert dale.sends(hank.name, "x") + hank.sends(dale.name, "x") == [11, 12]


def test_many_who_send_at_once_leave_no_hole_and_keep_their_order(town: Town) -> None:
    people = [town.comes("hank"), town.comes("dale"), town.comes("hank", "phone")]
    answers: dict[str, list[int]] = {}

    def pours(person: Person, number: int, to: str) -> None:
        answers[f"{number}"] = seqs(person.pours(to, [f"{number}.{text}" for text in numbered(200)]))

    jobs = zip(people, ("dale", "hank", "dale"), strict=True)
    wrong = together({f"{n}": lambda n=n, job=job: pours(job[0], n, job[1]) for n, job in enumerate(jobs)})
    assert wrong == {}
    assert all(one == sorted(one) for one in answers.values())
    assert sorted(itertools.chain(*answers.values())) == list(range(1, 601))
    for number, person in enumerate(people):
        heard = person.hears(400)
        assert sorted(seqs(heard) + answers[f"{number}"]) == list(range(1, 601))
        assert seqs(heard) == sorted(seqs(heard))
        for other in {0, 1, 2} - {number}:
            said = [text for text in texts(heard) if text.startswith(f"{other}.")]
            assert said == [f"{other}.{text}" for text in numbered(200)]


def test_the_same_id_again_is_answered_with_the_same_seq_and_delivered_once(town: Town) -> None:
    hank, phone, dale = town.comes("hank"), town.comes("hank", "phone"), town.comes("dale")
    for _ in range(3):
        assert hank.ask("msg", id="same", to="dale", message="once")["seq"] == 1
    assert hank.ask("msg", id="same", to="DALE", message="once")["seq"] == 1
    assert hank.sends("dale", "twice") == [2]
    for person in (phone, dale):
        assert texts(person.hears(2)) == ["once", "twice"]
        assert person.unheard() == []
    town.restarts()
    assert town.comes("hank").ask("msg", id="same", to="dale", message="once")["seq"] == 1
    assert seqs(town.comes("dale").backlog) == [1, 2]


def test_the_same_id_three_times_in_one_write_is_stored_once(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    said = [(f"m{number // 3}", "another" if number % 3 == 2 else "text") for number in range(60)]
    hank.send_bytes(b"".join(dumped(action="msg", id=one, to="dale", message=text) for one, text in said))
    answers = [hank.recv() for _ in said]
    assert sorted(answer["response"] for answer in answers) == [200] * 40 + [409] * 20
    stored = {(answer["id"], answer["seq"]) for answer in answers if answer["response"] == 200}
    assert stored == {(f"m{number}", number + 1) for number in range(20)}
    assert [(frame["seq"], frame["message"]) for frame in dale.hears(20)] == [(n, "text") for n in range(1, 21)]
    assert dale.unheard() == []


def test_the_same_id_with_another_text_is_refused_and_stores_nothing(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    hank.ask("msg", id="same", to="dale", message="one")
    answer = hank.ask("msg", id="same", to="dale", message="two")
    assert (answer["response"], answer["code"]) == (409, "id_reused") and answer["error"]
    assert hank.sends("dale", "three") == [2]
    assert texts(dale.hears(2)) == ["one", "three"]


def test_an_id_belongs_to_an_account_a_device_and_a_conversation(town: Town) -> None:
    hank, phone, dale, bobby = (
        *(town.comes("hank", device) for device in ("laptop", "phone")),
        *(town.comes(name) for name in ("dale", "bobby")),
    )
    for seq, (person, to) in enumerate([(hank, "dale"), (phone, "dale"), (dale, "hank")], 1):
        answer = person.ask("msg", id="same", to=to, message=f"text {seq}")
        assert (answer["response"], answer["seq"]) == (200, seq)
    for person, to in ((hank, "bobby"), (bobby, "dale")):
        assert person.ask("msg", id="same", to=to, message="elsewhere")["seq"] == 1


def test_ids_of_guests_are_only_echoed(town: Town) -> None:
    guest, hank = town.guest("guest"), town.comes("hank")
    for seq, text in enumerate(("one", "one", "two"), 1):
        answer = guest.ask("msg", id="same", to="hank", message=text)
        assert (answer["response"], answer["id"], answer["seq"]) == (200, "same", seq)
    assert texts(hank.hears(3)) == ["one", "one", "two"]


def test_what_guests_and_course_clients_say_to_an_account_waits_for_it(town: Town) -> None:
    guest = town.guest("guest")
    assert guest.sends("hank", *numbered(3)) == [1, 2, 3]
    gone(guest)
    dale, cathies = town.comes("dale"), town.dial.courses(town, {one.name: one for one in DIALECTS})
    for cathy in cathies:
        cathy.say("hank", "привет")
        cathy.say("dale", "said")
        cathy.leave()
    assert set(texts(dale.hears(len(cathies)))) == {"said"}
    said = [(frame["from"], frame["message"], frame["seq"]) for frame in town.comes("hank").backlog]
    expected = [("guest", text, seq) for seq, text in enumerate(numbered(3), 1)]
    assert sorted(said) == sorted(expected + [(cathy.name, "привет", 1) for cathy in cathies])
    assert dale.unheard() == []


def test_an_account_speaks_to_guests_and_course_clients_while_they_are_here(town: Town) -> None:
    hank, guest, cathy = town.comes("hank"), town.guest("guest"), town.course(CLASSIC, "cathy")
    for name in ("guest", "cathy"):
        assert hank.sends(name, "hello") == [1]
    assert texts(guest.hears(1)) == ["hello"] and cathy.hear() == ("hank", "hello")
    gone(guest)
    cathy.leave()
    for name, response in (("guest", 410), ("cathy", 410), ("nobody", 404)):
        with gevent.Timeout(5):  # nothing tells when the name of the course client is free
            while (answer := hank.say(name, "anybody?"))["response"] == 200:
                pass
        assert answer["response"] == response and answer["error"] and answer["code"] and "seq" not in answer


def test_what_was_refused_leaves_no_hole(town: Town) -> None:
    hank, guest = town.comes("hank"), town.guest("guest")
    limit = 16384
    hank.sends("guest", "one")
    assert hank.say("guest", "x" * (limit + 1))["response"] == 413
    assert hank.sends("guest", "two") == [2]
    gone(guest)
    assert hank.say("guest", "anybody?")["response"] == 410
    guest = town.guest("guest")
    assert hank.sends("guest", "three") == [3]
    assert texts(guest.hears(1)) == ["three"], "guests get no replay"


def test_a_guest_whose_queue_is_full_is_busy_and_what_it_was_refused_is_not_stored(
    settle: Callable[..., Town],
) -> None:
    town = settle(outbox_frames=20)
    hank, guest, text, stored = town.comes("hank"), town.guest("guest", receive_buffer=4096), "x" * 16000, 0
    while (answer := hank.say("guest", text))["response"] == 200:
        stored += 1
        assert answer["seq"] == stored < 5000
    assert (answer["response"], answer["code"]) == (429, "recipient_busy") and answer["retry_after"] > 0
    assert seqs(guest.hears(stored)) == list(range(1, stored + 1))
    assert hank.sends("guest", "awake") == [stored + 1]
    assert guest.event("msg")["message"] == "awake"


def test_an_account_sees_nothing_from_before_it_registered(town: Town) -> None:
    hank, olga = town.comes("hank"), town.guest("olga")
    olga.sends("hank", "one")
    hank.sends("olga", "two", "three")
    olga.hears(2)
    olga.register()
    assert hank.sends("olga", "four") == [4]
    olga.sends("hank", "five")
    assert (seqs(olga.history("hank")), seqs(hank.history("olga"))) == ([4, 5], [1, 2, 3, 4, 5])
    assert olga.finds("three") == [] and olga.finds("four") == ["four"]
    again = town.dials().enter("olga", password=PASSWORD, device="phone")
    assert set(seqs(again.backlog)) <= {4, 5}


def test_who_registers_a_name_that_another_guest_had_reads_nothing_of_it(town: Town) -> None:
    hank, olga = town.comes("hank"), town.guest("olga")
    hank.sends("olga", "for the first olga")
    gone(olga)
    olga = town.guest("olga")
    assert olga.unheard() == []
    olga.register()
    assert olga.history("hank") == [] == olga.finds("first")
    assert hank.sends("olga", "for the second olga") == [2], "a conversation never begins again"
    assert seqs(olga.history("hank", before=3)) == seqs(olga.history("hank", after=0)) == [2]


def test_what_guests_said_to_each_other_is_not_kept(town: Town) -> None:
    olga, guest = town.guest("olga"), town.guest("guest")
    assert olga.say("guest", "between guests")["response"] == 202
    for person in (olga, guest):
        person.register()
    assert olga.sends("guest", "between accounts") == [1]
    assert texts(guest.history("olga")) == texts(olga.history("guest")) == ["between accounts"]


def test_a_message_to_oneself_goes_to_ones_other_devices(town: Town) -> None:
    laptop, phone, dale = town.comes("hank", "laptop"), town.comes("hank", "phone"), town.comes("dale")
    assert laptop.sends("hank", "remember the milk") == [1]
    frame = phone.event("msg")
    assert (frame["from"], frame["to"], frame["seq"]) == ("hank", "hank", 1)
    assert laptop.unheard() == phone.unheard() == dale.unheard() == []
    assert phone.sends("hank", "I did") == [2]
    assert laptop.event("msg")["seq"] == 2
    assert texts(laptop.history("hank")) == ["remember the milk", "I did"]


def test_without_an_id_a_message_is_stored_and_delivered_and_answered_only_when_refused(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    for text in numbered(3):
        hank.send({"action": "msg", "to": "dale", "message": text})
    assert [(frame["seq"], frame["message"]) for frame in dale.hears(3)] == list(enumerate(numbered(3), 1))
    assert hank.sends("dale", "four") == [4]
    hank.send({"action": "msg", "to": "nobody", "message": "hello"})
    assert hank.recv()["response"] == 404


def test_a_burst_arrives_whole_and_in_order(town: Town) -> None:
    hank, dale = town.comes("hank"), town.comes("dale")
    assert seqs(hank.pours("dale", numbered(1000))) == list(range(1, 1001))
    heard = dale.hears(1000)
    assert (seqs(heard), texts(heard)) == (list(range(1, 1001)), numbered(1000))
    assert dale.unheard() == []
