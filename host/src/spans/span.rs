//! One step of a trace. It ends when it is dropped.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use nearside_protocol::{
    limits,
    trace_context::{SpanId, TraceContext, TraceId},
};

use super::{Inner, Traced};
use crate::trace::new_span;

/// How it stands to those it talks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal,
    /// It answers a request,
    Server,
    /// it waits for an answer,
    Client,
    /// it leaves something to be done,
    Producer,
    /// it does what was left.
    Consumer,
}

/// What is known of it, under a name of OpenTelemetry's conventions, or one that begins with `nearside.`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Cow<'static, str>),
    Number(i64),
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Value {
        Value::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Value {
        Value::from(number as u64)
    }
}

/// A span under way.
pub struct Span(Box<Open>);

struct Open {
    inner: Arc<Inner>,
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    kind: Kind,
    name: Cow<'static, str>,
    began: Instant,
    /// Nothing: when it is dropped.
    ended: Option<Instant>,
    attributes: Vec<(&'static str, Value)>,
    links: Vec<TraceContext>,
    failed: Option<String>,
    is_kept: bool,
}

impl Span {
    pub(super) fn begin(
        inner: Arc<Inner>,
        trace: TraceId,
        parent: Option<SpanId>,
        kind: Kind,
        name: Cow<'static, str>,
    ) -> Span {
        let (attributes, links) = (Vec::new(), Vec::new());
        let (span, began) = (new_span(), Instant::now());
        let (ended, failed, is_kept) = (None, None, true);
        Span(Box::new(Open {
            inner,
            trace,
            span,
            parent,
            kind,
            name,
            began,
            ended,
            attributes,
            links,
            failed,
            is_kept,
        }))
    }

    /// It began earlier than it was known that it is traced.
    pub fn since(mut self, began: Instant) -> Span {
        self.0.began = began;
        self
    }

    /// It ended before this was written down.
    pub fn until(mut self, ended: Instant) -> Span {
        self.0.ended = Some(ended);
        self
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Span {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.attributes.push((name, cut(value.into())));
    }

    /// It is about this, too, in whichever trace that is. Of very many the first are named.
    pub fn link(&mut self, to: TraceContext) {
        if self.0.links.len() < limits::SPAN_LINKS {
            self.0.links.push(to);
        }
    }

    /// What came of a request.
    pub fn answered(&mut self, status: StatusCode) {
        self.set("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.set("error.type", status.as_str().to_owned());
            self.fail("");
        }
    }

    /// It did not come to a good end.
    pub fn fail(&mut self, why: impl Into<String>) {
        let mut why = why.into();
        why.truncate(why.floor_char_boundary(limits::SPAN_TEXT_BYTES));
        self.0.failed = Some(why);
    }

    /// Nothing came of it that is worth telling.
    pub fn discard(mut self) {
        self.0.is_kept = false;
    }

    /// What begins within it.
    pub fn traced(&self) -> Traced {
        Traced::of(&self.0.inner, self.0.trace, self.0.span)
    }
}

fn cut(value: Value) -> Value {
    match value {
        Value::Text(text) if text.len() > limits::SPAN_TEXT_BYTES => {
            let end = text.floor_char_boundary(limits::SPAN_TEXT_BYTES);
            Value::Text(text[..end].to_owned().into())
        }
        value => value,
    }
}

/// A span that has ended, with times of day.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) kind: Kind,
    pub(crate) name: Cow<'static, str>,
    /// Unix time, nanoseconds.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    pub(crate) links: Vec<TraceContext>,
    pub(crate) failed: Option<String>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.is_kept {
            return;
        }
        // How long things take, a clock says that nobody sets; the time of day is looked at once.
        let (now, day) = (Instant::now(), SystemTime::now());
        let at = |moment: Instant| {
            let before = day.checked_sub(now.saturating_duration_since(moment)).unwrap_or(UNIX_EPOCH);
            before.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
        };
        let ended = Ended {
            trace: self.trace,
            span: self.span,
            parent: self.parent,
            kind: self.kind,
            name: std::mem::take(&mut self.name),
            start_ns: at(self.began),
            end_ns: at(self.ended.unwrap_or(now)),
            attributes: std::mem::take(&mut self.attributes),
            links: std::mem::take(&mut self.links),
            failed: self.failed.take(),
        };
        self.inner.take(ended);
    }
}
