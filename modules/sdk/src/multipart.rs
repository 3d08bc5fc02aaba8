//! Forms with files: `multipart/form-data`, RFC 7578.
//!
//! ```ignore
//! let form = request.multipart(2 << 20)?;
//! let title = form.fields().filled("title").unwrap_or("untitled");
//! if let Some(picture) = form.file("picture") {
//!     let hash = blob::put(picture.bytes)?;
//! }
//! ```
//!
//! All of it stands in memory once: a file is a piece of the body. What a visitor says a file is - its name, its type -
//! is a claim. Say what it is by its first bytes, and never make a path of its name.

mod head;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::Fields;

/// How much of a form is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The whole body. The route's `body_kib` is the other limit, and 1 MiB unless it says otherwise.
    pub total_bytes: usize,
    /// Each file.
    pub file_bytes: usize,
    /// Each value that is no file.
    pub field_bytes: usize,
    /// Fields and files together.
    pub parts: usize,
}

impl From<usize> for Limits {
    /// A body of that many bytes, of which one file may be all; 64 KiB for each value, a hundred parts.
    fn from(total_bytes: usize) -> Self {
        Self { total_bytes, file_bytes: total_bytes, field_bytes: 64 * 1024, parts: 100 }
    }
}

/// A form that was sent.
#[derive(Debug, Clone)]
pub struct Multipart {
    body: Vec<u8>,
    fields: Fields,
    files: Vec<Upload>,
}

/// A file as it lies in the body.
#[derive(Debug, Clone)]
struct Upload {
    field: String,
    name: String,
    media_type: String,
    bytes: Range<usize>,
}

/// A file that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// What the visitor calls it, without folders and control characters; perhaps empty. For showing only.
    pub name: &'a str,
    /// What the visitor's browser takes it for, in lower case; `application/octet-stream` when it says nothing.
    pub media_type: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

impl Multipart {
    /// Reads a body that came with this `Content-Type`. [`Request::multipart`](crate::Request::multipart) is how apps
    /// come here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(content_type: &str, body: Vec<u8>, limits: &Limits) -> Result<Self, Error> {
        if body.len() > limits.total_bytes {
            return Err(Error::TooLarge { max_bytes: limits.total_bytes });
        }
        let boundary = head::boundary(content_type).ok_or(Error::NoBoundary)?;
        let (mut fields, mut files) = (Vec::new(), Vec::new());
        for (count, part) in parse::Parts::new(&body, &boundary)?.enumerate() {
            if count == limits.parts {
                return Err(Error::TooManyParts { max: limits.parts });
            }
            let part = part?;
            let head = head::Head::parse(&body[part.head])?;
            let max_bytes = if head.file_name.is_some() { limits.file_bytes } else { limits.field_bytes };
            if part.content.len() > max_bytes {
                return Err(Error::PartTooLarge { name: head.name, max_bytes });
            }
            match head.file_name {
                // A file input that was left empty.
                Some(name) if name.is_empty() && part.content.is_empty() => {}
                Some(name) => {
                    files.push(Upload { field: head.name, name, media_type: head.media_type, bytes: part.content });
                }
                None => fields.push((head.name, String::from_utf8_lossy(&body[part.content]).into_owned())),
            }
        }
        Ok(Self { fields: fields.into_iter().collect(), files, body })
    }

    /// A form that came another way.
    pub(crate) fn without_files(fields: Fields) -> Self {
        Self { body: Vec::new(), fields, files: Vec::new() }
    }

    /// What is no file.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The first file of this field; none when the visitor chose none.
    #[must_use]
    pub fn file(&self, field: &str) -> Option<File<'_>> {
        self.files(field).next()
    }

    /// Every file of this field, in order.
    pub fn files<'a>(&'a self, field: &str) -> impl Iterator<Item = File<'a>> {
        self.files.iter().filter(move |file| file.field == field).map(|file| File {
            name: &file.name,
            media_type: &file.media_type,
            bytes: &self.body[file.bytes.clone()],
        })
    }
}

/// Why a form was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The `Content-Type` names no boundary, or none that can be one.
    NoBoundary,
    /// It is not as RFC 7578 says; the text says where.
    Malformed(&'static str),
    /// The body is longer than allowed.
    TooLarge {
        /// What is allowed.
        max_bytes: usize,
    },
    /// A file or a value is longer than allowed.
    PartTooLarge {
        /// Its field.
        name: String,
        /// What is allowed.
        max_bytes: usize,
    },
    /// More fields and files than allowed.
    TooManyParts {
        /// What is allowed.
        max: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBoundary => f.write_str("multipart: the Content-Type has no boundary"),
            Self::Malformed(what) => write!(f, "multipart: {what}"),
            Self::TooLarge { max_bytes } => write!(f, "multipart: longer than {max_bytes} bytes"),
            Self::PartTooLarge { name, max_bytes } => write!(f, "multipart: `{name}` is longer than {max_bytes} bytes"),
            Self::TooManyParts { max } => write!(f, "multipart: more than {max} parts"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        let answer = match &error {
            Error::NoBoundary | Error::Malformed(_) => Self::bad_request("This form arrived broken."),
            Error::TooLarge { max_bytes } => Self::too_large(*max_bytes),
            Error::PartTooLarge { name, max_bytes } => {
                let message = format!("“{name}” is too large: at most {max_bytes} bytes can be sent there.");
                Self::new(http::StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            Error::TooManyParts { .. } => {
                Self::new(http::StatusCode::PAYLOAD_TOO_LARGE, "This form has too many parts.")
            }
        };
        answer.with_detail(error.to_string())
    }
}
