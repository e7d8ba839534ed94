"""The table of programs that post to hooks: how each is told from others, and what translates its bodies.

Import it where it is needed only: it loads slowly, and few servers have hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from gmessenger.wire.hook_payloads.alerts import translate_alerts, translate_uptime_kuma
from gmessenger.wire.hook_payloads.bodies import decode_body
from gmessenger.wire.hook_payloads.forges import translate_github, translate_gitlab
from gmessenger.wire.hook_payloads.messages import translate_discord, translate_message, translate_slack
from gmessenger.wire.hook_payloads.translation import (
    NOTHING_TO_SAY,
    NoTextError,
    Payload,
    Translation,
    clean_text,
    find_key,
)


class SenderRule(Struct, frozen=True):
    """A row of `RULES`: the programs that send so, how that is seen, and the function that translates it.

    The function returns None where it finds no text: then the next row is tried.
    """

    senders: str
    matches: Callable[[Payload], bool]
    translate: Callable[[Payload], Translation | None]


def _has_header(*names: str) -> Callable[[Payload], bool]:
    return lambda payload: any(name in payload.headers for name in names)


def _has_field(*names: str) -> Callable[[Payload], bool]:
    return lambda payload: any(name in payload.content for name in names)


RULES: Final = (
    SenderRule(
        "GitHub, Gitea, Forgejo, Gogs", _has_header("x-github-event", "x-gitea-event", "x-gogs-event"), translate_github
    ),
    SenderRule("GitLab", _has_header("x-gitlab-event"), translate_gitlab),
    SenderRule("Alertmanager, Grafana", _has_field("alerts"), translate_alerts),
    SenderRule("Uptime Kuma", _has_field("heartbeat", "monitor"), translate_uptime_kuma),
    SenderRule("Discord", _has_field("content", "embeds"), translate_discord),
    SenderRule("Slack, Mattermost, Healthchecks", _has_field("text", "attachments", "blocks"), translate_slack),
    SenderRule("Gotify, Apprise, others", _has_field("message", "title", "body", "msg"), translate_message),
)
"""The first row that matches, and finds a text, translates."""


def translate(headers: Mapping[str, str], body: bytes, max_text: int) -> Translation:
    """Return the message of a post, with its text cut to `max_text` characters; without text there is nothing to say.

    Args:
        headers: by lower-case name, as HTTP has them (in Latin-1).
        body: at most `MAX_BODY` bytes, however it is encoded.

    Raises:
        NoTextError: nothing in it can be said.
    """
    content = decode_body(headers, body)
    found = Translation(content) if isinstance(content, str) else _apply_rules(Payload(headers, content))
    if found is None:
        raise NoTextError
    text = ""
    if found is not NOTHING_TO_SAY and not (text := clean_text(found.text, max_text)):
        raise NoTextError
    return Translation(text, find_key(headers), found.firing, found.resolved)


def _apply_rules(payload: Payload) -> Translation | None:
    for rule in RULES:
        if rule.matches(payload) and (found := rule.translate(payload)) is not None:
            return found
    return None
