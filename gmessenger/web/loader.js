/** Loads the entries of the open conversation: what is kept here at once, the rest from the server's history. */

import { completeMessage, isSame } from "./names.js";
import { MAX_KEPT } from "./storage.js";

const FIRST_PAGE = 60;
const PAGE = 50;
const MIN_SHOWN = 40; // entries below which older ones are loaded at once
const MAX_MEMBERS = 1000; // that are listed
const MAX_QUOTED = 20; // messages that are loaded at one time because they are quoted
const MAX_PREVIEWS = 30; // conversations whose newest message is looked up after a login

/** `request(frame)` asks the server, and is rejected while there is no connection. */
export class Loader {
  constructor({ state, storage, persistence, request, onChange }) {
    Object.assign(this, { _state: state, _storage: storage, _persistence: persistence });
    Object.assign(this, { _request: request, _onChange: onChange });
    this._loading = new Map(); // conversation key → promise
  }

  /** Show a conversation from what is kept here, and load what is missing; resolves once something is shown. */
  async open(conversation) {
    await this._persistence.flush();
    const kept = await this._storage.latest(conversation.key, MAX_KEPT / 2);
    if (conversation !== this._state.current) return;
    conversation.show(
      kept.map((entry) => this._withState(conversation, entry)),
      { atStart: false, atEnd: true },
    );
    this._onChange();
    await this.refresh(conversation);
  }

  /** Load what is missing of the open conversation, as far as there is a connection. */
  async refresh(conversation) {
    if (!conversation.isLoaded) return;
    if (conversation.entries.length < MIN_SHOWN) await this.loadOlder(conversation, FIRST_PAGE);
    if (!conversation.isRoom) this._loadStatus(conversation.name); // nothing waits for it
    else if (conversation.name !== "#all") await this.loadMembers(conversation);
  }

  /** Load older entries, unless they are being loaded or there are none. */
  loadOlder(conversation, limit = PAGE) {
    if (conversation.atStart) return Promise.resolve();
    return this._once(conversation, async () => {
      const kept = await this._keptBefore(conversation, limit);
      if (kept.length) return conversation.addOlder(kept, false);
      if (!this._state.isAccount) return conversation.addOlder([], true);
      const before = conversation.edgeSeq(false);
      const page = await this._page(conversation, before === null ? { limit } : { before, limit });
      if (!page) return undefined;
      if (conversation.atEnd) this._keep(conversation, page.entries);
      return conversation.addOlder(page.entries, !page.more);
    });
  }

  /** Load newer entries, where the newest were cut. */
  loadNewer(conversation) {
    if (conversation.atEnd) return Promise.resolve();
    return this._once(conversation, async () => {
      const after = conversation.edgeSeq(true);
      const page = await this._page(conversation, { after: after ?? 0, limit: PAGE });
      if (page) conversation.addNewer(page.entries, !page.more);
    });
  }

  /** Show the place of a message: what was said before it, and after it. */
  async openPlace(conversation, seq) {
    await this._once(conversation, async () => {
      const older = await this._page(conversation, { before: seq + 1, limit: PAGE / 2 });
      const newer = await this._page(conversation, { after: seq, limit: PAGE / 2 });
      if (!older || !newer) return;
      conversation.show([...older.entries, ...newer.entries], { atStart: !older.more, atEnd: !newer.more });
      conversation.marked = `seq ${seq}`;
    });
  }

  /** Load the messages that loaded replies are about, where these are not loaded. */
  async loadQuoted(conversation) {
    if (!this._state.isAccount || !conversation.isLoaded) return;
    const known = new Set([...conversation.entries.map(({ seq }) => seq), ...conversation.quoted.keys()]);
    const missing = new Set(conversation.entries.map(({ about }) => about).filter((seq) => seq && !known.has(seq)));
    for (const seq of [...missing].slice(0, MAX_QUOTED)) {
      conversation.quoted.set(seq, null); // it is asked for once
      const page = await this._page(conversation, { before: seq + 1, limit: 1 });
      if (!page) conversation.quoted.delete(seq);
      else if (page.entries[0]?.seq === seq) conversation.quoted.set(seq, page.entries[0]);
      if (page) this._onChange();
      else return;
    }
  }

  /** Load the members of a room with their roles, and its topic. */
  async loadMembers(conversation) {
    const users = [];
    try {
      for (let more = true; more && users.length < MAX_MEMBERS;) {
        const after = users.length ? { after: users.at(-1).account_name } : {};
        const page = await this._request({ action: "members", room: conversation.name, ...after });
        if (page.topic !== undefined) conversation.topic = page.topic;
        users.push(...page.users);
        more = page.more && page.users.length > 0;
      }
      this._state.setMembers(conversation.name, users);
    } catch (error) {
      if (error.code === "not_member" || error.code === "no_such_room") conversation.isListed = false;
    }
  }

  /** Look up the newest message of the conversations that are listed first, for their previews. */
  async loadPreviews() {
    const missing = this._state.listed().filter((each) => !each.preview && each.head > 0);
    for (const conversation of missing.slice(0, MAX_PREVIEWS)) {
      try {
        const { messages } = await this._request({ action: "history", with: conversation.name, limit: 1 });
        const [message] = messages;
        if (!message || conversation.preview) continue;
        conversation.preview = {
          sender: message.from ?? "",
          text: (message.message ?? "").slice(0, 120),
          seq: message.seq,
        };
        conversation.preview.isErased = Boolean(message.erased);
        if (isSame(message.from ?? "", this._state.ownName)) conversation.unread = conversation.mentions = 0;
        this._onChange();
      } catch {
        return;
      }
    }
  }

  async _loadStatus(name) {
    const { user } = await this._request({ action: "whois", user: name }).catch(() => ({}));
    if (user) this._state.setStatus(name, user.status ?? "offline", user.note);
  }

  async _once(conversation, load) {
    const loading = this._loading.get(conversation.key);
    if (loading) return loading;
    const promise = load().finally(() => {
      this._loading.delete(conversation.key);
      this._onChange();
    });
    this._loading.set(conversation.key, promise);
    return promise;
  }

  async _keptBefore(conversation, limit) {
    const oldest = conversation.entries.find((entry) => entry.order !== undefined || entry.seq !== undefined);
    if (!oldest || !conversation.atEnd) return [];
    await this._persistence.flush();
    const kept = await this._storage.latest(conversation.key, limit, oldest.order ?? oldest.seq);
    return kept.map((entry) => this._withState(conversation, entry));
  }

  // Undefined where it cannot be loaded now.
  async _page(conversation, bounds) {
    try {
      const response = await this._request({ action: "history", with: conversation.name, ...bounds });
      conversation.first = response.first ?? conversation.first;
      conversation.absences = response.absent ?? conversation.absences;
      const entries = response.messages.map((message) => {
        const entry = this._state.makeEntry(completeMessage(message, conversation.name, this._state.ownName));
        return this._withState(conversation, entry);
      });
      return { entries, more: Boolean(response.more) };
    } catch (error) {
      const isFinal = error.code !== "disconnected" && !error.isRetryable;
      return isFinal ? { entries: [], more: false } : undefined;
    }
  }

  _withState(conversation, entry) {
    const isDelivered = entry.state === "stored" && entry.seq <= conversation.delivered;
    return isDelivered ? { ...entry, state: "delivered" } : entry;
  }

  // What adjoins the newest message is kept, for when there is no connection.
  _keep(conversation, entries) {
    if (conversation.entries.length + entries.length > MAX_KEPT) return;
    for (const entry of entries) this._persistence.addEntry(conversation.key, entry);
  }
}
