"""What all IRC connections of a server share."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Sequence, Set
from typing import Final

from msgspec import Struct

from gmessenger import __version__
from gmessenger.chat.blocks import MAX_BLOCKED
from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbound import Message
from gmessenger.chat.presence import UserStatus
from gmessenger.chat.room import Room
from gmessenger.chat.room_access import MAX_MASKS
from gmessenger.chat.session import Session
from gmessenger.config.options import ServerOptions
from gmessenger.constants import MAX_HISTORY_PAGE, ONLINE, OPERATOR_ROLE
from gmessenger.field_types import MAX_NOTE, MAX_REASON, MAX_TOPIC
from gmessenger.lru_map import LruMap
from gmessenger.names import MAX_NAME, direct_key, fold, is_room
from gmessenger.room_roles import has_rank
from gmessenger.server.irc.capabilities import Capability
from gmessenger.server.irc.clients import MAX_MONITORED, ClientRegistry, RegisteredClient
from gmessenger.server.irc.departures import DepartureLog
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.users import MessageIds, UserRegistry
from gmessenger.urls import FILE_PATH

SOFTWARE: Final = f"gmessenger-{__version__}"
MAX_TARGETS: Final = 4
"""Names that one message may be sent to."""
MAX_MODES: Final = 4
"""Modes with a parameter that one command may change."""
MAX_REALNAME: Final = 150
MAX_READ_MARKS: Final = 10_000
OPERATOR_MODE: Final = "o"
PROTOCOL: Final = "irc"
"""What the nodes of a cluster call it."""
SERVICE: Final = "NickServ"
"""The nick under which the server itself replies."""
SERVICE_KEY: Final = fold(SERVICE)
SERVICE_USER: Final = "services"


class ReadMark(Struct, frozen=True):
    """Up to when an account has read a conversation, in Unix seconds, and the seq that this stands for."""

    time: float
    seq: int


class IrcNetwork:
    """The names of the server and its network, how users and messages are shown, and the messenger."""

    def __init__(
        self,
        messenger: Messenger,
        users: UserRegistry,
        options: Callable[[], ServerOptions],
        started_at: float,
        password: str = "",
    ) -> None:
        """Make the network of a messenger.

        options: returns the present ones.
        started_at: Unix seconds.
        password: what every client has to give before it is let in; empty for nothing.
        """
        self.messenger = messenger
        self.relay = messenger.guest_relay.relay
        """`GuestRelay.relay`, bound once, as it is called for each message from guest to guest."""
        self.password = password
        self._options = options
        self.started_at = started_at
        self.users = users
        messenger.router.watchers.append(self.users.note_presence)  # first: the others show users
        self.clients = ClientRegistry(messenger, self.users.source)
        self.departures = DepartureLog(self.users, time.time)
        self.ids = MessageIds(messenger.store_identity, self._room_id)
        messenger.router.watchers.append(self.departures.note_presence)
        messenger.presence.watchers.append(self._announce_status)
        messenger.router.peers.listeners[PROTOCOL] = self._handle_peer
        messenger.router.rights_watchers.append(self._announce_rights)
        messenger.registration_watchers.append(self._announce_account)
        messenger.rooms.invitation_watchers.append(self._announce_invitation)
        self.read_marks: LruMap[tuple[int, str], ReadMark] = LruMap(MAX_READ_MARKS)
        """The exact times that clients have set, by account id and conversation."""
        self.unregistered_count = 0
        """Connections before 001."""
        self.most_users = 0
        """The most users that were online at one time, as far as it was seen."""
        self._batches = itertools.count(1)
        self._connections = itertools.count(1)
        self._run_id = secrets.token_hex(4)

    @property
    def options(self) -> ServerOptions:
        """The present options."""
        return self._options()

    @property
    def server_name(self) -> str:
        """The name of the server, which begins its own lines."""
        return self.options.irc_server_name

    @property
    def name(self) -> str:
        """The name of the network."""
        return self.options.irc_network

    def strict_transport(self, *, is_encrypted: bool) -> list[str]:
        """Return the policy of strict transport security, as CAP LS lists it (IRCv3 `sts`), if there is one."""
        options = self.options
        if options.irc_sts is None:
            return []
        if is_encrypted:
            return [f"sts=duration={options.irc_sts:.0f}"]
        port = options.irc_sts_port or options.irc_tls_number
        return [f"sts=port={port}"] if port and options.irc_sts else []

    @property
    def upload_url(self) -> str:
        """The URL to which files are uploaded, and below which they are; used where files are taken."""
        return self.messenger.policy.web_url + FILE_PATH

    def isupport(self) -> dict[str, str | None]:
        """Return what numeric 005 announces."""
        limits = self.messenger.policy.limits
        tokens: dict[str, str | None] = {
            "ACCOUNTEXTBAN": "a",
            "AWAYLEN": str(MAX_NOTE),
            "BOT": "B",
            "CASEMAPPING": "ascii",
            "CHANLIMIT": f"#:{limits.max_rooms_joined or ''}",
            "CHANMODES": "beI,k,l,imnRst",
            "CHANNELLEN": str(MAX_NAME + 1),
            "CHANTYPES": "#",
            "CHATHISTORY": str(MAX_HISTORY_PAGE),
            "ELIST": "CMNTU",
            "EXCEPTS": None,
            "EXTBAN": ",am",
            "INVEX": None,
            "KICKLEN": str(MAX_REASON),
            "MAXLIST": f"beI:{MAX_MASKS}",
            "MAXTARGETS": str(MAX_TARGETS),
            "MODES": str(MAX_MODES),
            "MONITOR": str(MAX_MONITORED),
            "MSGREFTYPES": "msgid,timestamp",
            "NAMELEN": str(MAX_REALNAME),
            "NETWORK": self.name,
            "NICKLEN": str(MAX_NAME),
            "PREFIX": "(qov)~@+",
            "SAFELIST": None,
            "SILENCE": str(MAX_BLOCKED),
            "STATUSMSG": "~@+",
            "TARGMAX": f"NAMES:,LIST:,KICK:{MAX_TARGETS},WHOIS:1,PRIVMSG:{MAX_TARGETS},NOTICE:{MAX_TARGETS},MONITOR:",
            "TOPICLEN": str(MAX_TOPIC),
            "UTF8ONLY": None,
            "WHOX": None,
            "draft/CHATHISTORY": str(MAX_HISTORY_PAGE),
        }
        if self.messenger.policy.takes_files:
            tokens["soju.im/FILEHOST"] = self.upload_url
        if not self.messenger.policy.guests:
            tokens["draft/ACCOUNTREQUIRED"] = None
        return tokens

    def away_line(self, name: str, status: UserStatus) -> Reply:
        """Return the line by which clients with `away-notify` are told of a status."""
        source = self.users.source(name)
        if status.status == ONLINE:
            return Reply(source, "AWAY")
        return Reply(source, "AWAY", (status.note or status.status,), is_text=True)

    def _announce_status(self, key: str, status: UserStatus, told: Set[str]) -> None:
        """Tell clients of a status that a user has set; `told` are sent it by the messenger."""
        name = self.messenger.router.name(key)
        if name is not None:
            self.clients.announce(key, self.away_line(name, status), Capability.AWAY_NOTIFY, {key, *told})

    def _announce_account(self, key: str, name: str) -> None:
        """Tell clients that a guest has become an account."""
        line = Reply(self.users.source(name), "ACCOUNT", (name,))
        self.clients.announce(key, line, Capability.ACCOUNT_NOTIFY, {key})

    def set_realname(self, name: str, realname: str, actor: RegisteredClient) -> None:
        """Set what a name says it is called, and tell the clients of all nodes but the one that has set it."""
        self._announce_realname(name, realname, actor)
        self.messenger.router.peers.tell(PROTOCOL, "SETNAME", name, realname)

    def _announce_realname(self, name: str, realname: str, actor: RegisteredClient | None = None) -> None:
        self.users.set_realname(fold(name), realname)
        line = Reply(self.users.source(name), "SETNAME", (realname,), is_text=True)
        self.clients.announce(fold(name), line, Capability.SETNAME, actor=actor)

    def _handle_peer(self, words: Sequence[str]) -> None:
        """Handle what IRC on another node tells; a later release may tell more."""
        match words:
            case ["SETNAME", name, realname]:
                self._announce_realname(name, realname)

    def _announce_rights(self, session: Session) -> None:
        """Tell a client that it has lost the rights of an operator, or got them."""
        has_rights = session.role == OPERATOR_ROLE
        mode = Reply(self.server_name, "MODE", (session.name, f"{'+' if has_rights else '-'}{OPERATOR_MODE}"))
        text = "You have the rights of an operator now" if has_rights else "You have no rights of an operator any more"
        for client in self.clients.of(session.key):
            if client.session is session:
                client.offer(mode, client.notice(text))

    def _announce_invitation(self, room: Room, name: str, by: str) -> None:
        """Tell the clients of moderators that a user was invited to their room."""
        line = Reply(self.users.source(by), "INVITE", (name, room.name))
        moderators = {fold(each) for each, role in room.named_roles.items() if has_rank(role, "moderator")}
        for key in moderators - {fold(name), fold(by)}:
            for client in self.clients.of(key):
                if Capability.INVITE_NOTIFY in client.capabilities:
                    client.offer(line)

    def note_user_count(self) -> int:
        """Return how many users are online, on any node."""
        count = len(self.messenger.router)
        self.most_users = max(self.most_users, count)
        return count

    def next_batch(self) -> str:
        """Return a reference for a batch; each is used once."""
        return f"b{next(self._batches)}"

    def next_connection_id(self) -> str:
        """Return a text that begins the ids of a connection's messages: no other connection has it, at any time."""
        return f"{self._run_id}{next(self._connections)}"

    def message_id(self, sender: str, to: str, seq: int) -> str:
        """Return the id of a stored message, by its ends as they are shown."""
        return self.ids.make(conversation_of(sender, to), seq)

    def id_of(self, message: Message) -> str:
        """Return the id of a message, whether it is stored or not."""
        if message.seq is not None:
            return self.message_id(message.sender, message.to, message.seq)
        return self.ids.make_passing(message.sender, message.to, message.time, message.text)

    @property
    def service_source(self) -> str:
        """`nick!user@host` of the service."""
        return f"{SERVICE}!{SERVICE_USER}@{self.server_name}"

    def _room_id(self, conversation: str) -> int:
        room = self.messenger.rooms.get(conversation) if is_room(conversation) else None
        return room.id if room is not None else 0


def conversation_of(sender: str, to: str) -> str:
    """Return the key of the conversation of a message."""
    return fold(to) if is_room(to) else direct_key(fold(sender), fold(to))


def is_service(name: str) -> bool:
    """Return whether a name is that of a service, and not a user's."""
    return fold(name) == SERVICE_KEY
