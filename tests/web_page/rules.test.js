import assert from "node:assert/strict";
import { test } from "node:test";

import { changedRules, rulesOf } from "../../gmessenger/web/rule_fields.js";

/** What a form has of a room with the usual rules. */
const FORM = {
  invited: "false",
  hidden: "false",
  moderated: "false",
  outside: "false",
  topic: "all",
  guests: "true",
  history: "joined",
  most: "0",
  key: "",
};

test("a new room has all rules that the form says, whatever the server's usual ones are", () => {
  const rules = { invited: false, hidden: false, moderated: false, outside: false, topic: "all", guests: true };
  assert.deepEqual(rulesOf(FORM), { ...rules, history: "joined", most: 0, key: "" });
});

test("only what was changed is set; the server leaves out rules that few rooms have", () => {
  assert.deepEqual(changedRules(FORM, { invited: false, guests: true }), {});
  assert.deepEqual(changedRules({ ...FORM, outside: "true", key: "sesame" }, {}), { outside: true, key: "sesame" });
  assert.deepEqual(changedRules({ ...FORM, most: "20" }, { key: "sesame" }), { most: 20, key: "" });
});

test("a key that one is not told stays as it is, unless another is written or it is removed", () => {
  assert.deepEqual(changedRules(FORM, { key: true }), {});
  assert.deepEqual(changedRules({ ...FORM, key: "other" }, { key: true }), { key: "other" });
  assert.deepEqual(changedRules({ ...FORM, keyless: "on" }, { key: true }), { key: "" });
});
