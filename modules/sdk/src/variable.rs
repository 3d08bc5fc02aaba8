//! The variables and secrets that the manifest grants.

/// The value of the variable `name`, if the manifest grants it.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    crate::bindings::wasi::cli::environment::get_environment()
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}
