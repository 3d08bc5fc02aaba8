//! Tells what a handler looked for and was not shown, so that `nearside dev` and `nearside check` can say which inputs a
//! route should declare. Builds without debug assertions neither tell nor import the interface.

/// Where something was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    Header,
    Cookie,
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn tell(_: Kind, _: &str) {}

#[cfg(all(debug_assertions, target_family = "wasm"))]
pub(crate) fn tell(kind: Kind, name: &str) {
    use crate::bindings::nearside::edge::inputs;

    let kind = match kind {
        Kind::Query => inputs::Kind::Query,
        Kind::Header => inputs::Kind::Header,
        Kind::Cookie => inputs::Kind::Cookie,
    };
    inputs::missed(kind, name);
}

/// On other targets what was told is kept, for tests.
#[cfg(all(debug_assertions, not(target_family = "wasm")))]
pub(crate) fn tell(kind: Kind, name: &str) {
    TOLD.with_borrow_mut(|told| told.push((kind, name.to_owned())));
}

#[cfg(all(debug_assertions, not(target_family = "wasm")))]
thread_local! {
    static TOLD: std::cell::RefCell<Vec<(Kind, String)>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(test)]
pub(crate) fn told() -> Vec<(Kind, String)> {
    TOLD.take()
}
