//! The package directory, with a few packages of our own.

use std::path::{Path, PathBuf};

pub const SITE: &str = "packages.localhost";

/// A file as `nearside push --app packages` takes it, with these packages.
pub fn catalogue(folder: &Path, names: &[&str]) -> PathBuf {
    let file = folder.join("catalogue.db");
    let _ = std::fs::remove_file(&file);
    let database = rusqlite::Connection::open(&file).unwrap();
    let tables =
        "CREATE TABLE package (name, version, section, summary, description, homepage, maintainer, size_bytes, tags);
        CREATE TABLE dependency (package, target);";
    database.execute_batch(tables).unwrap();
    for name in names {
        let row = "INSERT INTO package VALUES
            (?1, '1.0', 'tools', 'A tool named ' || ?1, 'It is of use.', NULL, 'Ada', 1000, '[\"role::program\"]')";
        database.execute(row, [name]).unwrap();
    }
    file
}
