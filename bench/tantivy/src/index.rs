//! The index: a text with positions, and the section as one term.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde_json::json;
use tantivy::indexer::NoMergePolicy;
use tantivy::schema::{IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexWriter, TantivyDocument};

use crate::{Told, resident_bytes};

/// What the writer may hold before it writes a segment.
const WRITER_BYTES: usize = 1 << 30;

pub fn build(folder: &Path, documents: &Path) -> Told {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer("default")
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = schema.add_text_field("text", TextOptions::default().set_indexing_options(words));
    let section = schema.add_text_field("section", STRING);
    fs::create_dir_all(folder).context("creating the folder")?;
    let began = Instant::now();
    let index = Index::create_in_dir(folder, schema.build())?;
    let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
    // All of them are merged once, at the end.
    writer.set_merge_policy(Box::new(NoMergePolicy));
    for line in BufReader::new(File::open(documents).context("opening the documents")?).lines() {
        let line = line?;
        let (of, words) = line.split_once('\t').context("a line without a tab")?;
        let mut document = TantivyDocument::default();
        document.add_text(text, words);
        document.add_text(section, of);
        writer.add_document(document)?;
    }
    writer.commit()?;
    let segments = index.searchable_segment_ids()?;
    if segments.len() > 1 {
        writer.merge(&segments).wait()?;
    }
    writer.garbage_collect_files().wait()?;
    writer.wait_merging_threads()?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(index.searchable_segment_ids()?.len() <= 1, "there are several segments");
    let bytes = fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum::<anyhow::Result<u64>>()?;
    Ok(json!({ "seconds": seconds, "bytes": bytes, "peak_resident_bytes": resident_bytes("VmHWM") }))
}
