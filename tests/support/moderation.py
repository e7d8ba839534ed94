"""A server with an operator, hank, and calls on behalf of its owner."""

import time
from collections.abc import Callable
from typing import Any

from gmessenger.chat.admin import AdminService
from gmessenger.chat.moderation import SERVER_OWNER
from tests.conftest import FAST
from tests.support.accounts import Person, Town
from tests.support.course_clients import Frame


def admin_service(town: Town) -> AdminService:
    """Return the service behind the control socket."""
    app = town.server.app
    return AdminService(app.messenger, app.store, FAST, time.time)


def as_owner(town: Town, method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method of `Moderation` on behalf of the owner of the server."""
    return method(town.server.app.messenger.moderation, SERVER_OWNER, *arguments)


def operator(town: Town, name: str = "hank") -> Person:
    """Log in an account that the owner of the server has made an operator."""
    admin_service(town).grant(name)
    return town.comes(name)


def done(answer: Frame) -> Frame:
    assert answer["response"] == 200, answer
    return answer


def refused(answer: Frame, word: str, code: int = 403) -> Frame:
    assert (answer["response"], answer["code"]) == (code, word), answer
    assert answer["error"].endswith(".")
    return answer
