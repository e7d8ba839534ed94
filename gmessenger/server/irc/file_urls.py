"""URLs of files in what clients say: the first message with the URL of a file that waits to be sent gets the file.

Clients upload by HTTP to the URL of `soju.im/FILEHOST`, and then say the URL of the file as any other.
"""

from __future__ import annotations

import re
from typing import Final

from gmessenger.chat.records import About
from gmessenger.server.irc.handler import IrcHandler, IrcMessage
from gmessenger.server.irc.messages import CUTS
from gmessenger.urls import FILE_PATH, file_path

FILE_ID: Final = re.compile(r"[\w-]+", re.ASCII)


def has_file_url(handler: IrcHandler, *texts: str) -> bool:
    """Return whether the session may send files, and the URL of one is in one of the texts."""
    session, policy = handler.session, handler.messenger.policy
    if session is None or session.account is None or not policy.takes_files:
        return False
    return any(FILE_PATH in text and f"{handler.network.upload_url}/" in text for text in texts)


def take_file(handler: IrcHandler, message: IrcMessage, about: About | None) -> str | None:
    """Return the id of the file whose URL is in a message, and take the URL out of its text; None without a file.

    The file is one of the account that no message has got. Blocks until what was sent before is answered, as that may
    have got it. Raises `StoreUnavailable`.
    """
    if not has_file_url(handler, message.text) or (about is not None and about.what != "reply"):
        return None
    handler.flush_messages()
    session, messenger = handler.require_session(), handler.messenger
    for rest in message.text.split(f"{handler.network.upload_url}/")[1:]:
        found = FILE_ID.match(rest)
        file = messenger.files.find_waiting(session, found[0]) if found is not None else None
        if file is not None:
            url = messenger.policy.web_url + file_path(file.id, file.name)
            message.text = _without(message.text, url)
            message.tags.pop(CUTS, None)  # they are places in the text
            return file.id
    return None


def _without(text: str, url: str) -> str:
    """Return a text without a URL, and without the space before it or the line that it was alone in."""
    before, _, after = text.partition(url)
    before = before.rstrip(" ")
    return (before.removesuffix("\n") + after if after[:1] in ("", "\n") else before + after).strip()
