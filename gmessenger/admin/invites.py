"""The commands `invite`, `invite list` and `invite revoke`: codes with which people may register."""

from __future__ import annotations

import socket
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from gmessenger.admin.client import AdminClient, connect
from gmessenger.admin.results import parse_result
from gmessenger.chat.admin_results import InviteRow, StatusReport
from gmessenger.chat.registration import invite_fingerprint
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line, print_row
from gmessenger.server_urls import INVITE_KEY

REGISTRATION_REMARKS: Final = {
    "open": "Registration is open on this server: at present everybody can register without an invite.",
    "closed": "Registration is closed on this server: nobody can use an invite before it has --registration invite.",
}

NO_TLS_REMARK: Final = (
    "This server has no TLS: it accepts passwords only from its own machine, so nobody can register from another one."
)


def create_invite(options: AdminOptions, args: Namespace) -> int:
    """Run `invite`: print the code; at a terminal also what its maker should know, and what to send to the person."""
    with connect(options) as client:
        invite = str(client.call("add_invite", uses=args.uses or 1, seconds=args.expires))
        print_line(invite)
        if sys.stdout.isatty():
            listed = parse_result(client.call("invites"), list[InviteRow])
            made = [row for row in listed if row.id == invite_fingerprint(invite)]
            for line in describe_invite(invite, made, _server_status(client), args.host, options.port):
                print_line(line)
    return 0


def _server_status(client: AdminClient) -> StatusReport | None:
    """Return the state of the running server; None if none runs."""
    report = client.call("status")
    return parse_result(report, StatusReport) if report is not None else None


def describe_invite(
    invite: str, made: Sequence[InviteRow], status: StatusReport | None, hosts: Sequence[str] | None, port: int
) -> Iterator[str]:
    """Yield the lines about a new invite: number of uses, expiry, and the text to send to the person.

    Where the server has a page, that is a link which opens it with the invite; and what to type in a terminal.

    Args:
        made: its row in the list of invites.
        status: of the running server; None if none runs, and then `port` is that of the options.
        hosts: what the person connects to, as given on the command line.
    """
    yield from _remarks(status)
    for row in made:
        yield f"It is good for {_format_uses(row)}, {_format_expiry(row)}. Its id is {row.id}."
    yield ""
    yield "What to send to the person:"
    yield ""
    link = f"{status.web_url}/#{INVITE_KEY}={invite}" if status is not None and status.web_url else None
    if link is not None:
        yield f"    {link}"
        yield ""
        yield "It opens in a browser. In a terminal:"
        yield ""
    if status is not None and _is_encrypted_on_web_only(status):
        yield f"    gmessenger-client '{link}'"
    else:
        yield f"    {_client_command(status, hosts, port)} --invite {invite}"
    yield "    The client asks for a password."


def _is_encrypted_on_web_only(status: StatusReport) -> bool:
    """Return whether connections are encrypted where the page is, and on no other port."""
    return status.tls_port is None and status.web_url.startswith("https:")


def _remarks(status: StatusReport | None) -> Iterator[str]:
    """Yield why the invite is not needed on the running server, or cannot be used."""
    if status is None:
        return
    if status.registration in REGISTRATION_REMARKS:
        yield REGISTRATION_REMARKS[status.registration]
    if status.tls_port is None and not status.plain_passwords and not _is_encrypted_on_web_only(status):
        yield NO_TLS_REMARK


def _client_command(status: StatusReport | None, hosts: Sequence[str] | None, port: int) -> str:
    """Return the line that starts a client of the server."""
    certified = status.host if status is not None else ""
    host = hosts[0] if hosts else certified or socket.gethostname()
    if status is None or status.tls_port is None:
        plain = " --plain-passwords" if status is not None and status.plain_passwords else ""
        return f"gmessenger-client {host} --port {status.port if status is not None else port}{plain}"
    return f"gmessenger-client {host} --port {status.tls_port} --tls --pin {status.pin}"


def list_invites(options: AdminOptions, args: Namespace) -> int:
    """Run `invite list`."""
    with connect(options) as client:
        invites = parse_result(client.call("invites"), list[InviteRow])
    for row in invites:
        print_row(
            row.id, _format_uses(row), _format_expiry(row), f"made {_format_time(row.created)} by {row.by or '-'}"
        )
    return 0


def revoke_invite(options: AdminOptions, args: Namespace) -> int:
    """Run `invite revoke`."""
    with connect(options) as client:
        client.call("revoke_invite", id=args.id)
    print_line(f"The invite {args.id} is revoked.")
    return 0


def _format_uses(row: InviteRow) -> str:
    return f"{row.uses} registration{'' if row.uses == 1 else 's'}"


def _format_expiry(row: InviteRow) -> str:
    return f"until {_format_time(row.expires)}" if row.expires is not None else "for good"


def _format_time(time: float) -> str:
    return f"{datetime.fromtimestamp(time):%Y-%m-%d %H:%M}"
