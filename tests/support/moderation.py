"""A town with an operator: hank may do what others may not."""

import time

from gmessenger.chat.admin import AdminService
from tests.conftest import FAST
from tests.support.accounts import Person, Town
from tests.support.course_clients import Frame


def office(town: Town) -> AdminService:
    """What `gmessenger-admin` talks to."""
    app = town.server.app
    return AdminService(app.messenger, app.store, FAST, time.time)


def operator(town: Town, name: str = "hank") -> Person:
    """Somebody whom the owner of the server has made an operator."""
    office(town).grant(name)
    return town.comes(name)


def done(answer: Frame) -> Frame:
    assert answer["response"] == 200, answer
    return answer


def refused(answer: Frame, word: str, code: int = 403) -> Frame:
    assert (answer["response"], answer["code"]) == (code, word), answer
    assert answer["error"].endswith(".")
    return answer
