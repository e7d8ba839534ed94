"""Pages of users: what one costs does not depend on how many users are online."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gmessenger.chat.listings import USERS_PAGE, ListingService
from gmessenger.chat.policy import Policy
from gmessenger.chat.presence import UserStatus

NAMES = {f"name{number:05}": f"Name{number:05}" for number in range(3000)}


class HiddenNames:
    """Counts how often it is asked."""

    def __init__(self, hidden: set[str]) -> None:
        self.hidden = hidden
        self.asked = 0

    def __call__(self, key: str, viewer: str) -> bool:
        self.asked += 1
        return key in self.hidden


def make_listings(is_hidden: HiddenNames) -> ListingService:
    router: Any = SimpleNamespace(names=NAMES)
    presence: Any = SimpleNamespace(status=lambda key: UserStatus("online"))
    return ListingService(router, [], presence, is_hidden, Policy())  # type: ignore[arg-type]


def pages(is_hidden: HiddenNames) -> list[list[str]]:
    found: list[list[str]] = []
    after: str | None = None
    while not found or found[-1]:
        page = make_listings(is_hidden).users("asker", after)
        found.append([user.name for user in page.users])
        after = found[-1][-1] if found[-1] else None
        if not page.more:
            break
    return found


@pytest.mark.parametrize("step", [10**9, 1, 2, 3, 500])
def test_users_are_listed_once_without_those_who_hide(step: int) -> None:
    hidden = set(list(NAMES)[::step])
    found = [name for page in pages(HiddenNames(hidden)) for name in page]
    assert found == [name for key, name in NAMES.items() if key not in hidden]


def test_who_is_on_no_page_is_not_asked_about() -> None:
    is_hidden = HiddenNames(set())
    assert len(make_listings(is_hidden).users("asker", None).users) == USERS_PAGE
    assert is_hidden.asked <= 3 * USERS_PAGE
