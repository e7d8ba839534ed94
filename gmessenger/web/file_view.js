/** The file of a message as an element: a picture is shown, everything else is a link. */

import { bdi, element } from "./dom.js";
import { sanitize } from "./sanitize.js";
import { formatSize } from "./translations.js";

const PATH = "/file/"; // of the server that the page is from: nothing is loaded from elsewhere
const MAX_SHOWN = 4 * 1024 * 1024; // bytes of a picture that is loaded without being asked for
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const SHOWN_WIDTH = 420; // pixels within which a picture is shown
const SHOWN_HEIGHT = 320;
/** The pictures that this page has sent itself, by their paths: URLs of blobs, which need not be loaded. */
export const localCopies = new Map();

/** Return the file of a message; null where it has none, or one of another server. */
export function fileView(file) {
  const href = file && pathOf(file.url);
  if (!href) return null;
  const name = sanitize(file.name);
  const attributes = { href, class: "file", target: "_blank", rel: "noopener noreferrer nofollow" };
  const size = formatSize(file.size);
  if (!isShown(file)) return element("a", attributes, bdi(name), " ", element("span", { class: "note" }, size));
  const picture = pictureView(localCopies.get(href) ?? href, name, file);
  return element("a", { ...attributes, class: "file picture", title: `${name} ${size}` }, picture);
}

/** Return a picture, which takes its room before it is loaded. */
export function pictureView(src, alt, { width, height }) {
  const scale = Math.min(1, SHOWN_WIDTH / width, SHOWN_HEIGHT / height);
  const [shownWidth, shownHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  return element("img", { src, alt, loading: "lazy", width: shownWidth, height: shownHeight });
}

/** Return whether a file is a picture that is shown. */
export function isShown({ type, size, width, height }) {
  return PICTURES.has(type) && size <= MAX_SHOWN && width > 0 && height > 0;
}

/** Return the path of a file on the server that the page is from; null for any other URL. */
export function pathOf(url) {
  if (typeof url !== "string" || !URL.canParse(url, location.origin)) return null;
  const { origin, pathname } = new URL(url, location.origin);
  return origin === location.origin && pathname.startsWith(PATH) ? pathname : null;
}
