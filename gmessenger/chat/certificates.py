"""The certificates by which devices of accounts log in, in their owner's hands: added and removed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gmessenger import log
from gmessenger.chat.auth import Authenticator
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import BadRequest, NoSuchDevice
from gmessenger.field_types import MAX_DEVICE

FINGERPRINT: Final = re.compile("[0-9a-f]{64}")
PIN_PREFIX: Final = "sha256:"


def parse_fingerprint(text: str) -> str | None:
    """Return the SHA-256 fingerprint of a certificate in lower case, without colons; None if the text is not one."""
    digits = text.lower().removeprefix(PIN_PREFIX).replace(":", "")
    return digits if FINGERPRINT.fullmatch(digits) else None


class CertificateService:
    """Adds and removes the certificates of the account that asks. Methods block on the store."""

    def __init__(self, store: Store, authenticator: Authenticator, clock: Callable[[], float]) -> None:
        self._store = store
        self._authenticator = authenticator
        self._clock = clock

    def add(
        self, session: Session, fingerprint: str, device: str | None = None, *, is_presented: bool = False
    ) -> tuple[str, str]:
        """Have a device log in by a certificate from now on: the one that asks, where none is named.

        It has one certificate, and one that had the same has none any more. Returns the device, and the fingerprint as
        it is stored. `is_presented`: the client has its key. Raises `AccountsOnly` or `BadRequest`.
        """
        account = session.require_account()
        digits = parse_fingerprint(fingerprint)
        if digits is None:
            raise BadRequest("This is not a SHA-256 fingerprint: 64 hexadecimal digits.")
        if device is not None and len(device) > MAX_DEVICE:
            raise BadRequest("The name of the device is too long.")
        name = device or (session.device.name if session.device is not None else "")
        live = self._authenticator.devices_with_sessions(account)
        evicted = self._store.set_certificate(
            account.id, name, digits, self._clock(), is_presented=is_presented, live_devices=live
        )
        self._authenticator.end_evicted(account, evicted)
        log.log_event("certificate_added", name=account.name, address=session.address, device=name, certificate=digits)
        return name, digits

    def remove(self, session: Session, device: str | None = None) -> str:
        """Have a device log in by no certificate: the one that asks, where none is named. Its session goes on.

        Returns the device. Raises `AccountsOnly` or `NoSuchDevice`.
        """
        account = session.require_account()
        name = device or (session.device.name if session.device is not None else "")
        if not self._store.drop_certificate(account.id, name):
            raise NoSuchDevice("No device of that name has a certificate.")
        log.log_event("certificate_removed", name=account.name, address=session.address, device=name)
        return name
