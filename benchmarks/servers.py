"""The table of those that are compared: how each is started, what is spoken with it, where it comes from.

python -m benchmarks.servers           # which of them are here
python -m benchmarks.servers install   # apt-get what is missing (as root), uvloop from PyPI
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

from benchmarks import protocols, server_configs
from benchmarks.protocols import Speech
from benchmarks.setup_steps import TOP, make_accounts, make_room, make_streams
from benchmarks.workloads import Work

UNTHROTTLED: Final = ("--message-rate", "--request-rate", "--connect-rate")
"""Options of ours that are set to 0; everything else is as shipped."""

Command = list[str]


@dataclass(frozen=True)
class Peer:
    """One server. `live` and `stored` say which work it is given."""

    name: str
    title: str
    speech: Speech
    command: Callable[[Path, int], Command]
    version: Command
    package: str = ""  # of Debian
    module: str = ""  # of Python
    live: bool = True
    stored: bool = False
    in_files: bool = True  # what is stored is in its files when it has been delivered
    stored_speech: Speech | None = None
    before: Callable[[Path], None] | None = None
    after: Callable[[int], None] | None = None

    def speaks(self, work: Work) -> Speech:
        return self.stored_speech if work.stored and self.stored_speech else self.speech

    def does(self, work: Work) -> bool:
        return self.stored if work.stored else self.live

    @property
    def here(self) -> bool:
        if self.module:
            return importlib.util.find_spec(self.module) is not None
        return not self.package or program(self.version[0]) is not None

    def asked_version(self) -> str:
        """The first number with a dot in what its version command prints."""
        words = said_by(self.version).replace(",", " ").replace("=", " ").replace("-", " ").split()
        return next((word.strip("v()") for word in words if "." in word and word.strip("v()")[0].isdigit()), "?")


def program(name: str) -> str | None:
    """Where a program is; servers are in directories that not every user's path has."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def said_by(command: Command) -> str:
    told = subprocess.run(command, check=False, capture_output=True, text=True, cwd=TOP, timeout=30)  # noqa: S603
    return told.stdout + told.stderr


def configured(text: str, *words: str) -> Callable[[Path, int], Command]:
    """A command that is given a file with this text; `{file}` in the words is its place."""

    def command(folder: Path, port: int) -> Command:
        file = folder / "configuration.cfg.lua"  # prosody looks at the ending, nobody else does
        file.write_text(text.format(port=port, folder=folder, user="root" if os.geteuid() == 0 else os.environ["USER"]))
        return [program(words[0]) or words[0], *(word.format(file=file) for word in words[1:])]

    return command


def gmessenger(folder: Path, port: int) -> Command:
    command = [sys.executable, "-m", "gmessenger", "server", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--store", f"sqlite:///{folder}/messenger.db", "--log-file", str(folder / "server.log")]
    known = said_by([*command[:4], "--help"])
    for option in UNTHROTTLED:
        command += [option, "0"] if f"{option} " in known else []
    return command + (["--health", f"unix:{folder}/health.socket"] if "--health " in known else [])


def relay(name: str) -> Callable[[Path, int], Command]:
    return lambda folder, port: [sys.executable, "-m", f"benchmarks.{name}", str(port)]


NATS_COMMAND: Final = ("nats-server", "-c", "{file}")
MOSQUITTO_COMMAND: Final = ("mosquitto", "-c", "{file}")
PROSODY_COMMAND: Final = ("prosody", "-F", "--config", "{file}")

PEERS: Final = (
    Peer(
        "gmessenger",
        "gmessenger",
        protocols.Jim(),
        gmessenger,
        [sys.executable, "-m", "gmessenger", "server", "--version"],
        stored=True,
        stored_speech=protocols.JimAccounts(),
        before=make_accounts,
        after=make_room,
    ),
    Peer(
        "ngircd",
        "ngIRCd",
        protocols.Irc(),
        configured(server_configs.NGIRCD, "ngircd", "--nodaemon", "--config", "{file}"),
        ["ngircd", "--version"],
        package="ngircd",
    ),
    Peer(
        "inspircd",
        "InspIRCd",
        protocols.Irc(),
        configured(server_configs.INSPIRCD, "inspircd", "--nofork", "--runasroot", "--config", "{file}"),
        ["inspircd", "--version"],
        package="inspircd",
    ),
    Peer(
        "redis",
        "Redis pub/sub",
        protocols.Redis(),
        configured(server_configs.REDIS, "redis-server", "{file}"),
        ["redis-server", "--version"],
        package="redis-server",
    ),
    Peer(
        "nats",
        "NATS",
        protocols.Nats(),
        configured(server_configs.NATS, *NATS_COMMAND),
        ["nats-server", "--version"],
        package="nats-server",
    ),
    Peer(
        "mosquitto",
        "mosquitto, QoS 0",
        protocols.Mqtt(),
        configured(server_configs.MOSQUITTO, *MOSQUITTO_COMMAND),
        ["mosquitto", "-h"],
        package="mosquitto",
    ),
    Peer(
        "prosody",
        "prosody",
        protocols.Xmpp(),
        configured(server_configs.PROSODY, *PROSODY_COMMAND),
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
        configured(server_configs.JETSTREAM, *NATS_COMMAND),
        ["nats-server", "--version"],
        package="nats-server",
        live=False,
        stored=True,
        after=make_streams,
    ),
    Peer(
        "mosquitto-stored",
        "mosquitto, QoS 1, persistent",
        protocols.MqttStored(),
        configured(server_configs.MOSQUITTO_STORED, *MOSQUITTO_COMMAND),
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
        configured(server_configs.PROSODY_ARCHIVE, *PROSODY_COMMAND),
        ["prosodyctl", "about"],
        package="prosody",
        live=False,
        stored=True,
    ),
)


def install() -> None:
    """What can be had; what cannot is left out of the comparison."""
    missing = sorted({peer.package for peer in PEERS if peer.package and not peer.here})
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        # Not started now, nor at the next boot: they are wanted here only.
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "-q"], check=False)  # noqa: S607
        for package in missing:
            command = ["apt-get", "install", "-qy", "--no-install-recommends", package]
            subprocess.run(command, env=quiet, check=False)  # noqa: S603
    if any(peer.module and not peer.here for peer in PEERS):
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "uvloop"], check=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        install()
    for peer in PEERS:
        print(f"{peer.name:<17} {peer.title:<30} {peer.asked_version() if peer.here else 'not here'}")
