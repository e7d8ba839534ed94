"""Whatever is raised wherever, no token, reservation or count is left behind that is not owed."""

from __future__ import annotations

import ast
import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest
from gevent import GreenletExit
from gevent.event import Event

import gmessenger
from gmessenger.chat.auth import MAX_TRUSTED_NETWORKS, LoginThrottle, TrustedNetworks
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.confusables import ConfusableIndex
from gmessenger.chat.delivery import DeliveryService
from gmessenger.chat.dispatcher import OutboxReservations
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.outbound import EndOfStream
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.passing_rooms import PassingRooms
from gmessenger.chat.passwords import MAX_PENDING_PER_NETWORK, PasswordVerifier
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import RecentNames
from gmessenger.chat.quotas import StorageQuotas
from gmessenger.chat.ratelimit import (
    NO_LIMIT,
    OVERFLOW_BUCKETS,
    BucketTable,
    Charge,
    Limits,
    RateLimit,
    SenderBuckets,
    TokenBucket,
    charge_buckets,
    charge_buckets_ahead,
)
from gmessenger.chat.room import Room
from gmessenger.chat.room_quotas import RoomQuotas
from gmessenger.chat.room_rights import RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.chat.tasks import ChangeRunner
from gmessenger.chat.throttle import Throttle, WeightedNetworks
from gmessenger.config.options import ServerOptions
from gmessenger.errors import (
    BadPassword,
    Forbidden,
    InvalidInvite,
    LoginThrottled,
    NameTaken,
    QuotaExceeded,
    RateLimited,
    RegistrationThrottled,
    RoomFull,
    StoreUnavailable,
    TooManyConnections,
    TooManyRooms,
)
from gmessenger.room_rules import OPEN_ROOM
from gmessenger.server.connection_limiter import ConnectionLimiter
from gmessenger.store import open_store
from tests.chat.test_passwords import RecordingHasher
from tests.support.timeouts import TEST_TIMEOUT

ERRORS = [ZeroDivisionError(), StoreUnavailable(), GreenletExit(), gevent.Timeout(0), KeyboardInterrupt()]
TWO = RateLimit.per_period(2, 1024.0)
ADDRESS = "203.0.113.7:1234"


def networks_of(address: str) -> WeightedNetworks:
    return ((address.rpartition(":")[0], 1), ("203.0.113.0/24", 2))


def count_left(bucket: TokenBucket, rate: RateLimit = TWO, now: float = 0.0) -> int:
    """Take what tokens there are, and return their number."""
    count = 0
    while bucket.spend(1, rate, now) is None:
        count += 1
    return count


@contextmanager
def raises_like(error: BaseException) -> Iterator[None]:
    with pytest.raises(type(error)):
        yield


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_was_charged_is_given_back_whatever_is_raised(error: BaseException) -> None:
    bucket = TokenBucket()
    for _ in range(5):
        with raises_like(error), Charge() as charge:
            assert charge.take(bucket, 1, TWO, 0.0) is None
            raise error
    with Charge() as charge:
        charge.take(bucket, 1, TWO, 0.0)
        charge.commit()
    assert count_left(bucket) == 1


class FailingVerifier(PasswordVerifier):
    """Returns or raises `end`."""

    def __init__(self, end: Any) -> None:
        super().__init__(RecordingHasher())
        self.end = end

    def verify(self, password_hash: str | None, password: str, network: str | None = None) -> bool:
        if isinstance(self.end, BaseException):
            raise self.end
        return bool(self.end)

    def hash(self, password: str, network: str | None = None) -> str:
        if isinstance(self.end, BaseException):
            raise self.end
        return "hashed"


def make_login_throttle(end: Any, **rates: RateLimit) -> LoginThrottle:
    return LoginThrottle(FailingVerifier(end), lambda: Limits(**rates), lambda: 0.0, networks_of)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*ERRORS, RateLimited()], ids=lambda error: type(error).__name__)
def test_a_trial_that_came_to_no_end_is_no_failure(error: BaseException) -> None:
    throttle = make_login_throttle(
        error,
        login_failures_per_address=RateLimit.per_period(1, 1024.0),
        login_failures_per_name=RateLimit.per_period(1, 1024.0),
    )
    for _ in range(5):
        with pytest.raises(type(error)):
            throttle.verify("hank", ADDRESS, "hash", "password")
    throttle._passwords.end = True  # type: ignore[attr-defined]
    assert all(throttle.verify("hank", ADDRESS, "hash", "password") for _ in range(5))
    throttle._passwords.end = False  # type: ignore[attr-defined]
    assert not throttle.verify("hank", ADDRESS, "hash", "password")
    with pytest.raises(LoginThrottled):
        throttle.verify("hank", ADDRESS, "hash", "password")


def test_what_a_refused_trial_had_taken_before_is_given_back() -> None:
    throttle = make_login_throttle(
        False,
        login_failures_per_address=RateLimit.per_period(3, 1024.0),
        login_failures_per_name=RateLimit.per_period(1, 1024.0),
    )
    assert not throttle.verify("hank", ADDRESS, "hash", "password")
    for _ in range(5):
        with pytest.raises(LoginThrottled):
            throttle.verify("hank", ADDRESS, "hash", "password")
    assert not throttle.verify("dale", ADDRESS, "hash", "password"), "its network has two left"
    assert not throttle.verify("bill", ADDRESS, "hash", "password")
    with pytest.raises(LoginThrottled):
        throttle.verify("bobby", ADDRESS, "hash", "password")


@pytest.mark.parametrize("error", [*ERRORS, BadPassword(), RateLimited()], ids=lambda error: type(error).__name__)
def test_a_registration_counts_where_an_account_was_made(error: BaseException) -> None:
    throttle = make_login_throttle(error, registrations=TWO)
    for _ in range(5):
        with pytest.raises(type(error)), throttle.hash_for_registration(ADDRESS, "password"):
            pass
    throttle._passwords.end = True  # type: ignore[attr-defined]
    for error in (*ERRORS, NameTaken()):
        with pytest.raises(type(error)), throttle.hash_for_registration(ADDRESS, "password"):
            raise error
    with throttle.hash_for_registration(ADDRESS, "password") as hashed:
        assert hashed == "hashed"
    with pytest.raises(InvalidInvite), throttle.hash_for_registration(ADDRESS, "password"):
        raise InvalidInvite  # a guess
    with pytest.raises(RegistrationThrottled), throttle.hash_for_registration(ADDRESS, "password"):
        pass


def test_who_is_sent_away_while_waiting_for_a_hash_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmessenger.chat.passwords.MAX_PENDING", 3)
    passwords = PasswordVerifier(RecordingHasher())
    for _ in range(5):
        jobs = [gevent.spawn(passwords.verify, None, "password1", "203.0.113.7") for _ in range(3)]
        gevent.sleep(0)
        gevent.killall(jobs)
        assert passwords.pending_count == 0
    assert not passwords.verify(None, "password1")
    assert (passwords.pending_count, passwords._pending_by_network) == (0, {})
    passwords.close()


def test_one_network_does_not_fill_the_queue_of_hashes() -> None:
    passwords = PasswordVerifier(RecordingHasher())
    crowd = [gevent.spawn(passwords.verify, None, "password1", "203.0.113.7") for _ in range(64)]
    other = gevent.spawn(passwords.verify, None, "password1", "203.0.113.8")
    gevent.joinall([*crowd, other], timeout=20)
    assert sum(isinstance(job.exception, RateLimited) for job in crowd) == 64 - MAX_PENDING_PER_NETWORK
    assert other.successful() and passwords.pending_count == 0
    passwords.close()


def test_no_number_of_networks_pushes_out_where_others_are_at_home() -> None:
    homes = TrustedNetworks()
    homes.add("hank", "203.0.113.7")
    for number in range(20_000):
        homes.add("mallory", f"2001:db8:{number:x}::/64")
    assert ("hank", "203.0.113.7") in homes
    assert sum(("mallory", f"2001:db8:{number:x}::/64") in homes for number in range(20_000)) == MAX_TRUSTED_NETWORKS


def test_only_full_buckets_are_forgotten_and_further_ones_share_a_few() -> None:
    table: BucketTable[str, TokenBucket] = BucketTable(TokenBucket, max_size=100)
    empty = {f"empty-{number}": table.get(f"empty-{number}", 0.0) for number in range(100)}
    for bucket in empty.values():
        count_left(bucket)
    for number in range(10_000):
        table.get(f"other-{number}", 0.0).spend(1, TWO, 0.0)
    assert len(table) <= 100 + OVERFLOW_BUCKETS
    assert all(count_left(table.get(key, 0.0)) == 0 for key in empty), "none was pushed out"
    table.get("later", 2048.0)
    assert sum(key in table for key in empty) < 100, "they have filled up since"


def test_a_bucket_in_use_comes_back_as_it_was() -> None:
    table: BucketTable[str, SenderBuckets] = BucketTable(SenderBuckets, max_size=2)
    used = table.get("hank", 0.0)
    for number in range(10):
        table.get(f"other-{number}", 0.0)
    assert "hank" not in table and table.get("hank", 0.0) is used
    del used
    for number in range(10):
        table.get(f"other-{number}", 0.0)
    gc.collect()
    assert len(table._evicted) == 0


def test_what_is_shared_is_charged_too_and_nothing_is_taken_where_either_refuses() -> None:
    shared, rate = (TokenBucket(), RateLimit.per_period(10, 1024.0)), RateLimit.per_period(4, 1024.0)
    accepted = 0
    for _ in range(10):  # one guest after another
        bucket = TokenBucket()
        while True:
            bucket.tokens -= 1
            throttled = charge_buckets(bucket, 1, rate, 0.0, [(shared[0], shared[1])]) if bucket.tokens < 0 else None
            if throttled is not None:
                assert throttled.retry_after is not None and bucket.tokens >= 0
                break
            accepted += 1
    assert 9 <= accepted <= 10
    alone = TokenBucket()
    assert not charge_buckets_ahead(alone, 4, rate, 0.0, [(shared[0], shared[1])]) and count_left(alone, rate) == 4


def test_a_name_without_limit_is_held_to_what_is_shared() -> None:
    shared = TokenBucket()
    accepted = sum(
        charge_buckets(bucket, 1, NO_LIMIT, 0.0, [(shared, TWO)]) is None for bucket in map(make_overdrawn, range(10))
    )
    assert accepted == 2


def make_overdrawn(_: int) -> TokenBucket:
    bucket = TokenBucket()
    bucket.tokens -= 1
    return bucket


def guest(name: str, address: str = ADDRESS) -> Session:
    outbox = Outbox(10, 10_000, lambda: None, lambda: None)
    return Session(name, outbox, protocol="native", accepts_push=True, address=address)


def count_sent(throttle: Throttle, session: Session) -> int:
    """Return how many messages are accepted until one is refused."""
    for count in range(1000):
        try:
            throttle.charge_message(session, 2)
        except RateLimited:
            return count
    raise AssertionError("it is never refused")


def test_guests_of_one_network_share_what_they_may_say_under_whatever_names() -> None:
    limits = Limits(messages=RateLimit.per_period(5, 1024.0), guest_messages=RateLimit.per_period(12, 1024.0))
    throttle, accepted = Throttle(lambda: limits, lambda: 0.0, networks_of), 0
    for number in range(50):
        throttle.attach(session := guest(f"guest-{number}"))
        accepted += count_sent(throttle, session)
    assert 10 <= accepted <= 12
    for number in range(50):  # the network that holds that one: no more than twice as much
        throttle.attach(session := guest(f"guest-{number}", f"203.0.113.{number}:1"))
        accepted += count_sent(throttle, session)
    assert accepted <= 24


def test_in_one_go_they_share_it_too() -> None:
    limits = Limits(messages=RateLimit.per_period(10, 1024.0), guest_messages=RateLimit.per_period(25, 1024.0))
    throttle, sent = Throttle(lambda: limits, lambda: 0.0, networks_of), 0
    for number in range(50):
        throttle.attach(session := guest(f"guest-{number}"))
        charge = throttle.try_charge_batch(session, 10)
        sent += 10 * (charge is not None)
        if charge is not None:
            charge.commit()
    assert sent == 20


def test_who_becomes_an_account_begins_with_what_is_left() -> None:
    limits = Limits(messages=RateLimit.per_period(5, 1024.0))
    throttle = Throttle(lambda: limits, lambda: 0.0, networks_of)
    throttle.attach(session := guest("hank"))
    for _ in range(5):
        throttle.charge_message(session, 2)
    session.account = SimpleNamespace(name="hank")  # type: ignore[assignment]
    throttle.keep_pace(session)
    with pytest.raises(RateLimited):
        throttle.charge_message(session, 2)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_who_is_sent_away_while_held_back_pays_nothing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle = Throttle(lambda: Limits(messages=RateLimit(1, 5, 100)), lambda: 0.0)
    throttle.attach(session := guest("hank"))
    for _ in range(5):
        throttle.charge_message(session, 2)

    def fail(_: float) -> None:
        raise error

    monkeypatch.setattr(gevent, "sleep", fail)
    for _ in range(200):  # else it would be refused: 100 s of debt
        with pytest.raises(type(error)):
            throttle.charge_message(session, 2)
        throttle.charge_message(session, 2) if session.buckets.messages.tokens >= 1 else None


class BrokenOutbox(Outbox):
    """Its next `make_room` raises."""

    def __init__(self, error: BaseException | None) -> None:
        super().__init__(10, 10_000, lambda: None, lambda: None)
        self.error = error

    def make_room(self) -> bool:
        if self.error is not None:
            raise self.error
        return super().make_room()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_room_that_was_promised_is_given_back_once(error: BaseException) -> None:
    first, second = BrokenOutbox(None), BrokenOutbox(error)
    with raises_like(error), OutboxReservations(100) as reservations:
        reservations.try_reserve(first)
        assert first.reserved == (1, 100)
        reservations.try_reserve(second)
    assert first.reserved == (0, 0)
    with OutboxReservations(100) as reservations:
        reservations.try_reserve(first)
    reservations.release()
    reservations.release()
    assert first.reserved == (0, 0)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_rooms_on_their_way_count_and_then_no_more(error: BaseException) -> None:
    reservations, limits = RoomQuotas(), Limits(max_rooms_created=1, max_rooms_joined=1, max_members=1)
    session, room = guest("hank"), Room("#dev", "#dev", "", creator=7)
    for _ in range(3):
        with raises_like(error), reservations.reserve_room(limits, [], 7):
            with pytest.raises(TooManyRooms), reservations.reserve_room(limits, [], 7):
                pass
            raise error
        with raises_like(error), reservations.reserve_join(limits, [], session, room):
            with pytest.raises(RoomFull), reservations.reserve_join(limits, [], guest("dale"), room):
                pass
            with pytest.raises(TooManyRooms):
                reservations.check_join_quota(limits, [], session)
            raise error
    assert (reservations.pending_creations, reservations.pending_joins_by_name, reservations.pending_joins_by_room) == (
        {},
        {},
        {},
    )


def test_a_room_made_under_two_spellings_at_once_is_remembered_under_its_own() -> None:
    store = open_store("memory:")
    account = store.create_account("hank", "Hank", "digest", 1.0)
    session: Any = SimpleNamespace(account=account, key="hank")
    router = cast(Any, None)
    rooms = RoomRegistry(store, router, {account.id: account}, lambda _: None)
    policy = Policy(limits=Limits(max_rooms_created=9))
    quotas, rights = RoomQuotas(), RoomRights(store, router, rooms, lambda: 1.0)
    passing_rooms = PassingRooms(store, rooms, quotas, policy, lambda: 1.0, gevent.spawn, lambda address: ())
    membership = RoomMembership(store, router, rooms, lambda: 1.0, rights, policy, quotas, passing_rooms)
    creators = [gevent.spawn(membership._create, session, name, OPEN_ROOM) for name in ("#Dev", "#DEV", "#dev")]
    gevent.joinall(creators, raise_error=True, timeout=TEST_TIMEOUT)
    (room,) = rooms
    stored = ConfusableIndex([room.name])
    assert rooms._room_names._names == stored._names
    store.close()


def test_a_change_is_answered_though_what_follows_it_fails() -> None:
    failed: list[BaseException] = []

    def spawn(what: str, run: Callable[[], None]) -> object:
        greenlet = gevent.Greenlet(run)
        greenlet.link_exception(lambda ended: failed.append(ended.exception))
        greenlet.start()
        return greenlet

    def fail() -> None:
        raise ZeroDivisionError

    results: list[str] = []
    ChangeRunner(spawn, 30.0).run(lambda: "done", results.append, then=fail)
    assert results == ["done"]
    gevent.sleep(0)
    assert [type(failure) for failure in failed] == [ZeroDivisionError]


def test_names_of_one_network_do_not_push_out_all_others() -> None:
    seen = RecentNames(Policy(max_recent_names=100))
    for number in range(80):
        seen.add(f"old-{number}", f"Old-{number}")
    for number in range(1000):
        seen.add(f"new-{number}", f"New-{number}", "203.0.113.7")
    assert sum(f"old-{number}" in seen for number in range(80)) == 80
    assert [name for _, name in seen.newest_first()][:2] == ["New-999", "New-998"]
    assert len(list(seen.newest_first())) == 90
    seen.add("new-999", "New-999", "203.0.113.8")
    for number in range(1000):
        seen.add(f"more-{number}", f"More-{number}")
    assert seen._names_by_network == {} and len(list(seen.newest_first())) == 100


ALLOWED = {
    "refund": {"ratelimit.py"},
    "reserve": {"dispatcher.py", "relay.py"},
    "spend": {"ratelimit.py", "websocket_transport.py"},  # frames that were received are never given back
}
"""Where what is charged or promised may be touched: where it is given back whatever is raised."""


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_is_charged_or_promised_but_by_a_context_manager(name: str) -> None:
    found: set[str] = set()
    for folder in ("chat", "server", "cluster"):
        for path in (Path(gmessenger.__file__).parent / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                    found.add(path.name)
    assert found - {"peers.py"} <= ALLOWED[name]  # (peers.py hands `reserve` on)


def test_a_timeout_of_the_asker_s_own_is_not_taken_for_the_disk_s() -> None:
    results: list[bool] = []
    never = Event()
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01):
        ChangeRunner(lambda what, run: gevent.spawn(run), 30.0).run(never.wait, results.append)
    with pytest.raises(StoreUnavailable):
        ChangeRunner(lambda what, run: gevent.spawn(run), 0.01).run(never.wait, results.append)
    never.set()
    gevent.sleep(0)
    assert results == [], "a request that waits no more is not answered"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whoever_waits_for_a_change_is_told_at_once_that_it_failed(error: BaseException) -> None:
    def fail() -> None:
        raise error

    def spawn(what: str, run: Callable[[], None]) -> None:
        with suppress(BaseException):
            run()

    with gevent.Timeout(5), pytest.raises((StoreUnavailable, ZeroDivisionError)):
        ChangeRunner(spawn, 30.0).run(fail, list)


class BrokenStore:
    """A store of which each method raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.identity, self.is_persistent = "", False

    def __getattr__(self, name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise self.error

        return fail


def test_a_session_that_cannot_be_caught_up_is_ended_so_that_it_comes_again() -> None:
    session, started = guest("hank"), []
    session.account = SimpleNamespace(id=1, name="hank")  # type: ignore[assignment]
    delivery = DeliveryService(
        BrokenStore(ZeroDivisionError()), lambda what, run, *args: started.append((run, args)), MessengerStats()
    )  # type: ignore[arg-type]
    delivery.start_catch_up(session)
    ((run, args),) = started
    with pytest.raises(ZeroDivisionError):
        run(*args)
    assert session.outbox.closed and [type(each) for each in session.outbox.drain()] == [EndOfStream]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_quota_counts_what_is_kept_and_what_is_on_its_way(error: BaseException) -> None:
    store = SimpleNamespace(stored_bytes=lambda account: 90)
    quotas = StorageQuotas(store, Policy(guest_quota=100), lambda: 0.0)  # type: ignore[arg-type]
    for _ in range(5):
        with raises_like(error), quotas.reserve(guest("hank"), "ж" * 5):
            with pytest.raises(QuotaExceeded):
                quotas.reserve(guest("dale"), "x")
            raise error
    with quotas.reserve(guest("hank"), "x" * 10) as use:
        pass
    use.complete(is_stored=False)
    use.complete(is_stored=True)  # it was settled before
    with quotas.reserve(guest("hank"), "x" * 10) as use:
        use.complete(is_stored=True)
    with pytest.raises(QuotaExceeded):
        quotas.reserve(guest("hank"), "x")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_store_that_cannot_say_how_much_is_kept_is_asked_again(error: BaseException) -> None:
    store = BrokenStore(error)
    quotas = StorageQuotas(store, Policy(guest_quota=100), lambda: 0.0)  # type: ignore[arg-type]
    with raises_like(error):
        quotas.reserve(guest("hank"), "hi")
    store.stored_bytes = lambda account: 99
    with pytest.raises(QuotaExceeded):
        quotas.reserve(guest("hank"), "hi")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_names_on_their_way_to_a_block_list_count_and_then_no_more(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmessenger.chat.blocks.MAX_BLOCKED", 1)
    store = BrokenStore(error)
    store.blocks = list
    blocks = BlockList(store, {})  # type: ignore[arg-type]
    session = guest("hank")
    session.account = SimpleNamespace(id=1, name="hank")  # type: ignore[assignment]

    def block(*_: object) -> None:
        with pytest.raises(Forbidden):
            blocks.block(session, "Other")
        raise error

    store.block = block
    with raises_like(error):
        blocks.block(session, "Dale")
    assert (blocks.count("hank"), blocks._pending) == (0, {})
    store.block = lambda *_: None
    blocks.block(session, "Dale")
    assert blocks.count("hank") == 1


@contextmanager
def slot(limiter: ConnectionLimiter, address: str) -> Iterator[None]:
    """Count a connection until the block ends, as the acceptor does."""
    networks = limiter.acquire(address)
    try:
        yield
    finally:
        limiter.release(networks)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_places_of_a_network_are_left_by_whoever_took_them(error: BaseException) -> None:
    options = ServerOptions(max_connections_per_ip=2)
    near = ConnectionLimiter(lambda: options, lambda: 0.0)
    for _ in range(5):
        with raises_like(error), slot(near, ADDRESS), slot(near, ADDRESS):
            with pytest.raises(TooManyConnections), slot(near, ADDRESS):
                pass
            raise error
    assert len(near) == 0
    loopback, options = "127.0.0.1:1", replace(options, limit_loopback=True)
    with slot(near, loopback):
        options = replace(options, limit_loopback=False)  # reloaded
    assert len(near) == 0
    with slot(near, loopback):
        options = replace(options, limit_loopback=True)
    assert len(near) == 0


def test_a_large_ipv6_network_is_not_as_many_addresses_as_it_has() -> None:
    options = ServerOptions(max_connections_per_ip=1, connect_rate=0)
    near = ConnectionLimiter(lambda: options, lambda: 0.0)
    with ExitStack() as calls:
        for number in range(8):
            calls.enter_context(slot(near, f"[2001:db8:0:{number:x}::1]:1"))
        for address in ("[2001:db8:0:77::1]:1", "[2001:db8:0:1::2]:1"):
            with pytest.raises(TooManyConnections), slot(near, address):
                pass
        calls.enter_context(slot(near, "[2001:db8:1::1]:1"))
        calls.enter_context(slot(near, "[::ffff:192.0.2.1]:1"))
        calls.enter_context(slot(near, "[::ffff:192.0.2.2]:1"))
    assert len(near) == 0
