/** Rooms and accounts: all that one can do by the page's buttons. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PASSWORD, Server, Window, setUp, until } from "./support.js";

const { browser, server } = setUp({ accounts: ["alice", "bob", "carol"] });

const dialog = (window, text) => window.page.locator(`dialog :is(button, summary):text-is("${text}")`);
const details = (window) => window.page.click("[aria-label='About this conversation']");
const closeDialog = (window) => window.page.keyboard.press("Escape");

async function makeRoom(window, name, isPrivate) {
  await window.page.click("[aria-label='New conversation or room']");
  await window.page.click("[data-mode=make]");
  await window.page.fill("dialog [name=room]", name);
  if (isPrivate) await window.page.check("dialog [name=private]");
  await window.page.click("dialog .primary");
  await window.page.waitForSelector(`.title h2:has-text("${name}")`);
}

async function menu(window, text, item) {
  const entry = window.page.locator(".entry", { hasText: text }).last();
  await entry.hover();
  await entry.locator("[aria-label=More]").click();
  await dialog(window, item).last().click();
}

test("a private room: made, invited to, joined, written in, and left", async () => {
  const alice = await Window.open(browser, server);
  await alice.enter("alice");
  await makeRoom(alice, "secret", true);
  const bob = await Window.open(browser, server);
  await bob.enter("bob");
  await details(alice);
  await alice.page.fill("dialog [name=user]", "bob");
  await alice.page.keyboard.press("Enter");
  await alice.page.waitForSelector(".toast");
  await closeDialog(alice);
  await bob.page.click(".invitation .primary");
  await bob.page.waitForSelector(".title h2:has-text('#secret')");
  await alice.page.waitForSelector(".notice:has-text('bob has joined')");
  await bob.write("I am in");
  await alice.page.waitForSelector(".entry:has-text('I am in')");
  await details(bob);
  await dialog(bob, "Leave the room").click();
  await bob.page.click("dialog.small .danger");
  await alice.page.waitForSelector(".notice:has-text('bob has left')");
  await alice.close();
  await bob.close();
});

test("reply, reaction, edit and erase, seen by both", async () => {
  const alice = await Window.open(browser, server);
  await alice.enter("alice");
  await makeRoom(alice, "dev", false);
  await server.talkAs("bob", { action: "join", room: "#dev" });
  const bob = await Window.open(browser, server);
  await bob.enter("bob");
  await bob.open("#dev");
  await alice.write("frist");
  await bob.page.waitForSelector(".entry:has-text('frist')");
  await menu(bob, "frist", "React");
  await bob.page.click("dialog .emoji >> nth=3");
  await alice.page.waitForSelector(".reaction:has-text('🎉')");
  await menu(bob, "frist", "Reply");
  await bob.page.keyboard.type("well said");
  await bob.page.keyboard.press("Enter");
  await alice.page.waitForSelector(".quote:has-text('frist')");
  await alice.page.press("#message", "ArrowUp");
  await alice.page.fill("#message", "first");
  await alice.page.press("#message", "Enter");
  await bob.page.waitForSelector(".entry:has-text('first'):has-text('edited')");
  await bob.page.waitForSelector(".quote:has-text('first')");
  await menu(alice, "well said", "Erase");
  await alice.page.click("dialog.small .danger");
  await bob.page.waitForSelector(".entry:has-text('alice has erased this message')");
  await alice.page.reload();
  await alice.page.waitForSelector(".entry:has-text('first'):has-text('edited')");
  await alice.page.waitForSelector(".reaction:has-text('🎉')");
  await alice.close();
  await bob.close();
});

test("rules, roles and who is silenced", async () => {
  await server.talkAs("alice", { action: "join", room: "#hall" });
  await server.talkAs("bob", { action: "join", room: "#hall" });
  const alice = await Window.open(browser, server);
  await alice.enter("alice");
  await alice.open("#hall");
  await details(alice);
  await dialog(alice, "Rules").first().click();
  await alice.page.selectOption("dialog [name=moderated]", "true");
  await dialog(alice, "Set the rules").click();
  await alice.page.waitForSelector(".toast");
  const bob = await Window.open(browser, server);
  await bob.enter("bob");
  await bob.open("#hall");
  await bob.write("may I?");
  await bob.page.waitForSelector(".entry.refused");
  await alice.page.click("dialog .person:has-text('bob')");
  await alice.page.selectOption("dialog label:has-text('Role') select", "speaker");
  await bob.page.waitForSelector(".notice:has-text('speaker')");
  await bob.page.click(".refusal >> text=Try again");
  await bob.page.waitForSelector(".entry.stored");
  await alice.page.selectOption("dialog [name=action]", "silence");
  await alice.page.fill("dialog [name=reason]", "too loud");
  await alice.page.click("dialog >> text=Do it");
  await bob.page.waitForSelector(".notice:has-text('too loud')");
  await bob.write("again");
  await bob.page.waitForSelector(".entry.refused");
  await bob.page.click(".refusal >> text=Discard");
  await until(async () => !(await bob.page.locator(".entry.refused").count()), "nothing refused");
  await alice.close();
  await bob.close();
});

test("a room has a key as long as its owner wants, and who joins is asked for it", async () => {
  await server.talkAs("alice", { action: "join", room: "#vault" });
  const alice = await Window.open(browser, server);
  await alice.enter("alice");
  await alice.open("#vault");
  await details(alice);
  await dialog(alice, "Rules").first().click();
  await alice.page.fill("dialog [name=key]", "open sesame");
  await dialog(alice, "Set the rules").click();
  assert.equal(await alice.page.$eval("dialog [name=key]", (field) => field.validity.patternMismatch), true);
  await alice.page.fill("dialog [name=key]", "sesame");
  await alice.page.selectOption("dialog [name=outside]", "true");
  await dialog(alice, "Set the rules").click();
  await alice.page.waitForSelector(".toast:has-text('The rules are set.')");
  const { rules } = (await server.talkAs("alice", { action: "rule", room: "#vault" }))[0];
  assert.deepEqual([rules.key, rules.outside], ["sesame", true]);

  const bob = await Window.open(browser, server);
  await bob.enter("bob");
  await bob.page.click("[aria-label='New conversation or room']");
  await bob.page.click("[data-mode=rooms]");
  await bob.page.click("dialog .result:has-text('#vault')");
  await bob.page.fill("dialog.small [name=key]", "wrong");
  await bob.page.keyboard.press("Enter");
  await bob.page.waitForSelector("dialog.small .error:has-text('this is not it')");
  await closeDialog(bob);
  await bob.page.waitForSelector("dialog.small", { state: "detached" });
  await closeDialog(bob);
  await bob.page.click("[aria-label='New conversation or room']");
  await bob.page.click("[data-mode=people]");
  await bob.page.fill("dialog [name=name]", "alice");
  await bob.page.keyboard.press("Enter");
  await bob.page.waitForSelector(".title h2:has-text('alice')");
  await bob.write("/join #vault wrong");
  await bob.page.waitForSelector("dialog.small .error:has-text('this is not it')");
  await bob.screenshot("key");
  assert.deepEqual(await bob.violations(), []);
  await closeDialog(bob);
  await until(() => bob.page.$eval("#message", (box) => box.value === "/join #vault wrong"), "the line that was typed");
  await bob.write("/join #vault");
  await bob.page.fill("dialog.small [name=key]", "sesame");
  await bob.page.keyboard.press("Enter");
  await bob.page.waitForSelector(".title h2:has-text('#vault')");
  await until(() => bob.page.evaluate(() => document.activeElement.id === "message"), "the focus in the box");
  await bob.write("let me in");
  await bob.page.waitForSelector(".entry.stored:has-text('let me in'), .entry.delivered:has-text('let me in')");
  await details(bob);
  await dialog(bob, "Rules").first().click();
  await bob.page.waitForSelector("dialog li:has-text('who joins must give the key: sesame')");

  await alice.page.fill("dialog [name=key]", "");
  await dialog(alice, "Set the rules").click();
  await bob.page.waitForSelector(".notice:has-text('no key is needed to join')");
  const [{ room }] = await server.talkAs("carol", { action: "join", room: "#vault" });
  assert.equal(room ?? "#vault", "#vault");
  await alice.close();
  await bob.close();
});

test("who is blocked is not heard in a room", async () => {
  await server.talkAs("alice", { action: "join", room: "#noise" });
  await server.talkAs("carol", { action: "join", room: "#noise" });
  const alice = await Window.open(browser, server);
  await alice.enter("alice");
  await alice.open("#noise");
  await server.say("carol", "#noise", "la la la");
  await alice.page.waitForSelector(".entry:has-text('la la la')");
  await alice.page.click(".members .person:has-text('carol')");
  await dialog(alice, "Block").first().click();
  await alice.page.click("dialog.small .danger");
  await until(async () => !(await alice.page.locator(".entry:has-text('la la la')").count()), "nothing of carol");
  await alice.close();
});

test("a hook is made, and what a program posts to its address is shown", async () => {
  await server.talkAs("alice", { action: "join", room: "#ops" });
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await window.open("#ops");
  await details(window);
  await dialog(window, "Hooks").click();
  await window.page.fill("dialog details [name=name]", "grafana");
  await dialog(window, "Make a hook").click();
  const url = await window.page.inputValue("dialog [name=address]");
  const answer = await fetch(url, { method: "POST", body: "disk is full", headers: { "Content-Type": "text/plain" } });
  assert.equal(await answer.text(), "ok");
  await window.page.waitForSelector("dialog .action-row:has-text('grafana')");
  await closeDialog(window);
  await window.page.waitForSelector(".entry:has-text('disk is full')");
  await window.close();
});

test("a mention is counted, and a muted conversation is quiet", async () => {
  await server.talkAs("alice", { action: "join", room: "#busy" });
  await server.talkAs("bob", { action: "join", room: "#busy" });
  const bob = await Window.open(browser, server);
  await bob.enter("bob");
  await server.say("alice", "#busy", "one", "bob: two");
  await bob.page.waitForSelector(".badge.mention");
  await until(async () => /^\(\d+\) gmessenger$/.test(await bob.page.title()), "the title");
  await bob.open("#busy");
  await bob.page.waitForSelector(".day.new");
  await until(
    async () => !(await bob.page.locator(".conversation-item:has-text('#busy') .badge").count()),
    "all is read",
  );
  await details(bob);
  await bob.page.selectOption("dialog label:has-text('Notify me of') select", "none");
  await closeDialog(bob);
  await bob.page.waitForSelector(".conversation-item:has-text('#busy').is-muted");
  await bob.close();
});

test("an invite link registers, and leaves no trace in the address", async () => {
  const invited = await new Server("--registration", "invite", "--guests", "no", "--greeting", "Hello!").start();
  try {
    const { spawnSync } = await import("node:child_process");
    const command = ["-m", "gmessenger", "admin", "--store", `sqlite:///${invited.folder}/messenger.db`, "invite"];
    const made = spawnSync(process.env.PYTHON ?? ".venv/bin/python", command, { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const window = await Window.open(browser, invited);
    await window.page.close();
    const page = await window.openTab(`#invite=${made.stdout.trim()}`);
    await page.waitForSelector("[data-mode=register][aria-pressed=true]");
    assert.equal(page.url(), invited.url);
    await page.fill("[name=name]", "erin");
    await page.fill("[name=password]", PASSWORD);
    await page.click(".form .primary");
    await page.waitForSelector(".phase.is-online");
    await window.close();
  } finally {
    await invited.stop();
  }
});

test("a guest keeps the name, changes the password, and sees the devices", async () => {
  const window = await Window.open(browser, server);
  await window.enter("gina", "guest");
  await window.page.click("[aria-label=Settings]");
  await dialog(window, "Keep this name").click();
  await window.page.fill("dialog [name=password]", PASSWORD);
  await window.page.click("dialog .primary");
  await window.page.waitForSelector(".toast");
  await window.page.click("[aria-label=Settings]");
  await dialog(window, "Change the password").click();
  await window.page.fill("dialog [name=old]", PASSWORD);
  await window.page.fill("dialog [name=new]", "another good one");
  await window.page.click("dialog .primary");
  await window.page.waitForSelector(".toast:has-text('password')");
  await window.page.reload();
  await window.page.waitForSelector(".phase.is-online");
  await window.page.click("[aria-label=Settings]");
  await dialog(window, "Devices").click();
  await window.page.waitForSelector("dialog .action-row:has-text('this browser')");
  await closeDialog(window);
  await window.close();
});

test("a wrong password is said, and another try is possible", async () => {
  const window = await Window.open(browser, server);
  await window.page.fill("[name=name]", "alice");
  await window.page.fill("[name=password]", "wrong");
  await window.page.click(".form .primary");
  await window.page.waitForSelector("[role=alert]:has-text('wrong')");
  await window.page.fill("[name=password]", PASSWORD);
  await window.page.click(".form .primary");
  await window.page.waitForSelector(".phase.is-online");
  await window.close();
});

test("commands of the terminal work in the box", async () => {
  const window = await Window.open(browser, server);
  await window.enter("alice");
  await makeRoom(window, "cmd", false);
  await window.write("/topic what we talk about");
  await window.page.waitForSelector(".topic:has-text('what we talk about')");
  await window.write("/me waves");
  await window.page.waitForSelector(".body.action:has-text('* alice waves')");
  await window.write("//etc");
  await window.page.waitForSelector(".entry:has-text('/etc')");
  await window.write("/nonsense");
  await window.page.waitForSelector(".toast:has-text('/nonsense')");
  assert.equal(await window.page.inputValue("#message"), "/nonsense");
  await window.close();
});
