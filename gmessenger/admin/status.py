"""How the server is, and where one message went: what the commands `status` and `trace` do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from gmessenger.admin.client import AdminClient, connect, connect_running
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line
from gmessenger.errors import UsageError

ROW_FORMAT: Final = "{:<13}{}"
MAX_SEQ: Final = 2**53
"""The highest seq that a server is asked for: there is none beyond it."""


def status(options: AdminOptions, args: Namespace) -> int:
    with connect_running(options) as office:
        told = office.call("status")
    for title, text in _status_rows(told):
        print_line(ROW_FORMAT.format(title, text).rstrip())
    return 0


def _status_rows(report: dict[str, Any]) -> Iterator[tuple[str, object]]:
    store, commits, lag = report["store"], report["commits"], report["lag"]
    yield "server", f"gmessenger {report['version']}, process {report['pid']}, port {report['port']}"
    yield "up for", f"{timedelta(seconds=round(report['uptime']))}{', stopping now' if report['draining'] else ''}"
    total = sum(count for *_, count in report["connections"])
    yield "connections", f"{total} of at most {report['most_connections']}"
    for *labels, count in report["connections"]:
        yield "", f"{count} {' '.join(labels)}"
    yield "behind", f"{report['behind']} sessions are catching up"
    yield "outboxes", f"{report['waiting']} frames queued, {report['longest']} in the longest queue"
    size = f"{store['bytes'] / 1e6:.1f} MB" if store["bytes"] is not None else "which is unreachable now"
    yield "store", f"{store['url']}, {size}, identity {store['identity']}"
    if report["cluster"] is not None:
        yield from _cluster_rows(report["cluster"])
    yield "commits", f"{commits['count']}, of the latest {_format_quantiles(commits)}; {store['failed']} failed"
    yield "loop lag", f"of the latest {_format_quantiles(lag)}"
    if report["certificate"] is not None:
        yield "certificate", f"expires {_format_time(report['certificate'])}"
    yield "failures", f"{report['failures']}{'; the log has them' if report['failures'] else ''}"


def _cluster_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    how = {None: "none", True: "connected", False: "not connected"}[report["bus"]]
    since = "" if report["bus"] is None else f" for {timedelta(seconds=round(report['bus_for']))}"
    yield "bus", how + since
    yield "other nodes", f"{report['nodes']}, on which {report['names']} names are present"
    yield (
        "",
        f"{report['filled']} messages of other servers were read from the store, because the bus did not deliver them",
    )


def _format_time(time: float) -> str:
    return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S %z}"


def _format_quantiles(quantiles: dict[str, float]) -> str:
    return f"half within {quantiles['p50'] * 1000:.1f} ms, 99 of 100 within {quantiles['p99'] * 1000:.1f} ms"


def trace(options: AdminOptions, args: Namespace) -> int:
    with connect(options) as office:
        ways = _find_traces(office, args.which)
    for way in ways:
        for line in _trace_lines(way):
            print_line(line)
    return 0


def _find_traces(client: AdminClient, words: list[str]) -> list[dict[str, Any]]:
    match words:
        case [room, seq] if room.startswith("#"):
            return [client.call("trace", name=room, seq=_parse_seq(seq))]
        case [account, id]:
            return list(client.call("trace_id", name=account, id=id))
        case [one, other, seq]:
            return [client.call("trace", name=one, seq=_parse_seq(seq), other=other)]
    raise UsageError("Name a message: a room and a seq, two names and a seq, or an account and an id.")


def _parse_seq(seq: str) -> int:
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        raise UsageError(f"A seq is a number, not {seq!r}.")
    return min(int(seq), MAX_SEQ)


def _trace_lines(message_trace: dict[str, Any]) -> Iterator[str]:
    yield f"{message_trace['conversation']} {message_trace['seq']}"
    time = datetime.fromtimestamp(message_trace["time"]).astimezone().isoformat(" ", "milliseconds")
    device = f", device {message_trace['device']}" if message_trace["device"] else ""
    yield f"  stored {time}"
    id = f", id {message_trace['id']}" if message_trace["id"] else ""
    yield f"  from {message_trace['from']}{device}{id}, to {message_trace['to']}"
    yield "  erased" if message_trace["erased"] else f"  {message_trace['size']} characters"
    for reader in message_trace["readers"]:
        yield f"  {reader['name']}: {_reader_state(reader)}"
        for each in reader["devices"]:
            yield f"    {each['name']}: {_device_state(each)}"


def _reader_state(reader: dict[str, Any]) -> str:
    if reader["guest"]:
        return f"a guest, {_session_state(reader['session'])}"
    if not reader["may_read"]:
        return "joined later, and may not read it"
    if not reader["devices"]:
        return "has no device yet"
    return f"has read up to {reader['read']}" if reader["read"] else "has marked nothing as read"


def _device_state(device: dict[str, Any]) -> str:
    done = "sent it, " if device["sender"] else "has acknowledged it, " if device["acknowledged"] else ""
    if device["session"] is None:
        return f"{done or 'has not acknowledged it, '}not here"
    return f"{done or 'has not acknowledged it, '}{_session_state(device['session'], done=bool(done))}"


def _session_state(session: dict[str, Any], *, done: bool = False) -> str:
    """Describe a session: whether it was sent the message (left out if `done`), and how many frames are queued."""
    handed = "" if done else "was sent it, " if session["handed_over"] else "was not sent it, "
    behind = "behind, " if session["behind"] else ""
    return f"{handed}here, {behind}{session['waiting']} frames queued"
