import assert from "node:assert/strict";
import { test } from "node:test";

import { DurableStorage, FakeServer, logIn, makeClient, until } from "./support.js";

const msg = (seq, more = {}) => ({
  action: "msg",
  from: "bob",
  to: "alice",
  message: `m${seq}`,
  time: 1000 + seq,
  seq,
  ...more,
});

async function opened(made, name = "bob") {
  const conversation = made.client.state.open(name);
  made.client.state.current = conversation;
  await made.client.loader.open(conversation);
  return conversation;
}

test("a message is kept before it is sent, and dropped when it is answered", async () => {
  const server = new FakeServer();
  const made = makeClient(server);
  await logIn(made);
  let wasKept = false;
  server.refuse = (frame) => {
    if (frame.action === "msg") wasKept = made.storage.outbox.has(frame.id);
    return null;
  };
  await made.client.send({ to: "bob", text: "hi" });
  await made.client.persistence.flush();
  assert.ok(wasKept);
  await until(() => made.storage.outbox.size === 0);
  assert.equal(server.conversations.get("bob").length, 1);
  made.client.connection.stop();
});

test("50 messages over a connection that is cut again and again: each once, in order", async () => {
  const server = new FakeServer();
  const made = makeClient(server);
  await logIn(made);
  const conversation = await opened(made);
  const texts = Array.from({ length: 50 }, (_, index) => `line ${index}`);
  for (const [index, text] of texts.entries()) {
    server.losesResponses = index % 7 === 3;
    await made.client.send({ to: "bob", text });
    if (index % 7 === 3) {
      server.cut();
      server.losesResponses = false;
      made.client.connection.check();
      await until(() => made.client.connection.isOnline);
    }
  }
  await until(() => made.client.outbox.size === 0);
  assert.deepEqual(
    server.conversations.get("bob").map(({ message }) => message),
    texts,
  );
  assert.deepEqual(
    made.client.shownEntries(conversation).map(({ text }) => text),
    texts,
  );
  made.client.connection.stop();
});

test("what was not answered is sent by the next page with the same id", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const first = makeClient(server, storage);
  await logIn(first);
  server.losesResponses = true;
  await first.client.send({ to: "bob", text: "one" });
  first.client.connection.stop();
  server.losesResponses = false;
  const second = makeClient(server, storage);
  await logIn(second);
  const conversation = await opened(second);
  await until(() => second.client.outbox.size === 0 && conversation.entries.length === 1);
  assert.equal(server.conversations.get("bob").length, 1);
  assert.deepEqual(
    second.client.shownEntries(conversation).map(({ text, state }) => [text, state]),
    [["one", "stored"]],
  );
  second.client.connection.stop();
});

test("a message is acknowledged once it is kept", async () => {
  const server = new FakeServer();
  const made = makeClient(server);
  await logIn(made);
  let written = null;
  server._ack = (frame) => (written ??= [frame.seq, made.storage.steps.flatMap(({ entries }) => entries).length]);
  for (const seq of [1, 2, 3]) server.socket.push(msg(seq));
  await until(() => written);
  assert.ok(written[1] >= written[0]);
  await until(() => made.client._acked.get("bob") === 3);
  assert.deepEqual(made.seen.messages, ["m1", "m2", "m3"]);
  made.client.connection.stop();
});

test("what the next page is sent again is shown once, and acknowledged again", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const first = makeClient(server, storage);
  await logIn(first);
  for (const seq of [1, 2, 3]) server.store_("bob", { from: "bob", to: "alice", message: `m${seq}` });
  for (const seq of [1, 2, 3]) server.socket.push(msg(seq));
  await until(() => server.acked.get("bob") === 3);
  first.client.connection.stop();
  server.acked.clear();
  server.catchUp = [msg(2), msg(3), msg(4)];
  server.store_("bob", { from: "bob", to: "alice", message: "m4" });
  const second = makeClient(server, storage);
  await logIn(second);
  const conversation = await opened(second);
  await until(() => server.acked.get("bob") === 4 && conversation.entries.length === 4);
  assert.deepEqual(second.seen.messages, ["m4"]);
  assert.deepEqual(
    conversation.entries.map(({ text }) => text),
    ["m1", "m2", "m3", "m4"],
  );
  second.client.connection.stop();
});

test("what is kept is shown without a server", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const first = makeClient(server, storage);
  await logIn(first);
  server.socket.push(msg(1), msg(2));
  await until(() => server.acked.get("bob") === 2);
  first.client.connection.stop();
  server.isUp = false;
  const second = makeClient(server, storage);
  await second.client.load();
  const conversation = await opened(second);
  assert.deepEqual(
    conversation.entries.map(({ text }) => text),
    ["m1", "m2"],
  );
  assert.equal(second.client.state.listed()[0].unread, 2);
});

test("whether a person is here is asked when one opens the conversation, and not known before", async () => {
  const server = new FakeServer();
  const page = makeClient(server, new DurableStorage());
  await logIn(page);
  server.socket.push(msg(1));
  await until(() => server.acked.get("bob") === 1);
  assert.equal(page.client.state.statusOf("bob").status, "");
  await opened(page);
  await until(() => page.client.state.statusOf("bob").status === "online");
  page.client.connection.stop();
});

test("another store: what was kept is dropped, and what is in the outbox is not", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const first = makeClient(server, storage);
  await logIn(first);
  server.socket.push(msg(7));
  await until(() => server.acked.get("bob") === 7);
  first.client.connection.stop();
  await first.client.send({ to: "bob", text: "offline" });
  Object.assign(server, { store: "s2", conversations: new Map() });
  const second = makeClient(server, storage);
  await logIn(second);
  const conversation = await opened(second);
  await until(() => second.client.outbox.size === 0 && conversation.entries.length === 1);
  assert.deepEqual(
    conversation.entries.map(({ text }) => text),
    ["offline"],
  );
  server.socket.push(msg(2));
  await until(() => second.seen.messages.includes("m2"));
  second.client.connection.stop();
});

test("an edit is shown at once, and what the server refuses is taken back", async () => {
  const server = new FakeServer();
  const made = makeClient(server);
  await logIn(made);
  const conversation = await opened(made);
  await made.client.send({ to: "bob", text: "teh" });
  await until(() => made.client.outbox.size === 0);
  let refuse = null;
  server._msg = (frame, respond) => (refuse = () => respond({ response: 403, code: "too_late" }));
  await made.client.send({ to: "bob", text: "the", about: 1, what: "edit" });
  assert.equal(made.client.shownEntries(conversation)[0].text, "the");
  refuse();
  await until(() => made.seen.refused.length);
  assert.equal(made.client.shownEntries(conversation)[0].text, "teh");
  made.client.connection.stop();
});

test("a session that the server ends for good is not begun again", async () => {
  const server = new FakeServer();
  const made = makeClient(server);
  await logIn(made);
  server.socket.push({ response: 409, code: "replaced", error: "…" });
  await until(() => made.client.connection.phase === "stopped");
  made.client.connection.check();
  assert.equal(server.sockets.length, 1);
});

test("who logs in under another name finds nothing of who was here", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const made = makeClient(server, storage);
  await logIn(made);
  server.socket.push(msg(1));
  await until(() => server.acked.get("bob") === 1);
  await made.client.enter({ name: "carol", password: "secret" });
  await until(() => made.client.connection.isOnline && made.client.state.ownName === "carol");
  assert.deepEqual(await storage.latest("bob", 10), []);
  made.client.connection.stop();
});
