"""Fixtures of the protocol tests: clients of a server, closed before the server stops.

A test names `connector` after `server` or `start_server`; `chat_server` and `start_chat_server` do so themselves.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningServer
from tests.support.accounts import DEVICES, NAMES, PASSWORD, ChatServer, PopulatedStore, UserClient
from tests.support.cluster import RunningCluster, SharedPopulatedStore, is_shared
from tests.support.native_clients import Connector, run_together

HERE = Path(__file__).parent


UNSETTLED_MODULES = (
    "test_course",
    "test_course_frames",
    "test_room_guests",
    "test_hostile",
    "test_batching",
    "test_interleaving",
    "test_slow_reader",
)
"""Modules whose timing matters: they do not wait until everything sent has reached all nodes."""
SINGLE_NODE_TESTS = {
    "test_concurrency": "looks inside the one server",
    "test_one_too_many_is_told_503_and_closed_until_somebody_leaves": "each node has its own bound",
    "test_one_address_has_only_so_many_connections": "each node has its own bound",
    "test_one_address_comes_only_so_often": "each node counts for itself",
    "test_only_so_many_names_are_registered_from_one_address": "each node counts for itself",
    "test_registrations_are_limited_by_address": "each node counts for itself",
    "test_all_devices_of_an_account_share_what_it_may_say_and_coming_back_does_not_renew_it": "each node has its own",
    "test_strangers_who_guess_are_stopped_and_the_owner_comes_in": "each node counts for itself",
    "test_where_somebody_logged_in_before_strangers_cannot_lock_them_out": "each node counts for itself",
    "test_a_guest_who_changes_its_name_says_no_more_than_others": "each node counts for itself",
    "test_requests_of_guests_and_strangers_are_counted_by_address": "each node counts for itself",
    "test_of_many_rooms_asked_for_at_one_time_no_more_are_made_than_one_may_make": "each node counts what it knows of",
    "test_wrong_passwords_from_one_address_are_counted_whatever_the_name": "each node counts for itself",
    "test_who_is_blocked_sees_a_guest_in_common_rooms_only": "each node knows the blocks of its own guests",
    "test_a_registration_succeeds_though_an_invitation_cannot_be_kept": "each node has a store",
    "test_invitations_of_guests_count_with_those_of_accounts": "each node counts the invitations of its own guests",
    "test_a_guest_who_comes_back_keeps_its_profile": "each node knows the profiles of its own guests",
    "test_a_guest_who_has_left_is_in_nobodys_way": "each node knows how its own guests look",
    "test_a_guest_who_comes_back_is_still_in_the_way": "each node knows how its own guests look",
    "test_renamed_guests": "looks inside the one server",
    "test_its_maker_gives_roles_and_removes": "each node shows the roles of its own guests",
}
"""Tests that do not hold for a cluster, and why."""
PLAIN_WIRE_TESTS = {
    "test_objects_joined_in_one_packet_are_read_one_after_the_other": "a message ends where it ends",
    "test_the_cap_is_an_option_and_said_in_the_limits": "a message that is too long ends the connection",
    "test_a_frame_over_the_cap_is_answered_413_and_reading_resumes_after_it": "the same",
    "test_a_guest_that_is_removed_takes_its_network_along": "a balancer's header comes before the handshake",
    "test_responses_are_the_recorded_bytes": "the login tells where files are uploaded",
    "test_a_guest_is_told_who_serves_what_the_limits_are_and_gets_synced_at_once": "the same",
}
"""Tests that do not hold for a WebSocket, and why."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skipped: dict[str, str] = {}
    if config.getoption("--cluster"):
        skipped |= {name: f"in a cluster {reason}" for name, reason in SINGLE_NODE_TESTS.items()}
    if config.getoption("--wire") == "web":
        skipped |= {name: f"in a WebSocket {reason}" for name, reason in PLAIN_WIRE_TESTS.items()}
    for item in items:
        reason = skipped.get(item.path.stem) or skipped.get(getattr(item, "originalname", ""))
        if reason is not None and item.path.parent == HERE:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def connector() -> Iterator[Connector]:
    with Connector() as connections:
        yield connections


@pytest.fixture(scope="session")
def as_cluster(request: pytest.FixtureRequest) -> str:
    """The value of --cluster: whether, and how, the server of a test is a cluster of two nodes."""
    return request.config.getoption("--cluster") or ""


@pytest.fixture
def launch(
    launch: Callable[..., RunningServer], as_cluster: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Any]]:
    """Start clusters instead of servers with --cluster, unless a test names a store that cannot be shared.

    With --wire web, clients reach all of them by WebSocket.
    """
    wire = request.config.getoption("--wire")
    if not as_cluster:
        yield partial(launch, wire=wire)
        return
    postgres, bus = request.getfixturevalue("postgres"), request.getfixturevalue("redis_server").url
    own: list[str] = []
    is_settled = as_cluster == "settled" and request.path.stem not in UNSETTLED_MODULES

    def start(store: str = "", **options: Any) -> RunningServer | RunningCluster:
        if store and not is_shared(store):
            return launch(store=store, wire=wire, **options)
        if not store and not own:
            own.append(postgres.database())
        return RunningCluster(is_settled=is_settled, store=store or own[0], bus=bus, wire=wire, **options)

    yield start
    for url in own:
        postgres.drop(url)


@pytest.fixture(scope="session")
def populated_store(
    tmp_path_factory: pytest.TempPathFactory, as_cluster: str, request: pytest.FixtureRequest
) -> PopulatedStore:
    """Register all accounts once."""
    if as_cluster:
        store: PopulatedStore = SharedPopulatedStore(request.getfixturevalue("postgres"))
    else:
        store = PopulatedStore(f"sqlite:///{tmp_path_factory.mktemp('population') / 'chat.db'}")
    server = RunningServer(store=store.store)

    def register(name: str) -> None:
        with Connector() as connector:
            connector.connections.append(client := UserClient(server))
            client.start_session(name, device=DEVICES[0]).register()
            for device in DEVICES:
                connector.connections.append(client := UserClient(server))
                store.sessions[name, device] = client.start_session(name, device=device, password=PASSWORD).session

    assert run_together({name: lambda name=name: register(name) for name in NAMES}) == {}
    server.stop()
    return store


@pytest.fixture
def start_chat_server(
    start_server: Callable[..., Any], connector: Connector, populated_store: PopulatedStore, tmp_path: Path
) -> Callable[..., ChatServer]:
    """Start a server with options by name on a copy of the populated store."""
    chat_server = ChatServer(start_server, connector, populated_store, populated_store.copy(tmp_path))
    return chat_server.start


@pytest.fixture
def chat_server(start_chat_server: Callable[..., ChatServer]) -> ChatServer:
    return start_chat_server()
