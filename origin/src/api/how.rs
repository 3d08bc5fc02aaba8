//! How something is pushed, as its address says: `?resume`, `?replace`, `?canary=10%25&requests=200&for_s=300`.

use std::time::Instant;

use http::Uri;
use nearside_protocol::canary::{Rules, Whom};

use crate::{
    api_error::ApiError,
    canary::{self, Wanted, whom},
    operate::Work,
    site::How,
};

#[derive(Debug, Default, PartialEq)]
struct Said {
    resume: bool,
    replace: bool,
    canary: Option<(Whom, Rules)>,
}

/// What is asked for, of the nodes that are heard. A canary that runs makes way for it, where that is asked for.
pub(super) async fn how(work: &Work<'_>, app: &str, uri: &Uri) -> Result<How, ApiError> {
    let Said { resume, replace, canary } = said(uri.query().unwrap_or_default()).map_err(ApiError::bad_request)?;
    let wanted = |(whom, rules): (Whom, Rules)| {
        let heard = work.origin.nodes.heard(Instant::now());
        Ok::<_, ApiError>(Wanted { nodes: whom::chosen(&whom, app, &heard)?, rules: canary::checked(rules)? })
    };
    let canary = canary.map(wanted).transpose()?;
    if let Some(site) = work.origin.site(app).filter(|_| replace) {
        work.make_way(&site).await?;
    }
    Ok(How { resume, canary })
}

fn said(query: &str) -> Result<Said, String> {
    let mut said = Said::default();
    let (mut whom, mut rules) = (None, Rules::default());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let number = || value.parse().map_err(|_| format!("{name}: a number expected, and not `{value}`"));
        let is_set = || match &*value {
            "" | "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{name}: `true` or `false` expected, and not `{value}`")),
        };
        match &*name {
            "resume" => said.resume = is_set()?,
            "replace" => said.replace = is_set()?,
            "canary" => whom = Some(value.parse::<Whom>().map_err(|error| format!("canary: {error}"))?),
            "requests" => rules.requests = number()?,
            "for_s" => rules.for_s = number()?,
            _ => return Err(format!("a push knows no `{name}`")),
        }
    }
    said.canary = whom.map(|whom| (whom, rules));
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_says_how_or_its_fault_is_named() {
        assert_eq!(said(""), Ok(Said::default()));
        assert_eq!(said("resume"), Ok(Said { resume: true, ..Said::default() }));
        let rules = Rules { requests: 50, ..Rules::default() };
        let canary = Some((Whom::Percent(10), rules));
        assert_eq!(said("canary=10%25&requests=50"), Ok(Said { canary, ..Said::default() }));
        let named = Whom::Named(vec!["a".into(), "b".into()]);
        let rules = Rules { for_s: 9, ..Rules::default() };
        assert_eq!(said("replace=true&canary=b%2Ca&for_s=9").unwrap().canary, Some((named, rules)));
        for (query, fault) in [
            ("canary=0%25", "canary: `0%` is not a share"),
            ("canary=a&requests=many", "requests: a number expected"),
            ("replace=maybe", "replace: `true` or `false`"),
            ("forever", "knows no `forever`"),
        ] {
            assert!(said(query).unwrap_err().contains(fault), "{query}: {:?}", said(query));
        }
    }
}
