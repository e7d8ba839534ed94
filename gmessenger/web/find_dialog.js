/** To find conversations by their names, and messages by their words. */

import { openDialog } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { avatar } from "./entry_view.js";
import { shownName } from "./list_view.js";
import { fold, isRoom } from "./names.js";
import { sanitize } from "./sanitize.js";
import { excerpt } from "./text_view.js";
import { _, errorText, formatShort, ngettext } from "./translations.js";

const MAX_FOUND = 8;
const TYPING_PAUSE = 350; // milliseconds without a key before messages are searched

/** Open the dialog, for keys at once; `within` names the one conversation to search, `words` are searched at once. */
export function openFind(page, within = "", words = "") {
  const title = within ? _("Search in {name}", { name: shownName(within) }) : _("Find");
  openDialog(title, (body, close) => new Finder(page, within, body, close).start(words), { className: "find-dialog" });
}

class Finder {
  constructor(page, within, body, close) {
    Object.assign(this, { _page: page, _within: within, _close: close });
    const label = within ? _("Words of a message") : _("A name, or words of a message");
    this._input = element("input", {
      type: "text",
      role: "searchbox",
      inputmode: "search",
      "aria-label": label,
      placeholder: label,
      dir: "auto",
      autocomplete: "off",
      autofocus: true,
    });
    this._names = element("ul", { class: "results" });
    this._hits = element("ul", { class: "results" });
    this._status = element("p", { class: "hint", role: "status" });
    body.append(this._input, this._names, this._status, this._hits);
    this._input.addEventListener("input", () => this._onInput());
    body.addEventListener("keydown", (event) => this._onKey(event, body));
    this._searches = 0;
  }

  start(words) {
    this._input.value = words;
    this._onInput();
  }

  _onInput() {
    const text = this._input.value.trim();
    this._showNames(text);
    clearTimeout(this._timer);
    this._hits.replaceChildren();
    this._status.textContent = "";
    this._searches += 1;
    if (text.length > 1 && this._page.state.isAccount) this._timer = setTimeout(() => this._search(text), TYPING_PAUSE);
  }

  _showNames(text) {
    if (this._within) return;
    const key = fold(text);
    const listed = this._page.state.listed().filter((each) => fold(shownName(each.name)).includes(key));
    const rows = listed.slice(0, MAX_FOUND).map(({ name }) => resultView(name, null, () => this._open(name)));
    const isKnown = listed.some((each) => each.key === key);
    if (text && !isKnown && !/\s/.test(text)) {
      const label = isRoom(text) ? _("Join or make {name}", { name: text }) : _("Write to {name}", { name: text });
      rows.push(
        element(
          "li",
          {},
          button(label, () => this._open(text), { class: "result" }),
        ),
      );
    }
    this._names.replaceChildren(...rows);
  }

  async _open(name) {
    this._close();
    if (isRoom(name) && !this._page.state.find(name)?.isListed) await this._page.join(name);
    else await this._page.open(name);
  }

  async _search(text) {
    const search = (this._searches += 1);
    this._status.textContent = _("searching…");
    try {
      const frame = { action: "search", text, ...(this._within ? { with: this._within } : {}) };
      const response = await this._page.client.request(frame);
      if (search !== this._searches) return;
      const messages = response.messages.filter((each) => each.message);
      this._hits.replaceChildren(...messages.map((message) => this._hitView(message)));
      this._status.textContent = statusOf(messages.length, response);
    } catch (error) {
      if (search === this._searches) this._status.textContent = errorText(error);
    }
  }

  _hitView(message) {
    const name = message.with ?? this._within;
    return resultView(name, message, () => {
      this._close();
      this._page.openPlace(name, message.seq);
    });
  }

  // Arrows walk through the results, Enter in the box takes the first.
  _onKey(event, body) {
    const buttons = [...body.querySelectorAll(".results button")];
    const index = buttons.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && buttons.length) buttons[Math.min(index + 1, buttons.length - 1)].focus();
    else if (event.key === "ArrowUp" && index >= 0) (buttons[index - 1] ?? this._input).focus();
    else if (event.key === "Enter" && event.target === this._input) buttons[0]?.click();
    else return;
    event.preventDefault();
  }
}

function statusOf(count, { more, incomplete }) {
  if (!count) return _("nothing found");
  const found = ngettext("{count} message found", "{count} messages found", count);
  return more || incomplete ? _("{found}; there may be more", { found }) : found;
}

function resultView(name, message, onClick) {
  const content = [
    avatar(name),
    element("span", { class: "name" }, bdi(shownName(name))),
    message && element("span", { class: "time" }, formatShort(message.time)),
    message &&
      element("span", { class: "preview" }, bdi(sanitize(message.from)), ": ", bdi(excerpt(message.message, 160))),
  ];
  return element("li", {}, button(content, onClick, { class: "result" }));
}
