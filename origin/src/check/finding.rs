//! One thing that is wrong with an app, or could be better: where, what, and what to do.

use std::fmt;

use nearside_host::archive::ArchiveError;
use nearside_protocol::app::{self, AppError};

use super::{
    hint,
    rule::{Rule, Severity},
};

#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Finding {
    pub rule: Rule,
    pub severity: Severity,
    /// Path inside the app's folder.
    pub file: String,
    pub line: Option<usize>,
    pub what: String,
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}: {} [{}]", self.severity, self.what, self.rule)?;
        if !self.fix.is_empty() {
            write!(f, "\n    {}", self.fix)?;
        }
        Ok(())
    }
}

impl Finding {
    pub(crate) fn new(
        rule: Rule,
        file: &str,
        line: Option<usize>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let (what, fix) = (what.into(), fix.into());
        Finding { rule, severity: rule.severity(), file: file.to_owned(), line, what, fix }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(crate) fn of_app(AppError { line, message }: &AppError) -> Finding {
        let (message, fix) = match message.split_once(", expected ") {
            Some((what, known)) => (what, expected(what, known.trim_start_matches("one of "))),
            None if message.starts_with("missing field ") => {
                (message.as_str(), "what begins in this line must say it: add the key".to_owned())
            }
            None => (message.as_str(), String::new()),
        };
        Finding::new(Rule::Manifest, app::FILE_NAME, *line, message, fix)
    }

    pub(crate) fn of_archive(error: &ArchiveError) -> Finding {
        let finding = |rule, why: String, fix: &str| Finding::new(rule, app::FILE_NAME, None, why, fix);
        match error {
            ArchiveError::App(error) => Finding::of_app(error),
            ArchiveError::Component { why, .. } => finding(Rule::FileMissing, why.clone(), ""),
            ArchiveError::Read(file, error) => Finding::new(
                Rule::FileUnreadable,
                file,
                None,
                format!("it cannot be read: {error}"),
                "look at the file's owner and permissions",
            ),
            ArchiveError::Malformed(why) => finding(
                Rule::FileUnreadable,
                format!("the app cannot be packed: {why}"),
                "names and SQL files are UTF-8; save the file again in that encoding",
            ),
            ArchiveError::TooLarge(why) => finding(
                Rule::AppTooLarge,
                format!("the app is too large to be pushed: {why}"),
                "an app holds code, SQL and a few static files; leave large files to the blob store or another server",
            ),
        }
    }
}

/// The key that was perhaps meant, or all there are.
fn expected(what: &str, known: &str) -> String {
    let names: Vec<String> = known.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
    let written = what.split('`').nth(1).filter(|_| what.starts_with("unknown "));
    match written.and_then(|written| hint::nearest(written, &names)) {
        Some(meant) => format!("perhaps `{meant}` is meant"),
        None => format!("what may stand here: {known}"),
    }
}
