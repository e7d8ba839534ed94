/** Modules that are loaded when they are needed first, and not with the page. */

import { toast } from "./dialogs.js";
import { _ } from "./translations.js";

/** Return a module by its name; nothing, and that is said, where it cannot be fetched now. */
export async function loadModule(name) {
  try {
    return await import(`./${name}.js`);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it was fetched, and is wrong
    toast(_("There is no connection to the server."));
    return null;
  }
}
