"""One message to several targets under one label: what each is answered is put into one batch with the label."""

from __future__ import annotations

from collections.abc import Sequence

from gmessenger.server.irc.handler import IrcHandler, ResponseGroup
from gmessenger.server.irc.replies import Reply


def open_group(handler: IrcHandler, count: int) -> ResponseGroup | None:
    """Begin a batch for the answers of so many targets, if the command has a label."""
    label = handler.buffer.take_label() if count > 1 else None
    if label is None:
        return None
    group = ResponseGroup(handler.network.next_batch(), count)
    params = (f"+{group.reference}", "labeled-response")
    handler.add(Reply(handler.network.server_name, "BATCH", params, tags={"label": label}))
    handler.flush_replies()
    return group


def answer_in_group(handler: IrcHandler, group: ResponseGroup, lines: Sequence[Reply]) -> list[Reply]:
    """Return the answer of one target in the batch, which ends with that of the last."""
    for line in lines:
        if "batch" not in line.tags:
            line.tags = {"batch": group.reference, **line.tags}
    group.left -= 1
    end = Reply(handler.network.server_name, "BATCH", (f"-{group.reference}",))
    return [*lines, end] if not group.left else list(lines)


def end_in_group(handler: IrcHandler, group: ResponseGroup) -> None:
    """Count a target that was answered at once, or needs no answer."""
    for line in answer_in_group(handler, group, ()):
        handler.add(line)
