"""Passwords: what is compared with what, and that it costs the same whoever is meant."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters

from gmessenger.chat.passwords import Passwords
from gmessenger.errors import BadPassword
from tests.spec.people import PASSWORD


class Watched(PasswordHasher):
    """Keeps what it was asked to verify."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.verified.append(str(hash))
        return bool(super().verify(hash, password))


@pytest.fixture
def hasher() -> Watched:
    return Watched()


def test_a_wrong_password_and_a_name_without_account_cost_the_same(hasher: Watched) -> None:
    passwords = Passwords(hasher)
    hashed = passwords.hash(PASSWORD)
    assert passwords.matches(hashed, PASSWORD)
    for nothing in (None, ""):
        assert not passwords.matches(hashed, "wrong password")
        assert not passwords.matches(nothing, "wrong password")
    assert len(hasher.verified) == 5
    assert len({repr(extract_parameters(each)) for each in hasher.verified}) == 1
    passwords.close()


def test_nobodys_password_is_nobodys(hasher: Watched) -> None:
    one, other = Passwords(hasher), Passwords(hasher)
    for passwords in (one, other):
        passwords.matches(None, PASSWORD)
        passwords.close()
    assert len(set(hasher.verified)) == 2


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025])
def test_what_is_too_short_or_too_long_is_refused(hasher: Watched, password: str) -> None:
    passwords = Passwords(hasher)
    with pytest.raises(BadPassword):
        passwords.hash(password)
    assert not passwords.matches(passwords.hash(PASSWORD), password)
    passwords.close()
