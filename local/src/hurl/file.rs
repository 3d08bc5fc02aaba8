//! What a test file says.

use std::time::Duration;

use regex::Regex;

use super::{cursor::Position, jsonpath::JsonPath, template::Template, value::Value};

#[derive(Debug, Default)]
pub struct HurlFile {
    pub entries: Vec<Entry>,
}

/// A request, and what is expected of its answer.
#[derive(Debug)]
pub struct Entry {
    pub at: Position,
    pub request: Request,
    /// Without any, every answer is welcome.
    pub expected: Option<Expected>,
}

#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: Template,
    pub headers: Vec<Field>,
    pub query: Vec<Field>,
    pub form: Vec<Field>,
    pub multipart: Vec<(String, Part)>,
    pub cookies: Vec<Field>,
    pub options: Options,
    pub body: Option<Body>,
}

#[derive(Debug)]
pub struct Field {
    pub at: Position,
    pub name: String,
    pub value: Template,
}

#[derive(Debug)]
pub enum Part {
    Text(Template),
    File { path: Template, content_type: Option<Template> },
}

#[derive(Debug, PartialEq)]
pub struct Options {
    pub retry: u32,
    pub retry_interval: Duration,
    pub skip: bool,
    /// Whether redirects are followed.
    pub location: bool,
}

#[derive(Debug)]
pub enum Body {
    Json(Template),
    Text(Template),
    /// Its path, from the folder of the test file.
    File(Template),
}

#[derive(Debug)]
pub struct Expected {
    pub at: Position,
    /// None is `*`.
    pub status: Option<u16>,
    pub headers: Vec<Field>,
    pub captures: Vec<Capture>,
    pub asserts: Vec<Assert>,
    pub body: Option<(Position, Body)>,
}

#[derive(Debug)]
pub struct Capture {
    pub at: Position,
    pub name: String,
    pub subject: Subject,
}

#[derive(Debug)]
pub struct Assert {
    pub at: Position,
    /// As it is written.
    pub text: String,
    pub subject: Subject,
    pub not: bool,
    pub predicate: Predicate,
}

/// What of an answer is looked at.
#[derive(Debug)]
pub struct Subject {
    pub query: Query,
    pub filters: Vec<Filter>,
}

#[derive(Debug)]
pub enum Query {
    Status,
    Header(Template),
    Cookie(Template),
    Body,
    Bytes,
    JsonPath(JsonPath),
    Regex(Regex),
    Variable(String),
}

#[derive(Debug)]
pub enum Filter {
    Count,
    Nth(i64),
    Regex(Regex),
}

#[derive(Debug)]
pub enum Predicate {
    Equal(Operand),
    NotEqual(Operand),
    Greater(Operand),
    GreaterOrEqual(Operand),
    Less(Operand),
    LessOrEqual(Operand),
    StartsWith(Operand),
    EndsWith(Operand),
    Contains(Operand),
    Matches(Regex),
    Exists,
    IsEmpty,
}

#[derive(Debug)]
pub enum Operand {
    Value(Value),
    Text(Template),
    /// A variable, with the type it has.
    Variable {
        at: Position,
        name: String,
    },
    File(Template),
}
