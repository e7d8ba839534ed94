"""Types of option values. Each function returns the type that its docstring describes."""

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
from urllib.parse import urlsplit

from gmessenger.constants import IRC_ON_WEB
from gmessenger.errors import BadRequest
from gmessenger.hosts import MAX_PORT, ascii_host, is_host_name, split_host_port
from gmessenger.room_rules import format_rules, parse_rules
from gmessenger.server_urls import is_server_url, parse_server_url
from gmessenger.text import Text

COMMENT_PATTERN: Final = re.compile(r"\s[#;]")
"""The beginning of a comment after a value in a config file."""
TEXT_COMMENT_PATTERN: Final = re.compile(r"\s#(?=\s|$)")
"""The same after a text for people, which may contain `#dev` or `1 ; 2`."""
CONTACT_URL: Final = re.compile(
    r"mailto:[!-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|https://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+[!-~]*"
)
"""Push services refuse addresses of hosts without a dot, such as localhost."""
MAX_IRC_NAME: Final = 63
"""Characters that clients expect the name of an IRC server to have at most."""
IRC_NETWORK: Final = re.compile(r"[^\s:=,\\][^\s=,\\]{0,31}")
TRUE_WORDS = ("yes", "true", "on", "1")
FALSE_WORDS = ("no", "false", "off", "0")


@dataclass(frozen=True, slots=True)
class OptionType:
    """A type. `parse` converts text to a value, or raises ArgumentTypeError, which says what was expected."""

    metavar: str
    parse: Callable[[str], Any]
    choices: tuple[str, ...] = ()
    comment_pattern: re.Pattern[str] = COMMENT_PATTERN
    repeatable: bool = False  # on the command line; the value is a tuple


def text(metavar: str) -> OptionType:
    """Accept any text."""
    return OptionType(metavar, str)


def room_rules() -> OptionType:
    """Accept rules of a room, such as `invited hidden guests=no`; the value is their text."""

    def parse(value: str) -> str:
        try:
            rules = parse_rules(value)
        except BadRequest as error:
            raise ArgumentTypeError(str(error)) from None
        if rules.key:
            raise ArgumentTypeError("a key is set in each room by its owner")
        return format_rules(rules)

    return OptionType("RULES", parse)


def file_path() -> OptionType:
    """Accept the path of a file; `~` at its beginning is a home directory, as in a shell."""
    return OptionType("FILE", os.path.expanduser)


def file_paths() -> OptionType:
    """Accept the paths of files, one each time that the option is given; `-` is the standard input."""
    return OptionType("FILE", os.path.expanduser, repeatable=True)


def directory_path() -> OptionType:
    """Accept the path of a directory, as `file_path`."""
    return OptionType("DIRECTORY", os.path.expanduser)


def host(metavar: str) -> OptionType:
    """Accept a host name or an address, optionally in brackets or with a port; may be empty."""

    def parse(value: str) -> str:
        stripped = value.strip()
        if stripped:
            try:
                split_host_port(stripped)
            except ValueError:
                raise ArgumentTypeError(
                    Text("expected HOST, HOST:PORT or [ADDRESS]:PORT, not {value!r}", value=value)
                ) from None
        return stripped

    return OptionType(metavar, parse)


def server_address(metavar: str) -> OptionType:
    """Accept what `host` does, or the URL of a server's WebSocket or site."""
    parse_host = host(metavar).parse

    def parse(value: str) -> str:
        stripped = value.strip()
        if not is_server_url(stripped):
            return str(parse_host(value))
        try:
            parse_server_url(stripped)
        except ValueError:
            expected = "expected wss://HOST, wss://HOST:PORT/PATH or the https:// link of a server, not {value!r}"
            raise ArgumentTypeError(Text(expected, value=value)) from None
        return stripped

    return OptionType(metavar, parse)


def command_line() -> OptionType:
    """Accept a command with its arguments, quoted as in a shell; the value is the text itself."""

    def parse(value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError as error:
            fault = Text("expected a command, not {value!r}: {fault}", value=value, fault=str(error).lower())
            raise ArgumentTypeError(fault) from None
        if not words:
            raise ArgumentTypeError("expected a command, not nothing")
        return value

    return OptionType("CMD", parse)


def networks() -> OptionType:
    """Accept addresses and networks, separated by commas; the value is a tuple of `ip_network`."""

    def parse(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())
        except ValueError:
            raise ArgumentTypeError(
                f"expected addresses or networks (192.0.2.7,2001:db8::/32) with commas between, not {value!r}"
            ) from None

    return OptionType("ADDRESS,…", parse)


def host_names() -> OptionType:
    """Accept names of hosts, no addresses, separated by commas; the value is a tuple of them in lower case."""

    def parse(value: str) -> tuple[str, ...]:
        names = tuple(part.strip().lower() for part in value.split(",") if part.strip())
        if not all(map(is_host_name, names)):
            raise ArgumentTypeError(
                f"expected names of hosts (push.example.org,example.net) with commas between, not {value!r}"
            )
        return names

    return OptionType("HOST,…", parse)


def contact_url() -> OptionType:
    """Accept `mailto:` and an address of mail, or an https URL; may be empty."""

    def parse(value: str) -> str:
        if value and CONTACT_URL.fullmatch(value) is None:
            raise ArgumentTypeError(f"expected mailto:NAME@HOST or https://HOST, not {value!r}")
        return value

    return OptionType("URL", parse)


def printable_text(max_length: int) -> OptionType:
    """Accept a text for people: printable, with `\\n` for the end of a line."""

    def parse(value: str) -> str:
        unescaped = value.replace("\\n", "\n").strip()
        if len(unescaped) > max_length or not all(line.isprintable() for line in unescaped.split("\n")):
            raise ArgumentTypeError(
                f"expected at most {max_length} printable characters, not {len(unescaped)}: {value[:40]!r}"
            )
        return unescaped

    return OptionType("TEXT", parse, comment_pattern=TEXT_COMMENT_PATTERN)


def choice(*choices: str) -> OptionType:
    """Accept one of some words."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ArgumentTypeError(
                Text("expected one of {choices}, not {value!r}", choices=", ".join(choices), value=value)
            )
        return value

    return OptionType("{" + ",".join(choices) + "}", parse, choices)


def boolean() -> OptionType:
    """Accept yes or no, in one of the spellings of TRUE_WORDS and FALSE_WORDS."""

    def parse(value: str) -> bool:
        if value.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ArgumentTypeError(Text("expected yes or no, not {value!r}", value=value))
        return value.lower() in TRUE_WORDS

    return OptionType("{yes,no}", parse)


def _integer(metavar: str, minimum: int, maximum: int, expected: str) -> OptionType:
    def parse(value: str) -> int:
        digits = value.strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 12 and minimum <= int(digits) <= maximum):
            raise ArgumentTypeError(Text(expected, least=minimum, most=maximum, value=value))
        return int(value)

    return OptionType(metavar, parse)


def port_number(minimum: int = 0) -> OptionType:
    """Accept a TCP port."""

    return _integer("PORT", minimum, MAX_PORT, Text("expected a port from {least} to {most}, not {value!r}"))


def count(minimum: int, maximum: int = 10**9) -> OptionType:
    """Accept a whole number."""

    return _integer("N", minimum, maximum, Text("expected a whole number from {least}, not {value!r}"))


def byte_count(minimum: int) -> OptionType:
    """Accept a number of bytes, at most 1 GiB."""

    return _integer("BYTES", minimum, 2**30, Text("expected a number of bytes from {least} to {most}, not {value!r}"))


def sha256_digest() -> OptionType:
    """Accept a SHA-256 digest in hexadecimal, with or without colons; the value has none."""

    def parse(value: str) -> str:
        algorithm, _, digits = value.strip().lower().partition(":")
        digits = digits.replace(":", "")
        if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
            raise ArgumentTypeError(Text("expected sha256: and 64 hexadecimal digits, not {value!r}", value=value))
        return f"{algorithm}:{digits}"

    return OptionType("sha256:HEX", parse)


def seconds_or_zero() -> OptionType:
    """Accept 0 or a number of seconds, at most 10^8 (three years)."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 10**8:
            raise ArgumentTypeError(Text("expected a number of seconds or 0, not {value!r}", value=value))
        return number

    return OptionType("SECONDS", parse)


def seconds() -> OptionType:
    """Accept a number of seconds above 0, at most 10^8 (three years)."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = 0.0
        if not 0 < number <= 10**8:
            raise ArgumentTypeError(Text("expected a number of seconds above 0, not {value!r}", value=value))
        return number

    return OptionType("SECONDS", parse)


def listen_address() -> OptionType:
    """Accept an address to listen on, HOST:PORT or unix:/PATH; may be empty."""

    def parse(value: str) -> str:
        host, _, number = value.rpartition(":")
        is_port = number.isascii() and number.isdigit() and len(number) < 6 and int(number) <= MAX_PORT
        if value and not value.startswith("unix:/") and not (is_port and _is_host(host)):
            raise ArgumentTypeError(f"expected HOST:PORT or unix:/PATH, not {value!r}")
        return value

    return OptionType("PLACE", parse)


def websocket_address() -> OptionType:
    """Accept what `listen_address` does, or `web`."""
    parse_place = listen_address().parse

    def parse(value: str) -> str:
        with suppress(ArgumentTypeError):
            return value if value == IRC_ON_WEB else str(parse_place(value))
        raise ArgumentTypeError(f"expected HOST:PORT, unix:/PATH or web, not {value!r}")

    return OptionType("PLACE", parse)


def irc_host_name() -> OptionType:
    """Accept the name of a host, in ASCII; the value has a dot, or is empty."""

    def parse(value: str) -> str:
        name = value if "." in value or not value else f"{value}.local"
        if name and (len(name) > MAX_IRC_NAME or not is_host_name(name.lower())):
            raise ArgumentTypeError(
                f"expected the name of a host, such as irc.example.org, of at most {MAX_IRC_NAME} characters, "
                f"not {value!r}"
            )
        return name

    return OptionType("HOSTNAME", parse)


def irc_network_name() -> OptionType:
    """Accept the name of a network of IRC: printable, without white space and what has a meaning in `NETWORK=`."""

    def parse(value: str) -> str:
        if IRC_NETWORK.fullmatch(value) is None or not value.isprintable():
            raise ArgumentTypeError(f"expected 1 to 32 characters without spaces, =, , and \\, not {value!r}")
        return value

    return OptionType("NAME", parse)


def web_url() -> OptionType:
    """Accept the URL of a site, without a path; may be empty."""

    def parse(value: str) -> str:
        if value and not _is_site(value):
            raise ArgumentTypeError(f"expected http://HOST or https://HOST, not {value!r}")
        return value.rstrip("/")

    return OptionType("SITE", parse)


def web_urls() -> OptionType:
    """Accept URLs of sites, separated by commas; the value is a tuple of them."""

    def parse(value: str) -> tuple[str, ...]:
        sites = tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())
        if not all(map(_is_site, sites)):
            raise ArgumentTypeError(f"expected http://HOST or https://HOST, several with commas between, not {value!r}")
        return sites

    return OptionType("SITE,…", parse)


def _is_site(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_site = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/") and has_port
    return bool(is_site and not parts.query and not parts.fragment and "@" not in parts.netloc)


def _is_host(host: str) -> bool:
    with suppress(ValueError):
        return bool(ascii_host(host))
    return False


def days() -> OptionType:
    """Accept a number of days, 0 for none."""

    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 10**5:
            raise ArgumentTypeError(f"expected a number of days, or 0, not {value!r}")
        return number

    return OptionType("DAYS", parse)
