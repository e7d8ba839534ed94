/** The token bucket of the server's message rate, so that it need not refuse messages. Pure; times are in seconds. */

const SAFETY_FACTOR = 0.95; // the share of the announced rate that is used, as two clocks never agree

/** Without a limit until `setLimits`. A long text costs several tokens, one to a large room more. */
export class RateLimiter {
  constructor() {
    this._rate = this._burst = this._tokens = this._needed = 0;
    this._size = 0;
    this._refilledAt = null;
  }

  /** Take over the limits of a login; a reconnection does not refill the bucket. */
  setLimits(limits) {
    const { message_rate: rate, message_burst: burst, message_size: size } = limits;
    const isLimited = rate > 0 && burst > 0;
    this._rate = isLimited ? rate * SAFETY_FACTOR : 0;
    this._burst = isLimited ? Math.max(1, burst * SAFETY_FACTOR) : 0;
    this._size = size > 0 ? size : 0;
  }

  /** Add the tokens for the time since the last call; to be called before `tryAcquire`. */
  refill(now) {
    const gained = this._refilledAt === null ? this._burst : (now - this._refilledAt) * this._rate;
    this._tokens = Math.min(this._burst, this._tokens + gained);
    this._needed = 0;
    this._refilledAt = this._rate ? now : null;
  }

  /** Take the tokens for a text of that many characters to that many members; return false if there are too few. */
  tryAcquire(characters, members = 0) {
    if (!this._rate) return true;
    const price = 1 + (this._size ? Math.floor(characters / this._size) : 0);
    const cost = Math.min(this._burst, price * (1 + Math.floor(members / 10)));
    if (this._tokens < cost) {
      this._needed = cost;
      return false;
    }
    this._tokens -= cost;
    return true;
  }

  /** Return when the message may be sent that was refused last; null where none was. */
  nextAt() {
    if (!this._needed || this._refilledAt === null) return null;
    return this._refilledAt + (this._needed - this._tokens) / this._rate;
  }
}
