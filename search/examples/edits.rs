//! Scratch: pages a commit, by object.
#[path = "../../bench/src/random.rs"]
#[allow(dead_code, unreachable_pub)]
mod random;
#[path = "../../bench/src/topics.rs"]
#[allow(dead_code, unreachable_pub)]
mod topics;
use random::Random;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use topics::{Document, Topics, word, zipf};

const TRIGGER: &str = "
CREATE TRIGGER changed AFTER UPDATE ON document BEGIN
    INSERT INTO found (found, rowid, text, section) VALUES ('delete', old.id, old.text, old.section);
    INSERT INTO found (rowid, text, section) VALUES (new.id, new.text, new.section);
END;";

fn build(path: &str, documents: usize, create: Option<&str>) {
    let c = Connection::open(path).unwrap();
    nearside_search::register(&c).unwrap();
    c.execute_batch("PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-262144; CREATE TABLE document (id INTEGER PRIMARY KEY, text TEXT, section TEXT); BEGIN").unwrap();
    let mut t = Topics::new(1);
    for _ in 0..documents {
        let d = t.document();
        c.prepare_cached("INSERT INTO document (text, section) VALUES (?1,?2)").unwrap().execute(params![d.text, d.section]).unwrap();
    }
    c.execute_batch("COMMIT").unwrap();
    if let Some(create) = create {
        let t = std::time::Instant::now();
        let pages = |c: &Connection| c.query_row("select (select * from pragma_page_count)-(select * from pragma_freelist_count)", [], |r| r.get::<_, i64>(0)).unwrap();
        let before = pages(&c);
        c.execute_batch(create).unwrap();
        c.execute_batch("BEGIN; INSERT INTO found(found) VALUES ('rebuild'); COMMIT; BEGIN; INSERT INTO found(found) VALUES ('optimize'); COMMIT").unwrap();
        println!("{path}: {} pages in {:.2} s", pages(&c) - before, t.elapsed().as_secs_f64());
    }
}

fn edited(document: &Document, random: &mut Random) -> Document {
    let words = document.text.split(' ').map(|old| match random.below(5) { 0 => word(zipf(random)), _ => old.to_owned() });
    Document { text: words.collect::<Vec<_>>().join(" "), section: document.section.clone() }
}

fn run(from: &str, with: bool, documents: usize, many: usize, commits: usize, replaced: bool) -> Vec<BTreeMap<String, u64>> {
    let path = format!("{from}.copy");
    std::fs::copy(from, &path).unwrap();
    let c = Connection::open(&path).unwrap();
    nearside_search::register(&c).unwrap();
    c.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1048576; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    if with { c.execute_batch(TRIGGER).unwrap(); pushed(&c, &path, false); }
    let (mut random, mut topics) = (Random::new(9), Topics::new(9));
    let mut all = Vec::new();
    let split = std::env::var("SPLIT").is_ok();
    let began = std::time::Instant::now();
    for _ in 0..commits {
        c.execute_batch("BEGIN").unwrap();
        for _ in 0..many {
            let id = (1 + random.below(documents)) as i64;
            let document = if replaced { topics.document() } else {
                let d = c.prepare_cached("SELECT text, section FROM document WHERE id = ?1").unwrap().query_row([id], |row| Ok(Document { text: row.get(0)?, section: row.get(1)? })).unwrap();
                edited(&d, &mut random)
            };
            c.prepare_cached("UPDATE document SET text = ?2, section = ?3 WHERE id = ?1").unwrap().execute(params![id, document.text, document.section]).unwrap();
        }
        c.execute_batch("COMMIT").unwrap();
        all.push(pushed(&c, &path, split && with));
    }
    if with {
        let took = began.elapsed().as_secs_f64() / commits as f64 * 1e3;
        let info = if from.contains("ours") { format!("{:?}", nearside_search::inspect::inspect(&c, "found").unwrap()) } else { String::new() };
        let pages: i64 = c.query_row("select (select * from pragma_page_count)-(select * from pragma_freelist_count)", [], |r| r.get(0)).unwrap();
        println!("  {from}: {took:.1} ms a commit, {pages} pages used; {info}");
        if std::env::var("CHECK").is_ok() { c.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')").unwrap(); }
    }
    if std::env::var("COPY").is_err() { std::fs::remove_file(&path).unwrap(); }
    all
}

fn pushed(c: &Connection, path: &str, split: bool) -> BTreeMap<String, u64> {
    let log = std::fs::read(format!("{path}-wal")).unwrap();
    let mut newest = BTreeMap::<u32, &[u8]>::new();
    for frame in log.get(32..).unwrap_or_default().chunks_exact(24 + 4096) {
        newest.insert(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]), &frame[24..]);
    }
    let file = std::fs::File::open(path).unwrap();
    let before = file.metadata().unwrap().len() / 4096;
    let mut old = vec![0; 4096];
    let mut changed = Vec::new();
    for (number, page) in newest {
        let there = u64::from(number) <= before;
        if there { file.read_exact_at(&mut old, (u64::from(number) - 1) * 4096).unwrap(); }
        if !there || old != page { changed.push(number); }
    }
    let mut told = BTreeMap::from([("all".to_owned(), changed.len() as u64)]);
    if split {
        let mut names = BTreeMap::<u32, String>::new();
        let mut s = c.prepare("SELECT pageno, name || ' ' || pagetype FROM dbstat").unwrap();
        let mut rows = s.query([]).unwrap();
        while let Some(r) = rows.next().unwrap() { names.insert(r.get(0).unwrap(), r.get(1).unwrap()); }
        for number in changed { *told.entry(names.get(&number).cloned().unwrap_or("free".into())).or_default() += 1; }
    }
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
    told
}

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let documents: usize = a[1].parse().unwrap();
    let many: Vec<usize> = a[2].split(',').map(|n| n.parse().unwrap()).collect();
    let commits: usize = a[3].parse().unwrap();
    let kinds: Vec<bool> = a.get(4).map_or(vec![false, true], |k| vec![k == "replaced"]);
    let dir = format!("/tmp/seg/{documents}");
    std::fs::create_dir_all(&dir).unwrap();
    let f = |n: &str| format!("{dir}/{n}.db");
    if std::env::var("KEEP").is_err() || !std::path::Path::new(&f("bare")).exists() {
        for n in ["bare", "ours", "fts5"] { let _ = std::fs::remove_file(f(n)); }
        build(&f("bare"), documents, None);
        build(&f("fts5"), documents, Some("CREATE VIRTUAL TABLE found USING fts5(text, section, content='document', content_rowid='id'); INSERT INTO found(found, rank) VALUES ('rank', 'bm25(1.0, 0.0)')"));
    }
    let _ = std::fs::remove_file(f("ours"));
    build(&f("ours"), documents, Some("CREATE VIRTUAL TABLE found USING nearside_search(text, section, content='document', content_rowid='id', tags='section')"));
    for replaced in kinds {
        for many in &many {
            let bare = run(&f("bare"), false, documents, *many, commits, replaced);
            let mut means = Vec::new();
            for n in ["ours", "fts5"] {
                if n == "fts5" && std::env::var("ONLY").is_ok() { continue }
                let all = run(&f(n), true, documents, *many, commits, replaced);
                let mut pages: Vec<i64> = all.iter().zip(&bare).map(|(a, b)| a["all"] as i64 - b["all"] as i64).collect();
                pages.sort_unstable();
                let mean = pages.iter().sum::<i64>() as f64 / pages.len() as f64;
                means.push(mean);
                println!("{many} {} {n}: mean {mean:.2} p99 {} max {}", if replaced { "replaced" } else { "edited" }, pages[(pages.len() - 1) * 99 / 100], pages[pages.len() - 1]);
                let mut sums = BTreeMap::<String, u64>::new();
                for one in &all { for (k, v) in one { *sums.entry(k.clone()).or_default() += v; } }
                if sums.len() > 1 { for (k, v) in sums { println!("      {k}: {:.2}", v as f64 / commits as f64); } }
            }
            if means.len() == 2 { println!("  ratio {:.2}", means[1] / means[0]); }
        }
    }
}
