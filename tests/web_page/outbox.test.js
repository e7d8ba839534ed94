import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox, randomId } from "../../gmessenger/web/outbox.js";

const ids = (frames) => frames.map(({ id }) => id);

function make(...messages) {
  const outbox = new Outbox();
  messages.forEach(([id, to = "bob", more = {}]) => outbox.add({ id, to, text: id, ...more }));
  return outbox;
}

test("messages are sent in order, and once", () => {
  const outbox = make(["a"], ["b"], ["c", "dale"]);
  assert.deepEqual(ids(outbox.nextBatch(0)), ["a", "b", "c"]);
  assert.deepEqual(outbox.nextBatch(1), []);
  assert.equal(outbox.onResponse({ id: "a", response: 200 }, 1), "accepted");
  assert.equal(outbox.size, 2);
});

test("at most 64 are in flight", () => {
  const outbox = make(...Array.from({ length: 100 }, (_, index) => [`m${index}`]));
  assert.equal(outbox.nextBatch(0).length, 64);
  outbox.onResponse({ id: "m0", response: 200 }, 1);
  assert.deepEqual(ids(outbox.nextBatch(1)), ["m64"]);
});

test("what is deferred is sent again with its id, before what follows to the same name", () => {
  const outbox = make(["a"], ["b"], ["c", "dale"]);
  outbox.nextBatch(0);
  assert.equal(outbox.onResponse({ id: "a", response: 429, code: "too_fast", retry_after: 5 }, 0), "deferred");
  assert.equal(outbox.onResponse({ id: "b", response: 429, code: "too_fast", retry_after: 5 }, 0), "deferred");
  assert.equal(outbox.onResponse({ id: "c", response: 200 }, 0), "accepted");
  assert.deepEqual(outbox.nextBatch(4), []);
  assert.equal(outbox.nextSendAt(4), 5);
  assert.deepEqual(ids(outbox.nextBatch(6)), ["a"]);
  outbox.onResponse({ id: "a", response: 200 }, 6);
  assert.deepEqual(ids(outbox.nextBatch(7)), ["b"]);
});

test("a refused message stays, and can be sent again behind the others", () => {
  const outbox = make(["a"], ["b"]);
  outbox.nextBatch(0);
  assert.equal(outbox.onResponse({ id: "a", response: 403, code: "muted" }, 0), "refused");
  outbox.onResponse({ id: "b", response: 200 }, 0);
  assert.deepEqual(outbox.nextBatch(1), []);
  assert.equal(outbox.find("a").refusal.code, "muted");
  outbox.retry("a");
  assert.deepEqual(ids(outbox.nextBatch(2)), ["a"]);
});

test("all is sent again after a lost connection; a guest's may arrive twice", () => {
  const outbox = make(["a"], ["b"]);
  outbox.nextBatch(0);
  outbox.requeueAll(true);
  assert.equal(outbox.find("a").isResent, undefined);
  assert.deepEqual(ids(outbox.nextBatch(1)), ["a", "b"]);
  outbox.requeueAll(false);
  assert.equal(outbox.find("a").isResent, true);
});

test("who is not here may be coming back after a reconnection", () => {
  const outbox = make(["a"]);
  outbox.onConnected({}, 100, true);
  outbox.nextBatch(100);
  assert.equal(outbox.onResponse({ id: "a", response: 410, code: "not_here" }, 101), "deferred");
  outbox.nextBatch(140);
  assert.equal(outbox.onResponse({ id: "a", response: 410, code: "not_here" }, 140), "refused");
});

test("the pace is that of the limits; a long text and a large room cost more", () => {
  const outbox = make(...Array.from({ length: 30 }, (_, index) => [`m${index}`]));
  outbox.onConnected({ message_rate: 10, message_burst: 20, message_size: 1024 }, 0, false);
  assert.equal(outbox.nextBatch(0).length, 19);
  assert.ok(outbox.nextSendAt(0) > 0);
  assert.equal(outbox.nextBatch(1).length, 9);
  const long = make(["long", "#dev"], ["next", "#dev"]);
  long.find("long").text = "x".repeat(2048);
  long.countMembers = () => 30;
  long.onConnected({ message_rate: 10, message_burst: 14, message_size: 1024 }, 0, false);
  assert.deepEqual(ids(long.nextBatch(0)), ["long"]);
});

test("what is larger than a frame may be is refused here: the server would close the connection", () => {
  const outbox = make(["a"], ["b"]);
  outbox.find("a").text = "я".repeat(40_000);
  assert.deepEqual(ids(outbox.nextBatch(0)), ["b"]);
  assert.equal(outbox.find("a").refusal.code, "frame_too_long");
});

test("what is behind a file is sent when that is answered; amendments are not behind it", () => {
  const attachment = { name: "graph.png", type: "image/png", size: 3 };
  const about = { about: 1, what: "react" };
  const outbox = make(["a", "bob", { attachment }], ["b"], ["c", "bob", about], ["d", "dale"], ["e", "BOB", { attachment }]);
  assert.deepEqual(ids(outbox.nextBatch(0)), ["c", "d"]);
  assert.equal(outbox.nextUpload().id, "a");
  outbox.find("a").file = outbox.find("e").file = "file1";
  const [frame, ...others] = outbox.nextBatch(1);
  assert.deepEqual([frame.id, frame.file, others], ["a", "file1", []]);
  assert.equal(outbox.onResponse({ id: "a", response: 404, code: "no_such_file" }, 1), "fileless");
  assert.deepEqual(outbox.nextBatch(2), []);
  outbox.find("a").file = "file2";
  assert.deepEqual(ids(outbox.nextBatch(3)), ["a"]);
  outbox.onResponse({ id: "a", response: 200 }, 3);
  assert.deepEqual(ids(outbox.nextBatch(4)), ["b", "e"]);
});

test("an own message of the history is one that waits if it has its file", () => {
  const outbox = make(["a", "bob", { attachment: {}, text: "", file: "file1" }]);
  const message = { to: "bob", message: "graph.png", file: { url: "/file/file1/graph.png" } };
  assert.ok(outbox.isQueued(message));
  assert.ok(!outbox.isQueued({ ...message, file: { url: "/file/file2/graph.png" } }));
  assert.ok(!outbox.isQueued({ to: "bob", message: "" }));
});

test("ids are random and have 22 characters", () => {
  const some = new Set(Array.from({ length: 100 }, () => randomId()));
  assert.equal(some.size, 100);
  for (const id of some) assert.match(id, /^[\w-]{22}$/);
});
