//! Writes the pictures that the app's tests send, good and bad: `cargo run --example samples --target HOST -- FOLDER`.

use std::io::Cursor;
use std::path::Path;
use std::{env, fs, io};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};

fn main() -> io::Result<()> {
    let Some(folder) = env::args().nth(1) else { return Err(io::Error::other("name a folder to write to")) };
    let scene = evening(1440, 960);
    let photo = jpeg(&scene)?;
    for (name, bytes) in [
        ("evening.jpg", with_exif(&photo, 1)),
        ("held-upright.jpg", with_exif(&jpeg(&imageops::rotate270(&evening(720, 1080)))?, 6)),
        ("window.png", encoded(&window(1200, 760), ImageFormat::Png)?),
        ("small.webp", encoded(&imageops::thumbnail(&window(1200, 760), 240, 152), ImageFormat::WebP)?),
        ("cut-off.jpg", photo[..photo.len() / 2].to_vec()),
        ("damaged.png", damaged(encoded(&imageops::thumbnail(&scene, 300, 200), ImageFormat::Png)?)),
        ("bomb.png", claiming(&encoded(&evening(12, 8), ImageFormat::Png)?, 30_000, 30_000)),
        ("moving.png", moving(&encoded(&evening(60, 40), ImageFormat::Png)?)),
        ("page.png", b"<!doctype html><script>alert(1)</script>".to_vec()),
        ("old.gif", b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;".to_vec()),
    ] {
        fs::write(Path::new(&folder).join(name), bytes)?;
    }
    Ok(())
}

/// A low sun over hills.
fn evening(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (across, down) = (f64::from(x) / f64::from(width), f64::from(y) / f64::from(height));
        let shape = f64::from(width) / f64::from(height);
        let from_sun = (((across - 0.68) * shape).powi(2) + (down - 0.42).powi(2)).sqrt();
        let sky = mix([58.0, 76.0, 132.0], [250.0, 176.0, 122.0], (down / 0.62).min(1.0).powf(1.3));
        let mut colour = mix(sky, [255.0, 228.0, 180.0], (0.09 / from_sun.max(0.001)).min(1.0).powi(2) * 0.8);
        if from_sun < 0.075 {
            colour = [255.0, 240.0, 208.0];
        }
        for hill in 0..4 {
            let depth = f64::from(hill);
            let top = 0.56
                + depth * 0.1
                + 0.045 * ((across * (5.0 + depth * 2.3) + depth * 1.7).sin())
                + 0.018 * ((across * (17.0 + depth * 5.0) + depth).sin());
            if down > top {
                colour = mix([150.0, 104.0, 112.0], [24.0, 30.0, 48.0], (depth + 0.4) / 3.6);
            }
        }
        Rgb(colour.map(|part| part.clamp(0.0, 255.0) as u8))
    })
}

/// A terminal with lines of text, as far as one can see from afar.
fn window(width: u32, height: u32) -> RgbImage {
    const BAR: u32 = 44;
    const LINE: u32 = 30;
    RgbImage::from_fn(width, height, |x, y| {
        if y < BAR {
            let dots = [(26, [236, 106, 94]), (54, [244, 190, 79]), (82, [97, 197, 84])];
            let dot = dots.iter().find(|(at, _)| x.abs_diff(*at).pow(2) + y.abs_diff(BAR / 2).pow(2) < 70);
            return Rgb(dot.map_or([44, 46, 58], |(_, colour)| *colour));
        }
        let (line, within) = ((y - BAR) / LINE, (y - BAR) % LINE);
        let (word, letter) = (x.saturating_sub(28) / 11, x.saturating_sub(28) % 11);
        let length = 12 + line * 37 % 61;
        let is_text =
            x > 28 && (9..21).contains(&within) && letter < 8 && word < length && (word * 7 + line * 3) % 9 != 0;
        let colours = [[139, 213, 202], [198, 160, 246], [202, 211, 245], [238, 212, 159]];
        Rgb(if is_text { colours[((word / 9 + line) % 4) as usize] } else { [30, 32, 48] })
    })
}

fn mix(from: [f64; 3], to: [f64; 3], share: f64) -> [f64; 3] {
    [0, 1, 2].map(|part| from[part] + (to[part] - from[part]) * share)
}

fn jpeg(picture: &RgbImage) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 70)).map_err(io::Error::other)?;
    Ok(bytes)
}

fn encoded(picture: &RgbImage, format: ImageFormat) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture.clone()).write_to(&mut bytes, format).map_err(io::Error::other)?;
    Ok(bytes.into_inner())
}

/// How the camera was held, and what else it wrote down.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    const NOTE: &[u8] = b"taken at home, 52 N 13 E\0\0\0\0";
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
    exif.extend([0x01, 0x0e, 0, 2, 0, 0, 0, NOTE.len() as u8, 0, 0, 0, 38]);
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
    exif.extend(NOTE);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// The same with another size in its head.
fn claiming(png: &[u8], width: u32, height: u32) -> Vec<u8> {
    [&png[..16], &width.to_be_bytes(), &height.to_be_bytes(), &png[24..]].concat()
}

/// Whole as a file, and not as a picture.
fn damaged(mut png: Vec<u8>) -> Vec<u8> {
    let middle = png.len() / 2;
    png[middle..middle + 64].fill(0x55);
    png
}

/// With the chunk that says how many frames there are.
fn moving(png: &[u8]) -> Vec<u8> {
    const AFTER_HEADER: usize = 33;
    let frames = [&8_u32.to_be_bytes()[..], b"acTL", &2_u32.to_be_bytes(), &[0; 4], &[0; 4]].concat();
    [&png[..AFTER_HEADER], &frames, &png[AFTER_HEADER..]].concat()
}
