"""From the first line to 001: capabilities, nick and user, passwords and SASL."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

from gevent.event import Event

from gmessenger.chat.auth import LoginRequest
from gmessenger.chat.outbox import Outbox
from gmessenger.chat.session import Session
from gmessenger.errors import (
    BadName,
    BadRequest,
    Forbidden,
    GuestsDisabled,
    InsecureTransport,
    Muted,
    NameInUse,
    PasswordRequired,
    WireError,
    WrongPassword,
)
from gmessenger.field_types import MAX_DEVICE
from gmessenger.names import check_name, fold
from gmessenger.server.irc.capabilities import FLAGS, Capability, flags_of, names_of
from gmessenger.server.irc.errors import command_refusal
from gmessenger.server.irc.handler import IrcHandler
from gmessenger.server.irc.network import MAX_REALNAME
from gmessenger.server.irc.own_user import set_away
from gmessenger.server.irc.profile_views import show_profiles
from gmessenger.server.irc.replies import Reply
from gmessenger.server.irc.users import make_user
from gmessenger.server.irc.welcome import greet, say_visible_host, show_rooms
from gmessenger.wire.irc.capabilities import (
    CAPABILITIES,
    VALUES_VERSION,
    add_implied,
    format_cap_list,
    parse_cap_request,
    parse_cap_version,
)
from gmessenger.wire.irc.lines import MAX_BODY, Line
from gmessenger.wire.irc.numerics import (
    ERR_ALREADYREGISTERED,
    ERR_ERRONEUSNICKNAME,
    ERR_INVALIDCAPCMD,
    ERR_NEEDMOREPARAMS,
    ERR_NICKNAMEINUSE,
    ERR_NONICKCHANGE,
    ERR_NONICKNAMEGIVEN,
    ERR_PASSWDMISMATCH,
    ERR_YOUREBANNEDCREEP,
)

RENAME_COST: Final = 5.0
DEFAULT_DEVICE: Final = "irc"
NOT_NAMED: Final = "*"
"""In the log, for a client that has not said which name it wants."""
ACCOUNT_REGISTRATION: Final = "draft/account-registration"
PLAIN: Final = "PLAIN"
EXTERNAL: Final = "EXTERNAL"
"""SASL by the certificate that the client has presented in TLS (RFC 4422, appendix A)."""


# -- capabilities


def negotiate(handler: IrcHandler, line: Line) -> None:
    """Handle CAP."""
    subcommand = line.params[0].upper()
    handle = CAP_COMMANDS.get(subcommand)
    if handle is None:
        handler.reply(ERR_INVALIDCAPCMD, line.params[0])
        return
    handle(handler, line.params[1:])


def offered(handler: IrcHandler) -> list[str]:
    """Return the names of the capabilities that this client is offered."""
    hidden = set()
    if not may_send_passwords(handler):
        hidden |= {name for name, capability in CAPABILITIES.items() if capability.secret}
    if handler.messenger.policy.registration == "closed":
        hidden.add(ACCOUNT_REGISTRATION)
    version = handler.registration.version
    return [
        name
        for name in CAPABILITIES
        if name in FLAGS and name not in hidden and (version >= VALUES_VERSION or name != "draft/multiline")
    ]


def _listed(handler: IrcHandler, name: str) -> str:
    """Return a capability with its value, as it is listed for a client that reads values."""
    if name == ACCOUNT_REGISTRATION and not handler.messenger.policy.guests:
        return f"{name}=before-connect"
    if name == "sasl":
        return f"{name}={mechanisms(handler)}"
    return CAPABILITIES[name].listed


def may_send_passwords(handler: IrcHandler) -> bool:
    """Return whether passwords on this connection cannot be read by others."""
    try:
        handler.require_secure_transport()
    except InsecureTransport:
        return False
    return True


def mechanisms(handler: IrcHandler) -> str:
    """Return the mechanisms of SASL that this connection may use, as they are listed."""
    return ",".join([PLAIN, *([EXTERNAL] if handler.client_certificate is not None else [])])


def _cap_ls(handler: IrcHandler, params: list[str]) -> None:
    registration = handler.registration
    if not handler.is_registered:
        registration.is_negotiating = True
    version = parse_cap_version(params[0]) if params else 0
    registration.version = max(registration.version, version)
    if registration.version >= VALUES_VERSION:
        handler.set_capabilities(handler.capabilities | Capability.CAP_NOTIFY)
    names = offered(handler)
    if registration.version >= VALUES_VERSION:
        names = [_listed(handler, name) for name in names]
        if handler.connection.transport_label != "web":
            names += handler.network.strict_transport(is_encrypted=handler.connection.is_encrypted)
    _say_caps(handler, "LS", names, is_split=registration.version >= VALUES_VERSION)


def _cap_list(handler: IrcHandler, params: list[str]) -> None:
    _say_caps(handler, "LIST", names_of(handler.capabilities), is_split=handler.registration.version >= VALUES_VERSION)


def _cap_req(handler: IrcHandler, params: list[str]) -> None:
    if not handler.is_registered:
        handler.registration.is_negotiating = True
    text = params[0] if params else ""
    changes = parse_cap_request(text)
    names = set(offered(handler)) | set(names_of(handler.capabilities))
    must_stay = {"cap-notify"} if handler.registration.version >= VALUES_VERSION else set()
    if any(name not in names or (not is_on and name in must_stay) for name, is_on in changes):
        handler.add(Reply(handler.network.server_name, "CAP", (handler.nick, "NAK", text), is_text=True))
        return
    capabilities = handler.capabilities
    for name, is_on in changes:
        capabilities = capabilities | flags_of(add_implied([name])) if is_on else capabilities & ~FLAGS[name]
    handler.add(Reply(handler.network.server_name, "CAP", (handler.nick, "ACK", text), is_text=True))
    handler.set_capabilities(capabilities)


def _cap_end(handler: IrcHandler, params: list[str]) -> None:
    handler.registration.is_negotiating = False


CAP_COMMANDS: Final = {"LS": _cap_ls, "LIST": _cap_list, "REQ": _cap_req, "END": _cap_end}


def _say_caps(handler: IrcHandler, subcommand: str, names: list[str], *, is_split: bool) -> None:
    server, nick = handler.network.server_name, handler.nick
    room = MAX_BODY - len(f":{server} CAP {nick} {subcommand} * :".encode())
    lines = format_cap_list(names, room)
    for number, text in enumerate(lines, 1):
        more = ("*",) if is_split and number < len(lines) else ()
        handler.add(Reply(server, "CAP", (nick, subcommand, *more, text), is_text=True))


# -- nick, user and password


def set_nick(handler: IrcHandler, line: Line) -> None:
    """Handle NICK before 001."""
    nick = line.params[0] if line.params else ""
    if not nick:
        handler.reply(ERR_NONICKNAMEGIVEN)
        return
    if (refused := nick_refusal(handler, nick)) is not None:
        handler.reply(ERR_ERRONEUSNICKNAME, nick, text=refused)
        return
    handler.registration.nick = nick


def change_nick(handler: IrcHandler, line: Line) -> None:
    """Handle NICK after 001: a guest may take another name, an account has its own."""
    nick, session = line.params[0] if line.params else "", handler.require_session()
    if not nick:
        handler.reply(ERR_NONICKNAMEGIVEN)
    elif nick == handler.nick:
        return
    elif session.account is not None:
        handler.reply(ERR_NONICKCHANGE, nick, text="Your nick is your account's name")
    elif (refused := nick_refusal(handler, nick)) is not None:
        handler.reply(ERR_ERRONEUSNICKNAME, nick, text=refused)
    else:
        _rename(handler, session, nick)


def _rename(handler: IrcHandler, session: Session, nick: str) -> None:
    key, source = session.key, handler.own_source
    handler.charge(RENAME_COST)
    try:
        handler.nick = handler.messenger.rename(session, nick)
    except (NameInUse, PasswordRequired) as error:
        handler.reply(ERR_NICKNAMEINUSE, nick, text=str(error))
        return
    except BadName as error:
        handler.reply(ERR_ERRONEUSNICKNAME, nick, text=str(error))
        return
    handler.network.clients.rename(handler, key)
    handler.add(Reply(source, "NICK", (handler.nick,)))


def nick_refusal(handler: IrcHandler, nick: str) -> str | None:
    """Return why a name cannot be a nick on IRC; None if it may be one."""
    if nick.isdecimal() and len(nick) == 1:
        return "A nick is not one digit."
    try:
        check_name(nick)
    except BadName as error:
        return str(error)
    return None


def set_user(handler: IrcHandler, line: Line) -> None:
    """Handle USER."""
    if handler.is_registered or handler.registration.has_user:
        handler.reply(ERR_ALREADYREGISTERED)
        return
    if not line.params[0] or not line.params[3]:
        handler.reply(ERR_NEEDMOREPARAMS, "USER")
        return
    handler.card.user, handler.card.realname = make_user(line.params[0]), line.params[3][:MAX_REALNAME]
    handler.registration.has_user = True


def set_password(handler: IrcHandler, line: Line) -> None:
    """Handle PASS."""
    if handler.is_registered:
        handler.reply(ERR_ALREADYREGISTERED)
        return
    password = " ".join(line.params)  # (some clients send one with spaces without the colon before it)
    if handler.registration.is_admitted:
        handler.registration.password = password
    else:
        _admit(handler, password)


def _admit(handler: IrcHandler, password: str) -> None:
    """Take the password of the server; a client that gives another one is refused."""
    address = handler.connection.address
    try:
        with handler.logging_refusal(LoginRequest(NOT_NAMED, "irc", True, address)):
            handler.require_secure_transport()
            authenticator = handler.messenger.authenticator
            authenticator.check_shared_password(address, handler.network.password, password)
    except WireError as error:
        refuse_link(handler, error)
    else:
        handler.registration.is_admitted = True


def complete(handler: IrcHandler) -> None:
    """Log in and greet, if all that the registration needs has come.

    Called after a command has returned, not within it: logging in is the deepest call of a connection, and four frames
    more cost 4 kB for each connection at rest.
    """
    registration = handler.registration
    if handler.is_registered or handler.is_closing or registration.is_negotiating or not registration.has_user:
        return
    if not registration.nick:
        return
    if not registration.is_admitted:
        refuse_link(handler, WrongPassword("The server has a password: give it by PASS, before NICK and USER."))
        return
    if handler.session is None:
        _log_in_by_nick(handler)
    if handler.session is not None and not handler.is_closing:
        _begin(handler, handler.session)


def _log_in_by_nick(handler: IrcHandler) -> None:
    """Log in as the guest of the nick, or as the account of which PASS has the password."""
    registration = handler.registration
    name, device, password = _split_pass(handler, registration.nick, registration.password)
    try:
        log_in(handler, make_login(handler, name, password, device))
    except (NameInUse, PasswordRequired) as error:
        registration.nick = ""
        handler.reply(ERR_NICKNAMEINUSE, name, text=str(error))
        if isinstance(error, PasswordRequired):
            handler.add(
                handler.notice(
                    f"{name} is an account: log in with SASL, PASS {name}:password, or choose another nick and use "
                    "/msg NickServ IDENTIFY"
                )
            )
    except BadName as error:
        registration.nick = ""
        handler.reply(ERR_ERRONEUSNICKNAME, name, text=str(error))
    except WireError as error:
        refuse_link(handler, error)


def _split_pass(handler: IrcHandler, nick: str, password: str | None) -> tuple[str, str | None, str | None]:
    """Return the name, the device and the password that PASS and NICK give."""
    if password is None:
        return nick, None, None
    account, colon, secret = password.partition(":")
    name, _, device = account.partition("@")
    if colon and fold(name) in handler.messenger.authenticator.accounts:
        return name, device or None, secret
    # A password that is set for the network in many clients, where the nick is no account, is ignored.
    return nick, None, password if fold(nick) in handler.messenger.authenticator.accounts else None


def make_login(handler: IrcHandler, name: str, password: str | None = None, device: str | None = None) -> LoginRequest:
    """Return the login of a name, of a guest where there is no password."""
    login = LoginRequest(name, "irc", True, handler.connection.address, password, None, device)
    login.first_free_device = DEFAULT_DEVICE
    return login


def log_in(handler: IrcHandler, login: LoginRequest) -> None:
    """Log in; the session is the handler's then. Blocks. Raises as `open_session`."""
    session = open_session(handler, login)
    handler.set_session(session, login)
    handler.apply_capabilities()


def open_session(handler: IrcHandler, login: LoginRequest) -> Session:
    """Log in, and return the session, which is not the handler's yet. Blocks.

    Raises as `ProtocolHandler.log_in`, `InsecureTransport`, and `BadRequest` for a device with a long name.
    """
    if len(login.device or "") > MAX_DEVICE:
        raise BadRequest(f"The name of a device has at most {MAX_DEVICE} characters.")
    if login.password is not None:
        handler.require_secure_transport()
    outbox = open_outbox(handler)
    session, _ = handler.log_in(login, outbox)  # a guest has no token here that resumes another session
    return session


def open_outbox(handler: IrcHandler) -> Outbox:
    """Return an outbox for a session of the connection."""
    writer = handler.connection.writer
    return handler.make_outbox(writer.schedule, writer.flush, accepts_batches=True)


def _begin(handler: IrcHandler, session: Session) -> None:
    """Greet, and have the session's events written from now on."""
    registration = handler.registration
    handler.nick, handler.is_registered = session.name, True
    handler.note_registered()
    handler.network.note_user_count()
    handler.card.signed_on = handler.now()
    handler.network.users.add(session, handler.card)
    handler.network.clients.add(handler)
    if registration.away is not None:
        with suppress(Muted):
            set_away(handler, session, registration.away)
    greet(handler)
    if session.account is not None:
        say_visible_host(handler)
        if session.must_change_password:
            handler.add(handler.notice("Your password is valid once: /msg NickServ SET PASSWORD <old> <new>"))
        show_rooms(handler)
    _set_profile(handler, session)
    show_profiles(handler)
    begin_delivery(handler, session)


def _set_profile(handler: IrcHandler, session: Session) -> None:
    """Set what the client has said of its user before the welcome. Blocks on the store."""
    changes = handler.registration.profile
    if not changes or session.must_change_password:
        return
    set_profile = partial(handler.messenger.profiles.of_user, session, session.name, changes)
    try:
        handler.messenger.change_runner.run(set_profile, lambda result: None)
    except WireError as error:
        handler.add(command_refusal(handler, "METADATA", handler.nick, error))


def begin_delivery(handler: IrcHandler, session: Session) -> None:
    """Write what has been said, and from now on what the session is sent. Blocks for one that asks for its history."""
    handler.end_command()
    handler.begin_command(None)
    handler.start_output()
    can_ask = Capability.CHATHISTORY in handler.capabilities
    if session.account is None:
        handler.messenger.start_delivery(session, [])
        return
    handler.caught_up = caught_up = Event()
    handler.messenger.start_delivery(session, [], 0 if can_ask else handler.network.options.irc_playback)
    if can_ask:
        # Its delivery begins behind what was stored when that was read: what it says must come after that.
        caught_up.wait(handler.messenger.policy.store_timeout)


def refuse_link(handler: IrcHandler, error: WireError) -> None:
    """Refuse a client at its login, and close the connection."""
    if isinstance(error, GuestsDisabled):
        handler.fail("*", "ACCOUNT_REQUIRED", text=str(error))
    elif isinstance(error, WrongPassword):
        handler.reply(ERR_PASSWDMISMATCH, text=str(error))
    elif isinstance(error, Forbidden):
        handler.reply(ERR_YOUREBANNEDCREEP, text=str(error))
    else:
        handler.fail("*", error.code.upper(), text=str(error))
    end_link(handler, error)


def end_link(handler: IrcHandler, error: WireError) -> None:
    """Close the connection with an error."""
    handler.flush_replies()
    handler.close_gracefully(error.code, message=str(error))
