/** The members of a room, beside its log where there is room for it. */

import { bdi, button, element } from "./dom.js";
import { avatar } from "./entry_view.js";
import { statusDot } from "./list_view.js";
import { ROLES } from "./room_rules.js";
import { sanitize } from "./sanitize.js";
import { N_, _, formatNumber, ngettext } from "./translations.js";

const MAX_LISTED = 300;
const HOOK = N_("hook");
const STATUSES = { online: N_("online"), offline: N_("offline"), away: N_("away") };

/** Return a user's status in words, with the note on it. */
export function statusText({ status, note }) {
  const shown = status in STATUSES ? _(STATUSES[status]) : sanitize(status);
  return note ? `${shown}: ${sanitize(note)}` : shown;
}

/** Return the members of a conversation in the order in which they are shown: who is here first, then by name. */
export function sortedMembers(conversation, state) {
  const isAway = ({ name }) => Number(["offline", ""].includes(state.statusOf(name).status));
  return [...conversation.members.values()].sort(
    (one, other) => isAway(one) - isAway(other) || one.name.localeCompare(other.name),
  );
}

/** Draw the members; `onPerson(name)` is called for one. */
export function renderMembers(host, conversation, state, onPerson) {
  const members = sortedMembers(conversation, state);
  const items = members.slice(0, MAX_LISTED).map((member) => element("li", {}, memberButton(member, state, onPerson)));
  const rest = members.length - items.length;
  host.replaceChildren(
    element("h2", {}, ngettext("{count} member", "{count} members", members.length)),
    element("ul", {}, items),
    rest > 0 ? element("p", { class: "hint" }, _("and {count} more", { count: formatNumber(rest) })) : "",
  );
}

/** Return a button with a member's name, status and role. */
export function memberButton({ name, role, isBot }, state, onPerson) {
  const status = state.statusOf(name);
  return button(
    [
      element("span", { class: "picture" }, avatar(name), statusDot(status.status)),
      element("span", { class: "name" }, bdi(sanitize(name))),
      isBot || (role !== "member" && ROLES[role])
        ? element("span", { class: "role" }, _(isBot ? HOOK : ROLES[role]))
        : null,
      !["online", "offline", ""].includes(status.status) || status.note
        ? element("span", { class: "preview", dir: "auto" }, statusText(status))
        : null,
    ],
    () => onPerson(name),
    { class: "person" },
  );
}
