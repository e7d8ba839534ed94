/** The keys of the page: one table, from which the help is printed, too. */

import { N_ } from "./translations.js";

/** Keys as they are shown, what they do, and how they are recognised; keys of the box are handled by it. */
export const KEYS = [
  ["Enter", N_("send"), null],
  ["Shift Enter", N_("begin a new line"), null],
  ["↑", N_("edit your last message, in an empty box"), null],
  [
    "Alt ↑",
    N_("go to the conversation before"),
    [(event) => event.altKey && event.key === "ArrowUp", (page) => page.step(-1)],
  ],
  [
    "Alt ↓",
    N_("go to the conversation after"),
    [(event) => event.altKey && event.key === "ArrowDown", (page) => page.step(1)],
  ],
  [
    "Alt 1 … 9",
    N_("go to a conversation by its place in the list"),
    [
      (event) => event.altKey && /^Digit[1-9]$/.test(event.code),
      (page, event) => page.openNumber(Number(event.code.at(-1))),
    ],
  ],
  [
    "Alt A",
    N_("go to the next conversation with new messages"),
    [(event) => event.altKey && event.code === "KeyA", (page) => page.openUnread()],
  ],
  [
    "Ctrl K",
    N_("find conversations and messages"),
    [(event) => (event.ctrlKey || event.metaKey) && event.code === "KeyK", (page) => page.find()],
  ],
  [
    "Esc",
    N_("leave a reply, an edit or a search; go to the newest message"),
    [(event) => event.key === "Escape", (page) => page.escape()],
  ],
  ["?", N_("show this help"), [(event) => event.key === "?" && !isTyping(event), (page) => page.dialog("help_dialog")]],
];

/** Have the keys do what the table says; `getPage()` returns the page, if one is logged in. */
export function bindKeys(target, getPage, signal) {
  const onKey = (event) => {
    const page = getPage();
    if (!page || event.isComposing || document.querySelector("dialog[open]")) return;
    const found = KEYS.find(([, , binding]) => binding?.[0](event));
    if (!found) return;
    event.preventDefault();
    found[2][1](page, event);
  };
  target.addEventListener("keydown", onKey, { signal });
}

function isTyping(event) {
  return event.target.matches("input, textarea, select");
}
