"""The table of the client's options."""

from __future__ import annotations

from dataclasses import dataclass

from gmessenger.config.options.log import LogOptions
from gmessenger.config.options.table import FLAG, option
from gmessenger.config.types import (
    boolean,
    command_line,
    file_path,
    file_paths,
    port_number,
    seconds,
    server_address,
    sha256_digest,
    text,
)
from gmessenger.constants import DEFAULT_PORT, DEFAULT_TLS_PORT
from gmessenger.server_urls import ServerUrl, is_server_url, parse_server_url


@dataclass(frozen=True, slots=True)
class ClientOptions(LogOptions):
    """The options of `gmessenger-client`; times in seconds."""

    @property
    def url(self) -> ServerUrl | None:
        """The server, where `host` is a URL."""
        return parse_server_url(self.host) if is_server_url(self.host) else None

    @property
    def server_host(self) -> str:
        """The name or address of the server, also where `host` is a URL."""
        return url.host if (url := self.url) is not None else self.host

    @property
    def server_port(self) -> int:
        """The option, or the port of the URL, or the default one, with TLS or without."""
        if (url := self.url) is not None:
            return url.port
        return self.port or (DEFAULT_TLS_PORT if self.tls else DEFAULT_PORT)

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection is encrypted, by `tls` or by a `wss` URL."""
        return url.is_encrypted if (url := self.url) is not None else self.tls

    host: str = option(
        "127.0.0.1",
        server_address("HOST"),
        "the server: a host, or a URL such as wss://chat.example.org where only a web server's port can be reached; "
        "the https:// link of a server will do as well",
        "to reach another machine",
        "-a",
        "--ip",
        active_in_file=True,
    )
    port: int = option(
        0,
        port_number(),
        "the server's port; 0 for the default, which is 7777, or 7778 with --tls; a URL has its own",
        "when the server uses another port",
        "-p",
    )
    tls: bool = option(
        False,
        FLAG,
        "encrypt the connection with TLS and verify the server's certificate, as wss:// does anyway",
        "whenever the server offers it",
    )
    ca: str | None = option(
        None,
        file_path(),
        "with --tls or wss://: trust only the certificate authorities in this file (PEM), instead of the system's",
        "when a private certificate authority has signed the server's certificate",
    )
    pin: str | None = option(
        None,
        sha256_digest(),
        "with --tls or wss://: accept only the certificate with this digest, as `gmessenger-admin cert show` prints "
        "it, regardless of its issuer",
        "when the server's certificate is self-signed",
    )
    plain_passwords: bool = option(
        False, FLAG, "allow sending a password to another machine without --tls", "on a network you trust"
    )
    name: str | None = option(
        None,
        text("NAME"),
        "your name; the client asks for it when it is not given",
        "to log in without being asked",
        "-n",
    )
    password_file: str | None = option(
        None,
        file_path(),
        "a file whose first line is your password; the environment variable MESSENGER_PASSWORD holds the password "
        "itself; without either, the client asks for it",
        "in scripts that use an account",
    )
    invite: str | None = option(
        None,
        text("CODE"),
        "the invite for registering your name, where the server asks for one; a link may end with #invite=CODE instead",
        "when you have got an invite",
        secret=True,
        in_files=False,
    )
    device: str | None = option(
        None,
        text("NAME"),
        "the name of this device; each device of an account receives every message once, and a second client with the "
        "same device name replaces the first [default: the host's name, with .to or .listen appended in those modes]",
        "to use two clients on one machine",
    )
    to: str | None = option(
        None,
        text("NAME"),
        "send each non-blank line of the input to this name or #room, then exit",
        "in scripts",
        in_files=False,
    )
    file: tuple[str, ...] = option(
        (),
        file_paths(),
        "with --to: send this file instead of the input, or with - the input as a file; may be given several times",
        "in scripts",
        in_files=False,
        in_environment=False,
    )
    message: str | None = option(
        None,
        text("TEXT"),
        "with --file: the text beside the first file",
        "in scripts",
        in_files=False,
        in_environment=False,
    )
    whole: bool = option(False, FLAG, "with --to: send the whole input as one message", "in scripts", in_files=False)
    listen: bool = option(
        False, FLAG, "only show incoming messages; the input is not read", "in scripts", in_files=False
    )
    json: bool = option(
        False,
        FLAG,
        "with --listen: print each message as the JSON frame received, one per line",
        "in scripts",
        in_files=False,
    )
    own: bool = option(
        False,
        FLAG,
        "with --listen --json: also print the messages that the account sends from its other devices",
        "to log whole conversations",
        in_files=False,
    )
    exec: str | None = option(
        None,
        command_line(),
        "with --listen: instead of printing messages, run this command for each, one at a time, with the text (with "
        "--json, the frame) on its standard input and GMESSENGER_FROM, _TO, _TEXT, _TIME, _SEQ and _CONVERSATION in "
        "its environment; no shell is used",
        "in scripts",
        in_files=False,
        in_environment=False,  # a command would pass it on to clients that it starts
    )
    exec_timeout: float = option(
        60.0,
        seconds(),
        "with --exec: how long the command may run before it is terminated",
        "when the command runs longer",
    )
    plain: bool = option(
        False,
        FLAG,
        "line mode: plain output line by line, even when the terminal supports a full screen",
        "with a screen reader, or to keep a log of what is shown",
    )
    bell: bool = option(
        True,
        boolean(),
        "ring the terminal's bell for mentions and direct messages",
        "for silence",
    )
    notify: bool = option(
        False,
        FLAG,
        "also show a desktop notification for mentions and direct messages (OSC 9)",
        "where the terminal supports it; in tmux also `set -g allow-passthrough on`",
    )
    connect_timeout: float = option(10.0, seconds(), "how long connecting and logging in may take", "on slow networks")
    answer_timeout: float = option(
        30.0,
        seconds(),
        "how long the server may take to answer before the connection is considered lost",
        "on slow networks",
    )
    probe_after: float = option(
        60.0,
        seconds(),
        "idle time after which the client sends a probe, to check that the server is still connected",
        "when a router drops idle connections sooner",
    )
    retry_for: float = option(
        86_400.0,
        seconds(),
        "how long the client tries to connect again to a server that is down or unreachable (with --to: at most 60)",
        "to give up sooner",
    )
