/** After each login: what the server lists is compared with what is known here, and what was missed is fetched. */

import { RequestError } from "./connection.js";
import { fold } from "./names.js";

const MAX_PAGES = 20; // of a list of the server

export class Refresher {
  constructor(client) {
    this._client = client;
    this._isSynced = this._isListed = false;
  }

  /** Begin anew: another connection has logged in. */
  reset() {
    this._isSynced = this._isListed = false;
  }

  /** Note that the server has sent all that was waiting. */
  onSynced() {
    this._isSynced = true;
    this._catchUp();
  }

  /** Ask for the conversations, the blocked names, and what was missed of the open conversation. */
  async run() {
    const { state, loader } = this._client;
    try {
      await this._refreshList();
      if (state.isAccount) await this._refreshBlocks();
      if (state.current) await loader.refresh(state.current);
      if (state.isAccount) await loader.loadPreviews();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }

  /** Return all pages of a list of the server, as far as it is not too long. Raises `RequestError`. */
  async requestAll(frame, field, key) {
    const rows = [];
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const response = await this._client.request(rows.length ? { ...frame, after: key(rows.at(-1)) } : frame);
      rows.push(...response[field]);
      if (!response.more || !response[field].length) break;
    }
    return rows;
  }

  async _refreshList() {
    const { state, connection, persistence } = this._client;
    const keys = new Set();
    for (const row of await this.requestAll({ action: "conversations" }, "conversations", (each) => each.with)) {
      const conversation = state.open(row.with);
      keys.add(conversation.key);
      const isAhead = conversation.applyListing(row);
      if (isAhead && state.isAccount) connection.send({ action: "read", with: row.with, seq: conversation.read });
      persistence.touch(conversation.key);
    }
    for (const conversation of state.conversations.values()) {
      if (conversation.isRoom && conversation.name !== "#all" && !keys.has(conversation.key))
        conversation.isListed = false;
    }
    this._isListed = true;
    this._catchUp();
    this._client.hooks.onChange("list");
  }

  async _refreshBlocks() {
    const users = await this.requestAll({ action: "blocks" }, "users", (user) => user.account_name);
    this._client.state.blocks = new Map(users.map(({ account_name: name }) => [fold(name), name]));
    this._client.hooks.onChange("log");
  }

  // Once all that waited was sent: what is still missing was lost, or is too much to be fetched.
  _catchUp() {
    if (!this._isSynced || !this._isListed) return;
    const { state, resequencer, persistence, loader } = this._client;
    for (const conversation of state.conversations.values()) {
      if (resequencer.catchUp(conversation.name, conversation.head, conversation.absences)) continue;
      persistence.empty(conversation.key);
      if (conversation === state.current) loader.open(conversation);
    }
  }
}
