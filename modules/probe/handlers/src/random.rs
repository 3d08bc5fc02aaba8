//! Secure randomness, asked for by its own import: a `HashMap`'s seed is another interface, and does not taint.

use nearside_sdk::{Request, Response, Result};

mod bindings {
    #![allow(unsafe_code, unreachable_pub, clippy::all)]

    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package nearside:probe;
            world random { import wasi:random/random@0.2.12; }
        ",
        world: "nearside:probe/random",
        generate_all,
    });
}

pub(crate) fn random(_: &Request) -> Result {
    Ok(Response::text(format!("{:016x}\n", bindings::wasi::random::random::get_random_u64())))
}
