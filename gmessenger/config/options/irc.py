"""The options of the server for IRC."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import cache
from typing import Final

from gmessenger.config.options.push import PushOptions
from gmessenger.config.options.table import option
from gmessenger.config.types import (
    boolean,
    choice,
    count,
    file_path,
    irc_host_name,
    irc_network_name,
    port_number,
    seconds_or_zero,
    websocket_address,
)
from gmessenger.constants import DEFAULT_IRC_TLS_PORT, IRC_ON_WEB, WebTls

HOST_NAME_RUBBISH: Final = re.compile(r"[^A-Za-z0-9.-]+")
MAX_LOCAL_NAME: Final = 57
"""Characters of the machine's name in that of the IRC server, which has 63 at most, `.local` included."""


@dataclass(frozen=True, slots=True)
class IrcOptions(PushOptions):
    """Where IRC is spoken, and what its clients are told; times in seconds."""

    @property
    def offers_irc(self) -> bool:
        """Whether IRC is spoken anywhere."""
        return self.irc_port is not None or self.irc_tls_port is not None or bool(self.irc_websocket)

    @property
    def irc_websocket_place(self) -> str:
        """Where IRC has a port of its own for WebSockets; empty for nowhere."""
        return self.irc_websocket if self.irc_websocket != IRC_ON_WEB else ""

    @property
    def irc_server_name(self) -> str:
        """The name of the server in lines of IRC, which has a dot."""
        return self.irc_name or local_irc_name()

    def find_irc_tls_port(self, *, has_certificate: bool) -> int | None:
        """Return the port for IRC over TLS of a server with or without a certificate; None for none."""
        has_default = self.irc_tls_port is None and self.irc_port is not None and has_certificate
        return DEFAULT_IRC_TLS_PORT if has_default else self.irc_tls_port

    irc_port: int | None = option(
        None,
        port_number(),
        "the port for IRC clients, usually 6667; 0 takes a free one [default: none]",
        "to let people in with an IRC client",
        needs_restart=True,
    )
    irc_tls_port: int | None = option(
        None,
        port_number(),
        "the port for IRC over TLS, with --tls-certificate; 0 takes a free one [default: 6697 where there is "
        "--irc-port and a certificate, else none]",
        "to speak IRC over TLS only, or when 6697 is taken",
        needs_restart=True,
    )
    irc_websocket: str = option(
        "",
        websocket_address(),
        "where IRC is spoken over WebSocket, at / and /webirc: HOST:PORT, unix:/PATH for a proxy on this machine, or "
        "web for no other place than --web, which has /webirc wherever there is IRC",
        "to let people in with an IRC client in a browser",
        needs_restart=True,
    )
    irc_websocket_tls: WebTls = option(
        "auto",
        choice("auto", "no"),
        "whether --irc-websocket is encrypted: with --tls-certificate, unless its host is this machine's loopback "
        "(auto), or not",
        "behind a proxy that encrypts",
        needs_restart=True,
    )
    irc_name: str = option(
        "",
        irc_host_name(),
        "the name of the server in lines of IRC; .local is added to one without a dot [default: the host name of this "
        "machine]",
        "to the name by which people connect",
        needs_restart=True,
    )
    irc_network: str = option(
        "gmessenger",
        irc_network_name(),
        "the name of the network, which IRC clients show",
        "to give it the name of your community",
    )
    irc_playback: int = option(
        500,
        count(0),
        "the most messages of each conversation that an IRC client is sent at login if it cannot ask for them itself",
        "to send less, or more, of what was missed",
    )
    irc_guest_rooms: bool = option(
        False,
        boolean(),
        "whether guests may make rooms, as on IRC: who has made one is its owner while there, and the room is deleted "
        "with its messages as soon as nobody is in it",
        "to let people who have no account meet in a room of their own",
    )
    irc_password_file: str = option(
        "",
        file_path(),
        "a file whose first line is the password of the server, which every IRC client has to give (PASS) before it is "
        "let in; accounts then log in by SASL or NickServ [default: none is asked for]",
        "to keep strangers out of a server on which guests are welcome",
        needs_restart=True,
    )
    irc_sts: float | None = option(
        None,
        seconds_or_zero(),
        "for how many seconds IRC clients may connect with TLS only (strict transport security), after they have done "
        "so once; 0 has them forget it; needs a certificate that they trust [default: this is not asked of them]",
        "to keep passwords off unencrypted connections: 2592000 is a month",
    )
    irc_sts_port: int | None = option(
        None,
        port_number(1),
        "the port that --irc-sts sends clients to which have connected without TLS [default: that of IRC over TLS]",
        "when a router forwards another one",
    )


@cache
def local_irc_name() -> str:
    """Return the host name of this machine as the name of an IRC server. It is looked up once."""
    name = HOST_NAME_RUBBISH.sub("-", socket.gethostname())[:MAX_LOCAL_NAME].strip("-.") or "gmessenger"
    return name if "." in name else f"{name}.local"
