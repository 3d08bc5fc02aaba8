//! The guide shows pieces of this app, word for word: what it shows compiles, because this does.

use std::fs;
use std::path::Path;

/// A fenced block, with the file it is said to be from.
struct Block {
    line: usize,
    file: Option<String>,
    language: String,
    text: String,
}

#[test]
fn every_block_of_the_guide_is_in_its_file() {
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = fs::read_to_string(app.join("../../docs/build-an-app.md")).unwrap();
    let blocks = blocks(&guide);
    for Block { line, file, language, text } in &blocks {
        match file {
            Some(file) => {
                let content = fs::read_to_string(app.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
                let is_in = format!("\n{content}").contains(&format!("\n{text}"));
                assert!(is_in, "docs/build-an-app.md:{line}: this is not in modules/shelf/{file}:\n{text}");
            }
            // Commands and lists of folders.
            None => assert!(language == "sh" || language.is_empty(), "line {line}: which file is this {language} of?"),
        }
    }
    let named = blocks.iter().filter(|block| block.file.is_some()).count();
    assert!(named >= 15, "only {named} blocks name their file: has the guide's form changed?");
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut file = None;
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            file = line.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:")).map(str::to_owned);
            continue;
        };
        let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let text = inside.map(|line| format!("{line}\n")).collect();
        blocks.push(Block { line: number + 1, file: file.take(), language: language.to_owned(), text });
    }
    blocks
}
