/** The line above the log: what the user should know before writing. */

import { button } from "./dom.js";
import { _ } from "./translations.js";

const LONG = 3; // seconds until the next attempt to connect, above which one may not want to wait

/** Draw the line for the open conversation, if there is anything to say. */
export function renderBanner(banner, page) {
  const content = contentOf(page).filter(Boolean);
  const text = content.map((part) => part.textContent ?? part).join("");
  banner.hidden = !content.length;
  if (banner.textContent !== text) banner.replaceChildren(...content);
}

// The most important of it.
function contentOf(page) {
  const { phase, details } = page.phase;
  const { current } = page.state;
  if (phase === "waiting" || phase === "stopped") {
    const retry = details.retryIn > LONG && button(_("Try now"), () => page.client.connection.check());
    return [_("You are offline. What you write is sent when the connection is back."), retry];
  }
  if (page.hasStorageFailed) return [_("This browser cannot keep anything now: its storage is full, or forbidden.")];
  if (!page.app.storage.isPersistent) return [_("This browser keeps nothing: all is gone when the tab is closed.")];
  if (!current) return [];
  if (current.isClosed) return [_("An operator has closed this room: it can be read, but not written to.")];
  if (current.isRoom && !current.isListed && current.name !== "#all") {
    return [_("You are not in this room."), button(_("Join"), () => page.join(current.name))];
  }
  return page.state.isBlocked(current.name) ? [_("You have blocked this user.")] : [];
}
