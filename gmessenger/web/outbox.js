/** The messages that the server has not answered, in order, and which may be sent now. Pure; times in seconds. */

import { fold, isRoom } from "./names.js";
import { RateLimiter } from "./rate_limiter.js";

const MAX_IN_FLIGHT = 64; // messages without a response
const MAX_IN_FLIGHT_BYTES = 262_144; // so that responses come soon on a slow connection, too
const DEFAULT_DELAY = 1;
const MIN_DELAY = 0.1;
const MAX_DELAY = 60;
const MAX_UPLOADS = 3; // of the file of one message, until it is refused
/** Refusals of a recipient who is not here; after a reconnection he may be reconnecting, too. */
const ABSENT_CODES = ["never_seen", "not_here"];
export const ABSENCE_GRACE = 30; // seconds after a reconnection

/** Return a random id of 16 bytes, in base64url. */
export function randomId(random = (bytes) => crypto.getRandomValues(bytes)) {
  const binary = String.fromCharCode(...random(new Uint8Array(16)));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Return the frame of a queued message. */
export function frameOf({ id, to, text, about, what, kind, file }) {
  const frame = { action: "msg", id, to, message: text };
  if (about) frame.about = about;
  if (what) frame.what = what;
  if (kind) frame.kind = kind;
  if (file) frame.file = file;
  return frame;
}

/** Return whether a message has a file that the server has not got yet. */
export function needsUpload({ attachment, file, refusal }) {
  return Boolean(attachment && !file && !refusal);
}

/**
 * Messages to one recipient keep their order: while one is deferred, those after it wait, and from then on they are
 * sent one at a time. One that is refused stays, with its `refusal`, until it is discarded or sent again.
 *
 * A message has: id, to, text, perhaps about, what and kind; `order`, by which it is sorted; `refusal`, `isResent`. One
 * with a file has its `attachment` (name, type, size, of a picture width and height) and `content`, and waits until it
 * has the id of the uploaded `file`. Those after it wait for its answer, as the file may have to be uploaded anew; but
 * not amendments: they change what is there already.
 */
export class Outbox {
  constructor() {
    this.rateLimiter = new RateLimiter();
    this.maxFrame = 65_536;
    /** Returns how many members a room has, as far as that is known. */
    this.countMembers = () => 0;
    this._messages = new Map();
    this._inFlight = new Map(); // id → bytes
    this._sentAt = new Map();
    this._dueAt = new Map();
    this._serialized = new Set();
    this._absenceFinalAt = 0;
  }

  [Symbol.iterator]() {
    return this._messages.values();
  }

  get size() {
    return this._messages.size;
  }

  /** Return whether a message waits for the server. */
  get isWaiting() {
    return [...this].some((message) => !message.refusal);
  }

  find(id) {
    return this._messages.get(id);
  }

  /** Append a message. */
  add(message) {
    this._messages.set(message.id, message);
  }

  /** Return whether a message of the history may be one of these, whose response was lost. */
  isQueued({ to, message, about, what, file }) {
    return [...this].some((queued) => {
      if (fold(queued.to) !== fold(to) || queued.about !== about || queued.what !== what) return false;
      return queued.attachment ? Boolean(queued.file && file?.url.includes(queued.file)) : queued.text === message;
    });
  }

  /** Return the first message whose file has to be uploaded. */
  nextUpload() {
    return [...this].find(needsUpload);
  }

  /** Return the frames to send now; they are in flight until `resolve`, `defer`, `refuse` or `requeueAll`. */
  nextBatch(now) {
    this.rateLimiter.refill(now);
    const frames = [];
    const blocked = new Set();
    const hasFile = new Set(); // recipients
    let bytes = [...this._inFlight.values()].reduce((sum, each) => sum + each, 0);
    for (const message of this) {
      if (this._inFlight.size >= MAX_IN_FLIGHT || bytes >= MAX_IN_FLIGHT_BYTES) break;
      if (message.refusal) continue;
      const recipient = fold(message.to);
      const isBehindFile = hasFile.has(recipient) && !message.what;
      if (message.attachment) hasFile.add(recipient);
      if (isBehindFile || needsUpload(message)) continue;
      const isReady = !this._inFlight.has(message.id) && (this._dueAt.get(message.id) ?? 0) <= now;
      if (isReady && !blocked.has(recipient)) {
        const frame = frameOf(message);
        const size = new TextEncoder().encode(JSON.stringify(frame)).length;
        if (size > this.maxFrame) {
          this.refuse(message.id, { code: "frame_too_long", limit: this.maxFrame });
          continue;
        }
        const members = isRoom(message.to) ? this.countMembers(message.to) : 0;
        if (!this.rateLimiter.tryAcquire(Array.from(message.text).length, members)) break;
        this._inFlight.set(message.id, size);
        this._sentAt.set(message.id, now);
        this._dueAt.delete(message.id);
        bytes += size;
        frames.push(frame);
      }
      if (this._serialized.has(recipient)) blocked.add(recipient);
    }
    return frames;
  }

  /** Remove a message that was answered, or is discarded, and return it. */
  resolve(id) {
    const message = this._messages.get(id);
    this._messages.delete(id);
    this._land(id);
    if (message) this._unserialize(fold(message.to));
    return message;
  }

  /**
   * Take the response to a message. Return `accepted`, `deferred`, `refused` or `fileless`; `accepted` removes it.
   *
   * A refusal that may end is waited for. It is kept as `reason` of the message meanwhile. `fileless`: the server has
   * dropped the file, as it has waited for a day, and it has to be uploaded anew.
   */
  onResponse(response, now) {
    const message = this._messages.get(response.id);
    if (response.response < 400) {
      this.resolve(message.id);
      return "accepted";
    }
    if (response.code === "no_such_file" && message.attachment && (message.uploads ?? 0) < MAX_UPLOADS) {
      this._land(message.id);
      delete message.file;
      return "fileless";
    }
    const isAbsent = ABSENT_CODES.includes(response.code) && now < this._absenceFinalAt;
    if (!isAbsent && response.response !== 429 && response.response < 500) {
      this.refuse(message.id, response);
      return "refused";
    }
    this._land(message.id);
    message.reason = response;
    const delay = Math.min(Math.max(response.retry_after ?? DEFAULT_DELAY, MIN_DELAY), MAX_DELAY);
    this._dueAt.set(message.id, now + delay);
    this._serialized.add(fold(message.to));
    return "deferred";
  }

  /** Keep a message as refused. */
  refuse(id, { code, error, limit, retry_after }) {
    this._land(id);
    const message = this._messages.get(id);
    message.refusal = { code, error, limit, retry_after };
    this._unserialize(fold(message.to));
  }

  /** Have a refused message sent again, behind all others. */
  retry(id) {
    const message = this._messages.get(id);
    this._messages.delete(id);
    for (const name of ["refusal", "reason", "uploads"]) delete message[name];
    this._messages.set(id, message);
  }

  /** Have all sent again that is in flight, as the connection is lost; a guest's may arrive twice. */
  requeueAll(isAccount) {
    for (const id of [...this._inFlight.keys()]) {
      if (!isAccount) this._messages.get(id).isResent = true;
      this._land(id);
    }
  }

  /** Begin with a new connection. */
  onConnected(limits, now, isReconnected) {
    this.maxFrame = limits.frame ?? this.maxFrame;
    this.rateLimiter.setLimits(limits);
    this._absenceFinalAt = isReconnected ? now + ABSENCE_GRACE : now;
  }

  /** Return when to call `nextBatch` again; null if nothing is to be waited for. */
  nextSendAt(now) {
    const times = [...this._dueAt.values()].filter((due) => due > now);
    const allowedAt = this.rateLimiter.nextAt();
    if (allowedAt !== null) times.push(allowedAt);
    return times.length ? Math.min(...times) : null;
  }

  /** Return when the oldest message in flight was sent; null if there is none. */
  oldestSentAt() {
    return this._sentAt.size ? Math.min(...this._sentAt.values()) : null;
  }

  _land(id) {
    this._inFlight.delete(id);
    this._sentAt.delete(id);
    this._dueAt.delete(id);
  }

  _unserialize(recipient) {
    const isLast = ![...this].some((other) => !other.refusal && fold(other.to) === recipient);
    if (isLast) this._serialized.delete(recipient);
  }
}
