/** The entries of a conversation as they are shown: with the messages that the server has not answered. Pure. */

import { amend, makePending } from "./entries.js";
import { fold } from "./names.js";

/** Return the entries of a conversation, as messages of the outbox change them, and the messages themselves. */
export function shownEntries(conversation, outbox, state) {
  const queued = [...outbox].filter(({ to }) => fold(to) === conversation.key);
  const amendments = queued.filter(({ what, refusal }) => what && !refusal);
  const entries = conversation.entries
    .filter((entry) => !(conversation.isRoom && entry.sender && !entry.isOwn && state.isBlocked(entry.sender)))
    .map((entry) => amendedBy(amendments, entry, state.ownName));
  if (!conversation.atEnd) return entries;
  return [...entries, ...queued.filter(({ what }) => !what).map((each) => makePending(each, state.ownName))];
}

function amendedBy(amendments, entry, from) {
  const own = amendments.filter(({ about }) => about === entry.seq && entry.seq !== undefined);
  return own.reduce((changed, { what, text, time }) => amend(changed, { what, message: text, from, time }), entry);
}
