//! What `wit-bindgen` makes of `wit/`. The rest of the SDK wraps it; reach in here only for what it does not cover.
//!
//! All imports are generated once and linked only where they are called, so a component carries just those it
//! uses. The three exports are apart, because a component exports exactly one of them.
#![allow(unsafe_code, unreachable_pub, missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package nearside:sdk;
        world imports {
            import wasi:cli/environment@0.2.12;
            import wasi:cli/stderr@0.2.12;
            import wasi:http/types@0.2.12;
            import wasi:http/outgoing-handler@0.2.12;
            import wasi:random/random@0.2.12;
            import nearside:edge/sql@0.1.0;
            import nearside:edge/page@0.1.0;
            import nearside:edge/origin@0.1.0;
            import nearside:edge/store@0.1.0;
            import nearside:edge/assets@0.1.0;
            import nearside:edge/blob@0.1.0;
            import nearside:edge/blob-content@0.1.0;
            import nearside:edge/inputs@0.1.0;
            import nearside:edge/step@0.1.0;
            import nearside:edge/progress@0.1.0;
        }
    ",
    world: "nearside:sdk/imports",
    generate_all,
});

/// The export of a handler component.
pub mod handler {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nearside:sdk;
            world handler-export { export wasi:http/incoming-handler@0.2.12; }
        ",
        world: "nearside:sdk/handler-export",
        with: {
            "wasi:io/error@0.2.12": super::wasi::io::error,
            "wasi:io/poll@0.2.12": super::wasi::io::poll,
            "wasi:io/streams@0.2.12": super::wasi::io::streams,
            "wasi:clocks/monotonic-clock@0.2.12": super::wasi::clocks::monotonic_clock,
            "wasi:http/types@0.2.12": super::wasi::http::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_handler",
        default_bindings_module: "nearside_sdk::bindings::handler",
    });
}

/// The export of a command component.
pub mod command {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nearside:sdk;
            world command-export { export nearside:edge/command-handler@0.1.0; }
        ",
        world: "nearside:sdk/command-export",
        pub_export_macro: true,
        export_macro_name: "export_command",
        default_bindings_module: "nearside_sdk::bindings::command",
    });
}

/// The export of a task component.
pub mod task {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package nearside:sdk;
            world task-export { export nearside:edge/task-handler@0.1.0; }
        ",
        world: "nearside:sdk/task-export",
        pub_export_macro: true,
        export_macro_name: "export_task",
        default_bindings_module: "nearside_sdk::bindings::task",
    });
}
