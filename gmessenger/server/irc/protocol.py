"""IRC on one connection: decode lines, charge and dispatch them."""

from __future__ import annotations

from typing import Any, Final

from gmessenger import log
from gmessenger.errors import InternalError, PasswordChangeRequired, WireError
from gmessenger.names import ROOM_PREFIX
from gmessenger.server.irc.acknowledgements import AckTracker
from gmessenger.server.irc.commands import COMMANDS, CommandRow
from gmessenger.server.irc.encoder import OutboxEncoder
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.message_batches import has_one_spelling, relay_line, relay_text, send_batch
from gmessenger.server.irc.network import IrcNetwork, is_service
from gmessenger.server.irc.registration import complete
from gmessenger.server.net.connection import Connection
from gmessenger.server.net.foreign_protocol import OpeningReader
from gmessenger.timeslice import TimeSlice
from gmessenger.wire.irc.lines import MAX_PENDING, BadLine, Line, LineDecoder, split_messages
from gmessenger.wire.irc.numerics import (
    ERR_INPUTTOOLONG,
    ERR_NEEDMOREPARAMS,
    ERR_NOTREGISTERED,
    ERR_UNKNOWNCOMMAND,
)

MAX_EARLY_COMMANDS: Final = 50
"""Commands before the registration is complete, after which the connection is closed."""
BAD_LINE_COST: Final = 1.0
OPENING_WORDS: Final = frozenset(name.encode() for name, command in COMMANDS.items() if command.before is not None)
LABEL: Final = "label"
MAX_LABEL: Final = 64
MESSAGE_BATCH: Final = 32
"""Messages to names, each another, between which others need not run."""


class IrcProtocol:
    """A connection that speaks IRC. Its methods never raise: an internal error is logged, and answered 400."""

    __slots__ = (
        "_acks",
        "_bad_lines",
        "_connection",
        "_decoder",
        "_early_commands",
        "_encoder",
        "_handler",
        "_network",
        "_opening",
    )

    def __init__(self, connection: Connection, network: IrcNetwork) -> None:
        self._connection = connection
        self._network = network
        self._decoder = LineDecoder()
        self._handler = IrcHandler(connection, network)
        self._acks = AckTracker(self._handler)
        self._encoder = OutboxEncoder(self._handler, self._acks)
        self._handler.start_output = self._encoder.start
        self._handler.on_pong = self._acks.pong_received
        self._opening: OpeningReader | None = OpeningReader(connection, OPENING_WORDS, MAX_PENDING)
        self._bad_lines = 0
        self._early_commands = 0

    @property
    def user_name(self) -> str | None:
        """The name that is, or was, logged in; None before 001."""
        session = self._handler.session
        return session.name if session is not None and self._handler.is_registered else None

    @property
    def labels(self) -> tuple[str, str]:
        """Protocol and kind of session, for metrics."""
        session = self._handler.session
        return (session.protocol, session.kind) if session is not None else ("unknown", "unknown")

    @property
    def pending_frames(self) -> int:
        """The number of events in the outbox."""
        session = self._handler.session
        return session.outbox.pending_frames if session is not None else 0

    def receive_in_loop(self, data: bytes) -> Any:
        """Relay a message from guest to guest at once; leave everything else to the connection's greenlet."""
        if self._opening is not None or self._decoder.is_pending:
            return data
        try:
            return None if relay_line(self._handler, data) else data
        except Exception as failure:  # the loop would only print it
            self._handler.report("request", failure)
            return None

    def data_received(self, received: bytes) -> None:
        """Handle lines. Blocks as their handlers do."""
        if self._opening is not None:
            opening = self._opening.feed(received)
            if opening is None:
                return
            self._opening, received = None, opening
        time_slice = TimeSlice()
        if received[:8] == b"PRIVMSG " and received.count(b"\n") > 1 and not self._decoder.is_pending:
            received = self._send_batches(received, time_slice)
        for line in self._decoder.feed(received):
            if self._connection.is_closing or self._handler.is_closing:
                return
            self._receive(line)
            self._yield(time_slice)

    def _send_batches(self, received: bytes, time_slice: TimeSlice) -> bytes:
        """Send what is plain messages, those to one target together; return what is not."""
        texts_by_target, rest = split_messages(received)
        if not has_one_spelling(texts_by_target):
            return received
        for count, (target, texts) in enumerate(texts_by_target.items(), 1):
            if self._handler.is_closing:
                return b""
            if not self._try_batch(target, texts):
                for text in texts:
                    self._receive(Line("PRIVMSG", [target, text]))
                    self._yield(time_slice)
            # (One message to a name is cheap, and shortly relayed.)
            if len(texts) > 1 or target[:1] == ROOM_PREFIX or not count % MESSAGE_BATCH:
                self._yield(time_slice)
        return rest

    def _try_batch(self, target: str, texts: list[str]) -> bool:
        """Send texts to one target together; False if they have to be sent one by one."""
        try:
            if len(texts) == 1:  # (the ordinary way also fills the bucket that `relay_text` takes from)
                return relay_text(self._handler, target, texts[0])
            return send_batch(self._handler, target, texts)
        except Exception as failure:
            self._handler.report("request", failure)
            return True

    def _yield(self, time_slice: TimeSlice) -> None:
        """Write replies where they pile up, and let other greenlets run when it is time."""
        if self._handler.is_backlogged:
            self._connection.writer.drain()
        time_slice.yield_if_expired()

    def send_probe(self) -> bool:
        """Ask the client to answer."""
        return self._handler.send_probe()

    def sweep(self, now: float) -> None:
        """Ask for acknowledgements when it is time."""
        self._acks.sweep(now)

    def eof_received(self) -> None:
        """End the session of a client that sends nothing more."""
        if not (self._handler.is_closing or self._connection.is_closing):  # nothing can be written after the close
            self._handler.close_gracefully("left")

    def turn_away(self, reason: str) -> None:
        """Close a connection before 001, with ERROR."""
        if not self._connection.is_closing:
            self._handler.close_gracefully(reason)

    def end_session(self, reason: str) -> None:
        """End the session and free its name."""
        self._handler.log_out(reason)

    def connection_closed(self) -> None:
        """Release what the connection holds."""
        self._handler.connection_closed()

    def _receive(self, line: Line | BadLine) -> None:
        handler = self._handler
        label = line.label if isinstance(line, BadLine) else line.tags.get(LABEL)
        label = label if label is not None and 0 < len(label) <= MAX_LABEL else None
        handler.begin_command(label)
        try:
            self._handle(line)
            handler.end_command()
        except Exception as failure:
            handler.report("request", failure)
            handler.begin_command(label)  # what was collected may be what cannot be written
            handler.add(command_refusal(handler, line.command, "", InternalError()))
            handler.end_command()

    def _handle(self, line: Line | BadLine) -> None:
        """Handle a line, and answer why it is refused. Raises internal errors only."""
        try:
            if isinstance(line, BadLine):
                self._refuse_unreadable(line)
            else:
                self._dispatch(line)
                if not self._handler.is_registered:
                    complete(self._handler)
        except WireError as error:
            log.log_event("request_refused", name=self.user_name, code=error.code)
            self._handler.add(command_refusal(self._handler, line.command, "", error))

    def _dispatch(self, line: Line) -> None:
        handler, command = self._handler, COMMANDS.get(line.command)
        if not handler.is_registered:
            self._dispatch_early(line, command)
            return
        if command is None:
            handler.charge(1)
            handler.reply(ERR_UNKNOWNCOMMAND, line.command)
            return
        if command.cost:
            handler.charge(command.cost)
        if handler.require_session().must_change_password and not _is_always_allowed(line, command):
            raise PasswordChangeRequired
        if not command.is_message:
            handler.flush_messages()
        if len(line.params) < command.least:
            handler.reply(ERR_NEEDMOREPARAMS, line.command)
            return
        if handler.require_session().outbox.closed:
            return
        command.handle(handler, line)

    def _dispatch_early(self, line: Line, command: CommandRow | None) -> None:
        """Handle a command before the registration is complete."""
        handler = self._handler
        self._early_commands += 1
        if self._early_commands > MAX_EARLY_COMMANDS:
            handler.close_gracefully("it does not register")
            return
        handler.charge(command.cost if command is not None else 1)
        if command is None:  # clients that ask early what else a server is, such as bouncers, do not show this answer
            handler.reply(ERR_UNKNOWNCOMMAND, line.command)
        elif command.before is None:
            handler.reply(ERR_NOTREGISTERED)
        elif len(line.params) < command.least:
            handler.reply(ERR_NEEDMOREPARAMS, line.command)
        else:
            command.before(handler, line)

    def _refuse_unreadable(self, line: BadLine) -> None:
        handler = self._handler
        handler.charge(BAD_LINE_COST)
        self._bad_lines += 1
        log.log_event(
            "frame_refused",
            address=self._connection.address,
            name=self.user_name,
            code=line.reason,
            count=self._bad_lines,
        )
        if line.reason == "too_long":
            handler.reply(ERR_INPUTTOOLONG)
        else:
            handler.fail(line.command or "*", "INVALID_UTF8", text="What was sent is not UTF-8")
        if self._bad_lines >= self._connection.options.max_bad_frames:
            handler.close_gracefully("too many lines that cannot be read")


def _is_always_allowed(line: Line, command: CommandRow) -> bool:
    """Return whether a command is allowed before a one-time password is changed: that is asked of a service."""
    return command.is_always_allowed or (command.is_message and bool(line.params) and is_service(line.params[0]))
