/** The commands that can be typed into the box: those of the terminal client that make sense here. */

import { toast } from "./dialogs.js";
import { fold } from "./names.js";
import { errorText, N_, _ } from "./translations.js";

/** Each: names, arguments, what it does, and the function, which returns whether the text was taken. */
export const COMMANDS = [
  [
    ["/me"],
    N_("TEXT"),
    N_("say what you do: /me waves is shown as * NAME waves"),
    (page, text) => needs(text) && say(page, text, "action"),
  ],
  [["/msg", "/message", "/query", "/w"], N_("NAME [TEXT]"), N_("write to NAME"), writeTo],
  [["/join", "/j"], N_("#ROOM [KEY]"), N_("join a room, or make it"), join],
  [["/leave", "/part"], "", N_("leave this room"), (page) => done(page.leave(page.state.current.name))],
  [["/topic"], N_("TEXT"), N_("set the topic of the room"), (page, topic) => inRoom(page, { action: "topic", topic })],
  [
    ["/invite"],
    N_("NAME"),
    N_("invite a user to this room"),
    (page, user) => needs(user) && inRoom(page, { action: "invite", user }),
  ],
  [
    ["/remove"],
    N_("NAME"),
    N_("remove a member from your room"),
    (page, user) => needs(user) && inRoom(page, { action: "remove", user }),
  ],
  [
    ["/search"],
    N_("WORDS"),
    N_("search for messages with these words"),
    (page, words) => done(page.find({ words })),
  ],
  [
    ["/mentions"],
    "",
    N_("list the newest messages that mention you"),
    (page) => done(page.find({ words: page.state.ownName })),
  ],
  [
    ["/whois", "/wi"],
    N_("NAME"),
    N_("show the status of a user, since when, and the rooms you share"),
    (page, name) => needs(name) && done(page.dialog("person_dialog", name)),
  ],
  [["/members", "/names"], "", N_("list the members of a room"), (page) => done(page.showDetails())],
  [
    ["/away"],
    N_("[TEXT]"),
    N_("say that you are away, and TEXT as a note on it"),
    (page, note) => setStatus(page, "away", note),
  ],
  [["/back"], "", N_("say that you are here again"), (page) => setStatus(page, "online", "")],
  [
    ["/block"],
    N_("NAME"),
    N_("block a user: you no longer receive their messages"),
    (page, user) => needs(user) && block(page, user),
  ],
  [["/help"], "", N_("list the commands"), (page) => done(page.dialog("help_dialog"))],
];

/** Run a command that was typed; returns whether the text was taken. */
export async function runCommand(page, text) {
  const [, name, rest] = /^(\S+)\s*([^]*)$/.exec(text);
  const found = COMMANDS.find(([names]) => names.includes(name.toLowerCase()));
  if (!found) {
    toast(_("There is no command {name}; /help lists them, and // begins a text with a slash.", { name }));
    return false;
  }
  try {
    return (await found[3](page, rest.trim())) !== false;
  } catch (error) {
    toast(errorText(error));
    return false;
  }
}

function needs(argument) {
  if (!argument) toast(_("This command needs more; /help lists what."));
  return Boolean(argument);
}

function done() {
  return true;
}

async function say(page, text, kind) {
  await page.send({ to: page.state.current.name, text, kind });
  return true;
}

async function writeTo(page, rest) {
  const [, name, text] = /^(\S*)\s*([^]*)$/.exec(rest);
  if (!needs(name)) return false;
  await page.open(name);
  if (text) await page.send({ to: name, text });
  return true;
}

function join(page, rest) {
  const [room, key] = rest.split(/\s+/);
  return needs(room) && page.join(room, key ? { key } : {});
}

async function inRoom(page, frame) {
  const { current } = page.state;
  if (!(await page.ask({ ...frame, room: current.name }))) return false;
  if (frame.action === "topic") current.topic = frame.topic; // others are told, who has set it is not
  page.invalidate("log");
  return true;
}

async function setStatus(page, status, note) {
  return Boolean(await page.ask({ action: "status", status, ...(note ? { note } : {}) }));
}

async function block(page, user) {
  if (!(await page.ask({ action: "block", user }))) return false;
  page.state.blocks.set(fold(user), user);
  page.invalidate("log");
  return true;
}
