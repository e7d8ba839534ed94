/** The key of a room that has one: it is asked for until one has joined, or does not want to any more. */

import { field, form, openDialog } from "./dialogs.js";
import { element } from "./dom.js";
import { requestJoin } from "./joining.js";
import { sanitize } from "./sanitize.js";
import { _, errorText } from "./translations.js";

/** Ask for the key of a room, and join with it; `error` says why the last one was refused. Returns whether one has. */
export function askForKey(page, room, error = "") {
  return new Promise((resolve) => {
    let isJoined = false;
    const build = (body, close) => {
      const join = async ({ key }) => {
        await requestJoin(page, room, { key: key.trim() });
        isJoined = true;
        close();
        page.focus();
      };
      const attributes = { required: true, maxlength: "32", autocomplete: "off", autocapitalize: "none", dir: "auto" };
      const made = form(
        [field(_("Key"), "key", { ...attributes, spellcheck: "false", autofocus: true })],
        _("Join"),
        join,
        errorText,
      );
      made.querySelector("[role=alert]").textContent = error;
      body.append(element("p", {}, _("Who joins this room must give its key.")), made);
    };
    openDialog(sanitize(room), build, { className: "small", onClose: () => resolve(isJoined) });
  });
}
