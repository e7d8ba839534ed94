/** The messenger without its appearance: what is received, sent, kept and logged in. It knows no DOM. */

import { Connection, now } from "./connection.js";
import { makeAccepted, makeAmendment } from "./entries.js";
import { Loader } from "./loader.js";
import { Login, identityOf, newDevice } from "./login.js";
import { fold, isSame } from "./names.js";
import { Outbox, randomId } from "./outbox.js";
import { Persistence } from "./persistence.js";
import { Refresher } from "./refresher.js";
import { Resequencer } from "./resequencer.js";
import { shownEntries } from "./shown_entries.js";
import { State } from "./state.js";

const DRAFT_DELAY = 0.3; // seconds after a key, until a draft is kept

/**
 * `hooks` are told what happens: `onChange(topic)`, `onPhase(phase, details)`, `onMessage(conversation, entry)` for
 * each message of another user, `onLost(conversation, count)`, `onRefused(message, response)` for amendments,
 * `onUploading(id, share)` with how much of a file was uploaded, `onFileSent(id, file)`, `onStorageError(error)`.
 */
export class Client {
  constructor({ storage, url, hooks, makeSocket, post }) {
    this.hooks = hooks;
    this._post = post; // of uploads, where it is not the browser's
    this._uploader = null;
    this._storage = storage;
    this.state = new State((topic) => hooks.onChange(topic));
    this.outbox = new Outbox();
    this.outbox.countMembers = (room) => this.state.find(room)?.members.size ?? 0;
    this.login = new Login({ onLogin: (response, name) => this._onLogin(response, name) });
    this.connection = new Connection({
      url,
      makeSocket,
      handshake: this.login,
      onFrame: (frame) => this._onFrame(frame),
      onPhase: (phase, details) => this._onPhase(phase, details),
    });
    this.connection.oldestSentAt = () => this.outbox.oldestSentAt();
    this.persistence = new Persistence(storage, {
      recordOf: (key) => this._recordOf(key),
      positionOf: (key) => this._positionOf(key),
      onStored: (acks) => acks.forEach((seq, key) => this._ack(key, seq)),
      onError: (error) => hooks.onStorageError(error),
    });
    const request = (frame) => this.request(frame);
    const onChange = () => (hooks.onChange("log"), hooks.onChange("list"));
    this.loader = new Loader({ state: this.state, storage, persistence: this.persistence, request, onChange });
    this._refresher = new Refresher(this);
    this._acked = new Map();
    this._hasLoggedIn = false;
    this._sendTimer = this._draftTimer = null;
    this._nextOrder = 0;
  }

  /** Take over what was kept; returns the facts. */
  async load() {
    const { facts, outbox, conversations } = await this._storage.load();
    const session = facts.session ?? {};
    this._makeResequencer(session.name ?? "");
    this.state.ownName = session.name ?? "";
    this.state.isAccount = Boolean(session.isAccount);
    this.state.limits = session.limits ?? {};
    this.state.features = session.features ?? [];
    for (const record of conversations) this.state.open(record.name).restore(record);
    const positions = conversations.filter(({ last }) => last !== null && last !== undefined);
    this.resequencer.restore(
      positions.map(({ name, last }) => [name, last]),
      session.identity,
    );
    this._nextOrder = (outbox.at(-1)?.order ?? 0) + 1;
    for (const message of outbox) this.outbox.add(message);
    for (const message of outbox) this.state.open(message.to);
    this._storage.trim().catch((error) => this.hooks.onStorageError(error));
    return facts;
  }

  /** Log in by the session that was kept; returns whether there is one. */
  resume(session) {
    if (!session?.token) return false;
    this.login.resume(session);
    this.connection.start();
    return true;
  }

  /** Log in with a name and a password, or as a guest without one; or register with `isNew`. */
  async enter({ name, password, invite, isNew }) {
    if (!isSame(name, this.state.ownName)) await this._forgetOther();
    const { session } = (await this._storage.load()).facts;
    const device = isSame(name, session?.name ?? "") ? session.device : newDevice(this._storage.isPersistent);
    if (isNew) this.login.register({ name, device, password, invite });
    else this.login.enter({ name, device, password });
    this.connection.stop();
    this.connection.start();
  }

  /** Register the name of the guest that one is. Raises `RequestError`. */
  async register(password, invite) {
    const response = await this.request({ action: "register", password, ...(invite ? { invite } : {}) });
    this.login.token = response.session;
    this.state.applyLogin({ ...response, limits: response.limits ?? this.state.limits }, this.state.ownName);
    this.resequencer.onRegistered(identityOf({ ...response, store: this._store }));
    await this._keepSession();
  }

  /** Log this device out, and delete what is kept here. Raises `RequestError` where the server was not told. */
  async logOut({ isForced = false } = {}) {
    try {
      if (this.state.isAccount) await this.request({ action: "drop", device: this.login.device });
      else this.connection.send({ action: "quit" });
    } catch (error) {
      if (!isForced && error.code !== "no_such_device") throw error;
    }
    this.connection.stop();
    await this._storage.destroy();
  }

  /** Send a request; returns a promise of its response. Raises `RequestError`. */
  request(frame) {
    return this.connection.request(frame);
  }

  /** Return all pages of a list of the server, as far as it is not too long. Raises `RequestError`. */
  requestAll(frame, field, key) {
    return this._refresher.requestAll(frame, field, key);
  }

  /**
   * Put a message into the outbox; it is kept before it is sent. Those that are put there in one step keep their order.
   *
   * `file` is one of the draft, whose id the message gets.
   */
  async send({ to, text, about, what, kind, file }) {
    const message = { id: file?.id ?? randomId(), to, text, time: now(), order: (this._nextOrder += 1) };
    const more = { about, what, kind, attachment: file?.info, content: file?.content };
    for (const [name, value] of Object.entries(more)) if (value) message[name] = value;
    this.state.open(to);
    await this._storage.putOutgoing(message).catch((error) => this.hooks.onStorageError(error));
    this.outbox.add(message);
    this.hooks.onChange("log");
    this.pump();
    return message;
  }

  /** Send a refused message again. */
  async retry(id) {
    this.outbox.retry(id);
    await this.keepOutgoing(this.outbox.find(id));
    this.hooks.onChange("log");
    this.pump();
  }

  /** Give a message up that the server has not accepted; returns it. */
  discard(id) {
    const message = this.outbox.resolve(id);
    this._uploader?.cancel(id);
    this.persistence.addAnswered(id, fold(message.to));
    this.hooks.onChange("log");
    this.pump();
    return message;
  }

  /** Compare anew with what the server has; done after each login. */
  refresh() {
    return this._refresher.run();
  }

  /** Return the entries of a conversation as they are shown: with what is in the outbox. */
  shownEntries(conversation) {
    return shownEntries(conversation, this.outbox, this.state);
  }

  /** Note that the open conversation was read up to a seq, and tell the server. */
  markRead(conversation, seq) {
    if (!conversation.markRead(seq)) return;
    if (this.state.isAccount) this.connection.send({ action: "read", with: conversation.name, seq });
    this.persistence.touch(conversation.key);
    this.hooks.onChange("list");
  }

  /** Keep a draft, soon. */
  setDraft(conversation, text) {
    conversation.draft = text;
    clearTimeout(this._draftTimer);
    this._draftTimer = setTimeout(() => this.persistence.touch(conversation.key), DRAFT_DELAY * 1000);
  }

  _onLogin(response, name) {
    const isReconnected = this._hasLoggedIn;
    this._hasLoggedIn = true;
    this._store = response.store;
    this._refresher.reset();
    if (!isSame(this.resequencer.ownName, name)) this._makeResequencer(name);
    const hadOthers = this.resequencer.reset(identityOf(response), Boolean(response.account));
    this.state.applyLogin(response, name);
    if (hadOthers) this._resetSeqs();
    this.outbox.requeueAll(this.state.isAccount);
    this.outbox.onConnected(this.state.limits, now(), isReconnected);
    this._keepSession();
  }

  _onPhase(phase, details) {
    this.hooks.onPhase(phase, details);
    if (phase === "waiting" || phase === "stopped") this.outbox.requeueAll(this.state.isAccount);
    if (phase !== "online") return;
    for (const [key, seq] of this._acked) this._ack(key, seq, true);
    this.pump();
    this.refresh();
  }

  _onFrame(frame) {
    if (frame.action === "msg") return this.resequencer.feed(frame);
    if (frame.action === "synced") return this._onSynced();
    if (frame.response !== undefined) return this._onResponse(frame);
    if (frame.action === "leave" && isSame(frame.user.account_name, this.state.ownName))
      this.resequencer.forget(frame.room);
    this.state.apply(frame, now());
    const name = frame.room ?? frame.with;
    if (name !== undefined && this.state.find(name)) this.persistence.touch(fold(name));
    return this.hooks.onEvent?.(frame);
  }

  _onResponse(response) {
    if (response.id === undefined || !this.outbox.find(response.id)) return;
    const message = this.outbox.find(response.id);
    const outcome = this.outbox.onResponse(response, now());
    if (outcome === "accepted") this._onAccepted(message, response);
    else if (outcome === "refused") this._onRefused(message, response);
    else if (outcome === "fileless") this.keepOutgoing(message);
    this.hooks.onChange("log");
    this.pump();
  }

  _onAccepted(message, response) {
    const { to, what, id } = message;
    const key = fold(to);
    if (response.seq !== undefined) this.resequencer.onSent(to, response.seq);
    if (what) {
      const amendment = makeAmendment(message, this.state.ownName, response);
      this.state.amend(amendment);
      this.persistence.addAmendment(key, amendment);
    } else {
      const entry = makeAccepted(message, this.state.ownName, response);
      if (entry.file) this.hooks.onFileSent?.(id, entry.file);
      this.state.addOwn(to, entry);
      if (to !== "#all") this.persistence.addEntry(key, entry);
    }
    this.persistence.addAnswered(id, key);
  }

  _onRefused(message, response) {
    if (message.what) {
      this.discard(message.id);
      this.hooks.onRefused(message, response);
    } else {
      this.keepOutgoing(message);
    }
  }

  /** Keep a queued message as it is now. */
  keepOutgoing(message) {
    return this._storage.putOutgoing(message).catch(() => {});
  }

  _deliver(message, name) {
    if (message.what) {
      const conversation = this.state.amend(message);
      return this.persistence.addAmendment(conversation.key, message);
    }
    const { conversation, entry, isHidden } = this.state.receive(message);
    this.persistence.addEntry(conversation.key, entry);
    if (!entry.isOwn && !isHidden) this.hooks.onMessage(conversation, entry);
    return name;
  }

  _ack(key, seq, isAgain = false) {
    if (seq === null || !this.state.isAccount || (!isAgain && (this._acked.get(key) ?? 0) >= seq)) return;
    this._acked.set(key, seq);
    this.connection.send({ action: "ack", with: this.state.find(key)?.name ?? key, seq });
  }

  /** Send what may be sent now. */
  pump() {
    if (!this.connection.isOnline || this.connection.isClosing) return;
    this._upload();
    for (const frame of this.outbox.nextBatch(now())) this.connection.send(frame);
    clearTimeout(this._sendTimer);
    const due = this.outbox.nextSendAt(now());
    if (due !== null) this._sendTimer = setTimeout(() => this.pump(), Math.max(10, (due - now()) * 1000));
  }

  // What uploads files is loaded when it is needed first; where it cannot be, with the next message or login.
  async _upload() {
    if (!this.outbox.nextUpload()) return;
    const loaded = await import("./uploads.js").catch(() => null);
    if (loaded) (this._uploader ??= new loaded.Uploader(this, this._post)).pump();
  }

  _onSynced() {
    this._refresher.onSynced();
    this.hooks.onSynced?.();
  }

  _makeResequencer(ownName) {
    this.resequencer = new Resequencer({
      ownName,
      deliver: (message, name) => this._deliver(message, name),
      reack: (name) => this._ack(fold(name), this._acked.get(fold(name)) ?? this.resequencer.lastOf(name), true),
      lose: (name, count) => this.hooks.onLost(name, count),
      request: (frame) => this.request(frame),
      isQueued: (message) => this.outbox.isQueued(message),
      schedule: (seconds, call) => setTimeout(call, seconds * 1000),
    });
  }

  _recordOf(key) {
    const conversation = this.state.conversations.get(key);
    return conversation && { ...conversation.toRecord(), last: this._positionOf(key) };
  }

  _positionOf(key) {
    const name = this.state.conversations.get(key)?.name;
    return name === undefined ? null : this.resequencer.lastOf(name);
  }

  _keepSession() {
    const { name, device, token } = this.login;
    const { isAccount, limits, features } = this.state;
    const identity = identityOf({ account: isAccount, store: this._store, session: token });
    const session = { name, device, token, isAccount, identity, limits, features };
    return this._storage.setFact("session", session).catch((error) => this.hooks.onStorageError(error));
  }

  async _resetSeqs() {
    this._acked.clear();
    for (const conversation of this.state.conversations.values()) conversation.resetSeqs();
    await this._storage.clearMessages().catch(() => {});
    if (this.state.current) this.loader.open(this.state.current);
  }

  // Somebody else logs in: what is kept of who was here before goes.
  async _forgetOther() {
    for (const { id } of [...this.outbox]) this.discard(id);
    this.state.conversations.clear();
    this.state.current = null;
    this._acked.clear();
    await this._storage.clearMessages().catch(() => {});
    await this._storage.clearOutbox().catch(() => {});
  }
}
