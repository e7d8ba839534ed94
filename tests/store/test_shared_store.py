"""The `SharedStore` contract: what several nodes of a cluster ask of one store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import psycopg
import pytest

from gmessenger.chat.records import EVERYTHING, Credential, DeviceLogin, NewMessage, Sanction
from gmessenger.chat.room_access import Invitation, RoomMask, RoomSanction
from gmessenger.cluster.interfaces import Change, ChangeDetails, SharedStore
from gmessenger.errors import AccountDisabled, IdReused, InvalidInvite, NameInUse, NameTaken, Upgrading, WrongPassword
from gmessenger.launcher.services import Postgres
from gmessenger.room_rules import RoomRules
from gmessenger.store import open_store
from gmessenger.store.postgres import changefeed, schema
from tests import ROOT
from tests.store.test_contract import DIRECT, StoreDriver
from tests.support.timeouts import TEST_TIMEOUT


class Nodes:
    """Two nodes of one store: `here` has created two accounts, which `there` has polled."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.here, self.there = (open_store(url) for _ in range(2))
        self.driver = StoreDriver(self.here)
        self.hank, self.dale = self.driver.hank, self.driver.dale
        self.other: SharedStore = self.there  # type: ignore[assignment]
        self.other.poll_changes()

    def close(self) -> None:
        self.here.close()
        self.there.close()

    def poll_changes(self) -> list[tuple[Any, ...]]:
        """Return the changes that the other node polls: kind, subject, and who made them."""
        news = self.other.poll_changes()
        assert news.is_complete
        return [(change.kind, *change.subject, change.details.by or None) for change in news.changes]


@pytest.fixture
def nodes(postgres: Postgres) -> Iterator[Nodes]:
    nodes = Nodes(postgres.database())
    yield nodes
    nodes.close()


def test_two_nodes_number_the_messages_of_one_conversation_without_a_gap(nodes: Nodes) -> None:
    nodes.driver.create_room("#dev")
    device = nodes.driver.log_in(nodes.hank, "laptop").id
    posts = [
        nodes.driver.message(str(number), "#dev" if number % 2 else DIRECT, device=device, id=f"m{number}")
        for number in range(400)
    ]
    told: list[tuple[int, int, bool]] = []

    def say(store: Any, start: int) -> None:
        for number in (*range(start, 400), *range(start)):  # each says all of them, in another order
            store.append(
                posts[number], lambda seq, again, error, number=number: told.append((number, seq, again or bool(error)))
            )
            gevent.sleep(0)
        store.flush()

    gevent.joinall([gevent.spawn(say, nodes.here, 0), gevent.spawn(say, nodes.there, 200)], raise_error=True)
    assert len(told) == 800 and sum(again for *_, again in told) == 400
    for remainder in (0, 1):
        seqs = {number: seq for number, seq, _ in told if number % 2 == remainder}
        assert sorted(seqs.values()) == list(range(1, 201))
        assert all(seqs[number] == seq for number, seq, _ in told if number % 2 == remainder)
    assert len(nodes.there.history(DIRECT, EVERYTHING, None, None, 999).messages) == 200


def test_an_id_that_another_node_has_kept_is_not_kept_for_another_text(nodes: Nodes) -> None:
    device = nodes.driver.log_in(nodes.hank, "laptop").id
    nodes.driver.append(nodes.driver.message("x", device=device, id="m1"))
    nodes.driver.store = nodes.there
    ((seq, again, error),) = nodes.driver.append(nodes.driver.message("y", device=device, id="m1"))
    assert (seq, again, type(error)) == (1, True, IdReused)


def test_whoever_becomes_an_account_takes_part_in_what_is_begun_at_the_same_time(nodes: Nodes) -> None:
    names = [f"bill{number}" for number in range(40)]
    for name in names:
        nodes.here.append(NewMessage(f"{name} hank", "Hank", name, "hi", 1.0), lambda *_: None)
        gevent.spawn(nodes.there.create_account, name, name, "hash", 1.0)
        gevent.sleep(0)
    accounts = {account.key: account.id for account in nodes.there.accounts()}
    while len(accounts) < len(names) + 2:
        gevent.sleep(0.01)
        accounts = {account.key: account.id for account in nodes.there.accounts()}
    nodes.here.flush()
    ranges = [nodes.here.read_range(accounts[name], f"{name} hank") for name in names]
    assert all(readable is not None and readable.visible_from in (1, 2) for readable in ranges)


ACTIONS: list[tuple[Callable[[Nodes], Any], list[tuple[Any, ...]]]] = [
    (lambda on: on.here.create_account("bill", "Bill", "hash", 1.0), [("account", 3, None)]),
    (
        lambda on: on.here.register("bill", "Bill", "hash", 1.0, DeviceLogin("laptop", "token"), ["#dev", "#gone"]),
        [("account", 3, None), ("member", "#dev", 3, None), ("device", 1, None)],
    ),
    (lambda on: on.driver.log_in(on.hank, "laptop"), [("device", 1, None)]),
    (lambda on: on.here.set_password(on.hank, "other"), [("account", 1, None)]),
    (lambda on: on.here.set_disabled(on.hank, True), [("account", 1, None)]),
    (lambda on: on.here.set_role(on.hank, "operator"), [("account", 1, None)]),
    (lambda on: on.here.delete_account(on.hank), [("account", 1, None)]),
    (lambda on: on.driver.create_room("#new"), [("room", "#new", None)]),
    (lambda on: on.driver.create_room("#dev"), []),
    (lambda on: on.here.set_topic("#dev", "work", "dale"), [("room", "#dev", "dale")]),
    (lambda on: on.here.change_profile(on.hank, lambda stored: "x"), [("account", 1, None)]),
    (lambda on: on.here.change_room_profile("#dev", lambda stored: "x", "dale"), [("room", "#dev", "dale")]),
    (lambda on: on.here.join("#dev", on.dale, 1.0), [("member", "#dev", 2, None)]),
    (lambda on: on.here.join("#dev", on.hank, 1.0), []),
    (lambda on: on.here.leave("#dev", on.hank, "dale"), [("member", "#dev", 1, "dale")]),
    (
        lambda on: (on.here.change_role("#dev", on.hank, "owner"), on.here.join("#dev", on.dale, 3.0)),
        [("member", "#dev", 1, None), ("member", "#dev", 2, None)],
    ),
    (
        lambda on: (
            on.here.change_role("#dev", on.hank, "owner"),
            on.here.join("#dev", on.dale, 3.0),
            on.here.leave("#dev", on.hank),
        ),
        [("member", "#dev", account, None) for account in (1, 2, 1, 2)],
    ),
    (lambda on: on.here.change_rules("#dev", {"hidden": True}, "hank"), [("room", "#dev", "hank")]),
    (lambda on: on.here.change_role("#dev", on.hank, "speaker", "dale"), [("member", "#dev", 1, "dale")]),
    (
        lambda on: on.here.invite("#dev", Invitation("dale", "Dale", "Hank", 1.0)),
        [("access", "#dev", "Hank")],
    ),
    (lambda on: on.here.uninvite("#dev", "dale", "hank"), [("access", "#dev", "hank")]),
    (
        lambda on: on.here.add_room_sanction("#dev", RoomSanction("silence", "dale", "Dale", "Hank", "", 1.0)),
        [("access", "#dev", "Hank")],
    ),
    (lambda on: on.here.lift_room_sanction("#dev", "silence", "dale", "hank"), [("access", "#dev", "hank")]),
    (lambda on: on.here.delete_room("#dev"), [("room", "#dev", None), ("sanction", "close", "#dev", None)]),
    (
        lambda on: on.here.add_sanction(Sanction("mute", "dale", "hank", "", 1.0)),
        [("sanction", "mute", "dale", "hank")],
    ),
    (lambda on: on.here.remove_sanctions("close", ["#dev", "#not"], "dale"), [("sanction", "close", "#dev", "dale")]),
    (lambda on: on.here.block(on.hank, {"dale": "Dale"}), [("blocks", 1, None)]),
    (lambda on: on.here.unblock(on.hank, "dale"), [("blocks", 1, None)]),
    (
        lambda on: on.here.publish_change("kick", ["dale"], ChangeDetails("hank", "noise")),
        [("kick", "dale", "hank")],
    ),
    (lambda on: on.here.check_writable(), []),
    (lambda on: on.here.mark_read(on.hank, "#dev", 1), []),
]


@pytest.mark.parametrize(("act", "heard"), ACTIONS)
def test_what_one_node_changes_the_others_hear_once(
    nodes: Nodes, act: Callable[[Nodes], Any], heard: list[tuple[Any, ...]]
) -> None:
    nodes.driver.create_room("#dev")
    nodes.here.join("#dev", nodes.hank, 1.0)
    nodes.here.add_sanction(Sanction("close", "#dev", "hank", "", 1.0))
    nodes.other.poll_changes()
    told: list[bool] = []
    nodes.here.set_change_listener(lambda: told.append(True))  # type: ignore[attr-defined]
    act(nodes)
    assert nodes.poll_changes() == heard
    in_a_hurry = [each for each in heard if each[0] != "device"]
    assert nodes.poll_changes() == [] and bool(told) >= bool(in_a_hurry)
    assert nodes.here.poll_changes().changes == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_room_whose_owners_leave_on_two_nodes_at_once_has_an_owner(nodes: Nodes, is_deleted: bool) -> None:
    joe = nodes.here.create_account("joe", "Joe", "hash", 1.0).id
    rooms = [f"#room{number}" for number in range(20)]
    for room in rooms:
        nodes.here.create_room(room, room, nodes.hank, 1.0)
        for account in (nodes.dale, joe):
            nodes.here.join(room, account, 2.0)
        nodes.here.change_role(room, nodes.dale, "owner")
    jobs = [gevent.spawn(nodes.here.delete_account, nodes.hank)] if is_deleted else []
    for room in rooms:
        jobs += [gevent.spawn(nodes.here.leave, room, nodes.hank), gevent.spawn(nodes.there.leave, room, nodes.dale)]
    gevent.joinall(jobs, timeout=TEST_TIMEOUT, raise_error=True)
    assert [(room.members.keys(), room.roles) for room in nodes.there.rooms()] == [({joe}, {joe: "owner"})] * len(rooms)


def test_of_two_owners_who_resign_on_two_nodes_at_once_one_remains(nodes: Nodes) -> None:
    nodes.here.create_room("#dev", "#dev", nodes.hank, 1.0)
    nodes.here.join("#dev", nodes.dale, 2.0)
    nodes.here.change_role("#dev", nodes.dale, "owner")
    jobs = [
        gevent.spawn(nodes.here.change_role, "#dev", nodes.hank, "member", "hank", nodes.hank),
        gevent.spawn(nodes.there.change_role, "#dev", nodes.dale, "member", "dale", nodes.dale),
    ]
    gevent.joinall(jobs, timeout=TEST_TIMEOUT)
    assert sorted(type(job.exception).__name__ for job in jobs) == ["LastOwner", "NoneType"]
    assert len(nodes.there.rooms()[0].roles) == 1


CHANGES_WHILE_UPGRADING: list[tuple[Callable[[Nodes], Any], int]] = [
    (lambda on: on.here.change_rules("#dev", {"hidden": True}, "hank", on.hank), schema.FIRST_WITH_RULES),
    (lambda on: on.here.change_rules("#dev", {"key": "k1"}, "hank", on.hank), schema.FIRST_WITH_KEYS),
    (lambda on: on.here.add_room_mask("#dev", RoomMask("ban", "*", "hank", 1.0)), schema.FIRST_WITH_MASKS),
    (lambda on: on.here.change_role("#dev", on.dale, "speaker", "hank", on.hank), schema.FIRST_WITH_RULES),
    (
        lambda on: on.here.create_room("#new", "#new", on.hank, 1.0, RoomRules(invited=True)),
        schema.FIRST_WITH_RULES,
    ),
    (lambda on: on.here.set_password(on.dale, "hash", 100.0), schema.FIRST_WITH_RULES),
    (lambda on: on.here.add_hook("ci", "ci", "#dev", "secret", 1.0, "hank", on.hank), schema.FIRST_WITH_HOOKS),
]


@pytest.mark.parametrize(("change", "first"), CHANGES_WHILE_UPGRADING)
def test_what_older_nodes_do_not_know_is_possible_once_none_is_left(
    nodes: Nodes, change: Callable[[Nodes], Any], first: int
) -> None:
    nodes.here.create_room("#dev", "#dev", nodes.hank, 1.0)
    nodes.here.join("#dev", nodes.dale, 2.0)
    nodes.other.renew_leases()
    with psycopg.connect(nodes.url, autocommit=True) as db:
        # As a program of a release before says that it is alive.
        db.execute("INSERT INTO nodes VALUES ('older', clock_timestamp(), 0)")
        with pytest.raises(Upgrading):
            change(nodes)
        assert nodes.here.change_rules("#dev", {"hidden": False}, "hank", nodes.hank) == RoomRules()
        nodes.here.change_role("#dev", nodes.dale, "member", "hank", nodes.hank)
        assert [(room.key, room.rules, len(room.roles)) for room in nodes.there.rooms()] == [("#dev", RoomRules(), 1)]
        works_from = "SELECT value FROM facts WHERE name = 'works from'"
        assert db.execute(works_from).fetchone() == ("3",)
        db.execute("UPDATE nodes SET seen = seen - interval '1 hour' WHERE name = 'older'")
        change(nodes)
        assert db.execute(works_from).fetchone() == (str(first),)  # an older program refuses the store now


def test_what_a_member_could_read_is_kept_once_no_older_node_is_left(nodes: Nodes) -> None:
    """To an older node, who has left a room and is kept there would be a member."""
    nodes.here.create_room("#dev", "#dev", nodes.hank, 1.0)
    with psycopg.connect(nodes.url, autocommit=True) as db:
        db.execute("INSERT INTO nodes VALUES ('older', clock_timestamp())")
        count = "SELECT count(*) FROM participants WHERE account_id = %s AND left_seq IS NOT NULL"
        for is_older, kept in (("older", 0), ("", 1)):
            nodes.here.join("#dev", nodes.dale, 2.0)
            db.execute("DELETE FROM nodes WHERE name <> %s", (is_older,))
            nodes.here.leave("#dev", nodes.dale)
            assert db.execute(count, (nodes.dale,)).fetchone() == (kept,)


def test_what_has_changed_is_as_the_other_node_says(nodes: Nodes) -> None:
    there = nodes.other
    nodes.here.set_password(nodes.hank, "other")
    account = there.account(nodes.hank)
    assert account is not None and (account.generation, there.account_by_name("hank")) == (1, account)
    nodes.driver.create_room("#dev")
    nodes.here.join("#dev", nodes.dale, 1.0)
    assert there.room("#dev") == nodes.here.rooms()[0] and there.room("#not") is None
    nodes.here.add_sanction(muted := Sanction("mute", "dale", "hank", "", 1.0))
    assert there.sanction("mute", "dale") == muted and there.sanction("mute", "hank") is None
    nodes.here.uninvite("#dev", "dale")
    nodes.here.add_room_sanction("#dev", silence := RoomSanction("silence", "dale", "Dale", "Hank", "", 1.0))
    assert there.room_access("#dev").sanctions == {("silence", "dale"): silence}
    assert not there.room_access("#not").sanctions
    nodes.here.block(nodes.hank, {"dale": "Dale"})
    assert there.blocked_by(nodes.hank) == {"dale": "Dale"} and there.blocked_by(nodes.dale) == {}
    nodes.here.delete_account(nodes.hank)
    assert there.account(nodes.hank) is there.account_by_name("hank") is None


def test_a_transaction_that_is_overtaken_is_heard_of_when_it_is_committed(nodes: Nodes) -> None:
    row = "INSERT INTO changes (node, kind, subject, details) VALUES ('slow', 'kick', '[\"dale\"]', '{}')"
    with psycopg.connect(nodes.url) as slow:
        slow.execute(row)
        slow.execute("INSERT INTO moves (heads) VALUES ('{\"#slow\": 7}')")
        for round in range(3):
            nodes.here.set_topic("#dev", "work")
            nodes.here.publish_change("kick", ["hank"], ChangeDetails())
            nodes.driver.append(nodes.driver.message())
            news = nodes.other.poll_changes()
            assert [change.subject for change in news.changes] == [["hank"]]
            assert news.heads == [(DIRECT, round + 1)]
    news = nodes.other.poll_changes()
    assert news.changes == [Change("slow", "kick", ["dale"])]
    assert dict(news.heads)["#slow"] == 7
    assert nodes.other.poll_changes().changes == []


def test_a_node_that_slept_for_too_long_has_to_read_everything_again(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.here.publish_change("kick", ["dale"], ChangeDetails())  # type: ignore[attr-defined]
    nodes.driver.append(nodes.driver.message())
    monkeypatch.setattr(changefeed, "CHANGE_TTL", 0.0)
    monkeypatch.setattr(changefeed, "CLEANUP_INTERVAL", 0.0)
    assert nodes.here.poll_changes().is_complete  # type: ignore[attr-defined]
    assert not nodes.other.poll_changes().is_complete
    assert nodes.other.poll_changes().is_complete


def test_news_are_never_missed_whatever_is_committed_meanwhile(nodes: Nodes) -> None:
    """Twenty greenlets publish changes while another node polls: it gets each change once."""
    heard: list[Any] = []
    heads: dict[str, int] = {}

    def say(number: int) -> None:
        for each in range(5):
            nodes.here.publish_change("kick", [f"{number} {each}"], ChangeDetails())  # type: ignore[attr-defined]
            nodes.here.append(nodes.driver.message(conversation=f"hank n{number}"), lambda *_: None)

    jobs = [gevent.spawn(say, number) for number in range(20)]
    done = False
    while not done:
        done = all(job.ready() for job in jobs)
        if done:
            nodes.here.flush()
        news = nodes.other.poll_changes()
        heard += [change.subject[0] for change in news.changes]
        heads |= dict(news.heads)
    gevent.joinall(jobs, raise_error=True)
    assert sorted(heard) == sorted(f"{number} {each}" for number in range(20) for each in range(5))
    assert {heads[f"hank n{number}"] for number in range(20)} == {5}


def test_a_session_begins_by_what_is_good_now_and_is_counted(nodes: Nodes) -> None:
    laptop = nodes.driver.log_in(nodes.hank, "laptop")
    again = nodes.there.begin_session(
        nodes.hank, DeviceLogin("laptop", "another"), 2.0, Credential(token="token of laptop")
    )
    phone = nodes.driver.log_in(nodes.hank, "phone")
    assert (laptop.login_count, again.login_count, phone.login_count) == (1, 2, 1)
    assert nodes.other.login_counts([laptop.id, phone.id, 999]) == {laptop.id: 2, phone.id: 1}
    nodes.there.set_disabled(nodes.hank, True)
    with pytest.raises(AccountDisabled):
        nodes.driver.log_in(nodes.hank, "laptop")


def test_a_device_that_is_dropped_for_another_is_told_of(nodes: Nodes) -> None:
    first, *_ = [nodes.driver.log_in(nodes.hank, str(number)).id for number in range(20)]
    nodes.poll_changes()
    another = nodes.driver.log_in(nodes.hank, "another")
    assert another.evicted == [first]
    assert nodes.poll_changes() == [("device", another.id, None), ("device", first, None)]
    assert nodes.other.login_counts([first]) == {}


def test_a_guests_name_is_used_once_in_the_cluster(nodes: Nodes) -> None:
    here: Any = nodes.here
    assert not here.claim_name("bill", "secret", None).was_taken_over
    assert not here.claim_name("bill", "secret of the next", None).was_taken_over  # it sees to its own guests itself
    for resumed in (None, "guessed", "secret"):
        with pytest.raises(NameInUse):
            nodes.other.claim_name("bill", "other", resumed)
    with pytest.raises(NameTaken):
        nodes.other.claim_name("hank", "other", None)
    assert (here.renew_leases(), nodes.other.renew_leases()) == (["bill"], [])
    nodes.other.release_names(["bill"])  # whose it is not
    assert here.renew_leases() == ["bill"]
    here.release_names(["bill"])
    assert here.renew_leases() == [] and not nodes.other.claim_name("bill", "other", None).was_taken_over


def test_a_guest_that_comes_back_elsewhere_takes_its_name_along(nodes: Nodes) -> None:
    here: Any = nodes.here
    nodes.other.claim_name("bill", "secret", None)
    assert here.claim_name("bill", "another", "secret").was_taken_over
    assert nodes.poll_changes() == [("guest", "bill", None)]
    assert (here.renew_leases(), nodes.other.renew_leases()) == (["bill"], [])
    assert nodes.other.claim_name("bill", "another", "secret").was_taken_over  # the token that it had stays


def test_a_dead_nodes_guests_are_free_and_so_are_those_of_one_that_goes(nodes: Nodes, postgres: Postgres) -> None:
    here: Any = nodes.here
    for name in ("bill", "joe"):
        here.claim_name(name, "secret", None)
    with pytest.raises(NameInUse):
        nodes.other.claim_name("bill", "other", None)
    with psycopg.connect(nodes.url) as db:
        db.execute("UPDATE nodes SET seen = seen - interval '1 minute' WHERE name = %s", (here.node,))
    assert not nodes.other.claim_name("bill", "other", None).was_taken_over
    assert here.renew_leases() == []
    nodes.other.release_node()
    assert not here.claim_name("bill", "secret", None).was_taken_over


def test_nodes_may_start_at_once_on_a_database_that_is_empty(postgres: Postgres) -> None:
    program = (
        "from gevent import monkey; monkey.patch_all(); from gmessenger.store import open_store; import sys; "
        "store = open_store(sys.argv[1]); store.check_writable(); print(store.identity); store.close()"
    )
    command = [sys.executable, "-c", program, postgres.database()]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    identities = {each.communicate(timeout=TEST_TIMEOUT)[0] for each in started}
    assert len(identities) == 1 and identities.pop().strip()


def test_nodes_that_prune_at_once_drop_each_message_once(nodes: Nodes) -> None:
    nodes.driver.append(*[nodes.driver.message(time=1.0)] * 1200)
    jobs = [gevent.spawn(store.prune, 2.0) for store in (nodes.here, nodes.there)]
    gevent.joinall(jobs, timeout=20, raise_error=True)
    assert sum(job.value for job in jobs) == 1200
    assert nodes.driver.append(nodes.driver.message()) == [(1201, False, None)]


def test_what_is_open_elsewhere_has_nobody_hear_anything_twice(nodes: Nodes) -> None:
    with psycopg.connect(nodes.url) as db:
        db.execute("SELECT pg_current_xact_id()")
        nodes.driver.append(nodes.driver.message())
        assert nodes.other.poll_changes().heads == [(DIRECT, 1)]
        assert nodes.other.poll_changes().heads == []


def test_numbers_that_went_back_have_everything_read_again(nodes: Nodes) -> None:
    store: Any = nodes.other
    store._last_snapshot = "900000000:900000000:"
    assert not store.poll_changes().is_complete
    assert store.poll_changes().is_complete


def test_a_change_that_was_given_up_may_have_been_made(nodes: Nodes) -> None:
    store: Any = nodes.other
    giving_up = gevent.spawn(store.change, lambda db: db.execute("SELECT pg_sleep(30)"))
    gevent.sleep(0.1)
    giving_up.kill()
    assert not store.poll_changes().is_complete


def test_a_token_of_a_node_of_an_earlier_release_is_valid_from_its_login_on(nodes: Nodes) -> None:
    nodes.driver.log_in(nodes.hank, "laptop", 50.0)
    with psycopg.connect(nodes.url) as db:
        db.execute("UPDATE tokens SET used = DEFAULT")
    assert nodes.there.find_token("token of laptop", 50.0) == (nodes.hank, "laptop")
    assert [each.name for each in nodes.there.devices(nodes.hank, 50.0)] == ["laptop"]
    assert nodes.there.find_token("token of laptop", 50.1) is None


def test_of_many_who_register_with_one_invite_on_two_nodes_no_more_succeed_than_it_is_good_for(nodes: Nodes) -> None:
    nodes.here.add_invite("code", 1.0, "server", 100.0, 5)

    def register(number: int) -> bool:
        store = nodes.here if number % 2 else nodes.there
        try:
            store.create_account(f"bill{number}", f"bill{number}", "hash", 2.0, "code")
        except InvalidInvite:
            return False
        return True

    greenlets = [gevent.spawn(register, number) for number in range(20)]
    assert sum(greenlet.get(timeout=TEST_TIMEOUT) for greenlet in greenlets) == 5
    assert nodes.here.invites() == []


def test_of_two_new_passwords_on_two_nodes_at_once_one_is_stored(nodes: Nodes) -> None:
    def change(store: Any, new: str) -> bool:
        try:
            store.change_password(nodes.hank, "hash", new, "token")
        except WrongPassword:
            return False
        return True

    greenlets = [gevent.spawn(change, store, new) for store, new in ((nodes.here, "one"), (nodes.there, "two"))]
    outcomes = [greenlet.get(timeout=TEST_TIMEOUT) for greenlet in greenlets]
    assert sorted(outcomes) == [False, True]
    assert nodes.here.password_hash(nodes.hank) == ("one" if outcomes[0] else "two")
