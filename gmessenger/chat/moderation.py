"""Moderation by operators and the owner of the server: kicks, mutes, bans and closed rooms.

Methods are given the name of the operator, or SERVER_OWNER, who may moderate operators, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from gmessenger import log
from gmessenger.chat.networks import IpNetwork, NetworkSet, contains_loopback, is_single_address, parse_network
from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.results import BanPage, MutePage, SanctionEntry, SessionCount
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.sanctions import SanctionKind, SanctionRegistry, with_reason
from gmessenger.chat.session import Session
from gmessenger.constants import OPERATOR_ROLE, SERVER_OWNER
from gmessenger.errors import BadRequest, Banned, Forbidden, Kicked, OperatorsOnly, RecipientGone
from gmessenger.field_types import MAX_REASON
from gmessenger.names import fold, normalize_name

SANCTIONS_PAGE: Final = 100


def operator_name(session: Session) -> str:
    """Return the name under which a session moderates: of the account that it acts as. Raises `OperatorsOnly`."""
    account = session.authority
    if account is None or account.role != OPERATOR_ROLE:
        raise OperatorsOnly
    return account.name


class Moderation:
    """Kicks, mutes and bans users, and closes rooms.

    Methods that change something block on the store: a protocol runs them by `ChangeRunner`.

    All raise `BadRequest` for arguments that are not valid, and `Forbidden` where `by` may not moderate the target.
    """

    def __init__(
        self,
        sanctions: SanctionRegistry,
        router: Router,
        rooms: RoomRegistry,
        accounts: Mapping[str, Account],
        session_closer: SessionCloser,
        clock: Callable[[], float],
    ) -> None:
        self._sanctions = sanctions
        self._router = router
        self._rooms = rooms
        self._accounts = accounts
        self._session_closer = session_closer
        self._clock = clock

    def kick(self, by: str, user: str, reason: str = "") -> SessionCount:
        """Close every session of a user, on all nodes. Raises `RecipientGone`."""
        self._check_may_moderate(by, fold(user))
        error = with_reason(Kicked, _check_reason(reason))
        closed = self._session_closer.close_all(fold(user), error)
        remote = self._router.peers.kick(fold(user), by, reason)
        if not closed and remote is None:
            raise RecipientGone(f"{user} is not here.")
        self._log(by, "kick", user, None, reason)
        return SessionCount(closed + (remote or 0))

    def kick_remote(self, by: str, user: str, reason: str = "") -> None:
        """Have every session of a user closed by the nodes that have one; for a process that is not a node."""
        self._router.peers.kick(fold(user), by, _check_reason(reason))
        self._log(by, "kick", user, None, reason)

    def mute(self, by: str, user: str, seconds: float | None = None, reason: str = "") -> SessionCount:
        """Refuse a user's messages, for so many seconds or until `unmute`."""
        key = fold(normalize_name(user))
        self._check_may_moderate(by, key)
        self._add_sanction(by, "mute", "mute", key, seconds, reason)
        return SessionCount(len(self._router.sessions(key)) + self._router.peers.session_count(key))

    def unmute(self, by: str, user: str) -> None:
        """End a mute. Raises `NotFound` if there is none."""
        self._remove_sanction(by, "unmute", "mute", fold(user))

    def ban(
        self, by: str, user: str | None, address: str | None, seconds: float | None = None, reason: str = ""
    ) -> SessionCount:
        """Refuse logins under a name, or connections from an address or network, and close those there are."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            key = fold(normalize_name(user))
            self._check_may_moderate(by, key)
            sanction = self._add_sanction(by, "ban", "name", key, seconds, reason)
            remote = self._router.peers.session_count(key)  # their node closes them when it reads the sanction
            closed = self._session_closer.close_all(key, self._sanctions.error_for(Banned, sanction))
            return SessionCount(closed + remote)
        return self._ban_network(by, parse_network(address or ""), seconds, reason)

    def unban(self, by: str, user: str | None, address: str | None) -> None:
        """End a ban. Raises `NotFound` if there is none."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            self._remove_sanction(by, "unban", "name", fold(user))
        else:
            self._remove_sanction(by, "unban", "network", str(parse_network(address or "")))

    def bans(self, by: str, after: str | None = None) -> BanPage:
        """Return a page of banned names and networks, starting after one of them."""
        return BanPage(*self._page(("name", "network"), after))

    def mutes(self, by: str, after: str | None = None) -> MutePage:
        """Return a page of muted names, starting after one of them."""
        return MutePage(*self._page(("mute",), after))

    def close(self, by: str, room: str, reason: str = "") -> None:
        """Refuse messages to a room and joins, and notify its members. Raises `NoSuchRoom`."""
        found = self._rooms.find(room)
        sanction = self._add_sanction(by, "close", "close", found.key, None, reason)
        self._rooms.set_closure(found, sanction, by, reason)

    def open(self, by: str, room: str) -> None:
        """Open a closed room and notify its members. Raises `NoSuchRoom`, or `NotFound` if it is open."""
        found = self._rooms.find(room)
        self._remove_sanction(by, "open", "close", found.key)
        self._rooms.set_closure(found, None, by)

    def set_role(self, account: Account, role: str) -> None:
        """Make an account, whose stored role is changed already, an operator or an ordinary user."""
        self._router.set_role(account, role)
        self._log(SERVER_OWNER, "grant" if role else "revoke", account.name)

    def _ban_network(self, by: str, network: IpNetwork, seconds: float | None, reason: str) -> SessionCount:
        if contains_loopback(network) and not is_single_address(network):
            raise Forbidden(f"{network} includes the server's own address; to ban that, give the single address.")
        for session in self._sessions_in(network):
            self._check_may_moderate(by, session.key)
        sanction = self._add_sanction(by, "ban", "network", str(network), seconds, reason)
        return SessionCount(self.disconnect_network(sanction), str(network))

    def disconnect_network(self, sanction: Sanction) -> int:
        """Close the sessions from a banned network; return their number.

        Operators stay unless the owner has banned it: an operator on another node could not see that they are here.
        """
        sessions = self._sessions_in(parse_network(sanction.target))
        if sanction.by != SERVER_OWNER:
            sessions = [session for session in sessions if session.role != OPERATOR_ROLE]
        for session in sessions:
            self._session_closer.close(session, self._sanctions.error_for(Banned, sanction))
        return len(sessions)

    def _sessions_in(self, network: IpNetwork) -> list[Session]:
        networks = NetworkSet()
        networks.add(str(network))
        return [session for session in self._router if any(networks.containing(session.address))]

    def _check_may_moderate(self, by: str, key: str) -> None:
        if by == SERVER_OWNER:
            return
        account = self._accounts.get(key)
        if account is not None and account.role == OPERATOR_ROLE:
            raise Forbidden(f"{account.name} is an operator too; only the owner of the server may do this.")
        for session in self._router.sessions(key):
            if session.role == OPERATOR_ROLE:
                raise Forbidden(f"{session.name} acts as an operator; only the owner of the server may do this.")

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

    def _page(self, kinds: tuple[SanctionKind, ...], after: str | None) -> tuple[list[SanctionEntry], bool]:
        sanctions = self._sanctions.page(kinds, fold(after or ""), SANCTIONS_PAGE)
        return [_sanction_entry(row) for row in sanctions[:SANCTIONS_PAGE]], len(sanctions) > SANCTIONS_PAGE

    def _log(self, by: str, method: str, target: str, seconds: float | None = None, reason: str = "") -> None:
        fields: dict[str, Any] = {"by": by, "method": method, "what": target, "for": seconds, "reason": reason or None}
        log.log_event("moderated", **fields)


def _check_reason(reason: str) -> str:
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise BadRequest(f"A reason is at most {MAX_REASON} printable characters.")
    return reason


def _sanction_entry(sanction: Sanction) -> SanctionEntry:
    is_network = sanction.kind == "network"
    return SanctionEntry(
        user=UNSET if is_network else sanction.target,
        address=sanction.target if is_network else UNSET,
        by=sanction.by,
        since=sanction.since,
        reason=sanction.reason or UNSET,
        until=UNSET if sanction.until is None else sanction.until,
    )
