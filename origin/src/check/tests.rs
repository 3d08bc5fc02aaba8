//! What is costly in a plan, and that the manual knows every rule. What is said of whole apps is in `tests/broken`.

use super::{
    plan::Plan,
    plans::{self, Cost, Tables},
    *,
};

const SCHEMA: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
    CREATE INDEX t_by_a ON t (a);
    CREATE TABLE u (id INTEGER PRIMARY KEY, t INTEGER, c TEXT);
    CREATE TABLE w (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
    CREATE VIRTUAL TABLE words USING fts5 (a, content = 't', content_rowid = 'id');
    CREATE VIEW all_u AS SELECT x.c, x.t FROM u AS x;
    CREATE TABLE \"order\" (id INTEGER PRIMARY KEY, \"group\" TEXT);
";

/// `scan t`, `index u`, `sort t`: with what would help, if an index would.
fn faults(sql: &str) -> String {
    let read = memory::open().unwrap();
    read.execute_batch(SCHEMA).unwrap();
    let tables = Tables::of(&read).unwrap();
    let plan = Plan::of(&read, sql).unwrap();
    let told = plans::faults(&plan, sql, &tables).into_iter().map(|fault| {
        let cost = match fault.cost {
            Cost::Scan => "scan",
            Cost::AutomaticIndex => "index",
            Cost::Sort => "sort",
        };
        let better = index::that_helps(&read, sql, &fault, &tables);
        let better = better.map_or(String::new(), |index| index.replace("CREATE INDEX", ":"));
        format!("{cost} {}{better}", fault.table).trim().to_owned()
    });
    let told: Vec<String> = told.collect();
    told.join(", ")
}

#[test]
fn what_ends_by_itself_is_not_costly() {
    for sql in [
        "SELECT a FROM t WHERE id = ?1",
        "SELECT a FROM t ORDER BY id DESC LIMIT 6",
        "SELECT t.a, u.c FROM u JOIN t ON t.id = u.t ORDER BY u.id DESC LIMIT 6",
        "SELECT name FROM w ORDER BY name LIMIT 500",
        "SELECT EXISTS (SELECT 1 FROM t) AS any",
        "SELECT max(id) FROM t",
        "SELECT value FROM json_each(?1) ORDER BY value",
        "SELECT * FROM (VALUES (2), (1)) ORDER BY 1",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 9) SELECT n FROM c",
        "SELECT t.a FROM words JOIN t ON t.id = words.rowid WHERE words MATCH ?1 ORDER BY rank LIMIT ?2",
        "SELECT t.b FROM (SELECT id FROM t WHERE a = ?1 LIMIT ?2 OFFSET ?3) AS page JOIN t ON t.id = page.id ORDER BY t.b",
        "WITH found AS MATERIALIZED (SELECT a, b FROM t WHERE a > ?1 LIMIT 1000)
            SELECT f.b, count(*) FROM found AS f GROUP BY f.b ORDER BY count(*) DESC LIMIT 12",
    ] {
        assert_eq!(faults(sql), "", "{sql}");
    }
}

#[test]
fn what_grows_with_a_table_is_told_with_the_index_that_helps() {
    for (sql, told) in [
        ("SELECT a FROM t", "scan t"),
        ("SELECT a FROM t ORDER BY id LIMIT ?1", "scan t"),
        ("SELECT id FROM t WHERE b = ?1", "scan t: t_by_b ON t (b)"),
        ("SELECT id FROM t AS x WHERE x.b = ?1 ORDER BY x.id DESC LIMIT 6", "scan t: t_by_b_id ON t (b, id)"),
        ("SELECT id FROM t WHERE lower(a) = ?1", "scan t"),
        ("SELECT count(*) FROM t LIMIT 1", "scan t"),
        ("SELECT id FROM t WHERE a = ?1 ORDER BY b LIMIT 9", "sort t: t_by_a_b ON t (a, b)"),
        ("SELECT b FROM t WHERE a = ?1 GROUP BY b", "sort t: t_by_a_b ON t (a, b)"),
        ("SELECT DISTINCT b FROM t WHERE a = ?1", "sort t"),
        ("SELECT c FROM all_u WHERE t = ?1", "scan u"),
        ("SELECT rowid FROM words", "scan words"),
        (
            "SELECT \"order\".id FROM \"order\" WHERE \"group\" = ?1",
            "scan order: \"order_by_group\" ON \"order\" (\"group\")",
        ),
        ("SELECT t.a, u.c FROM t LEFT JOIN u ON u.t = t.id WHERE t.id > ?1", "index u: u_by_t ON u (t)"),
        ("SELECT sum(x.b + y.b + z.b) FROM t x, t y, t z", "scan t"),
        ("WITH found AS (SELECT b FROM t) SELECT b, count(*) FROM found GROUP BY b", "scan t, sort t"),
    ] {
        assert_eq!(faults(sql), told, "{sql}");
    }
}

#[test]
fn a_plan_is_drawn_as_a_tree() {
    let read = memory::open().unwrap();
    read.execute_batch(SCHEMA).unwrap();
    let plan = Plan::of(&read, "SELECT a FROM t WHERE id IN (SELECT t FROM u) ORDER BY b").unwrap().to_string();
    assert!(plan.contains("├─ SEARCH t USING INTEGER PRIMARY KEY (rowid=?)\n"), "{plan}");
    assert!(plan.contains("│  └─ SCAN u\n") && plan.ends_with("└─ USE TEMP B-TREE FOR ORDER BY\n"), "{plan}");
}

#[test]
fn the_manual_has_a_line_on_every_rule() {
    let manual = include_str!("../../../docs/check.md");
    for rule in Rule::ALL {
        let line = manual.lines().find(|line| line.starts_with(&format!("| `{rule}` |")));
        let line = line.unwrap_or_else(|| panic!("docs/check.md does not tell of `{rule}`"));
        assert!(line.contains(&format!("| {} |", rule.severity())), "{line}");
    }
    let told = manual.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(told, Rule::ALL.len(), "docs/check.md tells of rules there are not");
}
