/** What becomes of what was written in the box: a command, an edit, or messages. */

import { loadModule } from "./modules.js";

/** Send a text and the files of the draft, or run a command; returns whether the text was taken. */
export async function submit(page, text, composed) {
  const { current } = page.state;
  if (!composed && /^\/[a-z]/i.test(text)) return (await loadModule("commands"))?.runCommand(page, text) ?? false;
  const plain = text.startsWith("//") ? text.slice(1) : text;
  const { name: to, attachments } = current;
  if (composed?.isEdit) {
    if (plain !== composed.text) await page.client.send({ to, text: plain, about: composed.seq, what: "edit" });
    return true;
  }
  current.attachments = [];
  const [first, ...others] = attachments;
  const more = others.map((file) => ({ to, text: "", file }));
  await page.send({ to, text: plain, about: composed?.seq, file: first }, ...more);
  return true;
}
