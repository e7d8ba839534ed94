/**
 * Three people in one private room, by the page on a phone, the full-screen terminal in tmux, and a course client, with
 * alerts by hooks, while the server is killed: each line is there once, in order, for everyone.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";

import { PASSWORD, PYTHON, SCREENSHOTS, Window, cleanEnvironment, setUp, until } from "./support.js";

const { browser, server } = setUp({ accounts: ["hank", "bob", "erin"] });
const ROUNDS = 12;
const KILLS = [4, 8];
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const BODIES = join("tests", "wire", "hook_bodies");
const hasTmux = ["/usr/bin/tmux", "/usr/local/bin/tmux"].some(existsSync);

/** `gmessenger-client` in full screen, in a tmux of its own. */
class Terminal {
  constructor(name) {
    this._socket = join(server.folder, "tmux");
    const password = join(server.folder, "password-of-terminal");
    writeFileSync(password, `${PASSWORD}\n`, { mode: 0o600 });
    const command = [PYTHON, "-m", "gmessenger", "client", "127.0.0.1", server.port, "--name", name];
    const words = [...command, "--password-file", password].join(" ");
    const home = Object.fromEntries(["XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"].map((key) => [key, server.folder]));
    const env = { ...cleanEnvironment(), ...home, TERM: "xterm-256color" };
    this._tmux(["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "100", words], env);
  }

  /** Type a line. */
  write(line) {
    this._tmux(["send-keys", "-l", line]);
    this._tmux(["send-keys", "Enter"]);
  }

  /** Mark the newest message. */
  mark() {
    this._tmux(["send-keys", "M-m"]);
  }

  screen() {
    return this._tmux(["capture-pane", "-p"]);
  }

  shows(text) {
    return until(() => this.screen().includes(text), `${text} in the terminal`);
  }

  close() {
    this._tmux(["kill-server"]);
  }

  _tmux(words, env = process.env) {
    return execFileSync("tmux", ["-u", "-S", this._socket, ...words], { env, encoding: "utf8" });
  }
}

/** A course client: it knows the first protocol only, and comes again by itself when it has lost the server. */
class CourseClient {
  constructor(name) {
    this.name = name;
    this.received = [];
  }

  async connect() {
    let received = "";
    this._socket = createConnection(server.port, "127.0.0.1");
    this._socket.on("error", () => {}); // the server is killed
    this._socket.on("data", (data) => {
      received += data;
      const lines = received.split("\n");
      received = lines.pop();
      this.received.push(...lines.map((line) => JSON.parse(line)));
    });
    const before = this.received.length;
    this._send({ action: "presence", type: "status", user: { account_name: this.name, status: "here" } });
    await until(() => this.received.length > before, "the answer to a presence");
    await server.talkAs("hank", { action: "invite", room: "#ops", user: this.name });
    this._send({ action: "join", room: "#ops" });
    await until(() => this.received.filter(({ response }) => response === 200).length >= 2, "the answer to a join");
  }

  write(message) {
    this._send({ action: "msg", to: "#ops", from: this.name, encoding: "utf-8", message });
  }

  close() {
    this._socket.destroy();
  }

  texts() {
    return this.received.map(({ message }) => message).filter(Boolean);
  }

  _send(frame) {
    this._socket.write(`${JSON.stringify({ time: Date.now() / 1000, ...frame })}\n`);
  }
}

/** Write a text on a phone, where Enter begins a new line. */
async function tap(window, text) {
  await window.page.fill("#message", text);
  await window.page.tap("[aria-label=Send]");
}

/** Post a recorded request to a hook of a room; return the answer. */
async function post(token, recorded) {
  const [head, body] = readFileSync(join(BODIES, `${recorded}.post`), "utf8").split("\n\n", 2);
  const headers = Object.fromEntries(head.split("\n").map((line) => line.split(": ", 2)));
  const answer = await fetch(`${server.url}hook/${token}`, { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
}

/** Return all messages of the room, as the server has them. */
async function kept() {
  const [{ messages }] = await server.talkAs("hank", { action: "history", with: "#ops", limit: 500 });
  return messages;
}

async function restart() {
  await server.kill();
  await server.start();
}

test("a phone, a terminal and a course client in one private room", { skip: !hasTmux && "no tmux" }, async () => {
  const rules = { invited: true, hidden: true };
  const [, hooked] = await server.talkAs(
    "hank",
    { action: "join", room: "#ops", rules },
    { action: "hook", room: "#ops", name: "alerts" },
    { action: "invite", room: "#ops", user: "bob" },
    { action: "invite", room: "#ops", user: "erin" },
  );
  await server.talkAs("erin", { action: "join", room: "#ops" }); // who only listens, and is asked what was said
  const window = await Window.open(browser, server, { width: 390, height: 844, hasTouch: true });
  const terminal = new Terminal("hank");
  const listener = server.listen("erin");
  const said = () => listener.messages.filter(({ action, kind }) => action === "msg" && !kind);
  const course = new CourseClient("kurs");
  after(() => (terminal.close(), course.close()));
  await window.enter("bob");
  await window.page.click("text=Join");
  await window.page.waitForSelector('.title h2:has-text("#ops")');
  await terminal.shows("connected");
  terminal.write("/join #ops");
  await terminal.shows("[#ops]");
  await course.connect();

  const written = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const isKilled = KILLS.includes(round);
    if (isKilled) await server.kill();
    await tap(window, `page ${round}`);
    terminal.write(`terminal ${round}`);
    written.push(`page ${round}`, `terminal ${round}`);
    if (isKilled) {
      await server.start();
      course.close();
      await course.connect();
    }
    course.write(`course ${round}`);
    written.push(`course ${round}`);
    await until(() => said().length === written.length, `the lines of round ${round}`);
  }
  await post(hooked.token, "alertmanager-firing");
  await post(hooked.token, "grafana-firing");
  await restart();
  await post(hooked.token, "alertmanager-resolved");

  await window.page.waitForSelector(".phase.is-online", { state: "attached" });
  const chosen = window.page.waitForEvent("filechooser");
  await window.page.click("button[aria-label='Attach files']");
  await (await chosen).setFiles([{ name: "graph.png", mimeType: "image/png", buffer: PICTURE }]);
  await tap(window, "the graph");
  await window.page.waitForSelector(".entry .file.picture img");
  await terminal.shows("the graph");
  await terminal.shows("/file/");
  terminal.mark();
  terminal.write("/react 🎉");
  await window.page.waitForSelector(".entry .reaction");
  terminal.write("about to change");
  await window.page.waitForSelector('.entry .body:text-is("about to change")');
  await terminal.shows("about to change ✓");
  terminal.write("/edit changed");
  await until(async () => (await window.texts()).includes("changed"), "the edit on the phone");
  await terminal.shows("changed");

  const texts = (await kept()).filter(({ what }) => !what).map(({ message }) => message);
  const lines = texts.filter((text) => /^(page|terminal|course) /.test(text));
  assert.deepEqual([...lines].sort(), [...written].sort());
  assert.equal(texts.filter((text) => text.startsWith("FIRING")).length, 2);
  assert.equal(texts.filter((text) => text.startsWith("RESOLVED")).length, 1);
  const shown = (await window.texts()).filter((text) => /^(page|terminal|course) /.test(text));
  assert.deepEqual(shown, lines);
  const screen = terminal.screen();
  for (const line of lines) assert.equal(screen.split(`${line} `).length + screen.split(`${line}\n`).length, 3, line);
  const heard = course.texts().filter((text) => /\] (page|terminal) /.test(text));
  assert.equal(new Set(heard).size, heard.length);
  await window.screenshot("together-phone");
  mkdirSync(SCREENSHOTS, { recursive: true });
  writeFileSync(join(SCREENSHOTS, "together-terminal.txt"), screen);
  await window.close();
});
