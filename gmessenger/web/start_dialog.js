/** To begin a conversation: with a person, in a room that there is, or in a new one. */

import { field, form, openDialog } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { avatar } from "./entry_view.js";
import { memberButton } from "./members_view.js";
import { fold, isSame } from "./names.js";
import { checkbox } from "./questions.js";
import { ruleFields, rulesOf } from "./rule_fields.js";
import { sanitize } from "./sanitize.js";
import { N_, _, errorText, ngettext } from "./translations.js";

const TABS = { people: N_("Write to somebody"), rooms: N_("Rooms"), make: N_("Make a room") };
const PANES = { people: peoplePane, rooms: roomsPane, make: makePane };

export function show(page, first = "people") {
  const build = (body, close) => {
    const tabs = element("div", { class: "tabs", role: "group", "aria-label": _("What to begin") });
    const pane = element("div", { class: "pane" });
    const choose = (key) => {
      for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.mode === key));
      pane.replaceChildren();
      PANES[key](page, pane, close);
    };
    const shown = Object.entries(TABS).filter(([key]) => key !== "make" || page.state.isAccount);
    tabs.append(
      ...shown.map(([key, label]) => button(_(label), () => choose(key), { class: "tab", "data-mode": key })),
    );
    body.append(tabs, pane);
    choose(first);
  };
  openDialog(_("New conversation or room"), build);
}

function peoplePane(page, pane, close) {
  const open = (name) => (close(), page.open(name));
  const named = form(
    [field(_("Name"), "name", nameAttributes())],
    _("Write"),
    ({ name }) => open(name.trim().replace(/^@/, "")),
    errorText,
    { class: "form inline" },
  );
  const list = element("ul", {});
  pane.append(named, element("h3", {}, _("Online now")), list);
  const fill = (users) => {
    const others = users.filter(({ account_name: name }) => !isSame(name, page.state.ownName));
    for (const { account_name: name, status, note } of others) page.state.presence.set(fold(name), { status, note });
    const rows = others.map(({ account_name: name }) =>
      element("li", {}, memberButton({ name, role: "member" }, page.state, open)),
    );
    list.replaceChildren(...(rows.length ? rows : [element("li", { class: "hint" }, _("nobody else"))]));
  };
  load(
    list,
    page.client.requestAll({ action: "users" }, "users", (user) => user.account_name),
    fill,
  );
}

function roomsPane(page, pane, close) {
  const join = async (room) => (await page.join(room)) && (close(), page.focus());
  const named = form(
    [field(_("Room"), "room", { ...nameAttributes(), placeholder: "#" })],
    _("Join"),
    ({ room }) => join(room.trim()),
    errorText,
    { class: "form inline" },
  );
  const list = element("ul", { class: "results" });
  pane.append(named, element("h3", {}, _("Rooms that there are")), list);
  const fill = (rooms) => {
    const rows = rooms.map((room) => roomView(room, page, () => join(room.room)));
    list.replaceChildren(...(rows.length ? rows : [element("li", { class: "hint" }, _("none yet"))]));
  };
  load(
    list,
    page.client.requestAll({ action: "rooms" }, "rooms", (room) => room.room),
    fill,
  );
}

function roomView({ room, topic, members, closed }, page, onClick) {
  const isIn = page.state.find(room)?.isListed;
  const count = ngettext("{count} member", "{count} members", members);
  const about = [closed && _("closed"), isIn && _("you are in it"), count].filter(Boolean).join(", ");
  const content = [
    avatar(room),
    element("span", { class: "name" }, bdi(sanitize(room))),
    element("span", { class: "time" }, about),
    topic && element("span", { class: "preview" }, bdi(sanitize(topic))),
  ];
  return element("li", {}, button(content, onClick, { class: "result" }));
}

function makePane(page, pane, close) {
  const make = async (values) => {
    const room = `#${values.room.trim().replace(/^#/, "")}`;
    const rules = values.private ? { ...rulesOf(values), invited: true, hidden: true } : rulesOf(values);
    if (await page.join(room, page.state.features.includes("rules") ? { rules } : {})) close(), page.focus();
  };
  const more = element("details", {}, element("summary", {}, _("More rules")), ruleFields());
  const isPrivate = checkbox(_("Private: only who is invited can find and join it"), "private");
  pane.append(
    form(
      [field(_("Name of the room"), "room", { ...nameAttributes(), placeholder: "#" }), isPrivate, more],
      _("Make the room"),
      make,
      errorText,
    ),
  );
}

function nameAttributes() {
  return {
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: "129",
    dir: "auto",
  };
}

/** Show that something is loading in a list, and then what was loaded, or why it was not. */
export async function load(list, promise, fill) {
  list.replaceChildren(element("li", { class: "hint" }, _("loading…")));
  try {
    fill(await promise);
  } catch (error) {
    list.replaceChildren(element("li", { class: "error" }, errorText(error)));
  }
}
