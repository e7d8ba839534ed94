/** The page: puts the client, the views and what the browser has together. */

import { Announcer, notificationState, notify } from "./attention.js";
import { Client } from "./client.js";
import { now } from "./connection.js";
import { toast } from "./dialogs.js";
import { button, element } from "./dom.js";
import { bindKeys } from "./keyboard.js";
import { languageSelect, renderLogin } from "./login_view.js";
import { Messenger } from "./messenger.js";
import { applyTheme, preferences, setPreferences } from "./preferences.js";
import { sanitize } from "./sanitize.js";
import { openStorage } from "./storage.js";
import { holdLock } from "./tab_lock.js";
import { excerpt } from "./text_view.js";
import { _, chooseLanguage, errorText, setLanguage } from "./translations.js";

const URL_OF_SERVER = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/jim`;
const INVITE = /^#invite=([\w-]{1,256})$/;
const WORKER_DELAY = 2000; // milliseconds after the first login, which what the worker fetches would slow down
const MAX_OPENED = 64; // characters, as it may be written
const OPENED = /^#open=([^&]{1,400})$/; // by a notification
/** Refusals of a login after which one has to log in anew. */
const LOGIN_CODES = ["password_needed", "wrong_password", "guests_refused", "name_in_use", "bad_name", "name_taken"];

class App {
  constructor(storage, invite = "", opened = "") {
    this.storage = storage;
    this.host = document.getElementById("app");
    Object.assign(this, { invite, opened });
    this.announcer = new Announcer(document.getElementById("announcer"));
    this.isLoggedIn = false;
    this.onFirstLogin = () => {};
    this.client = new Client({
      storage,
      url: URL_OF_SERVER,
      hooks: {
        onChange: (topic) => this.messenger?.invalidate(topic),
        onPhase: (phase, details) => this._onPhase(phase, details),
        onMessage: (conversation, entry) => this._onMessage(conversation, entry),
        onLost: (name, count) => this.client.state.notice(name, "lost", { count }, now()),
        onRefused: (message, response) => toast(errorText(response)),
        onSynced: () => this.messenger && (this.messenger.isCaughtUp = true),
        onEvent: (event) => this.messenger?.onEvent(event),
        onUploading: (id, share) => this.messenger?.intake.useLoaded((files) => files.showShare(id, share)),
        onFileSent: (id, file) => this.messenger?.intake.useLoaded((files) => files.onSent(id, file)),
        onStorageError: () => this.messenger?.showStorageError(),
      },
    });
  }

  /** Take the connection for this tab, from another tab if `isStealing`, and show what was kept. */
  async start({ isStealing = false } = {}) {
    await holdLock({ isStealing, onHeld: () => this._begin(), onTaken: () => this._showOtherTab() });
  }

  /** Show another language, and keep that. */
  async changeLanguage(language) {
    setPreferences({ language });
    await loadLanguage();
    this.comparePush();
    this.messenger?.rebuild();
  }

  /** Log out; returns when the page is empty. Raises `RequestError`. */
  async logOut(isForced = false) {
    await this.client.logOut({ isForced });
    setPreferences({ notifications: false }); // who comes next decides anew
    await this.push?.end();
    location.reload();
  }

  async _begin() {
    const { session } = await this.client.load();
    this.session = session;
    this._listen();
    const canResume = this.session?.token && !this.invite;
    if (!canResume) return this._showLogin({});
    this._showMessenger();
    this.client.resume(this.session);
    return undefined;
  }

  _listen() {
    this._listeners = new AbortController();
    const { signal } = this._listeners;
    bindKeys(document, () => this.messenger, signal);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this._onLookedAt(), {
      signal,
    });
    window.addEventListener("focus", () => this._onLookedAt(), { signal });
    window.addEventListener("online", () => this.client.connection.check(), { signal });
    window.addEventListener("pagehide", () => this._onHidden(), { signal });
    navigator.serviceWorker?.addEventListener("message", ({ data }) => this._onWorkerMessage(data), { signal });
  }

  _showMessenger() {
    if (this.messenger) return;
    this.host.removeAttribute("hidden");
    this.messenger = new Messenger(this.host, this.client, this);
    if (this.opened) this.messenger.open(this.opened);
    this.opened = "";
  }

  _showLogin({ response, note }) {
    this.messenger?.close();
    this.messenger = null;
    this.host.className = "login";
    const name = this.invite ? "" : (this.session?.name ?? this.client.state.ownName ?? "");
    renderLogin(this.host, {
      ...{ name, response, invite: this.invite },
      mode: this._loginMode(),
      note:
        note ?? (this.storage.isPersistent ? "" : _("This browser keeps nothing: all is gone when the tab is closed.")),
      footer: this._languageSwitch(),
      onEnter: (values) => this._enter(values),
      onType: () => this.client.connection.prepare(),
    });
  }

  _loginMode() {
    if (this.lastMode) return this.lastMode;
    if (this.invite) return "register";
    return this.session && !this.session.isAccount ? "guest" : "login";
  }

  async _enter(values) {
    this.lastMode = values.isNew ? "register" : values.password === undefined ? "guest" : "login";
    await new Promise((resolve, reject) => {
      this._entering = { resolve, reject };
      this.client.enter(values).catch(reject);
    }).finally(() => (this._entering = null));
  }

  _onPhase(phase, details) {
    if (phase === "online") this._onOnline(details.response);
    else if (this._entering && (phase === "stopped" || phase === "waiting")) this._onEntryFailed(phase, details);
    else if (phase === "stopped" && details.response?.code) this._onStopped(details.response);
    this.messenger?.showPhase(phase, details);
  }

  _onOnline(response) {
    if (!this.isLoggedIn) this.onFirstLogin();
    this.isLoggedIn = true;
    this.invite = "";
    this._entering?.resolve();
    this.session = { name: this.client.state.ownName, isAccount: this.client.state.isAccount, token: response.session };
    this._showMessenger();
    this.messenger.onLogin(response);
    this.comparePush();
  }

  _onWorkerMessage({ open, renewed }) {
    if (open) this.messenger?.open(open);
    if (renewed && this.client.connection.isOnline) this.comparePush();
  }

  /** Have the browser's push subscription, the server's and the language of its words be as they should. */
  async comparePush() {
    const { vapid, isAccount } = this.client.state;
    if (!vapid && !this.push) return;
    const loaded = await import("./push.js").catch(() => null); // at the next login, where it cannot be fetched now
    if (!loaded) return;
    this.push ??= new loaded.PushSubscriber({ registration, request: (frame) => this.client.request(frame) });
    const words = { news: _("New messages"), inRoom: _("{name} in {room}") };
    await this.push.compare({ vapid, isWanted: isAccount && notificationState() === "on", words });
  }

  _onEntryFailed(phase, details) {
    const response = details.response?.code ? details.response : { code: "disconnected" };
    if (phase === "stopped" && !details.response?.code) return; // it is about to begin
    this.client.connection.stop();
    this._entering.reject(response);
  }

  // The server has ended the session, or refuses to resume it.
  _onStopped(response) {
    if (response.code === "replaced") return this._showOtherTab();
    if (LOGIN_CODES.includes(response.code)) this.client.login.forget();
    return this._showLogin({ response });
  }

  _showOtherTab() {
    this.client.connection.stop();
    this.messenger?.close();
    this.messenger = null;
    this.host.className = "login";
    this._listeners?.abort();
    const use = () => new App(this.storage, this.invite, this.opened).start({ isStealing: true });
    this.host.replaceChildren(
      element(
        "div",
        { class: "card" },
        element("h1", {}, "gmessenger"),
        element("p", {}, _("gmessenger is open in another tab.")),
        button(_("Use it here"), use, { class: "primary" }),
      ),
    );
  }

  _onMessage(conversation, entry) {
    const isOpen = conversation === this.client.state.current && this.messenger?.isShowingConversation;
    if (isOpen) this.announcer.announce(`${sanitize(entry.sender)}: ${excerpt(entry.text, 300)}`);
    if (this.messenger?.isCaughtUp)
      notify(this.client.state, conversation, entry, () => this.messenger?.open(conversation.name));
  }

  _onLookedAt() {
    this.client.connection.check();
    this.messenger?.onLookedAt();
  }

  // What is not kept here must not stay logged in.
  _onHidden() {
    this.client.persistence.flush();
    if (!this.storage.isPersistent) this.client.connection.send({ action: "drop", device: this.client.login.device });
  }

  _languageSwitch() {
    const change = async (event) => {
      setPreferences({ language: event.target.value });
      await loadLanguage();
      this._showLogin({});
    };
    return languageSelect(change);
  }
}

// The invite is taken out of the address, where others could read it.
function takeInvite() {
  const found = INVITE.exec(location.hash);
  if (found) history.replaceState(null, "", "/");
  return found ? found[1] : "";
}

// A notification was clicked while no page was open.
function takeOpened() {
  const found = OPENED.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", "/");
  try {
    return decodeURIComponent(found[1]).slice(0, MAX_OPENED);
  } catch {
    return ""; // it is no name
  }
}

async function registration() {
  const isRegistered = await navigator.serviceWorker?.getRegistration();
  return isRegistered ? navigator.serviceWorker.ready : null;
}

async function loadLanguage() {
  const language = chooseLanguage([preferences.language, ...navigator.languages].filter(Boolean));
  if (language === "en") setLanguage("en");
  else setLanguage(language, await (await fetch(new URL(`words/${language}.json`, import.meta.url))).json());
  document.documentElement.lang = language;
}

async function keepPage() {
  const loaded = await import("./updates.js").catch(() => null); // at the next visit, where it cannot be fetched now
  loaded?.startWorker((reload) => toast(_("A new version is here."), { label: _("Reload"), run: reload }));
}

async function main() {
  applyTheme();
  await loadLanguage().catch(() => setLanguage("en"));
  const app = new App(await openStorage(), takeInvite(), takeOpened());
  if (navigator.serviceWorker?.controller) keepPage();
  else app.onFirstLogin = () => setTimeout(keepPage, WORKER_DELAY);
  await app.start();
}

main();
