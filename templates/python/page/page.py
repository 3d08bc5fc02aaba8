"""The one page of this site."""

import random
from html import escape
from urllib.parse import parse_qs, urlsplit

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import sql
from wit_world.imports.nearside_edge_types import Rows, Value_Integer
from wit_world.imports.wasi_http_types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

# The runtime seeds `random` from real randomness before each request, and what looked at chance is not cached. Without
# that, `random` gives the same numbers in each request, and `secrets` still gives real ones.
random.seed = lambda *_: None


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        query = parse_qs(urlsplit(request.path_with_query() or "/").query)
        name = query.get("name", ["world"])[0].strip() or "world"
        respond(response_out, 200, page(name, as_dicts(sql.query("greetings", [Value_Integer(20)]))))


def as_dicts(rows: Rows) -> list[dict]:
    """A result comes flat: row r, column c stands at cells[r * len(columns) + c]."""
    width = len(rows.columns)
    values = [getattr(cell, "value", None) for cell in rows.cells]
    return [dict(zip(rows.columns, values[at : at + width])) for at in range(0, len(values), width)]


def page(name: str, greetings: list[dict]) -> str:
    name = escape(name)
    items = "".join(
        f'<li><h2>{escape(greeting["text"])}, {name}!</h2><p class="soft">{escape(greeting["language"])}</p></li>'
        for greeting in greetings
    )
    return f"""<!doctype html>
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
<h1>Hello, {name}!</h1>
<form>
<input name="name" aria-label="Your name" placeholder="Your name" maxlength="80" autocomplete="given-name">
<button>Greet me</button>
</form>
<ul class="cards">{items}</ul>
<p class="soft">Rendered next to you, and kept until the next push.</p>
</main>
</body>
</html>"""


def respond(out: ResponseOutparam, status: int, html: str) -> None:
    """The head first, then the body: what is written after `set` is on its way at once."""
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/html; charset=utf-8")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    bytes_ = html.encode()
    with body.write() as stream:
        # The most that one such call takes.
        for at in range(0, len(bytes_), 4096):
            stream.blocking_write_and_flush(bytes_[at : at + 4096])
    OutgoingBody.finish(body, None)
