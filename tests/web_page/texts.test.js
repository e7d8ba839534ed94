/** Names and texts: the same as what the server, and the terminal client, make of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { mentionFinder } from "../../gmessenger/web/entries.js";
import { completeMessage, conversationOf, fold } from "../../gmessenger/web/names.js";
import { sanitizeLines } from "../../gmessenger/web/sanitize.js";
import { excerpt, textParts } from "../../gmessenger/web/text_view.js";

const cases = process.env.TEXT_CASES
  ? JSON.parse(readFileSync(process.env.TEXT_CASES, "utf8"))
  : { names: [], texts: [] };

test("names are folded as the server folds them", () => {
  const differing = cases.names.filter(([name, folded]) => fold(name) !== folded);
  assert.deepEqual(differing, []);
  assert.equal(fold("Straße"), "strasse");
  assert.equal(fold("ΝΊΚΟΣ"), fold("νίκος"));
});

test("what would hide or steer is made visible as in a terminal", () => {
  const differing = cases.texts.filter(([text, sanitized]) => sanitizeLines(text) !== sanitized);
  assert.deepEqual(differing, []);
  assert.equal(sanitizeLines("a\u202eb\u0007\r\n\tc\u200b"), "a<202e>b^G\n    c");
});

test("bold and colours of IRC clients are left out, and what they say is not", () => {
  const written = "a \x02bold\x02 \x0304,12red\x03 and \x04ff00aablue\x0f \x1dword\x1d 12";
  assert.equal(excerpt(written), "a bold red and blue word 12");
  assert.deepEqual(textParts("\x0312,3\x02x\x02\x07"), ["x^G"]);
});

test("the conversation of a message", () => {
  assert.equal(conversationOf({ from: "bob", to: "alice" }, "Alice"), "bob");
  assert.equal(conversationOf({ from: "ALICE", to: "bob" }, "alice"), "bob");
  assert.equal(conversationOf({ from: "bob", to: "#dev" }, "alice"), "#dev");
  assert.equal(conversationOf({ from: "bob", to: "alice", broadcast: true }, "alice"), "#all");
});

test("an erased message of the history has the conversation that was asked for", () => {
  for (const name of ["bob", "#dev"]) {
    assert.equal(conversationOf(completeMessage({ seq: 1, erased: true }, name, "alice"), "alice"), name);
  }
});

test("mentions are whole words, with or without an @", () => {
  const isMention = mentionFinder("hank", ["deploy", "c++"]);
  for (const text of ["hank", "Hi @Hank!", "(hank)", "a deploy.", "c++ is"]) assert.ok(isMention(text), text);
  for (const text of ["hanks", "thank", "ханк hankу", "deployed"]) assert.ok(!isMention(text), text);
});
