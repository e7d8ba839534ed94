"""How the server is, and where one message went: what the commands `status` and `trace` do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from gmessenger.admin.office import Office, open_counter, open_office
from gmessenger.errors import UsageError
from gmessenger.options import AdminOptions
from gmessenger.terminal_text import print_line

ROW: Final = "{:<13}{}"
MAX_SEQ: Final = 2**53
"""The highest seq that a server is asked for: there is none beyond it."""


def status(options: AdminOptions, given: Namespace) -> int:
    with open_counter(options) as office:
        told = office.ask("status")
    for title, text in _page(told):
        print_line(ROW.format(title, text).rstrip())
    return 0


def _page(told: dict[str, Any]) -> Iterator[tuple[str, object]]:
    store, commits, lag = told["store"], told["commits"], told["lag"]
    yield "server", f"gmessenger {told['version']}, process {told['pid']}, port {told['port']}"
    yield "up for", f"{timedelta(seconds=round(told['uptime']))}{', stopping now' if told['draining'] else ''}"
    total = sum(count for *_, count in told["connections"])
    yield "connections", f"{total} of at most {told['most_connections']}"
    for *labels, count in told["connections"]:
        yield "", f"{count} {' '.join(labels)}"
    yield "behind", f"{told['behind']} sessions are catching up"
    yield "outboxes", f"{told['waiting']} frames queued, {told['longest']} in the longest queue"
    size = f"{store['bytes'] / 1e6:.1f} MB" if store["bytes"] is not None else "which is unreachable now"
    yield "store", f"{store['url']}, {size}, identity {store['identity']}"
    if told["cluster"] is not None:
        yield from _cluster(told["cluster"])
    yield "commits", f"{commits['count']}, of the latest {_latest(commits)}; {store['failed']} failed"
    yield "loop lag", f"of the latest {_latest(lag)}"
    if told["certificate"] is not None:
        yield "certificate", f"expires {_moment(told['certificate'])}"
    yield "failures", f"{told['failures']}{'; the log has them' if told['failures'] else ''}"


def _cluster(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    how = {None: "none", True: "connected", False: "not connected"}[told["bus"]]
    since = "" if told["bus"] is None else f" for {timedelta(seconds=round(told['bus_for']))}"
    yield "bus", how + since
    yield "other nodes", f"{told['nodes']}, on which {told['names']} names are present"
    yield (
        "",
        f"{told['filled']} messages of other servers were read from the store, because the bus did not deliver them",
    )


def _moment(time: float) -> str:
    return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S %z}"


def _latest(figures: dict[str, float]) -> str:
    return f"half within {figures['p50'] * 1000:.1f} ms, 99 of 100 within {figures['p99'] * 1000:.1f} ms"


def trace(options: AdminOptions, given: Namespace) -> int:
    with open_office(options) as office:
        ways = _ways(office, given.which)
    for way in ways:
        for line in _told(way):
            print_line(line)
    return 0


def _ways(office: Office, which: list[str]) -> list[dict[str, Any]]:
    match which:
        case [room, seq] if room.startswith("#"):
            return [office.ask("trace", name=room, seq=_number(seq))]
        case [account, id]:
            return list(office.ask("trace_id", name=account, id=id))
        case [one, other, seq]:
            return [office.ask("trace", name=one, seq=_number(seq), other=other)]
    raise UsageError("Name a message: a room and a seq, two names and a seq, or an account and an id.")


def _number(seq: str) -> int:
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        raise UsageError(f"A seq is a number, not {seq!r}.")
    return min(int(seq), MAX_SEQ)


def _told(way: dict[str, Any]) -> Iterator[str]:
    yield f"{way['conversation']} {way['seq']}"
    time = datetime.fromtimestamp(way["time"]).astimezone().isoformat(" ", "milliseconds")
    device = f", device {way['device']}" if way["device"] else ""
    yield f"  stored {time}"
    yield f"  from {way['from']}{device}{', id ' + way['id'] if way['id'] else ''}, to {way['to']}"
    yield "  erased" if way["erased"] else f"  {way['size']} characters"
    for reader in way["readers"]:
        yield f"  {reader['name']}: {_reader(reader)}"
        for each in reader["devices"]:
            yield f"    {each['name']}: {_device(each)}"


def _reader(reader: dict[str, Any]) -> str:
    if reader["guest"]:
        return f"a guest, {_live(reader['session'])}"
    if not reader["may_read"]:
        return "joined later, and may not read it"
    if not reader["devices"]:
        return "has no device yet"
    return f"has read up to {reader['read']}" if reader["read"] else "has marked nothing as read"


def _device(device: dict[str, Any]) -> str:
    done = "sent it, " if device["sender"] else "has acknowledged it, " if device["acknowledged"] else ""
    if device["session"] is None:
        return f"{done or 'has not acknowledged it, '}not here"
    return f"{done or 'has not acknowledged it, '}{_live(device['session'], done=bool(done))}"


def _live(session: dict[str, Any], *, done: bool = False) -> str:
    """Somebody who is here: whether it was handed to them matters as long as they are not done with it."""
    handed = "" if done else "was sent it, " if session["handed_over"] else "was not sent it, "
    behind = "behind, " if session["behind"] else ""
    return f"{handed}here, {behind}{session['waiting']} frames queued"
