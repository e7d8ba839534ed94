"""Posts to hooks: who may post, with which secret and how often, and what becomes of the message.

What a hook says is what an account says: it is stored, numbered, rated, and refused where the account may not speak.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gevent.event import Event

from gmessenger.chat.hooks import may_post
from gmessenger.chat.outbound import Response
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.policy import Policy
from gmessenger.chat.ratelimit import BucketTable, Charge, TokenBucket
from gmessenger.chat.records import About, Account, Device, Hook
from gmessenger.chat.room import Room
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import SanctionRegistry
from gmessenger.chat.sending import MessageService
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.chat.throttle import Throttle, WeightedNetworks, charge_networks
from gmessenger.errors import (
    WIRE_ERRORS,
    AccountDisabled,
    IdReused,
    NoSuchHook,
    NoSuchMessage,
    RateLimited,
    StoreUnavailable,
    WireError,
)
from gmessenger.lru_map import LruMap

NOTICE: Final = "notice"
PROTOCOL: Final = "hook"
MAX_KNOWN: Final = 1000  # hooks that have posted lately
BYTES_PER_REQUEST: Final = 65_536  # of a body, that cost as much as one request
OUTBOX_FRAMES: Final = 8  # a hook is sent nothing but the answer to its message
OUTBOX_SIZE: Final = 4096


@dataclass(frozen=True, slots=True)
class HookPost:
    """What a hook posts: the text, and, if its sender has given them, the key of the post and alerts by fingerprint."""

    text: str
    key: str | None = None
    firing: Sequence[str] = ()
    resolved: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class OpenedHook:
    """A hook that may post: its room, and a session of its account, which is never logged in."""

    hook: Hook
    room: Room
    session: Session
    answered: Event


class HookPoster:
    """Posts the messages of hooks. Methods block on the store, and while a hook posts faster than it may.

    Secrets that are not known have a rate limit of their own, by address: those that are known are not refused by it,
    so that a revoked hook at one end of an office does not silence the others.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        rooms: RoomRegistry,
        accounts_by_id: Mapping[int, Account],
        messages: MessageService,
        throttle: Throttle,
        sanctions: SanctionRegistry,
        note_use: Callable[[Session], None],
        policy: Policy,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        networks_of: Callable[[str], WeightedNetworks],
    ) -> None:
        """`accounts_by_id` is the authenticator's. `note_use` records that a session's device was used."""
        self._store = store
        self._router = router
        self._rooms = rooms
        self._accounts_by_id = accounts_by_id
        self._messages = messages
        self._throttle = throttle
        self._sanctions = sanctions
        self._note_use = note_use
        self._policy = policy
        self._clock = clock
        self._monotonic = monotonic
        self._networks_of = networks_of
        self._guesses_by_network: BucketTable[str, TokenBucket] = BucketTable(TokenBucket)
        self._known: LruMap[bytes, None] = LruMap(MAX_KNOWN)
        """Digests of the secrets with which hooks have posted lately."""

    def open(self, token: str, address: str) -> OpenedHook:
        """Find the hook of a secret.

        Raises `NoSuchHook`, also where the hook was removed from its room, or who has made it is no owner of that any
        more; `RateLimited`, `AccountDisabled`, `Banned` or `StoreUnavailable`.
        """
        hook = self._find(token, address)
        account, room = self._find_place(hook)
        if account.disabled:
            raise AccountDisabled
        self._sanctions.check_login(account.key, address)
        return self._open(hook, account, room, address)

    def charge(self, opened: OpenedHook, size: int) -> None:
        """Charge a hook a body of `size` bytes. Raises `RateLimited`."""
        self._throttle.charge_request(opened.session, 1 + size / BYTES_PER_REQUEST)

    def _find(self, token: str, address: str) -> Hook:
        """Return the hook of a secret. Raises `NoSuchHook`, or `RateLimited` after too many that are not known."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        with Charge() as charge:
            if digest not in self._known:
                networks, rate = self._networks_of(address), self._policy.limits.login_failures_per_address
                charge_networks(charge, self._guesses_by_network, networks, rate, self._monotonic(), RateLimited)
            hook = self._store.find_hook(token)
            if hook is None:
                self._known.pop(digest)
                charge.commit()
                raise NoSuchHook
        self._known[digest] = None
        return hook

    def _find_place(self, hook: Hook) -> tuple[Account, Room]:
        """Return the account of a hook, and its room. Raises `NoSuchHook`. Blocks on a cluster before that."""
        found = self._look_up(hook)
        if found is None and self._router.peers.sync():  # it may have been made on another node a moment ago
            found = self._look_up(hook)
        if found is None:
            raise NoSuchHook
        return found

    def _look_up(self, hook: Hook) -> tuple[Account, Room] | None:
        account, room = self._accounts_by_id.get(hook.account), self._rooms.get(hook.room)
        if account is None or room is None or room.is_being_deleted or account.id not in room.members:
            return None
        return (account, room) if may_post(room, hook) else None

    def _open(self, hook: Hook, account: Account, room: Room, address: str) -> OpenedHook:
        answered = Event()
        outbox = Outbox(OUTBOX_FRAMES, OUTBOX_SIZE, answered.set, lambda: None)
        session = Session(account.name, outbox, protocol=PROTOCOL, accepts_push=False, address=address)
        session.bind_account(account)
        session.bind_device(Device(hook.device, PROTOCOL, {}))
        session.answers_all = True
        self._throttle.attach(session)
        return OpenedHook(hook, room, session, answered)

    def post(self, opened: OpenedHook, post: HookPost) -> int:
        """Post a message; return its seq once it is on disk. A post with the same key and text is stored once.

        A resolution is a reply to the message with which its alert was posted last. Raises as `MessageService.send`.
        """
        self._note_use(opened.session)
        hook, now = opened.hook.account, self._clock()
        first = self._store.find_alert(hook, post.resolved, now) if post.resolved else None
        seq = self._send(opened, post, About(first) if first is not None else None)
        if post.firing:
            self._store.note_alerts(hook, post.firing, seq, now)
        return seq

    def _send(self, opened: OpenedHook, post: HookPost, about: About | None) -> int:
        """Send a message, as a reply where that is possible, with its key where that is not another message's."""
        try:
            return self._send_once(opened, post.text, post.key, about)
        except (NoSuchMessage, IdReused):
            if about is not None:  # it was pruned or erased; perhaps since this was posted first, with the same key
                return self._send(opened, post, None)
            if post.key is None:
                raise
        # A fresh message, which may be sent again as well.
        digest = hashlib.sha256(f"{post.key}\n{post.text}".encode(errors="replace")).hexdigest()
        return self._send_once(opened, post.text, digest, None)

    def _send_once(self, opened: OpenedHook, text: str, id: str | None, about: About | None) -> int:
        """Send a message, and wait until it is stored. Raises why it was not, or `StoreUnavailable` after a timeout."""
        opened.answered.clear()
        self._messages.send(opened.session, opened.room.key, text, id, kind=NOTICE, about=about)
        if not opened.answered.wait(self._policy.store_timeout):
            raise StoreUnavailable
        response = next(event for event in opened.session.outbox.drain() if isinstance(event, Response))
        if response.error is not None:
            raise _error_of(response)
        assert response.seq is not None
        return response.seq


def _error_of(response: Response) -> WireError:
    assert response.error is not None
    return WIRE_ERRORS.get(str(response.error["code"]), WireError)(str(response.error["error"]))
