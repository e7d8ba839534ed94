"""One IRC connection: its state, and the replies to its commands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent.event import Event
from msgspec import Struct
from msgspec.structs import replace

from gmessenger.chat.outbound import EncodedFrames, LivenessProbe
from gmessenger.chat.session import Session
from gmessenger.errors import NotLoggedIn, StoreUnavailable
from gmessenger.lru_map import LruMap
from gmessenger.names import fold
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.multiline_batches import MultilineReceiver
from gmessenger.server.irc.network import IrcNetwork
from gmessenger.server.irc.replies import UNKNOWN_NICK, Reply, ReplyBuffer, closing_link, fit_params
from gmessenger.server.irc.users import Card
from gmessenger.server.net.connection import Connection
from gmessenger.server.protocol.handler import ProtocolHandler
from gmessenger.wire.irc.lines import MAX_BODY, quote_param
from gmessenger.wire.irc.numerics import Numeric

MAX_NUMERIC_PARAMS: Final = MAX_BODY - len(": 000 ") - len(" :") - 4
"""Bytes of the parameters of a numeric before its text, and of the server's name, so that the text has a character."""
MAX_OWN_READ_MARKS: Final = 100
REFUSED_COST: Final = 1.0
"""Of what is refused before it is charged."""


class ResponseGroup(Struct):
    """A batch with the answers to one message to several targets, of which `left` have none yet."""

    reference: str
    left: int


class IrcMessage(Struct):
    """A message that waits for the store's answer. `command`: by which it was sent. `is_echoed`: it may come back.

    `tags`: as in `chat.outbound.Message`. `msgid`: of the message that it is to remove. `group`: of its answer.
    """

    command: str
    target: str
    text: str
    kind: str = ""
    label: str | None = None
    is_echoed: bool = True
    tags: dict[str, str] = {}
    msgid: str = ""
    group: ResponseGroup | None = None


class SaslExchange(Struct):
    """What has come of the client's response to a mechanism of SASL."""

    mechanism: str
    received: bytearray


class RegistrationState(Struct):
    """What has come before 001. `is_negotiating`: `CAP END` is waited for.

    `is_admitted`: the password of the server was given, or it has none.
    `password`: of PASS. `sasl`: the SASL exchange that has begun, if any. `nick`: that of NICK.
    `profile`: what is to be set in the user's profile.
    """

    is_negotiating: bool = False
    is_admitted: bool = False
    has_user: bool = False
    nick: str = ""
    password: str | None = None
    sasl: SaslExchange | None = None
    failures: int = 0
    away: str | None = None
    version: int = 301
    profile: dict[str, str] = {}


class IrcHandler(ProtocolHandler):
    """The state of a connection; commands answer by its methods.

    After the registration all it is sent goes through the outbox, in order.
    """

    __slots__ = (
        "_id_prefix",
        "_is_unregistered",
        "_sent_count",
        "bits",
        "buffer",
        "capabilities",
        "card",
        "caught_up",
        "farewell",
        "is_registered",
        "is_writing_outbox",
        "last_quit",
        "monitored",
        "multiline",
        "network",
        "nick",
        "on_pong",
        "read_marks",
        "registration",
        "sent",
        "start_output",
        "subscribed_keys",
    )

    def __init__(self, connection: Connection, network: IrcNetwork) -> None:
        super().__init__(connection, network.messenger)
        self.network = network
        self.nick = UNKNOWN_NICK
        self.card = Card()
        self.capabilities = Capability.NONE
        self.bits = 0
        """The capabilities as a number, with which a message each time is decided faster."""
        self.registration = RegistrationState(is_admitted=not network.password)
        self.is_registered = False
        self._is_unregistered = True
        network.unregistered_count += 1
        self.caught_up: Event | None = None
        """Set once a session is sent everything that comes; None from then on, and where nothing waits for it."""
        self.is_writing_outbox = False
        """Whether what waits in the session's outbox is written: from the end of the greeting on."""
        self.buffer = ReplyBuffer(network.server_name, None, "")
        self.sent: dict[str, IrcMessage] = {}
        self.farewell = ""
        """Why the server is about to end the session: told at the end of what is written."""
        self.last_quit = ""
        """Whose end was told last: a guest leaves all rooms at once."""
        self.monitored: dict[str, str] = {}
        """Names of which it wants to know whether they are online, by folded name."""
        self.subscribed_keys: dict[str, None] = {}
        """Keys of profiles of whose changes it wants to be told, in the order in which it has asked for them."""
        self.read_marks: LruMap[str, float] = LruMap(MAX_OWN_READ_MARKS)
        """Read marks that are kept by the connection only, in Unix seconds, by folded target."""
        self.multiline = MultilineReceiver()
        self._id_prefix = network.next_connection_id()
        self._sent_count = 0
        self.on_pong: Callable[[str], None] = lambda token: None
        """Takes the answer to a PING; set by the protocol."""
        self.start_output: Callable[[], None] = lambda: None
        """Has the lines of the session's outbox written from now on, in playback first; set by the protocol."""

    @property
    def key(self) -> str:
        """The folded nick."""
        return self.session.key if self.session is not None else fold(self.nick)

    @property
    def is_encrypted(self) -> bool:
        """Whether what is sent cannot be read on the way."""
        return self.connection.is_encrypted

    @property
    def client_certificate(self) -> str | None:
        """The fingerprint of the TLS certificate that the client has presented, if any."""
        return self.connection.client_certificate

    # -- replies to the command that is being handled

    def begin_command(self, label: str | None) -> None:
        """Collect what a command is answered, under its label."""
        if Capability.LABELED_RESPONSE not in self.capabilities:
            label = None
        self.buffer = ReplyBuffer(self.network.server_name, label, self.network.next_batch() if label else "")

    def end_command(self) -> None:
        """Send what was collected."""
        self.write(self.buffer.finish())

    def flush_replies(self) -> None:
        """Send what was collected so far: events that come from now on follow it."""
        self.write(self.buffer.flush())

    def add(self, reply: Reply) -> None:
        """Add a line to the answer of the command."""
        self.buffer.add(self.with_account(reply))

    def with_account(self, reply: Reply) -> Reply:
        """Return a line with the account of its source, where the client wants that and a user has caused the line."""
        nick, is_user, _ = reply.source.partition("!")
        if not is_user or Capability.ACCOUNT_TAG not in self.capabilities or "account" in reply.tags:
            return reply
        account = self.network.users.account_name(nick)
        return reply if account is None else replace(reply, tags={**reply.tags, "account": account})

    def reply(self, numeric: Numeric, *params: str, text: str | None = None) -> None:
        """Answer the command with a numeric, whose own sentence is used where no text is given."""
        self.buffer.add(self.numeric(numeric, *params, text=text))

    def fail(self, command: str, code: str, *context: str, text: str) -> None:
        """Answer the command with a standard reply."""
        self.buffer.add(self.failure(command, code, *context, text=text))

    def failure(self, command: str, code: str, *context: str, text: str) -> Reply:
        """Return a standard reply. `context` may be what the client has sent."""
        words = (quote_param(command), code, *map(quote_param, context))
        return Reply(self.network.server_name, "FAIL", (*words, text), is_text=True)

    def numeric(self, numeric: Numeric, *params: str, text: str | None = None) -> Reply:
        """Return a numeric for this client. `params` may be what the client has sent."""
        source = self.network.server_name
        head = fit_params(self.nick, [quote_param(param) for param in params], MAX_NUMERIC_PARAMS - len(source))
        if text is None and not numeric.text:
            return Reply(source, numeric.code, head)
        return Reply(source, numeric.code, (*head, numeric.text if text is None else text), is_text=True)

    def notice(self, text: str) -> Reply:
        """Return a notice of the server to this client."""
        return Reply(self.network.server_name, "NOTICE", (self.nick, f"*** {text}"), is_text=True)

    def room_notice(self, room: str, text: str) -> Reply:
        """Return a notice of the server to a room."""
        return Reply(self.network.server_name, "NOTICE", (room, f"*** {text}"), is_text=True)

    @property
    def own_source(self) -> str:
        """`nick!user@host` of this connection."""
        if self.session is None:
            return f"{self.nick}!{self.card.user}@{self.network.users.guest_host(self.connection.address)}"
        return self.network.users.source(self.nick)

    def offer(self, *replies: Reply) -> None:
        """Send lines that were not asked for, unless the client reads too slowly. Never blocks."""
        if self.session is not None and self.is_registered:
            data = b"".join([self.with_account(reply).encode() for reply in replies])
            self.session.outbox.offer(EncodedFrames(data, len(data)))

    def write(self, data: bytes) -> None:
        """Send lines: behind what waits in the outbox, or at once while that is not written."""
        if not data:
            return
        if self.session is not None and self.is_writing_outbox:
            self.session.outbox.push(EncodedFrames(data, len(data)))
        else:
            self.connection.writer.write(data)

    # -- messages that were sent and are not answered

    def is_own(self, id: str | None) -> bool:
        """Return whether a message with that id was sent by this connection."""
        return id is not None and id.startswith(f"{self._id_prefix}-")

    def next_id(self) -> str:
        """Return an id for a message: no other message of this device has it."""
        self._sent_count += 1
        return f"{self._id_prefix}-{self._sent_count}"

    def flush_messages(self) -> None:
        """Block until what was sent is answered, as the reply to the next command must not overtake it.

        Raises `StoreUnavailable`.
        """
        if self.session is None or not self.is_registered:
            return
        self.messenger.flush_acknowledgements(self.session)
        if self._sent_count and self.session.hears_itself and self.caught_up is not None:
            self.caught_up.wait(self.messenger.policy.store_timeout)  # its echo comes behind what it has missed

    @property
    def is_backlogged(self) -> bool:
        """Whether commands must wait, because their replies would not be read."""
        writer = self.connection.writer
        if self.session is None or not self.is_registered:
            return writer.is_blocked
        return self.session.outbox.is_full or writer.pending_bytes > self.connection.options.outbox_bytes

    def note_caught_up(self) -> None:
        """Take note that the session is sent everything from now on."""
        if self.caught_up is not None:
            self.caught_up.set()
            self.caught_up = None

    def wait_caught_up(self) -> None:
        """Block until the session is sent everything that comes: what is read of the store then leaves no gap.

        Raises `StoreUnavailable`.
        """
        if self.caught_up is not None and not self.caught_up.wait(self.messenger.policy.store_timeout):
            raise StoreUnavailable

    def require_session(self) -> Session:
        """Return the session. Raises `NotLoggedIn` before the registration."""
        if self.session is None or not self.is_registered:
            raise NotLoggedIn
        return self.session

    def set_capabilities(self, capabilities: Capability) -> None:
        """Replace what the client has negotiated."""
        self.capabilities, self.bits = capabilities, int(capabilities)
        self.apply_capabilities()

    def apply_capabilities(self) -> None:
        """Have the session sent what the capabilities ask for."""
        if self.session is not None:
            self.session.hears_itself = Capability.ECHO_MESSAGE in self.capabilities
            self.session.writes_to_itself = self.session.accepts_signals = True
            self.session.wants_status_at_once = Capability.AWAY_NOTIFY in self.capabilities
            self.follow_profiles()

    def follow_profiles(self) -> None:
        """Have the session told of changed profiles, if it has subscribed to keys, and no more if it has not."""
        if self.session is None:
            return
        if self.subscribed_keys and Capability.METADATA in self.capabilities:
            self.messenger.profiles.tell_changes(self.session, self.monitored.__contains__)
        else:
            self.messenger.profiles.stop_telling(self.session)

    # -- the end

    def send_probe(self) -> bool:
        """Ask whether the client is alive."""
        return self.session is not None and self.is_registered and self.session.outbox.offer(LivenessProbe())

    def close_gracefully(self, reason: str, *, message: str = "") -> None:
        """Handle no more commands; the connection is closed once everything queued is written.

        `message`: what a guest has said when it left.
        """
        self.is_closing = True
        self.note_registered()
        self.write(closing_link(message or reason).encode())
        if self.session is None or not self.is_registered:
            self.connection.close_gracefully(reason)
            return
        self.log_out(reason, message)
        with suppress(StoreUnavailable):  # messages in flight were answered
            self.messenger.flush_acknowledgements(self.session)
        self.session.outbox.close_after_drain()

    def note_registered(self) -> None:
        """Count the connection no more among those that have not registered."""
        self.network.unregistered_count -= self._is_unregistered
        self._is_unregistered = False

    def connection_closed(self) -> None:
        """Release what only an open connection needs."""
        self.note_registered()
        if self.session is not None:
            self.network.users.remove(self.session)
            self.network.clients.remove(self, self.session.key)
            for key in self.monitored:
                self.network.clients.unmonitor(self, key)
            self.session.on_change_made = None
            self.messenger.profiles.stop_telling(self.session)
            self.session.outbox.close()
