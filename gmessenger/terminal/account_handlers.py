"""Command handlers of the user's own account: registering, the password, devices, and erasing it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from gmessenger.errors import (
    AccountsOnly,
    InsecureTransport,
    NameTaken,
    RegistrationClosed,
    WireError,
)
from gmessenger.log import traced
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_accounts
from gmessenger.terminal.dialogue import Dialogue, Prompt
from gmessenger.terminal.format_events import format_reason
from gmessenger.terminal.handler_base import NOT_CONNECTED
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.moderation_handlers import ModerationHandlers

ERASE_WARNING: Final = N_(
    "all your messages will be erased for all users, and your account will be deleted. This cannot be undone."
)
ALL_DEVICES: Final = "all"
"""The argument of `/logout` that means all other devices."""


class AccountHandlers(ModerationHandlers):
    """The handlers of commands about the user's own account."""

    @property
    @abstractmethod
    def can_prompt(self) -> bool:
        """Whether a person sees prompts and can answer them."""

    @abstractmethod
    def run_dialogue(self, dialogue: Dialogue) -> None:
        """Show the prompts of a dialogue one after the other, and send it the answers."""

    @abstractmethod
    def quit(self) -> None:
        """Leave the mode, which ends the program."""

    def register(self, invite: str) -> None:
        """Ask for a password, and register the user's name as an account.

        invite: the code to register with, if the server asks for one.
        """
        is_closed = self._client.registration == "closed"
        error = NameTaken() if self._client.is_account else RegistrationClosed() if is_closed else None
        if (obstacle := self._password_obstacle(error)) is not None:
            return self.show(as_notice(obstacle))
        return self.run_dialogue(self._register_dialogue(invite))

    def _register_dialogue(self, invite: str) -> Dialogue:
        password = yield Prompt(_("A password for {name}: ", name=self._client.name), is_secret=True)
        if not password or password != (yield Prompt(_("Repeat the password: "), is_secret=True)):
            return self.show(as_notice(_("the passwords differ; nothing was registered")))
        return self._show_result(lambda: self._register(password, invite))

    def _register(self, password: str, invite: str) -> str:
        self._client.register(password, invite or None)
        name = sanitize(self._client.name)
        return as_notice(_("{name} is now your account; logging in needs its password", name=name))

    def password(self) -> None:
        """Ask for the password of the account and a new one, and change it."""
        if (obstacle := self._password_obstacle(self._no_account())) is not None:
            return self.show(as_notice(obstacle))
        return self.run_dialogue(self._password_dialogue())

    def _password_dialogue(self) -> Dialogue:
        old = yield Prompt(_("Your password now (empty to cancel): "), is_secret=True)
        new = (yield Prompt(_("The new password: "), is_secret=True)) if old else ""
        if not old or not new:
            return self.show(as_notice(_("cancelled; the password is as it was")))
        if new != (yield Prompt(_("Repeat the password: "), is_secret=True)):
            return self.show(as_notice(_("the passwords differ; the password is as it was")))
        return self._show_result(lambda: self._change_password(old, new))

    def _change_password(self, old: str, new: str) -> str:
        self._client.change_password(old, new)
        return as_notice(_("the password is changed; your other devices are logged out"))

    @traced()
    def devices(self) -> None:
        """List the devices of the account that are logged in."""
        self._show_result(lambda: format_accounts.devices(self._client.devices()))

    @traced()
    def log_out(self, device: str) -> None:
        """Log out a device of the account, or all others; by default this one, which ends the program."""
        is_all = device.casefold() == ALL_DEVICES
        self._show_result(self._log_out_others if is_all else lambda: self._log_out(device))

    def _log_out_others(self) -> str:
        self._client.drop_other_devices()
        return as_notice(_("your other devices are logged out; they need the password again"))

    def _log_out(self, device: str) -> str:
        if device and not any(info.is_this and info.name == device for info in self._client.devices()):
            self._client.drop_device(device)
            return as_notice(_("{name} is logged out; it needs the password again", name=sanitize(device)))
        self._client.log_out()
        self.quit()
        return as_notice(_("logged out here; the next start needs the password"))

    def forget(self) -> None:
        """Erase all messages of the user, and the account, after asking for the password."""
        if (obstacle := self._password_obstacle(self._no_account())) is not None:
            return self.show(as_notice(obstacle))
        return self.run_dialogue(self._forget_dialogue())

    def _forget_dialogue(self) -> Dialogue:
        self.show(as_notice(_(ERASE_WARNING)))
        password = yield Prompt(_("Your password (empty to cancel): "), is_secret=True)
        return (
            self._show_result(lambda: self._forget(password))
            if password
            else self.show(as_notice(_("cancelled; nothing was erased")))
        )

    def _forget(self, password: str) -> str:
        self._client.erase_account(password)
        self.quit()
        return as_notice(_("all your messages are erased and your account is deleted"))

    def _no_account(self) -> WireError | None:
        return None if self._client.is_account else AccountsOnly()

    def _password_obstacle(self, error: WireError | None) -> str | None:
        """Return why no password may be asked for now, or None.

        error: what the server would respond, if the request makes no sense now.
        """
        if not self.can_prompt:
            return _("a password must be typed at a terminal")
        if not self._client.connected:
            return _(NOT_CONNECTED)
        if not self._client.can_send_password:
            error = InsecureTransport()
        return format_reason(error) if error is not None else None
