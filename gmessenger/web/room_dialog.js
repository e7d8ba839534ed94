/** About a room: its topic, members, rules, who may come in, and which of its messages notify. */

import { field, form, openDialog, toast } from "./dialogs.js";
import { bdi, button, element } from "./dom.js";
import { hooksPart } from "./hooks_dialog.js";
import { memberButton, sortedMembers } from "./members_view.js";
import { notifyField } from "./notify_field.js";
import { confirm } from "./questions.js";
import { hasRank, ruleText } from "./room_rules.js";
import { changedRules, ruleFields } from "./rule_fields.js";
import { sanitize } from "./sanitize.js";
import { load } from "./start_dialog.js";
import { _, errorText, formatDateTime, ngettext } from "./translations.js";
import { shownName } from "./list_view.js";

export function show(page, name) {
  const conversation = page.state.open(name);
  if (name === "#all")
    return openDialog(shownName(name), (body) =>
      body.append(element("p", {}, _("What is written here goes to all users who are present. It is not stored."))),
    );
  return openDialog(sanitize(name), (body, close) => new RoomPanel(page, conversation, body, close).draw());
}

class RoomPanel {
  constructor(page, conversation, body, close) {
    Object.assign(this, { _page: page, _room: conversation, _body: body, _close: close });
    this._state = page.state;
  }

  get _isModerator() {
    return this._state.isOperator || hasRank(this._room.role, "moderator");
  }

  get _isOwner() {
    return this._state.isOperator || this._room.role === "owner";
  }

  draw() {
    const parts = [this._topicPart(), this._invitePart(), this._membersPart(), this._rulesPart()];
    if (this._isModerator) parts.push(...this._accessParts());
    if (this._isOwner) parts.push(hooksPart((frame) => this._request(frame)));
    if (this._state.isAccount) parts.push(notifyField(this._page, this._room));
    parts.push(this._leavePart());
    this._body.replaceChildren(...parts.filter(Boolean));
  }

  _topicPart() {
    const { topic, rules } = this._room;
    if (rules?.topic === "moderators" && !this._isModerator)
      return topic ? element("p", { dir: "auto" }, sanitize(topic)) : null;
    const attributes = { value: topic, maxlength: "400", dir: "auto", autocomplete: "off" };
    const save = async ({ topic: text }) => {
      await this._request({ action: "topic", topic: text });
      this._room.topic = text;
      this._page.invalidate("log");
      toast(_("The topic is set."));
    };
    return form([field(_("Topic"), "topic", attributes)], _("Set the topic"), save, errorText, {
      class: "form inline",
    });
  }

  _invitePart() {
    if (!this._state.isAccount || (this._room.rules?.invited && !this._isModerator)) return null;
    const attributes = {
      required: true,
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      dir: "auto",
    };
    const invite = async ({ user }, made) => {
      await this._request({ action: "invite", user: user.trim() });
      made.reset();
      toast(_("{name} is invited.", { name: sanitize(user) }));
    };
    return form([field(_("Invite a user"), "user", attributes)], _("Send the invitation"), invite, errorText, {
      class: "form inline",
    });
  }

  _membersPart() {
    const list = element("ul", { class: "results" });
    const title = element("h3", {}, _("Members"));
    const fill = () => {
      const members = sortedMembers(this._room, this._state);
      title.textContent = ngettext("{count} member", "{count} members", members.length);
      const open = (name) => (this._close(), this._page.dialog("person_dialog", name, this._room.name));
      list.replaceChildren(...members.map((member) => element("li", {}, memberButton(member, this._state, open))));
    };
    load(list, this._page.client.loader.loadMembers(this._room), fill);
    return element("section", {}, title, list);
  }

  _rulesPart() {
    const part = element("details", {}, element("summary", {}, _("Rules")));
    const fill = ({ rules }) => {
      this._room.rules = rules;
      if (this._isOwner) part.append(this._rulesForm(rules));
      else
        part.append(
          element(
            "ul",
            { class: "plain" },
            Object.entries(rules).map(([rule, value]) => element("li", {}, ruleView(rule, value))),
          ),
        );
    };
    this._request({ action: "rule" }).then(fill, (error) =>
      part.append(element("p", { class: "error" }, errorText(error))),
    );
    return part;
  }

  _rulesForm(rules) {
    const save = async (values) => {
      const set = changedRules(values, this._room.rules);
      if (!Object.keys(set).length) return;
      this._room.rules = (await this._request({ action: "rule", set })).rules;
      toast(_("The rules are set."));
      if (rules.key === true && "key" in set) made.replaceWith(this._rulesForm(this._room.rules)); // another, or none
    };
    const made = form(ruleFields(rules), _("Set the rules"), save, errorText);
    return made;
  }

  _accessParts() {
    const lists = [
      [_("Invited"), "invitations", "uninvite", _("Take back")],
      [_("Kept out"), "shut_outs", "let_in", _("Let in")],
      [_("Silenced"), "silences", "unsilence", _("Let write")],
    ];
    return lists.map(([title, action, undo, label]) => {
      const list = element("ul", { class: "plain" });
      const part = element("details", {}, element("summary", {}, title), list);
      part.addEventListener("toggle", () => part.open && this._fillAccess(list, action, undo, label));
      return part;
    });
  }

  _fillAccess(list, action, undo, label) {
    const fill = (rows) => {
      const views = rows.map((row) =>
        this._accessRow(row, label, async () => {
          await this._request({ action: undo, user: row.user });
          this._fillAccess(list, action, undo, label);
        }),
      );
      list.replaceChildren(...(views.length ? views : [element("li", { class: "hint" }, _("nobody"))]));
    };
    const frame = { action, room: this._room.name };
    load(
      list,
      this._page.client.requestAll(frame, action, (row) => row.user),
      fill,
    );
  }

  _accessRow({ user, by, reason, until }, label, undo) {
    const about = [
      by && _("by {name}", { name: sanitize(by) }),
      until && _("until {time}", { time: formatDateTime(until) }),
      reason && sanitize(reason),
    ].filter(Boolean);
    const run = () => undo().catch((error) => toast(errorText(error)));
    return element(
      "li",
      { class: "action-row" },
      element("span", {}, bdi(sanitize(user)), " ", element("small", {}, about.join(", "))),
      button(label, run),
    );
  }

  _leavePart() {
    if (!this._room.isListed) return null;
    const leave = async () => {
      if (!(await confirm(_("Leave {name}?", { name: sanitize(this._room.name) }), _("Leave")))) return;
      this._close();
      this._page.leave(this._room.name);
    };
    return element("div", { class: "buttons" }, button(_("Leave the room"), leave, { class: "danger" }));
  }

  _request(frame) {
    return this._page.client.request({ ...frame, room: this._room.name });
  }
}

// Members are told the key.
function ruleView(rule, value) {
  const text = ruleText(rule, value);
  return rule === "key" && value && value !== true ? [text, ": ", bdi(sanitize(value))] : text;
}
