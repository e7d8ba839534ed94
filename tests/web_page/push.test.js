import assert from "node:assert/strict";
import { test } from "node:test";

import { PushSubscriber } from "../../gmessenger/web/push.js";

const KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const OTHER = `BA${KEY.slice(2)}`;

/** A push manager as browsers have one. `refusal` is what `subscribe` raises. */
class FakePushManager {
  constructor() {
    this.subscription = null;
    this.refusal = null;
    this.made = 0;
  }

  async getSubscription() {
    return this.subscription;
  }

  async subscribe({ userVisibleOnly, applicationServerKey }) {
    if (this.refusal) throw this.refusal;
    assert.equal(userVisibleOnly, true);
    this.made += 1;
    const endpoint = `https://push.example.org/${this.made}`;
    this.subscription = {
      options: { applicationServerKey: applicationServerKey.buffer },
      toJSON: () => ({ endpoint, keys: { p256dh: "key", auth: "secret" } }),
      unsubscribe: async () => ((this.subscription = null), true),
    };
    return this.subscription;
  }
}

function makeSubscriber(refuse = () => null) {
  const manager = new FakePushManager();
  const requests = [];
  const request = async (frame) => {
    requests.push(frame);
    const code = refuse(frame);
    if (code) throw Object.assign(new Error(code), { code });
  };
  const subscriber = new PushSubscriber({ registration: async () => ({ pushManager: manager }), request });
  return { manager, requests, subscriber };
}

const told = (number) => ({
  action: "push",
  endpoint: `https://push.example.org/${number}`,
  p256dh: "key",
  auth: "secret",
});

test("a subscription is made once, with the key of the server, and told at each login", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  await subscriber.compare({ vapid: KEY, isWanted: true });
  assert.deepEqual(requests, [told(1), told(1)]);
  assert.equal(new Uint8Array(manager.subscription.options.applicationServerKey).length, 65);
  assert.ok(subscriber.isOn);
});

test("with another key of the server it is made anew", async () => {
  const { requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  await subscriber.compare({ vapid: OTHER, isWanted: true });
  assert.deepEqual(requests, [told(1), told(2)]);
});

test("a subscription that the browser has lost is made anew", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  manager.subscription = null;
  await subscriber.compare({ vapid: KEY, isWanted: true });
  assert.deepEqual(requests.at(-1), told(2));
});

test("what is not wanted any more ends here and at the server, once", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  await subscriber.compare({ vapid: KEY, isWanted: false });
  await subscriber.compare({ vapid: KEY, isWanted: false });
  assert.equal(manager.subscription, null);
  assert.deepEqual(requests, [told(1), { action: "push" }]);
  assert.ok(!subscriber.isOn);
});

test("a log out ends it here; at the server it goes with the device", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  await subscriber.turnOff({ isTold: false });
  assert.equal(manager.subscription, null);
  assert.equal(requests.length, 1);
});

test("a server that sends none leaves none", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  await subscriber.turnOn(KEY);
  await subscriber.compare({ vapid: "", isWanted: true });
  assert.equal(manager.subscription, null);
  assert.equal(requests.length, 1);
});

test("a browser that refuses, or has no push service, is no failure of the login", async () => {
  const { manager, requests, subscriber } = makeSubscriber();
  manager.refusal = new Error("no push service");
  await subscriber.compare({ vapid: KEY, isWanted: true });
  assert.ok(!subscriber.isOn);
  const without = new PushSubscriber({ registration: async () => null, request: assert.fail });
  await without.compare({ vapid: KEY, isWanted: true });
  await without.compare({ vapid: KEY, isWanted: false });
  assert.ok(!without.isOn);
  assert.equal(requests.length, 0);
});

test("a push service that the server does not send to is left; another refusal is tried again at the next login", async () => {
  for (const [code, isLeft] of [
    ["bad_subscription", true],
    ["store_unavailable", false],
  ]) {
    const { manager, subscriber } = makeSubscriber(() => code);
    await assert.rejects(subscriber.turnOn(KEY), { code });
    assert.equal(manager.subscription === null, isLeft);
    assert.ok(!subscriber.isOn);
  }
});
