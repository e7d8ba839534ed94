/** Questions in the dialogs: yes or no. */

import { openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { _ } from "./translations.js";

/** Ask whether something is to be done; returns a promise of the answer. */
export function confirm(question, doIt, { isDangerous = true } = {}) {
  return new Promise((resolve) => {
    let answer = false;
    const build = (body, close) => {
      const yes = () => ((answer = true), close());
      body.append(
        element(
          "div",
          { class: "buttons" },
          element("button", { type: "button", on: { click: close } }, _("Cancel")),
          element("button", { type: "button", class: isDangerous ? "danger" : "primary", on: { click: yes } }, doIt),
        ),
      );
    };
    openDialog(question, build, { className: "small", onClose: () => resolve(answer) });
  });
}

/** Return a box to tick with its label. */
export function checkbox(label, name, attributes = {}) {
  return element(
    "label",
    { class: "checkbox" },
    element("input", { type: "checkbox", name, ...attributes }),
    element("span", {}, label),
  );
}
