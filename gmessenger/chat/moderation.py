"""Moderation: what operators do to those who disturb others. Everything they do is told to the log.

Each verb is given who does it: an operator's name, or `SERVER` for whoever owns the server, and nobody is safe from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger import log
from gmessenger.chat.networks import IpNetwork, NetworkSet, contains_loopback, is_single_address, parse_network
from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.sanctions import SanctionKind, SanctionRegistry, with_reason
from gmessenger.chat.session import Session
from gmessenger.chat.tasks import ChangeRunner
from gmessenger.constants import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import BadRequest, Banned, Forbidden, Kicked, OperatorsOnly, RecipientGone
from gmessenger.field_types import MAX_REASON
from gmessenger.names import fold, normalize_name

SANCTIONS_PAGE: Final = 100

OperatorMethod = Callable[..., dict[str, Any] | None]
"""A method of `Moderation`; what it returns belongs to the answer."""


class Moderation:
    """Every verb raises `BadRequest` for what it cannot understand, and `Forbidden` to spare an operator."""

    def __init__(
        self,
        sanctions: SanctionRegistry,
        router: Router,
        rooms: RoomRegistry,
        accounts: dict[str, Account],
        session_closer: SessionCloser,
        change_runner: ChangeRunner,
        clock: Callable[[], float],
    ) -> None:
        self._sanctions = sanctions
        self._router = router
        self._rooms = rooms
        self._accounts = accounts
        self._session_closer = session_closer
        self._change_runner = change_runner
        self._clock = clock

    def run_as_operator(self, session: Session, id: str | None, method: OperatorMethod, *arguments: Any) -> None:
        """Have an operator's session do something; answers 200. Raises `OperatorsOnly`, and what the verb raises."""
        if session.account is None or session.account.role != OPERATOR_ROLE:
            raise OperatorsOnly
        by = session.account.name
        self._change_runner.run(session, id, lambda: method(self, by, *arguments))

    def kick(self, by: str, user: str, reason: str = "") -> dict[str, Any]:
        """Close every session of a name. Raises `RecipientGone`."""
        self._check_may_moderate(by, fold(user))
        error = with_reason(Kicked, _check_reason(reason))
        here = self._session_closer.close_all(fold(user), error)
        elsewhere = self._router.peers.kick(fold(user), by, reason)
        if not here and elsewhere is None:
            raise RecipientGone(f"{user} is not here.")
        self._log(by, "kick", user, None, reason)
        return {"sessions": here + (elsewhere or 0)}

    def kick_remote(self, by: str, user: str, reason: str = "") -> None:
        """Have every session of a name closed on whatever server there are any: nobody here knows."""
        self._router.peers.kick(fold(user), by, _check_reason(reason))
        self._log(by, "kick", user, None, reason)

    def mute(self, by: str, user: str, seconds: float | None = None, reason: str = "") -> dict[str, Any]:
        """Have a name's messages refused."""
        key = fold(normalize_name(user))
        self._check_may_moderate(by, key)
        self._add_sanction(by, "mute", "mute", key, seconds, reason)
        return {"sessions": len(self._router.sessions(key)) + self._router.peers.session_count(key)}

    def unmute(self, by: str, user: str) -> None:
        """Let a name speak again. Raises `NotFound` where it may."""
        self._remove_sanction(by, "unmute", "mute", fold(user))

    def ban(
        self, by: str, user: str | None, address: str | None, seconds: float | None = None, reason: str = ""
    ) -> dict[str, Any]:
        """Let nobody in under a name, or from an address or network; who is in is closed."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            key = fold(normalize_name(user))
            self._check_may_moderate(by, key)
            sanction = self._add_sanction(by, "ban", "name", key, seconds, reason)
            elsewhere = self._router.peers.session_count(key)  # they hear of it as that server does
            return {
                "sessions": self._session_closer.close_all(key, self._sanctions.error_for(Banned, sanction)) + elsewhere
            }
        return self._ban_network(by, parse_network(address or ""), seconds, reason)

    def unban(self, by: str, user: str | None, address: str | None) -> None:
        """Let them in again. Raises `NotFound` where they may come in."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            self._remove_sanction(by, "unban", "name", fold(user))
        else:
            self._remove_sanction(by, "unban", "network", str(parse_network(address or "")))

    def bans(self, by: str, after: str | None = None) -> dict[str, Any]:
        """Who may not come in: names and networks, behind one of them."""
        return self._page("bans", ("name", "network"), after)

    def mutes(self, by: str, after: str | None = None) -> dict[str, Any]:
        """Who may not speak."""
        return self._page("mutes", ("mute",), after)

    def close(self, by: str, room: str, reason: str = "") -> None:
        """Have nothing more said in a room, and nobody come in; its members are told. Raises `NoSuchRoom`."""
        found = self._rooms.find(room)
        sanction = self._add_sanction(by, "close", "close", found.key, None, reason)
        self._rooms.set_closure(found, sanction, by, reason)

    def open(self, by: str, room: str) -> None:
        """Let a room be used again; its members are told. Raises `NoSuchRoom`, or `NotFound` where it is open."""
        found = self._rooms.find(room)
        self._remove_sanction(by, "open", "close", found.key)
        self._rooms.set_closure(found, None, by)

    def set_role(self, account: Account, role: str) -> None:
        """An account has been made an operator, or none."""
        account.role = role
        self._log(SERVER_OWNER, "grant" if role else "revoke", account.name)

    def _ban_network(self, by: str, network: IpNetwork, seconds: float | None, reason: str) -> dict[str, Any]:
        if contains_loopback(network) and not is_single_address(network):
            raise Forbidden(f"{network} includes the server's own address; to ban that, give the single address.")
        for session in self._sessions_in(network):
            self._check_may_moderate(by, session.key)
        sanction = self._add_sanction(by, "ban", "network", str(network), seconds, reason)
        return {"sessions": self.disconnect_network(sanction), "address": str(network)}

    def disconnect_network(self, sanction: Sanction) -> int:
        """Close the sessions that come from a banned network; says how many.

        Operators stay unless the owner has banned it: whoever did on another server could not see that they are here.
        """
        sessions = self._sessions_in(parse_network(sanction.target))
        if sanction.by != SERVER_OWNER:
            sessions = [session for session in sessions if session.role != OPERATOR_ROLE]
        for session in sessions:
            self._session_closer.close(session, self._sanctions.error_for(Banned, sanction))
        return len(sessions)

    def _sessions_in(self, network: IpNetwork) -> list[Session]:
        those = NetworkSet()
        those.add(str(network))
        return [session for session in self._router if any(those.containing(session.address))]

    def _check_may_moderate(self, by: str, key: str) -> None:
        account = self._accounts.get(key)
        if account is not None and account.role == OPERATOR_ROLE and by != SERVER_OWNER:
            raise Forbidden(f"{account.name} is an operator too; only the owner of the server may do this.")

    def _add_sanction(
        self, by: str, method: str, kind: SanctionKind, target: str, seconds: float | None, reason: str
    ) -> Sanction:
        now = self._clock()
        until = now + seconds if seconds is not None else None
        sanction = Sanction(kind, target, by, _check_reason(reason), now, until)
        self._sanctions.add(sanction)
        self._log(by, method, target, seconds, reason)
        return sanction

    def _remove_sanction(self, by: str, method: str, kind: SanctionKind, target: str) -> None:
        self._sanctions.remove(kind, target, by)
        self._log(by, method, target)

    def _page(self, field: str, kinds: tuple[SanctionKind, ...], after: str | None) -> dict[str, Any]:
        page = self._sanctions.page(kinds, fold(after or ""), SANCTIONS_PAGE)
        return {field: [_sanction_fields(each) for each in page[:SANCTIONS_PAGE]], "more": len(page) > SANCTIONS_PAGE}

    def _log(self, by: str, method: str, target: str, seconds: float | None = None, reason: str = "") -> None:
        fields: dict[str, Any] = {"by": by, "method": method, "what": target, "for": seconds, "reason": reason or None}
        log.log_event("moderated", **fields)


def _check_reason(reason: str) -> str:
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise BadRequest(f"A reason is at most {MAX_REASON} printable characters.")
    return reason


def _sanction_fields(sanction: Sanction) -> dict[str, Any]:
    what = "address" if sanction.kind == "network" else "user"
    shown = {what: sanction.target, "by": sanction.by, "since": sanction.since}
    more = {"reason": sanction.reason or None, "until": sanction.until}
    return shown | {key: value for key, value in more.items() if value is not None}
