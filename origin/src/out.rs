//! Which releases are out: for everyone, and for the nodes that try one out.

use std::collections::BTreeMap;

use nearside_protocol::{fleet::Candidate, heads::Newest, release::ReleaseId};

/// Of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Out {
    pub stable: ReleaseId,
    pub candidate: Option<Candidate>,
}

/// By app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outs(BTreeMap<String, Out>);

impl Outs {
    /// True when that is news.
    pub(crate) fn set(&mut self, app: &str, out: Out) -> bool {
        self.0.insert(app.to_owned(), out.clone()) != Some(out)
    }

    pub fn has(&self, app: &str) -> bool {
        self.0.contains_key(app)
    }

    /// As a node is told of it. One that does not say its name takes part in no canary.
    pub fn for_node(&self, node: Option<&str>) -> Newest {
        let heads = self.0.iter().map(|(app, out)| (app.clone(), out.stable)).collect();
        let candidate = |(app, out): (&String, &Out)| {
            let candidate = out.candidate.as_ref()?;
            let is_one = node.is_some_and(|node| candidate.nodes.iter().any(|named| named == node));
            is_one.then(|| (app.clone(), candidate.release))
        };
        Newest { heads, candidates: self.0.iter().filter_map(candidate).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_told_to_those_who_try_it_out_and_to_nobody_else() {
        let release = |seq| ReleaseId { epoch: 1, seq };
        let mut outs = Outs::default();
        let candidate = Some(Candidate { release: release(5), nodes: vec!["a".into()] });
        assert!(outs.set("shop", Out { stable: release(4), candidate: candidate.clone() }));
        assert!(!outs.set("shop", Out { stable: release(4), candidate }));
        assert!(outs.set("blog", Out { stable: release(2), candidate: None }));
        let told = |node| outs.for_node(node).wanted().into_values().collect::<Vec<_>>();
        assert_eq!(told(Some("a")), [release(2), release(5)]);
        assert_eq!(told(Some("b")), [release(2), release(4)]);
        assert_eq!(told(None), [release(2), release(4)]);
    }
}
