/** Elements from texts and a few attributes. Text is text: nothing here, or anywhere, parses HTML. */

const ATTRIBUTES = new Set(
  (
    "class id type role name value href title lang dir hidden disabled for datetime placeholder maxlength " +
    "autocomplete autofocus readonly " +
    "tabindex rows enterkeyhint inputmode required checked selected target rel spellcheck autocapitalize d viewBox " +
    "min max pattern multiple src alt loading width height"
  ).split(" "),
);

/**
 * Return an element. Attributes are of a fixed set, or begin with `aria-` or `data-`; `on` has listeners by event.
 * True and false set and leave out an attribute. Children are elements and texts; null and undefined are left out.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, attributes);
  made.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function fill(made, { on = {}, ...attributes }) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
}

/** Set an attribute of the fixed set, or remove it: by false, null or undefined. */
export function setAttribute(target, name, value) {
  if (!ATTRIBUTES.has(name) && !/^(aria|data)-[a-z-]+$/.test(name)) throw new TypeError(`no attribute ${name}`);
  if (value === false || value === null || value === undefined) target.removeAttribute(name);
  else target.setAttribute(name, value === true ? "" : value);
}

/** Return a button that is no form's; `attributes` as of `element`. */
export function button(label, onClick, attributes = {}) {
  return element("button", { type: "button", ...attributes, on: { click: onClick } }, label);
}

/** Return a button that shows an icon, and says its label. */
export function iconButton(name, label, onClick, attributes = {}) {
  return button(icon(name), onClick, { class: "icon-button", "aria-label": label, title: label, ...attributes });
}

/** Return a name, isolated from the direction of the text around it. */
export function bdi(name, attributes = {}) {
  return element("bdi", attributes, name);
}

/** Make the children of a parent those of `items`, in order; a child is made anew only if its version has changed.
 *
 * `keyOf(item)` and `versionOf(item)` are compared, `make(item)` returns the child.
 */
export function reconcile(parent, items, { keyOf, versionOf, make }) {
  const old = new Map();
  for (const child of parent.children) old.set(child.itemKey, child);
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const version = versionOf(item);
    let child = old.get(key);
    old.delete(key);
    if (!child || child.itemVersion !== version) {
      const made = make(item);
      Object.assign(made, { itemKey: key, itemVersion: version });
      if (child) {
        const hadFocus = child.contains(document.activeElement);
        if (child === next) next = made;
        child.replaceWith(made);
        if (hadFocus) (made.matches("button") ? made : made.querySelector("button, [tabindex]"))?.focus();
      }
      child = made;
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of old.values()) child.remove();
}

const ICONS = {
  back: "M15 5l-7 7 7 7",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM16.2 16.2L21 21",
  more: "M5 11a1 1 0 1 0 .010 0zM12 11a1 1 0 1 0 .010 0zM19 11a1 1 0 1 0 .010 0z",
  attach: "M20 11l-8.500 8.500a5 5 0 0 1-7-7l9-9a3.300 3.300 0 0 1 4.700 4.700l-9 9a1.700 1.700 0 0 1-2.400-2.400L15 7",
  send: "M4 12l16-8-6 16-3-7-7-1z",
  plus: "M12 5v14M5 12h14",
  settings: "M4 7h10M18 7h2M16 5v4M4 17h2M10 17h10M8 15v4",
  people:
    "M9 11a4 4 0 1 0 0-8a4 4 0 0 0 0 8zM2 21a7 7 0 0 1 14 0M16 3.5a4 4 0 0 1 0 7.3M18.5 14.5a7 7 0 0 1 3.500 6.500",
  reply: "M10 7L4 12l6 5M4 12h10a6 6 0 0 1 6 6",
  react: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8.500 14a4 4 0 0 0 7 0M9 9.500h.01M15 9.500h.01",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  help: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.3-1 .9-1 1.7M12 17h.01",
  muted: "M6 16V11a6 6 0 0 1 9-5M18 11v5l2 2H8M10 21h4M4 4l16 16",
  pencil: "M4 20l1-5L16 4l4 4L9 19z",
};
const SVG = "http://www.w3.org/2000/svg";

/** Return an icon; it says nothing to screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of [
    ["viewBox", "0 0 24 24"],
    ["class", "icon"],
    ["aria-hidden", "true"],
  ])
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
