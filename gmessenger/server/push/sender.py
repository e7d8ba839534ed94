"""Sends push messages: decides by the store whether each is still wanted, and by the answer what comes next.

It only wakes devices: what is lost here is on no device's screen for a while, but in the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final, Literal, TypeAlias

from gevent.event import Event
from gevent.lock import BoundedSemaphore

from gmessenger import log
from gmessenger.chat.delivery import Spawn
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.push_notifier import DevicePush
from gmessenger.chat.records import PushSubscription, StoredMessage, Unread
from gmessenger.chat.storage import Store
from gmessenger.config.options import ServerOptions
from gmessenger.errors import BadSubscription, StoreUnavailable
from gmessenger.lru_map import LruMap
from gmessenger.server.push.client import PushClient
from gmessenger.server.push.endpoints import Endpoint, parse_endpoint
from gmessenger.server.push.message import PushSealer, PushText
from gmessenger.server.push.queue import PushKey, PushQueue, QueuedPush
from gmessenger.wire.http_client import ResponseHead

MAX_SENDING: Final = 8  # requests to push services at one time
MAX_ATTEMPTS: Final = 5
RETRY_DELAY: Final = 30.0
"""Seconds before the second attempt, unless the push service says how long; twice as long before each further one."""
MAX_REMEMBERED: Final = 20_000  # devices, and conversations of devices, whose last push message is remembered
POLL_INTERVAL: Final = 5.0
"""Seconds after which a sender without work looks whether the server has stopped."""
GONE: Final = frozenset({404, 410})
OVERLOADED: Final = 429

Outcome: TypeAlias = Literal["sent", "deferred", "needless", "gone", "failed", "dropped"]
"""`deferred`: to be tried again. `needless`: read, acknowledged, erased or pushed before, or the device is logged out.
`gone`: the push service knows the subscription no more. `dropped`: the queue was full."""


class PushSender:
    """Sends the push messages of one server. `offer` never blocks; `run` is a greenlet that starts one for each.

    A conversation is pushed to a device once until its account has read it; a device is sent one within
    `--push-interval`. One that is connected is sent none if it acknowledges the message within `--push-ack-timeout`:
    phones go to sleep, and their connections look alive for minutes. What was sent is remembered in memory only.
    """

    def __init__(
        self,
        messenger: Messenger,
        store: Store,
        client: PushClient,
        sealer: PushSealer,
        options: Callable[[], ServerOptions],
        spawn: Spawn,
    ) -> None:
        self._messenger = messenger
        self._store = store
        self._client = client
        self._sealer = sealer
        self._options = options
        self._spawn = spawn
        self._queue = PushQueue()
        self._wake = Event()
        self._slots = BoundedSemaphore(MAX_SENDING)
        self._pushed: LruMap[PushKey, int] = LruMap(MAX_REMEMBERED)  # the seq that was told last
        self._looked_at: LruMap[PushKey, float] = LruMap(MAX_REMEMBERED)  # when the store was asked last
        self._sent_at: LruMap[int, float] = LruMap(MAX_REMEMBERED)  # by device

    @property
    def waiting_count(self) -> int:
        """The number of push messages that wait."""
        return len(self._queue)

    def offer(self, push: DevicePush) -> None:
        """Have a device told of a message, soon; drop it if too many wait. Never blocks."""
        options, now = self._options(), time.monotonic()
        due = now + max(
            options.push_delay if push.is_online else 0.0, options.push_ack_timeout if push.is_connected else 0.0
        )
        looked_at = self._looked_at.peek((push.device, push.conversation))
        if looked_at is not None:
            due = max(due, looked_at + options.push_interval)
        if not self._queue.add(push, due):
            self._count("dropped")
        self._wake.set()

    def run(self, wait_stopped: Callable[[float], bool]) -> None:
        """Send the push messages that are due, until the server stops. Runs in a greenlet."""
        while not wait_stopped(0):
            due = self._queue.next_due()
            pause = POLL_INTERVAL if due is None else min(POLL_INTERVAL, due - time.monotonic())
            if pause > 0:
                self._wake.wait(pause)
            self._wake.clear()
            while (waiting := self._queue.take(time.monotonic())) is not None:
                self._slots.acquire()  # for as long as `--push-timeout` and `--store-timeout` at most
                self._spawn("a push message", self._process, waiting)

    def _process(self, waiting: QueuedPush) -> None:
        try:
            self._count(self._try(waiting))
        finally:
            self._slots.release()

    def _try(self, waiting: QueuedPush) -> Outcome:
        if (turn := self._turn_of(waiting)) is not None:
            return self._defer(waiting, turn)
        try:
            subscription = self._find_subscription(waiting)
            unread = self._find_unread(waiting) if subscription is not None else None
            text = self._find_text(waiting, unread) if unread is not None else None
        except StoreUnavailable:
            return self._retry(waiting, None, "the store is not available")
        if subscription is None or unread is None or text is None:
            return "needless"
        if self._is_connected(waiting) and unread.received_seq >= waiting.awaited_seq:
            return self._await_acknowledgement(waiting, unread)
        if (turn := self._turn_of(waiting)) is not None:  # another conversation was quicker
            return self._defer(waiting, turn)
        self._sent_at[waiting.push.device] = time.monotonic()
        self._pushed[waiting.key] = text.seq
        return self._send(waiting, subscription, text)

    def _turn_of(self, waiting: QueuedPush) -> float | None:
        """Return until when a device has to wait, because it was sent something; None if it has not to."""
        last = self._sent_at.peek(waiting.push.device)
        turn = last + self._options().push_interval if last is not None else 0.0
        return turn if turn > time.monotonic() else None

    def _find_subscription(self, waiting: QueuedPush) -> PushSubscription | None:
        """Return the subscription of a device; None if it has none any more."""
        push = waiting.push
        horizon = self._messenger.authenticator.token_horizon()
        subscription = self._store.find_push_subscription(push.device, horizon)
        if subscription is None:
            self._messenger.subscriptions.discard(push.account.id, push.device)
        return subscription

    def _find_unread(self, waiting: QueuedPush) -> Unread | None:
        """Return the unread state of the conversation; None if the account may no longer read it."""
        push = waiting.push
        self._looked_at[waiting.key] = time.monotonic()
        account = self._messenger.authenticator.accounts_by_id.get(push.account.id)
        if account is None or account.disabled:
            return None
        return self._store.unread(push.account.id, push.conversation, push.device)

    def _await_acknowledgement(self, waiting: QueuedPush, unread: Unread) -> Outcome:
        """Give a device that is connected time to acknowledge the oldest message that it has not yet."""
        waiting.seqs = tuple(seq for seq in waiting.seqs if seq > unread.received_seq)
        waiting.awaited_seq = min(waiting.seqs)
        return self._defer(waiting, time.monotonic() + self._options().push_ack_timeout)

    def _find_text(self, waiting: QueuedPush, unread: Unread) -> PushText | None:
        """Return what to tell the device; None if all is read, received or erased, or it was told of that before."""
        push = waiting.push
        told = self._pushed.peek(waiting.key)
        if told is not None and unread.read_seq < told < max(waiting.seqs):  # higher: of a room of that name before
            return None
        for seq in sorted(waiting.seqs, reverse=True):
            is_new = seq > max(unread.read_seq, unread.received_seq)
            if is_new and (message := self._find_message(push, seq)) is not None:
                return PushText(push.shown, message.sender, message.text, seq, max(1, unread.count))
        return None

    def _find_message(self, push: DevicePush, seq: int) -> StoredMessage | None:
        """Return a message as it is now; None if it was erased, or may not be read any more."""
        readable = self._store.read_range(push.account.id, push.conversation)
        if readable is None:
            return None
        page = self._messenger.delivery.changes.read(
            lambda: self._store.history(push.conversation, readable, seq + 1, None, 1), lambda page: page.messages
        )
        found = [message for message in page.messages if message.seq == seq and not message.erased]
        return found[0] if found else None

    def _is_connected(self, waiting: QueuedPush) -> bool:
        return waiting.push.device in self._messenger.router.devices(waiting.push.account.key)

    def _send(self, waiting: QueuedPush, subscription: PushSubscription, text: PushText) -> Outcome:
        try:
            endpoint = parse_endpoint(subscription.endpoint, self._options().push_hosts)
        except BadSubscription:  # the option has changed
            return self._fail(waiting, None, "its host is not listed any more")
        try:
            answer = self._post(waiting, subscription, endpoint, text)
        except OSError as error:
            return self._retry(waiting, None, error.strerror or str(error), endpoint.host)
        status = answer.status
        if status < 300:
            return "sent"
        if status in GONE:
            self._forget(waiting)
            with suppress(StoreUnavailable):  # the next message finds out again
                self._messenger.subscriptions.drop(waiting.push.account.id, waiting.push.device, subscription.endpoint)
            return "gone"
        if status == OVERLOADED or status >= 500:
            seconds = retry_after(answer.header("retry-after"), time.time())
            return self._retry(waiting, seconds, str(status), endpoint.host)
        return self._fail(waiting, endpoint.host, str(status))

    def _post(
        self, waiting: QueuedPush, subscription: PushSubscription, endpoint: Endpoint, text: PushText
    ) -> ResponseHead:
        headers, body = self._sealer.seal(subscription, endpoint, waiting.push.conversation, text, time.time())
        return self._client.post(endpoint, headers, body)

    def _retry(self, waiting: QueuedPush, seconds: float | None, reason: str, host: str | None = None) -> Outcome:
        """Have a push message tried again, after so many seconds, or a growing delay."""
        waiting.attempts += 1
        if waiting.attempts >= MAX_ATTEMPTS:
            return self._fail(waiting, host, reason)
        log.log_event("push_failed", name=waiting.push.account.name, host=host, reason=reason, attempt=waiting.attempts)
        self._forget(waiting)
        delay = max(seconds or 0.0, RETRY_DELAY * 2 ** (waiting.attempts - 1))
        return self._defer(waiting, time.monotonic() + min(delay, self._options().push_retry_limit))

    def _fail(self, waiting: QueuedPush, host: str | None, reason: str) -> Outcome:
        log.log_event("push_failed", name=waiting.push.account.name, host=host, reason=reason, attempt=None)
        self._forget(waiting)
        return "failed"

    def _forget(self, waiting: QueuedPush) -> None:
        """Forget that the device was told of the conversation: it was not."""
        self._pushed.pop(waiting.key)

    def _defer(self, waiting: QueuedPush, due: float) -> Outcome:
        waiting.due = due
        if not self._queue.put_back(waiting):
            return "dropped"
        self._wake.set()
        return "deferred"

    def _count(self, outcome: Outcome) -> None:
        self._messenger.stats.pushes[outcome] += 1


def retry_after(value: str, now: float) -> float | None:
    """Return the seconds that a header `Retry-After` says, as a number or as a date; None if it says none."""
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
