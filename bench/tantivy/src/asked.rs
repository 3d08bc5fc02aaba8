//! Queries by class, as `bench/src/library/asked.rs` writes them.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, ConstScoreQuery, Occur, PhraseQuery, Query, RegexQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher, Term};

use crate::{Told, resident_bytes};

/// As many as of the others are asked before it counts, and are looked at for how much they find.
const WARM: usize = 50;
const CHECKED: usize = 50;
const BEST: usize = 10;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Join {
    All,
    Any,
    Phrase,
    Prefix,
}

#[derive(Debug, Deserialize)]
struct Asked {
    join: Join,
    words: Vec<String>,
    section: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Class {
    name: String,
    queries: Vec<Asked>,
}

#[derive(Clone, Copy)]
struct Fields {
    text: Field,
    section: Field,
}

pub fn ask(folder: &Path, asked: &Path, seconds: f64) -> Told {
    let asked = fs::read(asked).with_context(|| format!("reading {}", asked.display()))?;
    let asked: Vec<Class> = serde_json::from_slice(&asked).context("reading what is asked")?;
    let index = Index::open_in_dir(folder).context("opening the index")?;
    let schema = index.schema();
    let fields = Fields { text: schema.get_field("text")?, section: schema.get_field("section")? };
    let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let searcher = reader.searcher();
    let lasts = Duration::from_secs_f64(seconds);
    let classes = asked.iter().map(|class| ask_class(&searcher, fields, class, lasts));
    let classes = classes.collect::<Result<Vec<_>>>()?;
    Ok(json!({ "classes": classes, "resident_bytes": resident_bytes("RssAnon"), "memory_bytes": null }))
}

fn ask_class(searcher: &Searcher, fields: Fields, class: &Class, lasts: Duration) -> Told {
    let once = |asked: &Asked| -> Result<(u64, usize)> {
        let began = Instant::now();
        // Making the query counts, as reading its text does of the others.
        let found = black_box(searcher.search(&*query(fields, asked)?, &TopDocs::with_limit(BEST).order_by_score())?);
        Ok((began.elapsed().as_nanos() as u64, found.len()))
    };
    let began = Instant::now();
    for asked in class.queries.iter().take(WARM) {
        once(asked)?;
        if began.elapsed() > lasts / 2 {
            break;
        }
    }
    let (mut times_ns, mut found, began) = (Vec::new(), Vec::new(), Instant::now());
    for asked in &class.queries {
        let (time, rows) = once(asked)?;
        times_ns.push(time);
        if found.len() < CHECKED {
            found.push(rows);
        }
        if began.elapsed() > lasts {
            break;
        }
    }
    Ok(json!({ "name": class.name, "times_ns": times_ns, "found": found }))
}

fn query(fields: Fields, asked: &Asked) -> Result<Box<dyn Query>> {
    let term = |word: &String| Term::from_field_text(fields.text, word);
    let word = |word: &String| Box::new(TermQuery::new(term(word), IndexRecordOption::WithFreqs)) as Box<dyn Query>;
    let joined = |occur: Occur| -> Box<dyn Query> {
        match &asked.words[..] {
            [one] => word(one),
            words => Box::new(BooleanQuery::new(words.iter().map(|one| (occur, word(one))).collect())),
        }
    };
    let words = match asked.join {
        Join::All => joined(Occur::Must),
        Join::Any => joined(Occur::Should),
        Join::Phrase => Box::new(PhraseQuery::new(asked.words.iter().map(term).collect())),
        // All of them score alike: tantivy has no other prefix of one word.
        Join::Prefix => Box::new(RegexQuery::from_pattern(&format!("{}.*", asked.words.concat()), fields.text)?),
    };
    let Some(section) = &asked.section else { return Ok(words) };
    let section = TermQuery::new(Term::from_field_text(fields.section, section), IndexRecordOption::Basic);
    let section = ConstScoreQuery::new(Box::new(section), 0.0);
    Ok(Box::new(BooleanQuery::new(vec![(Occur::Must, words), (Occur::Must, Box::new(section))])))
}
