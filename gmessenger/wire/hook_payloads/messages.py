"""Payloads that are messages already: of programs that post to Slack, Mattermost, Discord or Gotify, or by Apprise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from gmessenger.wire.hook_payloads.translation import (
    Payload,
    Translation,
    get_object,
    get_objects,
    get_text,
    join_lines,
)

SLACK_REFERENCE: Final = re.compile(r"<([^<>|\n]++)(?:\|([^<>\n]*+))?>")
"""A link, or a mention, in Slack's markup: `<https://example.org|word>`, `<@U024BE7LH>`, `<!here>`."""
MAX_BLOCK_DEPTH: Final = 4  # of elements within a block: a list in a rich text


def translate_discord(payload: Payload) -> Translation | None:
    """Translate a message of Discord's webhooks: the content, then title, description, fields and URL of each embed."""
    embeds = (join_lines(_embed_lines(embed)) for embed in get_objects(payload.content, "embeds"))
    return _translation([get_text(payload.content, "content"), *embeds])


def _embed_lines(embed: dict[str, Any]) -> Iterator[str]:
    yield get_text(embed, "title")
    yield get_text(embed, "description")
    for field in get_objects(embed, "fields"):
        yield _labelled(get_text(field, "name"), get_text(field, "value"))
    yield get_text(embed, "url")


def translate_slack(payload: Payload) -> Translation | None:
    """Translate a message of Slack's or Mattermost's webhooks: the text, or its blocks, then each attachment.

    Where there are blocks, Slack shows the text in notifications only: it says the same in short.
    """
    content = payload.content
    blocks = join_lines(_block_lines(content))
    attachments = (join_lines(_attachment_lines(attachment)) for attachment in get_objects(content, "attachments"))
    return _translation([blocks or _from_markup(get_text(content, "text")), *attachments])


def _attachment_lines(attachment: dict[str, Any]) -> Iterator[str]:
    lines = [
        _from_markup(get_text(attachment, "pretext")),
        _from_markup(get_text(attachment, "title")),
        _from_markup(get_text(attachment, "text")),
        *(
            _labelled(get_text(field, "title"), _from_markup(get_text(field, "value")))
            for field in get_objects(attachment, "fields")
        ),
        *_block_lines(attachment),
    ]
    yield from lines if any(lines) else [_from_markup(get_text(attachment, "fallback"))]
    yield get_text(attachment, "title_link")


def _block_lines(content: dict[str, Any]) -> Iterator[str]:
    """Yield the text of each block (https://api.slack.com/reference/block-kit/blocks)."""
    for block in get_objects(content, "blocks"):
        yield _element_text(block)
        for field in get_objects(block, "fields"):
            yield _element_text(field)
        if block.get("type") == "rich_text":
            yield from (_rich_text(element, MAX_BLOCK_DEPTH) for element in get_objects(block, "elements"))
        else:
            yield " ".join(filter(None, map(_element_text, get_objects(block, "elements"))))


def _element_text(element: dict[str, Any]) -> str:
    """Return the text of a block or of an element in it: its own, that of its text object, or of a picture."""
    text = get_text(element, "text") or get_text(get_object(element, "text"), "text") or get_text(element, "alt_text")
    url = get_text(element, "url", "image_url")
    return _labelled(_from_markup(text), url, " ")


def _rich_text(element: dict[str, Any], depth: int) -> str:
    """Return the text of an element of a rich text: sections are lines, and so are the items of a list."""
    if get_text(element, "type") == "rich_text_list":
        items = (_rich_text(item, depth - 1) for item in get_objects(element, "elements")) if depth else ()
        return join_lines(f"- {item}" for item in items)
    if "elements" in element:
        parts = (_rich_text(part, depth - 1) for part in get_objects(element, "elements")) if depth else ()
        return "".join(parts)
    text, url = element.get("text"), get_text(element, "url")
    shown = text if isinstance(text, str) else ""
    if not shown:
        name = get_text(element, "name", "user_id", "channel_id", "range")
        shown = f":{name}:" if element.get("type") == "emoji" else f"@{name}" if name else ""
    return f"{shown} ({url})" if shown and url else shown or url


def _from_markup(text: str) -> str:
    """Return Slack's markup as text: links as `word (url)`, mentions by name, and characters that were escaped."""
    if "<" in text:
        text = SLACK_REFERENCE.sub(_replace_reference, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text


def _replace_reference(found: re.Match[str]) -> str:
    target, label = found[1], found[2] or ""
    if target[0] in "@#!":
        sign = "#" if target[0] == "#" else "@"
        return f"{sign}{(label or target[1:]).lstrip('@#')}"
    if not label or label == target or target.partition(":")[2].strip("/") == label:
        return target.removeprefix("mailto:")
    return f"{label} ({target})"


def translate_message(payload: Payload) -> Translation | None:
    """Translate a title and a message, as Gotify and Apprise have them, and many programs besides."""
    title, text = get_text(payload.content, "title"), get_text(payload.content, "message", "body", "msg")
    return _translation([title if title != text else "", text])


def _labelled(label: str, text: str, separator: str = ": ") -> str:
    return separator.join(filter(None, (label, text)))


def _translation(parts: list[str]) -> Translation | None:
    text = join_lines(parts)
    return Translation(text) if text else None
