/** What one chooses of an entry of the log: one of the things that can be done with it, or a reaction. */

import { openDialog, toast } from "./dialogs.js";
import { button, element } from "./dom.js";
import { isSame } from "./names.js";
import { confirm } from "./questions.js";
import { hasRank } from "./room_rules.js";
import { excerpt } from "./text_view.js";
import { _ } from "./translations.js";

const REACTIONS = ["👍", "❤️", "😂", "🎉", "👀", "✅", "👎", "😢"];

/** Open the dialog of an open conversation: `what` is `menu` or `reactions`; `actions` does what is chosen. */
export function show(page, actions, conversation, entry, what = "menu") {
  if (conversation !== page.state.current) return; // another one was opened meanwhile
  if (what === "menu") openMenu(page, actions, conversation, entry);
  else openReactions(page, actions, conversation, entry);
}

function openMenu(page, actions, conversation, entry) {
  const items = [
    [_("Reply"), () => actions.reply(entry)],
    page.state.isAccount && [_("React"), () => openReactions(page, actions, conversation, entry)],
    entry.isOwn && [_("Edit"), () => actions.edit(entry)],
    [_("Copy the text"), () => copy(entry)],
    !entry.isOwn && [_("About {name}", { name: excerpt(entry.sender, 32) }), () => page.showDetails(entry.sender)],
    mayErase(page.state, conversation, entry) && [_("Erase"), () => erase(actions, conversation, entry), "danger"],
  ].filter(Boolean);
  const build = (body, close) => {
    const rows = items.map(([label, run, kind]) =>
      element(
        "li",
        {},
        button(label, () => (close(), run()), { class: kind ? `menu-item ${kind}` : "menu-item" }),
      ),
    );
    body.append(
      element("p", { class: "quoted", dir: "auto" }, excerpt(entry.text)),
      element("ul", { class: "menu" }, rows),
    );
  };
  openDialog(_("Message"), build, { className: "small" });
}

function openReactions(page, actions, conversation, entry) {
  const build = (body, close) => {
    const choose = (text) => {
      close();
      const isMine = (entry.reactions ?? []).some(
        (each) => each.text === text && each.from.some((name) => isSame(name, page.state.ownName)),
      );
      actions.toggleReaction(entry, text, isMine, conversation);
    };
    const other = element("input", {
      "aria-label": _("Another emoji or character"),
      maxlength: "32",
      autocomplete: "off",
    });
    const form = element(
      "form",
      { class: "inline-form" },
      other,
      element("button", { class: "primary" }, _("React")),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (other.value.trim()) choose(other.value.trim());
    });
    const buttons = REACTIONS.map((text) => button(text, () => choose(text), { class: "emoji" }));
    body.append(element("div", { class: "emojis" }, buttons), form);
  };
  openDialog(_("React"), build, { className: "small" });
}

function mayErase({ isOperator }, { isRoom, role }, entry) {
  return entry.isOwn || (isRoom && (isOperator || hasRank(role, "moderator")));
}

async function erase(actions, conversation, entry) {
  if (await confirm(_("Erase this message for all users?"), _("Erase"))) actions.erase(entry, conversation);
}

async function copy(entry) {
  try {
    await navigator.clipboard.writeText(entry.text);
    toast(_("Copied."));
  } catch {
    toast(_("The browser does not allow it."));
  }
}
