/** Who logs in, and by what: a password, the token of an earlier session, or a registration. Pure. */

import { isSame } from "./names.js";
import { randomId } from "./outbox.js";

const NAME_IN_USE_TRIES = 10; // of a guest whose lost connection the server has not noticed yet
const TOKEN_REFUSALS = ["password_needed", "wrong_password", "guests_refused"];

/** Return to what the seqs belong that are sent after a login: the store, and of a guest the session. */
export function identityOf({ account, store, session }) {
  return account ? `account ${store}` : `guest ${store} ${session}`;
}

/** Return the name of the device that this browser is, for an account that logs in here for the first time. */
export function newDevice(isPersistent) {
  if (!isPersistent) return "web-private";
  const random = randomId().replaceAll(/[^a-z0-9]/gi, "");
  return `web-${random.slice(0, 6).toLowerCase()}`;
}

/** The handshake of a connection. `onLogin(response, name)` is called after each login. */
export class Login {
  constructor({ onLogin }) {
    this._onLogin = onLogin;
    this.name = "";
    this.device = "";
    this.token = null;
    this._password = null; // in memory only
    this._registration = null;
    this._tries = 0;
  }

  /** Log in by the token of an earlier session. */
  resume({ name, device, token }) {
    Object.assign(this, { name, device, token });
    this._password = this._registration = null;
  }

  /** Log in with a name, and a password unless it is a guest's. */
  enter({ name, device, password }) {
    if (!isSame(name, this.name)) this.token = null;
    Object.assign(this, { name, device, _password: password || null, _registration: null });
    if (password) this.token = null;
  }

  /** Make the name an account, by an invite where the server wants one. */
  register({ name, device, password, invite }) {
    Object.assign(this, { name, device, token: null, _password: null });
    this._registration = { password, ...(invite ? { invite } : {}) };
  }

  /** Forget the token and the password. */
  forget() {
    this.token = this._password = this._registration = null;
  }

  frame() {
    const user = { account_name: this.name, device: this.device };
    if (this._registration) return { action: "register", jim: 2, user, ...this._registration };
    if (this.token) return { action: "presence", jim: 2, user, session: this.token };
    return { action: "presence", jim: 2, user: this._password ? { ...user, password: this._password } : user };
  }

  onResponse(response) {
    if (response.response < 400) {
      this._tries = 0;
      this.token = response.session ?? null;
      this._password = this._registration = null;
      this._onLogin(response, this.name);
      return "online";
    }
    if (this.token && TOKEN_REFUSALS.includes(response.code) && this._password) {
      this.token = null;
      return "again";
    }
    const isReturning = this.token && response.code === "name_in_use" && (this._tries += 1) <= NAME_IN_USE_TRIES;
    return isReturning ? "later" : "stop";
  }
}
