"""Moderation: what operators do to those who disturb others. Everything they do is told to the log.

Each verb is given who does it: an operator's name, or `SERVER` for whoever owns the server, and nobody is safe from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gmessenger import logs
from gmessenger.chat.carrying import Carrying
from gmessenger.chat.dismissal import Dismissal
from gmessenger.chat.names import fold, normalize_name
from gmessenger.chat.networks import Network, Networks, holds_loopback, is_one_address, network_of
from gmessenger.chat.records import Account, Sanction
from gmessenger.chat.rooms import Rooms
from gmessenger.chat.router import Router
from gmessenger.chat.sanctions import Kind, Sanctions, because
from gmessenger.chat.session import Session
from gmessenger.errors import BadRequest, Banned, Forbidden, Kicked, NotHere, OperatorsOnly

OPERATOR: Final = "operator"
SERVER: Final = "server"
"""A name that nobody can have."""
LONGEST_REASON: Final = 200
PAGE: Final = 100

Verb = Callable[..., dict[str, Any] | None]
"""A method of `Moderation`; what it returns belongs to the answer."""


class Moderation:
    """Every verb raises `BadRequest` for what it cannot understand, and `Forbidden` to spare an operator."""

    def __init__(
        self,
        sanctions: Sanctions,
        router: Router,
        rooms: Rooms,
        accounts: dict[str, Account],
        dismissal: Dismissal,
        carry: Carrying,
        clock: Callable[[], float],
    ) -> None:
        self._sanctions = sanctions
        self._router = router
        self._rooms = rooms
        self._accounts = accounts
        self._dismissal = dismissal
        self._carry = carry
        self._clock = clock
        for room in rooms:
            room.closed = sanctions.find("close", room.key)

    def ask(self, session: Session, id: str | None, verb: Verb, *arguments: Any) -> None:
        """Have an operator's session do something; answers 200. Raises `OperatorsOnly`, and what the verb raises."""
        if session.account is None or session.account.role != OPERATOR:
            raise OperatorsOnly
        by = session.account.name
        self._carry.out(session, id, lambda: verb(self, by, *arguments))

    def kick(self, by: str, user: str, reason: str = "") -> dict[str, Any]:
        """Close every session of a name. Raises `NotHere`."""
        self._spare(by, fold(user))
        error = because(Kicked, _checked(reason))
        here = self._dismissal.everybody(fold(user), error)
        elsewhere = self._router.elsewhere.kick(fold(user), by, reason)
        if not here and elsewhere is None:
            raise NotHere(f"{user} is not here.")
        self._tell_log(by, "kick", user, None, reason)
        return {"sessions": here + (elsewhere or 0)}

    def kick_elsewhere(self, by: str, user: str, reason: str = "") -> None:
        """Have every session of a name closed on whatever server there are any: nobody here knows."""
        self._router.elsewhere.kick(fold(user), by, _checked(reason))
        self._tell_log(by, "kick", user, None, reason)

    def mute(self, by: str, user: str, seconds: float | None = None, reason: str = "") -> dict[str, Any]:
        """Have a name's messages refused."""
        key = fold(normalize_name(user))
        self._spare(by, key)
        self._impose(by, "mute", "mute", key, seconds, reason)
        return {"sessions": len(self._router.sessions(key)) + self._router.elsewhere.sessions(key)}

    def unmute(self, by: str, user: str) -> None:
        """Let a name speak again. Raises `NeverSeen` where it may."""
        self._lift(by, "unmute", "mute", fold(user))

    def ban(
        self, by: str, user: str | None, address: str | None, seconds: float | None = None, reason: str = ""
    ) -> dict[str, Any]:
        """Let nobody in under a name, or from an address or network; who is in is closed."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            key = fold(normalize_name(user))
            self._spare(by, key)
            sanction = self._impose(by, "ban", "name", key, seconds, reason)
            elsewhere = self._router.elsewhere.sessions(key)  # they hear of it as that server does
            return {"sessions": self._dismissal.everybody(key, self._sanctions.refusal(Banned, sanction)) + elsewhere}
        return self._ban_network(by, network_of(address or ""), seconds, reason)

    def unban(self, by: str, user: str | None, address: str | None) -> None:
        """Let them in again. Raises `NeverSeen` where they may come in."""
        if (user is None) == (address is None):
            raise BadRequest("Give user or address.")
        if user is not None:
            self._lift(by, "unban", "name", fold(user))
        else:
            self._lift(by, "unban", "network", str(network_of(address or "")))

    def bans(self, by: str, after: str | None = None) -> dict[str, Any]:
        """Who may not come in: names and networks, behind one of them."""
        return self._page("bans", ("name", "network"), after)

    def mutes(self, by: str, after: str | None = None) -> dict[str, Any]:
        """Who may not speak."""
        return self._page("mutes", ("mute",), after)

    def close(self, by: str, room: str, reason: str = "") -> None:
        """Have nothing more said in a room, and nobody come in; its members are told. Raises `NoSuchRoom`."""
        found = self._rooms.find(room)
        sanction = self._impose(by, "close", "close", found.key, None, reason)
        self._rooms.set_closed(found, sanction, by, reason)

    def open(self, by: str, room: str) -> None:
        """Let a room be used again; its members are told. Raises `NoSuchRoom`, or `NeverSeen` where it is open."""
        found = self._rooms.find(room)
        self._lift(by, "open", "close", found.key)
        self._rooms.set_closed(found, None, by)

    def granted(self, account: Account, role: str) -> None:
        """An account has been made an operator, or none."""
        account.role = role
        self._tell_log(SERVER, "grant" if role else "revoke", account.name)

    def _ban_network(self, by: str, network: Network, seconds: float | None, reason: str) -> dict[str, Any]:
        if holds_loopback(network) and not is_one_address(network):
            raise Forbidden(f"{network} includes the server's own address; to ban that, give the single address.")
        for session in self._within(network):
            self._spare(by, session.key)
        sanction = self._impose(by, "ban", "network", str(network), seconds, reason)
        return {"sessions": self.close_network(sanction), "address": str(network)}

    def close_network(self, sanction: Sanction) -> int:
        """Close the sessions that come from a banned network; says how many.

        Operators stay unless the owner has banned it: whoever did on another server could not see that they are here.
        """
        sessions = self._within(network_of(sanction.target))
        if sanction.by != SERVER:
            sessions = [session for session in sessions if session.role != OPERATOR]
        for session in sessions:
            self._dismissal.one(session, self._sanctions.refusal(Banned, sanction))
        return len(sessions)

    def _within(self, network: Network) -> list[Session]:
        those = Networks()
        those.add(str(network))
        return [session for session in self._router if any(those.around(session.address))]

    def _spare(self, by: str, key: str) -> None:
        account = self._accounts.get(key)
        if account is not None and account.role == OPERATOR and by != SERVER:
            raise Forbidden(f"{account.name} is an operator too; only the owner of the server may do this.")

    def _impose(self, by: str, verb: str, kind: Kind, target: str, seconds: float | None, reason: str) -> Sanction:
        now = self._clock()
        until = now + seconds if seconds is not None else None
        sanction = Sanction(kind, target, by, _checked(reason), now, until)
        self._sanctions.impose(sanction)
        self._tell_log(by, verb, target, seconds, reason)
        return sanction

    def _lift(self, by: str, verb: str, kind: Kind, target: str) -> None:
        self._sanctions.lift(kind, target, by)
        self._tell_log(by, verb, target)

    def _page(self, what: str, kinds: tuple[Kind, ...], after: str | None) -> dict[str, Any]:
        page = self._sanctions.page(kinds, fold(after or ""), PAGE)
        return {what: [_shown(each) for each in page[:PAGE]], "more": len(page) > PAGE}

    def _tell_log(self, by: str, verb: str, what: str, seconds: float | None = None, reason: str = "") -> None:
        fields: dict[str, Any] = {"by": by, "method": verb, "what": what, "for": seconds, "reason": reason or None}
        logs.event("moderated", **fields)


def _checked(reason: str) -> str:
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise BadRequest(f"A reason is at most {LONGEST_REASON} printable characters.")
    return reason


def _shown(sanction: Sanction) -> dict[str, Any]:
    what = "address" if sanction.kind == "network" else "user"
    shown = {what: sanction.target, "by": sanction.by, "since": sanction.since}
    more = {"reason": sanction.reason or None, "until": sanction.until}
    return shown | {key: value for key, value in more.items() if value is not None}
