/**
 * What a visit of the page costs on a slow line: `make page-load`.
 *
 * All connections of a browser, those of its service worker as well, share one line of KBIT kbit/s in each direction and
 * LATENCY milliseconds for a round trip, also that of connecting. The first visit is that of somebody who has never been
 * here: the time in which one types is left out. The second is the next one, in the same tab. Prints the medians of
 * ROUNDS rounds as rows of a table; KBIT, LATENCY, ROUNDS and LOCALE are variables of the environment.
 */

import { createConnection, createServer } from "node:net";
import { performance } from "node:perf_hooks";

import { Browser, PASSWORD, Server, TIMEOUT, until } from "../tests/browser/support.js";

const KBIT = Number(process.env.KBIT ?? 400);
const LATENCY = Number(process.env.LATENCY ?? 400); // milliseconds for a round trip
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const LOCALE = process.env.LOCALE ?? "en-GB";
const SEGMENT = 1460; // bytes that arrive at once
const TYPING = 3000; // milliseconds for a name and a password, which are not counted
const HISTORY = 60; // messages of the conversation that is open

/** One direction of the line: what is put into it comes out later, in order, at the line's rate. */
class Direction {
  constructor() {
    this.bytes = 0;
    this._freeAt = 0; // when the line has sent all that was put into it
  }

  put(data, deliver) {
    for (let start = 0; start < data.length; start += SEGMENT) {
      const segment = data.subarray(start, start + SEGMENT);
      this.bytes += segment.length;
      this._freeAt = Math.max(this._freeAt, performance.now()) + (segment.length * 8) / KBIT;
      setTimeout(() => deliver(segment), this._freeAt - performance.now() + LATENCY / 2);
    }
  }
}

/** A proxy to a server's web port, by a slow line. `up` and `down` count its bytes. */
class Line {
  constructor() {
    this.up = new Direction();
    this.down = new Direction();
  }

  async open(port) {
    this._listener = createServer((socket) => this._carry(socket, createConnection(port, "127.0.0.1")));
    this._listener.listen(0, "127.0.0.1");
    await until(() => this._listener.listening, "the line");
    return `http://127.0.0.1:${this._listener.address().port}/`;
  }

  close() {
    this._listener.close();
  }

  _carry(client, server) {
    for (const socket of [client, server]) socket.setNoDelay(true).on("error", () => {});
    client.pause();
    setTimeout(() => client.resume(), LATENCY); // for the handshake of TCP
    client.on("data", (data) => this.up.put(data, (segment) => server.writable && server.write(segment)));
    server.on("data", (data) => this.down.put(data, (segment) => client.writable && client.write(segment)));
    client.on("close", () => server.destroy());
    server.on("close", () => setTimeout(() => client.destroy(), LATENCY));
  }
}

// In the page: notes when something is in the document first, in milliseconds since the visit began.
function watch(wanted) {
  globalThis.seen = {};
  const look = () => {
    for (const [name, selector, text] of wanted) {
      if (globalThis.seen[name] !== undefined) continue;
      const found = [...document.querySelectorAll(selector)].some((each) => each.textContent.includes(text));
      if (found) globalThis.seen[name] = performance.now();
    }
  };
  const options = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(document, options);
}

const seen = (page, name) => until(() => page.evaluate((key) => globalThis.seen[key], name), name);
const elapsed = (page) => page.evaluate(() => performance.now());

async function openPage(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: LOCALE });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  await page.addInitScript(watch, [
    ["login", ".login .card", ""],
    ["online", ".phase.is-online", ""],
    ["kept", ".entry", `kept ${HISTORY}`],
    ["live 1", ".conversation-item, .entry", "live 1"],
    ["live 2", ".conversation-item, .entry", "live 2"],
  ]);
  return { context, page };
}

async function firstVisit(page, url, line, say) {
  await page.goto(url);
  const login = await seen(page, "login");
  const asked = line.down.bytes;
  await page.fill("[name=name]", "alice");
  await page.fill("[name=password]", PASSWORD);
  await page.waitForTimeout(TYPING);
  const began = await elapsed(page);
  await page.click(".form .primary");
  const online = await seen(page, "online");
  say("live 1");
  const live = await seen(page, "live 1");
  return {
    "first visit: the login screen, s": login / 1000,
    "from `Log in` to connected, s": (online - began) / 1000,
    "first visit: first live message, without typing, s": (login + live - began) / 1000,
    "first visit: kB received until the login screen": asked / 1000,
    "first visit: kB received until the live message": line.down.bytes / 1000,
  };
}

async function secondVisit(page, url, line, say) {
  const before = line.down.bytes;
  await page.goto(url);
  const kept = await seen(page, "kept");
  await seen(page, "online");
  say("live 2");
  const live = await seen(page, "live 2");
  return {
    "second visit: kept messages, s": kept / 1000,
    "second visit: first live message, s": live / 1000,
    "second visit: kB received until then": (line.down.bytes - before) / 1000,
  };
}

async function round(browser, server, bob) {
  const line = new Line();
  const url = await line.open(server.webPort);
  const { context, page } = await openPage(browser);
  const results = {};
  const say = (message) => bob.write(`${JSON.stringify({ action: "msg", to: "alice", message })}\n`);
  Object.assign(results, await firstVisit(page, url, line, say));
  await page.click(".conversation-item:has(.name bdi:text-is('carol'))");
  await seen(page, "kept");
  await page.evaluate(() => navigator.serviceWorker.ready);
  results["first visit: kB received with all that is kept for later"] = line.down.bytes / 1000;
  Object.assign(results, await secondVisit(page, url, line, say));
  await context.close();
  line.close();
  return results;
}

function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}

async function main() {
  const browser = new Browser();
  const server = new Server();
  try {
    await Promise.all([browser.start(), server.start()]);
    await server.register("alice", "bob", "carol");
    const history = Array.from({ length: HISTORY }, (_, index) => ({
      action: "msg",
      to: "alice",
      message: `kept ${index + 1}`,
    }));
    await server.talkAs("carol", ...history);
    const bob = await server.stayAs("bob");
    const results = [];
    for (let count = 0; count < ROUNDS; count += 1) results.push(await round(browser, server, bob));
    for (const name of Object.keys(results[0])) {
      const values = results.map((each) => each[name]);
      console.log(`| ${name} | ${median(values).toFixed(2)} | ${Math.max(...values).toFixed(2)} |`);
    }
  } finally {
    await browser.close();
    await server.stop();
  }
}

await main();
