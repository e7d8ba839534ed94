/** One entry of the log as an element: a message with its state, reply and reactions, or a notice. */

import { bdi, button, element, iconButton } from "./dom.js";
import { fileView, pathOf } from "./file_view.js";
import { isSame } from "./names.js";
import { noticeParts } from "./notices.js";
import { sanitize } from "./sanitize.js";
import { excerpt, textParts } from "./text_view.js";
import { N_, _, errorText, formatDateTime, formatTime } from "./translations.js";

const HUES = 8; // colours of names, in the style sheet
const STATES = {
  waiting: ["…", N_("waiting to be sent")],
  stored: ["✓", N_("stored by the server")],
  relayed: ["✓", N_("handed over")],
  delivered: ["✓✓", N_("delivered")],
  refused: ["✗", N_("refused")],
};

/** Return which of the colours a name has. */
export function hueOf(name) {
  let sum = 0;
  for (const char of name.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  return `hue-${sum % HUES}`;
}

/** Return the picture of a name: its first letter. */
export function avatar(name) {
  const first = Array.from(sanitize(name.replace(/^#/, ""))).find((char) => /[\p{L}\p{N}]/u.test(char)) ?? "?";
  const shown = name.startsWith("#") ? "#" : first.toUpperCase();
  return element("span", { class: `avatar ${hueOf(name)}`, "aria-hidden": "true" }, shown);
}

/**
 * `isFirst`: it begins a group of one sender. `actions` has what its buttons do; `quoteOf(seq)` returns the entry that
 * a reply is about, if it is known.
 */
export function entryView(entry, { isFirst, isMarked, ownName, canReact, quoteOf, actions }) {
  if (entry.notice) return noticeView(entry);
  const classes = [
    "entry",
    isFirst && "first",
    entry.isOwn && "own",
    entry.isMention && "mention",
    isMarked && "marked",
  ];
  const state = entry.state === undefined ? "" : entry.state;
  return element(
    "li",
    { class: [...classes, state].filter(Boolean).join(" "), tabindex: "-1", "data-seq": entry.seq },
    isFirst ? avatar(entry.sender || "?") : null,
    headView(entry, isFirst),
    entry.about && !entry.erased ? quoteView(entry, quoteOf, actions) : null,
    isNamedOnly(entry) ? null : bodyView(entry, ownName),
    entry.erased ? null : fileView(entry.file),
    entry.attachment ? actions.pendingFile(entry) : null,
    reactionsView(entry, ownName, canReact, actions),
    entry.refusal || entry.reason ? refusalView(entry, actions) : null,
    entry.seq !== undefined && !entry.erased ? toolsView(entry, canReact, actions) : null,
  );
}

function headView(entry, isFirst) {
  const [mark, label] = STATES[entry.state] ?? [];
  const time = formatTime(entry.time);
  const when = entry.time ? formatDateTime(entry.time) : null;
  return element(
    "div",
    { class: "head" },
    element(
      "h3",
      { class: isFirst ? "sender" : "sender hidden-text" },
      bdi(sanitize(entry.sender), { class: hueOf(entry.sender) }),
    ),
    time && element("time", { datetime: new Date(entry.time * 1000).toISOString(), title: when }, time),
    entry.edited &&
      !entry.erased &&
      element("span", { class: "note", title: formatDateTime(entry.edited) }, _("edited")),
    entry.isResent && element("span", { class: "note" }, _("perhaps sent twice")),
    mark && element("span", { class: "state", role: "img", "aria-label": _(label), title: _(label) }, mark),
  );
}

// A file without a text has its name in place of one, which is shown with the file anyway.
function isNamedOnly({ text, file, attachment, erased }) {
  return !erased && (attachment ? !text : file && text === file.name && pathOf(file.url));
}

function bodyView(entry, ownName) {
  if (entry.erased) {
    const { by } = entry.erased;
    const text = by ? _("{name} has erased this message", { name: sanitize(by) }) : _("this message has been erased");
    return element("div", { class: "body erased", dir: "auto" }, text);
  }
  const parts = textParts(entry.text);
  if (entry.kind === "action") parts.unshift("* ", bdi(sanitize(entry.sender || ownName)), " ");
  return element(
    "div",
    { class: entry.kind ? `body ${entry.kind === "action" ? "action" : "bot"}` : "body", dir: "auto" },
    parts,
  );
}

function quoteView(entry, quoteOf, actions) {
  const quoted = quoteOf(entry.about);
  const text = quoted?.erased ? _("this message has been erased") : quoted && excerpt(quoted.text);
  const parts = quoted
    ? [bdi(sanitize(quoted.sender), { class: "quoted-name" }), " ", bdi(text)]
    : [_("an earlier message")];
  const label = quoted
    ? _("Reply to {name}: {text}", { name: sanitize(quoted.sender), text })
    : _("Reply to an earlier message");
  return button(parts, () => actions.openQuoted(entry.about), { class: "quote", "aria-label": label });
}

function reactionsView(entry, ownName, canReact, actions) {
  if (!entry.reactions?.length) return null;
  const buttons = entry.reactions.map(({ text, from, n }) => {
    const isMine = from.some((name) => isSame(name, ownName));
    const names = from.map(sanitize).join(", ") + (n > from.length ? ", …" : "");
    const content = [element("span", {}, sanitize(text)), " ", element("span", { class: "count" }, String(n))];
    const label = `${sanitize(text)} ${n}: ${names}`;
    const attributes = { class: "reaction", "aria-pressed": String(isMine), "aria-label": label, title: names };
    return button(content, () => actions.toggleReaction(entry, text, isMine), { ...attributes, disabled: !canReact });
  });
  return element("div", { class: "reactions" }, buttons);
}

function refusalView(entry, actions) {
  const why = errorText(entry.refusal ?? entry.reason);
  if (!entry.refusal) return element("p", { class: "refusal waiting" }, sanitize(why));
  return element(
    "div",
    { class: "refusal", role: "group", "aria-label": _("This message was refused") },
    element("p", {}, sanitize(why)),
    button(_("Try again"), () => actions.retry(entry)),
    button(_("Edit"), () => actions.editRefused(entry)),
    button(_("Discard"), () => actions.discard(entry)),
  );
}

function toolsView(entry, canReact, actions) {
  return element(
    "div",
    { class: "tools" },
    canReact && iconButton("react", _("React"), () => actions.react(entry), { class: "icon-button wide-only" }),
    iconButton("reply", _("Reply"), () => actions.reply(entry), { class: "icon-button wide-only" }),
    iconButton("more", _("More"), () => actions.openMenu(entry), { "aria-haspopup": "dialog" }),
  );
}

function noticeView(entry) {
  return element(
    "li",
    { class: "notice" },
    element("span", {}, noticeParts(entry)),
    " ",
    element("time", {}, formatTime(entry.time)),
  );
}

/** Return the line between two days. */
export function dayView(text) {
  return element("li", { class: "day" }, element("span", {}, text));
}

/** Return the line before what is new. */
export function newView() {
  return element("li", { class: "day new" }, element("span", {}, _("new")));
}
