"""The control socket: a Unix socket for the owner, beside the store or in the state directory.

Each line is a JSON object: `{"verb": "disable", "arguments": {"name": "hank"}}` is answered `{"answer": …}`, or
`{"error": "never_seen", "sentence": "…"}` with the code of an error. A file to be written is opened by the client, and
passed along with the request (SCM_RIGHTS), because the server may have no access to its folder.
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

from gmessenger import log
from gmessenger.chat.admin import ADMIN_METHODS, AdminService, check_arguments
from gmessenger.errors import BadRequest, InternalError, MessengerError, ServerFull, StoreUnavailable
from gmessenger.server.net.idle_limit import IdleConnectionLimit
from gmessenger.server.net.listener import Listener, SpareDescriptor
from gmessenger.server.net.sockets import (
    OWNER_ONLY_UMASK,
    PeerCredentials,
    SocketFile,
    is_listening,
    listen_unix,
    make_socket_directory,
    peer_credentials,
)
from gmessenger.server.net.supervisor import Supervisor

MAX_REQUEST: Final = 65_536  # bytes
MAX_IDLE_CONNECTIONS: Final = 16
"""Idle connections; one more closes the one that has been idle for longest."""
STOP_TIMEOUT: Final = 1.0  # seconds for requests that are being handled
LOGGED_ARGUMENTS: Final = (
    *("address", "user", "role", "rule", "value", "other", "seq", "id", "file", "days", "seconds", "kind", "after"),
    *("once", "uses", "room"),
)
"""Arguments that are logged besides the name; never a password or a text."""
FD_SIZE: Final = struct.calcsize("i")
FD_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(FD_SIZE)
MSG_CMSG_CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class ControlRequest(Struct):
    """A request: the name of a row of `ADMIN_METHODS`, and its arguments."""

    method: str = field(name="verb")
    arguments: dict[str, Any] = field(name="arguments", default_factory=dict)


class ControlServer:
    """Handles requests on the control socket, each connection in a greenlet of its own."""

    def __init__(
        self,
        path: Path,
        admin_service: AdminService,
        supervisor: Supervisor,
        spare_descriptor: SpareDescriptor,
        *,
        is_exclusive: bool,
    ) -> None:
        """`is_exclusive`: no other process may listen at `path`, because it belongs to a store that is locked."""
        self._spare_descriptor = spare_descriptor
        self._path = path
        self._is_exclusive = is_exclusive
        self._admin_service = admin_service
        self._supervisor = supervisor
        self._listener: Listener | None = None
        self._idle_limit = IdleConnectionLimit(MAX_IDLE_CONNECTIONS)
        self._socket_identity: tuple[int, int] | None = None

    def start(self) -> None:
        """Listen. A socket file that no process listens on is replaced; otherwise log that it is taken.

        Raises `ListenError`.
        """
        if not self._is_exclusive and is_listening(self._path):
            log.log_event("control_taken", socket=str(self._path))
            return
        make_socket_directory(self._path.parent)
        # Any process that can connect may do everything.
        sock = listen_unix(self._path, "control", OWNER_ONLY_UMASK, replace=True)
        self._listener = Listener(
            sock,
            self._serve,
            self._spare_descriptor,
            lambda: _encode_error(ServerFull()),
            spawn=Pool(2 * MAX_IDLE_CONNECTIONS),
        )
        self._listener.start()
        self._socket_file = SocketFile(self._path)

    def stop(self) -> None:
        """Close the socket; block for at most STOP_TIMEOUT while requests are being handled."""
        if self._listener is not None:
            self._listener.stop(STOP_TIMEOUT)
            self._socket_file.remove()

    def _serve(self, sock: socket.socket, _: object) -> None:
        try:
            with sock, closing(ControlRequestReader(sock)) as requests, self._idle_limit.track() as connection:
                peer = peer_credentials(sock)
                while line := requests.read_line():
                    with self._idle_limit.busy(connection):
                        response = self._respond(line, requests.fd, peer)
                    sock.sendall(response)
        except OSError:
            pass  # the client has left
        except Exception as failure:
            self._supervisor.report("control", failure)

    def _respond(self, line: bytes, fd: int | None, credentials: PeerCredentials) -> bytes:
        try:
            return json.encode({"answer": self._run(line, fd, credentials)}) + b"\n"
        except MessengerError as error:
            return _encode_error(error)
        except Exception as failure:
            self._supervisor.report("control", failure)
            return _encode_error(InternalError())

    def _run(self, line: bytes, fd: int | None, credentials: PeerCredentials) -> Any:
        try:
            request = json.decode(line, type=ControlRequest)
        except (MsgspecError, UnicodeDecodeError) as error:
            raise BadRequest("This server's control socket does not know that request.") from error
        arguments = check_arguments(request.method, request.arguments)
        row = ADMIN_METHODS[request.method]
        if row.takes_fd and fd is None:
            raise BadRequest("This request needs an open file passed with it.")
        _log_request(request.method, arguments, credentials)
        return row.call(self._admin_service, arguments, fd)


def _log_request(method: str, arguments: dict[str, Any], credentials: PeerCredentials) -> None:
    shown = [f"{key}={arguments[key]}" for key in LOGGED_ARGUMENTS if arguments.get(key) is not None]
    name, on = arguments.get("name"), " ".join(shown) or None
    log.log_event("control", method=method, name=name, on=on, uid=credentials.uid, pid=credentials.pid)


def _encode_error(error: MessengerError) -> bytes:
    sentence = error.operator_message if isinstance(error, StoreUnavailable) else str(error)
    return json.encode({"error": error.code, "sentence": sentence}) + b"\n"


class ControlRequestReader:
    """Reads the lines of one connection. `fd` is the open file that was passed with the latest, or None.

    It is closed with the next line, or by `close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self.fd: int | None = None

    def read_line(self) -> bytes:
        """Block until a line is complete, and return at most MAX_REQUEST bytes of it; empty at the end.

        Raises OSError.
        """
        self.close()
        while (end := self._buffer.find(b"\n") + 1) == 0 and len(self._buffer) < MAX_REQUEST:
            data, ancillary, _, _ = self._sock.recvmsg(MAX_REQUEST, FD_ANCILLARY_SIZE, MSG_CMSG_CLOEXEC)
            self._take_descriptors(ancillary)
            if not data:
                break
            self._buffer += data
        end = end or min(len(self._buffer), MAX_REQUEST)
        line = bytes(self._buffer[:end])
        del self._buffer[:end]
        return line

    def close(self) -> None:
        """Close the file that was passed last."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _take_descriptors(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                for (fd,) in struct.iter_unpack("i", data[: len(data) - len(data) % FD_SIZE]):
                    self.close()  # of several, the last is kept
                    self.fd = fd
