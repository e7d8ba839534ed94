/** The service worker: the page opens without a network, and notifications of push messages are shown. */

const ASSETS = "{assets}";
const FILES = "{files}".split(" ");
const CACHE = `gmessenger ${ASSETS}`;
const WORDS_CACHE = "gmessenger push"; // the words of the page's language, as it has kept them
const WORDS = { news: "New messages", inRoom: "{name} in {room}" };

self.addEventListener("install", (event) => {
  const urls = ["/", "/manifest.webmanifest", ...FILES.map((name) => `${ASSETS}/${name}`)];
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(urls)));
});

// The newer version takes over when the user says so, never by itself.
self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOldCaches().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const isOurs =
    origin === location.origin &&
    (pathname === "/" || pathname === "/manifest.webmanifest" || pathname.startsWith("/a/"));
  if (event.request.method === "GET" && isOurs) event.respondWith(cacheFirst(event.request, pathname));
});

// Each shows a notification, whatever it says: browsers end the subscription of a page that shows none.
self.addEventListener("push", (event) => {
  event.waitUntil(showPush(event.data));
});

// The page tells the server of the new one when it is opened next, or now if it is open.
self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renewSubscription(event.oldSubscription?.options));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openConversation(event.notification.data?.with));
});

async function showPush(data) {
  const words = await loadWords();
  const { title, body, name } = describe(parse(data), words);
  await self.registration.showNotification(title, {
    body,
    tag: name ? name.normalize("NFKC").toLowerCase() : "gmessenger",
    data: { with: name },
    icon: `${ASSETS}/icon-192.png`,
  });
}

function parse(data) {
  try {
    return data.json();
  } catch {
    return null; // nothing, or nothing that can be read
  }
}

function describe(push, words) {
  const isKnown = [push?.with, push?.from, push?.message].every((text) => typeof text === "string" && text);
  if (!isKnown) return { title: "gmessenger", body: words.news, name: "" };
  const room = push.with.startsWith("#");
  const title = room ? fill(words.inRoom, { name: visible(push.from), room: visible(push.with) }) : visible(push.with);
  const text = visible(push.message);
  const more = Number.isInteger(push.unread) ? push.unread - 1 : 0;
  return { title, body: more > 0 ? `${text} (+${more})` : text, name: push.with };
}

function fill(template, values) {
  return template.replaceAll(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

// Control characters and changes of the direction could make a text look like another; a line may end.
function visible(text) {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => ("\n\u200c\u200d".includes(char) ? char : "\ufffd"));
}

async function loadWords() {
  try {
    const kept = await caches.match("/words", { cacheName: WORDS_CACHE });
    return { ...WORDS, ...(await kept?.json()) };
  } catch {
    return WORDS;
  }
}

async function renewSubscription(options) {
  if (options) await self.registration.pushManager.subscribe(options).catch(() => {});
  for (const client of await self.clients.matchAll({ type: "window" })) client.postMessage({ renewed: true });
}

async function openConversation(name) {
  const [client] = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (!client) return self.clients.openWindow(name ? `/#open=${encodeURIComponent(name)}` : "/");
  if (name) client.postMessage({ open: name });
  return client.focus();
}

async function cacheFirst(request, pathname) {
  const cached = await caches.match(pathname, { cacheName: CACHE });
  return cached ?? fetch(request);
}

async function dropOldCaches() {
  for (const name of await caches.keys()) {
    if (name !== CACHE && name !== WORDS_CACHE) await caches.delete(name);
  }
}
