"""The commands `status` (the state of the server) and `trace` (where one message was delivered)."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from gmessenger.admin.client import AdminClient, connect, connect_running
from gmessenger.admin.results import ReaderTrace, TraceReport, parse_result
from gmessenger.chat.admin_results import ClusterReport, DeviceTrace, FilesReport, Quantiles, SessionTrace, StatusReport
from gmessenger.config.options import AdminOptions
from gmessenger.console import print_line
from gmessenger.errors import UsageError
from gmessenger.field_types import MAX_SEQ
from gmessenger.names import is_room

ROW_FORMAT: Final = "{:<13}{}"


def status(options: AdminOptions, args: Namespace) -> int:
    """Run `status`."""
    with connect_running(options) as client:
        report = parse_result(client.call("status"), StatusReport)
    for title, text in _status_rows(report):
        print_line(ROW_FORMAT.format(title, text).rstrip())
    return 0


def _status_rows(report: StatusReport) -> Iterator[tuple[str, str]]:
    store, commits = report.store, report.commits
    yield "server", f"gmessenger {report.version}, process {report.pid}, port {report.port}"
    if irc := _describe_irc(report):
        yield "IRC", irc
    yield "up for", f"{_format_duration(report.uptime)}{', stopping now' if report.draining else ''}"
    total = sum(int(count) for *_, count in report.connections)
    yield "connections", f"{total} of at most {report.most_connections}"
    for *labels, count in report.connections:
        yield "", f"{count} {' '.join(map(str, labels))}"
    yield "behind", f"{report.behind} sessions are catching up"
    yield "outboxes", f"{report.waiting} frames queued, {report.longest} in the longest queue"
    size = f"{store.bytes / 1e6:.1f} MB" if store.bytes is not None else "which is unreachable now"
    yield "store", f"{store.url}, {size}, identity {store.identity}"
    if report.files is not None:
        yield "files", _describe_files(report.files)
    if report.cluster is not None:
        yield from _cluster_rows(report.cluster)
    yield "commits", f"{commits.count}, of the latest {_format_quantiles(commits)}; {store.failed} failed"
    yield "loop lag", f"of the latest {_format_quantiles(report.lag)}"
    if report.certificate is not None:
        yield "certificate", f"expires {_format_time(report.certificate)}"
    yield "failures", f"{report.failures}{'; the log has them' if report.failures else ''}"


def _describe_irc(report: StatusReport) -> str:
    """Say where IRC is spoken; empty for nowhere."""
    places = {"port": report.irc_port, "with TLS port": report.irc_tls_port, "over WebSocket": report.irc_websocket}
    return ", ".join(f"{what} {place}" for what, place in places.items() if place not in (None, ""))


def _describe_files(report: FilesReport) -> str:
    uploads = f", {report.uploads} being uploaded" if report.uploads else ""
    return f"{report.folder}, {report.count} files, {report.size / 1e6:.1f} of {report.limit / 1e6:.0f} MB{uploads}"


def _cluster_rows(report: ClusterReport) -> Iterator[tuple[str, str]]:
    state = {None: "none", True: "connected", False: "not connected"}[report.bus]
    yield "bus", state if report.bus is None else f"{state} for {_format_duration(report.bus_for)}"
    yield "other nodes", f"{report.nodes}, on which {report.names} names are present"
    yield (
        "",
        f"{report.filled} messages of other servers were read from the store, because the bus did not deliver them",
    )


def _format_duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _format_time(time: float) -> str:
    return f"{datetime.fromtimestamp(time).astimezone():%Y-%m-%d %H:%M:%S %z}"


def _format_quantiles(quantiles: Quantiles) -> str:
    return f"half within {quantiles.p50 * 1000:.1f} ms, 99 of 100 within {quantiles.p99 * 1000:.1f} ms"


def trace(options: AdminOptions, args: Namespace) -> int:
    """Run `trace`."""
    with connect(options) as client:
        reports = _fetch_traces(client, args.which)
    for report in reports:
        for line in _trace_lines(report):
            print_line(line)
    return 0


def _fetch_traces(client: AdminClient, words: list[str]) -> list[TraceReport]:
    match words:
        case [room, seq] if is_room(room):
            return [parse_result(client.call("trace", name=room, seq=parse_seq(seq)), TraceReport)]
        case [account, id]:
            return parse_result(client.call("trace_id", name=account, id=id), list[TraceReport])
        case [name, other, seq]:
            return [parse_result(client.call("trace", name=name, seq=parse_seq(seq), other=other), TraceReport)]
    raise UsageError("Name a message: a room and a seq, two names and a seq, or an account and an id.")


def parse_seq(seq: str) -> int:
    """Return the number that a word of the command line is. Raises `UsageError`."""
    if not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        raise UsageError(f"A seq is a number, not {seq!r}.")
    return min(int(seq), MAX_SEQ)


def _trace_lines(report: TraceReport) -> Iterator[str]:
    yield f"{report.conversation} {report.seq}"
    time = datetime.fromtimestamp(report.time).astimezone().isoformat(" ", "milliseconds")
    device = f", device {report.device}" if report.device else ""
    yield f"  stored {time}"
    id = f", id {report.id}" if report.id else ""
    yield f"  from {report.sender}{device}{id}, to {report.to}"
    if report.about is not None:
        yield f"  {report.what or 'a reply'}, about {report.about}"
    yield _text_state(report)
    for reader in report.readers:
        yield f"  {reader.name}: {_reader_state(reader)}"
        for each in reader.devices:
            yield f"    {each.name}: {_device_state(each)}"


def _text_state(report: TraceReport) -> str:
    """Describe what became of the text."""
    if report.erased:
        by = f" by {report.erased_by}" if report.erased_by else ""
        return f"  erased{by}" + (f" {_format_time(report.erased_at)}" if report.erased_at is not None else "")
    edited = f", edited {_format_time(report.edited)}" if report.edited is not None else ""
    return f"  {report.size} characters{edited}"


def _reader_state(reader: ReaderTrace) -> str:
    if reader.session is not None:
        return f"a guest, {_session_state(reader.session)}"
    if not reader.may_read:
        return "joined later, and may not read it"
    if not reader.devices:
        return "has no device yet"
    return f"has read up to {reader.read}" if reader.read else "has marked nothing as read"


def _device_state(device: DeviceTrace) -> str:
    progress = "sent it, " if device.sender else "has acknowledged it, " if device.acknowledged else ""
    if device.session is None:
        return f"{progress or 'has not acknowledged it, '}not here"
    return f"{progress or 'has not acknowledged it, '}{_session_state(device.session, has_message=bool(progress))}"


def _session_state(session: SessionTrace, *, has_message: bool = False) -> str:
    """Describe a session: was it sent the message (left out if `has_message`), queued frames."""
    sent = "" if has_message else "was sent it, " if session.handed_over else "was not sent it, "
    behind = "behind, " if session.behind else ""
    return f"{sent}here, {behind}{session.waiting} frames queued"
