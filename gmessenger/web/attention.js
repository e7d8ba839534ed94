/** What calls for the user's attention: notifications, the title, the number on the icon, and what is read aloud. */

import { preferences } from "./preferences.js";
import { sanitize } from "./sanitize.js";
import { excerpt } from "./text_view.js";
import { _, ngettext } from "./translations.js";
import { shownName } from "./list_view.js";
import { now } from "./connection.js";

const BURST_SECONDS = 1;
const BURST = 3; // messages within that time that are read aloud; more are counted
const KEEP_SECONDS = 4; // for which what was read aloud stays in its region

/** Has new messages of the open conversation read aloud. The log is no live region: it would be read as a whole. */
export class Announcer {
  constructor(region) {
    this._region = region;
    this._lines = [];
    this._timer = null;
  }

  announce(text) {
    this._lines.push(text);
    this._timer ??= setTimeout(() => this._flush(), BURST_SECONDS * 1000);
  }

  _flush() {
    const { length } = this._lines;
    const isMany = length > BURST;
    this._region.textContent = isMany
      ? ngettext("{count} new message", "{count} new messages", length)
      : this._lines.join("\n");
    this._lines = [];
    this._timer = null;
    setTimeout(() => this._timer ?? (this._region.textContent = ""), KEEP_SECONDS * 1000);
  }
}

/** Show in the title, and on the icon of an installed page, how much is unread. */
export function showUnread(count) {
  document.title = count ? `(${count > 999 ? "999+" : count}) gmessenger` : "gmessenger";
  const showing = count ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
  showing?.catch(() => {});
}

/** Return whether notifications are possible, allowed, or refused by the browser. */
export function notificationState() {
  if (!("Notification" in window)) return "impossible";
  if (Notification.permission === "denied") return "refused";
  return preferences.notifications && Notification.permission === "granted" ? "on" : "off";
}

/** Notify of a message, if that is wanted and nobody looks at the page. `onClick()` is called where it is clicked. */
export async function notify(state, conversation, entry, onClick) {
  const level = state.notifyLevel(conversation, now());
  const isWanted = level === "all" || (level === "mentions" && entry.isMention);
  if (!isWanted || document.hasFocus() || entry.kind === "notice" || notificationState() !== "on") return;
  const name = shownName(conversation.name);
  const title = conversation.isRoom ? _("{name} in {room}", { name: sanitize(entry.sender), room: name }) : name;
  const options = {
    body: excerpt(entry.text, 200),
    tag: conversation.key,
    icon: new URL("icon-192.png", import.meta.url).href,
    data: { with: conversation.name },
  };
  try {
    const shown = new Notification(title, options);
    shown.onclick = () => (window.focus(), onClick(), shown.close());
  } catch {
    // Phones show them by the service worker only.
    const registration = await navigator.serviceWorker?.getRegistration();
    await registration?.showNotification(title, options);
  }
}
