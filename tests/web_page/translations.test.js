import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, test } from "node:test";

import {
  _,
  chooseLanguage,
  errorText,
  ngettext,
  phrase,
  setLanguage,
} from "../../gmessenger/web/translations.js";
import { greetingText } from "../../gmessenger/web/greeting.js";

const russian = JSON.parse(readFileSync(new URL("../../gmessenger/web/words/ru.json", import.meta.url), "utf8"));
const count = (number) => ngettext("{count} member", "{count} members", number);

afterEach(() => setLanguage("en"));

test("the first language that there is", () => {
  assert.equal(chooseLanguage(["de-AT", "ru-RU", "en"]), "ru");
  assert.equal(chooseLanguage(["en-GB", "ru"]), "en");
  assert.equal(chooseLanguage(["de"]), "en");
});

test("plural forms", () => {
  assert.deepEqual([0, 1, 2].map(count), ["0 members", "1 member", "2 members"]);
  setLanguage("ru", russian);
  const forms = { 0: "участников", 1: "участник", 3: "участника", 5: "участников", 11: "участников", 21: "участник" };
  for (const [number, form] of Object.entries(forms)) assert.equal(count(Number(number)), `${number} ${form}`);
});

test("values are filled in as they are", () => {
  assert.equal(_("Reply to {name}", { name: "{x} $& bob" }), "Reply to {x} $& bob");
  assert.deepEqual(phrase("{name} has joined", { name: "{name}" }).join(""), "{name} has joined");
});

test("refusals are said by their code, with limits and delays", () => {
  const known = { code: "muted", error: "An operator has muted you." };
  assert.equal(errorText(known), "An operator has muted you.");
  assert.equal(errorText({ code: "too_long", error: "…", limit: 10 }), "A message has at most 10 characters.");
  assert.equal(errorText({ code: "of_the_future", error: "Something new." }), "Something new.");
  setLanguage("ru", russian);
  assert.equal(errorText(known), russian.errors.muted);
  assert.match(errorText({ code: "too_fast", error: "…", retry_after: 2.2 }), /3 секунды/);
  assert.match(errorText({ code: "bad_request", error: "A status is 1." }), /A status is 1\.$/);
  assert.equal(errorText({ code: "of_the_future", error: "Something new." }), "Something new.");
});

test("the server's own lines of the greeting are translated, and its owner's are not", () => {
  setLanguage("ru", russian);
  const days = "Messages of accounts and rooms are kept for 30 days, messages between guests not at all.";
  assert.match(greetingText(days), /30 дней/);
  assert.equal(greetingText("Welcome!"), "Welcome!");
});
