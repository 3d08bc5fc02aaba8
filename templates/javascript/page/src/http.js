// Answering by wasi:http, and text that is safe in HTML.

import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.12";

/** The most that one call of `blockingWriteAndFlush` takes. */
const PIECE_BYTES = 4096;

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text that is HTML already. */
class Html {
  constructor(text) {
    this.text = text;
  }
}

/** HTML with values in it. Each is escaped, unless it was made by `html` itself; a list is its items one after another. */
export function html(literals, ...values) {
  return new Html(String.raw({ raw: literals }, ...values.map(escaped)));
}

function escaped(value) {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(escaped).join("");
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** The head first, then the body: what is written after `set` is on its way at once. */
export function respond(out, status, page) {
  const encoder = new TextEncoder();
  const headers = Fields.fromList([["content-type", encoder.encode("text/html; charset=utf-8")]]);
  const response = new OutgoingResponse(headers);
  response.setStatusCode(status);
  const body = response.body();
  ResponseOutparam.set(out, { tag: "ok", val: response });

  const stream = body.write();
  const bytes = encoder.encode(page.text);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    stream.blockingWriteAndFlush(bytes.subarray(at, at + PIECE_BYTES));
  }
  stream[Symbol.dispose]();
  OutgoingBody.finish(body, undefined);
}
