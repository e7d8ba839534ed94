"""Accounts: a guest's nick becomes one (IRCv3 `draft/account-registration`), or its connection that of one there is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gevent.event import Event

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.session import Session
from gmessenger.constants import ONLINE
from gmessenger.errors import AlreadyLoggedIn, Muted, WireError
from gmessenger.names import fold
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.profile_views import show_profiles
from gmessenger.server.irc.registration import DEFAULT_DEVICE, begin_delivery, make_login, open_outbox, open_session
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.welcome import say_logged_in, say_visible_host, show_rooms
from gmessenger.wire.irc.lines import Line, quote_param

NICK_AS_ACCOUNT: Final = "*"
INVITE_PREFIX: Final = "invite:"
"""Begins an invite where an e-mail address is expected: clients have a field for that, and none for invites."""
LOGIN_COST: Final = 5.0
REGISTRATION_COST: Final = 10.0

FAILURES: Final[dict[str, str]] = {
    "bad_name": "BAD_ACCOUNT_NAME",
    "bad_password": "UNACCEPTABLE_PASSWORD",
    "invite_refused": "INVITE_REQUIRED",
    "name_confusable": "BAD_ACCOUNT_NAME",
    "name_in_use": "ACCOUNT_EXISTS",
    "name_taken": "ACCOUNT_EXISTS",
    "registration_closed": "DISALLOWED",
    "store_unavailable": "TEMPORARILY_UNAVAILABLE",
    "too_fast": "TEMPORARILY_UNAVAILABLE",
    "too_many_registrations": "TEMPORARILY_UNAVAILABLE",
}
"""The codes with which REGISTER fails, by the messenger's; any other is in capitals."""


# -- registering


def register(handler: IrcHandler, line: Line) -> None:
    """Handle REGISTER after the registration of the connection."""

    def make(password: str, invite: str) -> None:
        register_nick(handler, password, invite, lambda: _say_registered(handler, handler.nick))

    _make_account(handler, line, handler.nick, make)


def register_early(handler: IrcHandler, line: Line) -> None:
    """Handle REGISTER before the registration of the connection: where guests are refused, there is no later."""
    nick = handler.registration.nick
    if handler.messenger.policy.guests:
        refuse_early(handler, line)
    else:
        _make_account(handler, line, nick, lambda *given: _register_stranger(handler, nick, *given))


def _make_account(handler: IrcHandler, line: Line, nick: str, make: Callable[[str, str], None]) -> None:
    """Make the nick an account by `make(password, invite)`, or answer why not."""
    account, email, password = line.params[:3]
    shown = (nick or NICK_AS_ACCOUNT) if account == NICK_AS_ACCOUNT else quote_param(account)
    if handler.session is not None and handler.session.account is not None:
        handler.fail("REGISTER", "ALREADY_AUTHENTICATED", shown, text=f"You are logged in as {handler.session.name}")
    elif not nick:
        handler.fail("REGISTER", "NEED_NICK", shown, text="The name of an account is its nick: NICK comes first")
    elif not handler.registration.is_admitted:
        handler.fail("REGISTER", "DISALLOWED", shown, text="The password of the server comes first: PASS")
    elif fold(shown) != fold(nick):
        handler.fail("REGISTER", "ACCOUNT_NAME_MUST_BE_NICK", shown, text="The name of an account is its nick")
    else:
        try:
            make(password, email.removeprefix(INVITE_PREFIX))
        except WireError as error:
            handler.fail("REGISTER", FAILURES.get(error.code, error.code.upper()), shown, text=str(error))


def _say_registered(handler: IrcHandler, name: str) -> None:
    params = ("SUCCESS", name, "The account is registered")
    handler.add(Reply(handler.network.server_name, "REGISTER", params, is_text=True))


def _register_stranger(handler: IrcHandler, nick: str, password: str, invite: str) -> None:
    """Make a nick an account, and log in as it. Blocks. Raises as `Messenger.register_stranger`."""
    messenger = handler.messenger
    handler.require_secure_transport()
    handler.charge(REGISTRATION_COST)
    login, outbox = make_login(handler, nick, password, DEFAULT_DEVICE), open_outbox(handler)

    def begin(session: Session) -> None:
        messenger.add_session(session)
        handler.set_session(session, login)
        handler.apply_capabilities()
        _say_registered(handler, session.name)
        host = handler.network.users.host(session.name)
        say_logged_in(handler, f"{session.name}!{handler.card.user}@{host}", session.name)

    with handler.logging_refusal(login):
        messenger.change_runner.run(
            lambda: messenger.register_stranger(login, _needed_invite(handler, invite), outbox), begin
        )


def _needed_invite(handler: IrcHandler, invite: str) -> str | None:
    """Return an invite where one is needed."""
    return invite if handler.messenger.policy.registration == "invite" else None


def refuse_early(handler: IrcHandler, line: Line) -> None:
    """Refuse REGISTER and VERIFY before the registration of the connection."""
    account = quote_param(line.params[0]) if line.params else "*"
    handler.fail(line.command, "COMPLETE_CONNECTION_REQUIRED", account, text="Complete the connection first")


def verify(handler: IrcHandler, line: Line) -> None:
    """Handle VERIFY: no registration waits for a code."""
    handler.fail("VERIFY", "INVALID_CODE", quote_param(line.params[0]), text="No account waits for a code")


def register_nick(handler: IrcHandler, password: str, invite: str, say_success: Callable[[], None]) -> None:
    """Make the nick of a guest an account, whose session this is then. Blocks.

    `invite` counts only where one is needed. Raises as `Messenger.register`, and `InsecureTransport`.
    """
    session, messenger = handler.require_session(), handler.messenger
    if session.account is not None:
        raise AlreadyLoggedIn
    handler.require_secure_transport()
    handler.charge(REGISTRATION_COST)

    def respond(result: object) -> None:
        say_success()
        say_logged_in(handler, handler.own_source, handler.nick)
        say_visible_host(handler)
        handler.flush_replies()

    def catch_up() -> None:
        handler.caught_up = Event()
        messenger.delivery.start_catch_up(session)

    messenger.change_runner.run(
        lambda: messenger.register(session, password, _needed_invite(handler, invite), DEFAULT_DEVICE),
        respond,
        catch_up,
    )


# -- logging in as an account


def take_over(handler: IrcHandler, login: LoginRequest, say_success: Callable[[str, str], None]) -> None:
    """Log in as an account, whose session takes over the connection of a guest: that leaves. Blocks.

    `say_success` is called with the source and the name of the account. Raises as `open_session`; then the guest goes
    on, as if nothing had been asked.
    """
    guest = handler.require_session()
    handler.flush_messages()
    handler.charge(LOGIN_COST)
    session = open_session(handler, login)
    if guest.outbox.closed:  # it was ended meanwhile
        handler.messenger.logout(session)
        session.outbox.close()
        return
    say_success(f"{session.name}!{handler.card.user}@{handler.network.users.host(session.name)}", session.name)
    try:
        source = _leave_as_guest(handler, guest, session.name)
    except BaseException:  # the connection is gone
        handler.messenger.logout(session)
        raise
    _continue_as(handler, session, login)
    if session.name != guest.name:
        handler.add(Reply(source, "NICK", (session.name,)))
    if guest.status != ONLINE:
        with suppress(Muted):
            handler.messenger.set_status(session, guest.status, guest.note, is_unattended=guest.is_unattended)
    say_visible_host(handler)
    show_rooms(handler)
    show_profiles(handler)
    begin_delivery(handler, session)


def _leave_as_guest(handler: IrcHandler, guest: Session, account: str) -> str:
    """End a guest's session, and block until all that it was sent is written. Returns its source."""
    source = handler.own_source
    for room in handler.messenger.rooms.guest_rooms(guest):
        handler.add(Reply(source, "PART", (room.name,)))
    handler.log_out("logged in", f"Logged in as {account}")
    handler.flush_replies()
    handler.connection.writer.drain()
    guest.outbox.close()
    handler.network.users.remove(guest)
    handler.network.clients.remove(handler, guest.key)
    handler.sent.clear()
    return source


def _continue_as(handler: IrcHandler, session: Session, login: LoginRequest) -> None:
    """Make an account's session the handler's. What is sent to it is written after `begin_delivery`."""
    handler.set_session(session, login)
    handler.nick, handler.is_writing_outbox = session.name, False
    handler.connection.writer.set_source(bytes)
    handler.apply_capabilities()
    handler.network.users.add(session, handler.card)
    handler.network.clients.add(handler)
