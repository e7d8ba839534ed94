/** The files that go with a draft, above the box, and those in the log that are being uploaded. */

import { toast } from "./dialogs.js";
import { bdi, button, element, iconButton, reconcile } from "./dom.js";
import { isShown, localCopies, pathOf, pictureView } from "./file_view.js";
import { randomId } from "./outbox.js";
import { preparePicture } from "./pictures.js";
import { checkbox } from "./questions.js";
import { sanitize } from "./sanitize.js";
import { _, errorText, formatSize, ngettext } from "./translations.js";

const MAX_FILES = 20; // of one draft
const MAX_WAITING_BYTES = 128 * 1024 * 1024; // of all files that this browser keeps until they are sent
const PICTURE = /\.(?:avif|bmp|gif|hei[cf]|jpe?g|jxl|png|svg|tiff?|webp)$/i;
const MAX_COPIES = 30; // pictures that were sent, and are shown without being loaded

/** A file of a draft: `id`, `info` and `content` as they are sent, and how it can be sent else. */
export class Attachments {
  constructor(page) {
    this._page = page;
    this._client = page.client;
    this._storage = page.app.storage;
    this._urls = new Map(); // id → URL of a blob
    this._shares = new Map(); // id → how much of it was uploaded
  }

  /** Add files to a draft, in order; pictures are made smaller first. */
  async add(conversation, files) {
    if (!this._check(conversation)) return;
    const room = MAX_FILES - conversation.attachments.length;
    if (files.length > room)
      toast(ngettext("A draft has at most {count} file.", "A draft has at most {count} files.", MAX_FILES));
    const added = files.slice(0, Math.max(0, room)).map((file) => ({
      id: randomId(),
      info: { name: file.name, type: file.type, size: file.size },
      original: file,
    }));
    conversation.attachments.push(...added);
    this._show(conversation);
    const preparing = (conversation.preparing ?? Promise.resolve()).then(async () => {
      for (const attachment of added) await this._prepare(conversation, attachment);
    });
    conversation.preparing = preparing;
    await preparing;
    if (conversation.preparing === preparing) conversation.preparing = null;
    this._page.composer.focus();
  }

  /** Draw the files of a draft. */
  render(host, conversation) {
    if (!host.firstElementChild) host.append(element("ul", { "aria-label": _("Files to send") }));
    reconcile(host.firstElementChild, conversation.attachments, {
      keyOf: ({ id }) => id,
      versionOf: ({ info, content }) => `${info.name} ${info.size} ${Boolean(content)}`,
      make: (attachment) => this._row(conversation, attachment),
    });
    this._sweep();
  }

  /** Put the file of a message that was not sent back into the draft. */
  async restore(conversation, { attachment, content }) {
    const restored = { id: randomId(), info: attachment, content };
    conversation.attachments.push(restored);
    await this._keep(conversation, restored);
    this._show(conversation);
  }

  /** Draw the file of a message in the outbox. */
  renderPending(host, { id, attachment, isUploading }) {
    const content = this._client.outbox.find(id)?.content;
    const name = sanitize(attachment.name);
    const picture = content && isShown(attachment) && pictureView(this._urlOf(id, content), name, attachment);
    const cancel = button(_("Cancel"), () => this._page.cancelUpload(id));
    const label = _("Uploading {name}", { name });
    const max = "1";
    const value = String(this._shares.get(id) ?? 0);
    const progress = element("progress", { "aria-label": label, "data-upload": id, max, value });
    host.replaceChildren(
      ...[picture ? element("span", { class: "file picture" }, picture) : nameView(attachment)],
      ...(isUploading ? [element("div", { class: "upload" }, progress, cancel)] : []),
    );
    this._sweep();
  }

  /** Show how much of a file was uploaded: a share from 0 to 1. */
  showShare(id, share) {
    this._shares.set(id, share);
    const shown = document.querySelector(`progress[data-upload="${id}"]`);
    if (shown) shown.value = share;
  }

  /** Show the picture that was sent from what is here. */
  onSent(id, file) {
    const url = this._urls.get(id);
    this._shares.delete(id);
    if (!url) return;
    this._urls.delete(id);
    localCopies.set(pathOf(file.url), url);
    if (localCopies.size <= MAX_COPIES) return;
    const [[path, oldest]] = localCopies;
    localCopies.delete(path);
    URL.revokeObjectURL(oldest);
  }

  // Says why there can be no files, if there cannot.
  _check({ name }) {
    const { isAccount, features } = this._client.state;
    if (!isAccount) {
      const settings = { label: _("Settings"), run: () => this._page.dialog("settings_dialog") };
      toast(_("Files need an account. Keep your name in the settings, and you have one."), settings);
    } else if (!features.includes("file")) toast(_("This server keeps no files."));
    else if (name === "#all") toast(_("A message to all users has no file."));
    else return true;
    return false;
  }

  async _prepare(conversation, attachment) {
    const file = attachment.original;
    try {
      await file.slice(0, 1).arrayBuffer(); // a folder cannot be read, nor what is gone
    } catch {
      toast(_("{name} cannot be read.", { name: sanitize(file.name) }));
      return this._remove(conversation, attachment);
    }
    attachment.picture = await preparePicture(file).catch(() => null);
    return this._use(conversation, attachment, attachment.picture ?? { content: file, info: attachment.info });
  }

  // Sends it in this form, if it is small enough.
  async _use(conversation, attachment, { content, info }) {
    if (!conversation.attachments.includes(attachment)) return; // it was removed meanwhile
    const problem = this._findProblem(attachment, info);
    if (problem) {
      toast(`${sanitize(info.name)}: ${problem}`);
      if (!attachment.content) await this._remove(conversation, attachment);
    } else {
      Object.assign(attachment, { content, info });
      await this._keep(conversation, attachment);
    }
    await this._show(conversation);
  }

  _findProblem({ id }, { size }) {
    const limit = this._client.state.limits.file ?? Infinity;
    if (size > limit) return errorText({ code: "file_too_large", limit });
    const drafts = [...this._client.state.conversations.values()].flatMap(({ attachments }) => attachments);
    const others = [...drafts, ...this._client.outbox].filter((each) => each.content && each.id !== id);
    const waiting = others.reduce((sum, { content }) => sum + content.size, size);
    return waiting > MAX_WAITING_BYTES ? _("Too much waits to be sent; send or remove some of it first.") : "";
  }

  async _keep(conversation, { id, content }) {
    await this._storage.setContent(id, content).catch(() => this._page.showStorageError());
    this._client.persistence.touch(conversation.key);
  }

  async _remove(conversation, attachment) {
    conversation.attachments = conversation.attachments.filter((each) => each !== attachment);
    this._show(conversation);
    await this._storage.dropContents([attachment.id]).catch(() => {});
    this._client.persistence.touch(conversation.key);
  }

  async _show(conversation) {
    if (conversation === this._page.state.current) await this._page.composer.showFiles();
  }

  _row(conversation, attachment) {
    const { id, info, content, picture } = attachment;
    const shown = picture ?? (content && isShown(info) ? { content, info } : null);
    const name = sanitize(info.name);
    const remove = () => {
      this._page.composer.focus();
      this._remove(conversation, attachment);
    };
    return element(
      "li",
      { class: "attachment" },
      shown && element("img", { src: this._urlOf(id, shown.content), alt: "", class: "thumbnail" }),
      element("div", {}, nameView(info, Boolean(content)), this._formView(conversation, attachment)),
      iconButton("close", _("Remove {name}", { name }), remove),
    );
  }

  // Whether a picture is sent as it is: that can be chosen, unless it has to be.
  _formView(conversation, attachment) {
    const { original, picture, content, info } = attachment;
    if (!original || !content) return null;
    if (!picture) return PICTURE.test(info.name) && element("p", { class: "note" }, _("as it is"));
    const checked = attachment.content === original;
    const change = async ({ target }) => {
      const info = { name: original.name, type: original.type, size: original.size };
      await this._use(conversation, attachment, target.checked ? { content: original, info } : picture);
      document.getElementById(id)?.focus();
    };
    const id = `unchanged-${attachment.id}`;
    return checkbox(_("As a file, with place and date"), "unchanged", { id, checked, on: { change } });
  }

  _urlOf(id, content) {
    if (!this._urls.has(id)) this._urls.set(id, URL.createObjectURL(content));
    return this._urls.get(id);
  }

  // Lets go of what is neither in a draft nor in the outbox.
  _sweep() {
    const drafts = [...this._client.state.conversations.values()].flatMap(({ attachments }) => attachments);
    const used = new Set([...drafts, ...this._client.outbox].map(({ id }) => id));
    for (const [id, url] of this._urls) {
      if (used.has(id)) continue;
      URL.revokeObjectURL(url);
      this._urls.delete(id);
    }
  }
}

function nameView({ name, size }, isReady = true) {
  const note = isReady ? formatSize(size) : _("being prepared");
  return element("span", { class: "file" }, bdi(sanitize(name)), " ", element("span", { class: "note" }, note));
}
