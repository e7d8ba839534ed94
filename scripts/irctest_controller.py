"""How irctest starts this server: its controller, which `scripts/irctest.py` names to it."""

# mypy: disable-error-code="import-not-found, misc, no-any-unimported"
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import ClassVar

from irctest import patma
from irctest.basecontrollers import BaseServerController, DirectoryBasedController
from irctest.runner import NotImplementedByController
from irctest.specifications import Capabilities, OptionalBehaviors

SERVER = (sys.executable, "-m", "gmessenger", "server")
ADMIN = (sys.executable, "-m", "gmessenger", "admin")
MAX_IRC_PASSWORD = 400
"""Characters of a password that a line of IRC to NickServ has room for."""
STORE = os.environ.get("IRCTEST_STORE", "")
"""A store that has the operator of the tests, which each server gets a copy of."""
NO_LIMITS = tuple(
    word
    for option in ("message-rate", "request-rate", "connect-rate", "registrations-per-hour", "failures-per-ip")
    for word in (f"--{option}", "0")
)
CAPABILITIES = """
    ACCOUNT_NOTIFY ACCOUNT_TAG AWAY_NOTIFY BATCH ECHO_MESSAGE EXTENDED_JOIN EXTENDED_MONITOR LABELED_RESPONSE
    MESSAGE_REDACTION MESSAGE_TAGS MULTILINE MULTI_PREFIX READ_MARKER SERVER_TIME SETNAME
    """
BEHAVIORS = """
    BAN_EXCEPTION_MODE CAP_REQ_MINUS ELIST_C ELIST_M ELIST_N ELIST_T ELIST_U INVITE_EXCEPTION_MODE INVITE_LIST
    INVITE_OVERRIDES_LIMIT MULTI_JOIN MULTI_KICK MULTI_NAMES_COMMAND MULTI_PRIVMSG SASL_AFTER_REGISTRATION
    """


class Controller(BaseServerController, DirectoryBasedController):
    """Starts a server for each test, in a folder of its own."""

    software_name = "gmessenger"
    _port_wait_interval = 0.02
    supported_sasl_mechanisms = frozenset({"PLAIN"})
    supports_sts = False
    extban_mute_char = "m"
    nickserv = "NickServ"
    sync_sleep_time = 0.0
    capabilities = frozenset(getattr(Capabilities, name) for name in CAPABILITIES.split())
    optional_behaviors = frozenset(getattr(OptionalBehaviors, name) for name in BEHAVIORS.split())
    isupport: ClassVar = {
        "BOT": "B",
        "CASEMAPPING": "ascii",
        "ELIST": "CMNTU",
        "INVEX": None,
        "MONITOR": patma.ANYSTR,
        "MSGREFTYPES": "msgid,timestamp",
        "PREFIX": "(qov)~@+",
        "TARGMAX": patma.ANYSTR,
        "UTF8ONLY": None,
        "WHOX": None,
    }

    def create_config(self) -> None:
        """Make the folder of the server, which takes all its options from the command line."""
        super().create_config()
        with self.open_file("server.ini"):
            pass

    def run(self, hostname, port, *, password, ssl, run_services, faketime, websocket_hostname, websocket_port):  # type: ignore[no-untyped-def]
        """Start a server. Raises `NotImplementedByController` for what it has no option for."""
        config = self.test_config
        if config.account_registration_requires_email or config.sable_history_server:
            raise NotImplementedByController("e-mail, and the history server of another program")
        self.hostname, self.port = hostname, port
        self.create_config()
        shutil.copy(STORE, self.directory / "messenger.db")
        command = [*SERVER, "--ip", hostname, "--port", "0", "--store", f"sqlite:///{self.directory}/messenger.db"]
        command += ["--log-file", str(self.directory / "server.log"), "--irc-name", "My.Little.Server"]
        command += ["--irc-guest-rooms", "yes", "--min-password", "3", "--failures-per-name", "0", *NO_LIMITS]
        if password is not None:
            with self.open_file("irc-password", "w") as file:
                file.write(password)
            command += ["--irc-password-file", str(self.directory / "irc-password")]
        if config.account_registration_before_connect:
            command += ["--guests", "no"]
        if websocket_hostname is not None:
            command += ["--irc-websocket", f"{websocket_hostname}:{websocket_port}"]
        self.proc = self.execute([*self._clock(faketime), *command, *self._listener(port, is_encrypted=ssl)])

    def _listener(self, port: int, *, is_encrypted: bool) -> list[str]:
        if not is_encrypted:
            return ["--irc-port", str(port)]
        self.gen_ssl()
        files = ["--tls-certificate", str(self.pem_path), "--tls-key", str(self.key_path)]
        return [*files, "--tls-port", "0", "--irc-tls-port", str(port)]

    def _clock(self, shift: str | None) -> list[str]:
        self.faketime_enabled = bool(shift) and shutil.which("faketime") is not None
        return ["faketime", "-f", str(shift)] if self.faketime_enabled else []

    def wait_for_services(self) -> None:
        """Return at once: NickServ is there as soon as the server is."""

    def registerUser(self, case, username, password=None) -> None:  # type: ignore[no-untyped-def]
        """Register an account, and leave; one whose password is too long for a line of IRC, as its owner would."""
        if len(password or "") > MAX_IRC_PASSWORD:
            self._add_account(username, password)
            return
        client = case.addClient(show_io=False)
        for line in (f"NICK {username}", "USER r e g :user", f"NICKSERV REGISTER {password}"):
            case.sendLine(client, line)
        assert "900" in [message.command for message in case.getMessages(client)], f"{username} was not registered"
        case.sendLine(client, "QUIT")
        case.assertDisconnected(client)

    def _add_account(self, name: str, password: str) -> None:
        """Have the owner of the server add an account, once it has opened its store."""
        self.wait_for_port()
        with self.open_file("password", "w") as file:
            file.write(password)
        store = f"sqlite:///{self.directory}/messenger.db"
        options = ("--store", store, "--password-file", str(self.directory / "password"))
        subprocess.run([*ADMIN, *options, "user", "add", name], check=True, stdout=subprocess.DEVNULL)


def get_irctest_controller_class() -> type[Controller]:
    """Return the controller, as irctest asks for it."""
    return Controller
