//! The tables of tasks, and what makes older ones into these.

use rusqlite::Connection;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _nearside_task (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  payload TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'dead')),
  attempt INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL,
  due_at_ms INTEGER NOT NULL,
  lease INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  created_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER
);
CREATE INDEX IF NOT EXISTS _nearside_task_state ON _nearside_task (state, ended_at_ms);

CREATE TABLE IF NOT EXISTS _nearside_attempt (
  task INTEGER NOT NULL REFERENCES _nearside_task (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  how TEXT,
  message TEXT,
  progress TEXT,
  log TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (task, number)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS _nearside_step (
  task INTEGER NOT NULL REFERENCES _nearside_task (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  result TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (task, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS _nearside_task_kind (
  name TEXT PRIMARY KEY,
  paused_at_ms INTEGER,
  paced_at_us INTEGER
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS _nearside_cron (
  name TEXT PRIMARY KEY,
  schedule TEXT NOT NULL,
  done_at_ms INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Columns that came later, with what they are for tasks from before.
const COLUMNS: [(&str, &str); 6] = [
    ("unique_key", "TEXT"),
    ("backoff_first_ms", "INTEGER NOT NULL DEFAULT 500"),
    ("backoff_most_ms", "INTEGER NOT NULL DEFAULT 900000"),
    ("started_at_ms", "INTEGER"),
    ("lease_until_ms", "INTEGER"),
    ("traced", "TEXT"),
];

const INDICES: &str = "
DROP INDEX IF EXISTS _nearside_task_due;
CREATE INDEX IF NOT EXISTS _nearside_task_by_kind ON _nearside_task (name, due_at_ms, id) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS _nearside_task_running ON _nearside_task (name, lease_until_ms) WHERE state = 'running';
CREATE UNIQUE INDEX IF NOT EXISTS _nearside_task_unique ON _nearside_task (name, unique_key)
  WHERE unique_key IS NOT NULL AND state IN ('due', 'running');
INSERT OR IGNORE INTO _nearside_meta (key, value)
  SELECT 'task_waiting', (SELECT count(*) FROM _nearside_task WHERE state IN ('due', 'running'))
  WHERE NOT EXISTS (SELECT 1 FROM _nearside_meta WHERE key = 'task_waiting');
";

/// Inside the transaction that makes the reserved tables.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    for (column, kind) in COLUMNS {
        let there = "SELECT count(*) FROM pragma_table_info('_nearside_task') WHERE name = ?1";
        let there: u32 = connection.query_row(there, [column], |row| row.get(0))?;
        if there == 0 {
            connection.execute_batch(&format!("ALTER TABLE _nearside_task ADD COLUMN {column} {kind}"))?;
        }
    }
    connection.execute_batch(INDICES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_from_before_become_these_and_keep_their_tasks() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE _nearside_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
                CREATE TABLE _nearside_task (
                  id INTEGER PRIMARY KEY, name TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,
                  attempt INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL, due_at_ms INTEGER NOT NULL,
                  lease INTEGER NOT NULL DEFAULT 0, last_error TEXT, created_at_ms INTEGER NOT NULL, ended_at_ms INTEGER);
                CREATE INDEX _nearside_task_due ON _nearside_task (due_at_ms) WHERE state = 'due';
                INSERT INTO _nearside_task (id, name, payload, state, attempts, due_at_ms, created_at_ms)
                  VALUES (7, 'a', '{}', 'due', 3, 0, 0), (8, 'a', '{}', 'dead', 3, 0, 0);",
            )
            .unwrap();
        prepare(&connection).unwrap();
        prepare(&connection).unwrap();
        let sql = "SELECT value, (SELECT backoff_most_ms FROM _nearside_task WHERE id = 7) FROM _nearside_meta";
        let found: (u64, u64) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(found, (1, 900_000));
    }
}
