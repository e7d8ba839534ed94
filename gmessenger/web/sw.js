/** The service worker: the page and its files from the cache first, so that it opens without a network. */

const ASSETS = "{assets}";
const FILES = "{files}".split(" ");
const CACHE = `gmessenger ${ASSETS}`;

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

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    self.clients
      .matchAll({ type: "window", includeUncontrolled: true })
      .then(([client]) => client?.focus() ?? self.clients.openWindow("/")),
  );
});

async function cacheFirst(request, pathname) {
  const cached = await caches.match(pathname, { cacheName: CACHE });
  return cached ?? fetch(request);
}

async function dropOldCaches() {
  for (const name of await caches.keys()) {
    if (name !== CACHE) await caches.delete(name);
  }
}
