//! The variables and secrets that the manifest grants.

/// The value of the variable or secret `name`, if the manifest grants it.
#[must_use]
#[cfg(target_family = "wasm")]
pub fn variable(name: &str) -> Option<String> {
    crate::bindings::wasi::cli::environment::get_environment()
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Tests have the variables of the machine at hand.
#[must_use]
#[cfg(not(target_family = "wasm"))]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
