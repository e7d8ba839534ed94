/** Web Push: the browser is woken for messages while the page is closed, and the server knows by which subscription. */

const WORDS_CACHE = "gmessenger push"; // which the service worker reads, too
const WORDS = "/words";

/**
 * Keeps the subscription of this browser and the server's the same. It knows no DOM.
 *
 * `registration()` returns a promise of the service worker's registration, or null; `request(frame)` asks the server.
 */
export class PushSubscriber {
  constructor({ registration, request }) {
    this._registration = registration;
    this._request = request;
    this.isOn = false;
  }

  /** Subscribe with the key of the server, and tell it. Raises what the browser or the server refuses with. */
  async turnOn(vapid) {
    const manager = await this._manager();
    if (!manager) throw new Error("this browser has no push service");
    const key = decodeBase64url(vapid);
    let subscription = await manager.getSubscription();
    if (subscription && !isSameKey(subscription.options?.applicationServerKey, key)) {
      await subscription.unsubscribe();
      subscription = null;
    }
    subscription ??= await manager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const { endpoint, keys } = subscription.toJSON();
    try {
      await this._request({ action: "push", endpoint, p256dh: keys.p256dh, auth: keys.auth });
    } catch (error) {
      if (error.code === "bad_subscription") await subscription.unsubscribe();
      throw error;
    }
    this.isOn = true;
  }

  /** End the subscription here, and at the server where `isTold`. */
  async turnOff({ isTold = true } = {}) {
    this.isOn = false;
    const subscription = await (await this._manager())?.getSubscription();
    if (!subscription) return;
    await subscription.unsubscribe();
    if (isTold) await this._request({ action: "push" });
  }

  /** Compare with what is wanted, at each login: the browser may have another subscription, the server another key. */
  async compare({ vapid, isWanted, words }) {
    try {
      if (isWanted) await keepWords(words);
      if (vapid && isWanted) await this.turnOn(vapid);
      else await this.turnOff({ isTold: Boolean(vapid) });
    } catch {
      this.isOn = false; // told where one looks: in the settings
    }
  }

  /** End the subscription in this browser, with all that is kept for it: at the server it goes with the device. */
  async end() {
    await this.turnOff({ isTold: false }).catch(() => {});
    await keepWords(null);
  }

  async _manager() {
    return (await this._registration())?.pushManager ?? null;
  }
}

// Keeps the words that the service worker needs, in the language of the page; null forgets them.
async function keepWords(words) {
  try {
    if (!words) await caches.delete(WORDS_CACHE);
    else await (await caches.open(WORDS_CACHE)).put(WORDS, new Response(JSON.stringify(words)));
  } catch {
    // The worker has English ones.
  }
}

function decodeBase64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

function isSameKey(buffer, key) {
  if (!buffer) return false;
  const bytes = new Uint8Array(buffer);
  return bytes.length === key.length && bytes.every((byte, index) => byte === key[index]);
}
