//! From a picture to what pages show of it.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{PngDecoder, PngEncoder};
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageResult, Rgba};

use crate::{Kind, Limits, Refusal, look};

/// A small picture, whatever of: upright, and with nothing in it but its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// A JPEG, or a PNG where something is transparent.
    pub kind: Kind,
    /// In pixels.
    pub width: u32,
    /// The same.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Makes a thumbnail: the same one of the same bytes.
///
/// # Errors
/// When the picture is not taken. It was not decoded then, unless it is [`Refusal::Damaged`].
pub fn thumbnail(bytes: &[u8], limits: &Limits) -> Result<Thumbnail, Refusal> {
    let kind = look(bytes, limits)?.kind;
    let small = shrink(bytes, kind, limits.thumbnail_px).map_err(|_| Refusal::Damaged)?;
    encode(small, limits.quality).map_err(|_| Refusal::Damaged)
}

fn shrink(bytes: &[u8], kind: Kind, most_px: u32) -> ImageResult<DynamicImage> {
    let file = Cursor::new(bytes);
    match kind {
        Kind::Jpeg => shrunk(JpegDecoder::new(file)?, most_px),
        Kind::Png => shrunk(PngDecoder::new(file)?, most_px),
        Kind::Webp => shrunk(WebPDecoder::new(file)?, most_px),
    }
}

/// Turned when it is small: that moves fewer pixels.
fn shrunk(mut decoder: impl ImageDecoder, most_px: u32) -> ImageResult<DynamicImage> {
    let orientation = decoder.orientation()?;
    let whole = DynamicImage::from_decoder(decoder)?;
    let is_small = whole.width().max(whole.height()) <= most_px;
    let mut small = if is_small { whole } else { scaled(whole, most_px) };
    small.apply_orientation(orientation);
    Ok(small)
}

/// Colours count by how much of them is seen: else what is transparent, and mostly black, would darken every edge.
fn scaled(mut whole: DynamicImage, most_px: u32) -> DynamicImage {
    if let DynamicImage::ImageRgba8(pixels) = &mut whole {
        for Rgba([colours @ .., alpha]) in pixels.pixels_mut() {
            *colours = colours.map(|colour| (u16::from(colour) * u16::from(*alpha) / 255) as u8);
        }
    }
    let mut small = whole.thumbnail(most_px, most_px);
    if let DynamicImage::ImageRgba8(pixels) = &mut small {
        for Rgba([colours @ .., alpha]) in pixels.pixels_mut() {
            let seen = u16::from((*alpha).max(1));
            *colours = colours.map(|colour| (u16::from(colour) * 255 / seen).min(255) as u8);
        }
    }
    small
}

fn encode(small: DynamicImage, quality: u8) -> ImageResult<Thumbnail> {
    let (width, height) = (small.width(), small.height());
    let mut bytes = Vec::new();
    let kind = if is_transparent(&small) { Kind::Png } else { Kind::Jpeg };
    if kind == Kind::Png {
        small.to_rgba8().write_with_encoder(PngEncoder::new(&mut bytes))?;
    } else {
        small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
    }
    Ok(Thumbnail { kind, width, height, bytes })
}

/// Many a screenshot could be, and is not.
fn is_transparent(picture: &DynamicImage) -> bool {
    picture.color().has_alpha() && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] < u8::MAX)
}
