//! A release, loaded: one app version on one snapshot. Requests hold it by `Arc` until they are done with it.

use std::sync::Arc;

use nearside_protocol::{release::Manifest, secrets::Secrets};

use crate::{
    code::Code,
    database::{Database, DatabaseError, PreparedQueries},
};

pub struct Release {
    pub manifest: Manifest,
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
        Ok(Release { manifest, code, database, queries, variables })
    }
}
