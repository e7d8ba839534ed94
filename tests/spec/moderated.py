"""A town with an operator: hank may do what others may not."""

import time

from gmessenger.chat.administration import Administration
from tests.conftest import FAST
from tests.course_clients import Frame
from tests.spec.people import Person, Town


def office(town: Town) -> Administration:
    """What `gmessenger-admin` talks to."""
    app = town.server.app
    return Administration(app.messenger, app.store, FAST, time.time)


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
