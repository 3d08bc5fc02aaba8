//! From events to entries.

use std::fmt::{self, Write};

use nearside_protocol::{limits, unix_time};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{Layer, filter::Targets, layer::Context, registry::LookupSpan};

use super::{Entry, Kind, Logbook};

/// Libraries that speak of every connection are asked for what is wrong only.
const QUIETER: &[(&str, LevelFilter)] = &[
    ("wasmtime", LevelFilter::WARN),
    ("wasmtime_wasi_http", LevelFilter::ERROR),
    ("cranelift", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
];

pub(super) fn new<S: Subscriber + for<'a> LookupSpan<'a>>(logbook: Logbook) -> impl Layer<S> {
    let wanted = Targets::new().with_default(LevelFilter::INFO).with_targets(QUIETER.iter().copied());
    Writes(logbook).with_filter(wanted)
}

struct Writes(Logbook);

impl<S: Subscriber> Layer<S> for Writes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.write(Entry::of(event));
    }
}

impl Entry {
    /// An event as an entry, whose number its book gives it.
    pub fn of(event: &Event<'_>) -> Entry {
        let metadata = event.metadata();
        let mut entry = Entry {
            seq: 0,
            at_ms: unix_time::now_ms(),
            level: (*metadata.level()).into(),
            kind: Kind::of_target(metadata.target()),
            message: String::new(),
            app: None,
            place: None,
            release: None,
            trace: None,
            fields: Default::default(),
        };
        event.record(&mut Fields(&mut entry));
        entry
    }
}

/// Puts what an event says where it belongs.
struct Fields<'a>(&'a mut Entry);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let most = if field.name() == "message" { limits::LOGBOOK_MESSAGE_BYTES } else { limits::LOGBOOK_FIELD_BYTES };
        let mut text = Bounded { text: String::new(), most };
        // It fails when there is no more room.
        let _ = write!(text, "{value:?}");
        let text = text.text;
        match field.name() {
            "message" => self.0.message = text,
            "app" => self.0.app = Some(text),
            "place" => self.0.place = Some(text),
            "release" => self.0.release = Some(text),
            "trace" => self.0.trace = Some(text),
            name => {
                self.0.fields.insert(name.to_owned(), text);
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Text up to its bound, the rest replaced by an ellipsis.
struct Bounded {
    text: String,
    most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        if piece.len() <= room {
            self.text.push_str(piece);
            return Ok(());
        }
        self.text.push_str(&piece[..piece.floor_char_boundary(room)]);
        self.text.push('…');
        Err(fmt::Error)
    }
}
