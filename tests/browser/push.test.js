/** Push messages, as a push service delivers them: Chromium's own tools hand them to the page's service worker. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const { browser, server } = setUp({
  accounts: ["alice", "bob", "carol", "dale"],
  options: ["--push", "yes", "--push-contact", "mailto:admin@chat.example.org"],
});

/** Open a page, with notifications allowed; `deliver(text)` has its worker woken, `shown()` returns notifications. */
async function openAs(name, options = {}) {
  const window = await Window.open(browser, server, options);
  const { page, context } = window;
  const origin = server.url.slice(0, -1);
  await context.grantPermissions(["notifications"], { origin });
  await window.enter(name);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const tools = await context.newCDPSession(page);
  const registrations = [];
  tools.on("ServiceWorker.workerRegistrationUpdated", (event) => registrations.push(...event.registrations));
  await tools.send("ServiceWorker.enable");
  await until(() => registrations.length, "the worker's registration");
  const { registrationId } = registrations[0];
  const deliver = (data) => tools.send("ServiceWorker.deliverPushMessage", { origin, registrationId, data });
  const shown = () =>
    page.evaluate(async () => {
      const all = await (await navigator.serviceWorker.ready).getNotifications();
      return all.map(({ title, body, tag }) => ({ title, body, tag }));
    });
  return { window, deliver, shown };
}

/** Close a window in which the page has asked for a push service, which a private window does not have. */
async function closePrivate(window) {
  window.harm = window.harm.filter((text) => !text.includes("Push API in incognito mode"));
  await window.close();
}

/** In place of the browser's push service, which headless Chromium has not: what it would give out. */
function fakePushService() {
  const p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
  let subscription = null;
  PushManager.prototype.getSubscription = async () => subscription;
  PushManager.prototype.subscribe = async (options) =>
    (subscription = {
      options,
      toJSON: () => ({ endpoint: "https://fcm.googleapis.com/x", keys: { p256dh, auth: "BTBZMqHH6r4Tts7J_aSIgg" } }),
      unsubscribe: async () => ((subscription = null), localStorage.setItem("unsubscribed", "yes"), true),
    });
}

const push = (fields) => JSON.stringify({ with: "bob", from: "bob", message: "hello", seq: 1, unread: 1, ...fields });

test("each push message shows a notification, one for each conversation, whatever it says", async () => {
  const { window, deliver, shown } = await openAs("alice");
  await deliver(push({}));
  await until(async () => (await shown()).length === 1, "the notification");
  await deliver(push({ message: "again", unread: 3 }));
  await until(async () => (await shown())[0].body === "again (+2)", "the newer one in its place");
  await deliver(push({ with: "#Dev", from: "carol", message: "<b>x</b>\u202Ey" }));
  for (const odd of ["", "no JSON", "null", "[]", '{"with":7}', '{"with":"bob","from":"","message":"x"}']) {
    await deliver(odd);
    await until(async () => (await shown()).length === 3, `a notification for ${odd}`);
  }
  assert.deepEqual(
    (await shown()).sort((one, other) => (one.tag < other.tag ? -1 : 1)),
    [
      { title: "carol in #Dev", body: "<b>x</b>\uFFFDy", tag: "#dev" },
      { title: "bob", body: "again (+2)", tag: "bob" },
      { title: "gmessenger", body: "New messages", tag: "gmessenger" },
    ],
  );
  await window.close();
});

test("a notification that is clicked opens its conversation", async () => {
  const { window, deliver, shown } = await openAs("alice");
  await deliver(push({ with: "carol", from: "carol" }));
  await until(async () => (await shown()).length === 1, "the notification");
  const [worker] = window.context.serviceWorkers();
  await worker.evaluate(async () => {
    const [notification] = await self.registration.getNotifications();
    // It is not the user's click: what only that allows is refused, and the page is told all the same.
    self.addEventListener("unhandledrejection", (event) => event.preventDefault());
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
  });
  await window.page.waitForSelector('.title h2:has-text("carol")');
  assert.deepEqual(await shown(), []);
  await window.close();
});

test("where no page is open the conversation is in the address", async () => {
  const { window } = await openAs("bob");
  const second = await window.openTab(`#open=${encodeURIComponent("carol")}`);
  await second.click(".card .primary");
  await second.waitForSelector('.title h2:has-text("carol")');
  assert.equal(new URL(second.url()).hash, "");
  await window.close();
});

test("the words are those of the page's language", async () => {
  const { window, deliver, shown } = await openAs("carol", { locale: "ru-RU" });
  const { page } = window;
  await page.evaluate(() => localStorage.setItem("gmessenger", JSON.stringify({ notifications: true })));
  await page.reload();
  await page.waitForSelector(".phase.is-online");
  const hasWords = async () => Boolean(await caches.match("/words", { cacheName: "gmessenger push" }));
  await until(() => page.evaluate(hasWords), "the words");
  await deliver("nothing");
  await until(async () => (await shown())[0]?.body === "Новые сообщения", "the notification");
  await closePrivate(window);
});

test("turned on in the settings, the server has the subscription until one logs out", async () => {
  const { window } = await openAs("dale");
  const { page } = window;
  await page.evaluate(fakePushService);
  await page.click("[aria-label=Settings]");
  await page.click("dialog >> text=Turn on");
  await page.waitForSelector("dialog >> text=also while the page is closed");
  assert.deepEqual(await window.violations(), []);
  await window.screenshot("push-settings");
  await page.click("dialog >> text=Log out");
  await page.click("dialog.small .danger");
  await page.waitForSelector(".login .card");
  assert.equal(await page.evaluate(() => localStorage.getItem("unsubscribed")), "yes");
  assert.match(await page.evaluate(() => localStorage.getItem("gmessenger")), /"notifications":false/);
  await window.close();
});

test("the settings say what is possible: this browser has no push service", async () => {
  const { window } = await openAs("alice");
  const { page } = window;
  await page.click("[aria-label=Settings]");
  await page.click("dialog >> text=Turn on");
  await page.waitForSelector("dialog >> text=while the page is open elsewhere");
  await page.waitForSelector("dialog >> text=Turn off");
  await closePrivate(window);
});
