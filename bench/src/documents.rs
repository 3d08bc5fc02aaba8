//! A database of invented documents, of any size: the read database of `modules/stacks`, made of the app's own schema.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};
use stacks_words::Documents;

use crate::args::MakeDocuments;

/// Documents written between two looks at the file's size.
const BATCH: u64 = 1_000;
const CACHE_KIB: i64 = 1 << 20;

/// Writes the file. Its documents are numbered from 1 on.
pub fn make(args: &MakeDocuments) -> Result<()> {
    let schema = fs::read_to_string(&args.schema).with_context(|| format!("reading {}", args.schema.display()))?;
    let (documents, bytes) =
        write(&args.out, &schema, args).with_context(|| format!("writing {}", args.out.display()))?;
    println!("{documents} documents, {bytes} bytes");
    Ok(())
}

fn write(file: &Path, schema: &str, args: &MakeDocuments) -> Result<(u64, u64)> {
    ensure!(!file.exists(), "it is there already");
    let connection = open(file)?;
    connection.execute_batch(schema)?;
    connection.execute_batch("INSERT INTO one (id, n) VALUES (1, 0); INSERT INTO other (id, n) VALUES (1, 0)")?;
    let enough_bytes = args.mib << 20;
    let (mut documents, mut written) = (Documents::new(args.seed), 0);
    let is_enough = |written, bytes| match args.documents {
        Some(documents) => written >= documents,
        None => bytes >= enough_bytes,
    };
    let insert = "INSERT INTO document (slug, title, body, revision) VALUES (?1, ?2, ?3, 0)";
    while !is_enough(written, bytes_of(&connection)?) {
        connection.execute_batch("BEGIN")?;
        let mut statement = connection.prepare_cached(insert)?;
        for _ in 0..BATCH.min(args.documents.map_or(BATCH, |documents| documents - written)) {
            let document = documents.invent();
            written += 1;
            statement.execute(params![format!("{}-{written}", document.slug), document.title, document.body])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok((written, bytes_of(&connection)?))
}

/// Makes `to` of the rows in `from` as an importer would that begins anew: all rows first, the index over them at the
/// end. The same content, in another layout; `variant` tells one such file from another.
pub fn rebuild(from: &Path, to: &Path, variant: u32) -> Result<()> {
    rebuild_as(from, to, variant).with_context(|| format!("rebuilding {} as {}", from.display(), to.display()))
}

fn rebuild_as(from: &Path, to: &Path, variant: u32) -> Result<()> {
    let _ = fs::remove_file(to);
    let connection = open(to)?;
    connection.execute("ATTACH ?1 AS old", [from.to_str().context("a path that is not UTF-8")?])?;
    // What FTS5 keeps in tables of its own comes with its virtual table.
    let made = "SELECT sql FROM old.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'document\\_text\\__%' ESCAPE '\\' \
                AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND type";
    let statements = |kinds: &str| -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(&format!("{made} {kinds} ORDER BY rowid"))?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let (tables, later) = (statements("= 'table'")?, statements("IN ('index', 'trigger')")?);
    connection.execute_batch("BEGIN")?;
    // Pages that are free again afterwards: they push all others to other places.
    connection.execute_batch("CREATE TABLE filler (content)")?;
    connection.execute("INSERT INTO filler VALUES (zeroblob(?1 * 4096))", [5 * (variant + 1)])?;
    for table in &tables {
        connection.execute_batch(table)?;
    }
    let mut copied =
        connection.prepare("SELECT name FROM pragma_table_list WHERE schema = 'old' AND type = 'table'")?;
    let copied: Vec<String> = copied.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let is_copied = |name: &&String| !name.starts_with("sqlite_");
    for table in copied.iter().filter(is_copied) {
        connection.execute_batch(&format!("INSERT INTO main.\"{table}\" SELECT * FROM old.\"{table}\""))?;
    }
    connection.execute_batch("INSERT INTO document_text (document_text) VALUES ('rebuild'); DROP TABLE filler")?;
    for statement in &later {
        connection.execute_batch(statement)?;
    }
    connection.execute_batch("COMMIT; DETACH old")?;
    Ok(())
}

/// How many documents there are, numbered without gaps.
pub fn count(file: &Path) -> Result<u64> {
    let count = || -> rusqlite::Result<i64> {
        Connection::open(file)?.query_row("SELECT documents FROM tally", [], |row| row.get(0))
    };
    let count = count().with_context(|| format!("counting the documents in {}", file.display()))?;
    count.try_into().context("fewer than no documents")
}

/// For a file that nobody needs if the power fails.
fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(&format!(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}"
    ))?;
    Ok(connection)
}

fn bytes_of(connection: &Connection) -> Result<u64> {
    let bytes = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let bytes: i64 = connection.query_row(bytes, [], |row| row.get(0))?;
    bytes.try_into().context("a file of fewer than no bytes")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::page_files::differing;

    fn args(out: PathBuf, documents: Option<u64>) -> MakeDocuments {
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/stacks/snapshot.sql");
        MakeDocuments { out, mib: 1, documents, seed: 1, schema }
    }

    fn matches(file: &Path, word: &str) -> i64 {
        let connection = Connection::open(file).unwrap();
        let sql = "SELECT count(*) FROM document_text WHERE document_text MATCH ?1";
        connection.query_row(sql, [word], |row| row.get(0)).unwrap()
    }

    #[test]
    fn as_many_documents_or_bytes_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (few, large) = (folder.path().join("few.db"), folder.path().join("large.db"));
        make(&args(few.clone(), Some(7))).unwrap();
        assert_eq!(count(&few).unwrap(), 7);
        make(&args(large.clone(), None)).unwrap();
        let bytes = fs::metadata(&large).unwrap().len();
        assert!((1 << 20..8 << 20).contains(&bytes), "{bytes}");
        assert!(make(&args(large, None)).is_err(), "not over another");
    }

    #[test]
    fn a_rebuilt_file_has_the_same_content_at_other_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make(&args(path("old.db"), Some(300))).unwrap();
        rebuild(&path("old.db"), &path("new.db"), 0).unwrap();
        rebuild(&path("old.db"), &path("other.db"), 1).unwrap();
        let all = |file: &str| -> Vec<(i64, String, String)> {
            let connection = Connection::open(path(file)).unwrap();
            let mut statement = connection.prepare("SELECT id, slug, body FROM document ORDER BY id").unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
            rows.collect::<rusqlite::Result<_>>().unwrap()
        };
        assert_eq!(all("old.db"), all("new.db"));
        assert_eq!(count(&path("new.db")).unwrap(), 300);
        assert!(matches(&path("old.db"), "da") > 0);
        assert_eq!(matches(&path("old.db"), "da"), matches(&path("new.db"), "da"));
        let schema = |file: &str| -> Vec<String> {
            let connection = Connection::open(path(file)).unwrap();
            let mut statement =
                connection.prepare("SELECT sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY type, name").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
        };
        assert_eq!(schema("old.db"), schema("new.db"));
        for (one, other) in [("old.db", "new.db"), ("new.db", "other.db")] {
            let pages = fs::metadata(path(other)).unwrap().len() / 4096;
            let changed = differing(&path(one), &path(other)).unwrap().len() as u64;
            assert!(changed > pages / 2, "{changed} of {pages}");
        }
    }
}
