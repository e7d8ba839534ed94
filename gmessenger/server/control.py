"""The operator's door: a Unix socket for whoever owns it, beside the store's file, or in the state directory.

One JSON object a line: `{"verb": "disable", "arguments": {"name": "hank"}}` is answered `{"answer": …}`, or
`{"error": "never_seen", "sentence": "…"}` with the word of an error of the tree. A file that a verb writes to is
opened by the operator, and handed over with the line that asks for it (SCM_RIGHTS): the server may not see its folder.
"""

from __future__ import annotations

import os
import struct
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from gevent import socket
from gevent.pool import Pool
from msgspec import MsgspecError, Struct, field, json

from gmessenger import logs
from gmessenger.chat.administration import VERBS, Administration, checked
from gmessenger.errors import BadRequest, InternalError, MessengerError, ServerFull, StoreUnavailable
from gmessenger.server.acceptor import Acceptor, Spare
from gmessenger.server.listening import (
    FOR_ITS_OWNER,
    Peer,
    identify,
    is_listened_at,
    listen_unix,
    make_directory,
    peer_of,
    remove_own,
)
from gmessenger.server.visitors import Visitors
from gmessenger.server.watch import Watch

LONGEST_LINE: Final = 65_536
MOST_OPERATORS: Final = 16
"""Connections on which nothing is being done; one more closes the one that has been idle for longest."""
STOPPING_TAKES: Final = 1.0
SHOWN: Final = ("address", "other", "seq", "id", "file", "days", "seconds", "kind", "after")
"""Arguments that the log has besides the name: what something was done on, and never a password or what was said."""
INT: Final = struct.calcsize("i")
ROOM_FOR_HANDED: Final = socket.CMSG_SPACE(INT)
MSG_CMSG_CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Asked(Struct):
    """One request."""

    verb: str = field(name="verb")
    arguments: dict[str, Any] = field(name="arguments", default_factory=dict)


class Control:
    """Answers operators from `start` to `stop`, each connection in a greenlet of its own."""

    def __init__(self, path: Path, administration: Administration, watch: Watch, *, locked: bool) -> None:
        """`locked`: nobody else may listen there, since it belongs to a store that is ours alone."""
        self._path = path
        self._locked = locked
        self._administration = administration
        self._watch = watch
        self._server: Acceptor | None = None
        self._visitors = Visitors(MOST_OPERATORS)
        self._identity: tuple[int, int] | None = None

    def start(self, spare: Spare) -> None:
        """Listen. What lies there is a dead server's, and replaced; where another one lives, it keeps what it has."""
        if not self._locked and is_listened_at(self._path):
            logs.event("control_taken", socket=str(self._path))
            return
        make_directory(self._path.parent)
        # Who may connect to it may do everything.
        sock = listen_unix(self._path, "control", FOR_ITS_OWNER, replace=True)
        self._server = Acceptor(sock, self._serve, spawn=Pool(2 * MOST_OPERATORS))
        self._server.spare, self._server.farewell = spare, lambda: _refused(ServerFull())
        self._server.start()
        self._identity = identify(self._path)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(STOPPING_TAKES)
            remove_own(self._path, self._identity)

    def _serve(self, sock: socket.socket, _: object) -> None:
        try:
            with sock, closing(Requests(sock)) as requests, self._visitors.visit() as visit:
                peer = peer_of(sock)
                while line := requests.next():
                    with self._visitors.serving(visit):
                        answer = self._answer(line, requests.handed, peer)
                    sock.sendall(answer)
        except OSError:
            pass  # the operator has left
        except Exception as failure:
            self._watch.failed("control", failure)

    def _answer(self, line: bytes, handed: int | None, peer: Peer) -> bytes:
        try:
            return json.encode({"answer": self._ask(line, handed, peer)}) + b"\n"
        except MessengerError as error:
            refusal = error
        except Exception as failure:
            self._watch.failed("control", failure)
            refusal = InternalError()
        return _refused(refusal)

    def _ask(self, line: bytes, handed: int | None, peer: Peer) -> Any:
        try:
            asked = json.decode(line, type=Asked)
        except (MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest("This server's control socket does not know that request.") from error
        arguments = checked(asked.verb, asked.arguments)
        verb = VERBS[asked.verb]
        if verb.takes_file and handed is None:
            raise BadRequest("This request needs an open file passed with it.")
        shown = [f"{key}={arguments[key]}" for key in SHOWN if arguments.get(key) is not None]
        name, on = arguments.get("name"), " ".join(shown) or None
        logs.event("control", method=asked.verb, name=name, on=on, uid=peer.uid, pid=peer.pid)
        return verb.ask(self._administration, arguments, handed)


def _refused(error: MessengerError) -> bytes:
    sentence = error.for_operators if isinstance(error, StoreUnavailable) else str(error)
    return json.encode({"error": error.word, "sentence": sentence}) + b"\n"


class Requests:
    """The lines of one operator, and the open file that came with the latest of them: `handed`, or None.

    It is closed with the next line, or by `close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = bytearray()
        self.handed: int | None = None

    def next(self) -> bytes:
        """Wait for a line; empty at the end. What is longer than LONGEST_LINE is cut. Raises OSError."""
        self.close()
        while (end := self._read.find(b"\n") + 1) == 0 and len(self._read) < LONGEST_LINE:
            data, ancillary, _, _ = self._sock.recvmsg(LONGEST_LINE, ROOM_FOR_HANDED, MSG_CMSG_CLOEXEC)
            self._take(ancillary)
            if not data:
                break
            self._read += data
        end = end or min(len(self._read), LONGEST_LINE)
        line = bytes(self._read[:end])
        del self._read[:end]
        return line

    def close(self) -> None:
        if self.handed is not None:
            os.close(self.handed)
            self.handed = None

    def _take(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                for (handle,) in struct.iter_unpack("i", data[: len(data) - len(data) % INT]):
                    self.close()  # one is enough
                    self.handed = handle
