/** The greeting of the server, as the settings show it. */

import { sanitize } from "./sanitize.js";
import { N_, _, ngettext } from "./translations.js";

const GREETINGS = [
  N_("Messages of accounts and rooms are kept for good, messages between guests not at all."),
  N_("Messages of accounts and rooms are kept until the server stops, guests' messages not at all."),
  N_("An account that joins a room may read all that is kept of it, unless the room's rules say otherwise."),
  N_("An account that joins a room may read what is said from then on, unless the room's rules say otherwise."),
];

/** Return the lines of the server's greeting. */
export function greetingLines(alert) {
  return alert
    .split("\n")
    .filter(Boolean)
    .map((line) => sanitize(greetingText(line)));
}

/** Return a line of the server's greeting: translated where it is the server's own, and not the owner's. */
export function greetingText(line) {
  const days = /^Messages of accounts and rooms are kept for (\d+) days, messages between guests not at all\.$/.exec(
    line,
  );
  if (!days) return GREETINGS.includes(line) ? _(line) : line;
  return ngettext(
    "Messages of accounts and rooms are kept for {count} day, messages between guests not at all.",
    "Messages of accounts and rooms are kept for {count} days, messages between guests not at all.",
    Number(days[1]),
  );
}
