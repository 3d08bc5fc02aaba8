//! The part of JSONPath that leads to one place, or to all of one list: `$.a['b c'][0].*`.

use serde_json::Value as Json;

#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// From the end when it is negative.
    Item(i64),
    All,
}

impl JsonPath {
    pub fn parse(text: &str) -> Result<JsonPath, String> {
        let mut rest = text.strip_prefix('$').ok_or("it begins with `$`")?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if rest.starts_with("..") {
                return Err("`..` is not supported: say the whole way".into());
            }
            let (step, after) = match rest.strip_prefix('.') {
                Some(rest) => field(rest)?,
                None => bracket(rest.strip_prefix('[').ok_or_else(|| format!("`.` or `[` expected at `{rest}`"))?)?,
            };
            steps.push(step);
            rest = after;
        }
        Ok(JsonPath { steps })
    }

    /// What is there; all that is there, where the path leads to several places.
    pub fn find(&self, json: &Json) -> Option<Json> {
        let several = self.steps.contains(&Step::All);
        let mut found = vec![json];
        for step in &self.steps {
            found = found.into_iter().flat_map(|json| step.of(json)).collect();
        }
        match several {
            true => Some(Json::Array(found.into_iter().cloned().collect())),
            false => found.into_iter().next().cloned(),
        }
    }
}

impl Step {
    fn of<'a>(&self, json: &'a Json) -> Vec<&'a Json> {
        match (self, json) {
            (Step::Field(name), Json::Object(fields)) => fields.get(name).into_iter().collect(),
            (Step::Item(at), Json::Array(items)) => {
                let at = if *at < 0 { items.len() as i64 + at } else { *at };
                usize::try_from(at).ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            (Step::All, Json::Array(items)) => items.iter().collect(),
            (Step::All, Json::Object(fields)) => fields.values().collect(),
            _ => Vec::new(),
        }
    }
}

fn field(text: &str) -> Result<(Step, &str), String> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((Step::All, rest));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let name = &text[..end];
    let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if name.is_empty() || !plain {
        return Err(format!("`.{name}` is not supported: a field's name expected; others stand as `['name']`"));
    }
    Ok((Step::Field(name.to_owned()), &text[end..]))
}

fn bracket(text: &str) -> Result<(Step, &str), String> {
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let end = rest.find(quote).ok_or_else(|| format!("`[{quote}` without its end"))?;
            let after = rest[end + 1..].strip_prefix(']').ok_or("`]` expected after a field's name")?;
            return Ok((Step::Field(rest[..end].to_owned()), after));
        }
    }
    let end = text.find(']').ok_or("`[` without `]`")?;
    let step = match &text[..end] {
        "*" => Step::All,
        inside => Step::Item(inside.parse().map_err(|_| {
            format!("`[{inside}]` is not supported: a number, `*` or a field's name in quotes expected")
        })?),
    };
    Ok((step, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_where_they_say() {
        let json = json!({ "a": { "b c": [1, { "d": "x" }, { "d": "y" }] }, "n": null });
        for (path, expected) in [
            ("$", Some(json.clone())),
            ("$.a['b c'][0]", Some(json!(1))),
            ("$.a[\"b c\"][-1].d", Some(json!("y"))),
            ("$.a['b c'][*].d", Some(json!(["x", "y"]))),
            ("$.a['b c'][7]", None),
            ("$.n", Some(Json::Null)),
            ("$.n.x", None),
            ("$.missing[*]", Some(json!([]))),
        ] {
            assert_eq!(JsonPath::parse(path).unwrap().find(&json), expected, "{path}");
        }
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        for (path, expected) in [
            ("a", "begins with `$`"),
            ("$..a", "`..` is not supported"),
            ("$.a[?(@.b)]", "`[?(@.b)]` is not supported"),
            ("$.a[1:2]", "`[1:2]` is not supported"),
            ("$.", "a field's name expected"),
            ("$.a b", "`.a b` is not supported"),
            ("$[1", "`[` without `]`"),
        ] {
            let error = JsonPath::parse(path).unwrap_err();
            assert!(error.contains(expected), "{path}: {error}");
        }
    }
}
