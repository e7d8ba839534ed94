"""The operator's door: a Unix socket beside the store, for whoever owns it.

One JSON object a line: `{"verb": "disable", "arguments": {"name": "hank"}}` is answered `{"answer": …}`, or
`{"error": "NeverSeen", "sentence": "…"}` with the name of an error of the tree.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from msgspec import DecodeError, Struct, field, json

from gmessenger import logs
from gmessenger.chat.administration import VERBS, Administration
from gmessenger.errors import BadRequest, CannotListen, InternalError, MessengerError
from gmessenger.places import short_address
from gmessenger.server.watch import Watch

LONGEST_LINE: Final = 65_536
BACKLOG: Final = 16
STOPPING_TAKES: Final = 1.0
FOR_ITS_OWNER: Final = 0o177
"""What is masked from the socket's mode: who may connect to it may do everything."""


class Asked(Struct):
    """One request."""

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Control:
    """Answers operators from `start` to `stop`, each connection in a greenlet of its own."""

    def __init__(self, path: Path, administration: Administration, watch: Watch) -> None:
        self._path = path
        self._administration = administration
        self._watch = watch
        self._server: StreamServer | None = None

    def start(self) -> None:
        """Listen. Call it while the store's lock is held: a socket that lies there is a dead server's."""
        self._server = StreamServer(_listen(self._path), self._serve, spawn=Pool(BACKLOG))
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(STOPPING_TAKES)
            self._path.unlink(missing_ok=True)

    def _serve(self, sock: socket.socket, _: object) -> None:
        try:
            with sock, sock.makefile("rb") as lines:
                while line := lines.readline(LONGEST_LINE):
                    sock.sendall(self._answer(line) + b"\n")
        except OSError:
            pass  # the operator has left

    def _answer(self, line: bytes) -> bytes:
        try:
            return json.encode({"answer": self._ask(line)})
        except MessengerError as error:
            refusal = error
        except Exception as failure:
            self._watch.failed("control", failure)
            refusal = InternalError()
        return json.encode({"error": type(refusal).__name__, "sentence": str(refusal)})

    def _ask(self, line: bytes) -> Any:
        try:
            asked = json.decode(line, type=Asked)
            verb = VERBS[asked.verb]
        except (DecodeError, KeyError) as error:
            raise BadRequest("This server's control socket does not know that request.") from error
        logs.event("control", verb=asked.verb, name=asked.arguments.get("name"))
        return verb(self._administration, **asked.arguments)


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(FOR_ITS_OWNER)
    try:
        path.unlink(missing_ok=True)
        with short_address(path) as address:
            sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(f"Cannot listen on the control socket {path}: {error.strerror or error}.") from error
    finally:
        os.umask(before)
    return sock
