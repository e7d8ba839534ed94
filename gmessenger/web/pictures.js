/** Pictures made ready to be sent: smaller, upright, and without the place and the camera that they may name. */

const MAX_SIDE = 2048; // pixels
const MAX_BYTES = 64 * 1024 * 1024; // of a picture that is decoded
const HEAD_BYTES = 65_536; // that are looked at
const QUALITY = 0.88;
const EXTENSIONS = { "image/jpeg": /\.jpe?g$/i, "image/webp": /\.webp$/i, "image/png": /\.png$/i };
/** First bytes of pictures, and as what they are drawn anew: photos as JPEG, others as WebP, which can be clear. */
const SIGNATURES = [
  [/^\xff\xd8\xff/, "image/jpeg"],
  [/^\x89PNG\r\n\x1a\n/, "image/webp"],
  [/^RIFF[^]{4}WEBP/, "image/webp"],
  [/^[^]{4}ftyp(?:heic|heix|mif1|msf1)/, "image/jpeg"],
  [/^[^]{4}ftypavif/, "image/webp"],
  [/^BM/, "image/webp"],
];

/** Return as what a picture is drawn anew, by its first bytes; null for an animation, and what is no known picture. */
export function drawnType(bytes) {
  const head = textAt(bytes, 0, 16);
  const found = SIGNATURES.find(([pattern]) => pattern.test(head));
  return found && !isAnimated(bytes) ? found[1] : null;
}

/** Return the size of a picture within a square of so many pixels; it never grows. */
export function fit(width, height, side = MAX_SIDE) {
  const scale = Math.min(1, side / Math.max(width, height));
  return [width, height].map((each) => Math.max(1, Math.round(each * scale)));
}

/** Return the name of a file with the extension of another type. */
export function renamed(name, type) {
  if (EXTENSIONS[type].test(name)) return name;
  return `${name.replace(/\.[^.]{1,5}$/, "")}.${type.split("/")[1].replace("jpeg", "jpg")}`;
}

/** Return a file as it is sent, `{ content, info }`; null for one that is sent as it is. */
export async function preparePicture(file) {
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const type = file.size <= MAX_BYTES ? drawnType(head) : null;
  if (!type) return null;
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (!bitmap) return null;
  const [width, height] = fit(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const content = await canvas.convertToBlob({ type, quality: QUALITY }); // PNG where the browser does not make WebP
  const info = { name: renamed(file.name, content.type), type: content.type, size: content.size, width, height };
  return { content, info };
}

// Of WebP a flag says it, of PNG a chunk before the data.
function isAnimated(bytes) {
  if (textAt(bytes, 0, 4) === "RIFF") return textAt(bytes, 12, 4) === "VP8X" && Boolean(bytes[20] & 2);
  if (textAt(bytes, 1, 3) !== "PNG") return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 8;
  let kind = "";
  while (kind !== "acTL" && kind !== "IDAT" && position + 12 <= bytes.length) {
    kind = textAt(bytes, position + 4, 4);
    position += 12 + view.getUint32(position);
  }
  return kind === "acTL";
}

// Each byte becomes the character of its number.
function textAt(bytes, start, length) {
  return String.fromCharCode(...bytes.subarray(start, start + length));
}
