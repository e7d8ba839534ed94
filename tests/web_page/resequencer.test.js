import assert from "node:assert/strict";
import { test } from "node:test";

import { Resequencer } from "../../gmessenger/web/resequencer.js";

const message = (seq, more = {}) => ({ from: "bob", to: "alice", message: `m${seq}`, seq, ...more });

function make({ history = [], refusals = [], isQueued = () => false, isAccount = true } = {}) {
  const seen = { delivered: [], reacked: [], lost: [], requests: [], scheduled: [] };
  const resequencer = new Resequencer({
    ownName: "alice",
    deliver: ({ seq }) => seen.delivered.push(seq),
    reack: (name) => seen.reacked.push(name),
    lose: (name, count) => seen.lost.push([name, count]),
    isQueued,
    schedule: (seconds, call) => seen.scheduled.push(call),
    request: async (frame) => {
      seen.requests.push(frame);
      if (refusals.length) throw refusals.shift();
      const messages = history.filter(({ seq }) => seq > frame.after).slice(0, frame.limit);
      return { messages, more: history.filter(({ seq }) => seq > frame.after).length > messages.length };
    },
  });
  resequencer.reset("account s1", isAccount);
  return { resequencer, seen };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("messages in order are passed on once", () => {
  const { resequencer, seen } = make();
  for (const seq of [4, 5, 5, 6, 4]) resequencer.feed(message(seq));
  assert.deepEqual(seen.delivered, [4, 5, 6]);
  assert.deepEqual(seen.reacked, ["bob", "bob"]);
});

test("a gap is filled from the history before what follows", async () => {
  const { resequencer, seen } = make({ history: [message(2), message(3), message(4), message(5)] });
  for (const seq of [1, 4, 5]) resequencer.feed(message(seq));
  assert.deepEqual(seen.delivered, [1]);
  await settle();
  assert.deepEqual(seen.delivered, [1, 2, 3, 4, 5]);
  assert.deepEqual(seen.requests[0], { action: "history", with: "bob", after: 1, limit: 2, amendments: true });
});

test("what is sent meanwhile waits, and what was sent twice is passed on once", async () => {
  const { resequencer, seen } = make({ history: [message(2), message(3), message(4)] });
  for (const seq of [1, 3, 4, 3]) resequencer.feed(message(seq));
  await settle();
  resequencer.feed(message(5));
  assert.deepEqual(seen.delivered, [1, 2, 3, 4, 5]);
});

test("own messages are no gap", () => {
  const { resequencer, seen } = make();
  resequencer.feed(message(1));
  resequencer.onSent("bob", 3);
  resequencer.onSent("bob", 2);
  resequencer.feed(message(4));
  assert.deepEqual(seen.delivered, [1, 4]);
  assert.equal(seen.requests.length, 0);
});

test("an own message that was sent first is the beginning", () => {
  const { resequencer, seen } = make();
  resequencer.onSent("bob", 7);
  resequencer.feed(message(8));
  assert.deepEqual(seen.delivered, [8]);
  assert.equal(resequencer.lastOf("BOB"), 8);
});

test("what one may not read is no gap", async () => {
  const history = [message(9)];
  const { resequencer, seen } = make({ history });
  resequencer.feed(message(1));
  resequencer.catchUp("bob", 1, []);
  resequencer._positions.get("bob").setAbsences([[2, 8]]);
  resequencer.feed(message(9));
  assert.deepEqual(seen.delivered, [1, 9]);
});

test("a gap that the history cannot fill is reported, and what follows passed on", async () => {
  const { resequencer, seen } = make({ history: [] });
  for (const seq of [1, 4]) resequencer.feed(message(seq));
  await settle();
  assert.deepEqual(seen.delivered, [1, 4]);
  assert.deepEqual(seen.lost, [["bob", 2]]);
});

test("a refusal that ends soon is waited for", async () => {
  const refusals = [{ code: "too_fast", isRetryable: true, retry_after: 1 }];
  const { resequencer, seen } = make({ history: [message(2), message(3)], refusals });
  for (const seq of [1, 3]) resequencer.feed(message(seq));
  await settle();
  assert.deepEqual(seen.delivered, [1]);
  seen.scheduled[0]();
  await settle();
  assert.deepEqual(seen.delivered, [1, 2, 3]);
});

test("a gap of a guest is reported: guests have no history", () => {
  const { resequencer, seen } = make({ isAccount: false });
  for (const seq of [1, 4]) resequencer.feed(message(seq));
  assert.deepEqual(seen.delivered, [1, 4]);
  assert.deepEqual(seen.lost, [["bob", 2]]);
  assert.equal(seen.requests.length, 0);
});

test("a new connection drops what waited, as the server sends it again", async () => {
  const { resequencer, seen } = make({ refusals: [{ code: "disconnected" }] });
  for (const seq of [1, 3]) resequencer.feed(message(seq));
  await settle();
  assert.equal(resequencer.reset("account s1", true), false);
  for (const seq of [2, 3]) resequencer.feed(message(seq));
  assert.deepEqual(seen.delivered, [1, 2, 3]);
});

test("another store makes seqs meaningless", () => {
  const { resequencer, seen } = make();
  resequencer.feed(message(100));
  assert.equal(resequencer.reset("account s2", true), true);
  resequencer.feed(message(1));
  assert.deepEqual(seen.delivered, [100, 1]);
});

test("an own message in a gap that waits for its answer is left to that", async () => {
  const own = message(2, { from: "alice", to: "bob" });
  const { resequencer, seen } = make({ history: [own, message(3)], isQueued: ({ seq }) => seq === 2 });
  for (const seq of [1, 3]) resequencer.feed(message(seq));
  await settle();
  assert.deepEqual(seen.delivered, [1, 3]);
});

test("a hole that the list of conversations shows is filled, unless it is large", async () => {
  const history = [2, 3, 4].map((seq) => message(seq));
  const { resequencer, seen } = make({ history });
  resequencer.feed(message(1));
  assert.equal(resequencer.catchUp("bob", 4), true);
  await settle();
  assert.deepEqual(seen.delivered, [1, 2, 3, 4]);
  assert.equal(resequencer.catchUp("bob", 5000), false);
  assert.equal(resequencer.lastOf("bob"), 5000);
});

test("random orders, repetitions and losses: each once, in order, nothing lost", async () => {
  let random = 42;
  const next = (below) => (random = (random * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 200; round += 1) {
    const total = 1 + next(30);
    const history = Array.from({ length: total }, (_, index) => message(index + 1));
    const { resequencer, seen } = make({ history });
    resequencer.feed(message(1));
    for (let sent = 0; sent < 40; sent += 1) {
      resequencer.feed(message(1 + next(total)));
      if (next(4) === 0) await settle();
    }
    resequencer.feed(message(total));
    await settle();
    assert.deepEqual(
      seen.delivered,
      history.map(({ seq }) => seq),
    );
  }
});
