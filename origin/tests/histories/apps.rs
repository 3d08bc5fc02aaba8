//! Versions of an app whose read database is made of the store's rows, and one whose database is a file.

use std::fs;

use nearside_host::archive::Archive;

use crate::edits::TABLES;

const QUERIES: &str = "-- name: one\nSELECT body FROM item WHERE id = :id;\n";

/// What a version of the app adds to the read database. Each is another schema, so the database is made anew.
const ADDED: [&str; 4] = [
    "",
    "CREATE INDEX by_name ON item (name);",
    "CREATE VIRTUAL TABLE item_text USING fts5(name, content = 'item', content_rowid = 'id');
     CREATE TRIGGER item_insert AFTER INSERT ON item BEGIN
       INSERT INTO item_text (rowid, name) VALUES (new.id, new.name);
     END;
     CREATE TRIGGER item_delete AFTER DELETE ON item BEGIN
       INSERT INTO item_text (item_text, rowid, name) VALUES ('delete', old.id, old.name);
     END;
     CREATE TRIGGER item_update AFTER UPDATE ON item BEGIN
       INSERT INTO item_text (item_text, rowid, name) VALUES ('delete', old.id, old.name);
       INSERT INTO item_text (rowid, name) VALUES (new.id, new.name);
     END;",
    "CREATE TABLE count (id INTEGER PRIMARY KEY, items INTEGER NOT NULL);
     INSERT INTO count VALUES (1, 0);
     CREATE TRIGGER item_insert AFTER INSERT ON item BEGIN UPDATE count SET items = items + 1; END;
     CREATE TRIGGER item_delete AFTER DELETE ON item BEGIN UPDATE count SET items = items - 1; END;",
];

/// A version whose read database the origin makes of the store's rows; `version` counts up, and so do its migrations.
pub fn mirrored(version: u64) -> Vec<u8> {
    let mut migrations = vec![("migrations/0001.sql".to_owned(), TABLES.to_owned())];
    migrations.extend(
        (2..2 + version)
            .map(|number| (format!("migrations/{number:04}.sql"), format!("CREATE TABLE more_{number} (id);"))),
    );
    let manifest = "name = \"shop\"\nhosts = [\"shop.example\"]\n\n[mirror]\nitem = [\"id\", \"name\", \"body\"]\n\
                    tag = [\"id\", \"item\", \"word\"]\n";
    let snapshot = format!("{TABLES}\n{}", ADDED[version as usize % ADDED.len()]);
    migrations.extend([("nearside.toml".to_owned(), manifest.to_owned()), ("snapshot.sql".to_owned(), snapshot)]);
    packed(&migrations)
}

/// A version whose database is the file that is pushed.
pub fn pushed(version: u64) -> Vec<u8> {
    let manifest = format!(
        "name = \"shop\"\nhosts = [\"shop.example\"]\ndatabase = \"pushed\"\n\n[variables]\nVERSION = \"{version}\"\n"
    );
    packed(&[("nearside.toml".to_owned(), manifest)])
}

fn packed(files: &[(String, String)]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let queries = ("queries.sql".to_owned(), QUERIES.to_owned());
    for (name, text) in files.iter().chain([&queries]) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Archive::collect(folder.path()).unwrap().pack().unwrap()
}
