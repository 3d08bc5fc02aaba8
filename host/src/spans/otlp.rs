//! Spans as OTLP has them: `ExportTraceServiceRequest` in protobuf.

use bytes::Bytes;
use http::HeaderValue;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status},
};
use prost::Message;

use super::span::{Ended, Kind, Value};

pub(super) use resource::v1::Resource;

pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Of what is said of a trace, its low eight bits are those of `traceparent`; it is sampled.
const FLAGS: u32 = 1;

/// What is said of the process.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let attribute = |(name, value): &(String, String)| attribute(name, any_value::Value::StringValue(value.clone()));
    Resource { attributes: attributes.iter().map(attribute).collect(), ..Resource::default() }
}

pub(super) fn message(resource: &Resource, spans: &[Ended]) -> Bytes {
    let scope = InstrumentationScope {
        name: "nearside".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// How many the collector took the message without; what cannot be read says nothing.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

fn span(ended: &Ended) -> Span {
    let link = |to: &nearside_protocol::trace_context::TraceContext| span::Link {
        trace_id: to.trace.0.to_vec(),
        span_id: to.span.0.to_vec(),
        flags: u32::from(to.is_sampled),
        ..span::Link::default()
    };
    Span {
        trace_id: ended.trace.0.to_vec(),
        span_id: ended.span.0.to_vec(),
        parent_span_id: ended.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        flags: FLAGS,
        name: ended.name.to_string(),
        kind: kind(ended.kind).into(),
        start_time_unix_nano: ended.start_ns,
        end_time_unix_nano: ended.end_ns,
        attributes: ended.attributes.iter().map(|(name, value)| attribute(name, of(value))).collect(),
        links: ended.links.iter().map(link).collect(),
        status: ended
            .failed
            .as_ref()
            .map(|why| Status { message: why.clone(), code: status::StatusCode::Error.into() }),
        ..Span::default()
    }
}

fn kind(kind: Kind) -> span::SpanKind {
    match kind {
        Kind::Internal => span::SpanKind::Internal,
        Kind::Server => span::SpanKind::Server,
        Kind::Client => span::SpanKind::Client,
        Kind::Producer => span::SpanKind::Producer,
        Kind::Consumer => span::SpanKind::Consumer,
    }
}

fn of(value: &Value) -> any_value::Value {
    match value {
        Value::Text(text) => any_value::Value::StringValue(text.to_string()),
        Value::Number(number) => any_value::Value::IntValue(*number),
        Value::Flag(flag) => any_value::Value::BoolValue(*flag),
    }
}

fn attribute(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
