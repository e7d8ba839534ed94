"""Which device a login gets that names none, where each live session is to have a device of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
    def select(self, account: Account, name: str | None, base: str) -> Iterator[str]:
        """Yield `name`, or else the first device named `base`, `base-2` … that has no session, on any node.

        If all `MAX_DEVICES` have one, it is the one that was used the longest ago. The block begins the session: until
        it ends, no other login of this node is given the device. Blocks on the store before that.
        """
        if name is None:
            name = self._first_free(account, base)
        self._selected[account.id, name] += 1
        try:
            yield name
        finally:
            self._selected.subtract([(account.id, name)])
            if not self._selected[account.id, name]:
                del self._selected[account.id, name]

    def _first_free(self, account: Account, base: str) -> str:
        known = self._store.devices(account.id)
        # From here to the end nothing yields: two logins at once get different devices.
        live = self._router.devices(account.key)
        taken = {device.name for device in known if device.id in live}
        taken.update(each.device.name for each in self._router.sessions(account.key) if each.device is not None)
        names = [base, *(f"{base}-{number}" for number in range(2, MAX_DEVICES + 1))]
        for name in names:
            if name not in taken and (account.id, name) not in self._selected:
                return name
        last_used = {device.name: device.used for device in known}
        return min(names, key=lambda name: last_used.get(name, NEVER_USED))
