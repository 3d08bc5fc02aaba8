//! What a picture's head tells, and whether its end is there.

mod jpeg;
mod png;
mod webp;

use crate::{Limits, Refusal};

/// The formats that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

/// What is known of a picture before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// What it is.
    pub kind: Kind,
    /// In pixels, before it is turned as its camera was held.
    pub width: u32,
    /// The same.
    pub height: u32,
    /// What decoding one pixel of it holds in memory, at most.
    bytes_per_pixel: u64,
}

impl Kind {
    /// What the name of such a file ends in, and what a blob's address should.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }
}

/// Looks at a picture without decoding it.
///
/// # Errors
/// When it is not one that is taken: all reasons but [`Refusal::Damaged`] come from here.
pub fn look(bytes: &[u8], limits: &Limits) -> Result<Picture, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    if bytes.len() > limits.file_bytes {
        return Err(Refusal::TooManyBytes { bytes: bytes.len(), most: limits.file_bytes });
    }
    let picture = match bytes {
        [0xff, 0xd8, 0xff, ..] => jpeg::look(bytes)?,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => png::look(bytes)?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp::look(bytes)?,
        other => return Err(stranger(other)),
    };
    picture.bounded(limits)
}

impl Picture {
    fn bounded(self, limits: &Limits) -> Result<Self, Refusal> {
        let Self { width, height, bytes_per_pixel, .. } = self;
        if width == 0 || height == 0 {
            return Err(Refusal::Damaged);
        }
        let most = limits.pixels.min(limits.decoding_bytes / bytes_per_pixel);
        if u64::from(width) * u64::from(height) > most {
            return Err(Refusal::TooManyPixels { width, height, most });
        }
        if width.max(height) > limits.side_px {
            return Err(Refusal::TooLong { px: width.max(height), most: limits.side_px });
        }
        Ok(self)
    }
}

/// People send what their device makes: whoever reads "a HEIC picture" knows what to look for in its settings.
fn stranger(bytes: &[u8]) -> Refusal {
    match bytes {
        [b'G', b'I', b'F', b'8', ..] => Refusal::OtherFormat("a GIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Refusal::OtherFormat("an AVIF picture"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'h', b'e', ..] | [_, _, _, _, b'f', b't', b'y', b'p', b'm', b'i', ..] => {
            Refusal::OtherFormat("a HEIC picture")
        }
        [_, _, _, _, b'f', b't', b'y', b'p', ..] | [0x1a, 0x45, 0xdf, 0xa3, ..] => Refusal::OtherFormat("a film"),
        [b'B', b'M', ..] => Refusal::OtherFormat("a BMP picture"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Refusal::OtherFormat("a TIFF picture"),
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => Refusal::OtherFormat("a JPEG XL picture"),
        [b'%', b'P', b'D', b'F', ..] => Refusal::OtherFormat("a PDF"),
        text if is_svg(text) => Refusal::OtherFormat("an SVG drawing"),
        _ => Refusal::NoPicture,
    }
}

fn is_svg(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(512)];
    head.trim_ascii_start().starts_with(b"<") && head.windows(4).any(|window| window == b"<svg")
}

/// Two bytes, the larger first.
fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
