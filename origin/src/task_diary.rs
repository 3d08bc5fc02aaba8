//! What a running attempt tells: how far it has come, and the lines it prints, of which the newest are kept.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use nearside_protocol::limits;

use crate::tasks::history::Notes;

/// Shared by the attempt, which writes, and the runner, which writes it down.
#[derive(Debug, Default)]
pub(crate) struct Diary(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    progress: Option<String>,
    lines: VecDeque<String>,
    bytes: usize,
    dropped: usize,
    is_new: bool,
    is_over: bool,
}

impl Diary {
    pub(crate) fn line(&self, line: &str) {
        let mut told = self.told();
        // One line alone is never more than half.
        let line = &line[..line.floor_char_boundary(limits::TASK_LOG_BYTES / 2)];
        told.bytes += line.len() + 1;
        told.lines.push_back(line.to_owned());
        while told.lines.len() > limits::TASK_LOG_LINES || told.bytes > limits::TASK_LOG_BYTES {
            let first = told.lines.pop_front().expect("BUG: what has bytes has lines");
            told.bytes -= first.len() + 1;
            told.dropped += 1;
        }
        told.is_new = true;
    }

    pub(crate) fn progress(&self, how_far: &str) {
        let mut told = self.told();
        told.progress = Some(how_far[..how_far.floor_char_boundary(limits::TASK_PROGRESS_BYTES)].to_owned());
        told.is_new = true;
    }

    /// The attempt has ended, and is telling the writer how.
    pub(crate) fn close(&self) {
        self.told().is_over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.told().is_over
    }

    /// All of it.
    pub(crate) fn notes(&self) -> Notes {
        self.told().notes()
    }

    /// All of it, if there is anything new since this was last asked.
    pub(crate) fn news(&self) -> Option<Notes> {
        let mut told = self.told();
        std::mem::take(&mut told.is_new).then(|| told.notes())
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().expect("BUG: nothing panics while holding a diary")
    }
}

impl Told {
    fn notes(&self) -> Notes {
        let mut log = String::with_capacity(self.bytes + 64);
        if self.dropped > 0 {
            log.push_str(&format!("({} lines before these are not kept)\n", self.dropped));
        }
        for line in &self.lines {
            log.push_str(line);
            log.push('\n');
        }
        Notes { progress: self.progress.clone(), log }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_news_are_told_once() {
        let diary = Diary::default();
        assert_eq!(diary.news(), None);
        diary.line("one");
        diary.progress("half");
        let notes = Notes { progress: Some("half".into()), log: "one\n".into() };
        assert_eq!((diary.news(), diary.news(), diary.notes()), (Some(notes.clone()), None, notes));
        (0..limits::TASK_LOG_LINES).for_each(|number| diary.line(&number.to_string()));
        assert!(diary.notes().log.starts_with("(1 lines before these are not kept)\n0\n1\n"));
        (0..3).for_each(|_| diary.line(&"é".repeat(limits::TASK_LOG_BYTES)));
        let log = diary.notes().log;
        assert!(log.len() <= limits::TASK_LOG_BYTES + 64 && log.matches('\n').count() == 2, "{}", log.len());
    }
}
