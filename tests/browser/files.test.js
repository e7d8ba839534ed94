/** Files that are sent from the page: chosen, pasted and dropped; what is left of a picture, and what is lost: nothing. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Window, setUp, until } from "./support.js";

const MAX_FILE = 600_000; // bytes that the server takes
const PLACE = "59.9386N 30.3141E";
const HOSTILE = "\u202egnp.<script>alert(1)<b>'\u0007.txt";
const { browser, server } = setUp({
  accounts: ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "hank", "ivan", "judy"],
  options: ["--max-file", MAX_FILE],
});

/** Open a window in which an account writes to another one. */
async function writing(from, to, options) {
  const window = await Window.open(browser, server, options);
  await window.enter(from);
  await find(window, to);
  return window;
}

async function find(window, name) {
  await window.page.keyboard.press("Control+K");
  await window.page.waitForSelector("dialog input");
  await window.page.keyboard.type(name);
  await window.page.keyboard.press("Enter");
  await window.page.waitForSelector(`.title h2:has-text("${name}")`);
}

/** Choose files by the button; returns once they are in the draft. */
async function choose(window, ...files) {
  const drafts = window.page.locator(".attachment:not(:has-text('being prepared'))");
  const before = await drafts.count();
  await chooseOnly(window, ...files);
  await until(async () => (await drafts.count()) === before + files.length, "the files");
}

async function chooseOnly(window, ...files) {
  const chosen = window.page.waitForEvent("filechooser");
  await window.page.click("button[aria-label='Attach files']");
  await (await chosen).setFiles(files);
}

const file = (name, content, mimeType = "application/octet-stream") => ({ name, mimeType, buffer: Buffer.from(content) });

/** Return a photo of 300 × 200 pixels, red on the left, that was taken with a camera that was turned, at a place. */
async function photo(window) {
  const drawn = await window.page.evaluate(async () => {
    const canvas = new OffscreenCanvas(300, 200);
    const context = canvas.getContext("2d");
    context.fillStyle = "#f00";
    context.fillRect(0, 0, 150, 200);
    context.fillStyle = "#00f";
    context.fillRect(150, 0, 150, 200);
    const blob = await canvas.convertToBlob({ type: "image/jpeg" });
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  const place = Buffer.from(`${PLACE}\0`);
  const entry = (tag, type, count, value) => {
    const made = Buffer.alloc(12);
    made.writeUInt16BE(tag, 0);
    made.writeUInt16BE(type, 2);
    made.writeUInt32BE(count, 4);
    if (type === 3) made.writeUInt16BE(value, 8);
    else made.writeUInt32BE(value, 8);
    return made;
  };
  const head = Buffer.from("MM\0*\0\0\0\x08", "latin1");
  const directory = Buffer.concat([
    Buffer.from([0, 3]),
    entry(0x0110, 2, place.length, 8 + 2 + 36 + 4), // the camera, whose name is the place here
    entry(0x0112, 3, 1, 6), // to be turned clockwise
    entry(0x8825, 4, 1, 8 + 2 + 36 + 4 + place.length), // where it was
    Buffer.alloc(4),
  ]);
  const gps = Buffer.concat([Buffer.from([0, 1]), entry(0x0001, 2, 2, 0x4e000000), Buffer.alloc(4)]);
  const tiff = Buffer.concat([head, directory, place, gps]);
  const exif = Buffer.concat([Buffer.from("Exif\0\0"), tiff]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(exif.length + 2);
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1]), length, exif]);
  return Buffer.concat([Buffer.from(drawn.slice(0, 2)), segment, Buffer.from(drawn.slice(2))]);
}

async function fetched(url) {
  const answer = await fetch(new URL(url, server.url));
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

/** Return what `--listen` prints of messages with files, once there are so many. */
function received(listener, count) {
  const found = () => listener.messages.filter((message) => message.file);
  return until(() => found().length >= count && found(), `${count} files`);
}

/** Return the size of a picture, and its colours above and below, as a browser shows it. */
function look(window, selector) {
  return window.page.locator(selector).evaluate(async (image) => {
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const colour = (part) => {
      const [red, , blue] = context.getImageData(canvas.width / 2, canvas.height * part, 1, 1).data;
      return red > blue ? "red" : "blue";
    };
    const { width, height } = image.getBoundingClientRect();
    return {
      natural: [image.naturalWidth, image.naturalHeight],
      shown: [Math.round(width), Math.round(height)],
      colours: [colour(0.25), colour(0.75)],
    };
  });
}

/** Have the page's requests go as slowly as on a bad line; without a rate, as fast as they can. */
async function slow(window, bytesPerSecond = -1) {
  window.line ??= await window.context.newCDPSession(window.page);
  await window.line.send("Network.enable");
  const rates = { latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond };
  await window.line.send("Network.emulateNetworkConditions", { offline: false, ...rates });
}

test("a photo is sent upright and without its place, unless it is sent as a file", async () => {
  const listener = server.listen("bob");
  const window = await writing("alice", "bob");
  const original = await photo(window);
  assert.ok(original.includes(PLACE));
  await choose(window, file("IMG_1.jpg", original, "image/jpeg"), file("IMG_2.jpg", original, "image/jpeg"));
  assert.equal(await window.page.locator(".attachment .thumbnail").count(), 2);
  await window.page.locator(".attachment").nth(1).locator("input").focus();
  await window.page.keyboard.press("Space");
  await window.page.waitForSelector(".attachment:has(:checked:focus)");
  await window.write("two photos");
  const [first, second] = await received(listener, 2);
  assert.deepEqual([first.message, second.message], ["two photos", "IMG_2.jpg"]);
  const scrubbed = await fetched(first.file.url);
  assert.ok(!scrubbed.includes("Exif") && !scrubbed.includes(PLACE) && scrubbed[0] === 0xff);
  assert.deepEqual(await fetched(second.file.url), original);
  for (const { file: sent } of [first, second]) assert.deepEqual([sent.width, sent.height], [200, 300]);
  await until(async () => (await window.page.locator(".entry:is(.stored, .delivered) img").count()) === 2, "the photos");
  const upright = { natural: [200, 300], shown: [200, 300], colours: ["red", "blue"] };
  for (const number of [0, 1]) assert.deepEqual(await look(window, `.entry img >> nth=${number}`), upright);
  await window.screenshot("files-photos");
  await window.page.reload();
  await until(async () => (await window.page.locator(".entry img").count()) === 2, "the photos after a reload");
  for (const number of [0, 1]) assert.deepEqual(await look(window, `.entry img >> nth=${number}`), upright);
  await window.close();
});

test("a large picture becomes smaller, and an animation and a drawing are sent as they are", async () => {
  const listener = server.listen("dave");
  const window = await writing("carol", "dave");
  const large = await window.page.evaluate(async () => {
    const canvas = new OffscreenCanvas(3000, 1500);
    canvas.getContext("2d").fillRect(0, 0, 3000, 1500);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer())];
  });
  const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");
  const svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>document.title = 'harm'</script></svg>";
  await choose(
    window,
    file("large.png", large, "image/png"),
    file("dance.gif", gif, "image/gif"),
    file("drawing.svg", svg, "image/svg+xml"),
  );
  assert.equal(await window.page.locator(".attachment .checkbox").count(), 1);
  assert.equal(await window.page.locator(".attachment:has-text('as it is')").count(), 2);
  await window.page.click("[aria-label=Send]");
  const [picture, dance, drawing] = (await received(listener, 3)).map((message) => message.file);
  assert.deepEqual([picture.name, picture.type, picture.width, picture.height], ["large.webp", "image/webp", 2048, 1024]);
  assert.deepEqual(await fetched(dance.url), gif);
  assert.equal((await fetched(drawing.url)).toString(), svg);
  await until(async () => (await window.page.locator(".entry:is(.stored, .delivered)").count()) === 3, "the answers");
  assert.equal(await window.page.locator(".entry img").count(), 2);
  assert.equal(await window.page.locator(".entry a:has-text('drawing.svg')").count(), 1);
  await window.close();
});

test("pictures are pasted, and texts stay texts", async () => {
  const listener = server.listen("frank");
  const window = await writing("erin", "frank");
  const paste = (withText) =>
    window.page.locator("#message").evaluate(async (box, isText) => {
      const canvas = new OffscreenCanvas(40, 30);
      canvas.getContext("2d").fillRect(0, 0, 40, 30);
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([await canvas.convertToBlob()], "image.png", { type: "image/png" }));
      if (isText) for (const type of ["text/plain", "text/html"]) clipboardData.items.add("cells", type);
      return box.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true, bubbles: true }));
    }, withText);
  assert.equal(await paste(true), true);
  assert.equal(await paste(false), false);
  await window.page.waitForSelector(".attachment .thumbnail");
  await window.page.press("#message", "Enter");
  const [{ file: sent }] = await received(listener, 1);
  assert.deepEqual([sent.name, sent.width, sent.height], ["image.webp", 40, 30]);
  await window.close();
});

test("files are dropped onto the conversation, and nowhere do they take its place", async () => {
  const listener = server.listen("hank");
  const window = await writing("grace", "hank");
  const drop = (selector, ...names) =>
    window.page.locator(selector).evaluate((target, all) => {
      const dataTransfer = new DataTransfer();
      for (const name of all) dataTransfer.items.add(new File([`content of ${name}`], name));
      const options = { dataTransfer, bubbles: true, cancelable: true };
      return ["dragover", "drop"].map((event) => target.dispatchEvent(new DragEvent(event, options)));
    }, names);
  assert.deepEqual(await drop(".sidebar", "beside.txt"), [false, false]);
  assert.deepEqual(await drop(".log", "one.txt", "two.txt", "three.txt"), [false, false]);
  await window.page.waitForSelector(".attachment >> nth=2");
  await window.page.click("[aria-label='Remove two.txt']");
  await window.write("both");
  await window.write("after them");
  const files = await received(listener, 2);
  assert.deepEqual(
    files.map(({ message, file: sent }) => [message, sent.name]),
    [
      ["both", "one.txt"],
      ["three.txt", "three.txt"],
    ],
  );
  await until(() => listener.messages.some(({ message }) => message === "after them"), "the text");
  assert.deepEqual(
    listener.messages.filter(({ from }) => from === "grace").map(({ message }) => message),
    ["both", "three.txt", "after them"],
  );
  await window.close();
});

test("the server is killed during an upload: the file and what follows are there once", async () => {
  const listener = server.listen("judy");
  const window = await writing("ivan", "judy");
  const content = Buffer.alloc(500_000, "gmessenger ");
  await window.page.waitForFunction(() => navigator.serviceWorker.controller); // by which it opens without a server
  await slow(window, 100_000);
  await choose(window, file("large.bin", content));
  await window.write("the file");
  await window.write("after it");
  const share = () => window.page.$eval("progress", ({ value }) => value);
  await until(async () => (await share()) > 0.2, "some of it");
  assert.deepEqual(await window.violations(), []);
  await window.screenshot("files-uploading");
  await server.kill();
  await window.page.waitForSelector(".banner:not([hidden])");
  await window.page.reload();
  await window.page.waitForSelector(".entry.waiting progress");
  await slow(window);
  await server.start();
  await window.page.waitForSelector(".phase.is-online", { timeout: 120_000 });
  await until(async () => (await window.page.locator(".entry:is(.stored, .delivered)").count()) === 2, "the answers");
  const again = server.listen("judy");
  const [{ file: sent }] = await until(() => {
    const files = [...listener.messages, ...again.messages].filter((message) => message.file);
    return files.length && files;
  }, "the file");
  assert.deepEqual(await fetched(sent.url), content);
  const [{ messages }] = await server.talkAs("judy", { action: "history", with: "ivan" });
  assert.deepEqual(
    messages.map(({ message }) => message),
    ["the file", "after it"],
  );
  await window.close();
});

test("without a server files wait, in the draft and to be sent, over a reload", async () => {
  const window = await writing("bob", "carol");
  await window.page.waitForFunction(() => navigator.serviceWorker.controller);
  await server.kill();
  await window.page.waitForSelector(".banner:not([hidden])");
  await choose(window, file("sent.txt", "sent"));
  await window.write("offline");
  await window.page.waitForSelector(".attachment", { state: "detached" }); // it is in the outbox
  await choose(window, file("draft.txt", "a draft"), file("removed.txt", "no draft"));
  await window.page.click("[aria-label='Remove removed.txt']");
  await window.page.fill("#message", "with it");
  await window.waitForDraft("with it", 1);
  await window.page.reload();
  await window.page.waitForSelector(".entry.waiting:has-text('sent.txt')");
  assert.equal(await window.page.locator(".attachment").count(), 1);
  assert.equal(await window.page.inputValue("#message"), "with it");
  await server.start();
  await window.page.waitForSelector(".entry:is(.stored, .delivered) .file", { timeout: 120_000 });
  await window.page.press("#message", "Enter");
  await until(async () => (await window.page.locator(".entry:is(.stored, .delivered) .file").count()) === 2, "both");
  const [{ messages }] = await server.talkAs("carol", { action: "history", with: "bob" });
  const contents = await Promise.all(messages.map(({ file: sent }) => fetched(sent.url)));
  assert.deepEqual(contents.map(String), ["sent", "a draft"]);
  await window.page.reload();
  await window.page.waitForSelector(".entry .file >> nth=1");
  assert.equal(await window.page.locator(".attachment").count(), 0);
  await window.close();
});

test("an upload is given up, and its text stays", async () => {
  const window = await writing("dave", "erin");
  await slow(window, 20_000);
  await choose(window, file("large.bin", Buffer.alloc(400_000)));
  await window.write("not this one");
  await window.page.click(".upload button");
  await window.page.waitForSelector(".entry", { state: "detached" });
  assert.equal(await window.page.inputValue("#message"), "not this one");
  await slow(window);
  await window.page.press("#message", "Enter");
  await window.page.waitForSelector(".entry:is(.stored, .delivered)");
  const [{ messages }] = await server.talkAs("erin", { action: "history", with: "dave" });
  assert.deepEqual(
    messages.map(({ message, file: sent }) => [message, sent]),
    [["not this one", undefined]],
  );
  await window.close();
});

test("what is too large is not taken, and what the server refuses can be sent again, edited or discarded", async () => {
  const window = await writing("frank", "grace");
  await chooseOnly(window, file("huge.bin", Buffer.alloc(MAX_FILE + 1)));
  await window.page.waitForSelector(".toast:has-text('huge.bin')");
  assert.equal(await window.page.locator(".attachment").count(), 0);
  const refusals = [
    [413, { "Gmessenger-Code": "file_too_large", "Upload-Limit": "maxsize=5" }],
    [507, { "Gmessenger-Code": "file_quota_exceeded" }],
    [429, { "Gmessenger-Code": "too_many_uploads", "Retry-After": "1" }],
  ];
  await window.page.route("**/file", async (route) => {
    if (!refusals.length) return route.fallback();
    const [status, headers] = refusals.shift();
    return route.fulfill({ status, headers, body: "The server says no." });
  });
  await choose(window, file("small.txt", "small"));
  await window.write("a small file");
  await window.page.waitForSelector(".refusal:has-text('at most 5 byte')");
  await window.page.click(".refusal >> text=Try again");
  await window.page.waitForSelector(".refusal:has-text('The server says no.')");
  assert.deepEqual(await window.violations(), []);
  await window.screenshot("files-refused");
  await window.page.click(".refusal >> text=Edit");
  await window.page.waitForSelector(".attachment:has-text('small.txt')");
  assert.equal(await window.page.inputValue("#message"), "a small file");
  await window.page.press("#message", "Enter");
  await window.page.waitForSelector(".refusal.waiting");
  await window.page.waitForSelector(".entry:is(.stored, .delivered) .file");
  window.harm = window.harm.filter((text) => !text.includes("Failed to load resource")); // as it should
  await window.close();
});

test("a guest is told what files need", async () => {
  const window = await Window.open(browser, server);
  await window.enter("visitor", "guest");
  await find(window, "hank");
  await window.page.click("button[aria-label='Attach files']");
  await window.page.waitForSelector(".toast:has-text('account')");
  assert.deepEqual(await window.violations(), []);
  await window.page.click(".toast button:has-text('Settings')");
  await window.page.waitForSelector("dialog >> text=Keep this name");
  await window.close();
});

test("names of files are text, in whichever direction they go", async () => {
  const listener = server.listen("ivan");
  const window = await writing("hank", "ivan");
  window.page.on("dialog", (dialog) => window.harm.push(dialog.message()));
  const check = async () => {
    const shown = await window.page.evaluate(() => ({
      elements: document.querySelectorAll("body script, .log b").length,
      text: `${document.body.innerText} ${[...document.querySelectorAll("[aria-label], [title], [alt]")]
        .map((each) => `${each.ariaLabel} ${each.title} ${each.alt}`)
        .join(" ")}`,
    }));
    assert.equal(shown.elements, 0);
    assert.doesNotMatch(shown.text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/);
  };
  await window.page.locator(".log").evaluate((target, name) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["text"], name));
    target.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
  }, HOSTILE);
  await window.page.waitForSelector(".attachment:has-text('alert')");
  await check();
  await slow(window, 1);
  await window.page.press("#message", "Enter");
  await window.page.waitForSelector(".entry.waiting");
  await check();
  await slow(window);
  const [{ file: sent }] = await received(listener, 1);
  assert.doesNotMatch(sent.name, /[<>\u202e\u0007]/);
  await window.page.waitForSelector(".entry:is(.stored, .delivered) .file");
  await check();
  await window.close();
});

for (const [language, attach] of Object.entries({ en: "Attach files", ru: "Прикрепить файлы" })) {
  test(`on a phone, ${language}: what is attached is seen, reached by keys, and axe finds nothing`, async () => {
    const options = { locale: language === "ru" ? "ru-RU" : "en-GB", width: 320, height: 640 };
    const window = await Window.open(browser, server, { ...options, colorScheme: language === "ru" ? "dark" : "light" });
    await window.enter(language === "ru" ? "judy" : "carol");
    await find(window, "alice");
    const original = await photo(window);
    const chosen = window.page.waitForEvent("filechooser");
    await window.page.locator(`[aria-label="${attach}"]`).focus();
    const { width, height } = await window.page.locator(`[aria-label="${attach}"]`).boundingBox();
    assert.ok(width >= 44 && height >= 44);
    await window.page.keyboard.press("Enter");
    const long = `${"a very long name of a file ".repeat(5)}.pdf`;
    const photos = ["IMG_1.jpg", "IMG_2.jpg"].map((name) => file(name, original, "image/jpeg"));
    await (await chosen).setFiles([...photos, file(long, "%PDF", "application/pdf")]);
    await window.page.waitForSelector(".attachment:has-text('.pdf') .note:has-text('4')");
    await window.screenshot(`files-phone-${language}`);
    assert.deepEqual(await window.violations(), []);
    assert.ok(await window.page.evaluate(() => document.body.scrollWidth <= 320));
    await window.page.locator(".attachment .icon-button").first().focus();
    await window.page.keyboard.press("Enter");
    await until(async () => (await window.page.locator(".attachment").count()) === 2, "two files");
    await until(() => window.page.evaluate(() => document.activeElement.id === "message"), "the focus in the box");
    await window.page.keyboard.press("Enter");
    await window.page.waitForSelector(".entry:is(.stored, .delivered) .file >> nth=1");
    await window.screenshot(`files-phone-sent-${language}`);
    assert.ok(await window.page.evaluate(() => document.querySelector(".log").scrollWidth <= 320));
    await window.close();
  });
}
