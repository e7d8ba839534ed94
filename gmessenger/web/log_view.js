/** The log of the open conversation: its entries, and where it is scrolled. It hangs on an entry, not on a number. */

import { reconcile } from "./dom.js";
import { dayView, entryView, newView } from "./entry_view.js";
import { isSame } from "./names.js";
import { quotedEntry } from "./shown_entries.js";
import { formatDay } from "./translations.js";

const GROUP_SECONDS = 300; // between messages of one sender under one head
const AT_END = 40; // pixels from the end that still count as the end
const READ_AFTER = 1000; // milliseconds for which a message must be in sight
const SCREENS_AHEAD = 2; // from an end of what is loaded, where more is loaded

/** `actions` is what entries do; `onRead(seq)`, `onOlder()`, `onNewer()` and `onScrolled(isAtEnd)` are called. */
export class LogView {
  constructor(list, scroller, { client, actions, onRead, onOlder, onNewer, onScrolled }) {
    Object.assign(this, { _list: list, _scroller: scroller, _client: client, _actions: actions });
    Object.assign(this, { _onRead: onRead, _onOlder: onOlder, _onNewer: onNewer, _onScrolled: onScrolled });
    this._isAtEnd = true;
    this._conversation = null;
    this._readTimer = null;
    scroller.addEventListener("scroll", () => this._afterScroll(), { passive: true });
    new ResizeObserver(() => this._isAtEnd && this.scrollToEnd()).observe(scroller);
  }

  get isAtEnd() {
    return this._isAtEnd;
  }

  /** Draw a conversation's entries; what is in sight stays where it is, or the end in sight. */
  render(conversation) {
    const isOther = conversation !== this._conversation;
    this._conversation = conversation;
    if (isOther) this._isAtEnd = true;
    const anchor = this._isAtEnd ? null : this._findAnchor();
    conversation.trim(this._isAtEnd);
    reconcile(this._list, this._items(conversation), {
      keyOf: (item) => item.key,
      versionOf: (item) => item.version,
      make: (item) => item.make(),
    });
    if (this._isAtEnd && conversation.atEnd) this.scrollToEnd();
    else if (anchor) this._scroller.scrollTop += anchor.item.offsetTop - anchor.top;
    this._afterScroll();
  }

  scrollToEnd() {
    this._isAtEnd = true;
    this._scroller.scrollTop = this._scroller.scrollHeight;
  }

  /** Scroll to an entry by its key, and focus it; returns whether it is there. */
  reveal(key) {
    const item = [...this._list.children].find((child) => child.itemKey === key);
    if (!item) return false;
    this._isAtEnd = false;
    item.scrollIntoView({ block: "center" });
    item.focus({ preventScroll: true });
    return true;
  }

  /** Begin to count what is in sight as read, if the page is looked at. */
  watchReading() {
    clearTimeout(this._readTimer);
    this._readTimer = setTimeout(() => this._read(), READ_AFTER);
  }

  // Entries, with lines between days and before what is new. The version says when an item has to be drawn anew.
  _items(conversation) {
    const items = [];
    let previous = null;
    let day = "";
    let isNewShown = conversation.newAfter === null;
    for (const entry of this._client.shownEntries(conversation)) {
      const today = entry.time ? formatDay(entry.time) : day;
      if (today !== day) items.push({ key: `day ${today}`, version: today, make: () => dayView(today) });
      const isNew = !isNewShown && !entry.notice && !entry.isOwn && isAfter(entry, conversation.newAfter);
      if (isNew) items.push({ key: "new", version: "", make: newView });
      isNewShown ||= isNew;
      const isFirst = today !== day || isNew || !isGroup(previous, entry);
      items.push(this._entryItem(conversation, entry, isFirst));
      day = today;
      previous = entry;
    }
    return items;
  }

  _entryItem(conversation, entry, isFirst) {
    const isMarked = conversation.marked === entry.key;
    const quoted = entry.about ? quotedEntry(conversation, entry.about, this._client.state) : null;
    const { isAccount, ownName } = this._client.state;
    const options = { isFirst, isMarked, ownName, canReact: isAccount && conversation.name !== "#all" };
    return {
      key: entry.key,
      version: versionOf(entry, isFirst, isMarked, isAccount, quoted),
      make: () => entryView(entry, { ...options, quoteOf: () => quoted, actions: this._actions }),
    };
  }

  _findAnchor() {
    const top = this._scroller.scrollTop;
    const item = [...this._list.children].find((child) => child.offsetTop + child.offsetHeight > top);
    return item ? { item, top: item.offsetTop } : null;
  }

  _afterScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this._scroller;
    const conversation = this._conversation;
    if (!conversation) return;
    const isNear = scrollHeight - scrollTop - clientHeight < AT_END;
    if (conversation.isLoaded) this._isAtEnd = isNear && conversation.atEnd; // before, it is to be opened at its end
    this._onScrolled(this._isAtEnd);
    this.watchReading();
    if (!conversation.isLoaded) return;
    if (scrollTop < SCREENS_AHEAD * clientHeight && !conversation.atStart) this._onOlder();
    else if (scrollHeight - scrollTop - clientHeight < SCREENS_AHEAD * clientHeight && !conversation.atEnd)
      this._onNewer();
  }

  _read() {
    const conversation = this._conversation;
    if (!conversation?.isLoaded || !document.hasFocus() || document.visibilityState !== "visible") return;
    if (!this._scroller.offsetParent) return; // on a phone, the list of conversations is in sight
    if (this._isAtEnd) return this._onRead(conversation.head);
    const bottom = this._scroller.scrollTop + this._scroller.clientHeight;
    const seqs = [...this._list.children].filter((child) => child.offsetTop + child.offsetHeight <= bottom);
    const seen = seqs.findLast((child) => child.dataset.seq);
    if (seen) this._onRead(Number(seen.dataset.seq));
  }
}

let versions = new WeakMap(); // entries are never changed, but replaced
let versionCount = 0;

function versionOf(entry, isFirst, isMarked, isAccount, quoted) {
  return [numberOf(entry), isFirst, isMarked, isAccount, quoted ? numberOf(quoted) : ""].join(" ");
}

// Of a message in the outbox there is a new entry at each drawing: what it looks like is its version.
function numberOf(entry) {
  if (entry.seq === undefined && !entry.notice)
    return `${entry.key} ${entry.state} ${entry.refusal?.code} ${entry.reason?.code} ${entry.isUploading}`;
  if (!versions.has(entry)) versions.set(entry, (versionCount += 1));
  return versions.get(entry);
}

/** Have everything drawn anew, in another language. */
export function forgetVersions() {
  versions = new WeakMap();
}

function isAfter(entry, seq) {
  return entry.seq === undefined ? entry.state === undefined : entry.seq > seq;
}

function isGroup(previous, entry) {
  if (!previous || previous.notice || entry.notice || !previous.sender || previous.erased || entry.about) return false;
  if (entry.kind === "action" || previous.kind === "action") return false;
  return isSame(previous.sender, entry.sender) && entry.time - previous.time < GROUP_SECONDS;
}
