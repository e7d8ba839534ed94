"""Sanctions: when they expire, how many there may be, and how they are paged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gmessenger.chat import sanctions as module
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.storage import Sanction, Store
from gmessenger.errors import Banned, Forbidden, Muted, NotFound
from gmessenger.store import open_store


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory:")
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sanctions(store: Store, clock: Clock) -> SanctionRegistry:
    return SanctionRegistry(store, clock)


def ban(target: str, until: float | None = None, reason: str = "") -> Sanction:
    return Sanction("network" if "/" in target else "name", target, "hank", reason, 1.0, until)


def test_what_is_over_is_forgotten_when_it_is_met_and_in_the_store_at_the_next_start(
    store: Store, sanctions: SanctionRegistry, clock: Clock
) -> None:
    sanctions.add(ban("dale", 160.0))
    sanctions.add(ban("10.0.0.0/8", 160.0))
    sanctions.add(ban("bill"))
    with pytest.raises(Banned, match="for another 60 seconds") as refused:
        sanctions.check_login("dale", "192.0.2.1:80")
    assert refused.value.retry_after == 60
    clock.now = 160.0
    sanctions.check_login("dale", "10.0.0.1:80")
    with pytest.raises(NotFound):
        sanctions.remove("name", "dale", "hank")
    assert len(store.sanctions()) == 3
    again = SanctionRegistry(store, clock)
    assert [each.target for each in store.sanctions()] == ["bill"]
    with pytest.raises(Banned):
        again.check_login("bill", "10.0.0.1:80")


def test_a_wider_ban_outlasts_a_narrow_one(sanctions: SanctionRegistry, clock: Clock) -> None:
    sanctions.add(ban("10.0.0.1/32", 110.0, "narrow"))
    sanctions.add(ban("10.0.0.0/8", 120.0, "wide"))
    for now, reason in ((100.0, "narrow"), (110.0, "wide")):
        clock.now = now
        with pytest.raises(Banned, match=reason):
            sanctions.check_address("10.0.0.1:80")
    clock.now = 120.0
    sanctions.check_address("10.0.0.1:80")


def test_there_is_an_end_of_them_but_what_is_over_does_not_count(
    sanctions: SanctionRegistry, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SANCTIONS", 2)
    sanctions.add(ban("a", 110.0))
    sanctions.add(ban("b"))
    sanctions.add(ban("b", reason="another"))
    with pytest.raises(Forbidden, match="There are already 2"):
        sanctions.add(ban("c"))
    clock.now = 110.0
    sanctions.add(ban("c"))
    assert [each.target for each in sanctions.page(("name",), "", 9)] == ["b", "c"]


def test_pages_have_names_and_networks_in_one_order(sanctions: SanctionRegistry, clock: Clock) -> None:
    for target in ("dale", "10.0.0.0/8", "bill", "over"):
        sanctions.add(ban(target, 110.0 if target == "over" else None))
    clock.now = 110.0

    def listed(after: str) -> list[str]:
        return [each.target for each in sanctions.page(("name", "network"), after, 1)]

    assert listed("") == ["10.0.0.0/8", "bill"] and listed("bill") == ["dale"] and listed("dale") == []


@pytest.mark.parametrize(
    ("left", "words"),
    [(0.5, "1 second"), (119, "119 seconds"), (600, "10 minutes"), (7201, "3 hours"), (3e5, "4 days")],
)
def test_how_long_it_lasts_is_told_in_words(sanctions: SanctionRegistry, clock: Clock, left: float, words: str) -> None:
    sanctions.add(Sanction("mute", "dale", "hank", "noise", 1.0, clock.now + left))
    with pytest.raises(Muted) as refused:
        sanctions.check_not_muted("dale")
    assert str(refused.value) == f"An operator has muted you for another {words}: noise."
