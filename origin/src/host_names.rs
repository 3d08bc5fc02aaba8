//! Which app answers for which host name: nodes serve a name for one app alone.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

/// The names of each app, as they are served or tried out.
#[derive(Default)]
pub struct HostNames(Mutex<BTreeMap<String, Vec<String>>>);

#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "`{app}` names the host `{host}`, and so does `{by}`, which is here already: a host belongs to one app, so take it out of \
    the `hosts` of one of them"
)]
pub struct HostTaken {
    pub host: String,
    pub app: String,
    pub by: String,
}

impl HostNames {
    /// Names for an app besides those it has, if no other app has one of them.
    pub(crate) fn claim(&self, app: &str, hosts: &[String]) -> Result<(), HostTaken> {
        let mut all = self.all();
        for host in hosts {
            let taken = all.iter().find(|(other, names)| *other != app && names.contains(host));
            if let Some((by, _)) = taken {
                return Err(HostTaken { host: host.clone(), app: app.to_owned(), by: by.clone() });
            }
        }
        all.entry(app.to_owned()).or_default().extend_from_slice(hosts);
        Ok(())
    }

    /// It has come to these: what was claimed and not used is free again.
    pub(crate) fn hold(&self, app: &str, hosts: Vec<String>) {
        let mut all = self.all();
        match hosts.is_empty() {
            true => all.remove(app),
            false => all.insert(app.to_owned(), hosts),
        };
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<String>>> {
        self.0.lock().expect("BUG: nothing panics while holding the names")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_belongs_to_one_app() {
        let names = HostNames::default();
        let hosts = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        names.claim("shop", &hosts(&["shop.example", "www.example"])).unwrap();
        names.claim("shop", &hosts(&["shop.example"])).unwrap();
        let taken = names.claim("blog", &hosts(&["blog.example", "www.example"])).unwrap_err();
        assert_eq!((taken.host.as_str(), taken.app.as_str(), taken.by.as_str()), ("www.example", "blog", "shop"));
        // It came to nothing, and has no name.
        names.claim("other", &hosts(&["blog.example"])).unwrap();
        names.hold("other", Vec::new());
        names.hold("shop", hosts(&["shop.example"]));
        names.claim("blog", &hosts(&["blog.example", "www.example"])).unwrap();
    }
}
