//! The log on stderr: what an operator sees of a process that runs in front of them, or keeps of it in a file.

use std::io::{IsTerminal, Write};

use nearside_host::logbook::Entry;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use crate::log_line::Style;

pub struct StderrLog(Style);

impl StderrLog {
    pub fn new() -> StderrLog {
        // Colours are for people: a log in a file is searched.
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        StderrLog(Style { colours, short_trace: false })
    }
}

impl<S: Subscriber> Layer<S> for StderrLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let text = self.0.text(&Entry::of(event), None);
        // A log that nobody takes any more keeps no one from being served.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
