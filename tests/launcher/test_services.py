"""Private PostgreSQL and Redis servers start, stop, pause, and are removed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gmessenger.launcher import services
from gmessenger.launcher.services import Postgres, Redis, Service, missing
from tests import ROOT


@pytest.mark.parametrize("kind", [Postgres, Redis], ids=["PostgreSQL", "Redis"])
def test_a_service_answers_whatever_had_ended_it(kind: type[Service], request: pytest.FixtureRequest) -> None:
    if request.node.callspec.id in missing():
        pytest.skip(f"{request.node.callspec.id} is not installed")
    with kind() as service:
        for end in (service.kill, service.stop):
            service.start()
            service.pause()
            service.resume()
            assert service.running and service.answers()
            end()
            assert not service.running and not service.answers()
    assert not service.folder.exists()


def test_every_database_is_another_and_keeps_what_is_in_it(postgres: Postgres) -> None:
    urls = [postgres.database() for _ in range(services.SPARE_DATABASES + 1)]
    assert len({*urls}) == len(urls)
    names = [url.removeprefix("postgresql://postgres@/").partition("?")[0] for url in urls]
    postgres.run("CREATE TABLE kept AS SELECT 7", database=names[0])
    assert postgres.run("SELECT * FROM kept", database=names[0]) == "7\n"
    with pytest.raises(RuntimeError, match="kept"):
        postgres.run("SELECT * FROM kept", database=names[1])


def test_a_database_whose_making_failed_is_not_made_again(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer may have been lost: then every further one of that name would fail, and every test after it."""
    run = postgres.run

    def lose_answer(*statements: str) -> str:
        run(*statements)
        raise subprocess.TimeoutExpired("psql", 1)

    monkeypatch.setattr(postgres, "_spare_databases", [])
    monkeypatch.setattr(postgres, "run", lose_answer)
    with pytest.raises(subprocess.TimeoutExpired):
        postgres.database()
    monkeypatch.setattr(postgres, "run", run)
    assert postgres.database()


def test_it_answers(redis_server: Redis) -> None:
    assert redis_server.answers()


def test_what_is_not_installed_is_said_and_counted() -> None:
    command = [sys.executable, "-m", "pytest", "-n", "0", f"{__file__}::{test_it_answers.__name__}"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": "/nowhere"}, capture_output=True, text=True)
    assert "1 tests of clusters skipped: Redis is not installed" in done.stdout, done.stdout
