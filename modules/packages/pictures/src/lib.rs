//! Pictures that visitors send. Pure functions of bytes, for a component and for any other program alike:
//!
//! - [`look`] reads a picture's head, and says what can be said without decoding it. It takes microseconds, so a handler
//!   asks it before it takes a picture.
//! - [`thumbnail`] looks, decodes, scales, turns the picture as its camera was held, and encodes what is shown: without
//!   the picture's metadata, such as where it was taken.
//!
//! What a picture is, is told by its content and never by its name. Its size is checked before it is decoded: 4 KB of
//! PNG may say that they are a gigabyte of pixels.
//!
//! ```
//! use packages_pictures::{Limits, Refusal, thumbnail};
//!
//! assert_eq!(thumbnail(b"GIF89a...", &Limits::default()), Err(Refusal::OtherFormat("a GIF")));
//! ```

mod limits;
mod look;
mod refusal;
#[cfg(test)]
mod tests;
mod thumbnail;

pub use limits::Limits;
pub use look::{Kind, Picture, look};
pub use refusal::Refusal;
pub use thumbnail::{Thumbnail, thumbnail};
