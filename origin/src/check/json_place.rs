//! The line of a value in a JSON text, by its JSON Pointer.

/// `text` is valid JSON. None when the pointer leads nowhere.
pub(super) fn line_of(text: &str, pointer: &str) -> Option<usize> {
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    reader.blanks();
    for part in pointer.split('/').skip(1) {
        reader.enter(&part.replace("~1", "/").replace("~0", "~"))?;
    }
    Some(1 + reader.text[..reader.at].iter().filter(|byte| **byte == b'\n').count())
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn blanks(&mut self) {
        while self.peek().is_ascii_whitespace() {
            self.at += 1;
        }
    }

    /// From the start of an object or array to the start of one of its values.
    fn enter(&mut self, part: &str) -> Option<()> {
        let open = self.peek();
        self.at += 1;
        for index in 0.. {
            self.blanks();
            let is_it = match open {
                b'{' => {
                    let from = self.at;
                    self.skip()?;
                    let key: String = serde_json::from_slice(&self.text[from..self.at]).ok()?;
                    self.blanks();
                    self.at += 1; // the colon
                    self.blanks();
                    key == part
                }
                b'[' => part.parse() == Ok(index),
                _ => return None,
            };
            if is_it {
                return Some(());
            }
            self.skip()?;
            self.blanks();
            if self.peek() != b',' {
                return None;
            }
            self.at += 1;
        }
        None
    }

    /// Over one whole value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            match self.peek() {
                0 => return None,
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                _ if depth > 0 => self.at += 1,
                _ => {
                    while !matches!(self.peek(), 0 | b',' | b'}' | b']') && !self.peek().is_ascii_whitespace() {
                        self.at += 1;
                    }
                }
            }
            if depth <= 0 {
                return Some(());
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek() {
                0 => return None,
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_among_others_of_its_name() {
        let text =
            "{\n \"a\": {\"type\": [1, {\"x\": \"}\\\"\"}]},\n \"b\": {\n  \"a/b\": [true,\n   {\"type\": 3}]}}\n";
        assert_eq!(line_of(text, ""), Some(1));
        assert_eq!(line_of(text, "/a/type"), Some(2));
        assert_eq!(line_of(text, "/b/a~1b"), Some(4));
        assert_eq!(line_of(text, "/b/a~1b/1/type"), Some(5));
        assert_eq!(line_of(text, "/b/none"), None);
        assert_eq!(line_of("[1, 2]", "/7"), None);
        assert_eq!(line_of("3", "/a"), None);
        assert_eq!(line_of("{}", "/a"), None);
    }
}
