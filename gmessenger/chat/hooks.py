"""Hooks: accounts by which other programs post to one room, each at a URL with a secret.

A hook cannot log in: it has no password, and no token of a device. Who may post with the secret, and how, is in
`chat/hook_posts.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import UNSET

from gmessenger import log
from gmessenger.chat.auth import Authenticator, LoginThrottle
from gmessenger.chat.blocks import BlockList
from gmessenger.chat.membership import RoomMembership
from gmessenger.chat.policy import Policy
from gmessenger.chat.records import HOOK_ROLE, MAX_HOOKS, Account, Hook
from gmessenger.chat.results import HookEntry, HookList, HookSecret
from gmessenger.chat.room import Room
from gmessenger.chat.room_events import RoomEvent
from gmessenger.chat.room_rights import SERVER_ACTOR, RoomActor, RoomRights
from gmessenger.chat.rooms import RoomRegistry
from gmessenger.chat.router import Router, SessionCloser
from gmessenger.chat.session import Session
from gmessenger.chat.storage import Store
from gmessenger.errors import Forbidden, NameInUse, NameTaken, NoSuchHook, NotFound, RoomFull, TooManyHooks
from gmessenger.names import check_name, fold

SECRET_BYTES: Final = 24
HOOK_PATH: Final = "/hook/"
"""The path of a hook's URL, before its secret."""


class HookService:
    """Makes, lists and revokes hooks, for the owners of their rooms and for operators. Methods block on the store.

    `web_url` returns the beginning of the URLs at which this server is reached by HTTP; None if it is not.
    `check_not_muted` raises `Muted` for a folded name.
    """

    def __init__(
        self,
        store: Store,
        router: Router,
        authenticator: Authenticator,
        login_throttle: LoginThrottle,
        rooms: RoomRegistry,
        rights: RoomRights,
        membership: RoomMembership,
        blocks: BlockList,
        session_closer: SessionCloser,
        check_not_muted: Callable[[str], None],
        policy: Policy,
        clock: Callable[[], float],
        web_url: Callable[[], str | None],
    ) -> None:
        self._store = store
        self._router = router
        self._authenticator = authenticator
        self._login_throttle = login_throttle
        self._rooms = rooms
        self._rights = rights
        self._membership = membership
        self._blocks = blocks
        self._session_closer = session_closer
        self._check_not_muted = check_not_muted
        self._policy = policy
        self._clock = clock
        self._web_url = web_url

    def add(self, session: Session, room: str, name: str) -> HookSecret:
        """Make a hook of a room, as its owner or an operator; return its secret, which is told this once.

        It counts as a registration from the session's address. Raises `AccountsOnly`, `NoSuchRoom`, `NotOwner`,
        `Muted`, `RegistrationThrottled`, and as `add_as`.
        """
        self._check_not_muted(session.key)
        session.require_account()
        found = self._rights.find_room(room, session, "owner")
        with self._login_throttle.registration(session.address):
            return self.add_as(RoomActor.of(session, found), found, name)

    def add_as(self, actor: RoomActor, room: Room, name: str) -> HookSecret:
        """Make a hook of a room; `HookPoster.open` says when it may post.

        Raises `BadName`, `NameConfusable`, `NameTaken`, `NameInUse`, `RoomFull`, `TooManyHooks`, `Upgrading`, or
        `Forbidden` for a passing room, which a hook would keep from being deleted.
        """
        if room.is_passing:
            raise Forbidden("A room that a guest has made has no hooks.")
        shown = check_name(name)
        self._check_free(shown)
        self._check_place(room)
        token = secrets.token_urlsafe(SECRET_BYTES)
        account = self._store.add_hook(fold(shown), shown, room.key, token, self._clock(), actor.name, actor.account)
        self._authenticator.add_account(account)
        # A guest may have taken the name meanwhile.
        self._session_closer.close_all(account.key, NameTaken("This name has become that of a hook."))
        room.members[account.id] = account
        self._rooms.notify(room, RoomEvent("join", room.name, account.name), actor.session)
        self._rooms.set_role(room, account.id, HOOK_ROLE, actor.name, actor.session)
        log.log_event("hook_made", name=account.name, room=room.key, by=actor.name)
        base = self._web_url()
        url = f"{base.rstrip('/')}{HOOK_PATH}{token}" if base is not None else UNSET
        return HookSecret(account.name, room.name, token, url)

    def _check_free(self, name: str) -> None:
        """Raise why a hook cannot have a name, which must not look like another one, or be a guest's."""
        key = fold(name)
        if key not in self._authenticator.accounts:
            self._router.peers.sync(key)
        if key in self._authenticator.accounts:
            raise NameTaken
        if key in self._router:
            raise NameInUse
        self._authenticator.check_not_confusable(name)

    def _check_place(self, room: Room) -> None:
        """Raise `RoomFull` or `TooManyHooks` if a room takes no further hook, as far as is known here."""
        limit = min(filter(None, (self._policy.limits.max_members, room.rules.most)))
        if room.size >= limit:
            raise RoomFull(limit=limit)
        if sum(account.is_bot for account in room.members.values()) >= MAX_HOOKS:
            raise TooManyHooks(limit=MAX_HOOKS)

    def list(self, session: Session, room: str) -> HookList:
        """Return the hooks of a room to its owners and operators. Raises `NoSuchRoom` or `NotOwner`."""
        found = self._rights.find_room(room, session, "owner")
        return HookList(self.all(found))

    def all(self, room: Room | None = None) -> Sequence[HookEntry]:
        """Return the hooks of a room, or all there are, by room and name."""
        self._router.peers.sync()
        return [self._entry(hook) for hook in self._store.hooks(room.key if room is not None else None)]

    def _entry(self, hook: Hook) -> HookEntry:
        room = self._rooms.get(hook.room)
        is_alive = room is not None and hook.account in room.members and may_post(room, hook)
        shown = room.name if room is not None else hook.room
        return HookEntry(hook.name, shown, hook.by, hook.created, hook.used, UNSET if is_alive else True)

    def revoke(self, session: Session, room: str, name: str) -> None:
        """Delete a hook, as an owner of its room or an operator. Raises `NoSuchRoom`, `NotOwner` or `NoSuchHook`."""
        found = self._rights.find_room(room, session, "owner")
        hook = self._find(name)
        if hook.room != found.key:
            raise NoSuchHook
        self._revoke(RoomActor.of(session, found), hook)

    def add_for_owner(self, name: str, room: str) -> HookSecret:
        """Make a hook of a room for the owner of the server. Raises `NoSuchRoom`, and as `add_as`."""
        return self.add_as(SERVER_ACTOR, self._rooms.find(room), name)

    def list_for_owner(self, room: str | None = None) -> Sequence[HookEntry]:
        """Return all hooks, or those of a room, for the owner of the server. Raises `NoSuchRoom`."""
        return self.all(self._rooms.find(room) if room is not None else None)

    def revoke_for_owner(self, name: str) -> None:
        """Delete a hook for the owner of the server. Raises `NoSuchHook`."""
        self._revoke(SERVER_ACTOR, self._find(name))

    def _find(self, name: str) -> Hook:
        key = fold(name)
        if key not in self._authenticator.accounts:
            self._router.peers.sync()
        found = next((hook for hook in self._store.hooks() if fold(hook.name) == key), None)
        if found is None:
            raise NoSuchHook
        return found

    def _revoke(self, actor: RoomActor, hook: Hook) -> None:
        """Remove a hook from its room, notify the members, and delete its account. Its messages stay."""
        account = self._authenticator.accounts_by_id.get(hook.account)
        room = self._rooms.get(hook.room)
        if room is not None and account is not None:
            self._membership.remove(room, account.key, actor)
        self._store.delete_account(hook.account)
        if account is not None:
            self.forget([account])
        log.log_event("hook_revoked", name=hook.name, room=hook.room, by=actor.name)

    def of_room(self, room: Room) -> Sequence[Account]:
        """Return the accounts of all hooks of a room, also of those that were removed from it."""
        by_id = self._authenticator.accounts_by_id
        return [by_id[hook.account] for hook in self._store.hooks(room.key) if hook.account in by_id]

    def forget(self, accounts: Sequence[Account]) -> None:
        """Forget hooks that the store does not have any more."""
        for account in accounts:
            self._authenticator.remove_account(account)
            self._rooms.remove_account(account, {})
            self._blocks.discard(account.key)

    def revoke_made_by(self, account: Account) -> None:
        """Delete the hooks that an account has made, which is about to be deleted: nothing can be posted by them."""
        for hook in self._store.hooks():
            if hook.creator == account.id:
                self._revoke(RoomActor(hook.by), hook)


def may_post(room: Room, hook: Hook) -> bool:
    """Return whether who has made a hook may still have it: an operator, or an owner of its room."""
    return hook.creator is None or room.roles.get(hook.creator) == "owner"


def require_no_hook(account: Account) -> None:
    """Raise `NotFound` for a hook, where only the account of a person will do."""
    if account.is_bot:
        raise NotFound("This is a hook: nobody logs in with that name.")
