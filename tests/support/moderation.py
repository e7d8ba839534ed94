"""A server with an operator, hank, and calls on behalf of its owner."""

import time
from collections.abc import Callable
from typing import Any

from gmessenger.chat.admin import AdminService
from gmessenger.constants import SERVER_OWNER
from tests.conftest import FAST
from tests.support.accounts import ChatServer, UserClient
from tests.support.course_clients import Frame


def admin_service(chat_server: ChatServer) -> AdminService:
    """Return the service behind the control socket."""
    app = chat_server.server.app
    return AdminService(app.messenger, app.store, FAST, time.time)


def as_owner(chat_server: ChatServer, method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of `Moderation` on behalf of the owner of the server."""
    return method(chat_server.server.app.messenger.moderation, SERVER_OWNER, *arguments)


def log_in_operator(chat_server: ChatServer, name: str = "hank") -> UserClient:
    """Log in an account that the owner of the server has made an operator."""
    admin_service(chat_server).grant(name)
    return chat_server.log_in(name)


def expect_ok(answer: Frame) -> Frame:
    assert answer["response"] == 200, answer
    return answer


def expect_error(answer: Frame, word: str, code: int = 403) -> Frame:
    assert (answer["response"], answer["code"]) == (code, word), answer
    assert answer["error"].endswith(".")
    return answer
