/** The hooks of a room: other programs post to it by them. For its owners, in the dialog about the room. */

import { field, form, toast } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { confirm } from "./questions.js";
import { sanitize } from "./sanitize.js";
import { load } from "./start_dialog.js";
import { _, errorText, formatDateTime } from "./translations.js";

/** Return the part of the dialog; `request(frame)` asks the server about the room. */
export function hooksPart(request) {
  const list = element("ul", { class: "plain" });
  const made = element("div", { class: "pane" });
  const refresh = () =>
    load(list, request({ action: "hooks" }), ({ hooks }) => {
      const rows = hooks.map((hook) => hookView(hook, () => remove(hook.name)));
      list.replaceChildren(...(rows.length ? rows : [element("li", { class: "hint" }, _("none yet"))]));
    });
  const remove = async (name) => {
    if (!(await confirm(_("Revoke the hook {name}?", { name: sanitize(name) }), _("Revoke")))) return;
    await request({ action: "unhook", name }).catch((error) => toast(errorText(error)));
    refresh();
  };
  const make = async ({ name }) => {
    made.replaceChildren(addressView(await request({ action: "hook", name: name.trim() })));
    refresh();
  };
  const attributes = { required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false", dir: "auto" };
  const making = form([field(_("Name"), "name", attributes)], _("Make a hook"), make, errorText, {
    class: "form inline",
  });
  const part = element("details", {}, element("summary", {}, _("Hooks")), list, making, made);
  part.addEventListener("toggle", () => part.open && refresh());
  return part;
}

function hookView({ name, by, used, inactive }, remove) {
  const about = [
    by && _("by {name}", { name: sanitize(by) }),
    used && _("used last {time}", { time: formatDateTime(used) }),
    inactive && _("it may not post any more"),
  ].filter(Boolean);
  const text = element("span", {}, bdi(sanitize(name)), " ", element("small", {}, about.join(", ")));
  return element("li", { class: "action-row" }, text, button(_("Revoke"), remove, { class: "danger" }));
}

function addressView({ url, token }) {
  const address = url ?? token;
  const copy = () =>
    navigator.clipboard.writeText(address).then(
      () => toast(_("Copied.")),
      () => toast(_("The browser does not allow it.")),
    );
  const hint = _("Programs post to this address. It is shown only now.");
  const shown = field(_("Address"), "address", { value: address, readonly: true }, hint);
  return element("div", { class: "form inline" }, shown, element("div", { class: "buttons" }, button(_("Copy"), copy)));
}
