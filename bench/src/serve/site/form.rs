//! What a form sends: fields, and perhaps a file.

use std::collections::BTreeMap;

use crate::request::percent_decode;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Form {
    fields: BTreeMap<String, String>,
    pub(super) picture: Option<Vec<u8>>,
}

impl Form {
    /// In either of the two ways in which browsers send forms. What is in neither has no fields.
    pub(super) fn read(content_type: &str, body: &[u8]) -> Self {
        match content_type.split_once("boundary=") {
            Some((_, boundary)) => Self::parts(boundary.trim_matches('"'), body),
            None => Self::pairs(&String::from_utf8_lossy(body)),
        }
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map(|value| value.trim()).unwrap_or_default()
    }

    fn pairs(text: &str) -> Self {
        let decoded = |text: &str| percent_decode(&text.replace('+', " "));
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self { fields: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(), picture: None }
    }

    /// RFC 7578: each part between two boundaries, its headers and an empty line before its content.
    fn parts(boundary: &str, body: &[u8]) -> Self {
        let (mut form, delimiter) = (Self::default(), format!("\r\n--{boundary}"));
        // The first boundary stands at the very beginning.
        let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..]).unwrap_or_default();
        while let Some(end) = find(rest, delimiter.as_bytes()) {
            let part = &rest[..end];
            if let Some(head_end) = find(part, b"\r\n\r\n") {
                form.add(&String::from_utf8_lossy(&part[..head_end]), &part[head_end + 4..]);
            }
            rest = &rest[end + delimiter.len()..];
        }
        form
    }

    fn add(&mut self, head: &str, content: &[u8]) {
        let parameter = |name: &str| {
            let (_, after) = head.split_once(&format!("; {name}=\""))?;
            after.split_once('"').map(|(value, _)| value)
        };
        match (parameter("name"), parameter("filename")) {
            // The field is sent, too, when no file was chosen.
            (Some("picture"), Some(file)) if !file.is_empty() => self.picture = Some(content.to_vec()),
            (Some(name), None) => {
                self.fields.insert(name.to_owned(), String::from_utf8_lossy(content).into_owned());
            }
            _ => {}
        }
    }
}

/// Looks for the first byte by a loop that compilers make wide, and compares the rest there.
fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let (first, mut from) = (*what.first()?, 0);
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(what) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let form = Form::read("application/x-www-form-urlencoded", b"author=Ann+B&body=Good%2C%20all+in+all.");
        assert_eq!(
            (form.field("author"), form.field("body"), form.field("rating")),
            ("Ann B", "Good, all in all.", "")
        );
    }

    #[test]
    fn parts_with_a_file_and_without_one() {
        let body = |file: &str, content: &str| {
            format!(
                "--x\r\nContent-Disposition: form-data; name=\"author\"\r\n\r\nAnn\r\n--x\r\n\
                 Content-Disposition: form-data; name=\"picture\"; filename=\"{file}\"\r\nContent-Type: image/jpeg\r\n\r\n\
                 {content}\r\n--x--\r\n"
            )
        };
        let form = Form::read("multipart/form-data; boundary=x", body("a.jpg", "\r\n\r\nab").as_bytes());
        assert_eq!((form.field("author"), form.picture.as_deref()), ("Ann", Some(&b"\r\n\r\nab"[..])));
        let form = Form::read("multipart/form-data; boundary=x", body("", "").as_bytes());
        assert_eq!((form.field("author"), form.picture.is_none()), ("Ann", true));
        assert_eq!(Form::read("multipart/form-data; boundary=x", b"--y"), Form::default());
    }
}
