/** The page's languages: the English sentences are the keys of a catalog, which is `words/LANGUAGE.json`. */

const LANGUAGES = ["en", "ru"];
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];
let catalog = { messages: {}, errors: {} };
let language = "en";
let locale = "en"; // as the browser has it, for dates: en-GB, say
let plural = new Intl.PluralRules("en");

/** Return the languages that there are. */
export function languages() {
  return LANGUAGES;
}

/** Return the first of some languages that there is; English if there is none. */
export function chooseLanguage(wanted) {
  const names = wanted.map((name) => name.toLowerCase().split("-")[0]);
  return names.find((name) => LANGUAGES.includes(name)) ?? "en";
}

/** Use a language from now on; its catalog is `{ messages, errors }`. */
export function setLanguage(name, words = { messages: {}, errors: {} }) {
  language = name;
  catalog = words;
  plural = new Intl.PluralRules(name);
  locale = globalThis.navigator?.languages?.find((each) => each.split("-")[0] === name) ?? name;
}

export function currentLanguage() {
  return language;
}

/** Mark a sentence for the catalog; it is translated later. */
export function N_(sentence) {
  return sentence;
}

/** Translate a sentence, and fill in its `{placeholders}`. */
export function _(sentence, values) {
  const text = catalog.messages[sentence] ?? sentence;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

/** Translate a sentence with a number, `{count}`: in the form that the language has for it. */
export function ngettext(one, many, count, values = {}) {
  const forms = catalog.messages[one];
  const text = Array.isArray(forms) ? forms[formIndex(count)] : count === 1 ? one : many;
  return _(text, { count: formatNumber(count), ...values });
}

/** Return the parts of a translated sentence: texts, and in place of `{placeholders}` the values, such as elements. */
export function phrase(sentence, values) {
  return _(sentence)
    .split(/\{(\w+)\}/)
    .map((part, index) => (index % 2 ? values[part] : part));
}

/** Return why something was refused: a sentence by the code of the response. */
export function errorText({ code, error, limit, retry_after: retryAfter }) {
  if (code === "disconnected") return _("There is no connection to the server.");
  if (limit !== undefined && LIMIT_SENTENCES[code]) return LIMIT_SENTENCES[code](limit);
  if (retryAfter !== undefined && RETRY_SENTENCES[code])
    return RETRY_SENTENCES[code](Math.max(1, Math.ceil(retryAfter)));
  const isGeneric = GENERIC_CODES.includes(code);
  if (language === "en") return error ?? _("The server has refused this.");
  const sentence = catalog.errors[code] ?? error ?? _("The server has refused this.");
  return isGeneric && error && !catalog.messages[error]
    ? _("{sentence} The server says: {own}", { sentence, own: error })
    : sentence;
}

export function formatNumber(count) {
  return new Intl.NumberFormat(language).format(count);
}

/** Return a number of bytes as people read it. */
export function formatSize(size) {
  const power = Math.min(Math.floor(Math.log2(Math.max(size, 1)) / 10), UNITS.length - 1);
  const style = { style: "unit", unit: UNITS[power], unitDisplay: "short", maximumSignificantDigits: 2 };
  return new Intl.NumberFormat(language, style).format(size / 1024 ** power);
}

/** Return the time of day. `time` in Unix seconds; nothing for an unknown time. */
export function formatTime(time) {
  return time ? formatDate(time, { hour: "2-digit", minute: "2-digit" }) : "";
}

/** Return the day, for a line between messages. */
export function formatDay(time) {
  const isThisYear = new Date(time * 1000).getFullYear() === new Date().getFullYear();
  return formatDate(time, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(isThisYear ? {} : { year: "numeric" }),
  });
}

/** Return the day and the time. */
export function formatDateTime(time) {
  return formatDate(time, { dateStyle: "medium", timeStyle: "short" });
}

/** Return when something was, in a few characters: the time if it was today, else the day. */
export function formatShort(time) {
  if (!time) return "";
  const days = Math.round((startOfDay(Date.now()) - startOfDay(time * 1000)) / 86_400_000);
  if (days <= 0) return formatTime(time);
  if (days === 1) return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-1, "day");
  return formatDate(time, days < 300 ? { day: "numeric", month: "short" } : { dateStyle: "short" });
}

function startOfDay(milliseconds) {
  return new Date(milliseconds).setHours(0, 0, 0, 0);
}

const formatters = new Map(); // making one takes long
function formatDate(time, options) {
  const key = `${locale} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat(locale, options));
  return formatters.get(key).format(time * 1000);
}

// Of the forms of a catalog: in the order one, few, many of those that whole numbers have.
function formIndex(count) {
  const used = ["zero", "one", "two", "few", "many", "other"].filter((name) =>
    Array.from({ length: 201 }, (_each, number) => plural.select(number)).includes(name),
  );
  return Math.max(0, used.indexOf(plural.select(count)));
}

const GENERIC_CODES = ["bad_request", "forbidden"];
const LIMIT_SENTENCES = {
  too_long: (limit) =>
    ngettext("A message has at most {count} character.", "A message has at most {count} characters.", limit),
  frame_too_long: (limit) =>
    ngettext("A message may have at most {count} byte.", "A message may have at most {count} bytes.", limit),
  file_too_large: (limit) =>
    _("The file is too large: this server takes at most {size}.", { size: formatSize(limit) }),
  room_full: (limit) =>
    ngettext("The room is full: it can have {count} member.", "The room is full: it can have {count} members.", limit),
};
const RETRY_SENTENCES = {
  too_fast: (seconds) =>
    ngettext("Too many requests; wait {count} second.", "Too many requests; wait {count} seconds.", seconds),
  too_many_failures: (seconds) =>
    ngettext(
      "Too many wrong passwords; try again in {count} second.",
      "Too many wrong passwords; try again in {count} seconds.",
      seconds,
    ),
  too_many_connections: (seconds) =>
    ngettext(
      "There are too many connections from your network; try again in {count} second.",
      "There are too many connections from your network; try again in {count} seconds.",
      seconds,
    ),
};
