//! An origin and a node in one process, behind one port: what `nearside dev` and `nearside test` run an app on.
//!
//! | module | what it holds |
//! |---|---|
//! | [`local`], `loopback` | [`Local`]: the two of them, and which of them a request is for |
//! | [`folder`] | what is kept beside an app: data, compiled code |
//! | [`build`], `ansi` | the app's own build command, and what it says |
//! | [`dev`] | the development server |
//! | [`hurl`] | test files: their format, and what running one comes to |
//! | [`suite`] | all test files of an app |
//! | [`site`], [`testing`] | an app on a fresh site, for tests; the same for tests written in Rust |

mod ansi;
pub mod build;
pub mod dev;
pub mod folder;
pub mod hurl;
pub mod local;
mod loopback;
pub mod site;
pub mod suite;
pub mod testing;

pub use local::{Local, LocalError};
