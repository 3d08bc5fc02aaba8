//! Server-sent events: a page that stays open and is told what happens.
//!
//! ```ignore
//! Ok(Response::events(|events| {
//!     for step in 1..=3 {
//!         events.send(Event::from("working").id(step))?;
//!     }
//!     events.send(Event::named("done"))
//! }))
//! ```
//!
//! It goes out as it is written, is never kept, and ends with the route's `deadline_ms` at the latest. Then browsers ask
//! again by themselves, with the id of the last event in the header `Last-Event-ID`, which the route may declare.

use std::fmt::{Display, Write};

use serde::Serialize;

use crate::body::{BodyWriter, Disconnected};

/// Where events are sent to.
pub struct Events<'a>(&'a mut BodyWriter);

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Option<String>,
    id: Option<String>,
    data: String,
}

impl<'a> Events<'a> {
    pub(crate) fn new(body: &'a mut BodyWriter) -> Self {
        Self(body)
    }

    /// Sends an event, or just a text, and waits until it is on its way.
    ///
    /// # Errors
    /// When the visitor has gone: then there is nothing more to do.
    pub fn send(&mut self, event: impl Into<Event>) -> Result<(), Disconnected> {
        self.write(&event.into().encode())
    }

    /// Says nothing, and keeps the connection: one that is silent for ten seconds is ended.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn keep_alive(&mut self) -> Result<(), Disconnected> {
        self.write(":\n\n")
    }

    /// How long the browser waits, once this has ended, before it asks again.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn retry_after_ms(&mut self, milliseconds: u32) -> Result<(), Disconnected> {
        self.write(&format!("retry: {milliseconds}\n\n"))
    }

    fn write(&mut self, text: &str) -> Result<(), Disconnected> {
        self.0.write(text.as_bytes())?;
        self.0.flush()
    }
}

impl Event {
    /// An event of a kind that scripts listen for by name; others are a `message`.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// The same with a text, which may have several lines.
    #[must_use]
    pub fn data(mut self, text: impl Into<String>) -> Self {
        self.data = text.into();
        self
    }

    /// The same with a value as JSON.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(self.data(serde_json::to_string(value)?))
    }

    /// The same with an id, which browsers give back when they ask again.
    #[must_use]
    pub fn id(mut self, id: impl Display) -> Self {
        self.id = Some(id.to_string());
        self
    }

    fn encode(&self) -> String {
        let mut text = String::with_capacity(self.data.len() + 32);
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        };
        // A name or an id is one line, and browsers ignore an id with a NUL in it.
        let one_line = |value: &str| value.replace(['\r', '\n', '\0'], " ");
        if let Some(name) = &self.name {
            line("event", &one_line(name));
        }
        if let Some(id) = &self.id {
            line("id", &one_line(id));
        }
        self.data.replace("\r\n", "\n").split(['\n', '\r']).for_each(|data| line("data", data));
        text.push('\n');
        text
    }
}

impl<T: Into<String>> From<T> for Event {
    fn from(text: T) -> Self {
        Self::default().data(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_lines() {
        assert_eq!(Event::from("hello").encode(), "data: hello\n\n");
        let event = Event::named("note").id(7).json(&["a", "b"]).unwrap();
        assert_eq!(event.encode(), "event: note\nid: 7\ndata: [\"a\",\"b\"]\n\n");
        assert_eq!(Event::named("done").encode(), "event: done\ndata: \n\n");
    }

    #[test]
    fn no_text_becomes_another_event() {
        let event = Event::named("a\ndata: x").id("1\r\n\n").data("one\r\ntwo\n\nevent: evil\rdata: x");
        assert_eq!(
            event.encode(),
            "event: a data: x\nid: 1   \ndata: one\ndata: two\ndata: \ndata: event: evil\ndata: data: x\n\n"
        );
    }
}
