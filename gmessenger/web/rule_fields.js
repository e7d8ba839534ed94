/** The rules of a room in a form: of a new room, or of one that there is. */

import { field } from "./dialogs.js";
import { element } from "./dom.js";
import { checkbox } from "./questions.js";
import { RULES } from "./room_rules.js";
import { N_, _ } from "./translations.js";

const NAMES = {
  invited: N_("Who can join"),
  hidden: N_("List of rooms"),
  moderated: N_("Who can write"),
  outside: N_("Writing from outside"),
  topic: N_("Topic"),
  guests: N_("Guests"),
  history: N_("Earlier messages"),
};
/** What the server takes as a key. */
const KEY = { maxlength: "32", pattern: "[^\\s,:][^\\s,]*", autocomplete: "off", autocapitalize: "none" };
const DEFAULTS = {
  ...Object.fromEntries(Object.entries(RULES).map(([rule, [[value]]]) => [rule, value])),
  most: 0,
  key: "",
};

/** Return fields for all rules, with what they are set to; those of `RULES` are chosen by a sentence. */
export function ruleFields(rules = {}) {
  const known = { ...DEFAULTS, ...rules };
  const most = { type: "number", min: "0", max: "1000000", value: String(known.most), inputmode: "numeric" };
  return [
    ...Object.keys(NAMES).map((rule) => choiceField(rule, known[rule])),
    field(_("Most members"), "most", most, _("0: as many as the server allows")),
    ...keyFields(known.key),
  ];
}

/** Return the rules that a form with `ruleFields` has. */
export function rulesOf(values) {
  const chosen = Object.entries(RULES).map(([rule, choices]) => [
    rule,
    choices.find(([value]) => String(value) === values[rule])[0],
  ]);
  return { ...Object.fromEntries(chosen), most: Number(values.most) || 0, key: values.key };
}

/** Return those of them that are not what `rules` are. */
export function changedRules(values, rules) {
  const known = { ...DEFAULTS, ...rules };
  const wanted = { ...rulesOf(values), key: keyOf(values, known.key) };
  return Object.fromEntries(Object.entries(wanted).filter(([rule, value]) => value !== known[rule]));
}

function choiceField(rule, present) {
  const options = RULES[rule].map(([value, sentence]) =>
    element("option", { value: String(value), selected: value === present }, _(sentence)),
  );
  return element(
    "label",
    { class: "field" },
    element("span", {}, _(NAMES[rule])),
    element("select", { name: rule }, options),
  );
}

// Who is not in the room is told that there is a key, but not which.
function keyFields(key) {
  const isSecret = key === true;
  const hint = _("who is not invited must give it to join; no spaces and commas");
  const attributes = { ...KEY, value: isSecret ? "" : key, spellcheck: "false", dir: "auto" };
  const made = field(_("Key"), "key", { ...attributes, placeholder: isSecret ? _("unchanged") : null }, hint);
  return isSecret ? [made, checkbox(_("Remove the key"), "keyless")] : [made];
}

function keyOf({ key, keyless }, present) {
  if (keyless) return "";
  return present === true && !key ? present : key;
}
