/** A long history: loaded in pages, cut at the far end, and hanging on an entry. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const TOTAL = 10_000;
const LINES = Array.from({ length: TOTAL }, (_, index) => `message ${index + 1}`);
const { browser, server } = setUp({
  accounts: ["alice", "bob"],
  prepare: () => server.say("bob", "alice", ...LINES),
});

const numbers = async (window) => (await window.texts()).map((text) => Number(text.split(" ")[1]));

test("10,000 messages are scrolled to the first and back, without a hole", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.open("bob");
  await until(async () => (await numbers(window)).at(-1) === TOTAL, "the newest message");
  await window.page.$eval(".log ol", (list) => {
    globalThis.seen = new Set();
    const look = () => [...list.querySelectorAll(".entry")].forEach(({ dataset }) => globalThis.seen.add(dataset.seq));
    new MutationObserver(look).observe(list, { childList: true });
    look();
  });
  const scroll = (position) =>
    window.page.$eval(".log", (log, top) => (log.scrollTop = top === "end" ? log.scrollHeight : 0), position);
  for (;;) {
    const shown = await numbers(window);
    shown.forEach((number, index) => index && assert.equal(number, shown[index - 1] + 1));
    assert.ok(shown.length <= 400, `${shown.length} entries`);
    if (shown[0] === 1) break;
    await scroll(0);
    await until(async () => (await numbers(window))[0] < shown[0], `what is before ${shown[0]}`);
  }
  const seen = new Set(await window.page.evaluate(() => [...globalThis.seen].map(Number)));
  const missing = LINES.map((_, index) => index + 1).filter((number) => !seen.has(number));
  assert.deepEqual(missing, []);
  await window.page.click(".jump");
  await until(async () => (await numbers(window)).at(-1) === TOTAL, "the newest message again");
  await window.close();
});

test("a conversation is opened at its end, also where it is drawn before it is loaded", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.page.evaluate(() => {
    globalThis.requestAnimationFrame = (draw) => (queueMicrotask(draw), 1);
  });
  await window.open("bob");
  await until(async () => (await numbers(window)).at(-1) === TOTAL, "the newest message");
  const distance = await window.page.$eval(".log", (log) => log.scrollHeight - log.scrollTop - log.clientHeight);
  assert.ok(distance < 40, `${distance} pixels from the end`);
  await window.close();
});

test("what is in sight stays where it is while older messages are loaded", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.open("bob");
  await until(async () => (await numbers(window)).length >= 50, "a page");
  const before = await window.page.$eval(".log", (log) => {
    log.scrollTop = log.clientHeight;
    const item = [...log.querySelectorAll(".entry")].find(
      (each) => each.getBoundingClientRect().top > log.getBoundingClientRect().top,
    );
    const first = Number(log.querySelector(".entry .body").textContent.split(" ")[1]);
    return { first, text: item.textContent, top: item.getBoundingClientRect().top };
  });
  await until(async () => (await numbers(window))[0] < before.first, "older messages");
  const top = await window.page.$$eval(
    ".entry",
    (items, text) => items.find((item) => item.textContent === text).getBoundingClientRect().top,
    before.text,
  );
  assert.ok(Math.abs(top - before.top) < 3, `${before.top} → ${top}`);
  await window.close();
});

test("a search hit opens its place, and from there one scrolls on", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.page.keyboard.press("Control+K");
  await window.page.keyboard.type("message 4321");
  await window.page.click(".result:has-text('message 4321')");
  await window.page.waitForSelector(".entry.marked:has-text('message 4321')");
  await window.page.$eval(".log", (log) => (log.scrollTop = log.scrollHeight));
  await until(async () => (await numbers(window)).at(-1) > 4360, "what follows");
  const shown = await numbers(window);
  shown.forEach((number, index) => index && assert.equal(number, shown[index - 1] + 1));
  await window.close();
});
