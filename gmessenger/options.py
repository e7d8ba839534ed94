"""Every option of every command, as two tables: the fields of `ServerOptions` and of `ClientOptions`.

The command lines, the environment variables, the config files and their comments, and the tables of
docs/operations/configuration.md are all made from these rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal

from gmessenger import logs, places
from gmessenger.kinds import (
    Kind,
    bytes_,
    choice,
    command_line,
    count,
    days,
    digest,
    file_path,
    host,
    networks,
    place,
    port_number,
    seconds,
    text,
    words,
    yes_or_no,
)

ENVIRONMENT_PREFIX: Final = "MESSENGER_"
DEFAULT_PORT: Final = places.DEFAULT_PORT
DEFAULT_TLS_PORT: Final = 7778
MEMORY: Final = "memory:"
Registration = Literal["open", "invite", "closed"]
Flag: Final = Kind("", bool)
"""A switch: on the command line it takes no value, in a file or the environment yes or no."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row: `what` it sets, `when` to change it, its `kind` of value, and short or further `spellings`.

    A running server follows a new value at a reload, unless the row says that it takes a `restart`.
    """

    key: str
    default: Any
    what: str
    when: str
    kind: Kind
    spellings: tuple[str, ...]
    secret: bool
    shown_active: bool  # the shipped config file sets it instead of mentioning it
    in_files: bool
    restart: bool
    in_environment: bool

    @property
    def long(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def shown(self) -> str:
        """The default as people write it; empty where there is none."""
        return "" if self.kind is Flag else written(self.default)

    @property
    def env(self) -> str:
        """Its variable; empty where it has none."""
        return ENVIRONMENT_PREFIX + self.key.upper() if self.in_environment else ""


def written(value: Any) -> str:
    """A value as people write it; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value).replace("\n", "\\n")


def option(
    default: Any,
    kind: Kind,
    what: str,
    when: str,
    *spellings: str,
    secret: bool = False,
    shown_active: bool = False,
    in_files: bool = True,
    restart: bool = False,
    in_environment: bool = True,
) -> Any:
    """A dataclass field that is a row of the option table."""
    row = (what, when, kind, spellings, secret, shown_active, in_files, restart, in_environment)
    return field(default=default, metadata={"row": row})


def table(options: type[ServerOptions] | type[ClientOptions] | type[AdminOptions]) -> tuple[Option, ...]:
    """The rows of a command's table, in the order of its help and its file: what it is for first, its log last."""
    rows = [Option(each.name, each.default, *each.metadata["row"]) for each in fields(options)]
    return tuple(sorted(rows, key=lambda row: row.key.startswith("log_")))


def default_store(port: int) -> str:
    """Where the server on that port remembers when it is not told where; on port 0 it is only tried out."""
    if port == 0:
        return MEMORY
    return f"sqlite:///{places.state_directory() / places.stem(port)}.db"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What both commands can be told about their log, and to tell what they were told."""

    log_file: str | None = option(
        None,
        file_path(),
        "where the log goes; - for stderr [default: logs/ of a checkout, else stderr for the server and the XDG state "
        "directory for the client]",
        "to keep the log with the system's others",
        restart=True,
    )
    log_level: str = option(
        "info", choice(*logs.LEVELS), "how much is logged; debug logs calls too", "while looking for a fault"
    )
    log_format: str = option(
        "plain", choice(*logs.FORMATS), "plain lines or one JSON object a line", "when a program reads the log"
    )

    check: bool = option(
        False,
        Flag,
        "print every option with its value and where it came from, and end; the server also tries its store, its "
        "ports, its certificate, its log and the limit of open files",
        "before a start or a reload",
        in_files=False,
    )

    def log_place(self, command: str) -> str:
        return self.log_file or places.log_file(command)


@dataclass(frozen=True, slots=True)
class ServerOptions(LogOptions):
    """The table of `gmessenger-server`; sizes are bytes and times seconds."""

    @property
    def store_url(self) -> str:
        """As given; else a file for each port, as two servers on one machine are two servers, and none for port 0."""
        return self.store or default_store(self.port)

    ip: str = option(
        "",
        host("ADDRESS"),
        "the address or host name to listen on; empty for every interface, IPv4 and IPv6",
        "to be reachable from this machine only: 127.0.0.1",
        "-a",
        restart=True,
    )
    port: int = option(
        DEFAULT_PORT,
        port_number(),
        "the port to listen on; 0 takes a free one",
        "when 7777 is taken",
        "-p",
        shown_active=True,
        restart=True,
    )
    tls_certificate: str = option(
        "",
        file_path(),
        "the certificate of this server and those that vouch for it, in PEM; with it, encrypted lines are taken too",
        "to be reached over a network",
        restart=True,
    )
    tls_key: str = option(
        "",
        file_path(),
        "the certificate's key [default: it is in the same file]",
        "when it is in another file",
        restart=True,
    )
    tls_port: int = option(
        DEFAULT_TLS_PORT,
        port_number(),
        "the port for encrypted lines, opened when there is a certificate; 0 takes a free one",
        "when 7778 is taken",
        restart=True,
    )
    tls_handshake_timeout: float = option(
        10.0, seconds(), "how long a client may take to agree on encryption", "on very slow lines"
    )
    tls_check: float = option(
        60.0,
        seconds(),
        "how often the certificate's files are looked at, and loaded when they have changed",
        "hardly ever",
        restart=True,
    )
    store: str = option(
        "",
        text("URL"),
        "where everything is remembered: sqlite:///PATH, postgresql://USER@HOST/DATABASE, which several servers may "
        "share, or memory: for nothing after the end [default: messenger.db (messenger-PORT.db where the port is not "
        "7777) in data/ of a checkout, else in the state directory]",
        "to keep it elsewhere",
        restart=True,
    )
    greeting: str = option(
        "",
        words(1000),
        "your own words, said to everybody who logs in before what is kept; \\n begins another line",
        "to say whose server this is and what is welcome",
    )
    registration: Registration = option(
        "open", choice("open", "invite", "closed"), "who may register a name", "for a closed circle"
    )
    plain_passwords: bool = option(
        False,
        yes_or_no(),
        "whether passwords are taken on lines that are neither encrypted nor of this machine",
        "on a network you trust, or behind a proxy that encrypts",
    )
    guests: bool = option(True, yes_or_no(), "whether names without an account may log in", "for a closed circle")
    broadcast: bool = option(
        True, yes_or_no(), "whether one message may go to everybody present", "when strangers shout"
    )
    proxy_from: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        networks(),
        "balancers whose word is taken for who their clients are: they must begin each connection with a header of the "
        "PROXY protocol",
        "behind a balancer or a proxy, which would otherwise seem to be everybody",
    )
    proxy_timeout: float = option(
        5.0, seconds(), "how long a balancer may take to send that header", "when it is far away"
    )
    max_connections: int = option(
        10_000, count(1), "connections at one time; one more is answered 503", "to bound memory, about 12 kB each"
    )
    max_connections_per_ip: int = option(
        100,
        count(1),
        "connections from one address (of IPv6: one /64) at one time; one more is answered 503",
        "when many people share an address",
    )
    connect_rate: int = option(
        20, count(0), "new connections a second from one address; 0 is no limit", "when many people share an address"
    )
    connect_burst: int = option(
        200, count(1), "new connections from one address that may come at once", "when many people share an address"
    )
    limit_loopback: bool = option(
        False,
        yes_or_no(),
        "whether what is limited by address is limited for this machine's own addresses too",
        "to try the limits out",
    )
    message_rate: int = option(
        50,
        count(0),
        "messages a second that one name may send for long, on all its devices together, a text of more than 1024 "
        "characters counting as several; 0 is no limit",
        "for bots that say a lot, or against people who do",
    )
    message_burst: int = option(
        1000, count(1), "messages that it may send at once", "to let longer texts be pasted in one go"
    )
    request_rate: int = option(
        50, count(0), "the same for other requests; a search counts as five of them", "for clients that ask a lot"
    )
    request_burst: int = option(500, count(1), "requests that may come at once", "for clients that ask a lot")
    guest_message_rate: int = option(
        50,
        count(0),
        "messages a second that all guests of one address (of IPv6: one /64) may send for long, under whatever names; "
        "0 is no limit",
        "when many guests share an address",
    )
    guest_message_burst: int = option(
        1000, count(1), "messages that they may send at once", "when many guests share an address"
    )
    guest_request_rate: int = option(
        100,
        count(0),
        "the same for other requests of guests, and of connections that have not logged in",
        "when many guests share an address",
    )
    guest_request_burst: int = option(
        2000, count(1), "requests of theirs that may come at once", "when many guests share an address"
    )
    patience: float = option(
        10.0,
        seconds(),
        "how far, in seconds of its rate, somebody too fast may run ahead and is only read slowly; then it is refused",
        "to refuse sooner, or later",
    )
    registrations_per_hour: int = option(
        20, count(0), "names that may be registered from one address in an hour; 0 is no limit", "for a class or a club"
    )
    failures_per_ip: int = option(
        50,
        count(0),
        "wrong passwords from one address within --failure-window; 0 is no limit",
        "when many people share an address",
    )
    failures_per_name: int = option(
        10,
        count(0),
        "wrong passwords for one name within --failure-window, from addresses it was not used from lately; 0 is no "
        "limit",
        "against patient guessers",
    )
    failure_window: float = option(
        600.0, seconds(), "how long it takes until they are all forgotten", "against patient guessers"
    )
    max_rooms: int = option(10_000, count(0), "rooms there may be", "to bound memory")
    max_rooms_made: int = option(100, count(0), "rooms that one account may have made", "when people squat on names")
    max_rooms_joined: int = option(1000, count(0), "rooms that one name may be in", "to bound memory")
    max_members: int = option(10_000, count(1), "members of one room", "to keep rooms small")
    max_frame: int = option(65_536, bytes_(1024), "the largest frame a client may send", "hardly ever")
    max_text: int = option(16_384, count(1), "the longest text of a message, in characters", "to keep messages short")
    max_bad_frames: int = option(
        100, count(1), "unreadable frames after which a connection is closed", "to be less patient with rubbish"
    )
    outbox_frames: int = option(
        1000, count(1), "frames that may wait for a client that reads slowly", "when bursts are larger than that"
    )
    outbox_bytes: int = option(1_048_576, bytes_(1024), "the same bound in bytes", "to bound memory")
    account_quota: int = option(
        0,
        count(0, 10**15),
        "bytes of text that are kept of one account; what it says beyond them is refused; 0 is no limit",
        "to bound the disk",
    )
    guest_quota: int = option(
        0,
        count(0, 10**15),
        "bytes of text that are kept of all guests together, under whatever names; 0 is no limit",
        "to bound what strangers can leave on the disk",
    )
    retention_days: float = option(
        0.0, days(), "days after which stored messages are dropped; 0 keeps them for good", "to keep less"
    )
    store_timeout: float = option(
        30.0,
        seconds(),
        "how long a request waits for the store's disk before it is answered 503",
        "when the disk is on a network",
        restart=True,
    )
    search_timeout: float = option(
        1.0,
        seconds(),
        "how long a search may look; then it is answered with what it has found, and says that there may be more",
        "when people search in very large rooms",
    )
    store_connections: int = option(
        4,
        count(1),
        "connections to a store in PostgreSQL, besides five for writing messages, for the cluster and for searches",
        "when many read at a time, and the database allows more",
        restart=True,
    )
    bus: str = option(
        "",
        text("URL"),
        "what carries hints between the servers that have one store: redis://HOST:PORT, rediss:// with TLS, or unix:// "
        "for a socket; empty where this server is alone",
        "when several servers are to be one messenger",
        restart=True,
    )
    bus_timeout: float = option(
        15.0,
        seconds(),
        "how long another server may say nothing before it counts as gone",
        "to notice sooner that one has died, on a network that loses nothing",
        restart=True,
    )
    cluster_check: float = option(
        3.0,
        seconds(),
        "how often a server asks the store what others did, besides when they say so on the bus",
        "without a bus, to be quicker; with very many servers, to ask less",
        restart=True,
    )
    health: str = option(
        "",
        place(),
        "where programs may ask for metrics and health over HTTP, without a password: HOST:PORT, or unix:/PATH; empty "
        "for nowhere",
        "to be told when something is wrong: 127.0.0.1:9777",
        restart=True,
    )
    health_timeout: float = option(
        2.0,
        seconds(),
        "how long the store may take before /readyz says that the server is not ready",
        "on slow disks",
        restart=True,
    )
    names_remembered: int = option(
        10_000, count(0), "names of past guests kept, to tell who has been here from who has not", "to bound memory"
    )
    login_timeout: float = option(
        120.0, seconds(), "how long a connection may take to log in", "when strangers hold connections open"
    )
    probe_after: float = option(
        180.0, seconds(), "silence after which a client is asked whether it is there", "when a router forgets sooner"
    )
    probe_timeout: float = option(30.0, seconds(), "how long it may take to say so", "on very slow lines")
    write_timeout: float = option(
        120.0, seconds(), "how long a client may read nothing of what waits for it", "to end stalled readers sooner"
    )
    close_timeout: float = option(
        2.0, seconds(), "how long a connection that was said goodbye to may stay", "hardly ever"
    )
    drain_timeout: float = option(
        10.0, seconds(), "how long a stopping server goes on delivering", "to stop sooner, or to leave nothing behind"
    )


@dataclass(frozen=True, slots=True)
class ClientOptions(LogOptions):
    """The table of `gmessenger-client`; times are seconds."""

    @property
    def server_port(self) -> int:
        """As given; else where servers are usually found."""
        return self.port or (DEFAULT_TLS_PORT if self.tls else DEFAULT_PORT)

    host: str = option(
        "127.0.0.1", host("HOST"), "the server", "to reach another machine", "-a", "--ip", shown_active=True
    )
    port: int = option(
        0,
        port_number(),
        "the server's port; 0 for the usual one, which is 7777, and 7778 with --tls",
        "when the server has another one",
        "-p",
    )
    tls: bool = option(
        False, Flag, "encrypt the line, to a server that proves who it is", "whenever the server offers it"
    )
    ca: str | None = option(
        None,
        file_path(),
        "with --tls: believe those who sign certificates in this file (PEM), and not those the system believes",
        "when a server's certificate is signed by somebody of your own",
    )
    pin: str | None = option(
        None,
        digest(),
        "with --tls: the server has to show the very certificate that `gmessenger-admin cert show` prints this digest "
        "of, whoever signed it",
        "when a server's certificate signs itself",
    )
    plain_passwords: bool = option(
        False, Flag, "send a password to another machine even without --tls", "on a network you trust"
    )
    name: str | None = option(
        None, text("NAME"), "your name; asked for when it is not given", "to log in without being asked", "-n"
    )
    password_file: str | None = option(
        None,
        file_path(),
        "a file whose first line is your password; MESSENGER_PASSWORD in the environment is the password itself, and "
        "with neither it is asked for",
        "in scripts that use an account",
    )
    device: str | None = option(
        None,
        text("NAME"),
        "what this device is called among those of your account, each of which gets every message once; a second "
        "client on the same device replaces the first [default: the host's name, and the same with .to or .listen]",
        "to use two clients on one machine",
    )
    to: str | None = option(
        None,
        text("NAME"),
        "send every line of the input that is not blank to this name or #room, and end",
        "in scripts",
        in_files=False,
    )
    whole: bool = option(False, Flag, "with --to: send the whole input as one message", "in scripts", in_files=False)
    listen: bool = option(
        False, Flag, "only show what arrives; nothing is read from the input", "in scripts", in_files=False
    )
    json: bool = option(
        False, Flag, "with --listen: each message as the frame it came in, one a line", "in scripts", in_files=False
    )
    own: bool = option(
        False,
        Flag,
        "with --listen --json: print what the account itself says on its other devices, too",
        "to keep a log of all that is said",
        in_files=False,
    )
    exec: str | None = option(
        None,
        command_line(),
        "with --listen: print no message but run this command for each, one at a time, with the text on its input "
        "(with --json the frame) and GMESSENGER_FROM, _TO, _TEXT, _TIME, _SEQ and _CONVERSATION in its environment; no "
        "shell reads it",
        "in scripts",
        in_files=False,
        in_environment=False,  # it would be passed on to every client that the command starts
    )
    exec_timeout: float = option(
        60.0, seconds(), "with --exec: how long the command may take, before it is ended", "when it does a lot"
    )
    plain: bool = option(
        False,
        Flag,
        "line mode, one line below the other, though a terminal could show a full screen",
        "with a screen reader, or to keep a log of what is shown",
    )
    bell: bool = option(
        True,
        yes_or_no(),
        "ring the terminal's bell for mentions and direct messages",
        "for silence",
    )
    notify: bool = option(
        False,
        Flag,
        "have the terminal show what the bell rings for on the desktop, too (by OSC 9)",
        "where the terminal knows how; in tmux also `set -g allow-passthrough on`",
    )
    connect_timeout: float = option(10.0, seconds(), "how long connecting and logging in may take", "on slow lines")
    answer_timeout: float = option(
        30.0, seconds(), "how long the server may take to answer before the line counts as lost", "on slow lines"
    )
    probe_after: float = option(
        60.0, seconds(), "silence after which the server is asked whether it is there", "when a router forgets sooner"
    )
    retry_for: float = option(
        86_400.0,
        seconds(),
        "how long a lost connection, or a server that is not there yet, is tried again (with --to: at most 60)",
        "to give up sooner",
    )


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """The table of `gmessenger-admin`: which server is meant, as that server was told itself."""

    @property
    def store_url(self) -> str:
        return self.store or default_store(self.port)

    store: str = option(
        "",
        text("URL"),
        "the server's store [default: that of the server on --port, started from the same place]",
        "when the server was told to keep it elsewhere",
    )
    port: int = option(
        DEFAULT_PORT, port_number(), "the server's port, which names its store", "when it is not 7777", "-p"
    )
    tls_certificate: str = option("", file_path(), "the server's certificate, for cert show", "when the server has one")
    password_file: str = option(
        "",
        file_path(),
        "take the password of user add and user passwd from the first line of a file; without it, it is asked for, or "
        "read from the input where that is no terminal",
        "in scripts",
        in_files=False,
        in_environment=False,  # that variable is the client's, and whose password it holds nobody knows
    )
