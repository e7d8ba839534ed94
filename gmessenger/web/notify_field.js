/** Which messages of a conversation notify: a setting of the account, for all its devices. */

import { toast } from "./dialogs.js";
import { element } from "./dom.js";
import { N_, _, errorText, formatDateTime } from "./translations.js";
import { now } from "./connection.js";

/** Values of the box: a level, and for how long, in seconds. */
const CHOICES = [
  ["", N_("as usual")],
  ["all", N_("all messages")],
  ["mentions", N_("mentions of you")],
  ["none", N_("none")],
  ["none 3600", N_("none for an hour")],
  ["none 28800", N_("none for eight hours")],
];

/** Return the box for a conversation. */
export function notifyField(page, conversation) {
  const present = page.state.settings.notify[conversation.key];
  const level = page.state.notifyLevel(conversation, now());
  const isSet = Boolean(present) && present.level === level;
  const options = CHOICES.map(([value, label]) =>
    element("option", { value, selected: value === (isSet ? level : "") }, _(label)),
  );
  const change = async (event) => {
    const [chosen, seconds] = event.target.value.split(" ");
    const setting = chosen ? { level: chosen, ...(seconds ? { until: now() + Number(seconds) } : {}) } : null;
    try {
      const { settings } = await page.client.request({
        action: "settings",
        set: { notify: { [conversation.name]: setting } },
      });
      page.state.applySettings(settings);
      page.invalidate("list");
    } catch (error) {
      toast(errorText(error));
    }
  };
  const until =
    isSet &&
    present.until &&
    element("p", { class: "hint" }, _("until {time}", { time: formatDateTime(present.until) }));
  return element(
    "label",
    { class: "field" },
    element("span", {}, _("Notify me of")),
    element("select", { on: { change } }, options),
    until,
  );
}
