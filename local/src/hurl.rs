//! Test files: requests, and what is expected of their answers, in a part of the Hurl format (hurl.dev).
//!
//! `docs/testing.md` lists the part. Whatever is outside of it is an error that names it, and never passes unseen.

pub mod check;
mod cursor;
mod diff;
pub mod file;
mod jsonpath;
mod parse;
pub mod run;
mod template;
mod value;
mod words;

pub use file::HurlFile;
pub use parse::{ParseError, parse};
pub use value::Value;
