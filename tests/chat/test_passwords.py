"""Passwords: which hash is compared, and that unknown names take as long."""

from __future__ import annotations

import gevent
import pytest
from argon2 import PasswordHasher, extract_parameters

from gmessenger.chat.passwords import PasswordVerifier
from gmessenger.errors import BadPassword, RateLimited
from tests.support.accounts import PASSWORD


class RecordingHasher(PasswordHasher):
    """Records the hashes that it has verified."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.verified.append(str(hash))
        return bool(super().verify(hash, password))


@pytest.fixture
def hasher() -> RecordingHasher:
    return RecordingHasher()


def test_a_wrong_password_and_a_name_without_account_cost_the_same(hasher: RecordingHasher) -> None:
    passwords = PasswordVerifier(hasher)
    password_hash = passwords.hash(PASSWORD)
    assert passwords.verify(password_hash, PASSWORD)
    for no_hash in (None, ""):
        assert not passwords.verify(password_hash, "wrong password")
        assert not passwords.verify(no_hash, "wrong password")
    assert len(hasher.verified) == 5
    assert len({repr(extract_parameters(each)) for each in hasher.verified}) == 1
    passwords.close()


def test_so_many_may_wait_and_no_more(hasher: RecordingHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gmessenger.chat.passwords.MAX_PENDING", 3)
    passwords = PasswordVerifier(hasher)
    jobs = [gevent.spawn(passwords.verify, None, PASSWORD) for _ in range(5)]
    gevent.joinall(jobs, timeout=10)
    assert [type(job.exception) for job in jobs] == [type(None)] * 3 + [RateLimited] * 2
    assert passwords.verify(passwords.hash(PASSWORD), PASSWORD)
    passwords.close()


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025])
def test_what_is_too_short_or_too_long_is_refused(hasher: RecordingHasher, password: str) -> None:
    passwords = PasswordVerifier(hasher)
    with pytest.raises(BadPassword):
        passwords.hash(password)
    assert not passwords.verify(passwords.hash(PASSWORD), password)
    passwords.close()
