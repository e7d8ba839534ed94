import assert from "node:assert/strict";
import { test } from "node:test";

import { headersOf, refusalOf } from "../../gmessenger/web/uploads.js";
import { DurableStorage, FakeServer, logIn, makeClient, until } from "./support.js";

let count = 0;

/** Return a file of a draft. */
function makeFile(name = "graph.png") {
  const content = new Blob([`content of ${name}`]);
  return { id: `draft${(count += 1)}`, info: { name, type: "image/png", size: content.size }, content };
}

async function connected(options) {
  const server = new FakeServer(options);
  const made = makeClient(server);
  await logIn(made);
  return { server, ...made };
}

const textsTo = (server, name) => (server.conversations.get(name) ?? []).map(({ message }) => message);
const queued = (client) => [...client.outbox];

test("a file is uploaded, then the message names it, and its entry has it at once", async () => {
  const { server, client, seen } = await connected();
  const conversation = client.state.open("bob");
  client.state.current = conversation;
  await client.loader.open(conversation);
  await client.send({ to: "bob", text: "", file: makeFile() });
  await until(() => client.outbox.size === 0);
  const [upload] = server.uploads;
  assert.equal(await upload.content.text(), "content of graph.png");
  assert.equal(upload.headers.Authorization, "Bearer token");
  assert.equal(upload.headers["Content-Type"], "image/png");
  const [entry] = client.shownEntries(conversation);
  assert.deepEqual([entry.file.url, entry.text, entry.state], ["/file/file1/name", "name", "stored"]);
  assert.deepEqual(seen.sent, ["/file/file1/name"]);
  client.connection.stop();
});

test("what is written after a file is not sent before it, but to others, and amendments", async () => {
  const { server, client } = await connected();
  server.onUpload = () => "later";
  await client.send({ to: "bob", text: "the graph", file: makeFile() });
  await client.send({ to: "bob", text: "after it" });
  await client.send({ to: "BOB", text: "+1", about: 1, what: "react" });
  await client.send({ to: "carol", text: "hello" });
  await until(() => textsTo(server, "carol").length && textsTo(server, "BOB").length && server.uploads.length);
  assert.deepEqual(textsTo(server, "bob"), []);
  server.uploads[0].keep();
  await until(() => client.outbox.size === 0);
  assert.deepEqual(textsTo(server, "bob"), ["the graph", "after it"]);
  client.connection.stop();
});

test("several files go one after the other, and in order", async () => {
  const { server, client } = await connected();
  server.onUpload = () => "later";
  const files = ["1.png", "2.png", "3.png"].map(makeFile);
  await Promise.all(files.map((file, index) => client.send({ to: "bob", text: `t${index}`, file })));
  for (const number of [1, 2, 3]) {
    await until(() => server.uploads.length === number);
    server.uploads[number - 1].onProgress(0.5);
    server.uploads[number - 1].keep();
  }
  await until(() => client.outbox.size === 0);
  assert.deepEqual(textsTo(server, "bob"), ["t0", "t1", "t2"]);
  client.connection.stop();
});

test("a file is kept before it is uploaded, and its id before the message is sent", async () => {
  const { server, client, storage } = await connected();
  const kept = [];
  const note = () => kept.push([...storage.outbox.values()].map(({ content, file }) => [content?.size, file]));
  server.onUpload = note;
  server.refuse = (frame) => {
    if (frame.action === "msg") note();
    return null;
  };
  await client.send({ to: "bob", text: "", file: makeFile() });
  await until(() => client.outbox.size === 0);
  assert.deepEqual(kept, [[[20, undefined]], [[20, "file1"]]]);
  client.connection.stop();
});

test("the next page uploads what was not, and does not upload again what was", async () => {
  const server = new FakeServer();
  const storage = new DurableStorage();
  const first = makeClient(server, storage);
  await logIn(first);
  server.losesResponses = true;
  await first.client.send({ to: "bob", text: "one", file: makeFile("1.png") });
  await until(() => textsTo(server, "bob").length);
  server.onUpload = () => "later";
  await first.client.send({ to: "bob", text: "two", file: makeFile("2.png") });
  await until(() => first.client.connection.phase === "waiting");
  first.client.connection.stop();
  Object.assign(server, { losesResponses: false, onUpload: () => null });
  const second = makeClient(server, storage);
  await logIn(second);
  await until(() => second.client.outbox.size === 0);
  assert.deepEqual(textsTo(server, "bob"), ["one", "two"]);
  const uploaded = await Promise.all(server.uploads.map(({ content }) => content.text()));
  assert.equal(uploaded.filter((text) => text.endsWith("1.png")).length, 1);
  second.client.connection.stop();
});

test("a file that the server has dropped is uploaded anew, but not for ever", async () => {
  const { server, client } = await connected();
  server.onUpload = () => (server.uploads.length === 1 ? [201, { Location: "/file/gone/name" }] : null);
  await client.send({ to: "bob", text: "the graph", file: makeFile() });
  await until(() => client.outbox.size === 0);
  assert.equal(server.uploads.length, 2);
  server.onUpload = () => [201, { Location: "/file/gone/name" }];
  await client.send({ to: "bob", text: "another", file: makeFile() });
  await until(() => queued(client)[0].refusal);
  assert.equal(queued(client)[0].refusal.code, "no_such_file");
  assert.equal(server.uploads.length, 5);
  client.connection.stop();
});

for (const status of [429, 503]) {
  test(`${status}: it waits as long as the server asks, and says why`, async () => {
    const { server, client } = await connected();
    const answer = { "Retry-After": "0.05", "Gmessenger-Code": "too_many_uploads", text: "Too many." };
    server.onUpload = () => (server.uploads.length === 1 ? [status, answer] : null);
    await client.send({ to: "bob", text: "the graph", file: makeFile() });
    await until(() => queued(client)[0]?.reason);
    assert.equal(queued(client)[0].reason.code, "too_many_uploads");
    await until(() => client.outbox.size === 0);
    assert.equal(server.uploads.length, 2);
    client.connection.stop();
  });
}

test("a refused upload keeps its message, with what the server says, and what follows is sent", async () => {
  const { server, client, storage } = await connected();
  server.onUpload = () => [413, { "Gmessenger-Code": "file_too_large", "Upload-Limit": "maxsize=5", text: "No." }];
  const { id } = await client.send({ to: "bob", text: "the graph", file: makeFile() });
  await client.send({ to: "bob", text: "after it" });
  await until(() => textsTo(server, "bob").length === 1);
  const { code, limit, error } = client.outbox.find(id).refusal;
  assert.deepEqual([code, limit, error], ["file_too_large", 5, "No."]);
  assert.equal(storage.outbox.get(id).refusal.code, "file_too_large");
  server.onUpload = () => null;
  await client.retry(id);
  await until(() => client.outbox.size === 0);
  assert.deepEqual(textsTo(server, "bob"), ["after it", "the graph"]);
  client.connection.stop();
});

test("what is too large for the server is not sent to it", async () => {
  const { server, client } = await connected();
  client.state.limits = { file: 19 };
  const { id } = await client.send({ to: "bob", text: "", file: makeFile() });
  await until(() => client.outbox.find(id).refusal);
  assert.equal(client.outbox.find(id).refusal.limit, 19);
  assert.equal(server.uploads.length, 0);
  client.connection.stop();
});

test("an upload that is lost is begun again", async () => {
  const { server, client } = await connected();
  server.onUpload = () => (server.uploads.length === 1 ? [0] : null);
  await client.send({ to: "bob", text: "the graph", file: makeFile() });
  await until(() => client.outbox.size === 0, 4000);
  assert.equal(server.uploads.length, 2);
  client.connection.stop();
});

test("a token that was renewed meanwhile is no refusal", async () => {
  const { server, client } = await connected();
  server.onUpload = () => {
    if (server.uploads.length > 1) return null;
    client.login.token = "newer";
    return [401, { "Gmessenger-Code": "password_needed" }];
  };
  await client.send({ to: "bob", text: "the graph", file: makeFile() });
  await until(() => client.outbox.size === 0);
  assert.equal(server.uploads[1].headers.Authorization, "Bearer newer");
  client.connection.stop();
});

test("an upload can be given up, and the next one begins", async () => {
  const { server, client, storage } = await connected();
  server.onUpload = () => (server.uploads.length === 1 ? "later" : null);
  const { id } = await client.send({ to: "bob", text: "one", file: makeFile("1.png") });
  await client.send({ to: "bob", text: "two", file: makeFile("2.png") });
  await until(() => server.uploads.length === 1);
  client.discard(id);
  await until(() => client.outbox.size === 0);
  await client.persistence.flush();
  assert.ok(server.uploads[0].isAborted);
  assert.deepEqual(textsTo(server, "bob"), ["two"]);
  assert.equal(storage.outbox.size, 0);
  client.connection.stop();
});

test("a file that can no longer be read is refused, and nothing waits for it", async () => {
  const { server, client } = await connected();
  const file = makeFile();
  file.content.slice = () => ({ arrayBuffer: () => Promise.reject(new Error("gone")) });
  const { id } = await client.send({ to: "bob", text: "one", file });
  await client.send({ to: "bob", text: "two" });
  await until(() => textsTo(server, "bob").length === 1);
  assert.equal(client.outbox.find(id).refusal.code, "file_unreadable");
  client.connection.stop();
});

test("any name is a header", () => {
  const names = ["граф.png", "<script>alert(1)</script>.png", "\u202egnp.exe", "a'b(c)*.txt", "\ud800", "x".repeat(999)];
  for (const name of names) {
    const header = headersOf({ name, type: "" }, "token")["Content-Disposition"];
    assert.match(header, /^attachment; filename\*=UTF-8''[\w%.!~-]{1,1900}$/);
  }
  assert.match(headersOf({ name: `${"x".repeat(999)}.jpeg`, type: "" }, "")["Content-Disposition"], /x\.jpeg$/);
});

test("an answer of a proxy is understood as far as it goes", () => {
  const answer = (status) => ({ status, text: "<html>", header: () => "" });
  assert.deepEqual(refusalOf(answer(413)), { response: 413, code: "file_too_large" });
  assert.deepEqual(refusalOf(answer(418)), { response: 418, code: "" });
});
