"""The table of the server's options."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from gmessenger.config.options.irc import IrcOptions
from gmessenger.config.options.table import default_store_url, option
from gmessenger.config.types import (
    boolean,
    byte_count,
    choice,
    command_line,
    count,
    days,
    directory_path,
    file_path,
    host,
    listen_address,
    networks,
    port_number,
    printable_text,
    room_rules,
    seconds,
    seconds_or_zero,
    text,
    web_url,
    web_urls,
)
from gmessenger.constants import DEFAULT_PORT, DEFAULT_TLS_PORT, MIN_PASSWORD_BYTES, RegistrationMode, WebTls


@dataclass(frozen=True, slots=True)
class ServerOptions(IrcOptions):
    """The options of `gmessenger-server`; sizes in bytes, times in seconds."""

    @property
    def store_url(self) -> str:
        """The option, or the default for the port: servers on one machine have different ports."""
        return self.store or default_store_url(self.port)

    @property
    def irc_tls_number(self) -> int | None:
        """The port for IRC over TLS: the option, or the default beside `--irc-port`; None for none."""
        return self.find_irc_tls_port(has_certificate=bool(self.tls_certificate))

    ip: str = option(
        "",
        host("ADDRESS"),
        "the address or host name to listen on; empty for every interface, IPv4 and IPv6",
        "to be reachable from this machine only: 127.0.0.1",
        "-a",
        needs_restart=True,
    )
    port: int = option(
        DEFAULT_PORT,
        port_number(),
        "the port to listen on; 0 takes a free one",
        "when 7777 is taken",
        "-p",
        active_in_file=True,
        needs_restart=True,
    )
    tls_certificate: str = option(
        "",
        file_path(),
        "the server's certificate and its chain of issuers, in PEM; with it, the server also accepts TLS connections",
        "to let clients connect over a network",
        needs_restart=True,
    )
    tls_key: str = option(
        "",
        file_path(),
        "the certificate's private key, in PEM [default: in the same file as the certificate]",
        "when it is in another file",
        needs_restart=True,
    )
    tls_port: int = option(
        DEFAULT_TLS_PORT,
        port_number(),
        "the port for TLS connections, opened when there is a certificate; 0 takes a free one",
        "when 7778 is taken",
        needs_restart=True,
    )
    tls_handshake_timeout: float = option(
        10.0,
        seconds(),
        "how long a client may take to complete the TLS handshake, and the request that begins a WebSocket",
        "on very slow networks",
    )
    tls_check: float = option(
        60.0,
        seconds(),
        "how often the certificate's files are checked, and reloaded when they have changed",
        "only in rare cases",
        needs_restart=True,
    )
    web: str = option(
        "",
        listen_address(),
        "where browsers are served, and programs that use WebSockets: HOST:PORT, or unix:/PATH for a proxy on this "
        "machine; empty for nowhere",
        "to let people in with a browser, or where only web ports get through",
        needs_restart=True,
    )
    web_tls: WebTls = option(
        "auto",
        choice("auto", "no"),
        "whether --web is encrypted: with --tls-certificate, unless its host is this machine's loopback (auto), or not",
        "behind a proxy that encrypts",
        needs_restart=True,
    )
    web_url: str = option(
        "",
        web_url(),
        "how people reach --web, such as https://chat.example.org; pages of this address may connect",
        "behind a proxy, or where the certificate does not have the name",
    )
    web_origins: tuple[str, ...] = option(
        (),
        web_urls(),
        "other sites whose pages may connect to --web and --irc-websocket, and upload files",
        "to let people in with a web client of another site, such as https://gamja.example.org",
    )
    web_proxy_from: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        networks(),
        "addresses of trusted HTTP proxies in front of --web: the last entry of their X-Forwarded-For is the client's "
        "address, and X-Forwarded-Proto says whether it came by https; the proxy at a unix:/PATH is always trusted",
        "behind nginx, Caddy or another HTTP proxy, whose address all clients would otherwise share",
    )
    web_timeout: float = option(
        10.0,
        seconds(),
        "how long an HTTP request may take to arrive, and a connection of --web may wait between two requests",
        "when clients are far away",
    )
    store: str = option(
        "",
        text("URL"),
        "where accounts, rooms and messages are stored: sqlite:///PATH, postgresql://USER@HOST/DATABASE, which "
        "several servers may share, or memory: to keep nothing after the server stops [default: messenger.db "
        "(messenger-PORT.db where the port is not 7777) in data/ of a checkout, else in the state directory]",
        "to keep it elsewhere",
        needs_restart=True,
    )
    greeting: str = option(
        "",
        printable_text(1000),
        "a text shown to each user at login, before the notice of which messages are stored; \\n begins a new line",
        "to say who runs the server, and its rules",
    )
    registration: RegistrationMode = option(
        "open",
        choice("open", "invite", "closed"),
        "who may register an account: any user (open), holders of an invite (invite), or nobody (closed)",
        "for a private server",
    )
    notify_command: str | None = option(
        None,
        command_line(),
        "run this command for each direct message to an account, and each mention in a room, while none of its devices "
        "is connected: once a minute for each conversation, with the message as JSON on its standard input and "
        "GMESSENGER_USER, _FROM, _CONVERSATION, _TEXT, _TIME and _SEQ in its environment; no shell is used",
        "to reach absent users by mail or on their phones",
        needs_restart=True,
    )
    notify_timeout: float = option(
        30.0,
        seconds(),
        "how long --notify-command may run before it is terminated",
        "when the command runs longer",
        needs_restart=True,
    )
    plain_passwords: bool = option(
        False,
        boolean(),
        "whether passwords are accepted over unencrypted connections from other machines",
        "on a network you trust, or behind a proxy that terminates TLS",
    )
    guests: bool = option(True, boolean(), "whether users without an account may log in", "for a private server")
    broadcast: bool = option(
        True, boolean(), "whether a message may be sent to all users who are online", "when it is misused"
    )
    proxy_from: tuple[IPv4Network | IPv6Network, ...] = option(
        (),
        networks(),
        "addresses of trusted load balancers; each connection from them must begin with a PROXY protocol header, "
        "which gives the client's address",
        "behind a load balancer or proxy, whose address all clients would otherwise share",
    )
    proxy_timeout: float = option(
        5.0, seconds(), "how long a load balancer may take to send the PROXY header", "when it is far away"
    )
    max_connections: int = option(
        10_000,
        count(1),
        "the most connections at one time; further ones are refused with 503",
        "to limit memory use, about 12 kB each",
    )
    max_connections_per_ip: int = option(
        100,
        count(1),
        "the most connections from one address (of IPv6: one /64) at one time; further ones are refused with 503",
        "when many people share an address",
    )
    connect_rate: int = option(
        20, count(0), "new connections per second from one address; 0 is no limit", "when many people share an address"
    )
    connect_burst: int = option(
        200,
        count(1),
        "new connections from one address accepted at once, before --connect-rate applies",
        "when many people share an address",
    )
    limit_loopback: bool = option(
        False,
        boolean(),
        "whether the limits by address also apply to connections from this machine",
        "to test the limits",
    )
    message_rate: int = option(
        50,
        count(0),
        "messages per second that one name may send on average, from all its devices together; a text of more than "
        "1024 characters counts as several; 0 is no limit",
        "for bots that send many messages, or against flooding",
    )
    message_burst: int = option(
        1000,
        count(1),
        "messages that one name may send at once, before --message-rate applies",
        "to let users paste longer texts",
    )
    request_rate: int = option(
        50,
        count(0),
        "other requests per second that one name may send on average; a search counts as five; 0 is no limit",
        "for clients that send many requests",
    )
    request_burst: int = option(
        500,
        count(1),
        "other requests that one name may send at once, before --request-rate applies",
        "for clients that send many requests",
    )
    guest_message_rate: int = option(
        50,
        count(0),
        "messages per second that all guests of one address (of IPv6: one /64) together may send on average; 0 is no "
        "limit",
        "when many guests share an address",
    )
    guest_message_burst: int = option(
        1000,
        count(1),
        "messages that all guests of one address together may send at once, before --guest-message-rate applies",
        "when many guests share an address",
    )
    guest_request_rate: int = option(
        100,
        count(0),
        "other requests per second that all guests of one address, and its connections that have not logged in, "
        "together may send on average; 0 is no limit",
        "when many guests share an address",
    )
    guest_request_burst: int = option(
        2000,
        count(1),
        "other requests that they together may send at once, before --guest-request-rate applies",
        "when many guests share an address",
    )
    patience: float = option(
        10.0,
        seconds(),
        "how far a client may exceed its rate, in seconds' worth of that rate, while the server only reads from it "
        "more slowly; beyond that, its requests are refused with 429",
        "to refuse requests sooner, or later",
    )
    registrations_per_hour: int = option(
        20,
        count(0),
        "accounts that may be registered from one address per hour; 0 is no limit",
        "for a class or a club",
    )
    min_password: int = option(
        MIN_PASSWORD_BYTES,
        count(1),
        "the fewest bytes that a new password may have; passwords that are kept already go on being valid",
        "to demand longer ones",
    )
    failures_per_ip: int = option(
        50,
        count(0),
        "wrong passwords allowed from one address within --failure-window; 0 is no limit",
        "when many people share an address",
    )
    failures_per_name: int = option(
        10,
        count(0),
        "wrong passwords allowed for one name within --failure-window, from addresses where it has not logged in "
        "recently; 0 is no limit",
        "against slow password guessing",
    )
    failure_window: float = option(
        600.0, seconds(), "the time after which wrong passwords no longer count", "against slow password guessing"
    )
    max_rooms: int = option(10_000, count(0), "the most rooms on the server", "to limit memory use")
    max_rooms_made: int = option(
        100, count(0), "the most rooms that one account, or guests of one network, may have made", "against squatting"
    )
    max_rooms_joined: int = option(
        1000, count(0), "the most rooms that one name may be a member of", "to limit memory use"
    )
    max_members: int = option(10_000, count(1), "the most members of one room", "to keep rooms small")
    new_room_rules: str = option(
        "",
        room_rules(),
        "rules that a new room has, unless who makes it says others: words such as invited, hidden, guests=no",
        "for a closed circle: with 'invited hidden guests=no' every room is private at first",
    )
    max_frame: int = option(65_536, byte_count(1024), "the largest frame a client may send", "only in rare cases")
    max_text: int = option(16_384, count(1), "the longest text of a message, in characters", "to keep messages short")
    max_bad_frames: int = option(
        100, count(1), "invalid frames after which a connection is closed", "to close faulty connections sooner"
    )
    outbox_frames: int = option(
        1000, count(1), "the most frames queued for a client that reads slowly", "when larger bursts are normal"
    )
    outbox_bytes: int = option(
        1_048_576, byte_count(1024), "the most bytes queued for a client that reads slowly", "to limit memory use"
    )
    account_quota: int = option(
        0,
        count(0, 10**15),
        "the most bytes of message text stored for one account; further messages from it are refused; 0 is no limit",
        "to limit disk use",
    )
    guest_quota: int = option(
        0,
        count(0, 10**15),
        "the most bytes of message text stored for all guests together; 0 is no limit",
        "to limit the disk space that guests can use",
    )
    files: str = option(
        "",
        directory_path(),
        "the folder for files that people send by --web; servers that share a store share this folder, too [default: "
        "beside the file of the store, such as messenger.files; none with another store]",
        "to keep them on another disk, or with a PostgreSQL store",
        needs_restart=True,
    )
    max_file: int = option(
        16 * 2**20,
        byte_count(0),
        "the largest file that may be sent; 0 for none at all",
        "to let people send larger files, or none",
    )
    files_of_one: int = option(
        2**30,
        count(0, 10**15),
        "the most bytes of files kept of one account, each file counted in blocks of 4096",
        "by the disk space that there is",
    )
    files_of_all: int = option(
        20 * 2**30,
        count(0, 10**15),
        "the most bytes of files kept of all accounts together, counted as by --files-of-one",
        "by the disk space that there is",
    )
    token_days: float = option(
        90.0,
        days(),
        "days after its last connection for which a device logs in without the password; 0 is for good",
        "to have devices that are lost or not used any more ask for the password sooner",
    )
    retention_days: float = option(
        0.0,
        days(),
        "days after which stored messages are deleted; 0 keeps them forever",
        "to limit how long messages are stored",
    )
    store_timeout: float = option(
        30.0,
        seconds(),
        "how long a request waits for the store before it is answered 503",
        "when the disk is on a network",
        needs_restart=True,
    )
    edit_for: float = option(
        86_400.0,
        seconds_or_zero(),
        "how long the author of a message may edit it; 0 for never. Erasing has no end",
        "when what was said has to stay as it was said",
    )
    erase_within: float = option(
        600.0,
        seconds(),
        "within how long an erased or edited text is out of the files of a SQLite store, too (nothing that is read has "
        "it any more at once)",
        "lower where files may be copied at any time; each pass reads and writes much",
    )
    search_timeout: float = option(
        1.0,
        seconds(),
        "how long a search may run; then the results found so far are returned, marked as incomplete",
        "when users search very large rooms",
    )
    store_connections: int = option(
        4,
        count(1),
        "connections to a PostgreSQL store, in addition to six reserved for writing and indexing messages, the cluster "
        "and searches",
        "when many clients read at the same time and the database allows more",
        needs_restart=True,
    )
    bus: str = option(
        "",
        text("URL"),
        "the Redis server through which the servers of a cluster notify each other: redis://HOST:PORT, rediss:// with "
        "TLS, or unix:// for a socket; empty for a server without a cluster",
        "when several servers form a cluster",
        needs_restart=True,
    )
    bus_timeout: float = option(
        15.0,
        seconds(),
        "how long another server may be silent before it is considered down",
        "to detect a failed server sooner, on a reliable network",
        needs_restart=True,
    )
    cluster_check: float = option(
        3.0,
        seconds(),
        "how often the server polls the store for changes by other servers, in addition to notices on the bus",
        "without a bus, to see changes sooner; with very many servers, to poll less",
        needs_restart=True,
    )
    health: str = option(
        "",
        listen_address(),
        "where metrics and health checks are served over HTTP, without a password: HOST:PORT, or unix:/PATH; empty "
        "for nowhere",
        "for monitoring: 127.0.0.1:9777",
        needs_restart=True,
    )
    health_timeout: float = option(
        2.0,
        seconds(),
        "how long the store may take to answer before /readyz reports that the server is not ready",
        "on slow disks",
        needs_restart=True,
    )
    guest_shut_out: float = option(
        3600.0,
        seconds(),
        "seconds for which guests cannot join a room that a guest of the same address was removed from",
        "shorter where many people share an address",
    )
    names_remembered: int = option(
        10_000,
        count(0),
        "names of past guests that are remembered, to tell guests who have left from unknown names",
        "to limit memory use",
    )
    login_timeout: float = option(
        120.0,
        seconds(),
        "how long a client may take to log in after it has connected",
        "to close unused connections sooner",
    )
    probe_after: float = option(
        180.0,
        seconds(),
        "idle time after which the server sends a probe, to check that the client is still connected",
        "when a router drops idle connections sooner",
    )
    probe_timeout: float = option(
        30.0, seconds(), "how long a client may take to answer a probe", "on very slow networks"
    )
    write_timeout: float = option(
        120.0,
        seconds(),
        "how long a client may read nothing while frames are queued for it, before its connection is closed",
        "to close stalled connections sooner",
    )
    close_timeout: float = option(
        2.0,
        seconds(),
        "how long a client may take to close a connection that the server has ended",
        "only in rare cases",
    )
    drain_timeout: float = option(
        10.0,
        seconds(),
        "how long a stopping server continues to deliver queued frames",
        "to stop sooner, or to deliver everything first",
    )
