"""Questions about single users: WHOIS, WHOWAS, USERHOST and ISON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gmessenger.constants import OFFLINE
from gmessenger.names import fold
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import SERVICE, SERVICE_USER, is_service
from gmessenger.server.irc.profile_views import whois_values
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.user_views import (
    UserView,
    acts_as_operator,
    away_reply,
    find_user,
    is_operator,
    shown_prefix,
    visible_rooms,
)
from gmessenger.server.net.remote import parse_address, unmap_ipv4
from gmessenger.wire.irc.lines import Line, quote_param
from gmessenger.wire.irc.numerics import (
    ERR_NONICKNAMEGIVEN,
    ERR_NOSUCHNICK,
    ERR_NOSUCHSERVER,
    ERR_WASNOSUCHNICK,
    RPL_ENDOFWHOIS,
    RPL_ENDOFWHOWAS,
    RPL_ISON,
    RPL_USERHOST,
    RPL_WHOISACCOUNT,
    RPL_WHOISACTUALLY,
    RPL_WHOISBOT,
    RPL_WHOISCERTFP,
    RPL_WHOISCHANNELS,
    RPL_WHOISIDLE,
    RPL_WHOISOPERATOR,
    RPL_WHOISSECURE,
    RPL_WHOISSERVER,
    RPL_WHOISUSER,
    RPL_WHOWASUSER,
)
from gmessenger.wire.irc.text import split_text
from gmessenger.wire.irc.timestamps import format_time

MAX_HOSTS_ASKED: Final = 5
MAX_NAMES_ASKED: Final = 50
ROOMS_ROOM: Final = 300
"""Bytes of the names of rooms in one line."""


# -- WHOIS


def whois(handler: IrcHandler, line: Line) -> None:
    """Handle WHOIS, of one nick; a server may be named before it."""
    if not line.params or not line.params[-1]:
        handler.reply(ERR_NONICKNAMEGIVEN)
        return
    nick = line.params[1 if len(line.params) > 1 else 0].partition(",")[0]
    if len(line.params) > 1 and not _is_asked_here(handler, line.params[0], nick):
        handler.reply(ERR_NOSUCHSERVER, quote_param(line.params[0]))
        return
    if is_service(nick):
        _describe_service(handler)
        return
    user = find_user(handler, nick)
    if user is None:
        handler.reply(ERR_NOSUCHNICK, quote_param(nick))
    else:
        for reply in _describe(handler, user):
            handler.add(reply)
    handler.reply(RPL_ENDOFWHOIS, user.name if user is not None else quote_param(nick))


def _describe_service(handler: IrcHandler) -> None:
    network = handler.network
    handler.reply(RPL_WHOISUSER, SERVICE, SERVICE_USER, network.server_name, "*", text="Accounts and passwords")
    handler.reply(RPL_WHOISSERVER, SERVICE, network.server_name, text=network.name)
    handler.reply(RPL_ENDOFWHOIS, SERVICE)


def _is_asked_here(handler: IrcHandler, server: str, nick: str) -> bool:
    return server == "*" or fold(server) in (fold(nick), fold(handler.network.server_name))


def _describe(handler: IrcHandler, user: UserView) -> Iterator[Reply]:
    network, users, name = handler.network, handler.network.users, user.name
    yield handler.numeric(RPL_WHOISUSER, name, users.user(name), users.host(name), "*", text=users.realname(name))
    rooms = sorted(f"{shown_prefix(handler, room, user.key)}{room.name}" for room in visible_rooms(handler, user))
    for names in split_text(" ".join(rooms), ROOMS_ROOM):
        yield handler.numeric(RPL_WHOISCHANNELS, name, text=names.strip())
    yield handler.numeric(RPL_WHOISSERVER, name, network.server_name, text=network.name)
    if is_operator(handler, user):
        yield handler.numeric(RPL_WHOISOPERATOR, name)
    if user.is_away:
        yield away_reply(handler, user)
    if user.account is not None:
        yield handler.numeric(RPL_WHOISACCOUNT, name, user.account.name)
    if users.is_bot(name):
        yield handler.numeric(RPL_WHOISBOT, name)
    for address in addresses(handler, user):
        yield handler.numeric(RPL_WHOISACTUALLY, name, address)
    if (idle := idle_seconds(handler, user)) is not None:
        yield handler.numeric(RPL_WHOISIDLE, name, str(idle), str(_signed_on(handler, user)))
    if _is_encrypted(handler, user):
        yield handler.numeric(RPL_WHOISSECURE, name)
    for fingerprint in _certificates(handler, user):
        yield handler.numeric(RPL_WHOISCERTFP, name, text=f"has client certificate fingerprint {fingerprint}")
    yield from whois_values(handler, user.key, name)


def addresses(handler: IrcHandler, user: UserView) -> list[str]:
    """Return the addresses that a user is connected from, if the client is the user itself or an operator."""
    if user.key != handler.key and not acts_as_operator(handler):
        return []
    sessions = handler.messenger.router.sessions(user.key)
    found = (str(unmap_ipv4(parse_address(session.address))) for session in sessions)
    # A parameter must not begin with a colon: `::1`.
    return list(dict.fromkeys(f"0{address}" if address[:1] == ":" else address for address in found))


def _certificates(handler: IrcHandler, user: UserView) -> list[str]:
    """Return the fingerprints that a user's connections by IRC have presented, to itself or an operator."""
    if user.key != handler.key and not acts_as_operator(handler):
        return []
    found = (client.client_certificate for client in handler.network.clients.of(user.key))
    return list(dict.fromkeys(fingerprint for fingerprint in found if fingerprint is not None))


def idle_seconds(handler: IrcHandler, user: UserView) -> int | None:
    """Return for how long a user has said nothing; None if it is offline.

    For a user who is only on another node: for how long it has had its status.
    """
    since = handler.messenger.presence.since(user.key)
    if user.status.status == OFFLINE or since is None:
        return None
    sessions = handler.messenger.router.sessions(user.key)
    return max(0, int(handler.now() - max((session.active_at for session in sessions), default=since)))


def _signed_on(handler: IrcHandler, user: UserView) -> int:
    card = handler.network.users.card(user.key)
    return int(card.signed_on if card is not None else handler.messenger.presence.since(user.key) or 0)


def _is_encrypted(handler: IrcHandler, user: UserView) -> bool:
    """Return whether all connections of a user by IRC are encrypted, as far as this node knows."""
    clients = handler.network.clients.of(user.key)
    return user.status.status != OFFLINE and bool(clients) and all(client.is_encrypted for client in clients)


# -- WHOWAS


def whowas(handler: IrcHandler, line: Line) -> None:
    """Handle WHOWAS: who had a nick and has left lately."""
    nick = line.params[0].partition(",")[0] if line.params else ""
    if not nick:
        handler.reply(ERR_NONICKNAMEGIVEN)
        return
    most = line.params[1] if len(line.params) > 1 else ""
    limit = int(most) if most.isascii() and most.isdecimal() and len(most) <= 3 else 0
    found = list(handler.network.departures.find(nick))
    for departure in found[:limit] if limit else found:
        handler.reply(RPL_WHOWASUSER, departure.name, departure.user, departure.host, "*", text=departure.realname)
        left_at = f"Gone since {format_time(departure.time)}"
        handler.reply(RPL_WHOISSERVER, departure.name, handler.network.server_name, text=left_at)
    if not found:
        handler.reply(ERR_WASNOSUCHNICK, quote_param(nick))
    handler.reply(RPL_ENDOFWHOWAS, quote_param(nick))


# -- USERHOST and ISON


def userhost(handler: IrcHandler, line: Line) -> None:
    """Handle USERHOST, of up to five nicks."""
    entries = []
    for nick in line.params[:MAX_HOSTS_ASKED]:
        user = find_user(handler, nick)
        if user is None or user.status.status == OFFLINE:
            continue
        operator, sign = "*" if is_operator(handler, user) else "", "-" if user.is_away else "+"
        users = handler.network.users
        entries.append(f"{user.name}{operator}={sign}{users.user(user.name)}@{users.host(user.name)}")
    handler.reply(RPL_USERHOST, text=" ".join(entries))


def ison(handler: IrcHandler, line: Line) -> None:
    """Handle ISON: which of some nicks are online."""
    names = [name for param in line.params for name in param.split()][:MAX_NAMES_ASKED]
    handler.reply(RPL_ISON, text=" ".join(filter(None, (_online_name(handler, name) for name in names))))


def _online_name(handler: IrcHandler, name: str) -> str | None:
    """Return a name as it is shown, if it is online."""
    if is_service(name):
        return SERVICE
    user = find_user(handler, name)
    return user.name if user is not None and user.status.status != OFFLINE else None
