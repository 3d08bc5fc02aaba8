//! The files that `build.rs` put into the binary: path below their folder, text.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
