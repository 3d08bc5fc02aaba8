//! A release, loaded: one app version on one snapshot. Requests hold it by `Arc` until they are done with it.

use std::sync::Arc;

use http::HeaderValue;
use nearside_protocol::release::Manifest;

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
    /// The manifest's variables, as guests get them.
    pub variables: Vec<(String, String)>,
}

impl Release {
    /// Puts the parts together; every named query must prepare on this snapshot.
    pub fn assemble(manifest: Manifest, code: Arc<Code>, database: Arc<Database>) -> Result<Release, DatabaseError> {
        let queries = database.prepare(&code.queries)?;
        let variables = manifest.variables.clone().into_iter().collect();
        let header = HeaderValue::from_str(&manifest.release.to_string()).expect("BUG: a release is digits and a dot");
        Ok(Release { manifest, header, code, database, queries, variables })
    }
}
