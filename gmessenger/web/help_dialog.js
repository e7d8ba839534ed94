/** The keys and the commands, printed from their tables. */

import { COMMANDS } from "./commands.js";
import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { KEYS } from "./keyboard.js";
import { _ } from "./translations.js";

export function show() {
  openDialog(_("Help"), (body) => {
    const keys = KEYS.map(([key, description]) =>
      row(
        key.split(" ").map((each) => element("kbd", {}, each)),
        _(description),
      ),
    );
    const commands = COMMANDS.map(([[name], usage, description]) =>
      row([element("code", {}, `${name} ${_(usage)}`.trim())], _(description)),
    );
    body.setAttribute("tabindex", "0"); // there is nothing else in it that the keyboard could scroll by
    body.append(
      element("h3", {}, _("Keys")),
      element("dl", { class: "table" }, keys),
      element("h3", {}, _("Commands")),
      element("p", { class: "hint" }, _("They are written where messages are written.")),
      element("dl", { class: "table" }, commands),
    );
  });
}

function row(term, description) {
  return element("div", {}, element("dt", {}, term), element("dd", {}, description));
}
