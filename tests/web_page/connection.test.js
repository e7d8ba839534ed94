import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Connection } from "../../gmessenger/web/connection.js";
import { Login, identityOf, newDevice } from "../../gmessenger/web/login.js";

const WELCOME = { response: 200, jim: 2, account: true, session: "t2", store: "s1", limits: {} };
let sockets;
let phases;
let frames;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  [sockets, phases, frames] = [[], [], []];
});
afterEach(() => mock.timers.reset());

function make(login) {
  return new Connection({
    url: "ws://test/jim",
    handshake: login,
    onFrame: (frame) => frames.push(frame),
    onPhase: (phase, details) => phases.push([phase, details]),
    makeSocket: () => {
      const socket = { sent: [], isClosed: false, close: () => (socket.isClosed = true) };
      socket.send = (text) => socket.sent.push(JSON.parse(text));
      socket.receive = (frame) => socket.onmessage({ data: JSON.stringify(frame) });
      sockets.push(socket);
      return socket;
    },
  });
}

function connect(login = new Login({ onLogin: () => {} })) {
  const connection = make(login);
  connection.start();
  return connection;
}

test("a connection that was opened while one typed is used for the login", () => {
  const connection = make(new Login({ onLogin: () => {} }));
  connection.prepare();
  connection.prepare();
  assert.equal(sockets.length, 1);
  last().readyState = 1;
  connection.start();
  assert.deepEqual([sockets.length, last().sent.length], [1, 1]);
  last().receive(WELCOME);
  assert.equal(connection.phase, "online");
  connection.prepare();
  assert.equal(sockets.length, 1);
});

test("a prepared connection that is not open yet logs in when it is; one that was closed is not used", () => {
  const connection = make(new Login({ onLogin: () => {} }));
  connection.prepare();
  last().readyState = 3;
  last().onclose();
  connection.prepare();
  last().readyState = 0;
  connection.start();
  assert.deepEqual([sockets.length, last().sent.length], [2, 0]);
  last().onopen();
  assert.equal(last().sent.length, 1);
});

function logIn(login) {
  const connection = connect(login);
  sockets[0].onopen();
  sockets[0].receive(WELCOME);
  return connection;
}

// Timers that are set meanwhile count from the second in which they are set.
function pass(seconds) {
  for (let second = 0; second < seconds; second += 1) mock.timers.tick(1000);
}

const last = () => sockets.at(-1);
const delay = () => phases.findLast(([phase]) => phase === "waiting")[1].retryIn;

test("a lost connection comes back after growing delays, and at once when the page is looked at", () => {
  const connection = logIn();
  for (const longest of [1, 2, 4, 8, 16, 32, 60, 60]) {
    last().onclose();
    assert.ok(delay() > longest / 2 - 0.001 && delay() <= longest, `${delay()} of ${longest}`);
    for (let second = 0; second < longest && connection.phase === "waiting"; second += 1) pass(1);
    assert.equal(connection.phase, "connecting");
  }
  last().onclose();
  const { length } = sockets;
  connection.check();
  assert.equal(sockets.length, length + 1);
  last().onopen();
  last().receive(WELCOME);
  last().onclose();
  assert.ok(delay() <= 1);
});

test("a server that stops says when to come back", () => {
  const connection = logIn();
  last().receive({ action: "moving", retry_in: 2 });
  assert.ok(connection.isClosing);
  last().onclose();
  assert.ok(delay() >= 2 && delay() <= 4);
});

test("a full server is tried again when it says", () => {
  connect();
  last().onopen();
  last().receive({ response: 503, code: "too_many_connections", retry_after: 7 });
  assert.equal(delay(), 7);
});

test("a silent server is probed, and given up if it stays silent", () => {
  const connection = logIn();
  pass(56);
  assert.deepEqual(last().sent.at(-1), { action: "probe", id: "probe" });
  last().receive({ response: 200, id: "probe" });
  pass(40);
  assert.equal(connection.phase, "online");
  pass(60);
  assert.notEqual(connection.phase, "online");
});

test("the server's probes are answered", () => {
  logIn();
  last().receive({ action: "probe" });
  assert.deepEqual(last().sent.at(-1), { response: 200 });
});

test("requests have their answers, also out of order; refusals and a lost connection are errors", async () => {
  const connection = logIn();
  const [one, two, three] = ["a", "b", "c"].map((action) => connection.request({ action }));
  const [first, second] = last().sent.slice(-3);
  last().receive({ response: 404, id: second.id, code: "no_such_room", error: "…" });
  last().receive({ response: 200, id: first.id, topic: "x" });
  assert.equal((await one).topic, "x");
  await assert.rejects(two, { code: "no_such_room", isRetryable: false });
  last().onclose();
  await assert.rejects(three, { code: "disconnected" });
  await assert.rejects(connection.request({ action: "d" }), { code: "disconnected" });
});

test("an answer that belongs to no request is passed on, with messages", () => {
  logIn();
  last().receive({ response: 200, id: "of a message", seq: 3 });
  last().receive({ action: "msg", from: "bob", to: "alice", message: "hi" });
  assert.equal(frames.length, 2);
});

test("what comes over an old connection is ignored", () => {
  const connection = logIn();
  const [old] = sockets;
  old.onclose();
  pass(1);
  old.receive({ action: "msg", from: "bob", to: "alice", message: "late" });
  old.onclose();
  assert.deepEqual(frames, []);
  assert.equal(connection.phase, "connecting");
});

for (const code of ["replaced", "kicked", "banned", "account_deleted", "password_needed"]) {
  test(`${code}: the connection does not come back by itself`, () => {
    const connection = logIn();
    last().receive({ response: 409, code });
    pass(600);
    assert.equal(connection.phase, "stopped");
    assert.equal(sockets.length, 1);
  });
}

test("a login sends the token, and the password only without one", () => {
  const login = new Login({ onLogin: () => {} });
  login.enter({ name: "alice", device: "web-1", password: "secret" });
  assert.equal(login.frame().user.password, "secret");
  login.onResponse(WELCOME);
  assert.deepEqual(login.frame(), {
    action: "presence",
    jim: 2,
    user: { account_name: "alice", device: "web-1" },
    session: "t2",
  });
  assert.equal(login.onResponse({ response: 401, code: "password_needed" }), "stop");
});

test("a guest whose name is still in use comes back for a while", () => {
  const login = new Login({ onLogin: () => {} });
  login.resume({ name: "gina", device: "web-1", token: "t1" });
  const decisions = Array.from({ length: 11 }, () => login.onResponse({ response: 409, code: "name_in_use" }));
  assert.deepEqual(new Set(decisions.slice(0, 10)), new Set(["later"]));
  assert.equal(decisions[10], "stop");
});

test("a registration is the first frame, with the invite if there is one", () => {
  const login = new Login({ onLogin: () => {} });
  login.register({ name: "erin", device: "web-1", password: "secret", invite: "code" });
  const { action, password, invite, user } = login.frame();
  assert.deepEqual([action, password, invite, user.account_name], ["register", "secret", "code", "erin"]);
});

test("devices and identities", () => {
  assert.match(newDevice(true), /^web-[a-z0-9]{1,6}$/);
  assert.equal(newDevice(false), "web-private");
  assert.equal(identityOf({ account: true, store: "s1", session: "x" }), "account s1");
  assert.notEqual(
    identityOf({ account: false, store: "s1", session: "x" }),
    identityOf({ account: false, store: "s1", session: "y" }),
  );
});
