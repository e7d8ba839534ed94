"""Connections to the server under test, closed when the test ends and before the server stops.
A test names `dial` after `server` or `start_server`; `town` and `settle` see to that themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import RunningCluster, SharedPopulation, is_shared
from tests.conftest import RunningServer
from tests.spec.people import DEVICES, NAMES, PASSWORD, Person, Population, Town
from tests.spec.wires import Dial, together


@pytest.fixture
def dial() -> Iterator[Dial]:
    with Dial() as connections:
        yield connections


@pytest.fixture(scope="session")
def as_cluster(request: pytest.FixtureRequest) -> str:
    """Whether, and how, the server of a test is two, dialled in turn: what is promised is promised of a cluster, too."""
    return request.config.getoption("--cluster") or ""


@pytest.fixture
def launch(
    launch: Callable[..., RunningServer], as_cluster: str, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Any]]:
    """Who names a store that nodes cannot share gets a server that is alone."""
    if not as_cluster:
        yield launch
        return
    postgres, bus = request.getfixturevalue("postgres"), request.getfixturevalue("redis_server").url
    own: list[str] = []

    def start(store: str = "", **options: Any) -> RunningServer | RunningCluster:
        if store and not is_shared(store):
            return launch(store=store, **options)
        if not store and not own:
            own.append(postgres.database())
        return RunningCluster(as_cluster == "calm", store=store or own[0], bus=bus, **options)

    yield start
    for url in own:
        postgres.drop(url)


@pytest.fixture(scope="session")
def population(
    tmp_path_factory: pytest.TempPathFactory, as_cluster: str, request: pytest.FixtureRequest
) -> Population:
    """Registers everybody once."""
    if as_cluster:
        everybody: Population = SharedPopulation(request.getfixturevalue("postgres"))
    else:
        everybody = Population(f"sqlite:///{tmp_path_factory.mktemp('population') / 'chat.db'}")
    server = RunningServer(store=everybody.store)

    def settles(name: str) -> None:
        with Dial() as dial:
            dial.open.append(person := Person(server))
            person.enter(name, device=DEVICES[0]).register()
            for device in DEVICES:
                dial.open.append(person := Person(server))
                everybody.sessions[name, device] = person.enter(name, device=device, password=PASSWORD).session

    assert together({name: lambda name=name: settles(name) for name in NAMES}) == {}
    server.stop()
    return everybody


@pytest.fixture
def settle(start_server: Callable[..., Any], dial: Dial, population: Population, tmp_path: Path) -> Callable[..., Town]:
    """Starts a server with options by name on a store with everybody in it."""
    town = Town(start_server, dial, population, population.copied(tmp_path))
    return town.opens


@pytest.fixture
def town(settle: Callable[..., Town]) -> Town:
    return settle()
