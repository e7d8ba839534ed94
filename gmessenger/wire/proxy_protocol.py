"""The PROXY protocol, versions 1 and 2: the header by which a load balancer tells the address of its client."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, TypeAlias

from msgspec import Struct

from gmessenger.errors import BadProxyHeader
from gmessenger.hosts import MAX_PORT

IpAddress: TypeAlias = IPv4Address | IPv6Address
V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""The beginning of a version 2 header."""
V1_PREFIX: Final = b"PROXY "
"""The beginning of a version 1 header."""
MAX_V1_LINE: Final = 107  # bytes, with the line break
V2_FIXED_SIZE: Final = 16
"""Bytes of a version 2 header before the addresses."""
MAX_V2_PAYLOAD: Final = 4096
"""Bytes of a version 2 header after that: addresses, and any further fields."""
ADDRESS_SIZES: Final = {0x1: 4, 0x2: 16}
"""Bytes of an address, by the address family of version 2."""


class ProxyHeader(Struct, frozen=True):
    """A parsed header: the client's address, if it is known. `is_local`: a health check of the load balancer."""

    host: IpAddress | None = None
    port: int = 0
    is_local: bool = False


LOCAL: Final = ProxyHeader(is_local=True)
UNKNOWN: Final = ProxyHeader()


def bytes_needed(header: bytes) -> int:
    """Return how many bytes can be read next without reading beyond the header; 0 if it is complete.

    Raises `BadProxyHeader` as soon as `header` cannot be the beginning of one.
    """
    if header[: len(V2_SIGNATURE)] == V2_SIGNATURE:
        return _v2_bytes_needed(header)
    if header[: len(V1_PREFIX)] == V1_PREFIX:
        return _v1_bytes_needed(header)
    if V2_SIGNATURE.startswith(header) or V1_PREFIX.startswith(header):
        return len(V1_PREFIX) - len(header) if len(header) < len(V1_PREFIX) else len(V2_SIGNATURE) - len(header)
    raise BadProxyHeader("it has no PROXY signature")


def parse(header: bytes) -> ProxyHeader:
    """Parse a complete header. Raises `BadProxyHeader`."""
    return _parse_v2(header) if header[:1] == V2_SIGNATURE[:1] else _parse_v1(header)


def _v2_bytes_needed(header: bytes) -> int:
    if len(header) < V2_FIXED_SIZE:
        return V2_FIXED_SIZE - len(header)
    rest = int.from_bytes(header[14:V2_FIXED_SIZE], "big")
    if rest > MAX_V2_PAYLOAD:
        raise BadProxyHeader(f"it is longer than {MAX_V2_PAYLOAD} bytes")
    return V2_FIXED_SIZE + rest - len(header)


def _v1_bytes_needed(line: bytes) -> int:
    if line.endswith(b"\r\n"):
        return 0
    if len(line) >= MAX_V1_LINE:
        raise BadProxyHeader(f"its line is longer than {MAX_V1_LINE} bytes")
    return 1


def _parse_v2(header: bytes) -> ProxyHeader:
    version, command, family = header[12] >> 4, header[12] & 0xF, header[13] >> 4
    if version != 2 or command > 1:
        raise BadProxyHeader(f"it is of a kind ({header[12]:#04x}) that is not known")
    if command == 0:
        return LOCAL
    if family not in ADDRESS_SIZES:
        return UNKNOWN
    size = ADDRESS_SIZES[family]
    host = header[V2_FIXED_SIZE : V2_FIXED_SIZE + size]
    ports = header[V2_FIXED_SIZE + 2 * size : V2_FIXED_SIZE + 2 * size + 4]
    if len(ports) < 4:
        raise BadProxyHeader("it ends within the addresses")
    return ProxyHeader(ip_address(host), int.from_bytes(ports[:2], "big"))


def _parse_v1(line: bytes) -> ProxyHeader:
    words = line.decode("ascii", "replace").removesuffix("\r\n").split(" ")
    if words[1] == "UNKNOWN":
        return UNKNOWN
    try:
        _, kind, host, other, port, _ = words
        client = ip_address(host)
        if f"TCP{client.version}" != kind or ip_address(other).version != client.version:
            raise ValueError
        return ProxyHeader(client, _parse_port(port))
    except ValueError:
        raise BadProxyHeader("its line is not 'PROXY TCP4 client server port port'") from None


def _parse_port(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= MAX_PORT):
        raise ValueError(digits)
    return int(digits)
