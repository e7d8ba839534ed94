/** Hostile text in every field that others can fill: it is text, it is visible, and the page stays what it is. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const MARKUP = `<img src=x onerror="alert(1)"><script>alert(2)</script><svg onload=alert(3)>`;
const BIDI = "\u202eevil\u2066\u200b";
const HOSTILE = `${MARKUP} ${BIDI} javascript:alert(4) https://example.org/"><b>x</b> \`<i>\` \u0007\u009b31m`;
const { browser, server } = setUp({ accounts: ["alice", "mallory"], options: ["--greeting", MARKUP] });

// Elements that no text may make, and characters that no text may show.
async function checkPage(window) {
  const found = await window.page.evaluate(() => ({
    elements: document.querySelectorAll("img, iframe, b, i, svg:not(.icon), body script").length,
    handlers: [...document.querySelectorAll("*")].filter((each) =>
      each.getAttributeNames().some((name) => name.startsWith("on")),
    ).length,
    links: [...document.querySelectorAll("a")].filter(({ protocol }) => !["http:", "https:"].includes(protocol)).length,
    text:
      document.body.innerText +
      [...document.querySelectorAll("[title], [aria-label]")].map((each) => `${each.title} ${each.ariaLabel}`).join(""),
  }));
  assert.deepEqual([found.elements, found.handlers, found.links], [0, 0, 0]);
  assert.doesNotMatch(found.text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/);
  return found.text;
}

test("messages, topics, notes, reasons, reactions and devices", async () => {
  const printable = `${MARKUP} plain`;
  await server.talkAs("alice", { action: "join", room: "#dev" });
  await server.talkAs(
    "mallory",
    { action: "join", room: "#dev" },
    { action: "topic", room: "#dev", topic: printable },
    { action: "msg", to: "#dev", message: HOSTILE },
    { action: "msg", to: "#dev", message: `${HOSTILE} alice`, kind: "action" },
    { action: "msg", to: "alice", message: HOSTILE },
    { action: "msg", to: "#dev", message: HOSTILE, about: 1 },
    { action: "msg", to: "#dev", message: "<", about: 1, what: "react" },
  );
  await server.stayAs("mallory", { action: "status", status: "<b>busy</b>", note: printable.slice(0, 100) });
  const window = await Window.open(browser, server);
  window.page.on("dialog", (dialog) => window.harm.push(dialog.message()));
  await window.enter("alice");
  await checkPage(window);
  await window.open("#dev");
  await window.page.waitForSelector(".reaction");
  const shown = await checkPage(window);
  assert.ok(shown.includes("<script>alert(2)</script>") && shown.includes("<202e>evil<2066>"));
  await window.page.click(".members .person:has-text('mallory')");
  await window.page.waitForSelector("dialog >> text=busy");
  await checkPage(window);
  await window.page.keyboard.press("Escape");
  await window.page.click("[aria-label='About this conversation']");
  await window.page.waitForSelector("dialog .person");
  await checkPage(window);
  await window.page.keyboard.press("Escape");
  await window.page.keyboard.press("Control+K");
  await window.page.keyboard.type("plain alert");
  await window.page.keyboard.press("Escape");
  await window.page.keyboard.press("Control+K");
  await window.page.keyboard.type("evil");
  await until(async () => (await window.page.locator(".result .preview").count()) > 0, "search results");
  await checkPage(window);
  await window.page.keyboard.press("Escape");
  await window.page.click("[aria-label=Settings]");
  await window.page.waitForSelector("dialog section");
  await checkPage(window);
  await window.page.keyboard.press("Escape");
  await window.close();
});

test("what one writes oneself is as harmless", async () => {
  const window = await Window.open(browser, server);
  window.page.on("dialog", (dialog) => window.harm.push(dialog.message()));
  await window.enter("alice");
  await window.open("mallory");
  await window.page.fill("#message", HOSTILE);
  await window.page.press("#message", "Enter");
  await window.page.waitForSelector(".entry.own.stored, .entry.own.delivered");
  await checkPage(window);
  await window.page.fill("#message", HOSTILE);
  await window.page.click(".conversation-item:has-text('#dev')");
  await window.page.waitForSelector(".draft");
  await checkPage(window);
  await window.close();
});
