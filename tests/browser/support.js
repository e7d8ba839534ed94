/** A server and terminal clients in processes of their own, and pages in a headless Chromium that watches for harm. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before } from "node:test";

const require = createRequire(join(process.cwd(), ".browser", "package.json"));
const { chromium } = require("playwright-core");
export const PYTHON = resolve(process.env.PYTHON ?? ".venv/bin/python");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
export const SCREENSHOTS = join(".browser", "screenshots");
export const TIMEOUT = 60_000; // milliseconds: what hangs fails, however busy the machine
export const PASSWORD = "correct horse battery";

/** Return a promise of what a function returns once that is truthy. */
export async function until(find, what = find.toString(), timeout = TIMEOUT) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const found = await find();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`it never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Return a free port outside of the range from which the system takes ports: while a server is down that is to come back
 * on its port, no other connection gets it.
 */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const listener = createServer();
    const isFree = await new Promise((resolve) => {
      listener.once("error", () => resolve(false));
      listener.listen(port, "127.0.0.1", () => listener.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/**
 * Start a browser, and a server with accounts, for the tests of a file; `options` are of the server, `prepare()` is
 * called when it has started. One hook: node does not wait for the first one before it begins the second.
 */
export function setUp({ accounts, options = [], prepare = () => {} }) {
  const browser = new Browser();
  const server = new Server(...options);
  before(async () => {
    await Promise.all([browser.start(), server.start()]);
    await server.register(...accounts);
    await prepare();
  });
  after(async () => {
    await browser.close();
    await server.stop();
  });
  return { browser, server };
}

/** `python -m gmessenger server`, on the same ports and store each time that it is started. */
export class Server {
  constructor(...options) {
    this.folder = mkdtempSync(join(tmpdir(), "gmessenger-"));
    this._options = options;
    this.release = process.cwd(); // where the package is that runs
  }

  /** Have the next start run another release, whose page differs. */
  makeRelease() {
    this.release = join(this.folder, "release");
    cpSync("gmessenger", join(this.release, "gmessenger"), { recursive: true });
    appendFileSync(join(this.release, "gmessenger", "web", "style.css"), "\n");
  }

  async start() {
    this.port ??= await freePort();
    this.webPort ??= await freePort();
    this.url = `http://127.0.0.1:${this.webPort}/`;
    const store = `sqlite:///${this.folder}/messenger.db`;
    const rates = ["--message-rate", "0", "--request-rate", "0", "--registrations-per-hour", "0"];
    const places = ["--ip", "127.0.0.1", "--port", this.port, "--web", `127.0.0.1:${this.webPort}`, "--store", store];
    const command = ["-m", "gmessenger", "server", ...places, "--log-file", "-", ...rates, ...this._options];
    const options = { stdio: ["ignore", "pipe", "pipe"], env: cleanEnvironment(), cwd: this.release };
    this.process = spawn(PYTHON, command.map(String), options);
    this.log = "";
    this.process.stderr.on("data", (data) => (this.log += data));
    this.process.stdout.on("data", (data) => (this.log += data));
    await until(() => this.log.includes(`port ${this.port}`) || this._failed(), "the server's start");
    return this;
  }

  /** End it without a warning. */
  async kill() {
    this.process.kill("SIGKILL");
    await until(() => this.process.signalCode, "the server's end");
  }

  async stop() {
    this.process?.kill("SIGKILL");
    for (const child of this._clients ?? []) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Send frames as a client of the plain port, each after the answer to the one before; returns the answers. */
  async talk(...frames) {
    const { socket, answers } = await this._exchange(frames);
    socket.destroy();
    return answers;
  }

  async _exchange(frames) {
    const socket = createConnection(this.port, "127.0.0.1");
    const answers = [];
    let received = "";
    socket.on("data", (data) => {
      received += data;
      const lines = received.split("\n");
      received = lines.pop();
      answers.push(...lines.map((line) => JSON.parse(line)).filter((frame) => frame.response));
    });
    for (const [index, frame] of frames.entries()) {
      socket.write(`${JSON.stringify({ id: `t${index}`, ...frame })}\n`);
      await until(() => answers.length > index, JSON.stringify(frame));
      assert.ok(answers[index].response < 300, JSON.stringify(answers[index]));
    }
    return { socket, answers };
  }

  /** Make accounts. */
  async register(...names) {
    for (const name of names) {
      await this.talk({ action: "register", jim: 2, user: { account_name: name, device: "made" }, password: PASSWORD });
    }
  }

  /** Log in on the plain port, send frames, and return the answers to them. */
  async talkAs(name, ...frames) {
    const [, ...answers] = await this.talk(presenceOf(name, "script"), ...frames);
    return answers;
  }

  /** Upload a file as an account; return its id. */
  async upload(name, fileName, body) {
    const [{ session }] = await this.talk(presenceOf(name, "upload"));
    const headers = {
      Authorization: `Bearer ${session}`,
      "Content-Type": "application/octet-stream",
      "Content-Disposition": `attachment; filename*=UTF-8''${encodeURIComponent(fileName)}`,
    };
    const answer = await fetch(`${this.url}file`, { method: "POST", headers, body });
    assert.equal(answer.status, 201, await answer.text());
    return answer.headers.get("Location").split("/")[2];
  }

  /** The same as `talkAs`, and stay connected until the server stops; return the socket. */
  async stayAs(name, ...frames) {
    const { socket } = await this._exchange([presenceOf(name, "staying"), ...frames]);
    return socket;
  }

  /** `gmessenger-client --listen --json` of an account; `messages` are the frames that it has printed. */
  listen(name) {
    const child = this._client(name, "--listen", "--json", "--device", "terminal");
    const listener = { child, messages: [] };
    let printed = "";
    child.stdout.on("data", (data) => {
      printed += data;
      const lines = printed.split("\n");
      printed = lines.pop();
      listener.messages.push(...lines.map((line) => JSON.parse(line)));
    });
    return listener;
  }

  /** `gmessenger-client --to` of an account: each line is sent as a message. */
  async say(name, to, ...lines) {
    const child = this._client(name, "--to", to, "--device", "sender");
    child.stdin.end(`${lines.join("\n")}\n`);
    await until(() => child.exitCode !== null, "the client's end", TIMEOUT + lines.length * 20);
    assert.equal(child.exitCode, 0);
  }

  _client(name, ...options) {
    const file = join(this.folder, "password");
    writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
    const home = { XDG_STATE_HOME: this.folder, XDG_CONFIG_HOME: this.folder, HOME: this.folder };
    const command = [
      "-m",
      "gmessenger",
      "client",
      "127.0.0.1",
      this.port,
      "--name",
      name,
      "--password-file",
      file,
      ...options,
    ];
    const child = spawn(PYTHON, command.map(String), { env: { ...cleanEnvironment(), ...home } });
    (this._clients ??= []).push(child);
    return child;
  }

  _failed() {
    if (this.process.exitCode !== null) throw new Error(this.log);
    return false;
  }
}

function presenceOf(name, device) {
  return { action: "presence", jim: 2, user: { account_name: name, password: PASSWORD, device } };
}

export function cleanEnvironment() {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith("MESSENGER_"));
  return { ...Object.fromEntries(entries), LC_ALL: "C.UTF-8" };
}

/** A headless Chromium. */
export class Browser {
  async start() {
    this._browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  }

  newContext(options) {
    return this._browser.newContext(options);
  }

  async close() {
    await this._browser?.close();
  }
}

/** A browser's window with a profile of its own, and the page in it. `harm`: what broke the policy, or failed. */
export class Window {
  static async open(browser, server, { width = 1280, height = 800, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB", ...options });
    context.setDefaultTimeout(TIMEOUT);
    const window = new Window(context, server);
    await window.openTab();
    return window;
  }

  constructor(context, server) {
    this.context = context;
    this.server = server;
    this.harm = [];
  }

  /** Open one more tab, which is the one that is looked at from then on. */
  async openTab(path = "") {
    this.page = await this.context.newPage();
    await this.page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) =>
        console.error("POLICY", event.violatedDirective, event.blockedURI),
      );
    });
    this.page.on("pageerror", (error) => this.harm.push(error.stack));
    this.page.on("console", (message) => {
      const text = message.text();
      const isNetwork = /ERR_CONNECTION|ERR_INTERNET|WebSocket connection|when fetching the script/.test(text);
      if (message.type() === "error" && !isNetwork) this.harm.push(text);
    });
    await this.page.goto(`${this.server.url}${path}`);
    await this.page.waitForSelector("#app[class]"); // something is drawn
    return this.page;
  }

  /** Log in, register or come in as a guest, by the first screen. */
  async enter(name, mode = "login", password = mode === "guest" ? null : PASSWORD) {
    await this.page.click(`[data-mode=${mode}]`);
    await this.page.fill("[name=name]", name);
    if (password) await this.page.fill("[name=password]", password);
    await this.page.click(".form .primary");
    await this.page.waitForSelector(".phase.is-online");
  }

  async open(name) {
    await this.page.click(`.conversation-item:has(.name bdi:text-is("${name}"))`);
    await this.page.waitForSelector(`.title h2:has-text("${name}")`);
  }

  /** Write a text into the box, and send it. */
  async write(text) {
    await this.page.fill("#message", text);
    await this.page.press("#message", "Enter");
  }

  /** Return the texts of the messages that are shown, in order. */
  texts() {
    return this.page.$$eval(".entry .body", (bodies) => bodies.map((body) => body.textContent));
  }

  /** Return when a draft is kept in the browser, with its files. */
  async waitForDraft(text, files = 0) {
    const isKept = ({ draft, attachments = [] }) => draft === text && attachments.length === files;
    await until(async () => (await this.page.evaluate(readStore, "conversations")).some(isKept), `the draft ${text}`);
  }

  async screenshot(name) {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }

  /** Return what axe finds on the screen, in short. */
  async violations() {
    await this.page.evaluate(axeSource());
    const found = await this.page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  }

  /** Close it; nothing may have done harm. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.harm, []);
  }
}

// In the page: the rows of a store of its database, as far as they are JSON.
function readStore(name) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("gmessenger");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const { result: database } = opening;
      const reading = database.transaction(name).objectStore(name).getAll();
      reading.onerror = () => reject(reading.error);
      reading.onsuccess = () => (database.close(), resolve(JSON.parse(JSON.stringify(reading.result))));
    };
  });
}

let axe = "";
function axeSource() {
  axe ||= readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  return axe;
}
