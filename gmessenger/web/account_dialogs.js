/** The own account: registration, password, devices, export, deletion, logout. */

import { field, form, openDialog, toast } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { confirm } from "./questions.js";
import { sanitize } from "./sanitize.js";
import { load } from "./start_dialog.js";
import { _, errorText, formatDateTime, ngettext } from "./translations.js";

const MAX_EXPORT = 200_000; // messages

export function show(page, kind) {
  return DIALOGS[kind](page);
}

function passwordField(label, name, autocomplete, hint = "") {
  return field(label, name, { type: "password", required: true, autocomplete, spellcheck: "false" }, hint);
}

function register(page) {
  const build = (body, close) => {
    const fields = [passwordField(_("Password"), "password", "new-password", _("8 characters or more"))];
    if (page.state.registration !== "open") {
      fields.push(
        field(
          _("Invite"),
          "invite",
          { autocomplete: "off", spellcheck: "false" },
          _("only where the server asks for one"),
        ),
      );
    }
    const save = async ({ password, invite }) => {
      await page.client.register(password, invite);
      close();
      toast(_("The name is yours now."));
    };
    const hint = _("With a password the name {name} is yours, and your messages are kept.", {
      name: sanitize(page.state.ownName),
    });
    body.append(element("p", {}, hint), form(fields, _("Keep this name"), save, errorText));
  };
  openDialog(_("Keep this name"), build, { className: "small" });
}

function password(page) {
  const build = (body, close) => {
    const save = async ({ old, new: chosen }) => {
      await page.client.request({ action: "password", old, new: chosen });
      if (page.state.mustChangePassword) page.client.refresh();
      page.state.mustChangePassword = false;
      close();
      toast(_("The password is changed, and your other devices are logged out."));
    };
    const fields = [
      passwordField(_("Present password"), "old", "current-password"),
      passwordField(_("New password"), "new", "new-password", _("8 characters or more")),
    ];
    const why =
      page.state.mustChangePassword &&
      element(
        "p",
        { class: "note-box" },
        _("You have logged in with a one-time password: choose a new password first."),
      );
    body.append(...[why].filter(Boolean), form(fields, _("Change the password"), save, errorText));
  };
  openDialog(_("Change the password"), build, { className: "small" });
}

function devices(page) {
  const build = (body) => {
    const list = element("ul", { class: "plain" });
    const refresh = () =>
      load(list, page.client.request({ action: "devices" }), (response) => {
        list.replaceChildren(...response.devices.map((device) => deviceView(page, device, refresh)));
      });
    const dropAll = async () => {
      const isSure = await confirm(_("Log out all your other devices?"), _("Log out"));
      if (isSure && (await page.ask({ action: "drop", all: true }))) refresh();
    };
    body.append(
      list,
      element("div", { class: "buttons" }, button(_("Log out all others"), dropAll, { class: "danger" })),
    );
    refresh();
  };
  openDialog(_("Devices"), build);
}

function deviceView(page, { device, used, here, this: isThis }, refresh) {
  const when = isThis
    ? _("this browser")
    : here
      ? _("connected now")
      : _("used last {time}", { time: formatDateTime(used) });
  const drop = async () => {
    if (isThis) return logOut(page);
    if (await page.ask({ action: "drop", device })) refresh();
    return undefined;
  };
  const name = element("span", {}, bdi(sanitize(device)), " ", element("small", {}, when));
  return element("li", { class: "action-row" }, name, button(_("Log out"), drop));
}

async function logOut(page) {
  const unsent = page.client.outbox.isWaiting ? _("Messages that are not sent yet are lost.") : "";
  const question = page.state.isAccount
    ? _("Log out, and delete what is kept in this browser?")
    : _("Log out? A guest's name is free again then, and what is kept in this browser is deleted.");
  if (!(await confirm(`${question} ${unsent}`.trim(), _("Log out")))) return;
  try {
    await page.app.logOut();
  } catch (error) {
    const how = _("Delete what is kept here all the same? The server keeps this device logged in until you drop it.");
    const isForced = await confirm(`${errorText(error)} ${how}`, _("Delete"));
    if (isForced) await page.app.logOut(true);
  }
}

function forget(page) {
  const build = (body) => {
    const erase = async (values) => {
      await page.client.connection.request({ action: "forget", password: values.password }, 300);
      await page.app.logOut(true);
    };
    const warning = _("All that you have written is erased, and the account is deleted. This cannot be undone.");
    body.append(
      element("p", { class: "note-box" }, warning),
      form([passwordField(_("Password"), "password", "current-password")], _("Delete the account"), erase, errorText),
    );
  };
  openDialog(_("Delete the account"), build, { className: "small" });
}

function exportMessages(page) {
  const build = (body, close) => {
    const status = element("p", { role: "status" });
    body.append(status);
    collect(page, (count) => (status.textContent = ngettext("{count} message …", "{count} messages …", count))).then(
      (messages) => {
        download(messages, page.state.ownName);
        close();
      },
      (error) => (status.textContent = errorText(error)),
    );
  };
  openDialog(_("Download my messages"), build, { className: "small" });
}

async function collect(page, onProgress) {
  const messages = [];
  for (let after; messages.length < MAX_EXPORT;) {
    const response = await page.client.request({ action: "export", ...(after === undefined ? {} : { after }) });
    messages.push(...response.messages);
    onProgress(messages.length);
    if (!response.more) break;
    ({ after } = response);
  }
  return messages;
}

function download(messages, name) {
  const lines = messages.map((message) => `${JSON.stringify(message)}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  const link = element("a", { href: url });
  link.download = `${name}.jsonl`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

const DIALOGS = { register, password, devices, logout: logOut, forget, export: exportMessages };
