import assert from "node:assert/strict";
import { test } from "node:test";

import { Conversation, MAX_ENTRIES } from "../../gmessenger/web/conversation.js";
import { makeEntry } from "../../gmessenger/web/entries.js";
import { quotedEntry } from "../../gmessenger/web/shown_entries.js";

const entry = (seq, more = {}) =>
  makeEntry({ from: "bob", to: "alice", message: `m${seq}`, seq, time: 1000 + seq, ...more }, "alice");
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => entry(first + index));
const seqs = ({ entries }) => entries.map(({ seq }) => seq);

function opened(entries = [], ends = { atStart: true, atEnd: true }) {
  const conversation = new Conversation("bob");
  conversation.show(entries, ends);
  return conversation;
}

test("entries stand in the order of seqs, and each once", () => {
  const conversation = opened();
  for (const seq of [3, 1, 2, 3]) conversation.insert(entry(seq));
  assert.deepEqual(seqs(conversation), [1, 2, 3]);
});

test("an own entry takes the place of what was sent", () => {
  const conversation = opened();
  conversation.insert(entry(undefined, { from: "alice", id: "x" }));
  conversation.insert(entry(4, { from: "alice", id: "x" }));
  assert.deepEqual(seqs(conversation), [4]);
});

test("a page that overlaps with what came meanwhile keeps the order", () => {
  const conversation = opened([entry(12)], { atStart: false, atEnd: true });
  conversation.addOlder(range(10, 13), true);
  assert.deepEqual(seqs(conversation), [10, 11, 12, 13]);
});

test("what is older than what is loaded is not put at its beginning", () => {
  const conversation = opened(range(50, 60), { atStart: false, atEnd: true });
  assert.equal(conversation.insert(entry(20)), false);
  assert.equal(seqs(conversation)[0], 50);
});

test("too many entries are cut at the far end", () => {
  const conversation = opened(range(101, 100 + MAX_ENTRIES), { atStart: false, atEnd: true });
  conversation.addOlder(range(51, 100), false);
  assert.equal(conversation.entries.length, MAX_ENTRIES);
  assert.equal(seqs(conversation)[0], 51);
  assert.equal(conversation.atEnd, false);
  assert.equal(conversation.insert(entry(501)), false);
  conversation.addNewer(range(451, 500), true);
  assert.equal(seqs(conversation).at(-1), 500);
  assert.equal(conversation.atStart, false);
});

test("unread messages are those of the list, and what comes after it", () => {
  const conversation = new Conversation("bob");
  conversation.applyListing({ seq: 10, first: 1, read: 6, quiet: 1, time: 5 });
  assert.equal(conversation.unread, 3);
  conversation.receive(entry(9)); // it is among those that were listed
  assert.equal(conversation.unread, 3);
  conversation.receive(entry(11));
  conversation.receive(entry(12));
  assert.equal(conversation.unread, 5);
  conversation.markRead(11);
  assert.equal(conversation.unread, 1);
  conversation.receive(entry(13, { from: "alice" })); // on another device: who answers has read
  assert.equal(conversation.unread, 0);
});

test("what was read here, and not told yet, is not unread again", () => {
  const conversation = new Conversation("bob");
  conversation.restore({ read: 10, head: 10, unread: 0 });
  assert.equal(conversation.applyListing({ seq: 10, read: 6 }), true);
  assert.equal(conversation.unread, 0);
  assert.equal(conversation.read, 10);
});

test("amendments change an entry and are none themselves", () => {
  const conversation = opened(range(1, 3));
  conversation.amend({ about: 2, what: "edit", message: "better", from: "bob", time: 9, seq: 4 });
  conversation.amend({ about: 1, what: "react", message: "👍", from: "dale", time: 9, seq: 5 });
  conversation.amend({ about: 1, what: "react", message: "👍", from: "DALE", time: 9, seq: 6 });
  conversation.amend({ about: 1, what: "react", message: "👍", from: "alice", time: 9, seq: 7 });
  conversation.amend({ about: 1, what: "unreact", message: "👍", from: "dale", time: 9, seq: 8 });
  conversation.amend({ about: 3, what: "erase", message: "", from: "bob", by: "server", time: 9, seq: 9 });
  const [first, second, third] = conversation.entries;
  assert.deepEqual(first.reactions, [{ text: "👍", from: ["alice"], n: 1 }]);
  assert.equal(second.text, "better");
  assert.equal(second.edited, 9);
  assert.deepEqual(third.erased, { by: "server", at: 9 });
  assert.equal(third.text, "");
  assert.equal(conversation.head, 9);
});

test("of a blocked user nothing is quoted but the name", () => {
  const state = { isBlocked: (name) => name === "bob" };
  const conversation = new Conversation("#dev");
  conversation.show([entry(1), entry(2, { from: "dale" }), entry(3, { from: "alice" })], { atStart: true, atEnd: true });
  conversation.quoted.set(9, entry(9));
  const quoted = (seq) => quotedEntry(conversation, seq, state);
  assert.deepEqual([1, 2, 3, 9].map((seq) => quoted(seq).text), ["…", "m2", "m3", "…"]);
  assert.equal(quoted(1).sender, "bob");
  assert.equal(quoted(1), quoted(1)); // else it would be drawn anew each time
  assert.equal(quoted(10), undefined);
});

test("own messages up to a seq are delivered", () => {
  const own = (seq) => entry(seq, { from: "alice" });
  const conversation = opened([own(1), entry(2), own(3), own(4)]);
  conversation.markDelivered(3);
  assert.deepEqual(
    conversation.entries.map(({ state }) => state),
    ["delivered", undefined, "delivered", "stored"],
  );
});

test("joins in a row are gathered where that is wanted", () => {
  const conversation = opened();
  conversation.addNotice("join", { name: "bob" }, 1, true);
  conversation.addNotice("leave", { name: "dale" }, 2, true);
  assert.equal(conversation.entries.length, 1);
  assert.equal(conversation.entries[0].gathered.length, 2);
});
