//! The app's own files by their content's names, and those that visitors send.

use nearside_sdk::{Request, Response, Result};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::all)]

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package nearside:probe-files;
            world files {
                import nearside:edge/assets@0.1.0;
                import nearside:edge/blob@0.1.0;
            }
        ",
        world: "nearside:probe-files/files",
        generate_all,
    });
}

use bindings::nearside::edge::{assets, blob as edge_blob};

const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The address of the static file `name`.
pub(crate) fn asset(request: &Request) -> Result {
    let query = request.query();
    let url = assets::url(query.get("name").unwrap_or_default());
    Ok(Response::text(url.unwrap_or_else(|| "none".to_owned())))
}

/// Stores the body.
pub(crate) fn blob(request: &Request) -> Result {
    Ok(Response::text(match edge_blob::put(&request.body(MAX_BODY_BYTES)?) {
        Ok(hash) => hash,
        Err(edge_blob::PutError::TooLarge(most_bytes)) => format!("too large: over {most_bytes}"),
        Err(edge_blob::PutError::Refused(why)) => format!("refused: {why}"),
        Err(edge_blob::PutError::Unavailable(why)) => format!("unavailable: {why}"),
    }))
}
