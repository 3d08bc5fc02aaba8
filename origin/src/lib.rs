//! The Nearside origin: one write store per app, the commands and tasks that change it, and the releases nodes pull.

mod app_version;
mod carry;
pub mod config;
mod objects;
mod pace;
mod projector;
mod publisher;
mod read_database;
mod script;
mod snapshot;
pub mod store;
pub mod writer { pub(crate) fn now_ms() -> u64 { 0 } }
