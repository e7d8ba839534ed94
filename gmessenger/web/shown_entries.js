/** The entries of a conversation as they are shown: with the messages that the server has not answered. Pure. */

import { amend, makePending } from "./entries.js";
import { fold } from "./names.js";

/** Return the entries of a conversation, as messages of the outbox change them, and the messages themselves. */
export function shownEntries(conversation, outbox, state) {
  const queued = [...outbox].filter(({ to }) => fold(to) === conversation.key);
  const amendments = queued.filter(({ what, refusal }) => what && !refusal);
  const entries = conversation.entries
    .filter((entry) => !isHidden(conversation, entry, state))
    .map((entry) => amendedBy(amendments, entry, state.ownName));
  if (!conversation.atEnd) return entries;
  return [...entries, ...queued.filter(({ what }) => !what).map((each) => makePending(each, state.ownName))];
}

const withoutText = new WeakMap(); // of hidden entries: the same one each time, so that nothing is drawn anew

/** Return the entry that a reply quotes; undefined or null if it is not loaded. One of a blocked user has no text. */
export function quotedEntry(conversation, seq, state) {
  const entry = conversation.entries.find((each) => each.seq === seq) ?? conversation.quoted.get(seq);
  if (!entry || !isHidden(conversation, entry, state)) return entry;
  if (!withoutText.has(entry)) withoutText.set(entry, { ...entry, text: "…" });
  return withoutText.get(entry);
}

function isHidden(conversation, { sender, isOwn }, state) {
  return conversation.isRoom && sender && !isOwn && state.isBlocked(sender);
}

function amendedBy(amendments, entry, from) {
  const own = amendments.filter(({ about }) => about === entry.seq && entry.seq !== undefined);
  return own.reduce((changed, { what, text, time }) => amend(changed, { what, message: text, from, time }), entry);
}
