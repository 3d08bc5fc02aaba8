//! What visitors send along: a photograph as messengers and browsers make them smaller. Nobody's photograph is in the
//! project, so it is computed: smooth, with edges and grain, like one.

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use crate::limits::{STORY_PICTURE_PX, STORY_PICTURE_QUALITY, STORY_SEED};
use crate::random::Random;

/// How strong the grain is, in steps of a colour.
const GRAIN: usize = 12;

pub(super) struct Picture {
    bytes: Vec<u8>,
    pub(super) about: String,
}

impl Picture {
    pub(super) fn make() -> Result<Self> {
        let [width, height] = STORY_PICTURE_PX;
        let mut random = Random::new(STORY_SEED);
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let grain = random.below(GRAIN) as f64;
            Rgb(colour(f64::from(x) / f64::from(width), f64::from(y) / f64::from(height), grain))
        });
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, STORY_PICTURE_QUALITY);
        picture.write_with_encoder(encoder).context("making a picture")?;
        let about = format!("JPEG of {width} x {height} pixels and {} KiB", bytes.len() >> 10);
        Ok(Self { bytes, about })
    }

    /// The same picture as another file: its name is in a comment (ITU-T T.81, B.2.4.5). So nobody can keep what was made
    /// of one for the next.
    pub(super) fn named(&self, name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
        let (start, rest) = self.bytes.split_at(2);
        [start, &[0xff, 0xfe], &length, name.as_bytes(), rest].concat()
    }
}

/// Waves of several lengths, and a horizon.
fn colour(x: f64, y: f64, grain: f64) -> [u8; 3] {
    let wave = |length: f64, turned: f64| ((x * turned + y * (1.0 - turned)) * length).sin();
    let ground = if y > 0.6 + 0.05 * (x * 9.0).sin() { 70.0 } else { 0.0 };
    let light = 120.0 + 40.0 * wave(5.0, 0.7) + 20.0 * wave(23.0, 0.3) + 12.0 * wave(90.0, 0.5) - ground;
    let tint = [20.0 * wave(7.0, 0.2), 10.0 * wave(11.0, 0.9), 25.0 * wave(4.0, 0.5)];
    tint.map(|tint| (light + tint + grain).clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use packages_pictures::{Kind, Limits, look, thumbnail};

    use super::*;

    #[test]
    fn it_is_a_picture_that_the_site_takes_under_any_name() {
        let picture = Picture::make().unwrap();
        let (one, other) = (picture.named("1-1"), picture.named("1-2"));
        assert_ne!(one, other);
        let looked = look(&one, &Limits::default()).unwrap();
        assert_eq!((looked.kind, [looked.width, looked.height]), (Kind::Jpeg, STORY_PICTURE_PX));
        let made = thumbnail(&one, &Limits::default()).unwrap();
        assert_eq!(made, thumbnail(&other, &Limits::default()).unwrap());
        // As large as a photograph, not as a drawing.
        assert!((150 << 10..800 << 10).contains(&picture.bytes.len()), "{}", picture.about);
    }
}
