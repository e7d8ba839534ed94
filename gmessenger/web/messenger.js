/** The screen after the login: which conversation is open, what is drawn when, and what buttons and keys do. */

import { showUnread } from "./attention.js";
import { renderBanner } from "./banner.js";
import { Composer } from "./composer.js";
import { now } from "./connection.js";
import { toast } from "./dialogs.js";
import { bdi } from "./dom.js";
import { EntryActions } from "./entry_actions.js";
import { FileIntake } from "./file_intake.js";
import { openFind } from "./find_dialog.js";
import { joinRoom } from "./joining.js";
import { renderList, shownName, statusDot } from "./list_view.js";
import { LogView, forgetVersions } from "./log_view.js";
import { renderMembers, statusText } from "./members_view.js";
import { loadModule } from "./modules.js";
import { isSame } from "./names.js";
import { recallOpen } from "./preferences.js";
import { sanitize } from "./sanitize.js";
import { buildShell, showPhase } from "./shell.js";
import { submit } from "./submission.js";
import { _, errorText, formatNumber } from "./translations.js";

const NARROW = window.matchMedia("(max-width: 799px)");
const HIDDEN_DELAY = 250; // milliseconds between drawings of a page that nobody sees
const COARSE = window.matchMedia("(pointer: coarse)");

export class Messenger {
  constructor(host, client, app) {
    Object.assign(this, { host, client, app, state: client.state });
    this._dirty = new Set();
    this.phase = { phase: client.connection.phase, details: {} };
    this.isCaughtUp = false;
    this._listeners = new AbortController();
    window.addEventListener("popstate", (event) => this._onHistory(event), { signal: this._listeners.signal });
    this.intake = new FileIntake(this, this._listeners.signal);
    this.rebuild();
    const open = recallOpen();
    if (open && this.state.find(open)) this.open(open);
  }

  /** Draw everything anew, as after a change of the language. */
  rebuild() {
    forgetVersions();
    this.parts = buildShell(this.host, this._shellActions());
    this.log = new LogView(this.parts.log, this.parts.scroller, {
      client: this.client,
      actions: new EntryActions(this),
      onRead: (seq) => this._onRead(seq),
      onOlder: () => this._current((each) => this.client.loader.loadOlder(each)),
      onNewer: () => this._current((each) => this.client.loader.loadNewer(each)),
      onScrolled: (isAtEnd) => this._showJump(isAtEnd),
    });
    this.composer = new Composer(this.parts.composer, {
      client: this.client,
      intake: this.intake,
      onSubmit: (text, composed) => submit(this, text, composed),
      onEditLast: () => this.editLast(),
      isEnterSend: () => !COARSE.matches,
    });
    showPhase(this.parts, this.phase.phase);
    if (this.state.current) this.composer.open(this.state.current);
    for (const topic of ["list", "log", "members", "account", "banner"]) this.invalidate(topic);
    this._showView(Boolean(this.state.current) && this.isShowingConversation);
  }

  close() {
    this._listeners.abort();
    this.state.current = null;
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    showUnread(0);
  }

  /** Whether the open conversation is in sight; on a phone the list may be. */
  get isShowingConversation() {
    return this.host.dataset.view === "conversation";
  }

  /** Have something drawn anew, with the next frame: `list`, `log`, `members`, `account` or `banner`. */
  invalidate(topic) {
    this._dirty.add(topic);
    if (document.visibilityState === "hidden")
      this._timer ??= setTimeout(() => this._draw(), HIDDEN_DELAY); // no frames
    else this._frame ??= requestAnimationFrame(() => this._draw());
  }

  /** Open a conversation, and load it. */
  async open(name, { isFocused = true } = {}) {
    const conversation = this.state.open(name);
    const { current } = this.state;
    if (NARROW.matches && !this.isShowingConversation) history.pushState({ conversation: true }, "");
    if (conversation !== current) {
      current?.unload();
      this.state.current = conversation;
      conversation.newAfter = conversation.unread ? conversation.read : null;
      this.client.loader.open(conversation);
    }
    recallOpen(conversation.name);
    this.composer.open(conversation);
    this._showView(true);
    for (const topic of ["list", "log", "members", "banner"]) this.invalidate(topic);
    if (isFocused) this.focus();
  }

  /** Have keys go to the box, or where there may be none, have the title read aloud: also when a dialog has closed. */
  focus() {
    (COARSE.matches ? this.parts.title : this.composer).focus();
  }

  /** Show the place of a message in its conversation. */
  async openPlace(name, seq) {
    await this.open(name, { isFocused: false });
    const conversation = this.state.current;
    const key = `seq ${seq}`;
    conversation.marked = key;
    if (!conversation.entries.some((entry) => entry.key === key)) await this.client.loader.openPlace(conversation, seq);
    this._draw(["log"]);
    if (!this.log.reveal(key)) toast(_("This message cannot be loaded now."));
  }

  /** Send messages to the open conversation, and show them. */
  async send(...messages) {
    const { current } = this.state;
    current.newAfter = null;
    await Promise.all(messages.map((message) => this.client.send(message)));
    if (current !== this.state.current) return;
    if (!current.atEnd) await this.client.loader.open(current);
    this._draw(["log"]);
    this.log.scrollToEnd();
    navigator.storage?.persist?.().catch(() => {});
  }

  editLast() {
    const last = this.state.current?.entries.findLast(
      (entry) => entry.isOwn && entry.seq !== undefined && !entry.erased,
    );
    if (last) this.composer.compose(last, true);
  }

  /** Ask the server, and say where it refuses; returns the response, or null. */
  async ask(frame) {
    try {
      return await this.client.request(frame);
    } catch (error) {
      toast(errorText(error));
      return null;
    }
  }

  /** Join a room, or make it; returns whether one is in it. For `more` see `joinRoom`. */
  join(room, more) {
    return joinRoom(this, room, more);
  }

  async leave(room) {
    if (!(await this.ask({ action: "leave", room }))) return;
    this.client.resequencer.forget(room);
    this.state.invitations.delete(this.state.open(room).key);
    this.state.open(room).isListed = false;
    if (this.state.current && isSame(this.state.current.name, room)) this.showList();
    this.invalidate("list");
  }

  /** Go to the next, or the previous, conversation of the list. */
  step(offset) {
    const listed = this.state.listed();
    const index = listed.indexOf(this.state.current);
    const next = listed[(index + offset + listed.length) % listed.length];
    if (next) this.open(next.name);
  }

  openNumber(number) {
    const found = this.state.listed()[number - 1];
    if (found) this.open(found.name);
  }

  /** Open the next conversation with mentions, else with new messages. */
  openUnread() {
    const others = this.state.listed().filter((each) => each !== this.state.current);
    const found = others.find((each) => each.mentions) ?? others.find((each) => each.unread);
    if (found) this.open(found.name);
  }

  /** Leave what one is at: a reply or an edit, a search hit, on a phone the conversation. */
  escape() {
    if (this.composer.cancel()) return;
    const { current } = this.state;
    if (current) current.newAfter = current.marked = null;
    this.invalidate("log");
    if (NARROW.matches) this.showList();
    else if (current) this.jumpToEnd();
  }

  showList() {
    recallOpen("");
    this._showView(false);
    this.state.current?.unload();
    this.state.current = null;
    this.invalidate("list");
    this.parts.list.querySelector("button")?.focus();
  }

  async jumpToEnd() {
    const { current } = this.state;
    current.marked = null;
    if (!current.atEnd) await this.client.loader.open(current);
    this._draw(["log"]);
    this.log.scrollToEnd();
    if (!COARSE.matches) this.composer.focus();
  }

  /** Open the dialog to find conversations and messages. It is loaded with the page: what is typed next is for it. */
  find({ within = "", words = "" } = {}) {
    openFind(this, within, words);
  }

  /** Open a dialog of another module, which is loaded when it is needed first. */
  async dialog(name, ...values) {
    (await loadModule(name))?.show(this, ...values);
  }

  /** Give up an upload, and the message with it; its text can be written on. */
  cancelUpload(id) {
    const { text } = this.client.discard(id);
    if (text && !this.composer.text) this.composer.setText(text);
    this.composer.focus();
  }

  onLogin(response) {
    this.isCaughtUp = false;
    if (this.state.current) this.composer.showFiles();
    for (const topic of ["list", "log", "account", "banner"]) this.invalidate(topic);
    if (response.password_until) this.dialog("account_dialogs", "password");
  }

  onEvent(event) {
    if (event.action === "close" || event.action === "open" || event.action === "role") this.invalidate("banner");
  }

  onLookedAt() {
    this.log.watchReading();
  }

  showPhase(phase, details) {
    this.phase = { phase, details };
    showPhase(this.parts, phase);
    this.invalidate("banner");
  }

  showStorageError() {
    this.hasStorageFailed = true;
    this.invalidate("banner");
  }

  _shellActions() {
    return {
      find: () => this.find(),
      search: () => this.find({ within: this.state.current.name }),
      start: () => this.dialog("start_dialog"),
      settings: () => this.dialog("settings_dialog"),
      help: () => this.dialog("help_dialog"),
      details: () => this.showDetails(),
      people: () => this.showDetails(),
      back: () => (history.state?.conversation ? history.back() : this.showList()),
      jump: () => this.jumpToEnd(),
    };
  }

  /** Show what one may know, and do, about a conversation or a person. */
  showDetails(name = this.state.current.name) {
    this.dialog(name.startsWith("#") ? "room_dialog" : "person_dialog", name);
  }

  _current(call) {
    if (this.state.current) call(this.state.current);
  }

  _onRead(seq) {
    const { current } = this.state;
    current.markUnnumberedRead();
    this.client.markRead(current, seq);
    this.invalidate("list");
  }

  _onHistory(event) {
    if (!event.state?.conversation && NARROW.matches && this.isShowingConversation) this.showList();
  }

  _showView(isConversation) {
    this.host.dataset.view = isConversation ? "conversation" : "list";
    const { current } = this.state;
    this.parts.main.classList.toggle("is-empty", !current);
  }

  _draw(topics = this._dirty) {
    const drawn = new Set(topics);
    if (topics === this._dirty) this._onDrawn();
    if (!this.parts.list.isConnected) return;
    const { current } = this.state;
    if (drawn.has("list") || drawn.has("members")) this._drawList();
    if (current && (drawn.has("list") || drawn.has("members") || drawn.has("log"))) this._drawHeader(current);
    if (current && drawn.has("log")) {
      this.log.render(current);
      this.client.loader.loadQuoted(current);
    }
    if (drawn.has("members")) this._drawMembers(current);
    if (drawn.has("banner") || drawn.has("list")) renderBanner(this.parts.banner, this);
  }

  _onDrawn() {
    this._dirty.clear();
    clearTimeout(this._timer);
    cancelAnimationFrame(this._frame);
    this._timer = this._frame = null;
  }

  _drawList() {
    renderList(this.parts.list, this.client, {
      onOpen: (name) => this.open(name),
      onJoin: (room) => this.join(room),
      onDecline: (room) => this.leave(room),
    });
    showUnread(this.state.countUnread(now()));
  }

  _drawHeader(current) {
    const { parts, state } = this;
    const { name, isRoom, topic } = current;
    const status = isRoom ? {} : state.statusOf(name);
    parts.title.replaceChildren(bdi(shownName(name)), status.status ? statusDot(status.status) : "");
    parts.topic.textContent = isRoom ? sanitize(topic) : status.status ? statusText(status) : "";
    parts.peopleButton.hidden = !isRoom || name === "#all";
  }

  _drawMembers(current) {
    const isShown = Boolean(current?.isRoom && current.members.size);
    this.host.classList.toggle("has-members", isShown);
    if (isShown) renderMembers(this.parts.members, current, this.state, (name) => this.showDetails(name));
  }

  _showJump(isAtEnd) {
    const { jump } = this.parts;
    const { current } = this.state;
    jump.hidden = isAtEnd;
    if (isAtEnd || !current) return;
    const { unread } = current;
    jump.textContent = unread ? _("↓ {count} new", { count: formatNumber(unread) }) : _("↓ To the newest");
  }
}
