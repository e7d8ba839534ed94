/** Settings: of the account, for all its devices, and of this browser. */

import { notificationState } from "./attention.js";
import { field, form, openDialog, toast } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { greetingLines } from "./greeting.js";
import { languageSelect } from "./login_view.js";
import { fold } from "./names.js";
import { applyTheme, preferences, setPreferences } from "./preferences.js";
import { sanitize } from "./sanitize.js";
import { N_, _, errorText } from "./translations.js";

const THEMES = [
  ["auto", N_("as the system")],
  ["light", N_("light")],
  ["dark", N_("dark")],
];
const JOINS = [
  ["shown", N_("each of them")],
  ["gathered", N_("in one line")],
  ["hidden", N_("not at all")],
];
const NOTIFICATIONS = {
  impossible: N_("This browser shows no notifications here."),
  refused: N_("The browser refuses notifications of this page; its settings can allow them."),
  on: N_("You are notified of direct messages and mentions while the page is open elsewhere."),
  push: N_("You are notified of direct messages and mentions, also while the page is closed."),
  off: N_("You are not notified of messages."),
};

export function show(page) {
  openDialog(_("Settings"), (body, close) => {
    const { state } = page;
    const parts = [accountPart(page, close), statusPart(page), browserPart(page, close)];
    if (state.isAccount) parts.push(attentionPart(page), blocksPart(page));
    body.append(...parts, aboutPart(state));
  });
}

function accountPart(page, close) {
  const { state } = page;
  const who = element("p", {}, bdi(sanitize(state.ownName)), " — ", state.isAccount ? _("an account") : _("a guest"));
  const open = (kind) => () => (close(), page.dialog("account_dialogs", kind));
  const kinds = state.isAccount
    ? [
        ["password", _("Change the password")],
        ["devices", _("Devices")],
        ["export", _("Download my messages")],
        ["forget", _("Delete the account"), "danger"],
      ]
    : [["register", _("Keep this name")]];
  kinds.push(["logout", _("Log out"), "danger"]);
  const buttons = kinds.map(([kind, label, className]) => button(label, open(kind), { class: className ?? "" }));
  return element("section", {}, element("h3", {}, _("You")), who, element("div", { class: "buttons wrap" }, buttons));
}

function statusPart(page) {
  const { status, note } = page.state.status;
  const options = [
    ["online", _("online")],
    ["away", _("away")],
  ].map(([value, label]) => element("option", { value, selected: value === status }, label));
  const save = async ({ status: chosen, note: text }) => {
    await page.client.request({ action: "status", status: chosen, ...(text ? { note: text } : {}) });
    page.state.status = { status: chosen, note: text };
    toast(_("Your status is set."));
  };
  const fields = [
    field(_("Status"), "status", { tag: "select", options }),
    field(_("Note on it"), "note", { value: note, maxlength: "200", dir: "auto", autocomplete: "off" }),
  ];
  return element("section", {}, form(fields, _("Set the status"), save, errorText));
}

function browserPart(page, close) {
  const changeLanguage = async (event) => {
    await page.app.changeLanguage(event.target.value);
    close();
    show(page);
  };
  const changeTheme = (event) => {
    setPreferences({ theme: event.target.value });
    applyTheme();
  };
  const part = element(
    "section",
    {},
    element("h3", {}, _("This browser")),
    languageSelect(changeLanguage),
    choiceField(_("Colours"), THEMES, preferences.theme, changeTheme),
    notificationsView(page),
  );
  if (isPhoneOfApple())
    part.append(
      element("p", { class: "hint" }, _("To install, and to be notified: tap Share, then Add to Home Screen.")),
    );
  return part;
}

function choiceField(label, choices, present, change) {
  const options = choices.map(([value, name]) => element("option", { value, selected: value === present }, _(name)));
  return element(
    "label",
    { class: "field" },
    element("span", {}, label),
    element("select", { on: { change } }, options),
  );
}

function notificationsView(page) {
  const view = element("div", { class: "action-row" });
  const draw = () => {
    const state = notificationState();
    const turn = async () => {
      const isOn = state !== "on" && (await Notification.requestPermission()) === "granted";
      setPreferences({ notifications: isOn });
      await page.app.comparePush();
      draw();
    };
    const label = state === "on" ? _("Turn off") : _("Turn on");
    const isPossible = ["on", "off"].includes(state);
    const text = NOTIFICATIONS[state === "on" && page.app.push?.isOn ? "push" : state];
    view.replaceChildren(element("span", { role: "status" }, _(text)), isPossible ? button(label, turn) : "");
  };
  draw();
  return view;
}

function attentionPart(page) {
  const { settings } = page.state;
  const set = async (changes) => {
    const response = await page.client.request({ action: "settings", set: changes });
    page.state.applySettings(response.settings);
  };
  const saveWords = async ({ highlights }) => {
    await set({
      highlights: highlights
        .split(",")
        .map((word) => word.trim())
        .filter(Boolean),
    });
    toast(_("The words are set."));
  };
  const changeJoins = (event) => set({ joins: event.target.value }).catch((error) => toast(errorText(error)));
  const attributes = { value: settings.highlights.join(", "), dir: "auto", autocomplete: "off" };
  const hint = _("with commas between; your name always counts");
  return element(
    "section",
    {},
    element("h3", {}, _("On all your devices")),
    choiceField(_("Show who joins and leaves"), JOINS, settings.joins, changeJoins),
    form(
      [field(_("Words that count as a mention"), "highlights", attributes, hint)],
      _("Set the words"),
      saveWords,
      errorText,
      { class: "form inline" },
    ),
  );
}

function blocksPart(page) {
  const list = element("ul", { class: "plain" });
  const draw = () => {
    const rows = [...page.state.blocks.values()].map((name) =>
      element(
        "li",
        { class: "action-row" },
        bdi(sanitize(name)),
        button(_("Unblock"), () => unblock(name)),
      ),
    );
    list.replaceChildren(...(rows.length ? rows : [element("li", { class: "hint" }, _("nobody"))]));
  };
  const unblock = async (name) => {
    if (!(await page.ask({ action: "unblock", user: name }))) return;
    page.state.blocks.delete(fold(name));
    for (const topic of ["list", "log"]) page.invalidate(topic);
    draw();
  };
  draw();
  return element("details", {}, element("summary", {}, _("Blocked users")), list);
}

function aboutPart({ alert, serverName }) {
  const lines = greetingLines(alert).map((line) => element("p", { class: "hint", dir: "auto" }, line));
  return element(
    "section",
    {},
    element("h3", {}, _("This server")),
    lines,
    element("p", { class: "hint" }, sanitize(serverName)),
  );
}

function isPhoneOfApple() {
  return /iPhone|iPad/.test(navigator.userAgent) && !window.matchMedia("(display-mode: standalone)").matches;
}
