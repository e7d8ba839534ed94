"""Users as IRC shows them: nick, user and host. No address is shown: hosts are made by a keyed hash."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Final, TypeAlias

from gmessenger.chat.messenger import Messenger
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.records import Account
from gmessenger.chat.room_access import ACCOUNT_MASK
from gmessenger.chat.session import Session
from gmessenger.hosts import IPV6_SITE_PREFIX
from gmessenger.lru_map import LruMap
from gmessenger.names import MAX_NAME, fold
from gmessenger.server.net.remote import parse_address, unmap_ipv4
from gmessenger.wire.irc.masks import match_mask, normalize_mask

MAX_USER: Final = 10
"""Characters of what a client calls its user, besides the `~`."""
UNKNOWN_USER: Final = "~u"
MAX_KNOWN_HOSTS: Final = 10_000
HASH_BYTES: Final = 5
UNKNOWN_HOST: Final = "elsewhere.guest"
"""Of a guest who is on another node; no host is longer."""
MAX_SOURCE: Final = 4 * MAX_NAME + len(f"!~@{UNKNOWN_HOST}") + MAX_USER
"""Bytes of `nick!user@host`, at most."""
PASSING_BYTES: Final = 10


@dataclass(slots=True)
class Card:
    """What a connection has said of its user. `modes`: the letters of its user modes.

    `signed_on`: when it was registered, in Unix seconds.
    """

    user: str = UNKNOWN_USER
    realname: str = ""
    modes: str = ""
    signed_on: float = 0.0


KnownSource: TypeAlias = tuple[str, Account | None, Card | None, tuple[Outbox, ...] | None, str]
"""A folded name, its account, latest card and outboxes, and the `nick!user@host` that it has while they are these."""


def make_user(text: str) -> str:
    """Return the user of a `USER` command as it is shown: its first letters and digits."""
    kept = "".join(
        character for character in text if character.isascii() and (character.isalnum() or character in "-_")
    )
    return f"~{kept[:MAX_USER] or 'u'}"


class UserRegistry:
    """Tells how users are shown on IRC. Never blocks.

    Names that are online by another protocol, or on another node, have a host, too, but no user of their own.
    """

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._secret = messenger.store_identity.encode()
        self._cards: dict[str, list[tuple[Session, Card]]] = {}
        self._latest_cards: dict[str, Card] = {}
        self._keys: dict[Session, str] = {}
        self._hosts: LruMap[str, str] = LruMap(MAX_KNOWN_HOSTS)
        self._remote_realnames: LruMap[str, str] = LruMap(MAX_KNOWN_HOSTS)
        """Those that were set while their names are online, by folded name."""
        self._accounts, self._outboxes = messenger.authenticator.accounts, messenger.router.outboxes
        self._sources: dict[str, KnownSource] = {}
        """By name as shown; of more than `MAX_KNOWN_HOSTS` the one that was made first is dropped."""

    def add(self, session: Session, card: Card) -> None:
        """Add what a session has said of its user."""
        self._cards.setdefault(session.key, []).append((session, card))
        self._latest_cards[session.key] = card
        self._keys[session] = session.key

    def remove(self, session: Session) -> None:
        """Forget it: the session has ended."""
        self._take(session)

    def note_presence(self, key: str, name: str, is_online: bool) -> None:
        """Move what a guest has said of its user who has come online under this folded name, and had another one.

        What was said of a name on another node is forgotten when that goes.
        """
        if not is_online:
            self._remote_realnames.pop(key)
        for session in self._messenger.router.sessions(key) if is_online else ():
            if self._keys.get(session, key) != key:
                for _, card in self._take(session):
                    self.add(session, card)

    def _take(self, session: Session) -> list[tuple[Session, Card]]:
        """Remove and return what a session has said."""
        key = self._keys.pop(session, session.key)
        entries = self._cards.pop(key, [])
        self._latest_cards.pop(key, None)
        left = [entry for entry in entries if entry[0] is not session]
        if left:
            self._cards[key], self._latest_cards[key] = left, left[-1][1]
        return [entry for entry in entries if entry[0] is session]

    def card(self, key: str) -> Card | None:
        """Return the card of the latest IRC session of a folded name on this node."""
        return self._latest_cards.get(key)

    def set_realname(self, key: str, realname: str) -> None:
        """Set what a folded name says it is called: of all its IRC sessions on this node, or on another."""
        self._remote_realnames[key] = realname
        for _, card in self._cards.get(key, ()):
            card.realname = realname

    def realname(self, name: str) -> str:
        """Return what a name says it is called; the name itself where that is not known."""
        key = fold(name)
        card = self.card(key)
        if card is not None:
            return card.realname or name
        return self._remote_realnames.peek(key) or name

    def is_bot(self, name: str) -> bool:
        """Return whether a name calls itself a bot, or is a hook."""
        key = fold(name)
        card, account = self.card(key), self._messenger.authenticator.accounts.get(key)
        return (card is not None and "B" in card.modes) or (account is not None and account.is_bot)

    def user(self, name: str) -> str:
        """Return the user of a name."""
        card = self.card(fold(name))
        return card.user if card is not None else UNKNOWN_USER

    def source(self, name: str) -> str:
        """Return `nick!user@host` of a name."""
        known = self._sources.get(name)
        if known is not None:  # (a plain tuple: its fields by name would take three times as long)
            key, account, card, outboxes, source = known
            if (
                self._accounts.get(key) is account
                and self._latest_cards.get(key) is card
                and self._outboxes.get(key) is outboxes
            ):
                return source
        elif len(self._sources) >= MAX_KNOWN_HOSTS:
            del self._sources[next(iter(self._sources))]
        key = fold(name)
        source = f"{name}!{self.user(name)}@{self.host(name)}"
        latest = self._accounts.get(key), self._latest_cards.get(key), self._outboxes.get(key)
        self._sources[name] = (key, *latest, source)
        return source

    def matches(self, mask: str, session: Session) -> bool:
        """Return whether a mask stands for a session's name or account, by whatever protocol it has come."""
        if mask.startswith(ACCOUNT_MASK):
            account = session.account
            return account is not None and match_mask(fold(mask.removeprefix(ACCOUNT_MASK)), account.key)
        return match_mask(normalize_mask(mask), self.source(session.name))

    def account_name(self, name: str) -> str | None:
        """Return the account of a name as shown; None for a guest."""
        account = self._messenger.authenticator.accounts.get(fold(name))
        return account.name if account is not None else None

    def host(self, name: str) -> str:
        """Return the host of a name: of an account by its id, of a guest by its network."""
        key = fold(name)
        account = self._messenger.authenticator.accounts.get(key)
        if account is not None:
            return f"{self._hash(f'account {account.id}')}.user"
        session = next(iter(self._messenger.router.sessions(key)), None)
        if session is not None:
            self._hosts[key] = host = self.guest_host(session.address)
            return host
        return self._hosts.get(key) or UNKNOWN_HOST

    def guest_host(self, address: str) -> str:
        """Return the host of guests from `address:port`: the same for all of one network of a customer."""
        host = unmap_ipv4(parse_address(address))
        network = ip_network((int(host), IPV6_SITE_PREFIX), strict=False) if isinstance(host, IPv6Address) else host
        return f"{self._hash(f'network {network}')}.guest"

    def _hash(self, text: str) -> str:
        digest = hmac.digest(self._secret, text.encode(), "sha256")
        return base64.b32encode(digest[:HASH_BYTES]).decode().lower()


class MessageIds:
    """Ids of messages: made of the conversation and the seq, and stored nowhere.

    A name of a conversation gives no id without the store's secret, so an id tells a stranger nothing.
    """

    def __init__(self, identity: str, room_id: Callable[[str], int]) -> None:
        """`room_id` returns the id of the room of that key, which tells it from earlier ones of its name."""
        self._secret = identity.encode()
        self._room_id = room_id
        self._prefixes: LruMap[tuple[str, int], str] = LruMap(MAX_KNOWN_HOSTS)

    def make(self, conversation: str, seq: int) -> str:
        """Return the id of a message."""
        return f"{self._prefix(conversation)}-{seq}"

    def make_passing(self, sender: str, to: str, time: float, text: str) -> str:
        """Return the id of a message that is not stored: the same for its sender and its recipient."""
        content = f"{fold(sender)} {fold(to)} {time!r} {text}"
        digest = hmac.digest(self._secret, content.encode("utf-8", "surrogatepass"), "sha256")
        return f"g-{base64.b32encode(digest[:PASSING_BYTES]).decode()}"

    def find(self, conversation: str, id: str) -> int | None:
        """Return the seq of a message of that conversation; None if the id is of another."""
        prefix, dash, seq = id.rpartition("-")
        if not dash or not seq.isascii() or not seq.isdecimal() or len(seq) > 18:
            return None
        return int(seq) if hmac.compare_digest(prefix.encode(), self._prefix(conversation).encode()) else None

    def _prefix(self, conversation: str) -> str:
        key = (conversation, self._room_id(conversation))
        prefix = self._prefixes.get(key)
        if prefix is None:
            digest = hmac.digest(self._secret, f"{key[1]} {conversation}".encode(), "sha256")
            self._prefixes[key] = prefix = base64.b32encode(digest[:HASH_BYTES]).decode()
        return prefix
