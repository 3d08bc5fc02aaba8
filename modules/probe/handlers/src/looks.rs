//! Inputs looked for in vain, told by the import itself: the SDK tells only in builds for development.

use nearside_sdk::{Request, Response, Result, log};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::all)]

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package nearside:probe;
            world looks { import nearside:edge/inputs@0.1.0; }
        ",
        world: "nearside:probe/looks",
        generate_all,
    });
}

use bindings::nearside::edge::inputs::{Kind, missed};

pub(crate) fn looks(_: &Request) -> Result {
    log("looking for inputs");
    for name in ["declared", "undeclared"] {
        missed(Kind::Query, name);
        missed(Kind::Cookie, name);
    }
    missed(Kind::Header, "accept-language");
    Ok(Response::text("looked\n"))
}
