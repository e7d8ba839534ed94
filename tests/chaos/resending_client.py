"""A native client that resends by id what was not answered, drops duplicates and acknowledges."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import gevent
from gevent.event import Event
from msgspec import json

from gmessenger.names import direct_key
from tests.chaos.accounts import PASSWORD
from tests.chaos.checker import DeliveryLog
from tests.support.course_clients import Address, wrap_socket
from tests.support.timeouts import TEST_TIMEOUT

RECONNECT_DELAY: Final = 0.02

RETRY_DELAY: Final = 0.05
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing resets the connection."""
MESSAGE_NUMBERS: Final = itertools.count()


REFUSED_AMENDMENTS = ("no_such_message", "too_late")
"""The message was erased before, or the clock has jumped by more than `--edit-for`."""


class ResendingClient:
    """A device of an account. `run` it in a greenlet; `finish` ends the sending.

    Args of the constructor:
        window: number of messages that may be unanswered.
        stride: number of received messages per acknowledgement.
        pause: seconds between a response and the next message.
        amending: share of the messages that edit or erase an earlier one.
        silence: seconds without data, while a response is due, after which it connects to the next of its servers.
    """

    def __init__(
        self,
        name: str,
        servers: Address | Sequence[Address],
        log: DeliveryLog,
        targets: Sequence[str],
        window: int = 20,
        stride: int = 7,
        pause: float = 0.0,
        device: str = "",
        amending: float = 0.1,
        silence: float = TEST_TIMEOUT,
    ) -> None:
        self.name = name
        self.label = f"{name}/{device}" if device else name  # the name of this device in the log
        self._servers = deque(servers if isinstance(servers, Sequence) else [servers])
        self._log = log
        self.targets = targets
        self._window = window
        self._stride = stride
        self._pause = pause
        self._user = {"account_name": name, "password": PASSWORD} | ({"device": device} if device else {})
        self._silence = silence
        self._amending = amending
        self._amendable: list[tuple[str, int]] = []
        """Where this client may amend: targets, and seqs of what it has sent to them."""
        self._erasing: dict[str, tuple[str, int]] = {}
        """By the id of an erase, or of the request that looks at what it left: where, and the seq."""
        self._sock: socket.socket | None = None
        self._unanswered: dict[str, bytes] = {}
        self._targets_by_id: dict[str, str] = {}
        self._last_seqs: dict[str, int] = {}
        self._acked_seqs: dict[str, int] = {}
        self._sending = True
        self._is_logged_in = False
        self.idle = Event()  # nothing is unanswered, nothing more will be sent
        self.synced = Event()
        self.drops_unacknowledged = False  # a kill takes from it what it had not acknowledged

    def run(self) -> None:
        """Connect and reconnect until killed."""
        while True:
            try:
                self._run_connection()
            except (OSError, EOFError):  # also while a WebSocket is opened
                self._servers.rotate(-1)
                gevent.sleep(RECONNECT_DELAY)

    def stop_sending(self) -> None:
        """Send nothing new."""
        self._sending = False

    def finish(self) -> None:
        """Send nothing new; return when everything is answered."""
        self.stop_sending()
        self._check_idle()
        assert self.idle.wait(TEST_TIMEOUT), f"{self.label} waits for {len(self._unanswered)} answers"

    def catch_up(self) -> None:
        """Log in again, and wait until everything due is received."""
        self.synced.clear()
        self.disconnect(gently=False)
        assert self.synced.wait(TEST_TIMEOUT), f"{self.label} is not synced"

    def disconnect(self, *, gently: bool) -> None:
        """Disconnect between a message and its acknowledgement: by a half-close if `gently`, else by a reset."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        try:
            if not gently:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                sock.close()
            else:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        if self.drops_unacknowledged:
            self._drop_unacknowledged()

    def _drop_unacknowledged(self) -> None:
        for conversation, last in self._acked_seqs.items():
            received = self._log.received[self.label, conversation]
            while received and received[-1][0] > last:
                received.pop()
            self._last_seqs[conversation] = last

    def _run_connection(self) -> None:
        server = self._servers[0]
        with socket.create_connection((server.host, server.port), timeout=self._silence) as connected:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = wrap_socket(connected, server)
            sock.sendall(_encode_frame(action="presence", jim=2, user=self._user))
            unread = b""
            self._sock, self._is_logged_in = sock, False
            while self._sock is sock:
                lines = (unread + self._read(sock)).split(b"\n")
                unread = lines.pop()
                for line in lines:
                    if self._sock is sock:  # else it has vanished meanwhile
                        self._on_frame(json.decode(line))
            while sock.fileno() >= 0 and sock.recv(65536):  # half closed: what still comes is not for us
                pass

    def _read(self, sock: socket.socket) -> bytes:
        while True:
            try:
                data = sock.recv(65536)
            except TimeoutError:
                if self._is_logged_in and not self._unanswered:  # no response is due
                    continue
                raise
            if not data:
                raise ConnectionResetError
            return data

    def _on_frame(self, frame: dict[str, Any]) -> None:
        if "response" in frame:
            self._on_response(frame)
        elif frame["action"] == "msg":
            self._on_message(frame)
        elif frame["action"] == "synced":
            self.synced.set()

    def _on_response(self, frame: dict[str, Any]) -> None:
        id, code = frame.get("id"), frame["response"]
        if "jim" in frame:
            self._is_logged_in = True
            self._send(*self._unanswered.values())
            self._fill_window()
        elif id is None:
            if frame["code"] == "replaced":  # by a login that was given up, and was answered late
                self._log.replaced += 1
            else:
                assert code == 503, f"{self.label} is refused: {frame}"  # before the login
            raise ConnectionResetError
        elif code == 503:
            assert frame["code"] == "store_unavailable" and frame["error"], frame
            self._log.record_rejection()
            gevent.spawn_later(RETRY_DELAY, self._resend, id)
        else:
            self._on_answer(id, frame)

    def _on_answer(self, id: str, frame: dict[str, Any]) -> None:
        if "messages" in frame:
            return self._check_erased(id, frame)
        if id in self._log.amendments and frame.get("code") in REFUSED_AMENDMENTS:
            if self._unanswered.pop(id, None) is not None:
                self._log.refused.add(id)
        else:
            assert frame["response"] == 200, f"{self.label}: {frame}"
            if self._unanswered.pop(id, None) is not None:
                self._log.record_seq(id, frame["seq"])
                self._note_answered(id, frame["seq"])
        return self._schedule_next()

    def _note_answered(self, id: str, seq: int) -> None:
        """Remember where one may amend; where one has erased, look at what is left."""
        if id not in self._log.amendments:
            self._amendable.append((self._targets_by_id.pop(id), seq))
        elif id in self._erasing:
            to, about = self._erasing.pop(id)
            look = f"look {id}"
            self._erasing[look] = (to, about)
            self._send(_encode_frame(**{"action": "history", "id": look, "with": to, "before": about + 1, "limit": 1}))

    def _check_erased(self, id: str, frame: dict[str, Any]) -> None:
        """Once an erase is answered, nothing that is read has the text."""
        _, about = self._erasing.pop(id)
        (message,) = frame["messages"]
        assert (message["seq"], message["message"], message["erased"]) == (about, "", True), f"{self.label}: {frame}"

    def _schedule_next(self) -> None:
        if self._pause and self._sending:
            gevent.spawn_later(self._pause, self._try_fill_window)
        else:
            self._fill_window()

    def _try_fill_window(self) -> None:
        with contextlib.suppress(OSError):  # what was not sent will be sent when connected again
            self._fill_window()

    def _resend(self, id: str) -> None:
        with contextlib.suppress(OSError):  # it will be sent when connected again
            self._send(*(line for line in (self._unanswered.get(id),) if line))

    def _on_message(self, frame: dict[str, Any]) -> None:
        sender, to, seq = frame["from"], frame["to"], frame["seq"]
        peer = to if to[0] == "#" or sender == self.name else sender
        conversation = self.conversation(peer)
        if seq <= self._last_seqs.get(conversation, 0):
            self._log.repeated += 1
            return
        self._last_seqs[conversation] = seq
        self._log.received[self.label, conversation].append((seq, sender, frame["message"]))
        if seq - self._acked_seqs.get(conversation, 0) >= self._stride:
            self._acked_seqs[conversation] = seq
            self._send(_encode_frame(**{"action": "ack", "with": peer, "seq": seq}))

    def conversation(self, peer: str) -> str:
        return peer if peer[0] == "#" else direct_key(self.name, peer)

    def _fill_window(self) -> None:
        lines = []
        while self._sending and len(self._unanswered) < self._window:
            lines.append(self._next_message(next(MESSAGE_NUMBERS)))
        self._send(*lines)
        self._check_idle()

    def _next_message(self, number: int) -> bytes:
        """Make a message, to be resent until it is answered."""
        id, to = f"{self.label} {number}", random.choice(self.targets)
        text = f"{number} of {self.label} ".ljust(random.randrange(20, 200), "x")
        if self._amendable and random.random() < self._amending:
            self._unanswered[id] = self._make_amendment(id, text)
        else:
            self._targets_by_id[id] = to
            self._log.texts[id] = (self.label, self.conversation(to), text)
            self._unanswered[id] = _encode_frame(action="msg", id=id, to=to, message=text)
        return self._unanswered[id]

    def _make_amendment(self, id: str, text: str) -> bytes:
        """Make an edit or an erase of one of the latest messages, which may have been erased already."""
        to, about = random.choice(self._amendable[-50:])
        what = random.choice(("edit", "erase"))
        self._log.texts[id] = (self.label, self.conversation(to), text)
        self._log.amendments[id] = (about, what)
        if what == "erase":
            self._erasing[id] = (to, about)
        message = text if what == "edit" else ""
        return _encode_frame(action="msg", id=id, to=to, message=message, about=about, what=what)

    def _check_idle(self) -> None:
        if not self._sending and not self._unanswered:
            self.idle.set()

    def _send(self, *lines: bytes) -> None:
        if self._sock is not None and lines:
            self._sock.sendall(b"".join(lines))


def _encode_frame(**frame: Any) -> bytes:
    return json.encode(frame) + b"\n"
