//! The app's own static files.

use crate::route;

/// The address of a file in the folder that `static` names, for links: `assets::url("app.css")`. It is named after the
/// file's content, so that browsers keep it for ever; a file that is not there has the address it would have.
#[must_use]
pub fn url(path: &str) -> String {
    hashed(path).unwrap_or_else(|| {
        let segments: Vec<String> = path.split('/').map(route::segment).collect();
        format!("/static/{}", segments.join("/"))
    })
}

#[cfg(target_family = "wasm")]
fn hashed(path: &str) -> Option<String> {
    crate::bindings::nearside::edge::assets::url(path)
}

/// Tests have no release.
#[cfg(not(target_family = "wasm"))]
fn hashed(_: &str) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_that_is_not_there_has_an_address() {
        assert_eq!(super::url("app.css"), "/static/app.css");
        assert_eq!(super::url("fonts/a b.woff2"), "/static/fonts/a%20b.woff2");
    }
}
