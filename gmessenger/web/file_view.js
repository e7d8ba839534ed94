/** The file of a message as an element: a picture is shown, everything else is a link. */

import { bdi, element } from "./dom.js";
import { sanitize } from "./sanitize.js";
import { currentLanguage } from "./translations.js";

const PATH = "/file/"; // of the server that the page is from: nothing is loaded from elsewhere
const MAX_SHOWN = 4 * 1024 * 1024; // bytes of a picture that is loaded without being asked for
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

/** Return the file of a message; null where it has none, or one of another server. */
export function fileView(file) {
  const href = file && pathOf(file.url);
  if (!href) return null;
  const name = sanitize(file.name);
  const attributes = { href, class: "file", target: "_blank", rel: "noopener noreferrer nofollow" };
  const size = formatSize(file.size);
  if (!isShown(file)) return element("a", attributes, bdi(name), " ", element("span", { class: "note" }, size));
  const { width, height } = file;
  const picture = element("img", { src: href, alt: name, loading: "lazy", width, height });
  return element("a", { ...attributes, class: "file picture", title: `${name} ${size}` }, picture);
}

function isShown({ type, size, width, height }) {
  return PICTURES.has(type) && size <= MAX_SHOWN && width > 0 && height > 0;
}

function pathOf(url) {
  if (typeof url !== "string" || !URL.canParse(url, location.origin)) return null;
  const { origin, pathname } = new URL(url, location.origin);
  return origin === location.origin && pathname.startsWith(PATH) ? pathname : null;
}

function formatSize(size) {
  const power = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), UNITS.length - 1);
  const style = { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumSignificantDigits: 2 };
  return new Intl.NumberFormat(currentLanguage(), style).format(size / 1024 ** power);
}
