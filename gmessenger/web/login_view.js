/** The first screen: to log in, to register, or to come in as a guest. */

import { button, element } from "./dom.js";
import { field, form } from "./dialogs.js";
import { sanitize } from "./sanitize.js";
import { N_, _, currentLanguage, errorText } from "./translations.js";

const MODES = {
  login: [N_("Log in"), N_("Log in")],
  register: [N_("Register"), N_("Register and log in")],
  guest: [N_("Guest"), N_("Enter as a guest")],
};

/**
 * Draw the screen into `host`. `name` and `invite` fill in its fields, `response` is a refusal to be shown;
 * `onEnter({ name, password, invite, isNew })` is called, and before it `onType()` with each key.
 */
export function renderLogin(
  host,
  { name = "", invite = "", mode = invite ? "register" : "login", response, note, footer, onEnter, onType },
) {
  const error = response ? errorText(response) : "";
  const choose = (next) => {
    const typed = Object.fromEntries(new FormData(host.querySelector("form")));
    renderLogin(host, { name: typed.name, invite: typed.invite ?? invite, mode: next, note, footer, onEnter, onType });
    host.querySelector(`[data-mode=${next}]`).focus();
  };
  const tabs = Object.entries(MODES).map(([key, [label]]) =>
    button(_(label), () => choose(key), { class: "tab", "aria-pressed": String(key === mode), "data-mode": key }),
  );
  const submit = async (values) => onEnter({ ...values, isNew: mode === "register" });
  const card = element(
    "div",
    { class: "card", on: { input: onType } },
    element("h1", {}, "gmessenger"),
    note && element("p", { class: "note-box" }, note),
    element("div", { class: "tabs", role: "group", "aria-label": _("How to come in") }, tabs),
    form(fieldsOf(mode, name, invite), _(MODES[mode][1]), submit, errorText),
    footer,
  );
  card.querySelector("[role=alert]").textContent = sanitize(error);
  host.replaceChildren(card);
  host.querySelector(name ? "input:not([name=name])" : "input")?.focus();
}

function fieldsOf(mode, name, invite) {
  const common = { autocapitalize: "none", spellcheck: "false", required: true };
  const fields = [
    field(_("Name"), "name", { ...common, value: name, autocomplete: "username", maxlength: "128", dir: "auto" }),
  ];
  if (mode === "guest") {
    return [
      ...fields,
      element("p", { class: "hint" }, _("A guest needs no password. The name is free again when you leave.")),
    ];
  }
  const isNew = mode === "register";
  const hint = isNew ? _("8 characters or more") : "";
  const autocomplete = isNew ? "new-password" : "current-password";
  fields.push(field(_("Password"), "password", { ...common, type: "password", autocomplete }, hint));
  if (isNew)
    fields.push(
      field(
        _("Invite"),
        "invite",
        { value: invite, autocomplete: "off", spellcheck: "false" },
        _("only where the server asks for one"),
      ),
    );
  return fields;
}

/** Return a box in which the language is chosen. */
export function languageSelect(onChange) {
  const names = { en: "English", ru: "Русский" };
  const options = Object.entries(names).map(([value, name]) =>
    element("option", { value, lang: value, selected: value === currentLanguage() }, name),
  );
  return element(
    "label",
    { class: "language" },
    element("span", {}, _("Language")),
    element("select", { on: { change: onChange } }, options),
  );
}
