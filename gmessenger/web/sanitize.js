/** What others have written, made visible: the same rules as gmessenger/sanitize.py has for terminals. */

const TAB = "    ";
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const BIDI_CONTROL = /[\u202a-\u202e\u2066-\u2069]/;
const FORMAT = /\p{Cf}/u;
const LINE_SEPARATOR = /[\p{Zl}\p{Zp}]/u;
const JOINERS = "\u200c\u200d"; // needed to write some scripts and emoji

/** Return a text in one line: controls as `^X`, bidi controls and non-characters as `<202e>`, hidden ones removed. */
export function sanitize(text) {
  return text.replace(UNPRINTABLE, visible);
}

/** Return a text with each of its lines sanitized. */
export function sanitizeLines(text) {
  return text.replaceAll("\r\n", "\n").split("\n").map(sanitize).join("\n");
}

function visible(char) {
  if (char === "\t") return TAB;
  if (JOINERS.includes(char)) return char;
  if (BIDI_CONTROL.test(char)) return hex(char);
  if (FORMAT.test(char)) return "";
  if (LINE_SEPARATOR.test(char)) return " ";
  const code = char.codePointAt(0);
  return code < 0x80 ? `^${String.fromCharCode(code ^ 0x40)}` : hex(char);
}

function hex(char) {
  return `<${char.codePointAt(0).toString(16).padStart(2, "0")}>`;
}
