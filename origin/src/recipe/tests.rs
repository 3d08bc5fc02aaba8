//! The example apps, and copies of them that are wrong. `NEARSIDE_HISTORIES` says how many histories of each; a few when
//! it is not set.

use std::{fs, os::unix::fs::symlink, time::Instant};

use super::*;

const HISTORIES_UNASKED: u64 = 12;
const COMMANDS: u64 = 32;

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules")
}

fn engine() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Engine::start(folder.path()).unwrap(), folder)
}

fn rows(app: &Path) -> Rows {
    let seed = fs::read_to_string(app.join("tests/seed.sql")).ok();
    Rows { data: None, seed: seed.map(|text| ("tests/seed.sql".to_owned(), text)) }
}

fn played(app: &Path, plan: Plan) -> Report {
    let ((engine, _compiled), folder) = (engine(), tempfile::tempdir().unwrap());
    prove(Archive::collect(app).unwrap(), &engine, &rows(app), plan, folder.path()).unwrap()
}

fn told(app: &str, report: &Report, took: Instant) {
    println!(
        "{app}: {} histories of {COMMANDS} commands: {} applied, {} rejected, {} failed, {} pushes of data; {} rebuilds \
         compared, {} rows; differences: {}; {} s; {:?}; {:?}",
        report.histories,
        report.applied,
        report.rejected,
        report.failed,
        report.pushes,
        report.comparisons,
        report.rows,
        u8::from(report.fault.is_some()),
        took.elapsed().as_secs(),
        report.commands,
        report.last_failure,
    );
}

#[test]
fn the_example_apps_keep_what_they_would_make_anew() {
    let histories = std::env::var("NEARSIDE_HISTORIES")
        .map_or(HISTORIES_UNASKED, |count| count.parse().expect("NEARSIDE_HISTORIES is a number"));
    for app in ["packages", "shelf", "stacks"] {
        let begun = Instant::now();
        let report = played(&modules().join(app), Plan { histories, commands: COMMANDS, seed: 1 });
        told(app, &report, begun);
        assert!(report.fault.is_none(), "{app}: {:?}", report.fault);
        assert_eq!(report.histories, histories);
        assert!(report.is_telling(), "{app}: less than half were applied");
        assert!(report.comparisons >= histories, "{report:?}");
        // An app whose data can be pushed has that happen to it, too.
        assert_eq!(report.pushes > 0, app != "shelf", "{app}: {} pushes", report.pushes);
    }
}

/// A copy of an app, with one text in its snapshot.sql made another.
fn spoilt(folder: &Path, app: &str, right: &str, wrong: &str) -> PathBuf {
    let copy = folder.join("modules").join(app);
    copy_files(&modules().join(app), &copy);
    symlink(modules().join("target"), folder.join("modules/target")).unwrap();
    let snapshot = copy.join("snapshot.sql");
    let text = fs::read_to_string(&snapshot).unwrap();
    assert!(text.contains(right), "{app} has no `{right}`");
    fs::write(snapshot, text.replace(right, wrong)).unwrap();
    copy
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_files(&path, &target),
            false => {
                fs::copy(&path, target).unwrap();
            }
        }
    }
}

#[test]
fn triggers_that_are_wrong_are_caught_and_the_history_is_short() {
    for (app, right, wrong, place, most_steps) in [
        // Counts a document each time it is revised.
        (
            "stacks",
            "CREATE TRIGGER tally_after_insert AFTER INSERT ON document BEGIN",
            "CREATE TRIGGER tally_after_revision AFTER UPDATE ON document BEGIN UPDATE tally SET documents = documents + 1; END;
             CREATE TRIGGER tally_after_insert AFTER INSERT ON document BEGIN",
            "table `tally`",
            3,
        ),
        // The index never forgets the words a document had.
        (
            "stacks",
            "    INSERT INTO document_text (document_text, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
    INSERT INTO document_text (rowid",
            "    INSERT INTO document_text (rowid",
            "full-text index `document_text`",
            3,
        ),
        // Stars are counted by how many reviews came before: another order makes another sum.
        (
            "packages",
            "    INSERT INTO rating (package, reviews, stars) VALUES (new.package, 1, new.rating)\n        ON CONFLICT (package) DO UPDATE SET reviews = reviews + 1, stars = stars + excluded.stars;\nEND;\n\nCREATE TRIGGER rating_after_update",
            "    INSERT INTO rating (package, reviews, stars) VALUES (new.package, 1, new.rating + (SELECT count(*) FROM package WHERE name < new.package))\n        ON CONFLICT (package) DO UPDATE SET reviews = reviews + 1, stars = stars + excluded.stars;\nEND;\n\nCREATE TRIGGER rating_after_update",
            "table `rating`",
            4,
        ),
        // What is derived depends on when the database followed.
        (
            "shelf",
            "CREATE INDEX note_by_book ON note (book);",
            "CREATE INDEX note_by_book ON note (book);
             CREATE TABLE followed (n INTEGER); INSERT INTO followed VALUES (0);
             CREATE TRIGGER followed_after AFTER INSERT ON note BEGIN
               UPDATE followed SET n = (SELECT count(*) FROM note) - (SELECT coalesce(max(commit_no), 0) FROM _nearside_applied);
             END;",
            "table `followed`",
            2,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let app_folder = spoilt(folder.path(), app, right, wrong);
        let begun = Instant::now();
        let report = played(&app_folder, Plan { histories: 200, commands: COMMANDS, seed: 7 });
        told(app, &report, begun);
        let fault = report.fault.unwrap_or_else(|| panic!("{app}: not caught: {wrong}"));
        let steps: Vec<String> = fault.steps.iter().map(Step::to_string).collect();
        println!("{}\n  {} steps of {}: {steps:#?}", fault.found, steps.len(), fault.steps_at_first);
        let Found::Differs(difference) = fault.found else { panic!("{app}: {:?}", fault.found) };
        assert!(difference.place.starts_with(place), "{app}: {difference}");
        assert!(steps.len() <= most_steps, "{app}: {steps:#?}");
    }
}
