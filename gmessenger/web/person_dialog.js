/** About a person: whether they are here, rooms that one shares, and what one may do: block, and moderate. */

import { field, form, openDialog, toast } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { statusText } from "./members_view.js";
import { fold, isSame } from "./names.js";
import { notifyField } from "./notify_field.js";
import { confirm } from "./questions.js";
import { ROLES, mayActOn, rolesToGive } from "./room_rules.js";
import { sanitize } from "./sanitize.js";
import { N_, _, errorText, formatDateTime } from "./translations.js";

const DURATIONS = [
  ["", N_("for good")],
  ["600", N_("for ten minutes")],
  ["3600", N_("for an hour")],
  ["86400", N_("for a day")],
  ["604800", N_("for a week")],
];

/** Open the dialog; `room` is the one in whose list of members the person was chosen. */
export function show(page, name, room = page.state.current?.isRoom ? page.state.current.name : "") {
  openDialog(sanitize(name), (body, close) => new PersonPanel(page, name, room, body, close).draw());
}

class PersonPanel {
  constructor(page, name, room, body, close) {
    Object.assign(this, { _page: page, _state: page.state, _name: name, _body: body, _close: close });
    this._room = room ? page.state.find(room) : null;
    this._member = this._room?.members.get(fold(name)) ?? null;
  }

  draw() {
    const about = element("p", {}, _("loading…"));
    this._body.replaceChildren(about, this._buttons());
    if (this._member) this._drawRoom();
    if (this._state.isAccount && !this._room) this._body.append(notifyField(this._page, this._state.open(this._name)));
    if (this._state.isOperator && !this._isSelf) this._drawModeration();
    this._request({ action: "whois", user: this._name }).then(
      (response) => about.replaceChildren(...this._whois(response)),
      (error) => (about.textContent = errorText(error)),
    );
  }

  get _isSelf() {
    return isSame(this._name, this._state.ownName);
  }

  _whois({ user, account, since, rooms }) {
    const lines = [statusText({ status: user.status ?? "offline", note: user.note })];
    if (since) lines.push(_("since {time}", { time: formatDateTime(since) }));
    lines.push(user.bot ? _("a hook: other programs post by it") : account ? _("an account") : _("a guest"));
    const shared = (rooms ?? []).flatMap(({ room }, index) => [index ? ", " : "", bdi(sanitize(room))]);
    return [lines.join(" · "), ...(shared.length ? [element("br"), _("Rooms that you share:"), " ", ...shared] : [])];
  }

  _buttons() {
    const write = button(_("Write"), () => (this._close(), this._page.open(this._name)), { class: "primary" });
    if (this._isSelf) return element("div", { class: "buttons" }, write);
    const isBlocked = this._state.isBlocked(this._name);
    const block = button(isBlocked ? _("Unblock") : _("Block"), () => this._setBlocked(!isBlocked), {
      class: isBlocked ? "" : "danger",
    });
    return element("div", { class: "buttons" }, write, block);
  }

  async _setBlocked(isBlocked) {
    const sentence = _("Block {name}? You no longer receive their messages.", { name: sanitize(this._name) });
    if (isBlocked && !(await confirm(sentence, _("Block")))) return;
    await this._try({ action: isBlocked ? "block" : "unblock", user: this._name }, () => {
      if (isBlocked) this._state.blocks.set(fold(this._name), this._name);
      else this._state.blocks.delete(fold(this._name));
      for (const topic of ["list", "log"]) this._page.invalidate(topic);
      this.draw();
    });
  }

  _drawRoom() {
    const own = this._state.isOperator ? "owner" : this._room.role;
    const mayChange = this._isSelf || this._state.isOperator || mayActOn(own, this._member.role);
    if (!mayChange) return;
    const room = sanitize(this._room.name);
    const part = element("section", {}, element("h3", {}, _("In {room}", { room })), this._roleField(own));
    if (!this._isSelf)
      part.append(this._sanctionForm(["shut_out", "silence", "remove"], ROOM_SANCTIONS, { room: this._room.name }));
    this._body.append(part);
  }

  _roleField(own) {
    const roles = new Set([...rolesToGive(own), this._member.role]);
    const options = Object.keys(ROLES)
      .filter((role) => roles.has(role))
      .map((role) => element("option", { value: role, selected: role === this._member.role }, _(ROLES[role])));
    const change = (event) =>
      this._try({ action: "role", room: this._room.name, user: this._name, role: event.target.value }, () =>
        toast(_("The role is set.")),
      );
    return element(
      "label",
      { class: "field" },
      element("span", {}, _("Role")),
      element("select", { on: { change } }, options),
    );
  }

  _drawModeration() {
    const actions = ["kick", "mute", "ban", "unmute", "unban"];
    this._body.append(
      element("section", {}, element("h3", {}, _("As an operator")), this._sanctionForm(actions, SERVER_SANCTIONS, {})),
    );
  }

  _sanctionForm(actions, names, place) {
    const options = actions.map((action) => element("option", { value: action }, _(names[action])));
    const durations = DURATIONS.map(([value, label]) => element("option", { value }, _(label)));
    const fields = [
      field(_("What to do"), "action", { tag: "select", options }),
      field(_("How long"), "for", { tag: "select", options: durations }),
      field(_("Reason"), "reason", { maxlength: "200", autocomplete: "off", dir: "auto" }),
    ];
    const run = async ({ action, for: seconds, reason }) => {
      const frame = { action, user: this._name, ...place };
      if (seconds && !/^(kick|remove|un)/.test(action)) frame.for = Number(seconds);
      if (reason && !/^(remove|un)/.test(action)) frame.reason = reason;
      await this._request(frame);
      toast(_("Done."));
    };
    return form(fields, _("Do it"), run, errorText);
  }

  _request(frame) {
    return this._page.client.request(frame);
  }

  async _try(frame, onDone) {
    try {
      await this._request(frame);
      onDone();
    } catch (error) {
      toast(errorText(error));
    }
  }
}

const ROOM_SANCTIONS = {
  shut_out: N_("remove, and keep out"),
  silence: N_("refuse what is written"),
  remove: N_("remove"),
};
const SERVER_SANCTIONS = {
  kick: N_("disconnect"),
  mute: N_("mute: refuse what is written"),
  ban: N_("ban: refuse logins"),
  unmute: N_("end a mute"),
  unban: N_("end a ban"),
};
