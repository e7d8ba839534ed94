/** What is kept in the browser: an IndexedDB with the token, unanswered messages, drafts and the newest messages. */

import { amend } from "./entries.js";

const NAME = "gmessenger";
const VERSION = 2; // with a store more
const STORES = {
  facts: "name",
  outbox: "id",
  contents: "id",
  conversations: "key",
  messages: ["conversation", "order"],
};
export const MAX_KEPT = 200; // messages of a conversation
const MAX_CONVERSATIONS = 50; // whose messages are kept
const TRIM_AFTER = 200; // more messages of a conversation

/** Open the database; where the browser has none, what is kept lasts as long as the page. */
export async function openStorage() {
  try {
    return new Storage(await openDatabase());
  } catch {
    return new MemoryStorage();
  }
}

function openDatabase() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(NAME, VERSION);
    opening.onupgradeneeded = () => {
      const { result: database } = opening;
      for (const [name, keyPath] of Object.entries(STORES))
        if (!database.objectStoreNames.contains(name)) database.createObjectStore(name, { keyPath });
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = opening.onblocked = () => reject(opening.error);
  });
}

function settle(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

class Storage {
  constructor(database) {
    this._database = database;
    this._added = new Map(); // conversation → messages that were written since it was trimmed
    this._contents = new Set(); // ids of the contents that are kept
    database.onversionchange = () => database.close();
  }

  get isPersistent() {
    return true;
  }

  /** Return all but the messages: `{ facts, outbox, conversations }`, and the `unused` ids of contents. */
  async load() {
    const names = ["facts", "outbox", "conversations", "contents"];
    const transaction = this._database.transaction(names);
    const rows = await Promise.all(names.map((name) => settle(transaction.objectStore(name).getAll())));
    const facts = Object.fromEntries(rows[0].map(({ name, value }) => [name, value]));
    const contents = new Map(rows[3].map(({ id, content }) => [id, content]));
    this._contents = new Set(contents.keys());
    const outbox = rows[1].sort((one, other) => one.order - other.order).map((row) => withContent(contents, row));
    const conversations = rows[2].map(({ attachments = [], ...record }) => {
      const found = attachments.map((row) => withContent(contents, row)).filter(({ content }) => content);
      return { ...record, attachments: found };
    });
    return { facts, outbox, conversations, unused: [...contents.keys()] };
  }

  /** Keep a value under a name. */
  setFact(name, value) {
    return this._run(["facts"], ({ facts }) => facts.put({ name, value }));
  }

  /** Keep a message that the server has not answered; it is on disk when this returns. */
  async putOutgoing({ content, ...message }) {
    const isNew = content && !this._contents.has(message.id);
    const change = ({ outbox, contents }) => {
      outbox.put(message);
      if (isNew) contents.put({ id: message.id, content });
    };
    await this._run(isNew ? ["outbox", "contents"] : ["outbox"], change, "strict");
    if (isNew) this._contents.add(message.id);
  }

  /** Keep the content of a file that goes with a draft, in place of the one before. */
  async setContent(id, content) {
    await this._run(["contents"], ({ contents }) => contents.put({ id, content }));
    this._contents.add(id);
  }

  /** Drop the contents of files. */
  async dropContents(ids) {
    if (ids.length) await this._run(["contents"], ({ contents }) => ids.forEach((id) => contents.delete(id)));
    for (const id of ids) this._contents.delete(id);
  }

  /** Keep a step: received entries, amendments, answered messages and conversations, all of them or nothing. */
  async write({ entries = [], amendments = [], answered = [], conversations = [], emptied = [] }) {
    await this._run(["messages", "outbox", "contents", "conversations"], (stores) => {
      for (const key of emptied) stores.messages.delete(rangeOf(key));
      for (const { conversation, order, entry } of entries) stores.messages.put({ conversation, order, entry });
      for (const ofOne of groupByRow(amendments)) amendRow(stores.messages, ofOne);
      for (const id of answered) for (const name of ["outbox", "contents"]) stores[name].delete(id);
      for (const record of conversations) stores.conversations.put(record);
    });
    for (const { conversation } of entries) {
      const count = (this._added.get(conversation) ?? 0) + 1;
      this._added.set(conversation, count);
      if (count > TRIM_AFTER) await this._trim(conversation);
    }
  }

  /** Return the newest entries of a conversation, in order; those before `before`, if it is given. */
  async latest(key, limit, before = Infinity) {
    const store = this._database.transaction(["messages"]).objectStore("messages");
    const range = IDBKeyRange.bound([key, -Infinity], [key, before], false, true);
    const entries = [];
    return new Promise((resolve, reject) => {
      const cursing = store.openCursor(range, "prev");
      cursing.onerror = () => reject(cursing.error);
      cursing.onsuccess = () => {
        const cursor = cursing.result;
        if (!cursor || entries.length === limit) return resolve(entries.reverse());
        entries.push({ ...cursor.value.entry, order: cursor.value.order });
        return cursor.continue();
      };
    });
  }

  /** Drop messages and positions: they are of another store, or of another session of a guest. */
  clearMessages() {
    return this._run(["messages", "conversations"], (stores) => {
      stores.messages.clear();
      stores.conversations.clear();
    });
  }

  /** Drop the messages that the server has not answered: somebody else logs in. */
  clearOutbox() {
    this._contents.clear();
    return this._run(["outbox", "contents"], (stores) => {
      stores.outbox.clear();
      stores.contents.clear();
    });
  }

  /** Delete everything. */
  destroy() {
    this._database.close();
    return settle(indexedDB.deleteDatabase(NAME)).catch(() => {});
  }

  /** Drop the messages of all but the newest conversations, and contents of files that nothing has. */
  async trim() {
    const { conversations, unused } = await this.load();
    await this.dropContents(unused);
    const old = conversations.sort((one, other) => other.time - one.time).slice(MAX_CONVERSATIONS);
    if (!old.length) return;
    await this._run(["messages"], ({ messages }) => old.forEach(({ key }) => messages.delete(rangeOf(key))));
  }

  async _trim(key) {
    this._added.delete(key);
    const [oldest] = await this.latest(key, MAX_KEPT);
    const range = IDBKeyRange.bound([key, -Infinity], [key, oldest.order], false, true);
    await this._run(["messages"], ({ messages }) => messages.delete(range));
  }

  _run(names, change, durability = "relaxed") {
    return new Promise((resolve, reject) => {
      const transaction = this._database.transaction(names, "readwrite", { durability });
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      change(Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)])));
    });
  }
}

// A file that goes with a message is no draft's any more: its content is taken out.
function withContent(contents, row) {
  const content = contents.get(row.id);
  contents.delete(row.id);
  return content ? { ...row, content } : row;
}

function rangeOf(key) {
  return IDBKeyRange.bound([key, -Infinity], [key, Infinity]);
}

function groupByRow(amendments) {
  return Map.groupBy(amendments, ({ conversation, message }) => `${message.about} ${conversation}`).values();
}

// All amendments of one message at once: what is read next may have been read before what is written here.
function amendRow(messages, amendments) {
  const [{ conversation, message }] = amendments;
  const reading = messages.get([conversation, message.about]);
  reading.onsuccess = () => {
    const row = reading.result;
    const amended = (entry, each) => amend(entry, each.message);
    if (row) messages.put({ ...row, entry: amendments.reduce(amended, row.entry) });
  };
}

/** The same for a browser without a database, as in some private windows: nothing outlives the page. */
export class MemoryStorage {
  constructor() {
    this._messages = new Map(); // conversation → rows
  }

  get isPersistent() {
    return false;
  }

  async load() {
    return { facts: {}, outbox: [], conversations: [] };
  }

  async setFact() {}

  async putOutgoing() {}

  async setContent() {}

  async dropContents() {}

  async write({ entries = [], amendments = [], emptied = [] }) {
    for (const key of emptied) this._messages.delete(key);
    for (const { conversation, order, entry } of entries) {
      const rows = (this._messages.get(conversation) ?? []).filter((row) => row.order !== order);
      rows.push({ order, entry });
      this._messages.set(conversation, rows.sort((one, other) => one.order - other.order).slice(-MAX_KEPT));
    }
    for (const { conversation, message } of amendments) {
      const row = this._messages.get(conversation)?.find((each) => each.order === message.about);
      if (row) row.entry = amend(row.entry, message);
    }
  }

  async latest(key, limit, before = Infinity) {
    const rows = (this._messages.get(key) ?? []).filter((row) => row.order < before);
    return rows.slice(-limit).map(({ order, entry }) => ({ ...entry, order }));
  }

  async clearMessages() {
    this._messages.clear();
  }

  async clearOutbox() {}

  async trim() {}

  async destroy() {
    this._messages.clear();
  }
}
