//! Content codings, RFC 9110 section 8.4: which a client takes, how they are made, whether they are true.

use std::{
    cmp::Reverse,
    io::{self, Read, Write},
};

use http::{HeaderMap, header};

/// How content may be compressed. What comes first is the smaller one, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    Brotli,
    Zstd,
    Gzip,
}

/// What may be spent on making one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Anything: a file is compressed once, where its app is packed, and sent often.
    Packing,
    /// A node compresses what it has rendered, beside its visitors.
    Serving,
}

/// log2 of the window: the largest that every browser takes.
const BROTLI_WINDOW: i32 = 22;
const PIECE_BYTES: usize = 64 << 10;

impl Encoding {
    pub const COUNT: usize = 3;
    pub const ALL: [Encoding; Encoding::COUNT] = [Encoding::Brotli, Encoding::Zstd, Encoding::Gzip];
    /// Those that an app's archive has of its files.
    pub const OF_FILES: [Encoding; 2] = [Encoding::Brotli, Encoding::Gzip];

    /// As HTTP calls it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
            Encoding::Gzip => "gzip",
        }
    }

    fn named(name: &str) -> Option<Encoding> {
        match name {
            _ if name.eq_ignore_ascii_case("br") => Some(Encoding::Brotli),
            _ if name.eq_ignore_ascii_case("zstd") => Some(Encoding::Zstd),
            _ if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => Some(Encoding::Gzip),
            _ => None,
        }
    }

    /// As its own library counts it.
    ///
    /// A package's page of 24,175 bytes becomes 2,552 with brotli's 5 in 0.33 ms, 2,487 with 9 in 3.9 ms, and 2,103 with 11
    /// in 54 ms; 2,901 with zstd's 7 in 0.15 ms (3: 3,057 in 0.06 ms; 12: 2,895 in 0.39 ms); 3,016 with gzip's 6 in 0.17 ms.
    fn level(self, effort: Effort) -> i32 {
        match (self, effort) {
            (Encoding::Brotli, Effort::Packing) => 11,
            (Encoding::Zstd, Effort::Packing) => 19,
            (Encoding::Gzip, Effort::Packing) => 9,
            (Encoding::Brotli, Effort::Serving) => 5,
            (Encoding::Zstd, Effort::Serving) => 7,
            (Encoding::Gzip, Effort::Serving) => 6,
        }
    }

    /// The same bytes give the same encoded bytes: no dates or names are in them.
    pub fn encode(self, plain: &[u8], effort: Effort) -> Vec<u8> {
        const IN_MEMORY: &str = "BUG: writing to memory does not fail";
        let level = self.level(effort);
        let mut encoded = Vec::with_capacity(plain.len() / 2);
        match self {
            Encoding::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: level,
                    lgwin: BROTLI_WINDOW,
                    size_hint: plain.len(),
                    ..Default::default()
                };
                let mut encoder = brotli::CompressorWriter::with_params(&mut encoded, PIECE_BYTES, &parameters);
                encoder.write_all(plain).expect(IN_MEMORY);
                drop(encoder);
            }
            Encoding::Zstd => encoded = zstd::bulk::compress(plain, level).expect(IN_MEMORY),
            Encoding::Gzip => {
                let level = flate2::Compression::new(level.unsigned_abs());
                let mut encoder = flate2::write::GzEncoder::new(&mut encoded, level);
                encoder.write_all(plain).expect(IN_MEMORY);
                encoder.finish().expect(IN_MEMORY);
            }
        }
        encoded
    }

    /// Whether `encoded` stands for exactly these bytes. Decodes no further than to the first difference, so that a few
    /// bytes which grow to gigabytes do no harm.
    pub fn is_of(self, encoded: &[u8], plain: &[u8]) -> bool {
        match self {
            Encoding::Brotli => is_same(brotli::Decompressor::new(encoded, PIECE_BYTES), plain),
            Encoding::Zstd => zstd::Decoder::new(encoded).and_then(|decoder| is_same(decoder, plain)),
            Encoding::Gzip => is_same(flate2::bufread::GzDecoder::new(encoded), plain),
        }
        .unwrap_or(false)
    }
}

fn is_same(mut decoded: impl Read, plain: &[u8]) -> io::Result<bool> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut rest = plain;
    loop {
        let length = decoded.read(&mut piece)?;
        if length == 0 {
            return Ok(rest.is_empty());
        }
        match rest.strip_prefix(&piece[..length]) {
            Some(after) => rest = after,
            None => return Ok(false),
        }
    }
}

/// The encoding a client likes best among those `there` is; None is the file as it stands.
///
/// That one is sent, too, when a client takes nothing there is: it can do more with it than with an error.
pub fn preferred(headers: &HeaderMap, there: impl Fn(Encoding) -> bool) -> Option<Encoding> {
    Wishes::of(headers).liked().find(|encoding| there(*encoding))
}

/// What `Accept-Encoding` says, read once into a few bytes: how much each is liked, in thousandths. Nothing is a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    identity: u16,
    encodings: [u16; Encoding::COUNT],
}

impl Wishes {
    pub fn of(headers: &HeaderMap) -> Wishes {
        let (mut identity, mut others, mut encodings) = (None, None, [None; Encoding::COUNT]);
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim();
            let wish = match Encoding::named(name) {
                Some(encoding) => &mut encodings[encoding as usize],
                None if name == "*" => &mut others,
                None if name.eq_ignore_ascii_case("identity") => &mut identity,
                None => continue,
            };
            *wish = Some(quality(parameters));
        }
        Wishes {
            // Always welcome unless it is said not to be, but anything named is liked better.
            identity: identity.or(others).unwrap_or(1),
            encodings: encodings.map(|quality| quality.or(others).unwrap_or(0)),
        }
    }

    pub fn of_identity(self) -> u16 {
        self.identity
    }

    pub fn of_encoding(self, encoding: Encoding) -> u16 {
        self.encodings[encoding as usize]
    }

    /// The encodings this client takes no less gladly than what is not encoded: the best liked first, and of two that are
    /// liked as much the one that is smaller as a rule.
    pub fn liked(self) -> impl Iterator<Item = Encoding> {
        let mut order = Encoding::ALL;
        order.sort_by_key(|encoding| (Reverse(self.of_encoding(*encoding)), *encoding));
        order.into_iter().filter(move |encoding| self.of_encoding(*encoding) >= self.identity.max(1))
    }
}

/// A weight in thousandths. One that cannot be read is taken for a refusal.
fn quality(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    weight.map_or(1_000, |text| thousandths(text).unwrap_or(0))
}

/// More than one is one; digits after the third do not count.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if whole.bytes().any(|digit| digit != b'0') {
        return Some(1_000);
    }
    let digits = fraction.bytes().chain(*b"000").take(3);
    Some(digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn chosen(accept: &str, there: &[Encoding]) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accept).unwrap());
        preferred(&headers, |encoding| there.contains(&encoding)).map_or("identity", Encoding::name)
    }

    #[test]
    fn the_liked_encoding_is_chosen() {
        for (accept, expected) in [
            ("gzip, deflate, br, zstd", "br"),
            ("gzip, deflate, zstd", "zstd"),
            ("gzip, deflate", "gzip"),
            ("GZIP", "gzip"),
            ("x-gzip", "gzip"),
            ("br;q=0.5, gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.5", "br"),
            ("br;q=0.5, zstd;q=0.50001, gzip;q=0.499", "br"),
            ("br;q=0, gzip;q=0.001", "gzip"),
            ("br ; Q=0.8 , gzip ; q=0.9", "gzip"),
            ("identity", "identity"),
            ("identity;q=0.5, br;q=0.4", "identity"),
            ("identity;q=0.5, br;q=0.5", "br"),
            ("identity;q=0", "identity"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("*", "br"),
            ("*;q=0", "identity"),
            ("*;q=0, gzip", "gzip"),
            ("br;q=0, *", "zstd"),
            ("*;q=0.5, br;q=0.3, zstd;q=0, gzip;q=0.4", "identity"),
            ("br;q=nonsense", "identity"),
            ("br;q=-1, gzip;q=inf, zstd;q=.", "identity"),
            ("br;q=1.5, gzip;q=1.", "br"),
            ("deflate", "identity"),
            ("", "identity"),
            (",;,q=1", "identity"),
        ] {
            assert_eq!(chosen(accept, &Encoding::ALL), expected, "{accept}");
        }
        assert_eq!(chosen("br, gzip", &[Encoding::Gzip]), "gzip");
        assert_eq!(chosen("br, gzip;q=0", &[Encoding::Gzip]), "identity");
        assert_eq!(chosen("br, gzip", &[]), "identity");
        assert_eq!(preferred(&HeaderMap::new(), |_| true), None);
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("br;q=0.5"));
        assert_eq!(Wishes::of(&headers).liked().collect::<Vec<_>>(), [Encoding::Gzip, Encoding::Brotli]);
    }

    #[test]
    fn what_is_encoded_is_of_its_file_and_of_no_other() {
        let plain = b"a line that stands here often\n".repeat(200);
        for (encoding, effort) in Encoding::ALL
            .into_iter()
            .flat_map(|encoding| [Effort::Packing, Effort::Serving].map(|effort| (encoding, effort)))
        {
            let encoded = encoding.encode(&plain, effort);
            assert_eq!(encoded, encoding.encode(&plain, effort));
            assert!(encoded.len() < plain.len() / 4);
            assert!(encoding.is_of(&encoded, &plain));
            assert!(!encoding.is_of(&encoded, &plain[1..]));
            assert!(!encoding.is_of(&encoded, &plain[..plain.len() - 1]));
            assert!(!encoding.is_of(&encoded, &[&plain[..], b"x"].concat()));
            assert!(!encoding.is_of(&encoded[..encoded.len() - 9], &plain));
            assert!(!encoding.is_of(b"", &plain) && !encoding.is_of(b"nonsense", &plain));
            let bomb = encoding.encode(&vec![0; 4 << 20], effort);
            assert!(!encoding.is_of(&bomb, &plain) && !encoding.is_of(&bomb, &[0; 100]));
        }
    }

    /// The rules of RFC 9110 section 12.5.3, word by word: how much a client likes a coding, that of no name being identity.
    fn weight(items: &[(String, Option<u32>)], coding: &str) -> Option<u32> {
        let last =
            |name: &str| items.iter().rev().find(|(item, _)| item == name).map(|(_, weight)| weight.unwrap_or(1_000));
        match (last(coding), last("*")) {
            (Some(weight), _) | (None, Some(weight)) => Some(weight),
            (None, None) => None,
        }
    }

    fn items() -> impl Strategy<Value = Vec<(String, Option<u32>)>> {
        let name = prop::sample::select(vec!["br", "zstd", "gzip", "identity", "*", "deflate", "x"]);
        let weight = prop_oneof![Just(None), Just(Some(0)), Just(Some(500)), (0..=1_000_u32).prop_map(Some)];
        prop::collection::vec((name.prop_map(str::to_owned), weight), 0..8)
    }

    proptest! {
        #[test]
        fn the_choice_is_that_of_the_standard(items in items(), there in prop::sample::subsequence(Encoding::ALL.to_vec(), 0..=3)) {
            let written: Vec<String> = items.iter().map(|(name, weight)| match weight {
                None => name.clone(),
                Some(weight) if weight % 100 == 0 => format!("{name};q={}.{}", weight / 1_000, weight / 100 % 10),
                Some(weight) => format!("{name} ; q={}.{:03}", weight / 1_000, weight % 1_000),
            }).collect();
            let found = chosen(&written.join(", "), &there);
            // Whatever else is there is liked no better; of what is liked as much, this one comes first.
            let identity = weight(&items, "identity");
            let likes = |encoding: Encoding| weight(&items, encoding.name()).unwrap_or(0);
            match there.iter().find(|encoding| encoding.name() == found) {
                Some(one) => {
                    prop_assert!(likes(*one) > 0 && likes(*one) >= identity.unwrap_or(0), "{written:?}: {found}");
                    for other in &there {
                        prop_assert!(likes(*other) < likes(*one) || (likes(*other) == likes(*one) && other >= one));
                    }
                }
                None => {
                    prop_assert_eq!(found, "identity");
                    for other in &there {
                        prop_assert!(likes(*other) == 0 || likes(*other) < identity.unwrap_or(0), "{:?}", written);
                    }
                }
            }
        }

        #[test]
        fn nobody_gets_what_they_refuse(accept in "[a-z*,;=0-9. ]{0,40}") {
            let refused = format!("{accept}, br;q=0, gzip;q=0, zstd;q=0");
            prop_assert_eq!(chosen(&refused, &Encoding::ALL), "identity");
            let _ = chosen(&accept, &Encoding::ALL);
        }

        #[test]
        fn nonsense_is_of_nothing(encoded in proptest::collection::vec(any::<u8>(), 0..200)) {
            for encoding in Encoding::ALL {
                let _ = encoding.is_of(&encoded, b"plain");
            }
        }
    }
}
