/** The box in which one writes: drafts, replies, edits, and how much still fits. */

import { bdi, element, iconButton, setAttribute } from "./dom.js";
import { sanitize } from "./sanitize.js";
import { excerpt } from "./text_view.js";
import { _, ngettext } from "./translations.js";
import { shownName } from "./list_view.js";

const WARN_BELOW = 500; // characters that are left
const MAX_ROWS = 8;

/** `onSubmit(text, …)` returns whether it was taken; `onEditLast()` is called by ↑ in an empty box. */
export class Composer {
  constructor(form, { client, intake, onSubmit, onEditLast, isEnterSend }) {
    Object.assign(this, {
      _form: form,
      _client: client,
      _intake: intake,
      _onSubmit: onSubmit,
      _onEditLast: onEditLast,
      _isEnterSend: isEnterSend,
    });
    this._conversation = null;
    this._box = element("textarea", { rows: "1", dir: "auto", id: "message", autocomplete: "off" });
    this._context = element("div", { class: "composer-context", hidden: true });
    this._files = element("div", { class: "composer-files", hidden: true });
    this._attach = iconButton("attach", "", () => intake.choose());
    this._count = element("span", { class: "composer-count", role: "status" });
    this._send = iconButton("send", "", () => this._submit(), { class: "icon-button send" });
    this._label = element("label", { for: "message", class: "hidden-text" });
    form.append(
      this._context,
      this._files,
      element("div", { class: "composer-row" }, this._attach, this._label, this._box, this._count, this._send),
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    intake.bind(this._box, form.parentElement);
    this._box.addEventListener("input", () => this._onInput());
    this._box.addEventListener("keydown", (event) => this._onKey(event));
  }

  get text() {
    return this._box.value;
  }

  focus() {
    this._box.focus();
  }

  /** Show the draft of a conversation, and say to whom it goes. */
  open(conversation) {
    const isOther = conversation !== this._conversation;
    this._conversation = conversation;
    if (isOther) this._setText(conversation.draft);
    const label = _("Message {name}", { name: shownName(conversation.name) });
    this._label.textContent = label;
    setAttribute(this._box, "placeholder", label);
    for (const name of ["aria-label", "title"]) {
      setAttribute(this._send, name, _("Send"));
      setAttribute(this._attach, name, _("Attach files"));
    }
    setAttribute(this._box, "enterkeyhint", this._isEnterSend() ? "send" : "enter");
    this._showContext();
  }

  /** Show the files that go with the text; with an edit none does. */
  showFiles() {
    const { _conversation: conversation, _files: files } = this;
    const isEdit = Boolean(conversation.composed?.isEdit);
    this._attach.hidden = isEdit || !this._intake.isOffered(conversation);
    files.hidden = isEdit || !conversation.attachments.length;
    if (files.hidden) return files.replaceChildren();
    return this._intake.use((view) => conversation === this._conversation && view.render(files, conversation));
  }

  /** Write about an earlier entry: a reply, or its new text. */
  compose(entry, isEdit) {
    const conversation = this._conversation;
    const savedDraft = conversation.composed?.savedDraft ?? this.text;
    conversation.composed = { seq: entry.seq, isEdit, sender: entry.sender, text: entry.text, savedDraft };
    if (isEdit) this._setText(entry.text);
    this._showContext();
    this.focus();
  }

  /** End a reply or an edit; returns whether there was one. */
  cancel() {
    const { composed } = this._conversation ?? {};
    if (!composed) return false;
    this._conversation.composed = null;
    if (composed.isEdit) this._setText(composed.savedDraft);
    this._showContext();
    return true;
  }

  /** Put a text into the box. */
  setText(text) {
    this._setText(text);
    this._client.setDraft(this._conversation, text);
  }

  _setText(text) {
    this._box.value = text;
    this._resize();
    this._showCount();
  }

  // The box is empty at once, so that one can write on; the draft is dropped when the message is in the outbox.
  async _submit() {
    const conversation = this._conversation;
    while (conversation.preparing) await conversation.preparing;
    const { text } = this;
    const hasFiles = conversation.attachments.length && !conversation.composed?.isEdit;
    if (conversation !== this._conversation || (!text.trim() && !hasFiles) || !this._showCount()) return this.focus();
    const { composed } = conversation;
    const after = composed?.isEdit ? composed.savedDraft : "";
    conversation.composed = null;
    this._setText(after);
    this._showContext();
    this.focus();
    const isTaken = await this._onSubmit(text, composed);
    const isShown = conversation === this._conversation;
    if (isShown) this.showFiles();
    if (!isTaken && isShown && this.text === after) {
      conversation.composed = composed;
      this._setText(text);
      this._showContext();
    }
    return this._client.setDraft(conversation, isShown ? this.text : isTaken ? after : text);
  }

  _onInput() {
    this._resize();
    this._showCount();
    if (!this._conversation.composed?.isEdit) this._client.setDraft(this._conversation, this.text);
  }

  _onKey(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && (this._isEnterSend() || event.ctrlKey)) {
      event.preventDefault();
      this._submit();
    } else if (event.key === "ArrowUp" && !this.text && !event.altKey) {
      event.preventDefault();
      this._onEditLast();
    }
  }

  _resize() {
    const rows = Math.min(MAX_ROWS, this.text.split("\n").length);
    setAttribute(this._box, "rows", String(rows));
  }

  // Returns whether the text is short enough.
  _showCount() {
    const limit = this._client.state.limits.text ?? Infinity;
    const left = limit - (this.text.length > limit - WARN_BELOW ? Array.from(this.text).length : 0);
    const isShown = left < WARN_BELOW;
    this._count.textContent = !isShown
      ? ""
      : left >= 0
        ? ngettext("{count} character left", "{count} characters left", left)
        : ngettext("{count} character too many", "{count} characters too many", -left);
    this._count.classList.toggle("is-over", left < 0);
    return left >= 0;
  }

  _showContext() {
    const { composed } = this._conversation;
    this.showFiles();
    this._context.replaceChildren();
    this._context.hidden = !composed;
    if (!composed) return;
    const title = composed.isEdit
      ? _("Editing your message")
      : _("Reply to {name}", { name: sanitize(composed.sender) });
    this._context.append(
      element("div", { class: "composer-quote" }, element("strong", {}, title), " ", bdi(excerpt(composed.text))),
      iconButton("close", _("Cancel"), () => (this.cancel(), this.focus())),
    );
  }
}
