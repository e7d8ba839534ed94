/** What one can do with an entry of the log: reply, react, edit, erase, copy, and what was refused. */

import { confirm, openDialog, toast } from "./dialogs.js";
import { button, element } from "./dom.js";
import { isSame } from "./names.js";
import { hasRank } from "./room_rules.js";
import { excerpt } from "./text_view.js";
import { _ } from "./translations.js";

const REACTIONS = ["👍", "❤️", "😂", "🎉", "👀", "✅", "👎", "😢"];

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

  async erase(entry) {
    const isSure = await confirm(_("Erase this message for all users?"), _("Erase"));
    if (isSure) this._send({ text: "", about: entry.seq, what: "erase" });
  }

  toggleReaction(entry, text, isMine) {
    this._send({ text, about: entry.seq, what: isMine ? "unreact" : "react" });
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

  react(entry) {
    const build = (body, close) => {
      const choose = (text) => {
        close();
        const isMine = (entry.reactions ?? []).some(
          (each) => each.text === text && each.from.some((name) => isSame(name, this._client.state.ownName)),
        );
        this.toggleReaction(entry, text, isMine);
      };
      const other = element("input", {
        "aria-label": _("Another emoji or character"),
        maxlength: "32",
        autocomplete: "off",
      });
      const form = element(
        "form",
        { class: "inline-form" },
        other,
        element("button", { class: "primary" }, _("React")),
      );
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (other.value.trim()) choose(other.value.trim());
      });
      const buttons = REACTIONS.map((text) => button(text, () => choose(text), { class: "emoji" }));
      body.append(element("div", { class: "emojis" }, buttons), form);
    };
    openDialog(_("React"), build, { className: "small" });
  }

  /** Show all that one may do with an entry. */
  openMenu(entry) {
    const { state } = this._client;
    const items = [
      [_("Reply"), () => this.reply(entry)],
      state.isAccount && [_("React"), () => this.react(entry)],
      entry.isOwn && [_("Edit"), () => this.edit(entry)],
      [_("Copy the text"), () => this._copy(entry)],
      !entry.isOwn && [
        _("About {name}", { name: excerpt(entry.sender, 32) }),
        () => this._messenger.showDetails(entry.sender),
      ],
      this._mayErase(entry) && [_("Erase"), () => this.erase(entry), "danger"],
    ].filter(Boolean);
    const build = (body, close) => {
      const rows = items.map(([label, run, kind]) =>
        element(
          "li",
          {},
          button(label, () => (close(), run()), { class: kind ? `menu-item ${kind}` : "menu-item" }),
        ),
      );
      body.append(
        element("p", { class: "quoted", dir: "auto" }, excerpt(entry.text)),
        element("ul", { class: "menu" }, rows),
      );
    };
    openDialog(_("Message"), build, { className: "small" });
  }

  _mayErase(entry) {
    const { isOperator } = this._client.state;
    const { isRoom, role } = this._conversation;
    return entry.isOwn || (isRoom && (isOperator || hasRank(role, "moderator")));
  }

  async _copy(entry) {
    try {
      await navigator.clipboard.writeText(entry.text);
      toast(_("Copied."));
    } catch {
      toast(_("The browser does not allow it."));
    }
  }

  _send(amendment) {
    this._client.send({ to: this._conversation.name, ...amendment });
  }
}
