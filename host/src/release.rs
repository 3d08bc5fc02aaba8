//! A release, loaded: one app version on one snapshot. Requests hold it by `Arc` until they are done with it.

use std::sync::Arc;

use http::HeaderValue;
use nearside_protocol::{digest::Digest, release::Manifest, secrets::Secrets};

use crate::{
    ahead::Ahead,
    code::Code,
    counts::AppCounts,
    database::{Database, DatabaseError, PreparedQueries},
    past::Past,
    shown::Shown,
};

pub struct Release {
    pub manifest: Manifest,
    /// Its number, as responses name it.
    pub header: HeaderValue,
    pub code: Arc<Code>,
    pub database: Arc<Database>,
    pub queries: PreparedQueries,
    /// The manifest's variables and the app's secrets, as guests get them.
    pub variables: Vec<(String, String)>,
    /// Of those: an instance that has read them is of no use where they are others.
    pub(crate) settings: Digest,
    /// Which switch of this app at this host made it the current one; 0 before that.
    pub generation: u64,
    /// What those before it changed.
    pub past: Past,
    /// What was made for it before it was served.
    pub(crate) ahead: Ahead,
    /// Where it carries a write that is traced: what it shows of it.
    pub(crate) shown: Option<Shown>,
    /// What its requests, renders and queries come to; shared with releases that differ from it in rows only.
    pub counts: Arc<AppCounts>,
}

impl Release {
    /// Puts the parts together; every named query must prepare on this snapshot.
    pub fn assemble(
        manifest: Manifest,
        secrets: Option<&Secrets>,
        code: Arc<Code>,
        database: Arc<Database>,
    ) -> Result<Release, DatabaseError> {
        let queries = database.prepare(&code.queries)?;
        let mut variables: Vec<_> = manifest.variables.clone().into_iter().collect();
        variables.extend(secrets.into_iter().flat_map(|secrets| secrets.values.clone()));
        let settings = digest_of(&variables);
        let header = HeaderValue::from_str(&manifest.release.to_string()).expect("BUG: a release is digits and a dot");
        let past = Past::default();
        let ahead = Ahead::default();
        let canary_ms = manifest.candidate.as_ref().map(|candidate| candidate.since_ms);
        let counts = Arc::new(AppCounts::new(manifest.fingerprint, manifest.release, canary_ms, &queries));
        let (generation, shown) = (0, None);
        Ok(Release {
            manifest,
            header,
            code,
            database,
            queries,
            variables,
            settings,
            generation,
            past,
            ahead,
            shown,
            counts,
        })
    }

    /// The same release, read from another copy of its pages.
    pub fn reopened(&self, database: Arc<Database>) -> Release {
        Release {
            manifest: self.manifest.clone(),
            header: self.header.clone(),
            code: self.code.clone(),
            database,
            queries: self.queries.clone(),
            variables: self.variables.clone(),
            settings: self.settings,
            generation: self.generation,
            past: self.past.clone(),
            ahead: Ahead::default(),
            shown: None,
            counts: self.counts.clone(),
        }
    }
}

/// With their lengths, so that none can pass for two others.
fn digest_of(variables: &[(String, String)]) -> Digest {
    let mut all = Vec::new();
    for text in variables.iter().flat_map(|(name, value)| [name, value]) {
        all.extend((text.len() as u64).to_le_bytes());
        all.extend(text.as_bytes());
    }
    Digest::of(&all)
}
