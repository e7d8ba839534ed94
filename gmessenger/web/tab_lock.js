/** One tab at a time has the connection: a Web Lock, which another tab can take over. */

const LOCK = "gmessenger-connection";

/**
 * Ask for the lock. `onHeld()` is called when this tab has it, `onTaken()` when another tab has it: at once, or because
 * it was taken over. Where the browser has no locks, the server closes the connection of the other tab.
 */
export async function holdLock({ isStealing = false, onHeld, onTaken }) {
  if (!navigator.locks) return onHeld();
  const options = isStealing ? { steal: true } : { ifAvailable: true };
  try {
    await navigator.locks.request(LOCK, options, (lock) => {
      if (!lock) return onTaken();
      onHeld();
      return new Promise(() => {}); // held until the tab is closed, or the lock is stolen
    });
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    onTaken();
  }
  return undefined;
}
