/** Messages between a page and terminal clients, and what happens to them when the server is killed. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const { browser, server } = setUp({ accounts: ["alice", "bob", "carol", "dave", "frank", "grace"] });

test("a page and a terminal write to each other", async () => {
  const listener = server.listen("bob");
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.page.keyboard.press("Control+K");
  await window.page.keyboard.type("bob");
  await window.page.keyboard.press("Enter");
  await window.write("Hello, *Bob*! https://example.org/x?y=1.");
  await until(() => listener.messages.some(({ message }) => message?.startsWith("Hello")), "the message");
  await window.page.waitForSelector(".entry.delivered");
  const link = window.page.locator(".entry a");
  assert.equal(await link.getAttribute("href"), "https://example.org/x?y=1");
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
  await window.page.waitForSelector(".title .dot.online");
  await server.say("bob", "alice", "hi", "alice: seen");
  await window.page.waitForSelector(".entry.mention");
  assert.deepEqual(await window.texts(), ["Hello, *Bob*! https://example.org/x?y=1.", "hi", "alice: seen"]);
  await window.close();
});

test("a picture is shown, another file is a link, and neither is left after an erase", async () => {
  const window = await Window.open(browser, server);
  await window.enter("grace");
  const content = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );
  const picture = await server.upload("frank", "graph.png", content);
  const text = await server.upload("frank", "notes <b>.txt", Buffer.from("hello"));
  const message = { action: "msg", to: "grace" };
  const [sent] = await server.talkAs("frank", { ...message, id: "f1", message: "the graph", file: picture });
  await server.talkAs("frank", { ...message, id: "f2", message: "notes <b>.txt", file: text });
  await window.open("frank");
  const shown = window.page.locator(".entry .file.picture img");
  await until(() => shown.evaluate((image) => image.complete && image.naturalWidth), "the picture");
  assert.equal(await shown.getAttribute("alt"), "graph.png");
  const link = window.page.locator(".entry .file:not(.picture)");
  assert.equal(await link.locator("bdi").textContent(), "notes _b_.txt"); // as the server has cleaned it
  assert.match(await link.getAttribute("href"), /^\/file\//);
  await server.talkAs("frank", { ...message, id: "f3", message: "", about: sent.seq, what: "erase" });
  await window.page.waitForSelector(".file.picture", { state: "detached" });
  await window.close();
});

test("a direct message notifies, where that is wanted and nobody looks", async () => {
  const window = await Window.open(browser, server, { permissions: ["notifications"] });
  await window.page.evaluate(() => {
    globalThis.shown = [];
    globalThis.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, { body, tag }) {
        globalThis.shown.push([title, body, tag]);
      }
    };
  });
  await window.enter("erin", "register");
  await window.page.click("[aria-label=Settings]");
  await window.page.click("dialog >> text=Turn on");
  await window.page.waitForSelector("dialog >> text=Turn off");
  await window.page.keyboard.press("Escape");
  await server.say("bob", "erin", "while you look");
  await window.page.waitForSelector(".badge");
  await window.page.evaluate(() => (document.hasFocus = () => false));
  await server.say("bob", "erin", "are you there?");
  const shown = await until(
    () => window.page.evaluate(() => globalThis.shown.length && globalThis.shown),
    "a notification",
  );
  assert.deepEqual(shown, [["bob", "are you there?", "bob"]]);
  await window.close();
});

test("the server is killed while 50 lines are written: each is there once, in order, on both sides", async () => {
  const listener = server.listen("dave");
  const window = await Window.open(browser, server);
  await window.enter("carol");
  await window.page.keyboard.press("Control+K");
  await window.page.keyboard.type("dave");
  await window.page.keyboard.press("Enter");
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`);
  for (const [index, line] of lines.entries()) {
    await window.write(line);
    if (index === 20 || index === 35) {
      await server.kill();
      server.start();
    }
  }
  const received = () => listener.messages.filter(({ from }) => from === "carol").map(({ message }) => message);
  await until(() => received().length >= 50, "all lines in the terminal", 120_000);
  await until(
    async () => (await window.page.locator(".entry:is(.stored, .delivered)").count()) === 50,
    "all lines stored",
  );
  assert.deepEqual(received(), lines);
  assert.deepEqual(await window.texts(), lines);
  await window.page.reload();
  await window.page.waitForSelector(".phase.is-online");
  await until(async () => (await window.texts()).length === 50, "all lines after a reload");
  assert.deepEqual(await window.texts(), lines);
  await window.close();
});
