/** A server in memory, as far as the page's client can tell, whose connections are cut by the tests. */

import { Client } from "../../gmessenger/web/client.js";
import { MemoryStorage } from "../../gmessenger/web/storage.js";

/** Return a promise that is resolved once a condition holds; it is tried again at each turn of the loop. */
export async function until(holds, turns = 2000) {
  for (let turn = 0; turn < turns; turn += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`it never held: ${holds}`);
}

/** One end of a WebSocket, whose other end is `server`. */
class FakeSocket {
  constructor(server) {
    this.server = server;
    server.sockets.push(this);
    queueMicrotask(() => (server.isUp ? this.onopen?.() : this.onclose?.()));
  }

  send(text) {
    this.server.receive(this, JSON.parse(text));
  }

  push(...frames) {
    for (const frame of frames) queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(frame) }));
  }

  close() {
    queueMicrotask(() => this.onclose?.());
  }
}

/** Stores messages as the server does: each id once, numbered by conversation. `log` has every frame it was sent. */
export class FakeServer {
  constructor({ isAccount = true } = {}) {
    this.isUp = true;
    this.isAccount = isAccount;
    this.sockets = [];
    this.log = [];
    this.conversations = new Map(); // name → messages
    this.acked = new Map();
    this.refuse = () => null; // response to a frame, in place of the ordinary one
    this.losesResponses = false;
    this.store = "s1";
    this.catchUp = []; // frames sent after a login
    this.files = new Map(); // id → { name, size, message }
    this.uploads = []; // requests, as they came
    this.onUpload = () => null; // an answer in place of the ordinary one
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Store a message; returns its frame. */
  store_(name, message) {
    const messages = this.conversations.get(name) ?? [];
    this.conversations.set(name, messages);
    const known = message.id && messages.find(({ id }) => id === message.id);
    if (known) return known;
    const stored = { action: "msg", time: 1000 + messages.length, ...message, seq: messages.length + 1 };
    messages.push(stored);
    return stored;
  }

  /** Take an upload, as the page sends it. `onUpload` may return an answer, or `later`: then the test gives it. */
  post(content, headers, onProgress) {
    const upload = { content, headers, isAborted: false };
    this.uploads.push(upload);
    const answer = new Promise((resolve) => {
      upload.respond = (status, fields = {}) =>
        resolve({ status, text: fields.text ?? "", header: (name) => fields[name] ?? "" });
    });
    upload.onProgress = onProgress;
    upload.keep = () => {
      const id = `file${this.uploads.length}`;
      this.files.set(id, { size: content.size });
      upload.respond(201, { Location: `/file/${id}/name` });
    };
    const refusal = this.onUpload(upload);
    if (Array.isArray(refusal)) upload.respond(...refusal);
    else if (refusal !== "later") upload.keep();
    const abort = () => {
      upload.isAborted = true;
      upload.respond(0);
    };
    return { answer, abort };
  }

  receive(socket, frame) {
    this.log.push(frame);
    const respond = (fields) =>
      socket.push({ response: 200, time: 1, ...(frame.id ? { id: frame.id } : {}), ...fields });
    const refusal = this.refuse(frame);
    if (refusal) return respond(refusal);
    return this[`_${frame.action}`]?.(frame, respond, socket);
  }

  _presence(frame, respond, socket) {
    respond({
      jim: 2,
      account: this.isAccount,
      session: "token",
      store: this.store,
      server: "test",
      limits: {},
      features: [],
    });
    socket.push(...this.catchUp, { action: "synced" });
  }

  _msg(frame, respond, socket) {
    const file = frame.file && { url: `/file/${frame.file}/name`, name: "name", type: "image/png", size: 3 };
    if (file && !this.files.has(frame.file)) return respond({ response: 404, code: "no_such_file" });
    const { seq, time } = this.store_(frame.to, {
      ...(file ? { file } : {}),
      from: "alice",
      to: frame.to,
      message: frame.message,
      id: frame.id,
      about: frame.about,
      what: frame.what,
    });
    if (this.losesResponses) return socket.close();
    return respond({ seq, time, ...(file ? { file } : {}) });
  }

  _ack({ with: name, seq }) {
    this.acked.set(name, seq);
  }

  _history(frame, respond) {
    const all = this.conversations.get(frame.with) ?? [];
    const { before = Infinity, after = 0, limit = 50 } = frame;
    const inRange = all.filter(({ seq }) => seq < before && seq > after);
    const messages = frame.after === undefined ? inRange.slice(-limit) : inRange.slice(0, limit);
    respond({ with: frame.with, first: 1, messages, more: messages.length < inRange.length });
  }

  _conversations(frame, respond) {
    const rows = [...this.conversations].map(([name, all]) => ({ with: name, seq: all.length, first: 1, read: 0 }));
    respond({ conversations: rows, more: false });
  }

  _whois(frame, respond) {
    respond({ user: { account_name: frame.user, status: "online" } });
  }

  _blocks(frame, respond) {
    respond({ users: [], more: false });
  }

  _members(frame, respond) {
    respond({ users: [{ account_name: "alice", status: "online" }], topic: "", more: false });
  }

  _probe(frame, respond) {
    respond({});
  }

  /** Cut the connection. */
  cut() {
    this.socket.onclose?.();
  }
}

/** Storage that outlives a client, as a database does: what is not written is lost with the page. */
export class DurableStorage extends MemoryStorage {
  constructor() {
    super();
    this.facts = {};
    this.outbox = new Map();
    this.conversations = new Map();
    this.steps = [];
  }

  get isPersistent() {
    return true;
  }

  async load() {
    const outbox = [...this.outbox.values()].map((message) => ({ ...message }));
    return { facts: { ...this.facts }, outbox, conversations: [...this.conversations.values()] };
  }

  async setFact(name, value) {
    this.facts[name] = value;
  }

  async putOutgoing(message) {
    this.outbox.set(message.id, { ...message });
  }

  async write(step) {
    this.steps.push(step);
    await super.write(step);
    for (const id of step.answered ?? []) this.outbox.delete(id);
    for (const record of step.conversations ?? []) this.conversations.set(record.key, record);
  }

  async clearMessages() {
    await super.clearMessages();
    this.conversations.clear();
  }
}

/** Return a client on a server and a storage, that collects what it was told. */
export function makeClient(server, storage = new DurableStorage()) {
  const seen = { messages: [], phases: [], lost: [], refused: [], sent: [], shares: [] };
  const hooks = {
    onChange: () => {},
    onPhase: (phase) => seen.phases.push(phase),
    onMessage: (conversation, entry) => seen.messages.push(entry.text),
    onLost: (name, count) => seen.lost.push([name, count]),
    onRefused: (message, response) => seen.refused.push(response.code),
    onFileSent: (id, file) => seen.sent.push(file.url),
    onUploading: (id, share) => seen.shares.push(share),
    onStorageError: (error) => {
      throw error;
    },
  };
  const makeSocket = () => new FakeSocket(server);
  const post = (...upload) => server.post(...upload);
  const client = new Client({ storage, url: "ws://test/jim", hooks, makeSocket, post });
  return { client, seen, storage };
}

/** Load a client and log it in as alice. */
export async function logIn(made) {
  const { session } = await made.client.load();
  if (session) made.client.resume(session);
  else await made.client.enter({ name: "alice", password: "secret" });
  await until(() => made.client.connection.isOnline);
}
