/** The connection to the server: a WebSocket that logs in, is probed when silent, and comes back when it is lost. */

const MAX_BACKOFF = 60; // seconds; the delays are 1, 2, 4 … with jitter
const OPEN = 1; // of WebSocket's states
const CONNECT_TIMEOUT = 20;
const REQUEST_TIMEOUT = 30;
const SILENCE = 50; // seconds without a frame, after which the server is probed
const PROBE_TIMEOUT = 20;
const QUICK_PROBE_TIMEOUT = 5; // after the page was hidden, or the network changed
const CHECK_INTERVAL = 5;
const MAX_RETRIES = 3; // of a request that was too fast
/** Codes, in frames without an id, after which one does not come back by oneself. */
const FINAL_CODES = [
  "replaced",
  "account_disabled",
  "account_deleted",
  "password_needed",
  "name_taken",
  "kicked",
  "banned",
];

/** Why a request has failed: the fields of the response, or the code `disconnected`. */
export class RequestError extends Error {
  constructor(response) {
    super(response.error ?? response.code);
    Object.assign(this, response);
    this.isRetryable = response.response === 429 || response.response >= 500;
  }
}

/**
 * `handshake.frame()` returns the first frame; `handshake.onResponse(response)` is told what is answered, and returns
 * `online`, `again` (send the first frame again), `later` (as if the connection were lost) or `stop`.
 *
 * `onFrame(frame)` gets what is no response to a request; `onPhase(phase, details)` the phases `connecting`, `online`,
 * `waiting` (with `retryIn`, in seconds) and `stopped` (with the `response` that is the reason).
 */
export class Connection {
  constructor({ url, handshake, onFrame, onPhase, makeSocket = (place) => new WebSocket(place, "jim.2") }) {
    Object.assign(this, {
      _url: url,
      _handshake: handshake,
      _onFrame: onFrame,
      _onPhase: onPhase,
      _makeSocket: makeSocket,
    });
    this.phase = "stopped";
    this._socket = null;
    this._prepared = null; // a socket for the next attempt
    this._requests = new Map(); // id → { resolve, reject, timer }
    this._nextId = 1;
    this._failures = 0;
    this._retryIn = null; // as the server has asked
    this._timers = {};
    /** Returns since when, in seconds, a message has no answer; null if none is in flight. */
    this.oldestSentAt = () => null;
  }

  get isOnline() {
    return this.phase === "online";
  }

  /** Open the socket that `start` will use, while one still types: on a slow line it takes as long as the login. */
  prepare() {
    if (this.phase !== "stopped" || this._prepared) return;
    const socket = (this._prepared = this._makeSocket(this._url));
    socket.onclose = () => socket === this._prepared && (this._prepared = null);
  }

  /** Connect, if that is not done already. */
  start() {
    if (this.phase === "stopped" || this.phase === "waiting") this._connect();
  }

  /** Close, and stay closed until `start`. */
  stop(response = {}) {
    this._drop();
    this._setPhase("stopped", { response });
  }

  /** Find out at once whether there is a connection: the network has changed, or the page is looked at again. */
  check() {
    if (this.phase === "waiting") this._connect();
    else if (this.isOnline) this._probe(QUICK_PROBE_TIMEOUT);
  }

  /** Send a frame that has no response; nothing is sent without a connection. */
  send(frame) {
    if (this.isOnline) this._socket.send(JSON.stringify(frame));
  }

  /** Send a request; returns a promise of its response. Raises `RequestError`. */
  async request(frame, timeout = REQUEST_TIMEOUT) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this._requestOnce(frame, timeout);
      } catch (error) {
        if (error.code !== "too_fast" || attempt === MAX_RETRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.retry_after ?? 1, 10)));
      }
    }
  }

  _requestOnce(frame, timeout) {
    if (!this.isOnline) return Promise.reject(new RequestError({ code: "disconnected" }));
    const id = `r${(this._nextId += 1)}`;
    return new Promise((resolve, reject) => {
      const onTimeout = () => this._settle(id, { response: 504, code: "disconnected" });
      this._requests.set(id, { resolve, reject, timer: setTimeout(onTimeout, timeout * 1000) });
      this._socket.send(JSON.stringify({ ...frame, id }));
    });
  }

  _settle(id, response) {
    const pending = this._requests.get(id);
    if (!pending) return false;
    this._requests.delete(id);
    clearTimeout(pending.timer);
    if (response.response < 400) pending.resolve(response);
    else pending.reject(new RequestError(response));
    return true;
  }

  _connect() {
    this._drop();
    this._setPhase("connecting");
    this._retryIn = null;
    this._isClosing = false;
    const socket = (this._socket = this._takePrepared() ?? this._makeSocket(this._url));
    const guard = (call) => (event) => socket === this._socket && call(event);
    const greet = () => socket.send(JSON.stringify(this._handshake.frame()));
    socket.onopen = guard(greet);
    socket.onmessage = guard((event) => this._receive(JSON.parse(event.data)));
    socket.onclose = guard(() => this._lose());
    socket.onerror = guard(() => socket.close());
    this._setTimer("connect", CONNECT_TIMEOUT, () => this._lose());
    if (socket.readyState === OPEN) greet();
  }

  // Nothing where there is none, or where it is being closed.
  _takePrepared() {
    const socket = this._prepared;
    this._prepared = null;
    return socket?.readyState <= OPEN ? socket : null;
  }

  _receive(frame) {
    this._heardAt = now();
    this._clearTimer("probe");
    if (this.phase === "connecting") return this._onHandshake(frame);
    if (frame.response !== undefined) return this._onResponse(frame);
    if (frame.action === "probe") return this.send({ response: 200 });
    if (frame.action === "moving") {
      this._retryIn = frame.retry_in * (1 + Math.random());
      this._isClosing = true;
    }
    return this._onFrame(frame);
  }

  _onHandshake(frame) {
    if (frame.response === undefined) return;
    const decision = frame.response === 503 ? "later" : this._handshake.onResponse(frame);
    if (decision === "again") this._socket.send(JSON.stringify(this._handshake.frame()));
    else if (decision === "stop") this.stop(frame);
    else if (decision === "later") this._lose(frame.retry_after);
    else this._onLogin(frame);
  }

  _onLogin(response) {
    this._clearTimer("connect");
    this._failures = 0;
    this._setTimer("check", CHECK_INTERVAL, () => this._checkLiveness());
    this._setPhase("online", { response });
  }

  _onResponse(frame) {
    if (frame.id !== undefined && this._settle(frame.id, frame)) return;
    if (frame.id === undefined && FINAL_CODES.includes(frame.code)) return this.stop(frame);
    this._onFrame(frame);
  }

  _checkLiveness() {
    const sentAt = this.oldestSentAt();
    const isUnanswered = sentAt !== null && now() - Math.max(sentAt, this._heardAt) > REQUEST_TIMEOUT;
    if (isUnanswered) return this._lose();
    if (now() - this._heardAt > SILENCE) this._probe(PROBE_TIMEOUT);
    this._setTimer("check", CHECK_INTERVAL, () => this._checkLiveness());
  }

  _probe(timeout) {
    if (this._timers.probe) return;
    this.send({ action: "probe", id: "probe" });
    this._setTimer("probe", timeout, () => this._lose());
  }

  /** Whether the server has said that it goes: what is sent now may not be read. */
  get isClosing() {
    return Boolean(this._isClosing);
  }

  _lose(retryAfter = null) {
    this._drop();
    const backoff = Math.min(2 ** this._failures, MAX_BACKOFF);
    this._failures += 1;
    const requested = this._retryIn ?? retryAfter;
    const retryIn = requested === null ? backoff * (0.5 + Math.random() / 2) : Math.min(requested, 5 * MAX_BACKOFF);
    this._setPhase("waiting", { retryIn });
    this._setTimer("retry", retryIn, () => this._connect());
  }

  _drop() {
    for (const name of Object.keys(this._timers)) this._clearTimer(name);
    const socket = this._socket;
    this._socket = null;
    socket?.close();
    if (this.phase === "online") this.phase = "waiting";
    for (const id of [...this._requests.keys()]) this._settle(id, { response: 504, code: "disconnected" });
  }

  _setPhase(phase, details = {}) {
    this.phase = phase;
    this._onPhase(phase, details);
  }

  _setTimer(name, seconds, call) {
    this._clearTimer(name);
    this._timers[name] = setTimeout(() => {
      delete this._timers[name];
      call();
    }, seconds * 1000);
  }

  _clearTimer(name) {
    clearTimeout(this._timers[name]);
    delete this._timers[name];
  }
}

/** Return the present time in seconds. */
export function now() {
  return Date.now() / 1000;
}
