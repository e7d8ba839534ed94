/** The list of conversations: with whom, how much of it is unread, and what was said last. */

import { bdi, button, element, icon, reconcile } from "./dom.js";
import { avatar } from "./entry_view.js";
import { fold, isSame } from "./names.js";
import { sanitize } from "./sanitize.js";
import { excerpt } from "./text_view.js";
import { N_, _, formatNumber, formatShort, ngettext, phrase } from "./translations.js";
import { now } from "./connection.js";

const STATUS_CLASSES = { online: "online", offline: "offline", "": "offline" };

/** Draw the list; `onOpen(name)`, `onJoin(room)` and `onDecline(room)` are called by its buttons. */
export function renderList(list, client, { onOpen, onJoin, onDecline }) {
  const { state, outbox } = client;
  const refused = new Set([...outbox].filter(({ refusal }) => refusal).map(({ to }) => fold(to)));
  const invitations = [...state.invitations.values()].map((invitation) => ({
    key: `invited ${invitation.room}`,
    invitation,
  }));
  const items = [...invitations, ...state.listed().map((conversation) => ({ key: conversation.key, conversation }))];
  reconcile(list, items, {
    keyOf: ({ key }) => key,
    versionOf: ({ conversation, invitation }) =>
      JSON.stringify(conversation ? itemVersion(conversation, state, refused) : [_("Join"), invitation.from]),
    make: ({ conversation, invitation }) =>
      conversation ? itemView(conversation, state, refused, onOpen) : invitationView(invitation, onJoin, onDecline),
  });
}

function itemVersion(conversation, state, refused) {
  const { name, unread, mentions, time, preview, draft, isClosed } = conversation;
  const isRefused = refused.has(conversation.key);
  const { status } = conversation.isRoom ? { status: "" } : state.statusOf(name);
  const look = [conversation === state.current, state.isMuted(conversation, now()), status, isRefused];
  return [name, unread, mentions, formatShort(time), preview, Boolean(draft), isClosed, ...look, _("no messages yet")];
}

function itemView(conversation, state, refused, onOpen) {
  const { name, unread, mentions, time, isRoom } = conversation;
  const isCurrent = conversation === state.current;
  const isMuted = state.isMuted(conversation, now());
  const isRefused = refused.has(conversation.key);
  const { status } = isRoom ? {} : state.statusOf(name); // which is not known of all at once
  const classes = ["conversation-item", isMuted && "is-muted", unread && !isMuted && "has-unread"]
    .filter(Boolean)
    .join(" ");
  return element(
    "li",
    {},
    button(
      [
        element("span", { class: "picture" }, avatar(name), status && statusDot(status)),
        element("span", { class: "name" }, bdi(shownName(name))),
        element("span", { class: "time" }, formatShort(time)),
        previewView(conversation, state, isRefused),
        isMuted &&
          element(
            "span",
            { class: "muted-mark", title: _("muted"), role: "img", "aria-label": _("muted") },
            icon("muted"),
          ),
        unread > 0 && badge(unread, mentions),
      ],
      () => onOpen(name),
      { class: classes, "aria-current": isCurrent ? "true" : null },
    ),
  );
}

/** Return how the name of a conversation is shown. */
export function shownName(name) {
  return name === "#all" ? _("Everybody") : sanitize(name);
}

/** Return the dot that shows whether somebody is here. */
export function statusDot(status) {
  const label =
    status === "online" ? _("online") : STATUS_CLASSES[status] === "offline" ? _("offline") : sanitize(status);
  return element("span", {
    class: `dot ${STATUS_CLASSES[status] ?? "away"}`,
    role: "img",
    "aria-label": label,
    title: label,
  });
}

function previewView({ draft, preview, isRoom }, state, isRefused) {
  if (isRefused) return element("span", { class: "preview is-refused" }, _("A message was refused"));
  if (draft)
    return element(
      "span",
      { class: "preview", dir: "auto" },
      element("span", { class: "draft" }, _("Draft:")),
      " ",
      excerpt(draft),
    );
  if (!preview) return element("span", { class: "preview" }, _("no messages yet"));
  const text = preview.isErased ? _("this message has been erased") : excerpt(preview.text);
  const isOwn = isSame(preview.sender, state.ownName);
  const who = isOwn ? _("You:") : isRoom && preview.sender ? [bdi(sanitize(preview.sender)), ":"] : null;
  return element("span", { class: "preview" }, who && element("span", {}, who), who && " ", bdi(text));
}

function badge(unread, mentions) {
  const label = mentions
    ? ngettext("{count} mention of you", "{count} mentions of you", mentions)
    : ngettext("{count} new message", "{count} new messages", unread);
  const text = mentions ? `@${formatNumber(mentions)}` : unread > 999 ? "999+" : formatNumber(unread);
  const classes = mentions ? "badge mention" : "badge";
  return element(
    "span",
    { class: classes },
    element("span", { "aria-hidden": "true" }, text),
    element("span", { class: "hidden-text" }, label),
  );
}

function invitationView({ room, from }, onJoin, onDecline) {
  return element(
    "li",
    { class: "invitation" },
    element(
      "p",
      {},
      phrase(N_("{name} invites you to {room}"), { name: bdi(sanitize(from)), room: bdi(sanitize(room)) }),
    ),
    button(_("Join"), () => onJoin(room), { class: "primary" }),
    button(_("Decline"), () => onDecline(room)),
  );
}
