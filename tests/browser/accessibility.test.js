/** Every screen in both languages and themes, on a phone and a desktop: axe finds nothing, nothing is cut off. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PASSWORD, Window, setUp, until } from "./support.js";

const SCREENS = [
  ["en", "light", 1280],
  ["ru", "dark", 1280],
  ["ru", "light", 320],
  ["en", "dark", 320],
];
const { browser, server } = setUp({
  accounts: ["alice", "bob", "Борис"],
  options: ["--greeting", "Welcome! Добро пожаловать!"],
  prepare: converse,
});

async function converse() {
  await server.talkAs(
    "alice",
    { action: "join", room: "#dev" },
    { action: "topic", room: "#dev", topic: "Releases, and what stands in their way" },
  );
  await server.talkAs("bob", { action: "join", room: "#dev" });
  await server.talkAs(
    "Борис",
    { action: "join", room: "#dev" },
    { action: "status", status: "away", note: "вернусь в три" },
    { action: "msg", to: "#dev", message: "Доброе утро! Сборка зелёная: https://ci.example.org/run/4711" },
    { action: "msg", to: "alice", message: "Привет, Алиса! Посмотришь `make browser`?" },
  );
  await server.talkAs(
    "bob",
    { action: "msg", to: "#dev", message: "yes, at two", about: 1 },
    { action: "msg", to: "#dev", message: "```\nmake test\n12 passed\n```\nalice, have a look" },
    { action: "msg", to: "#dev", message: "👍", about: 1, what: "react" },
    { action: "msg", to: "#dev", message: "is on it", kind: "action" },
    { action: "join", room: "#quiet" },
    { action: "invite", room: "#quiet", user: "alice" },
  );
  await server.talkAs(
    "alice",
    { action: "msg", to: "#dev", message: "on it" },
    { action: "msg", to: "bob", message: "lunch?" },
  );
}

for (const [language, theme, width] of SCREENS) {
  test(`${language}, ${theme}, ${width} px`, async () => {
    const isPhone = width < 500;
    const options = {
      locale: language === "ru" ? "ru-RU" : "en-GB",
      colorScheme: theme,
      width,
      height: isPhone ? 640 : 800,
    };
    const window = await Window.open(browser, server, { ...options, hasTouch: isPhone, isMobile: isPhone });
    const found = [];
    const check = async (name) => {
      await window.page.evaluate(() => Promise.all(document.getAnimations().map((each) => each.finished)));
      await window.screenshot(`${language}-${theme}-${width}-${name}`);
      for (const violation of await window.violations()) found.push(`${name}: ${violation}`);
      const isWide = await window.page.evaluate(() =>
        [...document.querySelectorAll("body, #app, dialog, .dialog-body, .log")].some(
          (each) => each.scrollWidth > each.clientWidth + 1,
        ),
      );
      if (isWide) found.push(`${name} scrolls sideways`);
    };
    const open = async (selector, name, ready) => {
      await window.page.click(selector);
      await window.page.waitForSelector(ready);
      await check(name);
      await window.page.keyboard.press("Escape");
      await window.page.waitForSelector("dialog", { state: "detached" });
    };
    await check("login");
    await window.page.click("[data-mode=register]");
    await check("register");
    await window.page.click("[data-mode=login]");
    await window.page.fill("[name=name]", "alice");
    await window.page.fill("[name=password]", PASSWORD);
    await window.page.click(".form .primary");
    await window.page.waitForSelector(".conversation-item:has-text('#dev')");
    await until(
      async () => !(await window.page.locator("text=/no messages yet|сообщений ещё нет/").count()),
      "the previews",
    );
    await check("list");
    await open(".bar.bottom button:nth-child(1)", "start", "dialog .person, dialog li.hint");
    await open(".bar.bottom button:nth-child(2)", "settings", "dialog section");
    await open(".bar.bottom button:nth-child(3)", "help", "dialog kbd");
    await open(".find", "find", "dialog .result");
    await window.open("#dev");
    await window.page.waitForSelector(".reaction");
    await check("room");
    await open(".conversation > .bar button:last-child", "room-details", "dialog .person");
    await window.page.locator(".entry:has-text('11'), .entry").first().hover();
    await open(".entry .tools button:last-child", "menu", "dialog .menu");
    assert.equal(await window.page.evaluate(() => document.documentElement.lang), language);
    assert.deepEqual(found, []);
    await window.close();
  });
}

test("with the keyboard alone: log in, find a room, write, edit, read the help, leave", async () => {
  const window = await Window.open(browser, server);
  const { keyboard } = window.page;
  await keyboard.type("alice");
  await keyboard.press("Tab");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await window.page.waitForSelector(".phase.is-online");
  await keyboard.press("Control+K");
  await window.page.waitForSelector("dialog input");
  await keyboard.type("#dev");
  await keyboard.press("ArrowDown");
  await keyboard.press("Enter");
  await window.page.waitForSelector(".title h2:has-text('#dev')");
  await keyboard.type("by keyboard");
  await keyboard.press("Enter");
  await window.page.waitForSelector(".entry.stored:has-text('by keyboard')");
  await keyboard.press("ArrowUp");
  await keyboard.type(" alone");
  await keyboard.press("Enter");
  await window.page.waitForSelector(".entry:has-text('by keyboard alone'):has-text('edited')");
  await keyboard.press("Alt+ArrowDown");
  await until(async () => (await window.page.textContent(".title h2")) !== "#dev", "another conversation");
  await keyboard.press("Alt+1");
  await window.page.waitForSelector(".title h2:has-text('#dev')");
  await keyboard.press("Tab");
  await keyboard.press("?");
  await window.page.waitForSelector("dialog kbd");
  await keyboard.press("Escape");
  await window.page.waitForSelector("dialog", { state: "detached" });
  assert.notEqual(await window.page.evaluate(() => document.activeElement), "BODY");
  await window.close();
});

test("keys that follow Ctrl+K at once are for the search", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  const focused = await window.page.evaluate(() => {
    const key = { key: "k", code: "KeyK", ctrlKey: true, bubbles: true };
    document.body.dispatchEvent(new KeyboardEvent("keydown", key));
    return document.activeElement.getAttribute("role");
  });
  assert.equal(focused, "searchbox");
  await window.close();
});

test("a reader is told of new messages, and only of these", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.open("bob");
  await server.say("bob", "alice", "are you there?");
  await window.page.waitForSelector("#announcer:has-text('bob: are you there?')", { state: "attached" });
  assert.equal(await window.page.getAttribute(".log", "aria-live"), null);
  await window.close();
});
