/** Dialogs, forms and short messages. */

import { element, iconButton } from "./dom.js";
import { _ } from "./translations.js";

const TOAST_SECONDS = 8;
let count = 0;

/** Open a dialog; `build(body, close)` fills it, and `onClose()` is called at its end. Returns the dialog. */
export function openDialog(title, build, { className = "", onClose = () => {} } = {}) {
  const id = `dialog-${(count += 1)}`;
  const close = () => dialog.close();
  const body = element("div", { class: "dialog-body" });
  const head = element(
    "div",
    { class: "dialog-head" },
    element("h2", { id, tabindex: "-1" }, title),
    iconButton("close", _("Close"), close),
  );
  const dialog = element("dialog", { class: className, "aria-labelledby": id }, head, body);
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose();
  });
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && close());
  document.body.append(dialog);
  build(body, close);
  dialog.showModal();
  return dialog;
}

/** Show a short message for a while, and have it read aloud. It may have an action: a label and what it does. */
export function toast(text, action) {
  const host = document.querySelector("dialog[open]:last-of-type") ?? document.body;
  const remove = () => shown.remove();
  const act =
    action && element("button", { type: "button", on: { click: () => (remove(), action.run()) } }, action.label);
  const shown = element(
    "div",
    { class: "toast", role: "status" },
    element("span", {}, text),
    act,
    iconButton("close", _("Close"), remove),
  );
  for (const other of document.querySelectorAll(".toast")) other.remove();
  host.append(shown);
  setTimeout(remove, TOAST_SECONDS * 1000);
}

/** Return a form with fields and a button; `onSubmit(values)` may raise what is shown as its error. */
export function form(fields, submitLabel, onSubmit, describeError, attributes = {}) {
  const error = element("p", { class: "error", role: "alert" });
  const submit = element("button", { class: "primary" }, submitLabel);
  const made = element(
    "form",
    { class: "form", ...attributes },
    fields,
    error,
    element("div", { class: "buttons" }, submit),
  );
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.textContent = "";
    submit.disabled = true;
    try {
      await onSubmit(Object.fromEntries(new FormData(made)), made);
    } catch (reason) {
      error.textContent = describeError(reason);
    }
    submit.disabled = false;
  });
  return made;
}

/** Return a field of a form with its label. */
export function field(label, name, attributes = {}, hint = "") {
  const id = `field-${(count += 1)}`;
  const { tag = "input", options, ...rest } = attributes;
  const hintId = hint ? `${id}-hint` : null;
  const input = element(tag, { id, name, "aria-describedby": hintId, ...rest }, options ?? []);
  return element(
    "div",
    { class: "field" },
    element("label", { for: id }, label),
    input,
    hint && element("p", { class: "hint", id: hintId }, hint),
  );
}
