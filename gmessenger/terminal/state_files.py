"""Where the client keeps what it must not forget: one place for a name on a server, from a device."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from gmessenger import paths
from gmessenger.client import fold
from gmessenger.config.options import ClientOptions
from gmessenger.terminal.i18n import ngettext

MAX_HOST_NAME: Final = 48
DRAFTS_DIRECTORY: Final = "drafts"
HISTORY_DIRECTORY: Final = "history"
NEW_SUFFIX: Final = ".new"
"""The suffix of the name under which a whole file is written before it replaces the old one."""


def device_name(options: ClientOptions) -> str:
    """The device that was given; else the host's, a further one for each way to be a command in a pipe.

    So a command does not replace the client that somebody has open on the same machine.
    """
    ways = {".to": options.to is not None, ".listen": options.listen}
    return options.device or os.uname().nodename[:MAX_HOST_NAME] + "".join(way for way, used in ways.items() if used)


def unsent_file(options: ClientOptions, name: str) -> Path:
    """Where messages that were not answered wait."""
    return state_file(options, name, "unsent").with_suffix(".jsonl")


def state_file(options: ClientOptions, name: str, kind: str) -> Path:
    """Where something of this kind is kept. Raises `ConfigError` for somebody without a home."""
    key = "\n".join((normalize_host(options.host), str(options.server_port), fold(name), device_name(options)))
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
    return paths.state_directory() / kind / digest


def list_state(options: ClientOptions, name: str) -> list[Path]:
    """List all files that are kept of a name on this device, whether they are there or not."""
    files = [
        unsent_file(options, name),
        *(state_file(options, name, kind) for kind in (DRAFTS_DIRECTORY, HISTORY_DIRECTORY)),
    ]
    return [each for file in files for each in (file, file.with_suffix(NEW_SUFFIX))]


def erase_state(options: ClientOptions, name: str) -> list[Path]:
    """Remove what waited to be sent, drafts, and what was typed under a name. Returns what could not be removed."""
    left: list[Path] = []
    for file in list_state(options, name):
        try:
            file.unlink(missing_ok=True)
        except OSError:
            left.append(file)
    return left


def normalize_host(host: str) -> str:
    """What the spellings of one host have in common: case, the last dot, an address's zeros; this machine's names."""
    host = host.casefold().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost" if address.is_loopback else str(address)


def find_other_unsent(file: Path) -> str | None:
    """Where else messages wait to be sent, in a sentence: nobody would miss them before they are missed."""
    with suppress(OSError):
        others = [each for each in file.parent.glob("*.jsonl") if each != file and each.stat().st_size]
        if others:
            return ngettext(
                "unsent messages to other servers or under other names: {count} file in {directory}",
                "unsent messages to other servers or under other names: {count} files in {directory}",
                len(others),
                directory=file.parent,
            )
    return None
