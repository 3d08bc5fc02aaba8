//! The Nearside origin: one write store per app, the commands and tasks that change it, and the releases nodes pull.

mod app_version;
mod carry;
pub mod change_log;
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
mod pace;
mod projector;
mod publisher;
mod read_database;
mod script;
mod snapshot;
pub mod store;
pub mod task_guest;
pub mod task_runner;
mod tasks;
pub mod writer;
