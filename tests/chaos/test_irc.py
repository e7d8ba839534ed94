"""Members by IRC beside native ones: kills of the server and of connections lose nothing of either."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import gevent

from gmessenger.server.irc.acknowledgements import ACKNOWLEDGE_AFTER
from tests.chaos.checker import DeliveryLog, RunStats
from tests.chaos.irc_members import CAPABILITIES, IrcLog, IrcMember
from tests.chaos.load import NAMES, GreenletGroup, targets_of
from tests.chaos.process import RestartableServer
from tests.chaos.resending_client import ResendingClient
from tests.chaos.scale import IS_LONG, SCALE, SEED
from tests.support.ports import free_port
from tests.support.timeouts import TEST_TIMEOUT

Tabulate = Callable[[RunStats], None]
STORED: Final = (
    "SELECT c.key, m.sender, m.text FROM messages m JOIN conversations c ON c.id = m.conversation_id ORDER BY m.seq"
)
MAX_KILLS: Final = 20
MAX_LIFETIME: Final = 1.5 * ACKNOWLEDGE_AFTER if IS_LONG else 2.0
"""Seconds between the start of the server and its kill: in the long test some members acknowledge before it."""
PAUSE: Final = 0.02
"""Seconds between an answer and the next message of a native member."""


class MixedGroup(GreenletGroup):
    """Accounts that talk with each other, every other by IRC."""

    def __init__(self, server: Any, irc_port: int) -> None:
        super().__init__()
        self.native_log, self.irc_log = DeliveryLog(), IrcLog()
        self.native = [
            ResendingClient(name, server, self.native_log, targets_of(name), window=4, pause=PAUSE, amending=0.0)
            for name in NAMES[::2]
        ]
        self.irc = [
            IrcMember(name, lambda: irc_port, self.irc_log, targets_of(name), CAPABILITIES[number % len(CAPABILITIES)])
            for number, name in enumerate(NAMES[1::2])
        ]
        self.members: list[ResendingClient | IrcMember] = [*self.native, *self.irc]
        self._greenlets = [gevent.spawn(member.run) for member in self.members]

    def __enter__(self) -> MixedGroup:
        return self

    def finish(self) -> None:
        """Stop writing; return when everything is acknowledged, or lost with its connection."""
        for member in self.irc:
            member.stop_sending()
        for client in self.native:
            client.finish()
        self.wait_until(lambda: all(member.is_idle for member in self.irc), "IRC members wait for acknowledgements")

    def wait_until(self, is_done: Callable[[], bool], what: str) -> None:
        with gevent.Timeout(TEST_TIMEOUT, AssertionError(what)):
            while not is_done():
                self.check_failures()
                gevent.sleep(0.05)

    def received(self, name: str, conversation: str) -> list[str]:
        """Return the texts of others that a member has received, in their order, without what came again."""
        if name in NAMES[::2]:
            return [text for _, _, text in self.native_log.received[name, conversation]]
        texts = [text for text, _ in self.irc_log.seen[name, conversation]]
        return [text for text in dict.fromkeys(texts) if not text.rstrip("x").strip().endswith(f" of {name}")]


def read_stored(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return sender and text of what is stored, in order, by conversation."""
    stored: dict[str, list[tuple[str, str]]] = {}
    with closing(sqlite3.connect(path)) as db:
        for conversation, sender, text in db.execute(STORED):
            stored.setdefault(conversation, []).append((sender, text))
    return stored


def verify(group: MixedGroup, path: Path) -> int:
    """Check that all members have seen all that is stored, once, in order; return how many texts were delivered."""
    stored, delivered = read_stored(path), 0
    texts = [text for rows in stored.values() for _, text in rows]
    assert len(texts) == len(set(texts)), "stored twice"
    assert group.irc_log.acknowledged <= set(texts), "acknowledged, and not stored"
    acknowledged = {group.native_log.texts[id][2] for id in group.native_log.seqs}
    assert acknowledged <= set(texts), "answered 200, and not stored"
    for member in group.members:
        for target in member.targets:
            conversation = member.conversation(target)
            expected = [text for sender, text in stored.get(conversation, []) if sender != member.name]
            received = group.received(member.name, conversation)
            in_order = (
                received
                if "draft/chathistory" not in getattr(member, "caps", ())
                else sorted(received, key=texts.index)
            )
            assert in_order == expected, f"{member.name} in {conversation}: {set(expected) ^ set(received)}"
            delivered += len(expected)
    verify_ids(group.irc_log)
    return delivered


def verify_ids(log: IrcLog) -> None:
    """Check that a message has one id for all who are told ids, and no other message has it."""
    pairs = {(text, id) for seen in log.seen.values() for text, id in seen if id}
    assert len(pairs) == len({text for text, _ in pairs}) == len({id for _, id in pairs})


def has_all(group: MixedGroup, path: Path) -> bool:
    stored = read_stored(path)
    return all(
        len(group.received(member.name, member.conversation(target)))
        >= sum(sender != member.name for sender, _ in stored.get(member.conversation(target), []))
        for member in group.members
        for target in member.targets
    )


def test_members_of_both_protocols_see_the_same_whatever_is_killed(
    start: Callable[..., RestartableServer], tabulate: Tabulate, tmp_path: Path
) -> None:
    port, rng, kills = free_port(), random.Random(SEED), 0
    server = start("--irc-port", str(port), "--irc-playback", "100000")
    server.start()
    with MixedGroup(server, port) as group:
        for _ in range(min(SCALE.kills, MAX_KILLS)):
            until = time.monotonic() + rng.uniform(0.1, MAX_LIFETIME)
            while time.monotonic() < until:
                gevent.sleep(rng.uniform(0.0, 0.2))
                member = rng.choice(group.irc)
                if member.ready.is_set():
                    kills += 1
                    member.disconnect(gently=rng.random() < 0.5)
            server.kill()
            group.check_failures()
            server.launch()
            server.wait_until_listening()
        group.finish()
        for member in group.irc:
            member.disconnect(gently=False)
        with suppress(AssertionError):  # the comparison says what is missing
            group.wait_until(lambda: has_all(group, tmp_path / "chat.db"), "not everything is received")
        delivered = verify(group, tmp_path / "chat.db")
        server.kill()
    sent = len(group.irc_log.sent) + len(group.native_log.texts)
    acknowledged = len(group.irc_log.acknowledged) + len(group.native_log.seqs)
    repeated = group.irc_log.repeated + group.native_log.repeated
    remarks = f"IRC: {len(group.irc_log.sent)} sent, {len(group.irc_log.acknowledged)} acknowledged"
    tabulate(
        RunStats(
            "IRC members",
            sent,
            acknowledged,
            delivered,
            repeated,
            server_kills=server.kills,
            client_kills=kills,
            remarks=remarks,
        )
    )
    assert group.irc_log.repeated, "nobody was sent anything again"
