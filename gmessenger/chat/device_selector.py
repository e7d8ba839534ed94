"""Which device a login gets that names none, where each live session is to have a device of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from gmessenger.chat.records import MAX_DEVICES, Account
from gmessenger.chat.router import Router
from gmessenger.chat.storage import Store

NEVER_USED: Final = float("-inf")


class DeviceSelector:
    """Selects the first free device for logins, and keeps it for each until that login has a session, or has failed."""

    def __init__(self, store: Store, router: Router) -> None:
        self._store = store
        self._router = router
        self._selected: Counter[tuple[int, str]] = Counter()

    @contextmanager
    def select(
        self, account: Account, name: str | None, base: str, refused: Collection[str] = ()
    ) -> Iterator[tuple[str, int | None]]:
        """Yield `name`, or else the first device named `base`, `base-2` … that has no session, and no certificate.

        If all `MAX_DEVICES` have one, it is the one that was used the longest ago. The block begins the session: until
        it ends, no other login of this node is given the device. With the name comes `DeviceLogin.free_at`, by which
        the store tells one of another node; `refused` are the names for which it did. Blocks on the store before that.
        """
        free_at = None
        if name is None:
            name, free_at = self._first_free(account, base, refused)
        self._selected[account.id, name] += 1
        try:
            yield name, free_at
        finally:
            self._selected.subtract([(account.id, name)])
            if not self._selected[account.id, name]:
                del self._selected[account.id, name]

    def _first_free(self, account: Account, base: str, refused: Collection[str]) -> tuple[str, int | None]:
        peers = self._router.peers
        peers.sync()  # it tells which devices have just logged in
        known = self._store.devices(account.id)
        # From here to the end nothing yields: two logins at once get different devices.
        live = self._router.devices(account.key)
        taken = {device.name for device in known if device.certificate or device.id in live}
        taken.update(device.name for device in known if peers.has_just_logged_in(device.id))
        taken.update(refused)
        taken.update(each.device.name for each in self._router.sessions(account.key) if each.device is not None)
        names = [base, *(f"{base}-{number}" for number in range(2, MAX_DEVICES + 1))]
        counts = {device.name: device.login_count for device in known}
        for name in names:
            if name not in taken and (account.id, name) not in self._selected:
                return name, counts.get(name, 0)
        last_used = {device.name: device.used for device in known}
        return min(names, key=lambda name: last_used.get(name, NEVER_USED)), None
