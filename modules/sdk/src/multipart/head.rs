//! What stands above the content: which field it is, and what a file is said to be.

use super::Error;

/// What file systems take at most.
const MAX_FILE_NAME_BYTES: usize = 255;

const UNKNOWN_TYPE: &str = "application/octet-stream";

/// RFC 2046 allows so many characters.
const MAX_BOUNDARY_BYTES: usize = 70;

/// The head of one part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: String,
    /// None for what is no file.
    pub(super) file_name: Option<String>,
    pub(super) media_type: String,
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(bytes);
        let mut disposition = None;
        let mut media_type = UNKNOWN_TYPE.to_owned();
        for line in text.split("\r\n") {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-disposition") {
                disposition = Some(value);
            } else if name.eq_ignore_ascii_case("content-type") {
                media_type = essence(value);
            }
        }
        let disposition = disposition.ok_or(Error::Malformed("a part has no Content-Disposition"))?;
        let (kind, parameters) = disposition.split_once(';').unwrap_or((disposition, ""));
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return Err(Error::Malformed("a part is no form-data"));
        }
        let (mut name, mut file_name) = (None, None);
        for (key, value) in Parameters(parameters) {
            // The first of a name counts. `filename*` is not for forms: RFC 7578, section 4.2.
            let place = match key {
                key if key.eq_ignore_ascii_case("name") => &mut name,
                key if key.eq_ignore_ascii_case("filename") => &mut file_name,
                _ => continue,
            };
            place.get_or_insert_with(|| unescape(&value));
        }
        let name = name.ok_or(Error::Malformed("a part has no name"))?;
        Ok(Self { name, file_name: file_name.map(|name| harmless(&name)), media_type })
    }
}

/// The boundary of a `Content-Type`.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (_, parameters) = content_type.split_once(';')?;
    let (_, boundary) = Parameters(parameters).find(|(key, _)| key.eq_ignore_ascii_case("boundary"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && boundary.bytes().all(allowed);
    (fits && !boundary.ends_with(' ')).then_some(boundary)
}

/// `; key=value; key="value"`: the values without quotes, and `\"` as one.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.0.split_once('=')?;
        let key = key.trim_matches([' ', '\t', ';']);
        let rest = rest.trim_start_matches([' ', '\t']);
        let (value, rest) = match rest.strip_prefix('"') {
            Some(rest) => quoted(rest),
            None => {
                let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
                (value.trim().to_owned(), rest)
            }
        };
        self.0 = rest;
        Some((key, value))
    }
}

/// What stands before the closing quote, and what comes after it. A backslash escapes a quote and nothing else: browsers
/// send it as it is in the names of files.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                characters.next();
                value.push('"');
            }
            character => value.push(character),
        }
    }
    (value, "")
}

/// Browsers encode what would break a line or a quote, and nothing else.
fn unescape(value: &str) -> String {
    value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// The type without its parameters; anything that is no type is unknown.
fn essence(value: &str) -> String {
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let is_type = essence.len() <= 127 && essence.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
    if is_type { essence } else { UNKNOWN_TYPE.to_owned() }
}

/// A name to show: without folders, characters that do something, and more than a file system takes.
fn harmless(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut shown = String::new();
    for character in name.chars().filter(|character| !character.is_control() && !is_direction(*character)) {
        if shown.len() + character.len_utf8() > MAX_FILE_NAME_BYTES {
            break;
        }
        shown.push(character);
    }
    let shown = shown.trim();
    if shown == "." || shown == ".." { String::new() } else { shown.to_owned() }
}

/// Characters that turn text around: `exe.gpj` may be shown as `jpg.exe`.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
