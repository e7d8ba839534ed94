/**
 * Write the pictures of the page that the README shows: `node scripts/page_screenshots.js`, after `make browser`. Besides
 * Chromium it needs Debian's pngquant and fonts-noto-color-emoji.
 */

import { execFileSync } from "node:child_process";

import { Browser, PASSWORD, Server, Window, until } from "../tests/browser/support.js";

const DESKTOP = { name: "docs/page.png", width: 960, height: 640, colorScheme: "light" };
const PHONE = { name: "docs/page-phone.png", width: 330, height: 640, colorScheme: "dark", hasTouch: true, isMobile: true };
const TOPIC = "releases, and what stands in their way";
const say = (message, more = {}) => ({ action: "msg", to: "#dev", message, ...more });
const PEOPLE = ["alice", "bob", "hank", "Борис", "grace"];

/** Who sends which request. */
const CONVERSATION = [
  ["alice", say("morning! is the build green again?")],
  ["bob", say("yes, see https://ci.example.org/run/4711 for the log", { about: 1 })],
  ["Борис", say("Привет! Отлично, спасибо 🎉")],
  ["grace", say("noted, I'll have a look later 👍")],
  ["alice", say("nice. shall we tag 0.1 after lunch?")],
  ["hank", say("🎉", { about: 2, what: "react" })],
  ["alice", say("🎉", { about: 2, what: "react" })],
  ["bob", say("hank: I still want to look at the reconnect path once more, `backoff` seems to start twice when the server restarts")],
  ["hank", say("alice: yes, at two")],
  ["bob", { action: "join", room: "#ops" }],
  ["hank", { action: "join", room: "#ops" }],
  ["bob", { action: "msg", to: "#ops", message: "backup done" }],
  ["alice", { action: "msg", to: "hank", message: "lunch?" }],
  ["Борис", { action: "msg", to: "hank", message: "hank, посмотришь схему?" }],
];

async function talk(server) {
  await server.talkAs("hank", { action: "join", room: "#dev" }, { action: "topic", room: "#dev", topic: TOPIC });
  for (const name of PEOPLE) {
    if (name !== "hank") await server.stayAs(name, { action: "join", room: "#dev" });
  }
  for (const [index, [name, request]] of CONVERSATION.entries()) {
    await server.talkAs(name, { id: `screen-${index}`, ...request });
  }
}

async function take(browser, server, { name, width, height, ...options }) {
  const window = await Window.open(browser, server, { width, height, ...options });
  const { page } = window;
  await page.fill("[name=name]", "hank");
  await page.fill("[name=password]", PASSWORD);
  await page.click(".form .primary");
  await window.open("#dev");
  await page.waitForSelector(".reaction:has-text('2')");
  await page.waitForSelector(".entry:has-text('at two')");
  if (!options.isMobile) await page.keyboard.press("Escape"); // to the end, and no line before what is new
  await until(async () => !(await page.locator(".conversation-item:has-text('#dev') .badge").count()), "all is read");
  await page.waitForTimeout(500); // what appears has appeared
  await page.screenshot({ path: name });
  execFileSync("pngquant", ["--force", "--ext", ".png", "--strip", name]);
  await window.close();
}

const browser = new Browser();
const server = new Server();
try {
  await Promise.all([browser.start(), server.start()]);
  await server.register(...PEOPLE);
  await talk(server);
  for (const screen of [DESKTOP, PHONE]) await take(browser, server, screen);
} finally {
  await browser.close();
  await server.stop();
}
