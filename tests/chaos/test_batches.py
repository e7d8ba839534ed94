"""Large batches in the store alone, and SQLite errors in the middle of one: every append is answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from gmessenger.chat.delivery import CommittedMessage, DeliveryService
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.records import Account, Credential, Device, DeviceLogin, NewMessage, StoredMessage
from gmessenger.chat.session import Session
from gmessenger.chat.stats import MessengerStats
from gmessenger.errors import IdReused, NotStorable, StoreUnavailable, WireError
from gmessenger.store import open_store
from gmessenger.store.sqlite.inserter import INSERT_BATCH
from gmessenger.store.sqlite.store import SqliteStore
from tests.support.timeouts import TEST_TIMEOUT as TIMEOUT

Answers = list[tuple[int, WireError | None]]


class BatchRecorder:
    """A store with two accounts, and what became of what was appended."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.one: Account = store.create_account("one", "one", "hash", 0.0)
        self.other: Account = store.create_account("other", "other", "hash", 0.0)
        self.answers: Answers = []
        self.failures: list[BaseException] = []

    def append(self, text: str, **more: Any) -> None:
        post = NewMessage("one other", "one", "other", text, 0.0, self.one.id, **more)
        self.store.append(post, lambda seq, _, error: self.answers.append((seq, error)))

    def wait_for_answers(self, count: int) -> Answers:
        """Wait for that many answers, and return them; there must be no more."""
        with gevent.Timeout(TIMEOUT):
            while len(self.answers) < count:
                gevent.sleep(0.001)
        self.store.flush()
        responses, self.answers = self.answers, []
        assert len(responses) == count
        return responses

    def device(self, account: int) -> Device:
        return self.store.begin_session(
            account, DeviceLogin("laptop", f"token of {account}"), 0.0, Credential(password_hash="hash")
        )

    def page(self) -> list[StoredMessage]:
        """Everything, of as many pages as it has."""
        found: list[StoredMessage] = []
        more = True
        while more:
            page = self.store.page(self.other.id, "one other", found[-1].seq if found else 0)
            found, more = found + page.messages, page.more
        return found

    def fill(self) -> None:
        """Let the file have no more pages, until the store opens it again."""
        self.store.writer.execute(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[BatchRecorder]:
    failures: list[BaseException] = []
    store = open_store(f"sqlite:///{tmp_path}/chat.db", lambda _, failure: failures.append(failure))
    assert isinstance(store, SqliteStore)
    bench = BatchRecorder(store)
    bench.failures = failures
    yield bench
    store.close()


def test_every_post_of_a_large_batch_is_answered_when_there_is_no_room_for_it(bench: BatchRecorder) -> None:
    bench.fill()
    for number in range(4 * INSERT_BATCH):
        bench.append(f"{number} ".ljust(1000, "x"), device=1, id=str(number))
    responses = bench.wait_for_answers(4 * INSERT_BATCH)
    assert {type(error) for _, error in responses} == {StoreUnavailable}
    bench.append("again", device=1, id="0")
    assert bench.wait_for_answers(1) == [(1, None)]
    assert [each.text for each in bench.page()] == ["again"]


def test_a_cursor_that_could_not_be_stored_is_stored_with_the_next_batch(bench: BatchRecorder) -> None:
    for number in range(300):
        bench.append(str(number))
    bench.wait_for_answers(300)
    device = bench.device(bench.other.id).id
    bench.fill()
    bench.store.acknowledge(device, "one other", 200)
    for _ in range(INSERT_BATCH):
        bench.append("x" * 1000)
    assert {type(error) for _, error in bench.wait_for_answers(INSERT_BATCH)} == {StoreUnavailable}
    bench.store.flush()
    assert bench.device(bench.other.id).cursors == {"one other": 200}


@pytest.mark.parametrize(("poison", "refusal"), [("\ud800", NotStorable), (("not", "a text"), StoreUnavailable)])
def test_what_no_database_can_hold_does_not_end_the_writer(
    bench: BatchRecorder, poison: Any, refusal: type[WireError]
) -> None:
    bench.append(poison)
    assert [type(error) for _, error in bench.wait_for_answers(1)] == [refusal]
    assert len(bench.failures) == 0  # it is the text's fault, and no greenlet's
    bench.append("fine")
    assert bench.wait_for_answers(1) == [(1, None)]


def test_a_failed_commit_is_told_also_when_nothing_can_be_written_to_stderr(
    bench: BatchRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

        flush: Callable[[], None] = staticmethod(lambda: None)

    monkeypatch.setattr("sys.stderr", Full())
    bench.store.writer.execute(
        lambda db: db.execute("DROP TABLE usage")  # which is written in the commit's thread, and fails there
    )
    bench.append("text")
    assert [type(error) for _, error in bench.wait_for_answers(1)] == [StoreUnavailable]


def test_of_many_sent_at_once_what_was_sent_before_is_stored_once(bench: BatchRecorder) -> None:
    for number in range(3):
        bench.append(f"text {number}", device=1, id=str(number))
    assert bench.wait_for_answers(3) == [(1, None), (2, None), (3, None)]
    for number in range(2 * INSERT_BATCH):
        bench.append(f"text {number}", device=1, id=str(number))
    bench.append("text 7", device=1, id="7")
    bench.append("another", device=1, id="8")
    *responses, refused = bench.wait_for_answers(2 * INSERT_BATCH + 2)
    assert responses == [(number + 1, None) for number in range(2 * INSERT_BATCH)] + [(8, None)]
    assert isinstance(refused[1], IdReused)
    rows_by_id = [each.text for each in bench.page()]
    assert rows_by_id == [f"text {number}" for number in range(2 * INSERT_BATCH)]


def test_conversations_that_are_forgotten_while_many_are_written_keep_their_numbers(
    bench: BatchRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gmessenger.store.sqlite.inserter.MAX_CACHED_CONVERSATIONS", 2)
    for room in "#a", "#b", "#c", "#d":
        bench.store.create_room(room, room, bench.one.id, 0.0)
    for _ in range(3):
        for room in "#a", "#b", "#a", "#c", "#a", "#d":
            bench.store.append(
                NewMessage(room, "one", room, "text", 0.0), lambda seq, _, error: bench.answers.append((seq, error))
            )
    assert bench.wait_for_answers(18) == [
        (seq, None)
        for turn in range(3)
        for seq in (3 * turn + 1, turn + 1, 3 * turn + 2, turn + 1, 3 * turn + 3, turn + 1)
    ]


def test_a_device_that_came_again_is_not_shown_what_it_sent_before(bench: BatchRecorder) -> None:
    def session() -> Session:
        outbox = Outbox(10, 10_000, lambda: None, lambda: None)
        here = Session("one", outbox, protocol="native", accepts_push=True, address="")
        here.bind_account(bench.one)
        here.bind_device(bench.device(bench.one.id))
        here.sync.begin_pass()
        assert here.sync.caught_up()
        return here

    before, again = session(), session()
    assert again.device is not None
    post = NewMessage("one other", "one", "other", "text", 0.0, bench.one.id, again.device.id, "m1")
    rows_by_id = CommittedMessage(post, 1, "", "one", before)
    DeliveryService(bench.store, lambda *_: None, MessengerStats()).deliver(rows_by_id, [again])
    assert again.outbox.empty() and again.sync.delivered("one other") == 1
