//! An answer held against what is expected of it.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde_json::Value as Json;

use super::{
    cursor::{Fault, Position},
    diff::diff,
    file::{Assert, Body, Capture, Expected, Field, Filter, Operand, Predicate, Query, Subject},
    template::{self, Template, Variables},
    value::Value,
};
use crate::site::Answer;

/// A line of the file that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    pub at: Position,
    /// What the file says there.
    pub what: String,
    /// What is so instead, in lines.
    pub why: String,
}

/// What checking an answer came to.
#[derive(Debug, Default)]
pub struct Checked {
    pub failed: Vec<Failed>,
    /// Snapshots that were written anew.
    pub updated: Vec<PathBuf>,
}

pub struct Check<'a> {
    answer: &'a Answer,
    variables: &'a Variables,
    /// The test file's own.
    folder: &'a Path,
    /// Write the snapshots instead of comparing with them.
    update: bool,
    json: OnceCell<Result<Json, String>>,
    checked: Checked,
}

/// Looks at everything, so that all that is wrong with an answer is told at once.
pub fn check(expected: &Expected, answer: &Answer, variables: &Variables, folder: &Path, update: bool) -> Checked {
    let mut check = Check { answer, variables, folder, update, json: OnceCell::new(), checked: Checked::default() };
    if let Some(status) = expected.status.filter(|status| *status != answer.status.as_u16()) {
        check.fails(expected.at, format!("HTTP {status}"), format!("the status is {}", answer.status.as_u16()));
    }
    expected.headers.iter().for_each(|field| check.header(field));
    expected.asserts.iter().for_each(|assert| check.assert(assert));
    if let Some((at, body)) = &expected.body {
        check.body(*at, body);
    }
    check.checked
}

/// The variables that an answer gives.
pub fn captured(
    captures: &[Capture],
    answer: &Answer,
    variables: &Variables,
    folder: &Path,
) -> Result<Vec<(String, Value)>, Failed> {
    let check = Check { answer, variables, folder, update: false, json: OnceCell::new(), checked: Checked::default() };
    let mut values = Vec::new();
    for Capture { at, name, subject } in captures {
        let failed = |why: String| Failed { at: *at, what: name.clone(), why };
        match check.look(subject) {
            Ok(Some(value)) => values.push((name.clone(), value)),
            Ok(None) => return Err(failed("there is nothing to capture".into())),
            Err(fault) => return Err(failed(fault.message)),
        }
    }
    Ok(values)
}

impl Check<'_> {
    fn fails(&mut self, at: Position, what: String, why: String) {
        self.checked.failed.push(Failed { at, what, why });
    }

    fn header(&mut self, Field { at, name, value }: &Field) {
        let value = match value.render(self.variables) {
            Ok(value) => value,
            Err(fault) => return self.fails(*at, name.clone(), fault.message),
        };
        let values = self.answer.header_values(name);
        if !values.contains(&value) {
            let why = match values.is_empty() {
                true => "there is no such header".to_owned(),
                false => format!("the header is {}", values.join(" | ")),
            };
            self.fails(*at, format!("{name}: {value}"), why);
        }
    }

    fn assert(&mut self, assert: &Assert) {
        let outcome = self.look(&assert.subject).and_then(|actual| self.holds(assert, actual.as_ref()));
        match outcome {
            Ok(None) => {}
            Ok(Some(why)) => self.fails(assert.at, assert.text.clone(), why),
            Err(fault) => self.fails(assert.at, assert.text.clone(), fault.message),
        }
    }

    /// Why an assert does not hold; none if it does.
    fn holds(&mut self, assert: &Assert, actual: Option<&Value>) -> Result<Option<String>, Fault> {
        if let Predicate::Equal(Operand::File(path)) = &assert.predicate
            && !assert.not
        {
            let actual = actual.map(bytes_of).unwrap_or_default();
            return self.equals_file(path, &actual);
        }
        let (holds, expected) = self.judge(assert, actual)?;
        if holds != assert.not {
            return Ok(None);
        }
        let not = if assert.not { "not " } else { "" };
        let actual = actual.map_or("nothing".to_owned(), Value::shown);
        Ok(Some(format!("expected: {not}{expected}\nactual:   {actual}")))
    }

    /// Whether a predicate is true, and what it asks for.
    fn judge(&self, assert: &Assert, actual: Option<&Value>) -> Result<(bool, String), Fault> {
        use Predicate as P;
        let fault = |message: String| Fault { at: assert.at, message };
        let operand = match &assert.predicate {
            P::Equal(operand)
            | P::NotEqual(operand)
            | P::Greater(operand)
            | P::GreaterOrEqual(operand)
            | P::Less(operand)
            | P::LessOrEqual(operand)
            | P::StartsWith(operand)
            | P::EndsWith(operand)
            | P::Contains(operand) => self.operand(operand)?,
            P::Exists => return Ok((actual.is_some(), "to exist".into())),
            P::IsEmpty => {
                let count = actual.map_or(Some(0), Value::count);
                let count = count.ok_or_else(|| fault("a number, true, false or null is never empty".into()))?;
                return Ok((count == 0, "to be empty".into()));
            }
            P::Matches(regex) => {
                let matches = actual.is_some_and(|value| regex.is_match(&value.plain()));
                return Ok((matches, format!("to match /{regex}/")));
            }
        };
        let shown = operand.shown();
        let Some(actual) = actual else {
            // What is not there is equal to nothing.
            return Ok((matches!(assert.predicate, P::NotEqual(_)), format!("something: {shown}")));
        };
        let compared = || {
            actual.compare(&operand).ok_or_else(|| {
                fault(format!("{} and {shown} cannot be compared: two numbers or two texts expected", actual.shown()))
            })
        };
        Ok(match &assert.predicate {
            P::Equal(_) => (actual.is_equal(&operand), shown),
            P::NotEqual(_) => (!actual.is_equal(&operand), format!("anything but {shown}")),
            P::Greater(_) => (compared()?.is_gt(), format!("more than {shown}")),
            P::GreaterOrEqual(_) => (compared()?.is_ge(), format!("at least {shown}")),
            P::Less(_) => (compared()?.is_lt(), format!("less than {shown}")),
            P::LessOrEqual(_) => (compared()?.is_le(), format!("at most {shown}")),
            P::StartsWith(_) => (bytes_of(actual).starts_with(&bytes_of(&operand)), format!("to start with {shown}")),
            P::EndsWith(_) => (bytes_of(actual).ends_with(&bytes_of(&operand)), format!("to end with {shown}")),
            P::Contains(_) => (contains(actual, &operand), format!("to contain {shown}")),
            P::Matches(_) | P::Exists | P::IsEmpty => unreachable!("BUG: these have returned above"),
        })
    }

    fn operand(&self, operand: &Operand) -> Result<Value, Fault> {
        Ok(match operand {
            Operand::Value(value) => value.clone(),
            Operand::Text(text) => Value::text(text.render(self.variables)?),
            Operand::Variable { at, name } => template::value(name, *at, self.variables)?.clone(),
            Operand::File(path) => Value::Bytes(self.read(path)?.1),
        })
    }

    /// The value that a subject has in this answer; none if there is nothing.
    fn look(&self, subject: &Subject) -> Result<Option<Value>, Fault> {
        let at = Position::default();
        let fault = |message: String| Fault { at, message };
        let mut value = match &subject.query {
            Query::Status => Some(Value::number(self.answer.status.as_u16())),
            Query::Header(name) => {
                let mut values = self.answer.header_values(&name.render(self.variables)?);
                match values.len() {
                    0 => None,
                    1 => Some(Value::text(values.remove(0))),
                    _ => Some(Value::Json(Json::Array(values.into_iter().map(Json::String).collect()))),
                }
            }
            Query::Cookie(name) => self.answer.cookie(&name.render(self.variables)?).map(Value::text),
            Query::Body => Some(Value::text(self.text()?)),
            Query::Bytes => Some(Value::Bytes(self.answer.body.clone())),
            Query::JsonPath(path) => {
                let json = self.json.get_or_init(|| {
                    serde_json::from_slice(&self.answer.body).map_err(|error| format!("the body is not JSON: {error}"))
                });
                path.find(json.as_ref().map_err(|why| fault(why.clone()))?).map(Value::Json)
            }
            Query::Regex(regex) => first_group(regex, self.text()?),
            Query::Variable(name) => self.variables.get(name).cloned(),
        };
        for filter in &subject.filters {
            let Some(before) = value else { return Ok(None) };
            value = match filter {
                Filter::Count => match &before {
                    Value::Json(Json::Array(_) | Json::Object(_)) | Value::Bytes(_) => {
                        before.count().map(Value::number)
                    }
                    other => return Err(fault(format!("count: {} is not a list", other.shown()))),
                },
                Filter::Nth(at) => match &before {
                    Value::Json(Json::Array(items)) => {
                        let at = if *at < 0 { items.len() as i64 + at } else { *at };
                        usize::try_from(at).ok().and_then(|at| items.get(at)).cloned().map(Value::Json)
                    }
                    other => return Err(fault(format!("nth: {} is not a list", other.shown()))),
                },
                Filter::Regex(regex) => match &before {
                    Value::Json(Json::String(text)) => first_group(regex, text),
                    other => return Err(fault(format!("regex: {} is not text", other.shown()))),
                },
            };
        }
        // A list of counts fits no number otherwise.
        Ok(value)
    }

    fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.answer.body).map_err(|_| Fault {
            at: Position::default(),
            message: "the body is not UTF-8 text: look at `bytes`".into(),
        })
    }

    fn body(&mut self, at: Position, body: &Body) {
        let outcome = match body {
            Body::File(path) => {
                let actual = self.answer.body.clone();
                self.equals_file(path, &actual)
            }
            Body::Text(text) => text.render(self.variables).map(|expected| {
                (expected.as_bytes() != &self.answer.body[..])
                    .then(|| diff(&expected, &String::from_utf8_lossy(&self.answer.body)))
            }),
            Body::Json(text) => text.render(self.variables).and_then(|expected| self.equals_json(at, &expected)),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(why)) => self.fails(at, "the body".into(), why),
            Err(fault) => self.fails(at, "the body".into(), fault.message),
        }
    }

    fn equals_json(&self, at: Position, expected: &str) -> Result<Option<String>, Fault> {
        let expected: Json = serde_json::from_str(expected)
            .map_err(|error| Fault { at, message: format!("what is expected is not JSON: {error}") })?;
        let actual: Json = match serde_json::from_slice(&self.answer.body) {
            Ok(actual) => actual,
            Err(error) => return Ok(Some(format!("the body is not JSON: {error}"))),
        };
        let lines = |json: &Json| serde_json::to_string_pretty(json).expect("BUG: JSON can be written");
        Ok((expected != actual).then(|| diff(&lines(&expected), &lines(&actual))))
    }

    fn equals_file(&mut self, path: &Template, actual: &Bytes) -> Result<Option<String>, Fault> {
        let at = path.at;
        let name = path.render(self.variables)?;
        let file = inside(self.folder, &name, at)?;
        let there = std::fs::read(&file);
        if there.as_ref().is_ok_and(|there| there == actual) {
            return Ok(None);
        }
        if self.update {
            let fault = |error: std::io::Error| Fault { at, message: format!("{name} is not written: {error}") };
            std::fs::create_dir_all(file.parent().unwrap_or(self.folder)).map_err(fault)?;
            std::fs::write(&file, actual).map_err(fault)?;
            self.checked.updated.push(file);
            return Ok(None);
        }
        Ok(Some(match there {
            Err(error) => format!("{name} cannot be read: {error}; `nearside test --update` writes it"),
            Ok(there) => match (std::str::from_utf8(&there), std::str::from_utf8(actual)) {
                (Ok(expected), Ok(actual)) => {
                    format!(
                        "it is not {name}; if it is right as it is, `nearside test --update`\n{}",
                        diff(expected, actual)
                    )
                }
                _ => format!("it is not {name}: {} bytes there, {} here", there.len(), actual.len()),
            },
        }))
    }

    fn read(&self, path: &Template) -> Result<(PathBuf, Bytes), Fault> {
        read_beside(self.folder, &path.render(self.variables)?, path.at)
    }
}

/// A file that a test names, from its own folder.
pub fn read_beside(folder: &Path, name: &str, at: Position) -> Result<(PathBuf, Bytes), Fault> {
    let file = inside(folder, name, at)?;
    let bytes = std::fs::read(&file).map_err(|error| Fault { at, message: format!("{name}: {error}") })?;
    Ok((file, bytes.into()))
}

/// Tests have what lies beside them, and nothing else.
fn inside(folder: &Path, name: &str, at: Position) -> Result<PathBuf, Fault> {
    let plain = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    match plain && !name.is_empty() {
        true => Ok(folder.join(name)),
        false => Err(Fault { at, message: format!("`{name}`: a path inside the test file's folder expected") }),
    }
}

fn first_group(regex: &regex::Regex, text: &str) -> Option<Value> {
    Some(Value::text(regex.captures(text)?.get(1)?.as_str()))
}

fn bytes_of(value: &Value) -> Bytes {
    match value {
        Value::Bytes(bytes) => bytes.clone(),
        other => other.plain().into(),
    }
}

fn contains(actual: &Value, part: &Value) -> bool {
    match actual {
        Value::Json(Json::Array(items)) => items.iter().any(|item| Value::Json(item.clone()).is_equal(part)),
        _ => {
            let (all, part) = (bytes_of(actual), bytes_of(part));
            part.is_empty() || all.windows(part.len()).any(|window| window == part)
        }
    }
}

#[cfg(test)]
mod tests;
