/** The page around the views: the list of conversations, the open one, its members. */

import { element, iconButton } from "./dom.js";
import { N_, _ } from "./translations.js";

const PHASES = {
  connecting: N_("connecting"),
  online: N_("connected"),
  waiting: N_("not connected"),
  stopped: N_("not connected"),
};

/** Build the page; returns its parts by name. `actions` has what its buttons do. */
export function buildShell(host, actions) {
  const parts = {};
  const keep = (name, made) => (parts[name] = made);
  const sidebar = element(
    "nav",
    { class: "sidebar", "aria-label": _("Conversations") },
    element(
      "div",
      { class: "bar" },
      element("span", { class: "brand" }, "gmessenger"),
      keep("phase", element("span", { class: "phase", role: "status" })),
    ),
    element(
      "button",
      { type: "button", class: "find", on: { click: actions.find } },
      element("span", {}, _("Find people, rooms, messages")),
      element("kbd", {}, "Ctrl K"),
    ),
    keep("list", element("ul", { class: "conversations" })),
    element(
      "div",
      { class: "bar bottom" },
      iconButton("plus", _("New conversation or room"), actions.start, { class: "icon-button labelled" }),
      iconButton("settings", _("Settings"), actions.settings),
      iconButton("help", _("Help"), actions.help),
    ),
  );
  const header = element(
    "header",
    { class: "bar" },
    iconButton("back", _("Back to the conversations"), actions.back, { class: "icon-button back" }),
    element(
      "div",
      { class: "title" },
      keep("title", element("h2", { tabindex: "-1" })),
      keep("topic", element("p", { class: "topic", dir: "auto" })),
    ),
    keep("peopleButton", iconButton("people", _("Members"), actions.people)),
    iconButton("search", _("Search in this conversation"), actions.search),
    iconButton("more", _("About this conversation"), actions.details),
  );
  const jump = keep(
    "jump",
    element("button", { type: "button", class: "jump", hidden: true, on: { click: actions.jump } }),
  );
  const scroller = keep(
    "scroller",
    element(
      "div",
      { class: "log", tabindex: "0", role: "group", "aria-label": _("Messages") },
      keep("log", element("ol", {})),
    ),
  );
  const composer = keep("composer", element("form", { class: "composer", "aria-label": _("Write") }));
  const main = element(
    "section",
    { class: "conversation", "aria-label": _("Conversation") },
    header,
    keep("banner", element("div", { class: "banner", role: "status", hidden: true })),
    element("div", { class: "log-frame" }, scroller, jump),
    composer,
    keep("empty", element("div", { class: "empty" }, element("p", {}, _("Choose a conversation, or begin one.")))),
  );
  const members = keep("members", element("section", { class: "members", "aria-label": _("Members") }));
  host.className = "shell";
  host.replaceChildren(element("h1", { class: "hidden-text" }, "gmessenger"), sidebar, main, members);
  parts.sidebar = sidebar;
  parts.main = main;
  return parts;
}

/** Show whether there is a connection. */
export function showPhase(parts, phase) {
  parts.phase.textContent = _(PHASES[phase]);
  parts.phase.className = `phase is-${phase}`;
}
