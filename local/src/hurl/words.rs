//! The words of the format: quoted text, bodies, what is looked at and what is said of it.

use bytes::Bytes;
use regex::Regex;
use serde_json::Value as Json;

use super::{
    cursor::{Cursor, Fault, Position, shown},
    file::{Assert, Body, Capture, Filter, Operand, Part, Predicate, Query, Subject},
    jsonpath::JsonPath,
    template::{self, Template},
    value::Value,
};

/// A regular expression may grow to this much when it is compiled.
const REGEX_BYTES: usize = 1 << 20;

pub(super) fn word<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.blanks();
    cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Text in double quotes.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Result<Template, Fault> {
    cursor.blanks();
    let at = cursor.position();
    if !cursor.take("\"") {
        return cursor.fault(format!("text in double quotes expected, not `{}`", shown(cursor.line())));
    }
    let mut text = String::new();
    loop {
        match cursor.peek() {
            None | Some('\n') => return Err(Fault { at, message: "the text has no end: `\"` expected".into() }),
            Some('"') => {
                cursor.skip(1);
                return Template::parse(&text, at);
            }
            Some('\\') => text.push(escape(cursor)?),
            Some(c) => {
                cursor.skip(c.len_utf8());
                text.push(c);
            }
        }
    }
}

/// The character that stands behind a backslash.
pub(super) fn escape(cursor: &mut Cursor<'_>) -> Result<char, Fault> {
    let start = *cursor;
    cursor.skip(1);
    let Some(kind) = cursor.peek() else { return start.fault("`\\` at the end") };
    cursor.skip(kind.len_utf8());
    Ok(match kind {
        '"' | '\\' | '#' | '/' | '`' | ':' => kind,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let inside = cursor.rest().strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let character = inside.and_then(|(digits, _)| char::from_u32(u32::from_str_radix(digits, 16).ok()?));
            let (Some((digits, _)), Some(character)) = (inside, character) else {
                return start.fault("`\\u{…}` with the hexadecimal number of a character expected");
            };
            cursor.skip(digits.len() + 2);
            character
        }
        other => return start.fault(format!("`\\{other}` stands for nothing")),
    })
}

/// `/…/`, or the same in quotes.
fn regex(cursor: &mut Cursor<'_>) -> Result<Regex, Fault> {
    cursor.blanks();
    let start = *cursor;
    let pattern = if cursor.take("/") {
        let mut pattern = String::new();
        loop {
            match cursor.peek() {
                None | Some('\n') => return start.fault("the expression has no end: `/` expected"),
                Some('/') => break cursor.skip(1),
                Some('\\') if cursor.rest().starts_with("\\/") => {
                    cursor.skip(2);
                    pattern.push('/');
                }
                Some('\\') => {
                    // The next character is the expression's business, even where it is a slash's end.
                    cursor.skip(1);
                    pattern.push('\\');
                    if let Some(c) = cursor.peek() {
                        cursor.skip(c.len_utf8());
                        pattern.push(c);
                    }
                }
                Some(c) => {
                    cursor.skip(c.len_utf8());
                    pattern.push(c);
                }
            }
        }
        pattern
    } else {
        // Without variables: an expression is read when the file is.
        quoted(cursor)?.render(&Default::default())?
    };
    let built = regex::RegexBuilder::new(&pattern).size_limit(REGEX_BYTES).build();
    built.or_else(|error| start.fault(format!("it is not a regular expression: {error}")))
}

fn with_group(start: Cursor<'_>, regex: Regex) -> Result<Regex, Fault> {
    match regex.captures_len() {
        0 | 1 => start.fault("the expression has no group: what is in parentheses is what is looked at"),
        _ => Ok(regex),
    }
}

/// `file,path;`, without the first word.
fn file_path(cursor: &mut Cursor<'_>) -> Result<Template, Fault> {
    let start = *cursor;
    cursor.skip("file,".len());
    let at = cursor.position();
    let line = cursor.line();
    let Some(end) = line.find(';') else { return start.fault("`file,` without its end: `file,path;` expected") };
    cursor.skip(end + 1);
    Template::parse(line[..end].trim(), at)
}

/// Text between backticks: one, or three over several lines.
fn backticks(cursor: &mut Cursor<'_>) -> Result<(Template, Option<String>), Fault> {
    let start = *cursor;
    let at = cursor.position();
    if cursor.take("```") {
        let kind = cursor.take_while(|c| c != '\n' && c != '`').trim().to_owned();
        let rest = cursor.rest();
        let Some(end) = rest.find("```") else { return start.fault("the text has no end: ``` expected") };
        cursor.skip(end + 3);
        let text = rest[..end].strip_prefix('\n').unwrap_or(&rest[..end]);
        let text = text.replace("\r\n", "\n");
        return Ok((Template::parse(&text, at)?, Some(kind)));
    }
    cursor.skip(1);
    let line = cursor.line();
    let Some(end) = line.find('`') else { return start.fault("the text has no end: ` expected") };
    cursor.skip(end + 1);
    Ok((Template::parse(&line[..end], at)?, None))
}

/// A body, of a request or an answer, if there is one here.
pub(super) fn body(cursor: &mut Cursor<'_>) -> Result<Option<(Position, Body)>, Fault> {
    let at = cursor.position();
    let rest = cursor.rest();
    let body = if rest.starts_with("file,") {
        Body::File(file_path(cursor)?)
    } else if rest.starts_with('`') {
        let (text, kind) = backticks(cursor)?;
        match kind.as_deref() {
            Some("json") => Body::Json(text),
            None | Some("" | "text" | "raw" | "xml" | "html" | "txt") => Body::Text(text),
            Some(other) => return Err(Fault { at, message: format!("a body of ```{other} is not supported") }),
        }
    } else if let Some(unknown) = ["base64,", "hex,", "<"].iter().find(|start| rest.starts_with(**start)) {
        let message = format!("a body that begins with `{unknown}` is not supported: put it into ``` or a file");
        return Err(Fault { at, message });
    } else if rest.starts_with(['{', '[', '"', '-']) || rest.starts_with(|c: char| c.is_ascii_digit()) {
        Body::Json(Template::parse(json_text(cursor)?, at)?)
    } else if ["true", "false", "null"].contains(&cursor.line().trim()) {
        let text = cursor.line().trim();
        cursor.skip(text.len());
        Body::Json(Template::parse(text, at)?)
    } else {
        return Ok(None);
    };
    cursor.end_of_line()?;
    Ok(Some((at, body)))
}

/// JSON up to where its brackets close. Variables need not stand in quotes in it, so it is read only when it is used.
fn json_text<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let start = *cursor;
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for (at, c) in start.rest().char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '{' | '[' if !in_text => depth += 1,
            '}' | ']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        let closes = matches!(c, '}' | ']' | '"') && !in_text && depth == 0;
        let scalar_ends = c == '\n' && depth == 0 && !in_text;
        if closes || scalar_ends {
            let end = if scalar_ends { at } else { at + 1 };
            cursor.skip(end);
            return Ok(start.rest()[..end].trim_end());
        }
    }
    if depth == 0 && !in_text {
        cursor.skip(start.rest().len());
        return Ok(start.rest().trim_end());
    }
    start.fault("the JSON has no end")
}

/// What a part of a multipart form is, after its name.
pub(super) fn part(cursor: &mut Cursor<'_>, text: Template) -> Result<Part, Fault> {
    // `cursor` stands at the value; `text` is the same value taken as text.
    if !cursor.rest().starts_with("file,") {
        return Ok(Part::Text(text));
    }
    let path = file_path(cursor)?;
    cursor.blanks();
    let at = cursor.position();
    let content_type = cursor.line().split(" #").next().unwrap_or_default().trim();
    let content_type = match content_type {
        "" => None,
        some => Some(Template::parse(some, at)?),
    };
    Ok(Part::File { path, content_type })
}

pub(super) fn capture(cursor: &mut Cursor<'_>) -> Result<Capture, Fault> {
    let at = cursor.position();
    let name = word(cursor);
    if !template::is_name(name) {
        return Err(Fault { at, message: format!("the name of a variable expected, not `{}`", shown(cursor.line())) });
    }
    cursor.blanks();
    if !cursor.take(":") {
        return cursor.fault("`:` expected after the name of a variable");
    }
    let subject = subject(cursor)?;
    if !cursor.is_at_line_end() {
        return cursor.fault(format!("`{}` is not supported in a capture", shown(cursor.line())));
    }
    cursor.end_of_line()?;
    Ok(Capture { at, name: name.to_owned(), subject })
}

pub(super) fn assert(cursor: &mut Cursor<'_>) -> Result<Assert, Fault> {
    let (at, text) = (cursor.position(), shown(cursor.line()));
    let subject = subject(cursor)?;
    cursor.blanks();
    let not = cursor.rest().starts_with("not ") && cursor.take("not ");
    let predicate = predicate(cursor)?;
    cursor.end_of_line()?;
    Ok(Assert { at, text, subject, not, predicate })
}

fn subject(cursor: &mut Cursor<'_>) -> Result<Subject, Fault> {
    cursor.blanks();
    let start = *cursor;
    let query = match word(cursor) {
        "status" => Query::Status,
        "body" => Query::Body,
        "bytes" => Query::Bytes,
        "header" => Query::Header(quoted(cursor)?),
        "cookie" => {
            let (before, name) = (*cursor, quoted(cursor)?);
            if name.render(&Default::default()).is_ok_and(|name| name.contains('[')) {
                return before.fault("attributes of a cookie are not supported: look at the header `set-cookie`");
            }
            Query::Cookie(name)
        }
        "jsonpath" => {
            cursor.blanks();
            let before = *cursor;
            let text = quoted(cursor)?.render(&Default::default())?;
            Query::JsonPath(JsonPath::parse(&text).or_else(|why| before.fault(format!("jsonpath `{text}`: {why}")))?)
        }
        "regex" => {
            let before = *cursor;
            Query::Regex(with_group(before, regex(cursor)?)?)
        }
        "variable" => Query::Variable(quoted(cursor)?.render(&Default::default())?),
        other => {
            return start.fault(format!(
                "`{}` is not supported: status, header, cookie, body, bytes, jsonpath, regex or variable expected",
                if other.is_empty() { shown(start.line()) } else { other.to_owned() }
            ));
        }
    };
    let mut filters = Vec::new();
    loop {
        cursor.blanks();
        let mut ahead = *cursor;
        let filter = match word(&mut ahead) {
            "count" => Filter::Count,
            "nth" => {
                ahead.blanks();
                let number = ahead.take_while(|c| c.is_ascii_digit() || c == '-');
                Filter::Nth(number.parse().or_else(|_| ahead.fault("a number expected after `nth`"))?)
            }
            "regex" => {
                let before = ahead;
                Filter::Regex(with_group(before, regex(&mut ahead)?)?)
            }
            _ => return Ok(Subject { query, filters }),
        };
        filters.push(filter);
        *cursor = ahead;
    }
}

fn predicate(cursor: &mut Cursor<'_>) -> Result<Predicate, Fault> {
    type Make = fn(Operand) -> Predicate;
    const SIGNS: &[(&str, Make)] = &[
        ("==", Predicate::Equal),
        ("!=", Predicate::NotEqual),
        (">=", Predicate::GreaterOrEqual),
        ("<=", Predicate::LessOrEqual),
        (">", Predicate::Greater),
        ("<", Predicate::Less),
    ];
    cursor.blanks();
    if let Some((_, make)) = SIGNS.iter().find(|(sign, _)| cursor.take(sign)) {
        return Ok(make(operand(cursor)?));
    }
    let start = *cursor;
    Ok(match word(cursor) {
        "startsWith" => Predicate::StartsWith(operand(cursor)?),
        "endsWith" => Predicate::EndsWith(operand(cursor)?),
        "contains" => Predicate::Contains(operand(cursor)?),
        "matches" => Predicate::Matches(regex(cursor)?),
        "exists" => Predicate::Exists,
        "isEmpty" => Predicate::IsEmpty,
        other => {
            let other = if other.is_empty() { shown(start.line()) } else { other.to_owned() };
            return start.fault(format!(
                "`{other}` is not supported: ==, !=, <, <=, >, >=, startsWith, endsWith, contains, matches, exists, \
                 isEmpty, or count, nth or regex before one of them expected"
            ));
        }
    })
}

fn operand(cursor: &mut Cursor<'_>) -> Result<Operand, Fault> {
    cursor.blanks();
    let (start, at, rest) = (*cursor, cursor.position(), cursor.rest());
    if rest.starts_with('"') {
        return Ok(Operand::Text(quoted(cursor)?));
    }
    if rest.starts_with('`') {
        return Ok(Operand::Text(backticks(cursor)?.0));
    }
    if rest.starts_with("file,") {
        return Ok(Operand::File(file_path(cursor)?));
    }
    if let Some(digits) = rest.strip_prefix("hex,").and_then(|rest| rest.split_once(';')).map(|(digits, _)| digits) {
        cursor.skip("hex,;".len() + digits.len());
        return match hex(digits.trim()) {
            Some(bytes) => Ok(Operand::Value(Value::Bytes(bytes))),
            None => start.fault("pairs of hexadecimal digits expected: `hex,c3a9;`"),
        };
    }
    if cursor.take("{{") {
        let name = cursor.take_while(|c| c != '}').trim().to_owned();
        if !cursor.take("}}") || !template::is_name(&name) {
            return start.fault("`{{name}}` expected");
        }
        return Ok(Operand::Variable { at, name });
    }
    let literal = cursor.take_while(|c| !c.is_whitespace() && c != '#');
    let value = match literal {
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        "null" => Json::Null,
        number => match serde_json::from_str::<serde_json::Number>(number) {
            Ok(number) => Json::Number(number),
            Err(_) => {
                return start.fault(format!(
                    "`{}` is not a value: text in quotes, a number, true, false, null, {{{{name}}}} or file,path; expected",
                    shown(start.line())
                ));
            }
        },
    };
    Ok(Operand::Value(Value::Json(value)))
}

fn hex(digits: &str) -> Option<Bytes> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
            u8::from_str_radix(text, 16).ok()
        })
        .collect()
}
