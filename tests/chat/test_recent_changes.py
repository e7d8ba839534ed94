"""A page that was read before a change, and is sent after it, is read again."""

from __future__ import annotations

import pytest

from gmessenger.chat import recent_changes
from gmessenger.chat.recent_changes import RecentChanges
from gmessenger.chat.records import StoredMessage
from gmessenger.errors import StoreUnavailable


def page(*seqs: int) -> list[StoredMessage]:
    return [StoredMessage("#dev", seq, "hank", "#dev", "text", 0.0) for seq in seqs]


class ChangingStore:
    """A store in which messages are erased while it is read."""

    def __init__(self, changes: RecentChanges, *erased_during_reads: tuple[str, int] | None) -> None:
        self.changes = changes
        self.erased = list(erased_during_reads)
        self.reads = 0

    def read(self) -> list[StoredMessage]:
        self.reads += 1
        erased = self.erased.pop(0) if self.erased else None
        if erased is not None:
            self.changes.note(*erased)
        return page(1, 2, 3)


@pytest.mark.parametrize(
    ("erased", "reads"), [((), 1), ((("#dev", 2),), 2), ((("#dev", 4), ("#dev", 1)), 1), ((("#ops", 2),), 1)]
)
def test_only_what_is_on_the_page_has_it_read_again(erased: tuple[tuple[str, int], ...], reads: int) -> None:
    changes = RecentChanges()
    changes.note("#dev", 3)
    store = ChangingStore(changes, *erased)
    assert changes.read(store.read, lambda messages: messages) == page(1, 2, 3)
    assert store.reads == reads


def test_a_page_that_changes_all_the_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = RecentChanges()
    store = ChangingStore(changes, *[("#dev", 1)] * 10)
    with pytest.raises(StoreUnavailable):
        changes.read(store.read, lambda messages: messages)
    assert store.reads == recent_changes.MAX_READS


def test_where_more_was_changed_than_is_remembered_every_page_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_changes, "MAX_RECENT", 2)
    changes = RecentChanges()
    for seq in range(10, 13):
        changes.note("#dev", seq)
    assert changes.is_outdated(page(1), 0)
    assert not changes.is_outdated(page(1), 1)
