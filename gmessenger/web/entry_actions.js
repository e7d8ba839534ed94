/** What one can do with an entry of the log: reply, react, edit, erase, and what was refused. */

import { element } from "./dom.js";

export class EntryActions {
  constructor(messenger) {
    this._messenger = messenger;
    this._client = messenger.client;
  }

  get _conversation() {
    return this._client.state.current;
  }

  reply(entry) {
    this._messenger.composer.compose(entry, false);
  }

  edit(entry) {
    this._messenger.composer.compose(entry, true);
  }

  erase(entry, { name: to }) {
    this._client.send({ to, text: "", about: entry.seq, what: "erase" });
  }

  toggleReaction(entry, text, isMine, { name: to } = this._conversation) {
    this._client.send({ to, text, about: entry.seq, what: isMine ? "unreact" : "react" });
  }

  openQuoted(seq) {
    this._messenger.openPlace(this._conversation.name, seq);
  }

  retry(entry) {
    this._client.retry(entry.id);
  }

  discard(entry) {
    this._client.discard(entry.id);
    this._messenger.composer.focus();
  }

  editRefused(entry) {
    const message = this._client.discard(entry.id);
    if (message.attachment) this._messenger.intake.use((files) => files.restore(this._conversation, message));
    this._messenger.composer.setText(entry.text);
    this._messenger.composer.focus();
  }

  /** Return the file of a message in the outbox as an element, which is filled once what draws it is loaded. */
  pendingFile(entry) {
    const host = element("div", { class: "pending-file" });
    this._messenger.intake.use((files) => files.renderPending(host, entry));
    return host;
  }

  /** Ask for a reaction. */
  react(entry) {
    this._messenger.dialog("entry_menu", this, this._conversation, entry, "reactions");
  }

  /** Show all that one may do with an entry. */
  openMenu(entry) {
    this._messenger.dialog("entry_menu", this, this._conversation, entry);
  }
}
