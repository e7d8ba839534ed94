/** What it takes to be in a room: the server's consent, and where the room has one, its key. */

import { now } from "./connection.js";
import { toast } from "./dialogs.js";
import { loadModule } from "./modules.js";
import { errorText } from "./translations.js";

/** Join a room, or make it. `more`: its `rules`, or its `key`, which else is asked for. Returns whether one is in. */
export async function joinRoom(page, room, more = {}) {
  const name = room.startsWith("#") ? room : `#${room}`;
  try {
    await requestJoin(page, name, more);
    return true;
  } catch (error) {
    if (error.code === "wrong_key")
      return (await loadModule("key_dialog"))?.askForKey(page, name, more.key && errorText(error)) ?? false;
    toast(errorText(error));
    return false;
  }
}

/** Join a room, and open it. Raises `RequestError`. */
export async function requestJoin(page, name, more) {
  const response = await page.client.request({ action: "join", room: name, ...more });
  page.state.invitations.delete(page.state.open(name).key);
  page.state.applyRoom(name, response).time ||= now();
  page.open(name);
}
