"""Accounts that use IRC: they write, lose their connections, and see again what they may have missed."""

from __future__ import annotations

import itertools
import random
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import gevent
from gevent.event import Event

from gmessenger.names import direct_key
from gmessenger.wire.irc.lines import Line
from tests.chaos.accounts import PASSWORD
from tests.support.irc_client import IrcClient, plain

RECONNECT_DELAY: Final = 0.02
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing resets the connection."""
HISTORY_PAGE: Final = 500
NUMBERS: Final = itertools.count()
CHATHISTORY: Final = ("batch", "message-tags", "server-time", "echo-message", "labeled-response", "draft/chathistory")
PLAYBACK: Final = ("batch", "message-tags", "server-time")
CAPABILITIES: Final[tuple[tuple[str, ...], ...]] = (CHATHISTORY, PLAYBACK, ())
"""What members negotiate: to ask for what they missed, to be sent it with ids, or nothing at all."""


class IrcLog:
    """Record of a run, shared by its members. Texts are numbered, so that each is sent once."""

    def __init__(self) -> None:
        self.sent: dict[str, tuple[str, str]] = {}
        """Sender and conversation by text."""
        self.acknowledged: set[str] = set()
        self.seen: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        """Text and id as they came, by member and conversation."""
        self.repeated = 0


class IrcMember:
    """A device of an account. `run` it in a greenlet; `finish` ends the writing.

    What was not acknowledged when a connection ends is not sent again: whether it was stored is unknown. Without
    `labeled-response`, the PONG behind a message acknowledges it.
    """

    def __init__(
        self, name: str, find_port: Callable[[], int], log: IrcLog, targets: Sequence[str], caps: Sequence[str]
    ) -> None:
        self.name = name
        self.targets = targets
        self.caps = caps
        self._find_port = find_port
        self._log = log
        self._client: IrcClient | None = None
        self._sending = True
        self._waiting: dict[str, str] = {}
        """Texts that are not acknowledged, by the label or the token of the PING."""
        self._ids: set[str] = set()
        self._latest: dict[str, str] = {}
        """The ids of the last messages that came, by target, of those before which nothing is missing."""
        self._complete: set[str] = set()
        """Targets of which nothing is missing since this connection has begun."""
        self.ready = Event()  # connected, and what was missed was asked for

    @property
    def has_ids(self) -> bool:
        """Whether messages come with ids."""
        return "message-tags" in self.caps

    def run(self) -> None:
        """Connect and reconnect until killed."""
        while True:
            try:
                with IrcClient(self._find_port()) as client:
                    self._run_connection(client)
            except (OSError, EOFError):
                gevent.sleep(RECONNECT_DELAY)
            self.ready.clear()
            self._client = None
            self._waiting.clear()

    def disconnect(self, *, gently: bool) -> None:
        """Lose the connection: by a half-close if `gently`, else by a reset."""
        client, self._client = self._client, None
        self.ready.clear()
        try:
            if client is None:
                return
            if gently:
                client.sock.shutdown(socket.SHUT_WR)
            else:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
        except OSError:
            pass

    def stop_sending(self) -> None:
        """Write nothing new."""
        self._sending = False

    @property
    def is_idle(self) -> bool:
        """Whether everything that it wrote is acknowledged, or was lost."""
        return not self._sending and not self._waiting

    def conversation(self, target: str) -> str:
        return target if target[0] == "#" else direct_key(self.name, target)

    def _run_connection(self, client: IrcClient) -> None:
        requested = " ".join((*self.caps, "sasl"))
        client.send("CAP LS 302", f"CAP REQ :{requested}", "AUTHENTICATE PLAIN")
        client.send(f"AUTHENTICATE {plain(f'{self.name}@phone', PASSWORD)}")
        client.send(f"NICK {self.name}", "USER u 0 * :u", "CAP END")
        client.expect("001")
        self._client = client
        self._complete.clear()
        if "draft/chathistory" in self.caps:
            for target in self.targets:
                self._ask_history(client, target)
        self.ready.set()
        self._write(client)
        while self._client is client:
            self._take(client.receive())
            self._write(client)

    def _ask_history(self, client: IrcClient, target: str) -> None:
        """Ask for what is later than the last message that came, page by page."""
        while True:
            last = self._latest.get(target)
            asked = f"AFTER {target} msgid={last}" if last else f"AFTER {target} timestamp=1970-01-01T00:00:00.000Z"
            client.send(f"CHATHISTORY {asked} {HISTORY_PAGE}", f"PING :history {target}")
            count, in_batch = 0, ""
            while True:
                line = client.receive()
                if line.command == "PONG" and line.params[-1] == f"history {target}":
                    break
                if line.command == "BATCH" and line.params[1:2] == ["chathistory"]:
                    in_batch = line.params[0][1:]
                is_old = bool(in_batch) and line.tags.get("batch") == in_batch
                count += is_old and line.command == "PRIVMSG"
                self._take(line, is_old=is_old)
            if count < HISTORY_PAGE:
                self._complete.add(target)
                return

    def _write(self, client: IrcClient) -> None:
        if self._sending and not self._waiting:
            number = next(NUMBERS)
            target = random.choice(self.targets)
            text = f"{number} of {self.name}"
            self._log.sent[text] = (self.name, self.conversation(target))
            self._waiting[str(number)] = text
            if "labeled-response" in self.caps:
                client.send(f"@label={number} PRIVMSG {target} :{text}")
            else:
                client.send(f"PRIVMSG {target} :{text}", f"PING :{number}")

    def _take(self, line: Line, *, is_old: bool = False) -> None:
        token = line.tags.get("label") or (line.params[-1] if line.command == "PONG" else "")
        if (text := self._waiting.pop(token, None)) is not None:
            assert line.command in ("PRIVMSG", "PONG"), f"{self.name} is refused: {line}"
            self._log.acknowledged.add(text)
        assert line.command not in ("FAIL", "400"), line
        if line.command == "PRIVMSG" and line.params[0] != "*":
            self._record(line, is_old=is_old)

    def _record(self, line: Line, *, is_old: bool) -> None:
        sender, target = line.source.partition("!")[0], line.params[0]
        other = target if target[0] == "#" or sender == self.name else sender
        text = line.params[-1]
        if not self.has_ids and text.startswith("["):  # its time, in playback
            text = text.partition("] ")[2]
        id = line.tags.get("msgid", "")
        if self.has_ids:
            assert id, f"a message without an id: {line}"
            if is_old or other in self._complete:
                self._latest[other] = id
            if id in self._ids:
                self._log.repeated += 1
                return
            self._ids.add(id)
        self._log.seen[self.name, self.conversation(other)].append((text, id))
