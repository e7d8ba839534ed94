/** Entries of the log: messages and notices. An entry is never changed, but replaced. Pure. */

import { isSame } from "./names.js";
import { needsUpload } from "./outbox.js";

/** Return the entry of a received message. */
export function makeEntry(message, ownName, isMention = false) {
  const isOwn = isSame(message.from, ownName);
  const entry = { key: keyOf(message), sender: message.from, text: message.message ?? "", time: message.time, isOwn };
  for (const name of ["seq", "id", "kind", "about", "edited", "reactions", "broadcast", "file"]) {
    if (message[name] !== undefined) entry[name] = message[name];
  }
  if (message.erased) entry.erased = { by: message.by, at: message.at };
  if (isOwn) entry.state = message.seq === undefined ? "relayed" : "stored";
  if (isMention && !isOwn) entry.isMention = true;
  return entry;
}

/** Return the entry of a message of one's own, as it stands in the outbox. */
export function makePending(message, ownName) {
  const { id, to, text, kind, about, time, refusal, reason, isResent, attachment } = message;
  const state = refusal ? "refused" : "waiting";
  return {
    key: `id ${id}`,
    id,
    to,
    sender: ownName,
    text,
    kind,
    about,
    time,
    isOwn: true,
    state,
    refusal,
    reason,
    isResent,
    attachment,
    isUploading: needsUpload(message),
  };
}

/** Return the entry of a queued message that the server has accepted. */
export function makeAccepted(message, ownName, response) {
  const { id, kind, about, isResent } = message;
  const { seq, time, file } = response;
  const text = message.text || (file?.name ?? ""); // as the server has it
  const entry = { key: seq === undefined ? `id ${id}` : `seq ${seq}`, id, sender: ownName, text, time, isOwn: true };
  for (const [name, value] of Object.entries({ seq, kind, about, isResent, file }))
    if (value !== undefined) entry[name] = value;
  return { ...entry, state: seq === undefined ? "relayed" : "stored" };
}

/** Return an amendment of one's own that the server has accepted, as others get it. */
export function makeAmendment({ to, text, about, what }, ownName, { seq, time }) {
  return { from: ownName, to, message: text, about, what, seq, time };
}

/** Return the entry of something that has happened; `kind` names the sentence. */
export function makeNotice(kind, values, time) {
  return { key: `notice ${(noticeCount += 1)}`, notice: kind, values, time };
}

let noticeCount = 0;
let unnumberedCount = 0;

function keyOf({ seq, id }) {
  if (seq !== undefined) return `seq ${seq}`;
  return id === undefined ? `live ${(unnumberedCount += 1)} ${Math.random()}` : `id ${id}`;
}

/** Return an entry as an amendment leaves it; `by` is who made the amendment. The same entry where nothing changes. */
export function amend(entry, { what, message, from, time, erased, by }) {
  if (entry.erased) return entry;
  if (what === "erase" || erased) return erase(entry, what === "erase" ? (by ?? from) : undefined, time);
  if (what === "edit") return { ...entry, text: message, edited: time };
  if (what === "react") return { ...entry, reactions: addReaction(entry.reactions ?? [], message, from) };
  if (what === "unreact") return { ...entry, reactions: removeReaction(entry.reactions ?? [], message, from) };
  return entry;
}

function erase(entry, by, at) {
  const { key, seq, id, sender, time, isOwn, state } = entry;
  return { key, seq, id, sender, time, isOwn, state, text: "", erased: { by, at } };
}

function addReaction(reactions, text, from) {
  const found = reactions.find((reaction) => reaction.text === text);
  if (!found) return [...reactions, { text, from: [from], n: 1 }];
  if (found.from.some((name) => isSame(name, from))) return reactions;
  const more = { ...found, from: [...found.from, from], n: found.n + 1 };
  return reactions.map((reaction) => (reaction === found ? more : reaction));
}

function removeReaction(reactions, text, from) {
  const found = reactions.find((reaction) => reaction.text === text);
  if (!found) return reactions;
  const names = found.from.filter((name) => !isSame(name, from));
  if (names.length === found.from.length && found.n === names.length) return reactions;
  const fewer = { ...found, from: names, n: found.n - 1 };
  return reactions.flatMap((reaction) => (reaction === found ? (fewer.n > 0 ? [fewer] : []) : [reaction]));
}

/** Return a function that says whether a text has the name or a highlight as a word, also behind an @. */
export function mentionFinder(ownName, highlights = []) {
  const words = [ownName, ...highlights].map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|");
  const pattern = new RegExp(`(?<![\\p{L}\\p{M}\\p{N}_])@?(?:${words})(?![\\p{L}\\p{M}\\p{N}_])`, "iu");
  return (text) => pattern.test(text);
}
