/** Texts of messages as elements: links, code, and what is hidden made visible. */

import { element } from "./dom.js";
import { sanitize, sanitizeLines } from "./sanitize.js";

const CODE_BLOCK = /```(?:[a-z0-9+-]*\n)?([^]*?)```\n?/g;
const CODE_SPAN = /`([^`\n]+)`/g;
const LINK = /\bhttps?:\/\/[^\s<>"'`\u0000-\u0020]+/giu;
/** Bold, colours and the like of IRC clients: what they say is said without them, too. */
const FORMATTING = /[\x02\x0f\x11\x16\x1d-\x1f]|\x03(?:\d{1,2}(?:,\d{1,2})?)?|\x04(?:[\da-f]{6})?/gi;
const TRAILING = ".,;:!?…»”’)]}";

/** Return the parts of a message's text: strings and elements. */
export function textParts(text) {
  return split(
    text.replace(FORMATTING, ""),
    CODE_BLOCK,
    (code) => element("pre", { dir: "auto" }, element("code", {}, sanitizeLines(trimNewline(code)))),
    (plain) => split(plain, CODE_SPAN, (code) => element("code", {}, sanitize(code)), linkParts),
  );
}

/** Return a text in one line, cut to some characters. */
export function excerpt(text, length = 120) {
  const line = sanitize(text.replace(FORMATTING, "").replaceAll(/\s+/g, " ").trim());
  const characters = Array.from(line);
  return characters.length > length ? `${characters.slice(0, length).join("")}…` : line;
}

// Calls `inner` with the first group of each match, and `outer` with what is between.
function split(text, pattern, inner, outer) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) parts.push(...outer(text.slice(end, match.index)));
    parts.push(inner(match[1]));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push(...outer(text.slice(end)));
  return parts;
}

function linkParts(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const url = trimLink(match[0]);
    const href = parseLink(url);
    if (!href) continue;
    parts.push(sanitizeLines(text.slice(end, match.index)));
    const attributes = { href, target: "_blank", rel: "noopener noreferrer nofollow" };
    parts.push(element("a", attributes, sanitize(url)));
    end = match.index + url.length;
  }
  parts.push(sanitizeLines(text.slice(end)));
  return parts.filter((part) => part !== "");
}

// Punctuation behind a link is the sentence's; a bracket belongs to the link if it was opened there.
function trimLink(url) {
  let trimmed = url;
  while (TRAILING.includes(trimmed.at(-1))) {
    const last = trimmed.at(-1);
    const open = { ")": "(", "]": "[", "}": "{" }[last];
    if (open && trimmed.split(open).length >= trimmed.split(last).length) return trimmed;
    trimmed = trimmed.slice(0, -1);
  }
  return trimmed;
}

function parseLink(url) {
  try {
    const { protocol, href, hostname } = new URL(url);
    return ["http:", "https:"].includes(protocol) && hostname ? href : null;
  } catch {
    return null;
  }
}

function trimNewline(code) {
  return code.replace(/\n$/, "");
}
