"""Command handlers of the settings that say what the user is notified of, and how joins are shown."""

from __future__ import annotations

import time
from typing import Final, get_args

from gmessenger.account_settings import AccountSettings, JoinDisplay, NotifyLevel, NotifySetting, SettingsChange
from gmessenger.client import Client, Connected, SearchHit, SearchResults
from gmessenger.log import traced
from gmessenger.names import fold
from gmessenger.sanitize import sanitize
from gmessenger.terminal import format_settings
from gmessenger.terminal.account_handlers import AccountHandlers
from gmessenger.terminal.attention import Attention
from gmessenger.terminal.i18n import N_, _, as_notice
from gmessenger.terminal.moderation_handlers import SECONDS_PER_MINUTE

LEVELS: Final = get_args(NotifyLevel)
JOIN_DISPLAYS: Final = get_args(JoinDisplay)
MAX_MENTIONS: Final = 50
"""Mentions listed, the newest."""
JOINS_SENTENCES: Final[dict[str, str]] = {
    "shown": N_("joins and leaves are shown"),
    "gathered": N_("joins and leaves between two messages are shown in one line"),
    "hidden": N_("joins and leaves are hidden"),
}


class AttentionHandlers(AccountHandlers):
    """The handlers of these commands. The settings are the account's, the same on all its devices."""

    def __init__(self, client: Client, attention: Attention) -> None:
        super().__init__(client)
        self.attention = attention

    def on_connected(self, event: Connected) -> None:
        """Apply the account's settings, too."""
        super().on_connected(event)
        self.attention.apply(event.settings)

    def _change(self, change: SettingsChange) -> None:
        self.attention.apply(self._client.change_settings(change))

    @traced("name", "level")
    def notify(self, name: str, level: str, minutes: int | None) -> None:
        """Set which messages of a conversation ring the bell, for so many minutes or for good."""
        self._show_result(lambda: self._notify(name or self.recipient or "", level, minutes))

    def _notify(self, name: str, level: str, minutes: int | None) -> str:
        if not name:
            return as_notice(_("which conversation? give its name, as in /notify #ROOM none"))
        until = time.time() + minutes * SECONDS_PER_MINUTE if minutes is not None else None
        default = AccountSettings().level(name, time.time())
        is_default = level == default and until is None
        setting = None if is_default else NotifySetting(level, until)  # type: ignore[arg-type]
        self._change(SettingsChange(notify={name: setting}))
        return format_settings.notify_setting(name, NotifySetting(level, until))  # type: ignore[arg-type]

    @traced()
    def notify_settings(self) -> None:
        """List the conversations that notify otherwise than by default."""
        self._show_result(lambda: format_settings.notify_settings(self._client.settings().notify))

    @traced()
    def highlight(self, word: str) -> None:
        """Add a word or phrase that counts as a mention; list them if it is empty."""
        self._show_result(lambda: self._highlight(word))

    def _highlight(self, word: str) -> str:
        words = self._client.settings().highlights
        if word and fold(word) not in map(fold, words):
            words = [*words, word]
            self._change(SettingsChange(highlights=words))
        return format_settings.highlights(words)

    @traced()
    def unhighlight(self, word: str) -> None:
        """Remove a word or phrase from those that count as a mention."""
        self._show_result(lambda: self._unhighlight(word))

    def _unhighlight(self, word: str) -> str:
        words = self._client.settings().highlights
        kept = [other for other in words if fold(other) != fold(word)]
        if len(kept) == len(words):
            return as_notice(_("{word} is not among the highlights; /highlight lists them", word=sanitize(word)))
        self._change(SettingsChange(highlights=kept))
        return format_settings.highlights(kept)

    @traced("display")
    def joins(self, display: str) -> None:
        """Set how joins and leaves are shown; say how they are if `display` is empty."""
        if display and display not in JOIN_DISPLAYS:
            return self.refuse(_("joins can be shown, gathered or hidden, as in /joins gathered"))
        return self._show_result(lambda: self._joins(display))

    def _joins(self, display: str) -> str:
        if display:
            self._change(SettingsChange(joins=display))  # type: ignore[arg-type]
        return as_notice(_(JOINS_SENTENCES[display or self.attention.joins]))

    def find_mentions(self) -> SearchResults:
        """Return the newest messages with the own name or a highlight, in all conversations. Blocks."""
        found: dict[tuple[str, object], SearchHit] = {}
        is_incomplete = False
        for word in self.attention.words:
            hits = self._client.search(word, count=MAX_MENTIONS)
            is_incomplete = is_incomplete or hits.is_incomplete
            found |= {(fold(hit.conversation), hit.delivery.seq): hit for hit in hits if self._is_for_user(hit)}
        newest = sorted(found.values(), key=lambda hit: hit.delivery.time, reverse=True)
        results = SearchResults(newest[:MAX_MENTIONS])
        results.is_incomplete = is_incomplete
        return results

    def _is_for_user(self, hit: SearchHit) -> bool:
        is_own = fold(hit.delivery.sender) == fold(self._client.name)
        return not is_own and self.attention.is_mention(hit.delivery.message)
