"""The kinds of value an option takes: how each is read, and what is said when it cannot be."""

from __future__ import annotations

import os
import re
import shlex
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from gmessenger.hosts import resolver_name, split_host_port
from gmessenger.sentences import Sentence

COMMENT: Final = re.compile(r"\s[#;]")
"""Where a comment begins behind a value in a config file."""
TEXT_COMMENT: Final = re.compile(r"\s#(?=\s|$)")
"""The same behind a text to be shown, which may well say `#dev` or `1 ; 2`."""
YES = ("yes", "true", "on", "1")
NO = ("no", "false", "off", "0")


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` turns text into the value, or raises ArgumentTypeError with what was expected."""

    metavar: str
    read: Callable[[str], Any]
    choices: tuple[str, ...] = ()
    comment: re.Pattern[str] = COMMENT


def text(metavar: str) -> Kind:
    return Kind(metavar, str)


def file_path() -> Kind:
    """A file; `~` at its beginning is a home directory, as in a shell."""
    return Kind("FILE", os.path.expanduser)


def host(metavar: str) -> Kind:
    """A host name or an address, perhaps in brackets, perhaps with a port; empty for none."""

    def read(value: str) -> str:
        stripped = value.strip()
        if stripped:
            try:
                split_host_port(stripped)
            except ValueError:
                raise ArgumentTypeError(
                    Sentence("expected HOST, HOST:PORT or [ADDRESS]:PORT, not {value!r}", value=value)
                ) from None
        return stripped

    return Kind(metavar, read)


def command_line() -> Kind:
    """A command with its arguments, quoted as in a shell; it stays the text that it was."""

    def read(value: str) -> str:
        try:
            found = shlex.split(value)
        except ValueError as error:
            fault = Sentence("expected a command, not {value!r}: {fault}", value=value, fault=str(error).lower())
            raise ArgumentTypeError(fault) from None
        if not found:
            raise ArgumentTypeError("expected a command, not nothing")
        return value

    return Kind("CMD", read)


def networks() -> Kind:
    """Addresses and networks, as a tuple of `ip_network`."""

    def read(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(each.strip(), strict=False) for each in value.split(",") if each.strip())
        except ValueError:
            raise ArgumentTypeError(
                f"expected addresses or networks (192.0.2.7,2001:db8::/32) with commas between, not {value!r}"
            ) from None

    return Kind("ADDRESS,…", read)


def words(most: int) -> Kind:
    """Something to be shown to people: printable, in lines that end where the text has `\\n`."""

    def read(value: str) -> str:
        said = value.replace("\\n", "\n").strip()
        if len(said) > most or not all(line.isprintable() for line in said.split("\n")):
            raise ArgumentTypeError(f"expected at most {most} printable characters, not {len(said)}: {value[:40]!r}")
        return said

    return Kind("TEXT", read, comment=TEXT_COMMENT)


def choice(*choices: str) -> Kind:
    def read(value: str) -> str:
        if value not in choices:
            raise ArgumentTypeError(
                Sentence("expected one of {choices}, not {value!r}", choices=", ".join(choices), value=value)
            )
        return value

    return Kind("{" + ",".join(choices) + "}", read, choices)


def yes_or_no() -> Kind:
    def read(value: str) -> bool:
        if value.lower() not in YES + NO:
            raise ArgumentTypeError(Sentence("expected yes or no, not {value!r}", value=value))
        return value.lower() in YES

    return Kind("{yes,no}", read)


def _number(metavar: str, least: int, most: int, expected: str) -> Kind:
    def read(value: str) -> int:
        digits = value.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12 and least <= int(digits) <= most):
            raise ArgumentTypeError(Sentence(expected, least=least, most=most, value=value))
        return int(value)

    return Kind(metavar, read)


def port_number(least: int = 0) -> Kind:
    return _number("PORT", least, 65_535, Sentence("expected a port from {least} to {most}, not {value!r}"))


def count(least: int, most: int = 10**9) -> Kind:
    return _number("N", least, most, Sentence("expected a whole number from {least}, not {value!r}"))


def bytes_(least: int) -> Kind:
    return _number("BYTES", least, 2**30, Sentence("expected a number of bytes from {least} to {most}, not {value!r}"))


def digest() -> Kind:
    def read(value: str) -> str:
        algorithm, _, digits = value.strip().lower().partition(":")
        digits = digits.replace(":", "")
        if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise ArgumentTypeError(Sentence("expected sha256: and 64 hexadecimal digits, not {value!r}", value=value))
        return f"{algorithm}:{digits}"

    return Kind("sha256:HEX", read)


def seconds() -> Kind:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number <= 10**8:
            raise ArgumentTypeError(Sentence("expected a number of seconds above 0, not {value!r}", value=value))
        return number

    return Kind("SECONDS", read)


def place() -> Kind:
    """Somewhere to listen, or nowhere."""

    def read(value: str) -> str:
        host, _, number = value.rpartition(":")
        is_port = number.isascii() and number.isdigit() and len(number) < 6 and int(number) < 65_536
        if value and not value.startswith("unix:/") and not (is_port and _is_host(host)):
            raise ArgumentTypeError(f"expected HOST:PORT or unix:/PATH, not {value!r}")
        return value

    return Kind("PLACE", read)


def _is_host(host: str) -> bool:
    with suppress(ValueError):
        return bool(resolver_name(host))
    return False


def days() -> Kind:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 10**5:
            raise ArgumentTypeError(f"expected a number of days, or 0, not {value!r}")
        return number

    return Kind("DAYS", read)
