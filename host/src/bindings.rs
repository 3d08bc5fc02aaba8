//! The host's side of the `nearside:edge` interfaces, generated from `wit/`.

/// What handlers import.
mod node {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package nearside:node;
            world node {
                import nearside:edge/sql@0.1.0;
                import nearside:edge/page@0.1.0;
                import nearside:edge/origin@0.1.0;
                import nearside:edge/inputs@0.1.0;
            }
        ",
        imports: {
            "nearside:edge/page": async | trappable,
            "nearside:edge/origin": async | trappable,
            default: trappable,
        },
        require_store_data_send: true,
    });
}

pub use node::nearside::edge;
