"""Files of accounts: who may upload, how much, and which file a message may have. Their bytes are elsewhere."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gmessenger.chat.auth import Authenticator, LoginThrottle
from gmessenger.chat.policy import Policy
from gmessenger.chat.ratelimit import BucketTable, Charge, TokenBucket
from gmessenger.chat.records import Account, FileInfo, StoredFile
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import WeightedNetworks
from gmessenger.errors import (
    AccountDisabled,
    AccountsOnly,
    FileQuotaExceeded,
    FilesFull,
    FilesRefused,
    FileTooLong,
    LoginThrottled,
    PasswordChangeRequired,
    PasswordRequired,
    TooManyUploads,
    WrongPassword,
)
from gmessenger.names import fold

UPLOADS_OF_ONE: Final = 4
"""Uploads of one account that may be under way at a time."""
UPLOADS_OF_ALL: Final = 16
ID_BYTES: Final = 16
"""Random bytes of the id of a file: who has its URL may read it, so it must not be guessed."""


class UploadReservation:
    """One of the uploads that may be under way at a time; taken for a `with` block."""

    def __init__(self, uploads: Counter[int], account: int) -> None:
        self._uploads = uploads
        self.account = account

    def __enter__(self) -> Self:
        self._uploads[self.account] += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._uploads[self.account] -= 1
        if not self._uploads[self.account]:
            del self._uploads[self.account]


class FileService:
    """Checks uploads, and finds files. Methods block on the store, and raise `StoreUnavailable`.

    `networks_of` returns the networks that an address counts for; none where nothing is counted. `clock` is the time in
    Unix seconds, `monotonic` never goes back.
    """

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        login_throttle: LoginThrottle,
        check_login: Callable[[str, str], None],
        policy: Policy,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        networks_of: Callable[[str], WeightedNetworks],
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._login_throttle = login_throttle
        self._check_login = check_login
        self._policy = policy
        self._clock = clock
        self._monotonic = monotonic
        self._networks_of = networks_of
        self._uploads: Counter[int] = Counter()
        self._bad_tokens: BucketTable[str, TokenBucket] = BucketTable(TokenBucket)

    @property
    def upload_count(self) -> int:
        """The number of uploads that are under way."""
        return self._uploads.total()

    def authenticate_token(self, token: str, address: str) -> Account:
        """Return the account with a session token.

        Bad tokens are counted by network, apart from passwords: a program with a token that was revoked must not keep
        an office from logging in. Raises `PasswordRequired`, `LoginThrottled`, `AccountsOnly`, and as
        `authenticate_password`.
        """
        now, rate = self._monotonic(), self._policy.limits.login_failures_per_address
        with Charge() as charge:
            for network, factor in self._networks_of(address):
                throttled = charge.take(self._bad_tokens.get(network, now), 1, rate.scaled(factor), now)
                if throttled is not None:
                    raise LoginThrottled(retry_after=round(throttled.retry_after or 0.0, 1))
            known = self._store.find_token(token, self._authenticator.token_horizon())
            account = self._authenticator.accounts_by_id.get(known[0]) if known is not None else None
            if account is None and not self._authenticator.guests.has_token(token):
                charge.commit()
                raise PasswordRequired
        if account is None:
            raise AccountsOnly
        return self._require_usable(account, address)

    def authenticate_password(self, name: str, password: str, address: str) -> Account:
        """Return the account with a name and a password, which are counted as at a login.

        Raises `WrongPassword`, `LoginThrottled`, `AccountDisabled`, `PasswordChangeRequired`, or why the name or the
        address is banned.
        """
        key = fold(name)
        account = self._authenticator.accounts.get(key)
        self._check_login(key, address)
        password_hash = self._store.password_hash(account.id) if account is not None else None
        if not self._login_throttle.verify(key, address, password_hash, password) or account is None:
            raise WrongPassword
        return self._require_usable(account, address)

    def _require_usable(self, account: Account, address: str) -> Account:
        self._check_login(account.key, address)
        if account.disabled:
            raise AccountDisabled
        if self._store.has_one_time_password(account.id):
            raise PasswordChangeRequired
        return account

    def begin_upload(self, account: Account, size: int) -> UploadReservation:
        """Return a slot for an upload of so many bytes.

        Raises `FilesRefused`, `FileTooLong`, `TooManyUploads`, `FileQuotaExceeded` or `FilesFull`.
        """
        policy = self._policy
        if not policy.max_file:
            raise FilesRefused
        if size > policy.max_file:
            raise FileTooLong(limit=policy.max_file)
        if self._store.file_usage(account.id).size + size > policy.files_of_one:
            raise FileQuotaExceeded(limit=policy.files_of_one)
        if self._store.file_usage().size + size > policy.files_of_all:
            raise FilesFull
        # Last, as it is taken in the same step: what is above may block.
        if self._uploads[account.id] >= UPLOADS_OF_ONE or self.upload_count >= UPLOADS_OF_ALL:
            raise TooManyUploads
        return UploadReservation(self._uploads, account.id)

    def add(
        self, account: int, digest: str, name: str, type: str, size: int, width: int | None, height: int | None
    ) -> FileInfo:
        """Add a file, whose content is kept right afterwards; return it with its id. Raises as `Store.add_file`."""
        info = FileInfo(secrets.token_urlsafe(ID_BYTES), name, type, size, width, height)
        stored = StoredFile(info, digest, account, self._clock())
        self._store.add_file(stored, self._policy.files_of_one, self._policy.files_of_all)
        return info

    def drop(self, file: FileInfo) -> None:
        """Remove a file that no message has got."""
        self._store.drop_file(file.id)

    def find(self, id: str) -> StoredFile | None:
        """Return the file with an id."""
        return self._store.find_file(id)

    def find_waiting(self, session: Session, id: str) -> FileInfo | None:
        """Return the file with an id, if it is one of the session's account that no message has got."""
        stored = self._store.find_file(id)
        if stored is None or session.account is None or stored.account != session.account.id or stored.is_sent:
            return None
        return stored.info

    def find_own(self, session: Session, id: str) -> FileInfo:
        """Return the file that a session names in a message; only the id is known of one that is gone, or another's.

        Whether a message may have it, the store decides: a message that was stored before is answered as then, although
        its file may have gone with an erasure. Raises `AccountsOnly`.
        """
        account = session.require_account()
        stored = self._store.find_file(id)
        return stored.info if stored is not None and stored.account == account.id else FileInfo(id, "", "", 0)
