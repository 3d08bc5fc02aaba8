//! Content codings of static files, RFC 9110 section 8.4: which a client takes, how they are made, whether they are true.

use std::io::{self, Read, Write};

use http::{HeaderMap, header};

/// How a static file may be compressed, in the order of preference: brotli's are the smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    Brotli,
    Gzip,
}

/// Files are compressed once and sent often, so no effort is spared.
const BROTLI_QUALITY: i32 = 11;
/// log2 of the window: the largest that every browser takes.
const BROTLI_WINDOW: i32 = 22;
const GZIP_LEVEL: u32 = 9;
const PIECE_BYTES: usize = 64 << 10;

impl Encoding {
    pub const ALL: [Encoding; 2] = [Encoding::Brotli, Encoding::Gzip];

    /// As HTTP calls it.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Brotli => "br",
            Encoding::Gzip => "gzip",
        }
    }

    /// The same bytes give the same encoded bytes: no dates or names are in them.
    pub fn encode(self, plain: &[u8]) -> Vec<u8> {
        const IN_MEMORY: &str = "BUG: writing to memory does not fail";
        let mut encoded = Vec::with_capacity(plain.len() / 2);
        match self {
            Encoding::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW,
                    size_hint: plain.len(),
                    ..Default::default()
                };
                let mut encoder = brotli::CompressorWriter::with_params(&mut encoded, PIECE_BYTES, &parameters);
                encoder.write_all(plain).expect(IN_MEMORY);
                drop(encoder);
            }
            Encoding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(&mut encoded, flate2::Compression::new(GZIP_LEVEL));
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
    let wishes = Wishes::of(headers);
    let mut best = (None, wishes.identity());
    for encoding in Encoding::ALL.into_iter().rev().filter(|encoding| there(*encoding)) {
        let quality = wishes.of_encoding(encoding);
        // A client that likes two as much gets the smaller.
        if quality > 0 && quality >= best.1 {
            best = (Some(encoding), quality);
        }
    }
    best.0
}

/// What `Accept-Encoding` says, in thousandths; None for what it does not name.
#[derive(Default)]
struct Wishes {
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Wishes {
    fn of(headers: &HeaderMap) -> Wishes {
        let mut wishes = Wishes::default();
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let name = name.trim();
            let wish = if name.eq_ignore_ascii_case("br") {
                &mut wishes.brotli
            } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                &mut wishes.gzip
            } else if name.eq_ignore_ascii_case("identity") {
                &mut wishes.identity
            } else if name == "*" {
                &mut wishes.others
            } else {
                continue;
            };
            *wish = Some(quality(parameters));
        }
        wishes
    }

    fn of_encoding(&self, encoding: Encoding) -> u16 {
        let named = match encoding {
            Encoding::Brotli => self.brotli,
            Encoding::Gzip => self.gzip,
        };
        named.or(self.others).unwrap_or(0)
    }

    /// The file as it stands is always welcome unless it is said not to be, but anything named is liked better.
    fn identity(&self) -> u16 {
        match (self.identity, self.others) {
            (Some(quality), _) => quality,
            (None, Some(0)) => 0,
            (None, _) => 1,
        }
    }
}

/// A weight in thousandths. One that cannot be read is taken for a refusal.
fn quality(parameters: &str) -> u16 {
    let weight = parameters.split(';').map(str::trim).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    match weight {
        None => 1_000,
        Some(text) => text.parse::<f32>().map_or(0, |weight| (weight.clamp(0.0, 1.0) * 1_000.0) as u16),
    }
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
            ("gzip, deflate", "gzip"),
            ("GZIP", "gzip"),
            ("x-gzip", "gzip"),
            ("br;q=0.5, gzip", "gzip"),
            ("br;q=0.5, gzip;q=0.5", "br"),
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
            ("br;q=0, *", "gzip"),
            ("br;q=nonsense", "identity"),
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
    fn what_is_encoded_is_of_its_file_and_of_no_other() {
        let plain = b"a line that stands here often\n".repeat(200);
        for encoding in Encoding::ALL {
            let encoded = encoding.encode(&plain);
            assert_eq!(encoded, encoding.encode(&plain));
            assert!(encoded.len() < plain.len() / 4);
            assert!(encoding.is_of(&encoded, &plain));
            assert!(!encoding.is_of(&encoded, &plain[1..]));
            assert!(!encoding.is_of(&encoded, &plain[..plain.len() - 1]));
            assert!(!encoding.is_of(&encoded, &[&plain[..], b"x"].concat()));
            assert!(!encoding.is_of(&encoded[..encoded.len() - 9], &plain));
            assert!(!encoding.is_of(b"", &plain) && !encoding.is_of(b"nonsense", &plain));
            let bomb = encoding.encode(&vec![0; 4 << 20]);
            assert!(!encoding.is_of(&bomb, &plain) && !encoding.is_of(&bomb, &[0; 100]));
        }
    }

    proptest! {
        #[test]
        fn nobody_gets_what_they_refuse(accept in "[a-z*,;=0-9. ]{0,40}") {
            let refused = format!("{accept}, br;q=0, gzip;q=0");
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
