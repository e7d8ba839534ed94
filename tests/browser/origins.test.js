/** Pages of other sites, such as that of an IRC client: the browser lets them do what the server has permitted. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { PASSWORD, setUp } from "./support.js";

const named = await startSite();
const other = await startSite();
const options = ["--irc-websocket", "web", "--web-origins", named.origin];
const { browser, server } = setUp({ accounts: ["alice"], options });

after(() => [named, other].forEach(({ site }) => site.close()));

async function startSite() {
  const respond = (_request, answer) => answer.setHeader("Content-Type", "text/html").end("<title>irc</title>");
  const site = createServer(respond);
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  return { site, origin: `http://127.0.0.1:${site.address().port}` };
}

/** Run a function in a page of a site; returns what it returns. */
async function runAt({ origin }, script, values) {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    return await page.evaluate(script, values);
  } finally {
    await context.close();
  }
}

// As gamja does, in the page.
async function upload({ url, password }) {
  const headers = {
    Authorization: `Basic ${btoa(`alice:${password}`)}`,
    "Content-Disposition": 'attachment; filename="plan.txt"',
    "Content-Type": "text/plain",
  };
  try {
    const answer = await fetch(`${url}file`, { method: "POST", body: "a plan", headers, credentials: "include" });
    return [answer.status, answer.headers.get("Location")];
  } catch (error) {
    return error.name;
  }
}

function connect(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}webirc`);
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
  });
}

test("a page of a site that is named uploads a file, and connects", async () => {
  const [status, location] = await runAt(named, upload, { url: server.url, password: PASSWORD });
  assert.equal(status, 201);
  assert.match(location, /^\/file\/[\w-]+\/plan\.txt$/);
  assert.equal(await runAt(named, connect, server.url), "open");
  const refused = await runAt(named, upload, { url: server.url, password: "wrong" });
  assert.deepEqual(refused, [401, null]);
});

test("a page of any other site does neither", async () => {
  assert.equal(await runAt(other, upload, { url: server.url, password: PASSWORD }), "TypeError");
  assert.equal(await runAt(other, connect, server.url), "refused");
});
