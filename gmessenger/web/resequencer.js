/** Each received message once and in order, per conversation; a gap is filled from the server's history first. Pure. */

import { completeMessage, conversationOf, fold, isSame } from "./names.js";
import { Position } from "./positions.js";

const MAX_BUFFERED = 1000; // messages that may wait after a gap; with more, the gap is given up
const GAP_PAGE = 200; // messages requested at one time
const RETRY_DELAY = 1; // seconds, if the server did not request a delay
const MAX_RETRY_DELAY = 60;
/** A hole of more messages than this, found by the list of conversations, is not filled; what is before it goes. */
const MAX_HOLE = 1000;

/**
 * Passes on what is received: `deliver(message, conversation)` is called for each message once, `reack(conversation)`
 * where the server has repeated one, `lose(conversation, count)` where messages cannot be had.
 *
 * `request(frame)` returns a promise of the response, which is rejected with an object that has a `code`, and
 * `isRetryable`; `isQueued(message)` says whether an own message may be one whose response was lost;
 * `schedule(seconds, call)` calls later.
 */
export class Resequencer {
  constructor({ ownName, deliver, reack, lose, request, isQueued, schedule }) {
    Object.assign(this, { ownName, _deliver: deliver, _reack: reack, _lose: lose });
    Object.assign(this, { _request: request, _isQueued: isQueued, _schedule: schedule });
    this._positions = new Map();
    this._epoch = 0;
    this._identity = null;
    this.isAccount = false;
  }

  /** Take over the positions of an earlier run: `[[conversation, last], …]`, and to what they belong. */
  restore(positions, identity) {
    this._identity = identity;
    for (const [conversation, last] of positions) {
      this._positions.set(fold(conversation), new Position(conversation, last));
    }
  }

  /**
   * Begin with a new connection. `identity` names the store, and of a guest the session: with another one all seqs
   * have lost their meaning, and true is returned. What waited after gaps is dropped, as the server sends it again.
   */
  reset(identity, isAccount) {
    this._epoch += 1;
    this.isAccount = isAccount;
    for (const position of this._positions.values()) position.buffered = [];
    const isOther = identity !== this._identity;
    if (isOther) this._positions.clear();
    this._identity = identity;
    return isOther;
  }

  /** Note that the guest has become an account; its positions stay valid. */
  onRegistered(identity) {
    this._identity = identity;
    this.isAccount = true;
  }

  /** Return up to which seq a conversation was received; null if nothing was. */
  lastOf(conversation) {
    return this._positions.get(fold(conversation))?.last ?? null;
  }

  /** Drop the position in a room that was left: after joining again, seqs need not follow. */
  forget(conversation) {
    this._positions.delete(fold(conversation));
  }

  /** Note the seq that the server has given a message that was sent from here. */
  onSent(to, seq) {
    this._position(to).addOwn(seq);
  }

  /** Note what one may not read of a conversation, and fill what is missing up to its newest message.
   *
   * Returns false where too much is missing: then the position is at the newest message.
   */
  catchUp(conversation, head, absences = []) {
    const position = this._positions.get(fold(conversation));
    if (!position || position.last === null || position.buffered.length || !this.isAccount) return true;
    position.setAbsences(absences);
    const missing = position.countMissing(head + 1);
    if (!missing) return true;
    if (missing > MAX_HOLE) {
      position.advance(head);
      return false;
    }
    this._fetch(position, head);
    return true;
  }

  /** Pass on a received message, drop it as a duplicate, or keep it until the gap before it is filled. */
  feed(message) {
    const conversation = conversationOf(message, this.ownName);
    if (message.seq === undefined) return this._deliver(message, conversation);
    const position = this._position(conversation);
    position.setStart(message.seq);
    if (position.buffered.length) return this._buffer(position, message);
    if (message.seq <= position.last) return this._reack(position.conversation);
    if (position.countMissing(message.seq)) return this._onGap(position, message);
    position.advance(message.seq);
    return this._deliver(message, position.conversation);
  }

  _position(conversation) {
    const key = fold(conversation);
    if (!this._positions.has(key)) this._positions.set(key, new Position(conversation));
    return this._positions.get(key);
  }

  _buffer(position, message) {
    position.buffered.push(message);
    if (position.buffered.length > MAX_BUFFERED) this._skip(position);
  }

  _onGap(position, message) {
    position.buffered.push(message);
    if (this.isAccount) this._fill(position);
    else this._skip(position);
  }

  async _fill(position) {
    while (position.buffered.length) {
      const response = await this._fetchPage(position, position.buffered[0].seq - 1);
      if (response === undefined || !position.buffered.length) return;
      const isUseful = response !== null && this._take(position, response, position.buffered[0].seq);
      if (isUseful && response.more && this._gapSize(position)) continue;
      return this._skip(position);
    }
  }

  // As `_fill`, up to a seq that nothing was received after.
  async _fetch(position, head) {
    while (position.last < head && !position.buffered.length) {
      const response = await this._fetchPage(position, head);
      if (response === undefined || position.buffered.length) return;
      if (response !== null && this._take(position, response, head + 1) && response.more) continue;
      if (response !== null) position.advance(head);
      return;
    }
  }

  // Undefined where another connection has begun, or the request is to be made again later; null where it is refused.
  async _fetchPage(position, until) {
    const epoch = this._epoch;
    const limit = Math.min(position.countMissing(until + 1), GAP_PAGE);
    const frame = { action: "history", with: position.conversation, after: position.last, limit, amendments: true };
    try {
      const response = await this._request(frame);
      return epoch === this._epoch ? response : undefined;
    } catch (error) {
      if (epoch !== this._epoch || error.code === "disconnected") return undefined;
      if (!error.isRetryable) return null;
      const delay = Math.min(Math.max(error.retry_after ?? RETRY_DELAY, RETRY_DELAY / 10), MAX_RETRY_DELAY);
      this._schedule(delay, () => {
        if (epoch === this._epoch) position.buffered.length ? this._fill(position) : this._fetch(position, until);
      });
      return undefined;
    }
  }

  _gapSize(position) {
    return position.buffered.length ? position.countMissing(position.buffered[0].seq) : 0;
  }

  // Passes on the missing messages of a response; returns whether it had any of them.
  _take(position, response, before) {
    const last = position.last;
    position.setAbsences(response.absent ?? []);
    for (const entry of response.messages ?? []) {
      const message = completeMessage(entry, position.conversation, this.ownName);
      if (position.last < message.seq && message.seq < before) {
        const isAwaited = isSame(message.from, this.ownName) && this._isQueued(message);
        if (!isAwaited) this._deliver(message, position.conversation);
        position.advance(message.seq);
      }
    }
    return position.last !== last;
  }

  // Gives a gap up: what is after it is passed on.
  _skip(position) {
    const missing = this._gapSize(position);
    if (missing) this._lose(position.conversation, missing);
    const buffered = position.buffered;
    position.buffered = [];
    if (buffered.length) position.advance(buffered[0].seq - 1);
    for (const message of buffered) this.feed(message);
  }
}
