/** Uploads the files of queued messages, one after the other, until the server has each. Pure but for `post`. */

import { now } from "./connection.js";
import { _ } from "./translations.js";
import { postFile } from "./upload_request.js";

const MAX_BACKOFF = 60; // seconds; the delays are 1, 2, 4 … with jitter
const MAX_WAIT = 300; // seconds that the server may ask for
const MAX_FAILURES = 10; // lost uploads in a row while there is a connection to the server
const MAX_NAME = 150; // characters of a name that are sent; the server keeps fewer
const UNKNOWN_TYPE = "application/octet-stream";
const CREATED = 201;
const LOST = 0;
/** Statuses after which the same upload may succeed later. */
const PASSING = [LOST, 408, 425, 429, 500, 502, 503, 504];
/** Codes of refusals that have none, such as those of a proxy. */
const CODES = { 401: "password_needed", 413: "file_too_large", 507: "files_full" };

/** Return the headers of an upload. */
export function headersOf({ name, type }, token) {
  return {
    Authorization: `Bearer ${token}`,
    "Content-Type": type || UNKNOWN_TYPE,
    "Content-Disposition": `attachment; filename*=UTF-8''${encodeName(shorten(name))}`,
  };
}

/** Return how an answer refuses an upload, in the fields of a refused message. */
export function refusalOf({ status, text, header }) {
  const code = header("Gmessenger-Code");
  const limit = /\bmaxsize=(\d+)/.exec(header("Upload-Limit"));
  const waiting = Number.parseFloat(header("Retry-After"));
  return {
    response: status,
    code: code || (CODES[status] ?? ""),
    ...(code ? { error: text.trim().slice(0, 300) } : {}), // else it is not of our server
    ...(limit ? { limit: Number(limit[1]) } : {}),
    ...(waiting >= 0 ? { retry_after: waiting } : {}),
  };
}

/** The uploads of a client. */
export class Uploader {
  constructor(client, post = postFile) {
    Object.assign(this, { _client: client, _post: post });
    this._current = null; // { id, abort }
    this._failures = 0;
    this._waitUntil = 0;
    this._timer = null;
  }

  /** Upload the next file, if there is one and none is under way. */
  pump() {
    const { connection, outbox } = this._client;
    if (!connection.isOnline) this._failures = 0;
    const message = outbox.nextUpload();
    if (this._current || !message || !connection.isOnline) return;
    const waiting = this._waitUntil - now();
    if (waiting <= 0) this._run(message);
    else this._timer ??= setTimeout(() => ((this._timer = null), this._client.pump()), waiting * 1000);
  }

  /** Give the upload of a message up, if it is under way. */
  cancel(id) {
    if (this._current?.id !== id) return;
    this._current.abort();
    this._current = null;
  }

  async _run(message) {
    const current = (this._current = { id: message.id, abort: () => {} });
    const isCurrent = () => current === this._current; // else it was given up
    const { token } = this._client.login;
    const problem = await this._findProblem(message);
    if (problem && isCurrent()) await this._refuse(message, problem);
    if (!problem && isCurrent()) {
      const answer = await this._send(message, token, current, isCurrent);
      if (isCurrent()) await this._onAnswer(message, answer, token);
    }
    if (isCurrent()) this._current = null;
    this._client.hooks.onChange("log");
    this._client.pump();
  }

  _send({ id, attachment, content }, token, current, isCurrent) {
    const onProgress = (share) => isCurrent() && this._client.hooks.onUploading?.(id, share);
    const { answer, abort } = this._post(content, headersOf(attachment, token), onProgress);
    current.abort = abort;
    return answer;
  }

  // What is known before anything is sent.
  async _findProblem({ attachment, content }) {
    const limit = this._client.state.limits.file;
    if (limit !== undefined && attachment.size > limit) return { code: "file_too_large", limit };
    try {
      await content.slice(-1).arrayBuffer(); // a file that was changed or removed since it was chosen
      return null;
    } catch {
      return { code: "file_unreadable", error: _("This file can no longer be read.") };
    }
  }

  async _onAnswer(message, answer, token) {
    const file = answer.status === CREATED ? answer.header("Location").split("/")[2] : "";
    if (file) return this._onKept(message, file);
    const refusal = refusalOf(answer);
    const isOldToken = answer.status === 401 && token !== this._client.login.token;
    if (isOldToken) return undefined;
    if (!PASSING.includes(answer.status)) return this._refuse(message, refusal);
    if (answer.status === LOST && this._client.connection.isOnline && (this._failures += 1) >= MAX_FAILURES)
      return this._refuse(message, { code: "upload_failed", error: _("The file could not be uploaded.") });
    if (answer.status !== LOST) message.reason = refusal;
    return this._wait(refusal.retry_after);
  }

  // The id of the file is kept before the message is sent: sent again, it must name the same file.
  async _onKept(message, file) {
    this._failures = 0;
    const { reason: _reason, ...kept } = { ...message, file, uploads: (message.uploads ?? 0) + 1 };
    await this._client.keepOutgoing(kept);
    delete message.reason;
    Object.assign(message, kept);
  }

  async _refuse(message, refusal) {
    this._failures = 0;
    this._client.outbox.refuse(message.id, refusal);
    await this._client.keepOutgoing(message);
  }

  _wait(requested) {
    const backoff = Math.min(2 ** Math.max(0, this._failures - 1), MAX_BACKOFF) * (0.5 + Math.random() / 2);
    this._waitUntil = now() + (requested === undefined ? backoff : Math.min(requested, MAX_WAIT));
  }
}

// As RFC 8187 wants it.
function encodeName(name) {
  const escape = (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(name.toWellFormed()).replaceAll(/['()*]/g, escape);
}

function shorten(name) {
  const characters = Array.from(name);
  if (characters.length <= MAX_NAME) return name;
  const extension = /\.[^.]{1,20}$/.exec(name)?.[0] ?? "";
  return characters.slice(0, MAX_NAME - extension.length).join("") + extension;
}
