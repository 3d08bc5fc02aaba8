//! What stands in the form, right or wrong; and what the command takes.

use nearside_sdk::Fields;
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl Draft {
    pub(crate) fn read(form: &Fields) -> Self {
        let field = |name| form.filled(name).unwrap_or_default().replace("\r\n", "\n");
        Self { name: field("name"), message: field("message") }
    }

    /// The command's schema says the same; this says it to a person.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.name.is_empty() {
            Err("Please say who you are.")
        } else if self.name.chars().count() > 80 {
            Err("That name is too long: 80 characters at most.")
        } else if self.message.is_empty() {
            Err("Please write a few words.")
        } else if self.message.chars().count() > 2000 {
            Err("That is too long: 2,000 characters at most.")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gap_is_named() {
        let check = |form: &str| Draft::read(&Fields::parse(form.as_bytes())).check();
        assert_eq!(check("name=Ann&message=Hello"), Ok(()));
        assert_eq!(check("name=+&message=Hello"), Err("Please say who you are."));
        assert_eq!(check("name=Ann&message=%0D%0A"), Err("Please write a few words."));
    }
}
