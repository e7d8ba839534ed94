"""Paths of the client's state: one file of each kind for each server, name and device."""

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
from gmessenger.server_urls import DEFAULT_TARGET
from gmessenger.terminal.i18n import ngettext

MAX_HOST_NAME: Final = 48
DRAFTS_DIRECTORY: Final = "drafts"
HISTORY_DIRECTORY: Final = "history"
NEW_SUFFIX: Final = ".new"
"""The suffix of the name under which a whole file is written before it replaces the old one."""


def device_name(options: ClientOptions) -> str:
    """Return the device from the options; by default the host's name, with a suffix in pipe modes.

    The suffix keeps a command in a pipe from replacing the session of the client that is open on the same host.
    """
    suffixes = {".to": options.to is not None, ".listen": options.listen}
    return options.device or os.uname().nodename[:MAX_HOST_NAME] + "".join(
        suffix for suffix, is_used in suffixes.items() if is_used
    )


def unsent_file(options: ClientOptions, name: str) -> Path:
    """Return the path of the journal of messages without a response."""
    return state_file(options, name, "unsent").with_suffix(".jsonl")


def state_file(options: ClientOptions, name: str, kind: str) -> Path:
    """Return the path of the state of one kind. Raises `ConfigError` if there is no home directory."""
    key = "\n".join((*_server_key(options), fold(name), device_name(options)))
    digest = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:16]
    return paths.state_directory() / kind / digest


def _server_key(options: ClientOptions) -> tuple[str, ...]:
    """Return what tells one server from another: host and port, and of a URL the path, unless it is the usual one."""
    key = normalize_host(options.server_host), str(options.server_port)
    url = options.url
    return key if url is None or url.target == DEFAULT_TARGET else (*key, url.target)


def list_state(options: ClientOptions, name: str) -> list[Path]:
    """Return the paths of all state of a name on this device, whether the files exist or not."""
    files = [
        unsent_file(options, name),
        *(state_file(options, name, kind) for kind in (DRAFTS_DIRECTORY, HISTORY_DIRECTORY)),
    ]
    return [path for file in files for path in (file, file.with_suffix(NEW_SUFFIX))]


def erase_state(options: ClientOptions, name: str) -> list[Path]:
    """Remove unsent messages, drafts and the input history of a name.

    Return the files that could not be removed.
    """
    failed: list[Path] = []
    for file in list_state(options, name):
        try:
            file.unlink(missing_ok=True)
        except OSError:
            failed.append(file)
    return failed


def normalize_host(host: str) -> str:
    """Return one spelling of a host: for case, trailing dot, forms of an address, names of this host."""
    host = host.casefold().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost" if address.is_loopback else str(address)


def find_other_unsent(file: Path) -> str | None:
    """Return a sentence if messages to other servers or under other names are unsent.

    Nothing else would mention them.
    """
    with suppress(OSError):
        others = [journal for journal in file.parent.glob("*.jsonl") if journal != file and journal.stat().st_size]
        if others:
            return ngettext(
                "unsent messages to other servers or under other names: {count} file in {directory}",
                "unsent messages to other servers or under other names: {count} files in {directory}",
                len(others),
                directory=file.parent,
            )
    return None
