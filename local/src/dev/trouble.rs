//! Why what is served is not what was written last, for the terminal and for open pages.

use nearside_origin::install::InstallError;
use nearside_origin::{
    check::Finding,
    migrate::MigrateError,
    origin::NotTaken,
    rehearsal::RehearsalError,
    seed::SeedError,
    site::{PushError, SiteError},
};
use serde::Serialize;

use crate::{
    ansi::{self, Span},
    build::BuildError,
    local::LocalError,
};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trouble {
    pub title: String,
    pub text: Vec<Span>,
    /// What to do about it, where that is not said in the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Trouble {
    pub fn new(title: &str, text: impl Into<String>) -> Trouble {
        Trouble { title: title.to_owned(), text: vec![Span::plain(text)], hint: None }
    }

    pub fn of_build(error: &BuildError) -> Trouble {
        match error {
            BuildError::Failed { output, status } if output.trim().is_empty() => {
                Trouble::new("The build failed", format!("The build command said nothing; {status}."))
            }
            BuildError::Failed { output, .. } => {
                Trouble { title: "The build failed".into(), text: ansi::spans(output.trim_end()), hint: None }
            }
            other => Trouble::new("The app cannot be read", other.to_string()),
        }
    }

    /// Of a push or a seed.
    pub fn of_push(error: &LocalError) -> Trouble {
        let text = error.to_string();
        let LocalError::NotTaken(NotTaken::Push(push)) = error else {
            return Trouble::new("The app is not served", text);
        };
        match push {
            PushError::Findings(findings) => Trouble::of_findings(findings),
            PushError::Rehearsal(RehearsalError::Migrate(error))
            | PushError::Site(SiteError::Install(InstallError::Migrate(error))) => Trouble {
                hint: matches!(error, MigrateError::Changed { .. } | MigrateError::OutOfOrder { .. })
                    .then(|| "Or start again with `nearside dev --reset`: it forgets this site's data.".to_owned()),
                ..Trouble::new("The migrations do not run", text)
            },
            PushError::Rehearsal(_) => Trouble {
                hint: Some("Data in the way? `nearside dev --reset` forgets it.".into()),
                ..Trouble::new("The app does not fit its data", text)
            },
            PushError::Seed(error) => match error {
                SeedError::Failed { .. } | SeedError::Rows { .. } => Trouble::new("The seed does not run", text),
                _ => Trouble::new("The seed is not taken", text),
            },
            _ => Trouble::new("The app is not taken", text),
        }
    }

    fn of_findings(findings: &[Finding]) -> Trouble {
        let mut text = Vec::new();
        for (at, finding) in findings.iter().enumerate() {
            let place = match finding.line {
                Some(line) => format!("{}:{line}", finding.file),
                None => finding.file.clone(),
            };
            let (gap, fix) = (if at == 0 { "" } else { "\n\n" }, if finding.fix.is_empty() { "" } else { "\n" });
            text.push(Span::plain(gap));
            text.push(Span { text: place, looks: vec!["bold"] });
            text.push(Span::plain(format!(": {}{fix}{}", finding.what, finding.fix)));
        }
        let title = match findings.len() {
            1 => "The check found a fault".to_owned(),
            count => format!("The check found {count} faults"),
        };
        Trouble { title, text, hint: None }
    }

    #[cfg(test)]
    fn plain_text(&self) -> String {
        self.text.iter().map(|span| span.text.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_migration_leads_to_reset() {
        let error = MigrateError::Changed { file: "migrations/1.sql".into() };
        let push = PushError::Rehearsal(RehearsalError::Migrate(error));
        let trouble = Trouble::of_push(&LocalError::NotTaken(NotTaken::Push(push)));
        assert!(trouble.plain_text().contains("migrations/1.sql: it has changed since it ran"), "{trouble:?}");
        assert!(trouble.hint.unwrap().contains("nearside dev --reset"));
    }
}
