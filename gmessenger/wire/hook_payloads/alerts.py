"""Payloads of monitoring: alerts of Alertmanager (version 4 of its webhook) and Grafana, and of Uptime Kuma.

An alert has a fingerprint, by which the message that it is resolved finds the one that it was firing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from gmessenger.wire.hook_payloads.translation import (
    MAX_FINGERPRINTS,
    Payload,
    Translation,
    get_number,
    get_object,
    get_objects,
    get_text,
    join_lines,
    make_fingerprint,
)

MAX_SHOWN: Final = 10  # alerts of each state
MAX_NAMES: Final = 3  # of alerts in the heading
MAX_LABELS: Final = 20
RESOLVED: Final = "resolved"
NAME_LABEL: Final = "alertname"
URL_FIELDS: Final = ("generatorURL", "panelURL", "dashboardURL")


def translate_alerts(payload: Payload) -> Translation | None:
    """Translate a notification of a group of alerts: those that fire, then those that are resolved, a line for each."""
    alerts = list(get_objects(payload.content, "alerts", MAX_FINGERPRINTS))
    if not alerts:
        return None
    resolved = [alert for alert in alerts if _state(payload.content, alert) == RESOLVED]
    firing = [alert for alert in alerts if _state(payload.content, alert) != RESOLVED]
    cut = len(payload.content["alerts"]) - len(alerts) + get_number(payload.content, "truncatedAlerts")
    common = get_object(payload.content, "commonLabels") if len(alerts) > 1 else None
    text = join_lines(
        [
            *_section("FIRING", firing, common, cut if firing else 0),
            *_section("RESOLVED", resolved, common, 0 if firing else cut),
        ]
    )
    return Translation(text, None, tuple(map(_fingerprint, firing)), tuple(map(_fingerprint, resolved)))


def _state(content: dict[str, Any], alert: dict[str, Any]) -> str:
    return (get_text(alert, "status") or get_text(content, "status")).lower()


def _section(state: str, alerts: Sequence[dict[str, Any]], common: dict[str, Any] | None, cut: int) -> Iterator[str]:
    """Yield the heading and the lines of the alerts in one state; `cut` more were left out by the sender."""
    if not alerts:
        return
    count = len(alerts) + max(cut, 0)
    names = list(dict.fromkeys(get_text(get_object(alert, "labels"), NAME_LABEL) for alert in alerts))
    shown = ", ".join(filter(None, names[:MAX_NAMES])) + (", …" if len(names) > MAX_NAMES else "")
    yield f"{state}{f' {count}' if count > 1 else ''}{f': {shown}' if shown else ''}"
    for alert in alerts[:MAX_SHOWN]:
        yield _line(alert, common)
    if count > MAX_SHOWN:
        yield f"and {count - min(len(alerts), MAX_SHOWN)} more"


def _line(alert: dict[str, Any], common: dict[str, Any] | None) -> str:
    """Return what an alert says of itself, the labels in which it differs from the `common` ones, and its URL.

    Of one that is alone, for which `common` is None, the labels are shown only if it says nothing.
    """
    says = get_text(get_object(alert, "annotations"), "summary", "description", "message")
    says = " ".join(says.split())
    labels = {} if common is None and says else get_object(alert, "labels")
    shown = ", ".join(f"{name}={value}" for name, value in _own_labels(labels, common or {}))
    return " ".join(filter(None, (says, f"({shown})" if says and shown else shown, _url(alert))))


def _url(alert: dict[str, Any]) -> str:
    """Return the URL of an alert; of the test message of Grafana the first is none."""
    urls = (get_text(alert, name) for name in URL_FIELDS)
    return next((url for url in urls if url.startswith(("http://", "https://"))), "")


def _own_labels(labels: dict[str, Any], common: dict[str, Any]) -> list[tuple[str, str]]:
    own = [
        (name, value)
        for name, value in labels.items()
        if isinstance(value, str)
        and value
        and common.get(name) != value
        and name != NAME_LABEL
        # Labels with underscores around them are Grafana's own.
        and not name.startswith("__")
    ]
    return own[:MAX_LABELS]


def _fingerprint(alert: dict[str, Any]) -> str:
    """Return the fingerprint of an alert, made of its labels where its sender gives none."""
    given = get_text(alert, "fingerprint")
    return make_fingerprint(given or repr(sorted(map(str, get_object(alert, "labels").items()))))


DOWN, UP = 0, 1
PAGE_MONITORS: Final = frozenset({"http", "keyword", "json-query", "real-browser"})
"""Types of monitors that have a URL; of the others the field has only its beginning."""


def translate_uptime_kuma(payload: Payload) -> Translation | None:
    """Translate a notification of Uptime Kuma: its message, and the URL of what it monitors."""
    text = get_text(payload.content, "msg")
    if not text:
        return None
    heartbeat, monitor = get_object(payload.content, "heartbeat"), get_object(payload.content, "monitor")
    url = get_text(monitor, "url") if get_text(monitor, "type") in PAGE_MONITORS else ""
    text = join_lines([text, url if url not in text else ""])
    fingerprint = (make_fingerprint(f"uptime kuma {get_number(monitor, 'id')} {get_text(monitor, 'name')}"),)
    status = heartbeat.get("status")
    if not monitor or status not in (DOWN, UP):
        return Translation(text)
    return Translation(text, None, fingerprint, ()) if status == DOWN else Translation(text, None, (), fingerprint)
