/** What the page knows: conversations, people, the own account, and how each event changes them. Pure. */

import { Conversation } from "./conversation.js";
import { makeEntry, mentionFinder } from "./entries.js";
import { conversationOf, fold, isRoom, isSame } from "./names.js";

const DEFAULT_SETTINGS = { notify: {}, highlights: [], joins: "shown" };
const MAX_KNOWN = 1000; // that are kept; the server has the others

/** `onChange(topic)` is called with `list`, `log`, `members` or `account` after a change; several are one step. */
export class State {
  constructor(onChange = () => {}) {
    this._onChange = onChange;
    this.ownName = "";
    this.conversations = new Map();
    this.current = null; // the conversation that is open
    this.presence = new Map(); // folded name → { status, note }
    this.blocks = new Map(); // folded name → name
    this.invitations = new Map(); // folded room → { room, from }
    this.isAccount = this.isOperator = false;
    this.features = [];
    this.limits = {};
    this.alert = "";
    this.registration = "";
    this.serverName = "";
    this.mustChangePassword = false;
    this.status = { status: "online", note: "" };
    this.applySettings(DEFAULT_SETTINGS);
  }

  /** Take over the response to a login or a registration. */
  applyLogin(response, ownName) {
    this.ownName = ownName;
    this.isAccount = Boolean(response.account);
    this.isOperator = response.role === "operator";
    this.features = response.features ?? [];
    this.limits = response.limits ?? {};
    this.alert = response.alert ?? "";
    this.registration = response.registration ?? "";
    this.serverName = response.server ?? "";
    this.vapid = response.vapid ?? "";
    this.mustChangePassword = Boolean(response.password_until);
    this.presence.clear();
    this.applySettings(response.settings ?? {});
    this._onChange("account");
    this._onChange("list");
  }

  applySettings(settings) {
    this.settings = { ...DEFAULT_SETTINGS, ...settings };
    this.isMention = this.ownName ? mentionFinder(this.ownName, this.settings.highlights) : () => false;
    this._onChange("account");
  }

  find(name) {
    return this.conversations.get(fold(name));
  }

  /** Return the conversation of that name, and make it if there is none. */
  open(name) {
    const key = fold(name);
    if (!this.conversations.has(key)) {
      if (this.conversations.size >= MAX_KNOWN) this._evict();
      this.conversations.set(key, new Conversation(name));
      this._onChange("list");
    }
    return this.conversations.get(key);
  }

  remove(name) {
    this.conversations.delete(fold(name));
    this._onChange("list");
  }

  /** Return the conversations as they are listed: those with the newest messages first. */
  listed() {
    return [...this.conversations.values()]
      .filter((each) => each.isListed || each === this.current || each.hasDraft)
      .sort((one, other) => other.time - one.time || one.key.localeCompare(other.key));
  }

  /** Return the number of unread messages of all conversations that are not muted. */
  countUnread(now) {
    return this.listed().reduce((sum, each) => sum + (this.isMuted(each, now) ? each.mentions : each.unread), 0);
  }

  /** Return which messages of a conversation notify: `all`, `mentions` or `none`. `now` in seconds. */
  notifyLevel(conversation, now) {
    const setting = this.settings.notify[conversation.key];
    if (setting && (!setting.until || setting.until > now)) return setting.level;
    return conversation.isRoom ? "mentions" : "all";
  }

  isMuted(conversation, now) {
    return this.notifyLevel(conversation, now) === "none";
  }

  statusOf(name) {
    return this.presence.get(fold(name)) ?? { status: "" };
  }

  setStatus(name, status, note = "") {
    this.presence.set(fold(name), { status, note });
    this._onChange("members");
  }

  isBlocked(name) {
    return this.blocks.has(fold(name));
  }

  /** Return the entry of a received message. */
  makeEntry(message) {
    return makeEntry(message, this.ownName, this.isMention(message.message ?? ""));
  }

  /** Take over a message that is no amendment; returns its conversation and entry. */
  receive(message) {
    const conversation = this.open(conversationOf(message, this.ownName));
    const entry = this.makeEntry(message);
    if (entry.seq !== undefined && entry.isOwn && entry.seq <= conversation.delivered) entry.state = "delivered";
    const isHidden = conversation.isRoom && this.isBlocked(entry.sender);
    conversation.receive(entry, isHidden);
    this._onChange("list");
    if (conversation === this.current) this._onChange("log");
    return { conversation, entry, isHidden };
  }

  /** Take over an amendment; returns its conversation. */
  amend(message) {
    const conversation = this.open(conversationOf(message, this.ownName));
    conversation.amend(message);
    this._onChange("list");
    if (conversation === this.current) this._onChange("log");
    return conversation;
  }

  /** Add an own entry that the server has accepted. */
  addOwn(name, entry) {
    const conversation = this.open(name);
    conversation.receive(entry);
    this._onChange("list");
    if (conversation === this.current) this._onChange("log");
  }

  /** Apply a push event other than a message; `now` in seconds. Unknown ones are ignored. */
  apply(event, now) {
    EVENT_REDUCERS[event.action]?.(this, event, now);
  }

  notice(room, kind, values, now, isGathered = false) {
    const conversation = this.find(room);
    if (!conversation) return;
    conversation.addNotice(kind, values, now, isGathered);
    if (conversation === this.current) this._onChange("log");
  }

  /** Take over what a room is like: the response to `join` or `members`. */
  applyRoom(name, { topic, rules, role, first, absent, seq }) {
    const conversation = this.open(name);
    conversation.isListed = true;
    if (topic !== undefined) conversation.topic = topic;
    if (rules !== undefined) conversation.rules = rules;
    if (seq !== undefined) {
      conversation.role = role ?? "member";
      conversation.first = first ?? 1;
      conversation.absences = absent ?? [];
      conversation.head = Math.max(conversation.head, seq);
    }
    this._onChange("list");
    this._onChange("members");
    return conversation;
  }

  /** Take over the members of a room. */
  setMembers(name, users) {
    const conversation = this.open(name);
    conversation.members = new Map();
    for (const { account_name: member, role = "member", status, note, bot } of users) {
      conversation.members.set(fold(member), { name: member, role, isBot: Boolean(bot) });
      this.presence.set(fold(member), { status, note });
      if (isSame(member, this.ownName)) conversation.role = role;
    }
    this._onChange("members");
  }

  _evict() {
    const oldest = this.listed().findLast(
      (each) => !each.isRoom && !each.hasDraft && !each.unread && each !== this.current,
    );
    if (oldest) this.conversations.delete(oldest.key);
  }

  _onMember(event, now) {
    const name = event.user.account_name;
    const conversation = this.open(event.room);
    const kind = event.action === "leave" && event.by ? "removed" : event.action;
    if (event.action === "join") {
      conversation.members.set(fold(name), { name, role: "member" });
      this.setStatus(name, "online");
    } else {
      conversation.members.delete(fold(name));
    }
    if (isSame(name, this.ownName)) {
      conversation.isListed = event.action === "join";
      if (event.action === "join") this.invitations.delete(conversation.key);
      this._onChange("list");
    }
    if (this.settings.joins !== "hidden" || kind === "removed") {
      const isGathered = this.settings.joins === "gathered" && kind !== "removed";
      this.notice(event.room, kind, { name, by: event.by, reason: event.reason }, now, isGathered);
    }
    this._onChange("members");
  }

  _onRoom(event, values, now) {
    this.notice(
      event.room,
      event.action,
      { name: event.user?.account_name, by: event.by, reason: event.reason, ...values },
      now,
    );
    this._onChange("members");
  }
}

/** How each push event changes the state. Messages come by `receive` and `amend`. */
const EVENT_REDUCERS = {
  delivered(state, event) {
    const conversation = state.open(event.with);
    conversation.markDelivered(event.seq);
    if (conversation === state.current) state._onChange("log");
  },
  read(state, event) {
    if (state.open(event.with).markRead(event.seq)) state._onChange("list");
  },
  presence(state, { user }) {
    state.setStatus(user.account_name, user.status ?? "", user.note);
    if (isSame(user.account_name, state.ownName)) state.status = { status: user.status, note: user.note ?? "" };
  },
  settings: (state, event) => state.applySettings(event.settings),
  join: (state, event, now) => state._onMember(event, now),
  leave: (state, event, now) => state._onMember(event, now),
  topic(state, event, now) {
    state.open(event.room).topic = event.topic;
    state._onRoom(event, { topic: event.topic }, now);
  },
  rule(state, event, now) {
    const conversation = state.open(event.room);
    if (conversation.rules) conversation.rules = { ...conversation.rules, ...event.set };
    state._onRoom(event, { set: event.set }, now);
  },
  role(state, event, now) {
    const conversation = state.open(event.room);
    const name = event.user.account_name;
    conversation.members.set(fold(name), { name, role: event.role });
    if (isSame(name, state.ownName)) conversation.role = event.role;
    state._onRoom(event, { role: event.role }, now);
  },
  invited(state, event) {
    state.invitations.set(fold(event.room), { room: event.room, from: event.from });
    state._onChange("list");
  },
  shut_out: (state, event, now) => state._onRoom(event, { until: event.until }, now),
  silence: (state, event, now) => state._onRoom(event, { until: event.until }, now),
  let_in: (state, event, now) => state._onRoom(event, {}, now),
  unsilence: (state, event, now) => state._onRoom(event, {}, now),
  close(state, event, now) {
    state.open(event.room).isClosed = true;
    state._onRoom(event, {}, now);
  },
  open(state, event, now) {
    state.open(event.room).isClosed = false;
    state._onRoom(event, {}, now);
  },
};

/** Whether a name may be that of a broadcast or a room, for lists of people. */
export function isPerson(name) {
  return !isRoom(name);
}
