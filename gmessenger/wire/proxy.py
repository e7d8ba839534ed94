"""The PROXY protocol, versions 1 and 2: what a balancer says of its client before the client's own first byte."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from gmessenger.errors import BadProxyHeader

Address: TypeAlias = IPv4Address | IPv6Address
SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""How version 2 begins."""
WORD: Final = b"PROXY "
"""How version 1 begins."""
LONGEST_LINE: Final = 107
FIXED: Final = 16
"""Bytes of a version 2 header before what it says of addresses."""
LONGEST_REST: Final = 4096
"""Bytes of a version 2 header after that: addresses, and whatever else the balancer likes to tell."""
FAMILIES: Final = {0x1: 4, 0x2: 16}
"""Bytes of an address, by the family of version 2."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """What a header says: the client's address, if it is known. `local` connections are the balancer's own, to see
    whether we are well.
    """

    host: Address | None = None
    port: int = 0
    local: bool = False


LOCAL: Final = Proxied(local=True)
UNKNOWN: Final = Proxied()


def wanting(header: bytes) -> int:
    """How many bytes may be read next without reading past the header; 0 once it is intact.

    Raises `BadProxyHeader` as soon as it cannot be one.
    """
    if header[: len(SIGNATURE)] == SIGNATURE:
        return _wanting_2(header)
    if header[: len(WORD)] == WORD:
        return _wanting_1(header)
    if SIGNATURE.startswith(header) or WORD.startswith(header):
        return len(WORD) - len(header) if len(header) < len(WORD) else len(SIGNATURE) - len(header)
    raise BadProxyHeader("it has no PROXY signature")


def read(header: bytes) -> Proxied:
    """What a whole header says. Raises `BadProxyHeader`."""
    return _read_2(header) if header[:1] == SIGNATURE[:1] else _read_1(header)


def _wanting_2(header: bytes) -> int:
    if len(header) < FIXED:
        return FIXED - len(header)
    rest = int.from_bytes(header[14:FIXED], "big")
    if rest > LONGEST_REST:
        raise BadProxyHeader(f"it is longer than {LONGEST_REST} bytes")
    return FIXED + rest - len(header)


def _wanting_1(line: bytes) -> int:
    if line.endswith(b"\r\n"):
        return 0
    if len(line) >= LONGEST_LINE:
        raise BadProxyHeader(f"its line is longer than {LONGEST_LINE} bytes")
    return 1


def _read_2(header: bytes) -> Proxied:
    version, command, family = header[12] >> 4, header[12] & 0xF, header[13] >> 4
    if version != 2 or command > 1:
        raise BadProxyHeader(f"it is of a kind ({header[12]:#04x}) that is not known")
    if command == 0:
        return LOCAL
    if family not in FAMILIES:
        return UNKNOWN
    size = FAMILIES[family]
    host, ports = header[FIXED : FIXED + size], header[FIXED + 2 * size : FIXED + 2 * size + 4]
    if len(ports) < 4:
        raise BadProxyHeader("it ends within the addresses")
    return Proxied(ip_address(host), int.from_bytes(ports[:2], "big"))


def _read_1(line: bytes) -> Proxied:
    words = line.decode("ascii", "replace").removesuffix("\r\n").split(" ")
    if words[1] == "UNKNOWN":
        return UNKNOWN
    try:
        _, kind, host, other, port, _ = words
        client = ip_address(host)
        if f"TCP{client.version}" != kind or ip_address(other).version != client.version:
            raise ValueError
        return Proxied(client, _port(port))
    except ValueError:
        raise BadProxyHeader("its line is not 'PROXY TCP4 client server port port'") from None


def _port(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) < 65_536):
        raise ValueError(digits)
    return int(digits)
