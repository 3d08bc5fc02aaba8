//! The manifest's text: where in it something stands.

use nearside_host::archive::Archive;
use nearside_protocol::app;
use toml::de::{DeTable, DeValue};

pub(super) struct Manifest(String);

impl Manifest {
    pub(super) fn new(text: String) -> Manifest {
        Manifest(text)
    }

    pub(super) fn of(archive: &Archive) -> Manifest {
        Manifest(archive.text(app::FILE_NAME).unwrap_or_default())
    }

    /// The line of a key, such as `["commands", "post-review"]`.
    pub(super) fn line_of(&self, path: &[&str]) -> Option<usize> {
        let document = DeTable::parse(&self.0).ok()?;
        let (last, tables) = path.split_last()?;
        let mut table = document.get_ref();
        for name in tables {
            let (_, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
            let DeValue::Table(inner) = value.get_ref() else { return None };
            table = inner;
        }
        let (key, _) = table.iter().find(|(key, _)| key.get_ref() == last)?;
        Some(self.line_at(key.span().start))
    }

    /// The line that a message such as `mirror.item: …` is about.
    pub(super) fn line_of_message(&self, message: &str) -> Option<usize> {
        let (path, _) = message.split_once(':')?;
        self.line_of(&path.split('.').collect::<Vec<_>>())
    }

    /// The line of a string in an array, such as a secret's name in `secrets`.
    pub(super) fn line_of_item(&self, array: &str, item: &str) -> Option<usize> {
        let document = DeTable::parse(&self.0).ok()?;
        let (_, value) = document.get_ref().iter().find(|(key, _)| key.get_ref() == array)?;
        let DeValue::Array(items) = value.get_ref() else { return None };
        let found = items.iter().find(|found| matches!(found.get_ref(), DeValue::String(text) if text == item))?;
        Some(self.line_at(found.span().start))
    }

    fn line_at(&self, offset: usize) -> usize {
        self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_manifest_is_found_however_it_is_written() {
        let manifest = Manifest::new(
            "static = \"s\"\nsecrets = [\n  \"A\",\n  \"B\"]\n[commands.buy]\nx = 1\n[mirror]\n\"item\" = []\ndata.x = []\n"
                .to_owned(),
        );
        assert_eq!(manifest.line_of(&["static"]), Some(1));
        assert_eq!(manifest.line_of_item("secrets", "B"), Some(4));
        assert_eq!(manifest.line_of(&["commands", "buy"]), Some(5));
        assert_eq!(manifest.line_of(&["mirror", "item"]), Some(8));
        assert_eq!(manifest.line_of(&["mirror", "data", "x"]), Some(9));
        assert_eq!(manifest.line_of(&["mirror", "none"]), None);
        assert_eq!(manifest.line_of_message("mirror.item: it is wrong: so"), Some(8));
        assert_eq!(manifest.line_of_message("something else"), None);
        assert_eq!(Manifest::new("[".to_owned()).line_of(&["a"]), None);
    }
}
