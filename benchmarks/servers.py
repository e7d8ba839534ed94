"""The table of compared servers: command, protocol, version, package.

python -m benchmarks.servers           # list them, with versions
python -m benchmarks.servers install   # install missing ones: by apt-get (as root), from PyPI, Ergo from source
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import ergo, protocols, server_configs
from benchmarks.protocols import WireProtocol
from benchmarks.setup_steps import TOP, make_accounts, make_certificate, make_room, make_room_of_guest, make_streams
from benchmarks.workloads import Workload

TUNNEL: Final = "stunnel"
TUNNEL_PACKAGE: Final = "stunnel4"
UNTHROTTLED: Final = ("--message-rate", "--request-rate", "--connect-rate")
"""Options of gmessenger that are set to 0; all others keep their defaults."""

Command = list[str]


@dataclass(frozen=True)
class Peer:
    """A compared server. `live`, `rooms`, `stored`: whether it runs workloads of that kind; `tls_command`: over TLS."""

    name: str
    title: str
    protocol: WireProtocol
    command: Callable[[Path, int], Command]
    version: Command
    package: str = ""  # Debian's name
    module: str = ""  # Python's name
    path: str = ""  # of a copy that was built
    live: bool = True
    rooms: bool = True
    stored: bool = False
    in_files: bool = True  # a message is in its files when it has been delivered
    stored_protocol: WireProtocol | None = None
    prepare: Callable[[Path], None] | None = None
    after_start: Callable[[int], None] | None = None
    tls_command: Callable[[Path, int], Command] | None = None  # the same server, listening for TLS

    def protocol_for(self, work: Workload) -> WireProtocol:
        return self.stored_protocol if work.stored and self.stored_protocol else self.protocol

    def runs(self, work: Workload) -> bool:
        if work.tls:
            return self.tls_command is not None
        return self.stored if work.stored else self.live and (self.rooms or work.shape != "room")

    @property
    def is_installed(self) -> bool:
        if self.path:
            return program(self.path) is not None
        if self.module:
            return importlib.util.find_spec(self.module) is not None
        return not self.package or program(self.version[0]) is not None

    def installed_version(self) -> str:
        """Return the first number with a dot in the output of its version command."""
        words = output_of(self.version).replace(",", " ").replace("=", " ").replace("-", " ").split()
        return next((word.strip("v()") for word in words if "." in word and word.strip("v()")[0].isdigit()), "?")


def program(name: str) -> str | None:
    """Return the path of a program, also in directories of servers, which not every user's PATH has."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def output_of(command: Command) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=TOP, timeout=30)  # noqa: S603
    return done.stdout + done.stderr


def with_config(text: str, *words: str) -> Callable[[Path, int], Command]:
    """Return a function that writes a configuration file and returns the command with its `{file}`."""

    def command(folder: Path, port: int) -> Command:
        file = folder / "configuration.cfg.lua"  # prosody requires this ending
        file.write_text(text.format(port=port, folder=folder, user="root" if os.geteuid() == 0 else os.environ["USER"]))
        return [program(words[0]) or words[0], *(word.format(file=file) for word in words[1:])]

    return command


def gmessenger(folder: Path, port: int, store: str = "sqlite:///{folder}/messenger.db") -> Command:
    command = [sys.executable, "-m", "gmessenger", "server", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--store", store.format(folder=folder), "--log-file", str(folder / "server.log")]
    known = output_of([*command[:4], "--help"])
    for option in UNTHROTTLED:
        command += [option, "0"] if f"{option} " in known else []
    return command + (["--health", f"unix:{folder}/health.socket"] if "--health " in known else [])


def gmessenger_tls(folder: Path, port: int) -> Command:
    certificate, key = make_certificate(folder)
    command = [*gmessenger(folder, 0), "--tls-port", str(port)]
    return [*command, "--tls-certificate", str(certificate), "--tls-key", str(key)]


def with_tls_config(text: str, *words: str) -> Callable[[Path, int], Command]:
    """Return what `with_config` does, after making the certificate that the configuration names."""
    command = with_config(text, *words)

    def command_with_certificate(folder: Path, port: int) -> Command:
        make_certificate(folder)
        return command(folder, port)

    return command_with_certificate


def relay(name: str) -> Callable[[Path, int], Command]:
    return lambda folder, port: [sys.executable, "-m", f"benchmarks.{name}", str(port)]


NGIRCD_COMMAND: Final = ("ngircd", "--nodaemon", "--config", "{file}")
INSPIRCD_COMMAND: Final = ("inspircd", "--nofork", "--runasroot", "--config", "{file}")
NATS_COMMAND: Final = ("nats-server", "-c", "{file}")
MOSQUITTO_COMMAND: Final = ("mosquitto", "-c", "{file}")
ERGO_PROGRAM: Final = ergo.program_path()
ERGO_COMMAND: Final = (
    "sh",
    "-c",
    f"'{ERGO_PROGRAM}' initdb --conf {{file}} && exec '{ERGO_PROGRAM}' run --conf {{file}}",
)
PROSODY_COMMAND: Final = ("prosody", "-F", "--config", "{file}")

PEERS: Final = (
    Peer(
        "gmessenger",
        "gmessenger",
        protocols.Jim(),
        gmessenger,
        [sys.executable, "-m", "gmessenger", "server", "--version"],
        stored=True,
        stored_protocol=protocols.JimAccounts(),
        prepare=make_accounts,
        after_start=make_room,
        tls_command=gmessenger_tls,
    ),
    Peer(
        "gmessenger-memory",
        "gmessenger, nothing on disk",
        protocols.Jim(),
        lambda folder, port: gmessenger(folder, port, "memory:"),
        [sys.executable, "-m", "gmessenger", "server", "--version"],
        after_start=make_room_of_guest,
    ),
    Peer(
        "gmessenger-web",
        "gmessenger, WebSocket",
        protocols.JimWebSocket(),
        lambda folder, port: [*gmessenger(folder, 0), "--web", f"127.0.0.1:{port}"],
        [sys.executable, "-m", "gmessenger", "server", "--version"],
        rooms=False,
    ),
    Peer(
        "gmessenger-irc",
        "gmessenger, IRC",
        protocols.Irc(),
        lambda folder, port: [*gmessenger(folder, 0), "--irc-port", str(port), "--irc-guest-rooms", "yes"],
        [sys.executable, "-m", "gmessenger", "server", "--version"],
    ),
    Peer(
        "ngircd",
        "ngIRCd",
        protocols.Irc(),
        with_config(server_configs.NGIRCD, *NGIRCD_COMMAND),
        ["ngircd", "--version"],
        package="ngircd",
        tls_command=with_tls_config(server_configs.NGIRCD_TLS, *NGIRCD_COMMAND),
    ),
    Peer(
        "inspircd",
        "InspIRCd",
        protocols.Irc(),
        with_config(server_configs.INSPIRCD, *INSPIRCD_COMMAND),
        ["inspircd", "--version"],
        package="inspircd",
        tls_command=with_tls_config(server_configs.INSPIRCD_TLS, *INSPIRCD_COMMAND),
    ),
    Peer(
        "ergo",
        "Ergo",
        protocols.Irc(),
        with_config(server_configs.ERGO, *ERGO_COMMAND),
        [ERGO_PROGRAM, "--version"],
        path=ERGO_PROGRAM,
        tls_command=with_tls_config(server_configs.ERGO_TLS, *ERGO_COMMAND),
    ),
    Peer(
        "redis",
        "Redis pub/sub",
        protocols.Redis(),
        with_config(server_configs.REDIS, "redis-server", "{file}"),
        ["redis-server", "--version"],
        package="redis-server",
    ),
    Peer(
        "nats",
        "NATS",
        protocols.Nats(),
        with_config(server_configs.NATS, *NATS_COMMAND),
        ["nats-server", "--version"],
        package="nats-server",
    ),
    Peer(
        "mosquitto",
        "mosquitto, QoS 0",
        protocols.Mqtt(),
        with_config(server_configs.MOSQUITTO, *MOSQUITTO_COMMAND),
        ["mosquitto", "-h"],
        package="mosquitto",
    ),
    Peer(
        "prosody",
        "prosody",
        protocols.Xmpp(),
        with_config(server_configs.PROSODY, *PROSODY_COMMAND),
        ["prosodyctl", "about"],
        package="prosody",
    ),
    Peer(
        "relay-plain",
        "uvloop relay, plain",
        protocols.Jim(),
        relay("relay_plain"),
        [sys.executable, "-c", "import uvloop; print(uvloop.__version__)"],
        module="uvloop",
    ),
    Peer(
        "relay-batched",
        "uvloop relay, batched",
        protocols.Jim(),
        relay("relay_batched"),
        [sys.executable, "-c", "import uvloop; print(uvloop.__version__)"],
        module="uvloop",
    ),
    Peer(
        "jetstream",
        "NATS JetStream, in files",
        protocols.JetStream(),
        with_config(server_configs.JETSTREAM, *NATS_COMMAND),
        ["nats-server", "--version"],
        package="nats-server",
        live=False,
        stored=True,
        after_start=make_streams,
    ),
    Peer(
        "mosquitto-stored",
        "mosquitto, QoS 1, persistent",
        protocols.MqttStored(),
        with_config(server_configs.MOSQUITTO_STORED, *MOSQUITTO_COMMAND),
        ["mosquitto", "-h"],
        package="mosquitto",
        live=False,
        stored=True,
        in_files=False,
    ),
    Peer(
        "prosody-archive",
        "prosody with archive",
        protocols.Xmpp(),
        with_config(server_configs.PROSODY_ARCHIVE, *PROSODY_COMMAND),
        ["prosodyctl", "about"],
        package="prosody",
        live=False,
        stored=True,
    ),
)


def install() -> None:
    """Install missing servers; those that cannot be installed are left out of the comparison."""
    missing = sorted({peer.package for peer in PEERS if peer.package and not peer.is_installed})
    missing += [] if program(TUNNEL) else [TUNNEL_PACKAGE]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        # RUNLEVEL=1: their services are not started.
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-q"], check=False)  # noqa: S607
        for package in missing:
            command = ["apt-get", "install", "-qy", "--no-install-recommends", package]
            subprocess.run(command, env=quiet, check=False)  # noqa: S603
    if any(peer.module and not peer.is_installed for peer in PEERS):
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "uvloop"], check=False)
    ergo.install()


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        install()
    for peer in PEERS:
        missing = "not here: give the path of a built copy in $ERGO" if peer.path else "not here"
        print(f"{peer.name:<17} {peer.title:<30} {peer.installed_version() if peer.is_installed else missing}")
