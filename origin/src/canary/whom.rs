//! Which nodes try something out.

use nearside_protocol::{canary::Whom, digest::PartsHasher, limits, words};

use super::NotTried;

/// Of the nodes that are heard, those that are meant, in order. A share is drawn by a hash of app and name, so that it is the
/// same nodes each time, and a larger share has those of a smaller one.
pub(crate) fn chosen(whom: &Whom, app: &str, heard: &[String]) -> Result<Vec<String>, NotTried> {
    let mut nodes = match whom {
        Whom::Named(names) => {
            if let Some(name) = names.iter().find(|name| !heard.contains(name)) {
                let heard = if heard.is_empty() { "none".to_owned() } else { heard.join(", ") };
                return Err(NotTried::NoNode { name: name.clone(), heard });
            }
            names.clone()
        }
        Whom::Percent(share) => {
            if heard.len() < 2 {
                return Err(NotTried::TooFew { heard: words::count(heard.len() as u64, "is", "are") });
            }
            let wanted = (heard.len() * usize::from(*share)).div_ceil(100).clamp(1, heard.len() - 1);
            let lot = |name: &String| PartsHasher::default().part(app.as_bytes()).part(name.as_bytes()).finish();
            let mut drawn: Vec<_> = heard.iter().map(|name| (lot(name).to_string(), name.clone())).collect();
            drawn.sort();
            drawn.into_iter().take(wanted).map(|(_, name)| name).collect()
        }
    };
    if nodes.len() > limits::CANARY_NODES {
        return Err(NotTried::TooMany(nodes.len()));
    }
    nodes.sort();
    nodes.dedup();
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("node-{n}")).collect()
    }

    #[test]
    fn a_share_is_the_same_nodes_each_time_and_a_larger_one_has_them_too() {
        let fleet = fleet(30);
        let share = |percent| chosen(&Whom::Percent(percent), "shop", &fleet).unwrap();
        assert_eq!((share(10).len(), share(11).len(), share(50).len(), share(99).len()), (3, 4, 15, 29));
        assert_eq!(share(10), share(10));
        assert!(share(10).iter().all(|node| share(50).contains(node)));
        let mut turned = fleet.clone();
        turned.reverse();
        assert_eq!(chosen(&Whom::Percent(10), "shop", &turned), Ok(share(10)));
        assert_ne!(chosen(&Whom::Percent(10), "blog", &fleet), Ok(share(10)), "not always the same ones for all apps");
    }

    #[test]
    fn somebody_is_always_left_to_be_compared_with_and_somebody_tries_it_out() {
        for count in 2..9 {
            for percent in [1, 50, 99] {
                let nodes = chosen(&Whom::Percent(percent), "shop", &fleet(count)).unwrap();
                assert!((1..count).contains(&nodes.len()), "{percent} of {count}: {nodes:?}");
            }
        }
        assert!(matches!(chosen(&Whom::Percent(10), "shop", &fleet(1)), Err(NotTried::TooFew { .. })));
        assert_eq!(chosen(&Whom::Percent(99), "shop", &fleet(128)), Err(NotTried::TooMany(127)));
    }

    #[test]
    fn who_is_named_must_be_there() {
        let named = |names: &[&str]| Whom::Named(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(chosen(&named(&["node-1"]), "shop", &fleet(2)), Ok(vec!["node-1".to_owned()]));
        let missing = chosen(&named(&["node-1", "nodo-2"]), "shop", &fleet(2)).unwrap_err();
        assert_eq!(missing.to_string(), "no node `nodo-2` is heard; heard are: node-0, node-1");
    }
}
