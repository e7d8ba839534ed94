/** How far each conversation was received: own messages and absences are no gaps. Pure. */

const MAX_OWN_SEQS = 1000;

/** The position in one conversation: up to `last` all was received or sent from here; null at first. */
export class Position {
  constructor(conversation, last = null) {
    this.conversation = conversation;
    this.last = last;
    /** Messages after a gap, in the order in which they came. */
    this.buffered = [];
    this._own = new Set();
    this._absences = [];
  }

  /** Begin before the first received seq, or before the first own one if that is lower; only the first call counts. */
  setStart(seq) {
    if (this.last !== null) return;
    this.last = Math.min(seq, ...this._own) - 1;
    this._skipOwn();
  }

  /** Note that everything up to `seq` was delivered, or is given up. */
  advance(seq) {
    this.last = Math.max(this.last ?? 0, seq);
    this._skipOwn();
  }

  /** Note the seq of a message that was sent from here: the server does not send it. */
  addOwn(seq) {
    if (this.last === null || seq > this.last) this._own.add(seq);
    if (this.last !== null) this._skipOwn();
    else if (this._own.size > MAX_OWN_SEQS) this._own.delete(Math.min(...this._own));
  }

  /** Note the first and the last seq of what one may not read: the server does not send it. */
  setAbsences(absences) {
    this._absences = absences;
  }

  /** Return how many messages are missing before a seq. */
  countMissing(before) {
    const last = this.last ?? 0;
    let missing = before - last - 1;
    for (const [first, end] of this._absences) {
      missing -= Math.max(0, Math.min(end, before - 1) - Math.max(first, last + 1) + 1);
    }
    for (const seq of this._own) if (last < seq && seq < before) missing -= 1;
    return Math.max(0, missing);
  }

  _skipOwn() {
    while (this._own.delete(this.last + 1)) this.last += 1;
    for (const seq of this._own) if (seq <= this.last) this._own.delete(seq);
  }
}
