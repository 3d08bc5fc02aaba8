//! The entry of each kind of component. On other targets than wasm they only check the function's type, so that
//! tests run on the machine at hand.

/// Makes this crate a handler component: `handler!(respond)` with `fn respond(Request) -> Result`.
#[macro_export]
macro_rules! handler {
    ($respond:path) => {
        $crate::entry! {
            check: fn($crate::Request) -> $crate::Result = $respond,
            impl $crate::bindings::handler::exports::wasi::http::incoming_handler::Guest {
                fn handle(
                    request: $crate::bindings::wasi::http::types::IncomingRequest,
                    out: $crate::bindings::wasi::http::types::ResponseOutparam,
                ) {
                    $crate::serve($respond, request, out);
                }
            }
            export { $crate::bindings::handler::export_handler!(Component with_types_in $crate::bindings::handler); }
        }
    };
}

/// Makes this crate a command component: `command!(apply)` with `fn apply(&Command) -> Result<Reply, Refusal>`.
#[macro_export]
macro_rules! command {
    ($apply:path) => {
        $crate::entry! {
            check: fn(&$crate::command::Command) -> Result<$crate::command::Reply, $crate::command::Refusal> = $apply,
            impl $crate::bindings::command::exports::nearside::edge::command_handler::Guest {
                fn apply(
                    command: $crate::bindings::command::exports::nearside::edge::command_handler::Command,
                ) -> Result<String, $crate::bindings::command::exports::nearside::edge::command_handler::Refusal> {
                    $crate::command::run($apply, command)
                }
            }
            export { $crate::bindings::command::export_command!(Component with_types_in $crate::bindings::command); }
        }
    };
}

/// Makes this crate a task component: `task!(perform)` with `fn perform(&Job) -> Result<(), Failure>`.
#[macro_export]
macro_rules! task {
    ($perform:path) => {
        $crate::entry! {
            check: fn(&$crate::task::Job) -> Result<(), $crate::task::Failure> = $perform,
            impl $crate::bindings::task::exports::nearside::edge::task_handler::Guest {
                fn run(
                    job: $crate::bindings::task::exports::nearside::edge::task_handler::Job,
                ) -> Result<(), $crate::bindings::task::exports::nearside::edge::task_handler::Failure> {
                    $crate::task::run($perform, job)
                }
            }
            export { $crate::bindings::task::export_task!(Component with_types_in $crate::bindings::task); }
        }
    };
}

/// The export and the allocator that all three share.
#[doc(hidden)]
#[macro_export]
macro_rules! entry {
    (
        check: $type:ty = $function:path,
        impl $guest:path { $($body:tt)* }
        export { $($export:tt)* }
    ) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            #[global_allocator]
            static ARENA: $crate::arena::Arena = $crate::arena::Arena::new();

            struct Component;

            impl $guest for Component {
                $($body)*
            }

            $($export)*
        };
        #[cfg(not(target_family = "wasm"))]
        const _: $type = $function;
    };
}
