"""A server driven by a test step by step."""

import json
import socket
import time
from typing import Any, Self

from tests.support.web import AcceptedWebSocket

TIMEOUT = 5.0
Frame = dict[str, Any]
LIMITS = {"frame": 65_536, "text": 16_384}
FEATURES = ["about", "kind", "note", "rules"]


def reserve_port(port: int = 0) -> socket.socket:
    """Return a socket that holds a port of the loopback and refuses connections."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class ClientConnection:
    """One accepted connection, as the server sees it."""

    def __init__(self, sock: socket.socket | AcceptedWebSocket) -> None:
        self.sock = sock
        self.unread = b""
        sock.settimeout(TIMEOUT)

    def receive(self) -> Frame:
        """Receive the next frame. Raises EOFError if the client has left."""
        while b"\n" not in self.unread:
            data = self.sock.recv(65_536)
            if not data:
                raise EOFError(f"the client left, after {self.unread!r}")
            self.unread += data
        state, _, self.unread = self.unread.partition(b"\n")
        frame = json.loads(state)
        assert isinstance(frame, dict)
        return frame

    def expect(self, action: str) -> Frame:
        frame = self.receive()
        assert frame.get("action") == action, frame
        return frame

    def expect_closed(self) -> None:
        """Wait until the client closes its end; a `quit` may come first."""
        try:
            while self.receive() == {"action": "quit"}:
                pass
        except (EOFError, ConnectionError):
            return
        raise AssertionError("the client is still there")

    def send_bytes(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, *frames: Frame) -> None:
        """Send frames in one write."""
        self.send_bytes(b"".join(json.dumps(frame, ensure_ascii=False).encode() + b"\n" for frame in frames))

    def respond(self, request: Frame, response: int = 202, **fields: Any) -> None:
        self.send({"response": response, "id": request.get("id"), "time": 1.0, **fields})

    def accept_login(
        self, session: str = "token", greeting: str = "Be kind.", limits: Frame = LIMITS, **more: Any
    ) -> Frame:
        """Read a presence and let it in; returns the presence."""
        presence = self.expect("presence")
        welcome = {"response": 200, "jim": 2, "account": False, "session": session, "server": "fake/1"}
        welcome |= {"features": FEATURES, **more}
        self.send({**welcome, "time": 1.0, "limits": limits, "alert": greeting}, {"action": "synced"})
        return presence

    def reject_login(self, response: int, code: str, error: str, **fields: Any) -> Frame:
        presence = self.expect("presence")
        self.send({"response": response, "code": code, "error": error, "time": 1.0, **fields})
        return presence

    def accept_messages(self, count: int) -> list[str]:
        """Accept that many messages; their texts."""
        texts = []
        for _ in range(count):
            message = self.expect("msg")
            self.respond(message)
            texts.append(message["message"])
        return texts

    def push_message(self, sender: str, text: str, to: str = "hank", **more: Any) -> None:
        self.send({"action": "msg", "from": sender, "to": to, "time": time.time(), "message": text, **more})

    def restart(self) -> None:
        """Close the connection, and have the client come back at once."""
        self.send({"action": "moving", "retry_in": 0.0})
        self.close()

    def close(self) -> None:
        self.sock.close()


class FakeServer:
    """Listens on a free port of the loopback. `wire`: plain, or web for WebSockets; `host` is a URL then."""

    def __init__(self, port: int = 0, wire: str = "plain") -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(TIMEOUT)
        self.wire = wire
        self.port: int = self.listener.getsockname()[1]
        self.host = "127.0.0.1" if wire == "plain" else f"ws://127.0.0.1:{self.port}/jim"
        self.connections: list[ClientConnection] = []

    def accept(self) -> ClientConnection:
        sock, _ = self.listener.accept()
        sock.settimeout(TIMEOUT)
        self.connections.append(peer := ClientConnection(sock if self.wire == "plain" else AcceptedWebSocket(sock)))
        return peer

    def accept_and_log_in(self, **welcome: Any) -> ClientConnection:
        """Accept the next connection and let it in."""
        peer = self.accept()
        peer.accept_login(**welcome)
        return peer

    def stop_listening(self) -> None:
        """Refuse connections but keep the port, so that no other test's server gets it."""
        self.listener.close()
        self.listener = reserve_port(self.port)

    def close(self) -> None:
        self.listener.close()
        for peer in self.connections:
            peer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
