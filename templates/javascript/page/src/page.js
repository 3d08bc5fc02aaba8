// The one page of this site.

import { query } from "nearside:edge/sql@0.1.0";
import { html, respond } from "./http.js";

export const incomingHandler = {
  handle(request, out) {
    const { searchParams } = new URL(request.pathWithQuery() ?? "/", "http://localhost");
    const name = searchParams.get("name")?.trim() || "world";
    respond(out, 200, page(name, rows(query("greetings", [{ tag: "integer", val: 20n }]))));
  },
};

/** Rows as objects. A result comes flat: row r, column c stands at `cells[r * columns.length + c]`. */
function rows({ columns, cells }) {
  const row = (at) => Object.fromEntries(columns.map((column, i) => [column, cells[at * columns.length + i].val]));
  return Array.from({ length: cells.length / columns.length }, (_, at) => row(at));
}

function page(name, greetings) {
  const item = ({ language, text }) => html`<li><h2>${text}, ${name}!</h2><p class="soft">${language}</p></li>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{name}}</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main>
<h1>Hello, ${name}!</h1>
<form>
<input name="name" aria-label="Your name" placeholder="Your name" maxlength="80" autocomplete="given-name">
<button>Greet me</button>
</form>
<ul class="cards">${greetings.map(item)}</ul>
<p class="soft">Rendered next to you, and kept until the next push.</p>
</main>
</body>
</html>`;
}
