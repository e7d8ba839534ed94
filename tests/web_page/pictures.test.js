import assert from "node:assert/strict";
import { test } from "node:test";

import { drawnType, fit, renamed } from "../../gmessenger/web/pictures.js";

const bytes = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const chunk = (name, length = 4) => `\0\0\0${String.fromCharCode(length)}${name}${"\0".repeat(length + 4)}`;
const PNG = `\x89PNG\r\n\x1a\n${chunk("IHDR", 13)}`;

const CASES = [
  ["a photo", "\xff\xd8\xff\xe1", "image/jpeg"],
  ["of a phone", "\0\0\0\x18ftypheic", "image/jpeg"],
  ["png", `${PNG}${chunk("IDAT")}`, "image/webp"],
  ["png with words like those of an animation", `${PNG}${chunk("IDAT")}${chunk("acTL")}`, "image/webp"],
  ["animated png", `${PNG}${chunk("gAMA")}${chunk("acTL", 8)}${chunk("IDAT")}`, null],
  ["webp", "RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x02", "image/webp"],
  ["extended webp", "RIFF\0\0\0\0WEBPVP8X\0\0\0\0\x10", "image/webp"],
  ["animated webp", "RIFF\0\0\0\0WEBPVP8X\0\0\0\0\x12", null],
  ["avif", "\0\0\0\x18ftypavif", "image/webp"],
  ["animated avif", "\0\0\0\x18ftypavis", null],
  ["gif", "GIF89a", null],
  ["svg", "<svg xmlns='http://www.w3.org/2000/svg'>", null],
  ["damaged png", PNG.slice(0, 12), "image/webp"],
  ["nothing", "", null],
];

for (const [what, head, type] of CASES) {
  test(`what becomes of a picture: ${what}`, () => assert.equal(drawnType(bytes(head)), type));
}

test("a chunk that says that it is huge ends the search", () => {
  assert.equal(drawnType(bytes(`${PNG}\xff\xff\xff\xffgAMA\0\0\0\0\0\0\0\0`)), "image/webp");
});

test("the longer side is bounded, and nothing grows", () => {
  assert.deepEqual(fit(4096, 1024), [2048, 512]);
  assert.deepEqual(fit(1000, 8192), [250, 2048]);
  assert.deepEqual(fit(640, 480), [640, 480]);
  assert.deepEqual(fit(65_535, 1), [2048, 1]);
});

test("a name says what the file is now", () => {
  assert.equal(renamed("IMG_1.HEIC", "image/jpeg"), "IMG_1.jpg");
  assert.equal(renamed("photo.JPEG", "image/jpeg"), "photo.JPEG");
  assert.equal(renamed("graph.png", "image/webp"), "graph.webp");
  assert.equal(renamed("no extension", "image/png"), "no extension.png");
});
