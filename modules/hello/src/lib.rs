//! The smallest app: one route, one handler.

use maud::{DOCTYPE, html};
use nearside_sdk::{Request, Response, Result, handler};

handler!(respond);

fn respond(request: Request) -> Result {
    let query = request.query();
    let name = query.filled("name").unwrap_or("world");
    Ok(Response::html(html! {
        (DOCTYPE)
        title { "Hello" }
        h1 { "Hello, " (name) "!" }
    }))
}
