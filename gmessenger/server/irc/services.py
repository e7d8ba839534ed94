"""NickServ: what users do with their accounts, by messages to it (as on other networks)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from gmessenger.chat.certificates import parse_fingerprint
from gmessenger.errors import AccountDeleted, AlreadyLoggedIn, BadRequest, WireError, WrongPassword
from gmessenger.names import fold
from gmessenger.server.irc.accounts import register_nick, take_over
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.registration import make_login
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.user_views import find_user
from gmessenger.server.irc.welcome import say_logged_in
from gmessenger.wire.irc.lines import Line
from gmessenger.wire.irc.text import split_words

CHANGE_COST: Final = 10.0
PASSWORD_AND_EMAIL: Final = re.compile(r'[^ "][^ ]* +[^ @]+@[^ @]+\.[^ @]+')
"""What other networks ask for: both together would become the password, of which its owner knows a part only."""


class ServiceCommand(Struct, frozen=True):
    """A command of the service, which is given what follows its name.

    `least`: how many parameters it needs; `usage`: what they are. The last is the rest of the line, so that a password
    may have spaces; any other parameter that has some is put in double quotes.
    """

    handle: Callable[[IrcHandler, str], None]
    least: int
    usage: str
    help: str


def ask_service(handler: IrcHandler, line: Line) -> None:
    """Handle NICKSERV and NS."""
    handle_service_message(handler, " ".join(line.params))


def handle_service_message(handler: IrcHandler, text: str) -> None:
    """Do what a message to the service asks for. Blocks as its commands do."""
    handler.flush_messages()
    name, _, params = text.strip(" ").partition(" ")
    name = name.upper() or "HELP"
    command = SERVICE_COMMANDS.get(name)
    if command is None:
        say(handler, f"There is no command {name[:32]}. HELP lists those there are.")
    elif len(split_words(params, command.least)) < command.least:
        say(handler, f"It is: {name} {command.usage}")
    else:
        try:
            command.handle(handler, params)
        except WireError as error:
            say(handler, str(error))


def say(handler: IrcHandler, text: str) -> None:
    """Have the service say something to the client."""
    handler.add(Reply(handler.network.service_source, "NOTICE", (handler.nick, text), is_text=True))


def _register(handler: IrcHandler, params: str) -> None:
    needs_invite = handler.messenger.policy.registration == "invite"
    if not needs_invite and PASSWORD_AND_EMAIL.fullmatch(params.strip(" ")):
        raise BadRequest(
            "No e-mail address is wanted here: REGISTER <password>. A password with spaces goes in double quotes."
        )
    password, *invite = split_words(params, 2 if needs_invite else 1)

    def say_success() -> None:
        say(handler, f"The nick {handler.nick} is an account now. Keep the password: nobody else has it.")

    register_nick(handler, password, invite[0] if invite else "", say_success)


def _identify(handler: IrcHandler, params: str) -> None:
    if handler.require_session().account is not None:
        raise AlreadyLoggedIn(f"You are logged in as {handler.nick} already.")
    *names, password = split_words(params, 2)
    text = names[0] if names else handler.nick
    name, _, device = text.partition("@")
    if fold(name) not in handler.messenger.authenticator.accounts:
        raise WrongPassword(f"There is no account {name[:32]}: IDENTIFY name password.")

    def say_success(source: str, account: str) -> None:
        say_logged_in(handler, source, account)
        say(handler, f"You are logged in as {account}.")

    take_over(handler, make_login(handler, name, password, device or None), say_success)


def _drop(handler: IrcHandler, params: str) -> None:
    session, messenger = handler.require_session(), handler.messenger
    (password,) = split_words(params, 1)
    handler.require_secure_transport()
    handler.charge(CHANGE_COST)

    def respond(result: object) -> None:
        say(handler, "The account is deleted, with what it has said.")
        handler.flush_replies()

    with handler.counting_failures():
        messenger.change_runner.run(
            lambda: messenger.account_data.erase(session, password),
            respond,
            lambda: messenger.session_closer.close(session, AccountDeleted()),
        )


def _set(handler: IrcHandler, params: str) -> None:
    session, messenger = handler.require_session(), handler.messenger
    words = split_words(params, 3)
    if len(words) < 3 or words[0].upper() != "PASSWORD":
        say(handler, "Only the password can be set: SET PASSWORD <old> <new>")
        return
    session.require_account()
    handler.require_secure_transport()
    handler.charge(CHANGE_COST)
    _, old, new = words

    def respond(result: object) -> None:
        say(handler, "The password is changed. Your other clients have to log in again.")

    with handler.counting_failures():
        messenger.change_runner.run(lambda: messenger.credentials.change_password(session, old, new), respond)


def _certificate(handler: IrcHandler, params: str) -> None:
    name, *words = params.split()
    change = CERTIFICATE_COMMANDS.get(name.upper())
    handler.require_session().require_account()
    if change is None:
        say(handler, f"It is: CERT {CERTIFICATE_USAGE}")
    else:
        handler.charge(CHANGE_COST)
        change(handler, words)


def _add_certificate(handler: IrcHandler, params: list[str]) -> None:
    session, messenger, presented = handler.require_session(), handler.messenger, handler.client_certificate
    is_given = bool(params) and (len(params) > 1 or parse_fingerprint(params[0]) is not None)
    fingerprint = params[0] if is_given else presented
    if fingerprint is None:
        say(handler, "This connection has presented no certificate: CERT ADD <SHA-256 fingerprint> [<device>]")
        return
    device = next(iter(params[1:] if is_given else params), None)
    is_presented = parse_fingerprint(fingerprint) == presented

    def respond(added: tuple[str, str]) -> None:
        say(handler, f"The device {added[0]} logs in by the certificate {added[1]} (SASL EXTERNAL) from now on.")

    messenger.change_runner.run(
        lambda: messenger.certificates.add(session, fingerprint, device, is_presented=is_presented), respond
    )


def _list_certificates(handler: IrcHandler, params: list[str]) -> None:
    devices = handler.messenger.credentials.devices(handler.require_session()).devices
    lines = [f"{device.name}: {device.certificate}" for device in devices if device.certificate]
    for line in lines or ["None of your devices has a certificate."]:
        say(handler, line)


def _remove_certificate(handler: IrcHandler, params: list[str]) -> None:
    session, messenger = handler.require_session(), handler.messenger
    digits = parse_fingerprint(params[0]) if params else None
    devices = messenger.credentials.devices(session).devices if digits is not None else []
    named = next((each.name for each in devices if each.certificate == digits), params[0] if params else None)

    def respond(device: str) -> None:
        say(handler, f"The device {device} logs in by no certificate any more.")

    messenger.change_runner.run(lambda: messenger.certificates.remove(session, named), respond)


CERTIFICATE_USAGE: Final = "ADD [<fingerprint>] [<device>] | LIST | DEL [<device>|<fingerprint>]"
CERTIFICATE_COMMANDS: Final[dict[str, Callable[[IrcHandler, list[str]], None]]] = {
    "ADD": _add_certificate,
    "DEL": _remove_certificate,
    "LIST": _list_certificates,
}


def _info(handler: IrcHandler, params: str) -> None:
    nick = params.strip(" ") or handler.nick
    user = find_user(handler, nick)
    if user is None:
        say(handler, f"There is no account {nick[:32]}, and nobody here has that nick.")
        return
    kind = "an account" if user.account is not None else "a guest"
    say(handler, f"{user.name} is {kind}, and is {user.status.status}.")
    device = handler.require_session().device
    if user.key == handler.key and device is not None:
        say(handler, f"This client is its device {device.name}.")


def _explain(text: str) -> Callable[[IrcHandler, str], None]:
    """Return a command that does nothing but say why it is not needed."""
    return lambda handler, params: say(handler, text)


def _help(handler: IrcHandler, params: str) -> None:
    for name, command in SERVICE_COMMANDS.items():
        say(handler, f"{name} {command.usage}".rstrip() + f": {command.help}")
    say(handler, SPACES)


SPACES: Final = "The last parameter is the rest of the line; any other that has spaces goes in double quotes."
NO_GHOSTS: Final = "That is not needed: an account may be connected often, and a guest's nick is soon free again."
SERVICE_COMMANDS: Final[dict[str, ServiceCommand]] = {
    "CERT": ServiceCommand(_certificate, 1, CERTIFICATE_USAGE, "has a device log in by a TLS certificate"),
    "DROP": ServiceCommand(_drop, 1, "<password>", "deletes your account and what it has said"),
    "GHOST": ServiceCommand(_explain(NO_GHOSTS), 0, "", "is not needed"),
    "HELP": ServiceCommand(_help, 0, "", "lists the commands"),
    "IDENTIFY": ServiceCommand(_identify, 1, "[<name>[@<device>]] <password>", "logs in as an account"),
    "INFO": ServiceCommand(_info, 0, "[<nick>]", "says what is known of an account or a guest"),
    "LOGOUT": ServiceCommand(
        _explain("A connection stays that of its account: QUIT, and connect with another nick."), 0, "", "is not needed"
    ),
    "REGISTER": ServiceCommand(_register, 1, "<password> [<invite>]", "makes your nick an account"),
    "SET": ServiceCommand(_set, 1, "PASSWORD <old> <new>", "changes your password"),
}
"""The commands of the service."""
