"""Networks that can be cut: each node in a network namespace of its own, on a bridge to the services.

A cut drops packets silently, as an unplugged cable does.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

TOOLS: Final = ("ip", "iptables")
DIRECTIONS: Final = (("OUTPUT", "--dport"), ("INPUT", "--sport"))
NUMBERS: Final = itertools.count()


class Network:
    """A bridge with `size` namespaces. `host` is the bridge's address, `address` a namespace's."""

    def __init__(self, size: int) -> None:
        number = next(NUMBERS)
        self._name = f"gm{os.getpid()}.{number}"
        self._prefix = f"10.{64 + os.getpid() // 256 % 64}.{os.getpid() % 256}"
        self._size = size
        self.host = f"{self._prefix}.1"

    def __enter__(self) -> Network:
        """Create the network. Raises OSError if that is impossible or not permitted."""
        try:
            self._create()
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in range(self._size):
            with contextlib.suppress(OSError):
                _run("ip", "netns", "del", self._namespace(number))
        with contextlib.suppress(OSError):
            _run("ip", "link", "del", self._name)

    def address(self, number: int) -> str:
        return f"{self._prefix}.{10 + number}"

    def command_prefix(self, number: int) -> tuple[str, ...]:
        """Return the beginning of a command line that runs in a namespace."""
        return ("ip", "netns", "exec", self._namespace(number))

    @contextlib.contextmanager
    def cut(self, number: int, port: int) -> Iterator[None]:
        """Drop all packets between a namespace and a port of the services."""
        rules = [(chain, "-p", "tcp", direction, str(port), "-j", "DROP") for chain, direction in DIRECTIONS]
        for rule in rules:
            _run(*self.command_prefix(number), "iptables", "-w", "-A", *rule)
        try:
            yield
        finally:
            for rule in rules:
                _run(*self.command_prefix(number), "iptables", "-w", "-D", *rule)

    def _namespace(self, number: int) -> str:
        return f"{self._name}.{number}"

    def _create(self) -> None:
        _run("ip", "link", "add", self._name, "type", "bridge")
        _run("ip", "address", "add", f"{self.host}/24", "dev", self._name)
        _run("ip", "link", "set", self._name, "up")
        for number in range(self._size):
            namespace, interface = self._namespace(number), f"{self._name}p{number}"
            _run("ip", "netns", "add", namespace)
            _run("ip", "link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _run("ip", "link", "set", interface, "master", self._name, "up")
            for texts in (("address", "add", f"{self.address(number)}/24", "dev", "eth0"), *UP_COMMANDS):
                _run(*self.command_prefix(number), "ip", *texts)
            _run(*self.command_prefix(number), "iptables", "-w", "-L", "-n")


UP_COMMANDS: Final = (("link", "set", "lo", "up"), ("link", "set", "eth0", "up"))


def unavailable_reason() -> str:
    """Return why networks cannot be created here; empty if they can."""
    if os.geteuid() != 0:
        return "only root may make networks"
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"{' and '.join(absent)} not installed"
    try:
        with Network(1):
            return ""
    except OSError as error:
        return f"networks cannot be made: {error.strerror}"


def _run(*texts: str) -> None:
    done = subprocess.run(texts, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise OSError(errno.EPERM, f"{' '.join(texts)}: {done.stderr.strip()}")
