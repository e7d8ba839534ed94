"""Registering at the login, by the library: also where guests are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gmessenger.client import Client, Connected
from gmessenger.errors import BadPassword, GuestsDisabled, InvalidInvite, NameTaken, Refused, WireError
from tests.conftest import RunningServer

PASSWORD = "correct horse battery"


@pytest.fixture
def make_client() -> Callable[..., Client]:
    return lambda server, name, **more: Client(server.host, server.port, name, **more)


def cause_of(start: Callable[..., Any], *arguments: Any) -> WireError:
    with pytest.raises(Refused) as caught:
        start(*arguments)
    assert isinstance(caught.value.__cause__, WireError)
    return caught.value.__cause__


@pytest.mark.parametrize("guests", [False, True])
def test_a_client_registers_and_is_logged_in_as_the_account(
    guests: bool, start_server: Callable[..., RunningServer], make_client: Callable[..., Client]
) -> None:
    server = start_server(guests=guests)
    erin = make_client(server, "erin", device="laptop")
    erin.start_registered(PASSWORD)
    assert erin.is_account and isinstance(next(erin), Connected)
    assert [device.name for device in erin.devices()] == ["laptop"]
    erin.close()
    again = make_client(server, "erin", password=PASSWORD, device="laptop")
    again.start()
    assert again.is_account
    again.close()


def test_a_refused_registration_may_be_tried_again_and_then_logs_in_only(
    start_server: Callable[..., RunningServer], make_client: Callable[..., Client]
) -> None:
    server = start_server(guests=False, registration="invite")
    server.app.store.add_invite("let-me-in", 1.0)
    erin = make_client(server, "erin")
    refused = cause_of(erin.start)
    assert isinstance(refused, GuestsDisabled) and refused.registration == "invite"
    assert isinstance(cause_of(erin.start_registered, "short", "let-me-in"), BadPassword)
    assert isinstance(cause_of(erin.start_registered, PASSWORD, "guessed"), InvalidInvite)
    assert isinstance(cause_of(erin.start_registered, PASSWORD), InvalidInvite)
    assert isinstance(cause_of(erin.start), GuestsDisabled)
    erin.start_registered(PASSWORD, "let-me-in")
    assert erin.is_account
    server.app.store.add_invite("another", 1.0)
    assert isinstance(cause_of(make_client(server, "erin").start_registered, PASSWORD, "another"), NameTaken)
    erin.close()
