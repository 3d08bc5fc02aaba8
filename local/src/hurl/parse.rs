//! Reading a test file: requests one after another, each with what is expected.

use std::time::Duration;

use super::{
    cursor::{Cursor, Fault, Position, shown},
    file::{Entry, Expected, Field, HurlFile, Options, Request},
    template::Template,
    words,
};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}:{at}: {message}")]
pub struct ParseError {
    pub file: String,
    pub at: Position,
    pub message: String,
}

/// More is a slip, not a wish.
const RETRY_MOST: u32 = 1_000;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_INTERVAL_MS_MOST: u64 = 60_000;

/// `file` is what messages call it.
pub fn parse(file: &str, text: &str) -> Result<HurlFile, ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    entries(text).map_err(|Fault { at, message }| ParseError { file: file.to_owned(), at, message })
}

fn entries(text: &str) -> Result<HurlFile, Fault> {
    let mut cursor = Cursor::new(text);
    let mut file = HurlFile::default();
    loop {
        cursor.blank_lines();
        if cursor.is_at_end() {
            return Ok(file);
        }
        file.entries.push(entry(&mut cursor)?);
    }
}

fn entry(cursor: &mut Cursor<'_>) -> Result<Entry, Fault> {
    let at = cursor.position();
    let request = request(cursor)?;
    cursor.blank_lines();
    let expected = if is_response(cursor) { Some(expected(cursor)?) } else { None };
    cursor.blank_lines();
    if !cursor.is_at_end() && !is_request(cursor) {
        let line = shown(cursor.line());
        return cursor.fault(format!("`{line}` is not expected here: a request like `GET {{{{host}}}}/` is"));
    }
    Ok(Entry { at, request, expected })
}

fn is_request(cursor: &Cursor<'_>) -> bool {
    let line = cursor.line();
    let method = line.split(' ').next().unwrap_or_default();
    line.len() > method.len()
        && !method.is_empty()
        && method.bytes().all(|byte| byte.is_ascii_uppercase())
        && method != "HTTP"
}

fn is_response(cursor: &Cursor<'_>) -> bool {
    cursor.rest().starts_with("HTTP")
}

fn request(cursor: &mut Cursor<'_>) -> Result<Request, Fault> {
    if !is_request(cursor) {
        let line = shown(cursor.line());
        return cursor
            .fault(format!("`{line}` is not a request: a method and an address expected: `GET {{{{host}}}}/`"));
    }
    let method = cursor.take_while(|c| c.is_ascii_uppercase()).to_owned();
    cursor.blanks();
    let (start, target) = (*cursor, to_line_end(cursor)?);
    if !(start.rest().starts_with('/') || start.rest().starts_with("{{") || start.rest().starts_with("http")) {
        return start.fault("an address expected: `{{host}}/path`, or `/path`");
    }
    cursor.end_of_line()?;
    let mut request = Request {
        method,
        target,
        headers: fields(cursor)?,
        query: Vec::new(),
        form: Vec::new(),
        multipart: Vec::new(),
        cookies: Vec::new(),
        options: Options { retry: 0, retry_interval: RETRY_INTERVAL, skip: false, location: false },
        body: None,
    };
    while let Some((start, name)) = section(cursor)? {
        match name {
            "Query" | "QueryStringParams" => request.query = fields(cursor)?,
            "Form" | "FormParams" => request.form = fields(cursor)?,
            "Multipart" | "MultipartFormData" => request.multipart = parts(cursor)?,
            "Cookies" => request.cookies = fields(cursor)?,
            "Options" => options(cursor, &mut request.options)?,
            other => {
                return start.fault(format!(
                    "[{other}] is not supported in a request: Query, Form, Multipart, Cookies or Options expected"
                ));
            }
        }
    }
    cursor.blank_lines();
    let start = *cursor;
    request.body = words::body(cursor)?.map(|(_, body)| body);
    let bodies = [!request.form.is_empty(), !request.multipart.is_empty(), request.body.is_some()];
    if bodies.iter().filter(|there| **there).count() > 1 {
        return start.fault("one request has one body: a form, a multipart form, or what stands below");
    }
    Ok(request)
}

fn expected(cursor: &mut Cursor<'_>) -> Result<Expected, Fault> {
    let at = cursor.position();
    cursor.take("HTTP");
    if cursor.rest().starts_with('/') {
        return cursor.fault("the version of HTTP is not looked at: `HTTP 200` expected");
    }
    cursor.blanks();
    let start = *cursor;
    let status = match cursor.take_while(|c| !c.is_whitespace() && c != '#') {
        "*" => None,
        text => match text.parse().ok().filter(|status| (100..=599).contains(status)) {
            Some(status) => Some(status),
            None => return start.fault(format!("`{}` is not a status: `200` or `*` expected", shown(text))),
        },
    };
    cursor.end_of_line()?;
    let headers = fields(cursor)?;
    let mut expected = Expected { at, status, headers, captures: Vec::new(), asserts: Vec::new(), body: None };
    while let Some((start, name)) = section(cursor)? {
        match name {
            "Captures" => {
                while has_line(cursor) {
                    expected.captures.push(words::capture(cursor)?);
                }
            }
            "Asserts" => {
                while has_line(cursor) {
                    expected.asserts.push(words::assert(cursor)?);
                }
            }
            other => {
                return start.fault(format!("[{other}] is not supported in an answer: Captures or Asserts expected"));
            }
        }
    }
    cursor.blank_lines();
    expected.body = words::body(cursor)?;
    Ok(expected)
}

/// A line of a section: neither the next section, nor a body, nor a request.
fn has_line(cursor: &mut Cursor<'_>) -> bool {
    cursor.blank_lines();
    let body = cursor.rest().starts_with(['[', '{', '`', '"', '<'])
        || ["file,", "base64,", "hex,"].iter().any(|start| cursor.rest().starts_with(start));
    !cursor.is_at_end() && !body && !is_request(cursor) && !is_response(cursor)
}

/// The next section's name, if one begins here.
fn section<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(Cursor<'a>, &'a str)>, Fault> {
    cursor.blank_lines();
    let start = *cursor;
    let line = cursor.line();
    let name = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name);
    // An array is a body; sections are words with a capital.
    let is_word = |name: &&str| {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphabetic())
    };
    let Some(name) = name.filter(is_word) else { return Ok(None) };
    cursor.skip(name.len() + 2);
    cursor.end_of_line()?;
    Ok(Some((start, name)))
}

/// `name: value`, line by line.
fn fields(cursor: &mut Cursor<'_>) -> Result<Vec<Field>, Fault> {
    let mut fields = Vec::new();
    while let Some((at, name)) = field_name(cursor)? {
        let value = to_line_end(cursor)?;
        cursor.end_of_line()?;
        fields.push(Field { at, name, value });
    }
    Ok(fields)
}

fn parts(cursor: &mut Cursor<'_>) -> Result<Vec<(String, super::file::Part)>, Fault> {
    let mut parts = Vec::new();
    while let Some((_, name)) = field_name(cursor)? {
        let mut at_value = *cursor;
        let text = to_line_end(cursor)?;
        parts.push((name, words::part(&mut at_value, text)?));
        cursor.end_of_line()?;
    }
    Ok(parts)
}

/// The name of the field that begins here, if one does; stands at its value then.
fn field_name(cursor: &mut Cursor<'_>) -> Result<Option<(Position, String)>, Fault> {
    if !has_line(cursor) {
        return Ok(None);
    }
    let at = cursor.position();
    let mut ahead = *cursor;
    let name = ahead.take_while(|c| !c.is_whitespace() && !matches!(c, ':' | '{' | '"' | '#' | ','));
    if name.is_empty() || !ahead.take(":") {
        // A number or a word of JSON is a body.
        let json = ["true", "false", "null"].contains(&cursor.line().trim())
            || cursor.rest().starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if json {
            return Ok(None);
        }
        return cursor.fault(format!("`{}` is not `name: value`", shown(cursor.line())));
    }
    ahead.blanks();
    *cursor = ahead;
    Ok(Some((at, name.to_owned())))
}

/// Text up to the end of the line or a comment, which begins with ` #`.
fn to_line_end(cursor: &mut Cursor<'_>) -> Result<Template, Fault> {
    let at = cursor.position();
    let mut text = String::new();
    loop {
        match cursor.peek() {
            None | Some('\n') => break,
            Some('\\') => text.push(words::escape(cursor)?),
            Some('#') if text.is_empty() || text.ends_with([' ', '\t']) => break,
            Some(c) => {
                cursor.skip(c.len_utf8());
                text.push(c);
            }
        }
    }
    Template::parse(text.trim_end(), at)
}

fn options(cursor: &mut Cursor<'_>, options: &mut Options) -> Result<(), Fault> {
    for Field { at, name, value } in fields(cursor)? {
        let text = value.render(&Default::default())?;
        let fault = |expected: &str| Fault { at, message: format!("{name}: `{text}` is not {expected}") };
        let switch = || text.parse::<bool>().map_err(|_| fault("true or false"));
        match name.as_str() {
            "retry" => match text.parse().ok().filter(|retry| *retry <= RETRY_MOST) {
                Some(retry) => options.retry = retry,
                None => return Err(fault(&format!("a number up to {RETRY_MOST}"))),
            },
            "retry-interval" => {
                let ms = text.strip_suffix("ms").unwrap_or(&text).parse().ok();
                let seconds = text.strip_suffix('s').and_then(|text| text.parse::<u64>().ok()?.checked_mul(1_000));
                match ms.or(seconds).filter(|ms| *ms <= RETRY_INTERVAL_MS_MOST) {
                    Some(ms) => options.retry_interval = Duration::from_millis(ms),
                    None => return Err(fault("a time like 200ms or 1s, up to a minute")),
                }
            }
            "skip" => options.skip = switch()?,
            "location" => options.location = switch()?,
            _ => {
                let message =
                    format!("the option `{name}` is not supported: retry, retry-interval, skip or location expected");
                return Err(Fault { at, message });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
