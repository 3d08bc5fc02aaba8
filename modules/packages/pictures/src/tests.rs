//! What is taken, what is refused and why, and what becomes of what is taken.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use proptest::prelude::*;

use crate::{Kind, Limits, Refusal, Thumbnail, look, thumbnail};

const RED: Rgb<u8> = Rgb([220, 20, 20]);
const BLUE: Rgb<u8> = Rgb([20, 20, 220]);

/// Red on the left, blue on the right.
fn two_halves(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { RED } else { BLUE }).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&two_halves(width, height), ImageFormat::Jpeg)
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&two_halves(width, height), ImageFormat::Png)
}

fn refused(bytes: &[u8]) -> Refusal {
    let refusal = thumbnail(bytes, &Limits::default()).unwrap_err();
    if refusal != Refusal::Damaged {
        assert_eq!(look(bytes, &Limits::default()), Err(refusal.clone()), "a look tells the same");
    }
    refusal
}

fn made(bytes: &[u8]) -> Thumbnail {
    thumbnail(bytes, &Limits::default()).unwrap()
}

fn shown(thumbnail: &Thumbnail) -> RgbImage {
    let shown = image::load_from_memory(&thumbnail.bytes).unwrap();
    assert_eq!((shown.width(), shown.height()), (thumbnail.width, thumbnail.height));
    shown.to_rgb8()
}

fn is_near(pixel: Rgb<u8>, expected: Rgb<u8>) -> bool {
    pixel.0.iter().zip(expected.0).all(|(is, expected)| is.abs_diff(expected) < 12)
}

/// A chunk of a PNG; no checksum is looked at before decoding.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length, &name[..], data, &[0; 4]].concat()
}

fn png_of(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[depth, colour, 0, 0, 0]].concat();
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &[0; 40]), chunk(b"IEND", &[])].concat()
}

#[test]
fn each_format_is_taken_and_made_small() {
    let picture = two_halves(1280, 400);
    for (format, kind) in
        [(ImageFormat::Jpeg, Kind::Jpeg), (ImageFormat::Png, Kind::Png), (ImageFormat::WebP, Kind::Webp)]
    {
        let bytes = encoded(&picture, format);
        let seen = look(&bytes, &Limits::default()).unwrap();
        assert_eq!((seen.kind, seen.width, seen.height), (kind, 1280, 400));
        let made = made(&bytes);
        assert_eq!((made.kind, made.width, made.height), (Kind::Jpeg, 640, 200), "{format:?}");
        let shown = shown(&made);
        assert!(is_near(*shown.get_pixel(10, 100), RED) && is_near(*shown.get_pixel(630, 100), BLUE), "{format:?}");
    }
}

#[test]
fn a_small_picture_keeps_its_size() {
    let made = made(&png(30, 20));
    assert_eq!((made.width, made.height), (30, 20));
}

#[test]
fn what_is_transparent_stays_so_without_dark_edges() {
    let opaque = Rgba([250, 250, 250, 255]);
    let disc = RgbaImage::from_fn(1280, 1280, |x, y| {
        let is_inside = x.abs_diff(640).pow(2) + y.abs_diff(640).pow(2) < 500 * 500;
        if is_inside { opaque } else { Rgba([0; 4]) }
    });
    let made = made(&encoded(&disc.into(), ImageFormat::Png));
    assert_eq!(made.kind, Kind::Png);
    let shown = image::load_from_memory(&made.bytes).unwrap().to_rgba8();
    assert_eq!(shown.get_pixel(0, 0).0[3], 0);
    let half_seen: Vec<_> = shown.pixels().filter(|pixel| (1..255).contains(&pixel.0[3])).collect();
    assert!(half_seen.len() > 100 && half_seen.iter().all(|pixel| pixel.0[0] > 240), "{half_seen:?}");

    let whole = RgbaImage::from_pixel(700, 700, opaque);
    assert_eq!(self::made(&encoded(&whole.into(), ImageFormat::Png)).kind, Kind::Jpeg, "it could be, and is not");
}

/// Exif that says one thing, how the camera was held, and another, where: behind the start of a JPEG.
fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    exif.extend([0x82, 0x98, 0, 2, 0, 0, 0, 12, 0, 0, 0, 38, 0, 0, 0, 0]);
    exif.extend(b"at home 5 N\0");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn a_picture_is_turned_as_its_camera_was_held_and_says_nothing_more() {
    let bytes = with_exif(&jpeg(1280, 640), 6);
    assert!(bytes.windows(7).any(|window| window == b"at home"));
    let made = made(&bytes);
    assert_eq!((made.width, made.height), (320, 640));
    let shown = shown(&made);
    assert!(is_near(*shown.get_pixel(160, 10), RED) && is_near(*shown.get_pixel(160, 630), BLUE));
    assert!(!made.bytes.windows(4).any(|window| window == b"Exif") && !made.bytes.windows(4).any(|w| w == b"home"));
}

#[test]
fn what_is_no_picture_is_named_by_its_content() {
    assert_eq!(refused(b""), Refusal::Empty);
    for (bytes, what) in [
        (&b"GIF89a\x01\0"[..], "a GIF"),
        (b"\0\0\0\x20ftypavif", "an AVIF picture"),
        (b"\0\0\0\x20ftypheic", "a HEIC picture"),
        (b"\0\0\0\x20ftypmif1", "a HEIC picture"),
        (b"\0\0\0\x20ftypisom", "a film"),
        (b"%PDF-1.7", "a PDF"),
        (b"II*\0", "a TIFF picture"),
        (b"BM\0\0", "a BMP picture"),
        (b"<?xml version='1.0'?><svg onload='alert(1)'/>", "an SVG drawing"),
    ] {
        assert_eq!(refused(bytes), Refusal::OtherFormat(what));
    }
    for bytes in [&b"<script>alert(1)</script>"[..], b"\x7fELF", b"hello", b"\xff\xd8", b"RIFF\0\0\0\0WAVE", b"\x89PNG"]
    {
        assert_eq!(refused(bytes), Refusal::NoPicture, "{bytes:?}");
    }
}

#[test]
fn a_bomb_is_not_decoded() {
    // 40 bytes that say they are 40 GB; decoding the second would take 3.3 GB.
    for (width, height) in [(100_000, 100_000), (30_000, 30_000), (u32::MAX, u32::MAX)] {
        assert!(matches!(refused(&png_of(width, height, 8, 6)), Refusal::TooManyPixels { most: 25_000_000, .. }));
    }
    // Each pixel of these takes eight bytes.
    assert!(matches!(refused(&png_of(5_000, 5_000, 16, 6)), Refusal::TooManyPixels { most: 23_068_672, .. }));
    assert!(matches!(refused(&png_of(20_000, 1_000, 8, 6)), Refusal::TooLong { px: 20_000, most: 16_384 }));
    assert_eq!(refused(&png_of(0, 7, 8, 6)), Refusal::Damaged);

    let mut bytes = jpeg(16, 16);
    let frame = bytes.windows(2).position(|window| window == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    assert!(matches!(refused(&bytes), Refusal::TooManyPixels { width: 65_535, height: 65_535, .. }));

    let mut bytes = encoded(&two_halves(16, 16), ImageFormat::WebP);
    bytes[21..25].fill(0xff);
    assert!(matches!(refused(&bytes), Refusal::TooManyPixels { width: 16_384, height: 16_384, .. }));
}

#[test]
fn a_progressive_jpeg_is_counted_with_the_samples_it_keeps() {
    let mut bytes = jpeg(16, 16);
    let frame = bytes.windows(2).position(|window| window == [0xff, 0xc0]).unwrap();
    bytes[frame + 1] = 0xc2;
    bytes[frame + 5..frame + 9].copy_from_slice(&[0x13, 0x88, 0x13, 0x88]); // 5,000 × 5,000
    let Refusal::TooManyPixels { most, .. } = refused(&bytes) else { panic!("it fits") };
    assert!(most < 25_000_000, "{most}");
}

#[test]
fn what_is_cut_off_is_refused_wherever_it_is_cut() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let bytes = encoded(&two_halves(60, 40), format);
        for end in 12..bytes.len() - 1 {
            assert_eq!(refused(&bytes[..end]), Refusal::Truncated, "{format:?}, {end} of {}", bytes.len());
        }
    }
}

#[test]
fn what_moves_is_refused() {
    let still = png(20, 20);
    let after_header = 8 + 25;
    let moving = [&still[..after_header], &chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]), &still[after_header..]].concat();
    assert_eq!(refused(&moving), Refusal::Animated);
    let webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x10\0\0\x10\0\0";
    assert_eq!(refused(webp), Refusal::Animated);
}

#[test]
fn what_only_decoding_shows_is_damage() {
    assert_eq!(refused(&png_of(20, 20, 8, 6)), Refusal::Damaged);
    let mut bytes = png(200, 200);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    assert!(look(&bytes, &Limits::default()).is_ok());
    assert_eq!(refused(&bytes), Refusal::Damaged);
}

#[test]
fn a_large_file_is_refused_by_its_length_alone() {
    let limits = Limits::default();
    let bytes = vec![0; limits.file_bytes + 1];
    assert_eq!(refused(&bytes), Refusal::TooManyBytes { bytes: limits.file_bytes + 1, most: limits.file_bytes });
}

#[test]
fn reasons_are_sentences() {
    let text = Refusal::TooManyPixels { width: 8_000, height: 6_000, most: 25_000_000 }.to_string();
    assert_eq!(text, "This picture is 8000 × 6000: 48.0 megapixels, and at most 25.0 of its kind can be taken.");
    assert_eq!(Refusal::OtherFormat("a GIF").to_string(), "This file is a GIF. JPEG, PNG and WebP are taken.");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is sent: an answer, never a panic, and no thumbnail that is larger than it may be.
    #[test]
    fn damage_never_panics(which in 0_usize..3, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let format = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP][which];
        let mut bytes = encoded(&two_halves(33, 21), format);
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = Limits { pixels: 100_000, thumbnail_px: 16, ..Limits::default() };
        if let Ok(made) = thumbnail(&bytes, &limits) {
            prop_assert!(made.width <= 16 && made.height <= 16);
        }
    }

    #[test]
    fn noise_never_panics(head in 0_usize..4, rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let heads: [&[u8]; 4] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8L", b""];
        let limits = Limits { pixels: 100_000, ..Limits::default() };
        let _ = thumbnail(&[heads[head], &rest].concat(), &limits);
    }
}
