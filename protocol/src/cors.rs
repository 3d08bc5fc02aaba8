//! Which pages of other sites may use a route, and how: the Fetch standard's CORS protocol, as the manifest grants it.

use serde::Deserialize;

#[derive(Clone, Debug, PartialEq)]
pub struct Cors {
    pub origins: Origins,
    /// Request headers they may send besides the safelisted ones, lower case.
    pub headers: Vec<String>,
    /// Response headers their scripts may read besides the safelisted ones, lower case.
    pub expose: Vec<String>,
    /// Whether the visitor's cookies go along.
    pub credentials: bool,
    pub max_age_s: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Origins {
    Any,
    /// `scheme://host[:port]`, lower case, as browsers send it.
    Listed(Vec<String>),
}

impl Cors {
    pub fn admits(&self, origin: &str) -> bool {
        match &self.origins {
            Origins::Any => true,
            Origins::Listed(origins) => origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawCors {
    origins: Vec<String>,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    expose: Vec<String>,
    #[serde(default)]
    credentials: bool,
    max_age_s: Option<u32>,
}

/// Browsers ask again after this long at the latest, whatever they are told; Chromium's bound is the lowest.
const MAX_AGE_S_MOST: u32 = 7_200;
const MAX_AGE_S: u32 = 600;

impl TryFrom<RawCors> for Cors {
    type Error = String;

    fn try_from(raw: RawCors) -> Result<Cors, String> {
        let origins = if raw.origins.iter().any(|origin| origin == "*") {
            if raw.origins.len() > 1 {
                return Err("origins: \"*\" stands alone, or is left out".into());
            }
            if raw.credentials {
                return Err("credentials = true needs origins by name: browsers refuse it together with \"*\"".into());
            }
            Origins::Any
        } else {
            if raw.origins.is_empty() {
                return Err("origins: name at least one, or \"*\"".into());
            }
            Origins::Listed(raw.origins.into_iter().map(checked_origin).collect::<Result<_, _>>()?)
        };
        let names = |what: &str, names: Vec<String>| {
            let lower = |name: String| match is_token(&name) {
                true => Ok(name.to_ascii_lowercase()),
                false => Err(format!("{what}: `{name}` is not a header name")),
            };
            names.into_iter().map(lower).collect::<Result<Vec<_>, _>>()
        };
        let max_age_s = raw.max_age_s.unwrap_or(MAX_AGE_S);
        if max_age_s > MAX_AGE_S_MOST {
            return Err(format!("max_age_s {max_age_s} is out of bounds: 0 to {MAX_AGE_S_MOST}"));
        }
        Ok(Cors {
            origins,
            headers: names("headers", raw.headers)?,
            expose: names("expose", raw.expose)?,
            credentials: raw.credentials,
            max_age_s,
        })
    }
}

fn checked_origin(origin: String) -> Result<String, String> {
    let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    let plain = |authority: &str| {
        !authority.is_empty()
            && authority.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    };
    match rest {
        Some(authority) if plain(authority) => Ok(origin.to_ascii_lowercase()),
        _ => Err(format!("origin `{origin}`: \"https://host\" or \"https://host:port\" expected, without a path")),
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Cors, String> {
        Cors::try_from(toml::from_str::<RawCors>(text).unwrap())
    }

    #[test]
    fn origins_are_compared_as_browsers_send_them() {
        let cors = parse("origins = [\"https://A.example:8443\"]\nheaders = [\"X-Mine\"]").unwrap();
        assert!(cors.admits("https://a.example:8443") && !cors.admits("https://a.example") && !cors.admits("null"));
        assert_eq!(cors.headers, ["x-mine"]);
    }

    #[test]
    fn what_browsers_would_refuse_is_refused_here() {
        for (text, expected) in [
            ("origins = []", "at least one"),
            ("origins = [\"*\"]\ncredentials = true", "by name"),
            ("origins = [\"*\", \"https://a\"]", "stands alone"),
            ("origins = [\"https://a/b\"]", "without a path"),
            ("origins = [\"https://a\"]\nheaders = [\"a b\"]", "not a header name"),
            ("origins = [\"https://a\"]\nmax_age_s = 90000", "out of bounds"),
        ] {
            assert!(parse(text).unwrap_err().contains(expected), "{text}");
        }
    }
}
