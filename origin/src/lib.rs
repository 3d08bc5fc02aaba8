//! x

mod api;
mod api_error;
mod app_version;
mod body;
mod carry;
pub mod change_log;
pub mod check;
pub mod command;
pub mod config;
mod dedupe;
mod entry;
mod group;
pub mod install;
mod job;
pub mod keyed;
pub mod merge;
pub mod migrate;
mod objects;
pub mod origin;
mod pace;
mod projector;
mod publisher;
mod read_database;
mod rehearsal;
mod render;
mod script;
mod secrets;
pub mod site;
mod snapshot;
pub mod store;
mod tables;
pub mod task_guest;
pub mod task_runner;
mod tasks;
pub mod writer;

pub use origin::{Origin, OriginError};
