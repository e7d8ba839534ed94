/** Writes what happens into the storage in steps, and says what is stored. Pure but for the storage. */

/** Numbers below all seqs, in the order of time, for entries without a seq. */
const UNNUMBERED = 1e13;

/**
 * `recordOf(key)` returns what is kept of a conversation; `onStored(acks)` is called with a map from conversation keys
 * to the seqs up to which all is stored; `onError(error)` when nothing can be stored.
 */
export class Persistence {
  constructor(storage, { recordOf, positionOf, onStored, onError }) {
    Object.assign(this, { _storage: storage, _recordOf: recordOf, _positionOf: positionOf });
    Object.assign(this, { _onStored: onStored, _onError: onError });
    this._lastOrder = -Infinity;
    this._clear();
    this._writing = null;
  }

  /** Keep an entry of a conversation. */
  addEntry(key, entry) {
    this._step.entries.push({ conversation: key, order: entry.seq ?? this._nextOrder(entry.time), entry });
    this._touch(key);
  }

  /** Keep what an amendment changes. */
  addAmendment(key, message) {
    this._step.amendments.push({ conversation: key, message });
    this._touch(key);
  }

  /** Drop a queued message: it was answered, or is discarded. */
  addAnswered(id, key) {
    this._step.answered.push(id);
    this._touch(key);
  }

  /** Drop what is kept of a conversation's messages. */
  empty(key) {
    this._step.emptied.push(key);
    this._touch(key);
  }

  /** Keep a conversation as it is now. */
  touch(key) {
    this._touch(key);
  }

  /** Wait until all that was added before is stored; what is added meanwhile is not waited for. */
  async flush() {
    await this._writing; // after this step the next has begun, if there is anything for it
    await this._writing;
  }

  _touch(key) {
    this._keys.add(key);
    this._schedule();
  }

  _schedule() {
    this._writing ??= Promise.resolve()
      .then(() => this._write())
      .finally(() => {
        this._writing = null;
        if (this._keys.size) this._schedule();
      });
  }

  async _write() {
    const acks = new Map([...this._keys].map((key) => [key, this._positionOf(key)]));
    const conversations = [...this._keys].map(this._recordOf).filter(Boolean);
    const step = { ...this._step, conversations };
    this._clear();
    try {
      await this._storage.write(step);
      this._onStored(acks);
    } catch (error) {
      this._onError(error);
    }
  }

  _clear() {
    this._step = { entries: [], amendments: [], answered: [], emptied: [] };
    this._keys = new Set();
  }

  _nextOrder(time) {
    return (this._lastOrder = Math.max(time * 1000 - UNNUMBERED, this._lastOrder + 1));
  }
}
