"""What a store's work costs when it has many messages, or an account many conversations: JSON on stdout.

    python -m benchmarks.growth_store messages|conversations NUMBER FOLDER

A process of its own, because gevent must patch it. Times are milliseconds, medians of several calls.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from gevent import monkey, sleep

from benchmarks.protocols import word_texts

if TYPE_CHECKING:
    from gmessenger.chat.storage import Store

PAIRS: Final = 50
PORTION: Final = 5000
"""Messages that are handed to the store at a time."""
REPEATS: Final = 5
RARE_WORD: Final = "quixotry"
"""In one message of each thousand pairs; the vocabulary of the texts does not have it."""
PAGE: Final = 50
HASH: Final = "none"  # a placeholder: no password is verified against it
SEARCH_TIMEOUT: Final = 10.0  # seconds
PRUNED_PART: Final = 100
"""One message of so many is pruned."""


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(REPEATS):
        start = time.monotonic()
        work()
        times.append((time.monotonic() - start) * 1000)
    return round(median(times), 3)


def fill(store: Store, number: int, name_pair: Callable[[int], tuple[str, str]]) -> None:
    """Store messages from the first name of each pair to the second; message n was sent at second n."""
    from gmessenger.chat.records import NewMessage
    from gmessenger.names import direct_key

    texts = [text.decode() for text in word_texts(0)]
    for start in range(0, number, PORTION):
        for index in range(start, min(number, start + PORTION)):
            sender, recipient = name_pair(index)
            text = f"{RARE_WORD} {index}" if not index % (1000 * PAIRS) else texts[index % len(texts)]
            message = NewMessage(direct_key(sender, recipient), sender, recipient, text, float(index), 1)
            store.append(message, lambda *_: None)
        store.flush()
        sleep(0)


def measure_messages(number: int, folder: Path) -> dict[str, float]:
    """Measure the work of a store with so many messages in fifty conversations of one account."""
    from gmessenger.chat.records import EVERYTHING
    from gmessenger.names import direct_key
    from gmessenger.store import open_store

    url = f"sqlite:///{folder}/messages.db"
    with closing(open_store(url)) as store:
        account = make_account(store)
        fill(store, number, lambda index: ("anna", f"b{index % PAIRS}"))
        store.search(account, RARE_WORD, None, 1, SEARCH_TIMEOUT)  # waits until all are in the index
    conversation, head = direct_key("anna", "b0"), number // PAIRS
    common = word_texts(0)[1].decode().split()[-1]

    def reopen() -> None:
        open_store(url).close()

    results = {"start": milliseconds(reopen)}
    with closing(open_store(url)) as store:
        results |= {
            "catching up with 50": milliseconds(lambda: store.page(account, conversation, head - PAGE)),
            "the last 50": milliseconds(lambda: store.history(conversation, EVERYTHING, None, None, PAGE)),
            "50 in the middle": milliseconds(lambda: store.history(conversation, EVERYTHING, head // 2, None, PAGE)),
            "search, rare": milliseconds(lambda: store.search(account, RARE_WORD, None, PAGE, SEARCH_TIMEOUT)),
            "search, common": milliseconds(lambda: store.search(account, common, None, PAGE, SEARCH_TIMEOUT)),
        }
        used = time.process_time()
        fill(store, PORTION, lambda index: ("anna", f"b{index % PAIRS}"))
        results["storing one, CPU"] = round((time.process_time() - used) * 1000 / PORTION, 4)
        start = time.monotonic()
        store.backup(str(folder / "backup.db"))
        results["backup"] = round((time.monotonic() - start) * 1000)
        start = time.monotonic()
        store.prune(number / PRUNED_PART)
        results["pruning 1 %"] = round((time.monotonic() - start) * 1000)
    return results


def measure_conversations(number: int, folder: Path) -> dict[str, float]:
    """Measure what an account with so many conversations, of one message each, costs at a login."""
    from gmessenger.chat.records import Credential, DeviceLogin
    from gmessenger.store import open_store

    with closing(open_store(f"sqlite:///{folder}/conversations.db")) as store:
        account = make_account(store)
        fill(store, number, lambda index: ("anna", f"b{index}"))
        store.search(account, RARE_WORD, None, 1, SEARCH_TIMEOUT)  # waits until all are in the index

        def log_in() -> None:
            login = DeviceLogin("laptop", "token")
            store.begin_session(account, login, time.time(), Credential(password_hash=HASH))

        return {
            "login": milliseconds(log_in),
            "what it may be owed": milliseconds(lambda: store.backlog(account)),
            "a page of conversations": milliseconds(lambda: store.conversations(account, "", PAGE)),
        }


def make_account(store: Store) -> int:
    return store.create_account("anna", "anna", HASH, 0.0).id


MEASURES: Final = {"messages": measure_messages, "conversations": measure_conversations}

if __name__ == "__main__":
    monkey.patch_all()
    print(json.dumps(MEASURES[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))))
