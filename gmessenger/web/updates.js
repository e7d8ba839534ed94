/** The service worker: it keeps the page for when there is no network, and finds newer versions of it. */

const WORKER = "/sw.js";

/** Register the worker. `onUpdate(reload)` is called when a newer version is here; `reload()` changes to it. */
export async function startWorker(onUpdate) {
  if (!navigator.serviceWorker) return; // as on a connection that is not encrypted
  const hadOne = Boolean(navigator.serviceWorker.controller);
  let isReloading = false;
  navigator.serviceWorker.addEventListener("controllerchange", () => hadOne && isReloading && location.reload());
  const reload = (worker) => () => {
    isReloading = true;
    worker.postMessage("take over");
  };
  const watch = (worker) =>
    worker?.addEventListener("statechange", () => {
      if (worker.state === "installed" && navigator.serviceWorker.controller) onUpdate(reload(worker));
    });
  try {
    const registration = await navigator.serviceWorker.register(workerUrl());
    if (registration.waiting && hadOne) onUpdate(reload(registration.waiting));
    registration.addEventListener("updatefound", () => watch(registration.installing));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") registration.update().catch(() => {});
    });
  } catch {
    // Without a worker the page works as long as there is a network.
  }
}

// The one URL of a script that the page makes.
function workerUrl() {
  if (!window.trustedTypes) return WORKER;
  return window.trustedTypes.createPolicy("gmessenger", { createScriptURL: () => WORKER }).createScriptURL("");
}
