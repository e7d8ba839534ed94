/** The rules of a room and the roles of its members: what they mean, and who may change them. */

import { N_, _, ngettext } from "./translations.js";

/** The roles in a room, the highest first, with their names. */
export const ROLES = {
  owner: N_("owner"),
  moderator: N_("moderator"),
  speaker: N_("speaker"),
  member: N_("member"),
};
const RANKS = { member: 0, speaker: 1, moderator: 2, owner: 3 };

/** The rules with their values, the default first, and what each value means; `most` is a number, `key` a text. */
export const RULES = {
  invited: [
    [false, N_("all users can join")],
    [true, N_("only who is invited can join")],
  ],
  hidden: [
    [false, N_("the room is in the list of rooms")],
    [true, N_("the room is not in the list of rooms")],
  ],
  moderated: [
    [false, N_("all members can write")],
    [true, N_("only speakers, moderators and owners can write")],
  ],
  topic: [
    ["all", N_("all accounts in the room can set the topic")],
    ["moderators", N_("only moderators and owners can set the topic")],
  ],
  guests: [
    [true, N_("guests can join, too")],
    [false, N_("only accounts can join")],
  ],
  history: [
    ["joined", N_("who joins can read what is sent from then on")],
    ["all", N_("who joins can read everything that was sent before")],
  ],
  outside: [
    [false, N_("only who is in the room can write to it")],
    [true, N_("who is not in the room can write to it, too")],
  ],
};

/** Return what a rule's value means; empty for a rule of a later release. */
export function ruleText(key, value) {
  if (key === "most") {
    if (!value) return _("the room can have as many members as the server allows");
    return ngettext("the room can have {count} member", "the room can have {count} members", value);
  }
  if (key === "key") return value ? _("who joins must give the key") : _("no key is needed to join");
  const found = RULES[key]?.find(([each]) => each === value);
  return found ? _(found[1]) : "";
}

/** Return whether a role is `least` or a higher one. */
export function hasRank(role, least) {
  return (RANKS[role] ?? 0) >= RANKS[least];
}

/** Return whether a role may remove members of another role, or change it. */
export function mayActOn(role, other) {
  return hasRank(role, "moderator") && RANKS[role] > (RANKS[other] ?? 0);
}

/** Return the roles that a role may give. */
export function rolesToGive(role) {
  if (role === "owner") return Object.keys(ROLES);
  return hasRank(role, "moderator") ? ["speaker", "member"] : [];
}
