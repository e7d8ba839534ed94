"""The operator's door: a Unix socket for whoever owns it, beside the store's file, or in the state directory.

One JSON object a line: `{"verb": "disable", "arguments": {"name": "hank"}}` is answered `{"answer": …}`, or
`{"error": "NeverSeen", "sentence": "…"}` with the name of an error of the tree.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Final, get_type_hints

from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from msgspec import MsgspecError, Struct, convert, defstruct, field, json
from msgspec.structs import asdict

from gmessenger import logs
from gmessenger.chat.administration import VERBS, Administration
from gmessenger.errors import BadRequest, InternalError, MessengerError
from gmessenger.server.listening import FOR_ITS_OWNER, is_listened_at, listen_unix, make_directory
from gmessenger.server.watch import Watch

LONGEST_LINE: Final = 65_536
MOST_OPERATORS: Final = 16
STOPPING_TAKES: Final = 1.0


class Asked(Struct):
    """One request."""

    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Control:
    """Answers operators from `start` to `stop`, each connection in a greenlet of its own."""

    def __init__(self, path: Path, administration: Administration, watch: Watch, *, locked: bool) -> None:
        """`locked`: nobody else may listen there, since it belongs to a store that is ours alone."""
        self._path = path
        self._locked = locked
        self._administration = administration
        self._watch = watch
        self._server: StreamServer | None = None

    def start(self) -> None:
        """Listen. What lies there is a dead server's, and replaced; where another one lives, it keeps what it has."""
        if not self._locked and is_listened_at(self._path):
            logs.event("control_taken", socket=str(self._path))
            return
        make_directory(self._path.parent)
        # Who may connect to it may do everything.
        sock = listen_unix(self._path, "control", FOR_ITS_OWNER, replace=True)
        self._server = StreamServer(sock, self._serve, spawn=Pool(MOST_OPERATORS))
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
        except Exception as failure:
            self._watch.failed("control", failure)

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
            arguments = asdict(convert(asked.arguments, TAKES[asked.verb]))
        except (MsgspecError, UnicodeDecodeError, KeyError) as error:
            raise BadRequest("This server's control socket does not know that request.") from error
        logs.event("control", verb=asked.verb, name=arguments.get("name"))
        return VERBS[asked.verb](self._administration, **arguments)


def _taken_by(verb: Callable[..., Any]) -> type[Struct]:
    """The arguments of a verb as a struct, so that what comes over the socket is checked as what comes by wire."""
    kinds = get_type_hints(verb)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for each in list(signature(verb).parameters.values())[1:]:
        default = () if each.default is Parameter.empty else (each.default,)
        fields.append((each.name, kinds[each.name], *default))
    return defstruct(verb.__name__, fields, forbid_unknown_fields=True)


TAKES: Final = {name: _taken_by(verb) for name, verb in VERBS.items()}
