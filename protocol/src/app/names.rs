//! Which names may stand in a manifest, and which patterns.

use super::RESERVED_PREFIX;

/// Apps, commands and tasks have names that stand in paths as they are.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(super) fn is_variable_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn is_sql_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.to_ascii_lowercase().starts_with(RESERVED_PREFIX)
        && !name.to_ascii_lowercase().starts_with("sqlite_")
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

pub(super) fn check_pattern(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("it must begin with `/`");
    }
    if path.starts_with("/_") || path == "/static" || path.starts_with("/static/") {
        return Err("paths under `/_` and `/static/` are the host's own");
    }
    let segments: Vec<&str> = path[1..].split('/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if name.starts_with('*') && !last {
                return Err("`{*rest}` must come last");
            }
            let name = name.trim_start_matches('*');
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err("a parameter is written `{name}`");
            }
        } else if segment.contains(['{', '}']) {
            return Err("a parameter takes a whole segment: `/{name}/`");
        } else if segment.is_empty() && segments.len() > 1 && !last {
            return Err("it has an empty segment");
        } else if !segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b)) {
            return Err("it has characters that do not stand in a URL path as they are");
        }
    }
    Ok(())
}

/// The pattern with its parameters nameless.
pub(super) fn shape(path: &str) -> String {
    let nameless = |segment: &str| match segment.as_bytes() {
        [b'{', b'*', ..] => "{*}".to_owned(),
        [b'{', ..] => "{}".to_owned(),
        _ => segment.to_owned(),
    };
    path.split('/').map(nameless).collect::<Vec<_>>().join("/")
}
