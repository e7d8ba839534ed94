/** Without a server, without a network, in two tabs: what is written is kept, and sent once. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const { browser, server } = setUp({ accounts: ["alice", "bob", "carol"] });

test("offline one reads, writes and reloads; all is sent when the server is back", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await server.say("bob", "alice", "one", "two");
  await window.open("bob");
  await until(async () => (await window.texts()).length === 2, "both messages");
  await window.page.evaluate(() => navigator.serviceWorker.ready);
  await server.kill();
  await window.page.waitForSelector(".banner:not([hidden])");
  await window.write("three");
  await window.page.fill("#message", "a draft");
  await until(async () => (await window.texts()).length === 3, "the message in the outbox");
  await window.waitForDraft("a draft");
  await window.page.reload();
  await window.page.waitForSelector(".entry.waiting");
  assert.deepEqual(await window.texts(), ["one", "two", "three"]);
  assert.equal(await window.page.inputValue("#message"), "a draft");
  await server.start();
  await window.page.waitForSelector(".entry.stored", { timeout: 120_000 });
  const listener = server.listen("bob");
  await until(() => listener.messages.some(({ message }) => message === "three"), "the message");
  assert.deepEqual(await window.texts(), ["one", "two", "three"]);
  await window.close();
});

test("reactions that came while one was away are all there, and an edit beside them", async () => {
  const message = { action: "msg", to: "#dev" };
  for (const name of ["alice", "carol", "bob"]) await server.talkAs(name, { action: "join", room: "#dev" });
  await server.talkAs("bob", { ...message, id: "b1", message: "frist" });
  await server.talkAs("alice", { ...message, id: "a1", message: "👍", about: 1, what: "react" });
  await server.talkAs("carol", { ...message, id: "c1", message: "👍", about: 1, what: "react" });
  await server.talkAs("bob", { ...message, id: "b2", message: "first", about: 1, what: "edit" });
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.open("#dev");
  await window.page.waitForSelector(".entry:has-text('first') .reaction:has-text('2')");
  await window.close();
});

test("a second tab can take the connection, and the first gives way", async () => {
  const window = await Window.open(browser, server);
  await window.enter("carol");
  const first = window.page;
  const second = await window.openTab();
  await second.waitForSelector("text=another tab");
  await second.click(".card .primary");
  await second.waitForSelector(".phase.is-online");
  await first.waitForSelector("text=another tab");
  await first.click(".card .primary");
  await first.waitForSelector(".phase.is-online");
  await second.waitForSelector("text=another tab");
  await window.close();
});

test("a log out deletes what is kept, and the device", async () => {
  const window = await Window.open(browser, server);
  await window.enter("bob");
  await window.page.click("[aria-label=Settings]");
  await window.page.click("dialog >> text=Log out");
  await window.page.click("dialog.small .danger");
  await window.page.waitForSelector(".login .card");
  const databases = await window.page.evaluate(async () => {
    const opened = await new Promise((resolve) => {
      const request = indexedDB.open("gmessenger");
      request.onsuccess = () => resolve(request.result);
    });
    const all = await new Promise((resolve) => {
      const request = opened.transaction("facts").objectStore("facts").getAll();
      request.onsuccess = () => resolve(request.result);
    });
    return all;
  });
  assert.deepEqual(databases, []);
  const [answer] = await server.talkAs("bob", { action: "devices" });
  assert.ok(!answer.devices.some(({ device }) => device.startsWith("web-")));
  await window.close();
});

test("a newer version is offered, and taken when one says so", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  const { page } = window;
  await page.evaluate(() => navigator.serviceWorker.ready);
  const version = () => page.getAttribute("link[rel=stylesheet]", "href");
  const old = await version();
  await server.kill();
  server.makeRelease();
  await server.start();
  await page.reload();
  await page.waitForSelector(".toast:has-text('new version')");
  assert.equal(await version(), old);
  await page.click(".toast >> text=Reload");
  await until(async () => (await version().catch(() => old)) !== old, "the new version");
  await page.waitForSelector(".phase.is-online");
  await window.close();
});

test("the page can be installed", async () => {
  const window = await Window.open(browser, server);
  const manifest = await (await window.page.request.get(`${server.url}manifest.webmanifest`)).json();
  assert.equal(manifest.display, "standalone");
  for (const { src, sizes } of manifest.icons) {
    const icon = await window.page.request.get(new URL(src, server.url).href);
    assert.equal(icon.status(), 200);
    assert.ok(sizes);
  }
  await window.close();
});
