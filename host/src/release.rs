//! A release, loaded: one app version on one snapshot. Requests hold it by `Arc` until they are done with it.

use std::sync::Arc;

use http::HeaderValue;
use nearside_protocol::{release::Manifest, secrets::Secrets};

use crate::{
    code::Code,
    database::{Database, DatabaseError, PreparedQueries},
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
        let header = HeaderValue::from_str(&manifest.release.to_string()).expect("BUG: a release is digits and a dot");
        Ok(Release { manifest, header, code, database, queries, variables })
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
        }
    }
}
