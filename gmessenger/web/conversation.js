/** A conversation: how much of it is unread, and, while it is open, the entries that are loaded. Pure. */

import { amend, makeNotice } from "./entries.js";
import { fold, isRoom } from "./names.js";

/** Entries that are loaded at one time; more are cut at the end that is farther from what is looked at. */
export const MAX_ENTRIES = 400;
const STORED = [
  ...["name", "read", "head", "first", "time", "preview", "delivered", "topic", "absences", "unread", "mentions"],
  ...["draft", "isListed", "attachments"],
];

export class Conversation {
  constructor(name) {
    this.name = name;
    this.key = fold(name);
    this.isRoom = isRoom(name);
    this.head = 0; // the newest seq, amendments included
    this.read = 0;
    this.first = 1; // the oldest seq that one may read
    this.unread = this.mentions = 0;
    this.delivered = 0;
    this.time = 0;
    this.preview = null;
    this.topic = "";
    this.absences = [];
    this.draft = "";
    this.attachments = []; // { id, info, content }: files that go with the draft
    this.preparing = null; // a promise: of files that are being prepared
    this.composed = null; // { seq, isEdit }: what the text that is being written is about
    this.members = new Map(); // folded name → { name, role }
    this.rules = null;
    this.role = "";
    this.isListed = !this.isRoom; // whether it is in the list of conversations; rooms only while one is a member
    this.isClosed = false;
    this._counted = 0; // the seq up to which the unread messages are counted
    this.unload();
  }

  /** Drop the entries; they are loaded again when the conversation is opened. */
  unload() {
    this.entries = [];
    this.isLoaded = this.atStart = this.atEnd = false;
    this.quoted = new Map(); // seq → an entry that is quoted, and not loaded otherwise
    this.newAfter = null; // the line "new" is after this seq
    this.marked = null; // the key of the entry that a search has found
  }

  /** Whether something is being written. */
  get hasDraft() {
    return Boolean(this.draft || this.attachments.length);
  }

  /** Return what is kept of the conversation in the browser. */
  toRecord() {
    const record = Object.fromEntries([["key", this.key], ...STORED.map((name) => [name, this[name]])]);
    const prepared = this.attachments.filter(({ content }) => content);
    return { ...record, attachments: prepared.map(({ id, info }) => ({ id, info })) };
  }

  /** Take over what was kept. */
  restore(record) {
    for (const name of STORED) if (record[name] !== undefined) this[name] = record[name];
    this._counted = this.head;
  }

  /** Forget all seqs, as those of another store are others. */
  resetSeqs() {
    this.head = this.read = this.delivered = this.unread = this.mentions = this._counted = 0;
    this.first = 1;
    this.absences = [];
    this.unload();
  }

  /** Take over what the server lists; return whether what was read here is farther than what the server knows. */
  applyListing({ seq, first, read, quiet = 0, time }) {
    const isAhead = this.read > read;
    this.isListed = true;
    this.head = this._counted = Math.max(this.head, seq);
    this.first = first ?? this.first;
    this.read = Math.max(this.read, read);
    this.time = Math.max(this.time, time ?? 0);
    const unread = Math.max(0, this.head - this.read - (isAhead ? 0 : quiet));
    this.unread = isAhead ? Math.min(this.unread, unread) : unread;
    this.mentions = Math.min(this.mentions, this.unread);
    return isAhead;
  }

  /** Count a message that was received, and add it to the entries if these reach up to it. */
  receive(entry, isHidden = false) {
    this.isListed = true;
    this.time = Math.max(this.time, entry.time);
    if (entry.seq !== undefined) this.head = Math.max(this.head, entry.seq);
    if (!isHidden)
      this.preview = { sender: entry.sender, text: entry.text.slice(0, 120), seq: entry.seq, kind: entry.kind };
    const isNew = entry.seq === undefined || (entry.seq > this._counted && entry.seq > this.read);
    if (isNew && !entry.isOwn && !isHidden) {
      this.unread += 1;
      if (entry.isMention) this.mentions += 1;
    }
    if (entry.isOwn) this.unread = this.mentions = 0; // who answers has read
    this._counted = Math.max(this._counted, entry.seq ?? 0);
    return this.insert(entry);
  }

  /** Add an entry in the order of seqs, in place of one of the same seq or id; returns whether it is loaded now. */
  insert(entry) {
    if (!this.isLoaded || !this.atEnd) return false;
    const first = this.edgeSeq(false);
    if (first !== null && entry.seq < first && !this.atStart) return false;
    this.entries = withEntry(this.entries, entry);
    if (this.entries.length > 2 * MAX_ENTRIES) this.trim(true);
    return true;
  }

  /** Note an amendment, and change the entry that it is about; returns that as it was and as it is, if it is loaded. */
  amend(message) {
    if (message.seq !== undefined) {
      this.head = Math.max(this.head, message.seq);
      this._counted = Math.max(this._counted, message.seq);
    }
    if (this.preview && this.preview.seq === message.about) this._amendPreview(message);
    const before = this.entries.find((entry) => entry.seq === message.about);
    if (!before) return null;
    const after = amend(before, message);
    this.entries = this.entries.map((entry) => (entry === before ? after : entry));
    return { before, after };
  }

  /** Show what was loaded: `entries` in order, and whether they reach to both ends. */
  show(entries, { atStart, atEnd }) {
    this.entries = entries;
    this.isLoaded = true;
    Object.assign(this, { atStart, atEnd });
  }

  /** Add older entries; the newest are cut if there are too many. */
  addOlder(entries, atStart) {
    const all = merge(entries, this.entries);
    this.atStart = atStart;
    this.entries = all.slice(0, MAX_ENTRIES);
    if (all.length > MAX_ENTRIES) this.atEnd = false;
  }

  /** Add newer entries; the oldest are cut if there are too many. */
  addNewer(entries, atEnd) {
    this.entries = merge(this.entries, entries);
    this.atEnd = atEnd;
    this.trim(true);
  }

  /** Cut entries if there are too many: the oldest if the newest are looked at, else the newest. */
  trim(isAtEnd) {
    if (this.entries.length <= MAX_ENTRIES) return;
    if (isAtEnd) {
      this.entries = this.entries.slice(-MAX_ENTRIES);
      this.atStart = false;
    } else {
      this.entries = this.entries.slice(0, MAX_ENTRIES);
      this.atEnd = false;
    }
  }

  /** Note that one has read up to a seq; returns whether that is news. */
  markRead(seq) {
    if (seq <= this.read) return false;
    this.read = seq;
    if (seq >= this.head) this.unread = this.mentions = 0;
    this.unread = Math.min(this.unread, Math.max(0, this.head - seq));
    this.mentions = Math.min(this.mentions, this.unread);
    return true;
  }

  /** Note that messages without seqs were seen. */
  markUnnumberedRead() {
    if (this.head === 0) this.unread = this.mentions = 0;
  }

  /** Note that all own messages up to a seq were delivered. */
  markDelivered(seq) {
    this.delivered = Math.max(this.delivered, seq);
    this.entries = this.entries.map((entry) =>
      entry.state === "stored" && entry.seq <= seq ? { ...entry, state: "delivered" } : entry,
    );
  }

  /** Add a notice; joins and leaves in a row become one if `isGathered`. */
  addNotice(kind, values, time, isGathered = false) {
    if (!this.isLoaded || !this.atEnd) return;
    const last = this.entries.at(-1);
    if (isGathered && last?.gathered) {
      const gathered = { ...last, gathered: [...last.gathered, { kind, ...values }].slice(-100) };
      this.entries = [...this.entries.slice(0, -1), gathered];
      return;
    }
    const entry = makeNotice(kind, values, time);
    this.entries = [...this.entries, isGathered ? { ...entry, gathered: [{ kind, ...values }] } : entry];
  }

  /** Return the oldest, or the newest, seq that is loaded; null if none is. */
  edgeSeq(isNewest) {
    const seqs = this.entries.filter((entry) => entry.seq !== undefined);
    return (isNewest ? seqs.at(-1) : seqs[0])?.seq ?? null;
  }

  _amendPreview(message) {
    const { text, erased } = amend({ text: this.preview.text }, message);
    this.preview = { ...this.preview, text: text.slice(0, 120), isErased: Boolean(erased) };
  }
}

function isSameEntry(entry, other) {
  return entry.key === other.key || (entry.id !== undefined && entry.isOwn && other.isOwn && other.id === entry.id);
}

// In the order of seqs; entries without one stay where they came. One that is there already is replaced.
function withEntry(entries, entry) {
  const others = entries.filter((other) => !isSameEntry(entry, other));
  let place = others.length;
  if (entry.seq !== undefined) {
    const behind = others.findIndex((other) => other.seq > entry.seq);
    if (behind >= 0) place = behind;
  }
  return others.toSpliced(place, 0, entry);
}

// Two runs of entries; they overlap where a message arrived while a page was loaded.
function merge(older, newer) {
  const last = older.findLast((entry) => entry.seq !== undefined)?.seq ?? 0;
  const first = newer.find((entry) => entry.seq !== undefined)?.seq ?? Infinity;
  return last < first ? [...older, ...newer] : newer.reduce(withEntry, older);
}
