/** What is chosen for this browser alone: language, theme, notifications. It is no secret, and stays after a logout. */

const KEY = "gmessenger";
const DEFAULTS = { language: "", theme: "auto", notifications: false };

function read() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

export const preferences = read();

/** Change some preferences, and keep them where the browser lets us. */
export function setPreferences(changes) {
  Object.assign(preferences, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // They last as long as the page.
  }
}

/** Use the theme that is chosen. */
export function applyTheme() {
  document.documentElement.dataset.theme = preferences.theme;
}

/** Return which conversation is open in this tab, to be opened again when the page is loaded anew; set it by a name. */
export function recallOpen(name) {
  try {
    if (name !== undefined) sessionStorage.setItem("gmessenger-open", name);
    return sessionStorage.getItem("gmessenger-open");
  } catch {
    return "";
  }
}
