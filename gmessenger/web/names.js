/** Names of users and rooms: when two are the same, and to which conversation a message belongs. */

export const BROADCAST = "#all";
const ASCII = /^[\x00-\x7f]*$/;

/** Return the key of a name: the same for all its spellings, as the server folds it. */
export function fold(name) {
  return ASCII.test(name)
    ? name.toLowerCase()
    : Array.from(name.normalize("NFKC"), foldChar).join("").normalize("NFKC");
}

/** Return whether a name, or its key, is a room's; also true for broadcasts. */
export function isRoom(name) {
  return name.startsWith("#");
}

/** Return whether two names are of the same user or room. */
export function isSame(name, other) {
  return fold(name) === fold(other);
}

/** Return the name of the conversation of a message: its room, or the other user. */
export function conversationOf(message, ownName) {
  if (message.broadcast) return BROADCAST;
  return isRoom(message.to) || isSame(message.from, ownName) ? message.to : message.from;
}

/** Return a message of the history with what it leaves out: of erased ones, who wrote them to whom, and when. */
export function completeMessage(message, conversation, ownName) {
  const isToOther = isRoom(conversation) || (message.from !== undefined && isSame(message.from, ownName));
  const from = isRoom(conversation) ? "" : conversation;
  return { from, to: isToOther ? conversation : ownName, time: message.at ?? 0, message: "", ...message };
}

// Full case folding where lower case is not enough: ß is ss, ᾳ is αι.
function foldChar(char) {
  const lower = char.toLowerCase();
  const upper = lower.toUpperCase();
  const folded = Array.from(upper).length > 1 ? Array.from(upper, (each) => each.toLowerCase()).join("") : lower;
  return folded === "ς" ? "σ" : folded;
}
