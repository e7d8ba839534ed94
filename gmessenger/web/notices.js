/** What has happened in a room, as sentences with the names of people in them. */

import { bdi } from "./dom.js";
import { sanitize } from "./sanitize.js";
import { N_, _, formatDateTime, ngettext, phrase } from "./translations.js";
import { ROLES, ruleText } from "./room_rules.js";

const SERVER_OWNER = "server"; // the name of the server's owner, who is no user
const MAX_NAMES = 5; // of those who came, and of those who left, in one line

const SENTENCES = {
  join: N_("{name} has joined"),
  leave: N_("{name} has left"),
  removed: N_("{by} removed {name}"),
  topic: N_("{name} changed the topic: {topic}"),
  rule: N_("{name} has changed the rules: {rules}"),
  role: N_("{by} has made {name} {role}"),
  shut_out: N_("{by} keeps {name} out"),
  silence: N_("{by} has silenced {name}"),
  let_in: N_("{by} lets {name} join again"),
  unsilence: N_("{by} lets {name} write again"),
  close: N_("{name} has closed the room"),
  open: N_("{name} has opened the room again"),
};
const OWNERLESS_ROLE = N_("{name} is {role} now");
const NO_TOPIC = N_("{name} removed the topic");

/** Return the parts of a notice's sentence. */
export function noticeParts({ notice, values, gathered }) {
  if (gathered && gathered.length > 1) return gatheredParts(gathered);
  if (notice === "lost") return [lostText(values.count)];
  const { reason, until } = values;
  const parts = phrase(sentenceOf(notice, values), {
    name: nameOf(values.name),
    by: nameOf(values.by),
    role: values.role && _(ROLES[values.role] ?? values.role),
    topic: bdi(sanitize(values.topic ?? "")),
    rules:
      values.set &&
      Object.entries(values.set)
        .map(([key, value]) => ruleText(key, value))
        .join("; "),
  });
  if (until) parts.push(" ", _("until {time}", { time: formatDateTime(until) }));
  if (reason) parts.push(": ", bdi(sanitize(reason)));
  return parts;
}

function sentenceOf(notice, values) {
  if (notice === "role" && !values.by) return OWNERLESS_ROLE;
  if (notice === "topic" && !values.topic) return NO_TOPIC;
  return SENTENCES[notice];
}

function lostText(count) {
  return ngettext(
    "{count} message is missing and cannot be fetched from the server",
    "{count} messages are missing and cannot be fetched from the server",
    count,
  );
}

function nameOf(name) {
  if (name === undefined) return "";
  return name === SERVER_OWNER ? _("the owner of the server") : bdi(sanitize(name));
}

function gatheredParts(events) {
  const last = new Map(events.map(({ kind, name }) => [name, kind])); // who came and went has gone
  const names = (kind) => [...last].filter(([, each]) => each === kind).map(([name]) => name);
  return [
    ...groupParts(names("join"), N_("{names} joined"), N_("{names} and others joined")),
    ...(names("join").length && names("leave").length ? ["; "] : []),
    ...groupParts(names("leave"), N_("{names} left"), N_("{names} and others left")),
  ];
}

function groupParts(names, sentence, longer) {
  if (!names.length) return [];
  const list = names.slice(0, MAX_NAMES).flatMap((name, index) => (index ? [", ", nameOf(name)] : [nameOf(name)]));
  return phrase(names.length > MAX_NAMES ? longer : sentence, { names: list }).flat();
}
